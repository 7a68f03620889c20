"""The arguments and options that verbs share, each described once, and the limits among them."""

from pathlib import Path
from typing import Annotated

import typer

Here = Annotated[
    Path,
    typer.Option(
        "-C", metavar="REPO", help="Work there instead of in the current directory.", exists=True, file_okay=False
    ),
]
Slug = Annotated[str, typer.Argument(metavar="SLUG", help="A program: its name, or the path of its directory.")]
_RUN = "A run's id, a program's name (its latest run), or nothing for the latest run here."
Run = Annotated[str | None, typer.Argument(metavar="RUN", help=_RUN, show_default=False)]
RunOption = Annotated[str | None, typer.Option("--run", metavar="RUN", help=_RUN, show_default=False)]
ResumedRun = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="RUN", help="With --resume: which run, if not the program's latest.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]
Agent = Annotated[
    str | None,
    typer.Option(
        "--agent",
        metavar="PROFILE",
        help="The profile that proposes changes, or an agent and a model: ollama:qwen3-coder.",
        show_default=False,
    ),
]
MaxExperiments = Annotated[
    int | None, typer.Option("--max-experiments", metavar="N", help="Stop after N experiments.", show_default=False)
]
MaxHours = Annotated[
    float | None, typer.Option("--max-hours", metavar="H", help="Stop after H hours of work.", show_default=False)
]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost-usd", metavar="X", help="Stop once X US dollars are spent.", show_default=False),
]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", metavar="N", help="Stop once N tokens are spent.", show_default=False)
]
Target = Annotated[
    float | None, typer.Option("--target", metavar="X", help="Stop once the metric reaches X.", show_default=False)
]
Rule = Annotated[
    str | None,
    typer.Option("--rule", metavar="RULE", help="How a change is judged: paired or median.", show_default=False),
]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="S", help="Make the run's coin flips repeatable.", show_default=False)
]
OllamaEndpoint = Annotated[
    str | None,
    typer.Option("--ollama-endpoint", metavar="URL", help="Where Ollama answers, for this run.", show_default=False),
]
Detach = Annotated[bool, typer.Option("--detach", help="Leave the run to a background process.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show a live table; plain lines where that is no terminal.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run, or past a raised limit.")]
Notify = Annotated[
    list[str] | None,
    typer.Option(
        "--notify",
        metavar="WAY",
        help="Tell people at the end: desktop, bell, command:LINE, webhook:URL. May be repeated.",
        show_default=False,
    ),
]
NotifyEach = Annotated[bool, typer.Option("--notify-each", help="Tell of each experiment or trial as well.")]


def limits_given(
    max_experiments: int | None,
    max_hours: float | None,
    max_cost_usd: float | None,
    max_tokens: int | None,
    target: float | None,
) -> dict[str, int | float]:
    """The limits that were typed, by the names that a program gives them."""
    return {name: value for name, value in locals().items() if value is not None}
