"""`agents`: which agents can be used here, and one tiny real call."""

from pathlib import Path
from typing import Annotated

import typer

from autoloop import api
from autoloop.cli import options
from autoloop.cli.render import FIXABLE, on_terminal, say, say_json, table
from autoloop.core.text import duration, money
from autoloop.ports import Progress

_WITHOUT_ERRANDS = ("tuner", "scripted")
"""Agents that do what they are made for, and nothing that they are told."""


def agents(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="PROFILE", help="One of them alone; with --check, which one.", show_default=False),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Make one tiny real call; it may cost a cent.")] = False,
    json: options.Json = False,
) -> None:
    """Say which agents can be used, and what the others lack. With --check one does a tiny errand."""
    if check:
        _check(context.obj, name, json)
    else:
        _list(context.obj, name, json)


def _list(path: Path, name: str | None, as_json: bool) -> None:
    found = api.agents_at_hand(path, name)
    if as_json:
        say_json([{**vars(one), "usable": one.usable} for one in found])
        return
    header = ("profile", "agent", "model", "version", "signed in by", "may write at home", "")
    rows = [
        (
            one.profile,
            one.agent,
            one.model,
            one.version,
            one.signed_in,
            one.sandbox,
            "usable" if one.usable else one.problem,
        )
        for one in found
    ]
    table(header, rows, ["keep" if one.usable else "" for one in found])
    for one in found:
        if one.remedy:
            say(f"{one.profile}: {one.remedy}")
    usable = next((one.profile for one in found if one.usable and one.agent not in _WITHOUT_ERRANDS), None)
    if usable:
        say(f"\nNext: autoloop agents {usable} --check")


def _check(path: Path, name: str | None, as_json: bool) -> None:
    def show(sign: Progress) -> None:
        if sign.text and not as_json and on_terminal():
            say(f"  {sign.text}")

    checked = api.check_agent(path, name, on_progress=show)
    session = checked.session
    if as_json:
        facts = session.model_dump(mode="json", exclude={"text", "parameters", "profile"})
        say_json({"profile": checked.profile, "done": checked.done, "sandbox": checked.sandbox, **facts})
    else:
        cost = "cost unknown" if session.cost_usd is None else money(session.cost_usd)
        about = f"{duration(session.seconds)}, {cost}, sandbox {checked.sandbox}"
        if checked.done:
            say(f"{checked.profile} works: it did its errand ({about})")
        else:
            said = f"{session.failure}: {session.detail}" if session.failure else "it ended without doing its errand"
            say(f"{checked.profile} does not work: {said} ({about})")
    if not checked.done:
        raise typer.Exit(FIXABLE)
