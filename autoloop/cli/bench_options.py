"""The options of `bench`, as its signature names them."""

from pathlib import Path
from typing import Annotated

import typer

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
