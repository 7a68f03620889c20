"""`bench`: a suite of tasks tried by one or more profiles. Parse, one call of `api`, an exit code.

Only typer and the standard library are loaded here.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from autoloop.cli import options

Suite = Annotated[
    str | None,
    typer.Argument(
        metavar="SUITE", help="A directory of tasks, or a JSON file; a class of your own.", show_default=False
    ),
]
SuiteOption = Annotated[str | None, typer.Option("--suite", "-s", metavar="SUITE", help="The same.", hidden=True)]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Where results go, if not ./results/YYYYMMDD.", show_default=False
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="PROFILE",
        help="A profile, or an agent and a model: claude-code, ollama:qwen3-coder.",
        show_default=False,
    ),
]
Arms = Annotated[
    str | None,
    typer.Option("--arms", metavar="A,B", help="Several profiles, side by side on the same tasks.", show_default=False),
]
Iterations = Annotated[
    int | None,
    typer.Option("--iterations", "-i", metavar="N", help="Passes over the suite.  [default: 10]", show_default=False),
]
Attempts = Annotated[
    int | None,
    typer.Option("--attempts", metavar="N", help="Trials of each task in a pass.  [default: 1]", show_default=False),
]
Tasks = Annotated[
    str | None, typer.Option("--tasks", "-t", metavar="A,B", help="Only these tasks.", show_default=False)
]
Group = Annotated[
    str | None, typer.Option("--group", metavar="A,B", help="Only these levels or categories.", show_default=False)
]
GroupHours = Annotated[
    str | None,
    typer.Option(
        "--group-hours",
        metavar="A=H,B=H",
        help="Hours of work for a level or category; the others go on when they are used up.",
        show_default=False,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="S", help="Seconds for an agent; a task's own win.  [default: 3600]", show_default=False
    ),
]
MaxTurns = Annotated[
    int | None,
    typer.Option(
        "--max-turns",
        metavar="N",
        help="Answers of the model; a task's own limit wins.  [default: 300]",
        show_default=False,
    ),
]
WorkersOption = Annotated[
    str, typer.Option("--workers", metavar="N|auto", help="Trials side by side; auto by cores and free memory.")
]
Validation = Annotated[
    float,
    typer.Option(
        "--claude-validation-rate", metavar="F", min=0, max=1, help="Share of the tasks that claude-code tries as well."
    ),
]
MaxRpm = Annotated[
    float | None,
    typer.Option("--max-rpm", metavar="N", help="Calls of models a minute, all workers together.", show_default=False),
]
MinFree = Annotated[
    float | None,
    typer.Option("--min-free-gb", metavar="G", help="Stop below so much free disk.  [default: 5]", show_default=False),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        "--resume", metavar="STATE", help="Go on with a bench: its directory or state.json.", show_default=False
    ),
]
EnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="FILE", help="Variables that the environment lacks.", show_default=False),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", min=1, help="At most so many tasks: a minibatch, drawn by the seed.", show_default=False
    ),
]
FailingFirst = Annotated[
    Path | None,
    typer.Option(
        "--failing-first",
        metavar="FROM",
        help="Tasks that did not pass come first: an earlier bench, or scores as JSON.",
        show_default=False,
    ),
]
Reuse = Annotated[
    Path | None,
    typer.Option("--reuse", metavar="DIR", help="Results that benches share: no trial twice.", show_default=False),
]
DependsOn = Annotated[
    str | None,
    typer.Option(
        "--depends-on",
        metavar="A,B",
        help="With --reuse: files that results depend on, beside task and profile.",
        show_default=False,
    ),
]
Containers = Annotated[
    str | None,
    typer.Option(
        "--containers",
        metavar="WHEN",
        help="Tasks that have a container use it: needed, always or never.  [default: needed]",
        show_default=False,
    ),
]
Keep = Annotated[
    str | None,
    typer.Option(
        "--keep",
        metavar="WHICH",
        help="Workspaces to keep: failed, all or none.  [default: failed]",
        show_default=False,
    ),
]
NoPreflight = Annotated[bool, typer.Option("--no-preflight", help="Do not ask whether the models answer first.")]
Watch = Annotated[bool, typer.Option("--watch", help="A live table, once a second.")]
List = Annotated[bool, typer.Option("--list", help="List the tasks, and run nothing.")]
Check = Annotated[bool, typer.Option("--check", help="Test the suite itself: solutions pass, doing nothing does not.")]
Regrade = Annotated[bool, typer.Option("--regrade", help="With --resume: verify kept workspaces once more.")]
Json = Annotated[bool, typer.Option("--json", help="End with one line of metrics: what a measure.sh prints.")]


def bench(
    context: typer.Context,
    suite: Suite = None,
    suite_option: SuiteOption = None,
    output: Output = None,
    model: Model = None,
    arms: Arms = None,
    iterations: Iterations = None,
    attempts: Attempts = None,
    tasks: Tasks = None,
    group: Group = None,
    timeout: Timeout = None,
    max_turns: MaxTurns = None,
    workers: WorkersOption = "auto",
    max_hours: options.MaxHours = None,
    group_hours: GroupHours = None,
    max_cost_usd: options.MaxCost = None,
    max_tokens: options.MaxTokens = None,
    max_rpm: MaxRpm = None,
    min_free_gb: MinFree = None,
    validation_rate: Validation = 0.0,
    ollama_endpoint: options.OllamaEndpoint = None,
    keep: Keep = None,
    containers: Containers = None,
    seed: options.Seed = None,
    limit: Limit = None,
    failing_first: FailingFirst = None,
    reuse: Reuse = None,
    depends_on: DependsOn = None,
    env_file: EnvFile = None,
    resume: Resume = None,
    regrade: Regrade = False,
    no_preflight: NoPreflight = False,
    list_tasks: List = False,
    check: Check = False,
    watch: Watch = False,
    notify: options.Notify = None,
    notify_each: options.NotifyEach = False,
    json: Json = False,
) -> None:
    """Try a suite of tasks with one profile or several.

    Each trial has a fresh workspace in a sandbox; the tests come into it when the agent is done. Killed at any instant
    it goes on with `--resume`. Errors around a trial are tried again and never counted as failures.

    Exit codes: 0 done, 2 something you can fix, 3 --check found a task that is not as it should be, 130 interrupted.
    """
    from autoloop.cli.benched import Asked, run_bench
    from autoloop.cli.noticing import Notify

    given = {
        "iterations": iterations,
        "attempts": attempts,
        "tasks": _names(tasks),
        "groups": _names(group),
        "timeout": timeout,
        "max_turns": max_turns,
        "workers": _worker_number(workers),
        "max_hours": max_hours,
        "group_hours": _hours(group_hours),
        "max_cost_usd": max_cost_usd,
        "max_tokens": max_tokens,
        "max_rpm": max_rpm,
        "min_free_gb": min_free_gb,
        "keep": keep,
        "containers": containers,
        "seed": seed,
        "limit": limit,
        "reuse": None if reuse is None else _placed(context, reuse),
        "depends_on": None
        if depends_on is None
        else [_placed(context, Path(name)) for name in _names(depends_on) or ()],
    }
    if ollama_endpoint:
        os.environ["OLLAMA_ENDPOINT"] = ollama_endpoint
    asked = Asked(
        suite=_only(suite, suite_option),
        output=output,
        arms=(*(_names(arms) or ()), *([model] if model else ())),
        validation_rate=validation_rate,
        fields={name: value for name, value in given.items() if value is not None},
        failing_first=failing_first,
        env_file=env_file,
        resume=resume,
        regrade=regrade,
        asks=not no_preflight,
        check=check,
        list_tasks=list_tasks,
        watch=watch,
        json=json,
    )
    raise typer.Exit(run_bench(context.obj, asked, Notify(notify, notify_each)))


def _placed(context: typer.Context, path: Path) -> str:
    """A path counts from the directory that was named with -C."""
    return str((context.obj / path.expanduser()).resolve())


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
