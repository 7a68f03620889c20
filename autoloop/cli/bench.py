"""`bench`: a suite of tasks tried by one or more profiles. Parse, one call of `api`, an exit code.

Only typer and the standard library are loaded here.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from autoloop.cli import bench_options as words
from autoloop.cli import options

if TYPE_CHECKING:
    from autoloop.cli.benched import Asked

Typed = Mapping[str, Any]
"""What was typed, by the names of the options in the signature."""
_AS_TYPED = (
    "iterations", "attempts", "timeout", "max_turns", "max_hours", "max_cost_usd", "max_tokens", "max_rpm",
    "min_free_gb", "keep", "containers", "seed", "limit",
)  # fmt: skip
"""Fields of `config.json` that are what was typed."""


def bench(
    context: typer.Context,
    suite: words.Suite = None,
    suite_option: words.SuiteOption = None,
    output: words.Output = None,
    model: words.Model = None,
    arms: words.Arms = None,
    iterations: words.Iterations = None,
    attempts: words.Attempts = None,
    tasks: words.Tasks = None,
    group: words.Group = None,
    timeout: words.Timeout = None,
    max_turns: words.MaxTurns = None,
    workers: words.WorkersOption = "auto",
    max_hours: options.MaxHours = None,
    group_hours: words.GroupHours = None,
    max_cost_usd: options.MaxCost = None,
    max_tokens: options.MaxTokens = None,
    max_rpm: words.MaxRpm = None,
    min_free_gb: words.MinFree = None,
    validation_rate: words.Validation = 0.0,
    ollama_endpoint: options.OllamaEndpoint = None,
    keep: words.Keep = None,
    containers: words.Containers = None,
    seed: options.Seed = None,
    limit: words.Limit = None,
    failing_first: words.FailingFirst = None,
    reuse: words.Reuse = None,
    depends_on: words.DependsOn = None,
    env_file: words.EnvFile = None,
    resume: words.Resume = None,
    regrade: words.Regrade = False,
    no_preflight: words.NoPreflight = False,
    list_tasks: words.List = False,
    check: words.Check = False,
    watch: words.Watch = False,
    notify: options.Notify = None,
    notify_each: options.NotifyEach = False,
    json: words.Json = False,
) -> None:
    """Try a suite of tasks with one profile or several.

    Each trial has a fresh workspace in a sandbox; the tests come into it when the agent is done. Killed at any instant
    it goes on with `--resume`. Errors around a trial are tried again and never counted as failures.

    Exit codes: 0 done, 2 something you can fix, 3 --check found a task that is not as it should be, 130 interrupted.
    """
    from autoloop.cli.benched import run_bench
    from autoloop.cli.noticing import Notify

    # The signature is there for typer, which makes the help of it: what was typed stands in the context as well.
    if ollama_endpoint:
        os.environ["OLLAMA_ENDPOINT"] = ollama_endpoint
    asked = _asked(context.params, context.obj)
    raise typer.Exit(run_bench(context.obj, asked, Notify(notify, notify_each)))


def _asked(typed: Typed, place: Path) -> "Asked":
    from autoloop.cli.benched import Asked

    model = typed["model"]
    return Asked(
        suite=_only(typed["suite"], typed["suite_option"]),
        output=typed["output"],
        arms=(*(_names(typed["arms"]) or ()), *([model] if model else ())),
        validation_rate=typed["validation_rate"],
        fields=_fields(typed, place),
        failing_first=typed["failing_first"],
        env_file=typed["env_file"],
        resume=typed["resume"],
        regrade=typed["regrade"],
        asks=not typed["no_preflight"],
        check=typed["check"],
        list_tasks=typed["list_tasks"],
        watch=typed["watch"],
        json=typed["json"],
    )


def _fields(typed: Typed, place: Path) -> dict[str, Any]:
    """The fields of `config.json` that were given."""
    reuse, files = typed["reuse"], _names(typed["depends_on"])
    given = {
        **{name: typed[name] for name in _AS_TYPED},
        "tasks": _names(typed["tasks"]),
        "groups": _names(typed["group"]),
        "group_hours": _hours(typed["group_hours"]),
        "workers": _worker_number(typed["workers"]),
        "reuse": None if reuse is None else _placed(place, reuse),
        "depends_on": None if files is None else [_placed(place, Path(name)) for name in files],
    }
    return {name: value for name, value in given.items() if value is not None}


def _placed(place: Path, path: Path) -> str:
    """A path counts from the directory that was named with -C."""
    return str((place / path.expanduser()).resolve())


def _only(suite: str | None, suite_option: str | None) -> str | None:
    if suite and suite_option:
        raise typer.BadParameter(f"two suites are named: {suite} and {suite_option}", param_hint="--suite")
    return suite or suite_option


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    if names := [name.strip() for name in text.split(",") if name.strip()]:
        return names
    raise typer.BadParameter(f"a list of names, a,b, is wanted; {text!r} has none")


def _hours(text: str | None) -> dict[str, Any] | None:
    """Hours by group. What is no number of hours is refused with the other fields."""
    if text is None:
        return None
    found = {}
    for pair in _names(text) or ():
        group, sign, hours = pair.rpartition("=")
        if not sign or not group:
            raise typer.BadParameter(
                f"hours by level, L1=4,L2=1.5, are wanted, not {pair!r}", param_hint="--group-hours"
            )
        found[group.strip()] = _number(hours)
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _worker_number(text: str) -> Any:
    """A number of workers; None for `auto`. What is neither is refused with the other fields."""
    if text == "auto":
        return None
    return int(text) if text.isdecimal() else text
