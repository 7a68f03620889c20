"""`compare` and `audit`: revisions of any tool's making, without a program. Parse, one call of `api`, an exit code.

Only typer and the standard library are loaded here.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from autoloop.cli import DONE, FIXABLE, INTERRUPTED, NOTHING_KEPT, options

if TYPE_CHECKING:
    from autoloop.arena import Compared, CompareOptions
    from autoloop.auditing import Audit
    from autoloop.ports import OnProgress
    from autoloop.steering import Signals

WORSE = 1
"""The exit code for a loss, as tools of comparison have it."""

Result = TypeVar("Result")
_WORDS = "After `--`: words that are executed, or one line for the shell."
Command = Annotated[list[str], typer.Argument(metavar="COMMAND", help=_WORDS)]
MaybeCommand = Annotated[list[str] | None, typer.Argument(metavar="COMMAND", help=_WORDS, show_default=False)]
MeasureOption = Annotated[
    str,
    typer.Option("--measure", metavar="WHAT", help="wall or cpu (seconds), or output: a metric that is printed."),
]
Metric = Annotated[
    str | None,
    typer.Option("--metric", metavar="NAME", help="With output: which of the printed metrics.", show_default=False),
]
DirectionOption = Annotated[
    str, typer.Option("--direction", metavar="WAY", help="With output: which way is better, lower or higher.")
]
MaxPairs = Annotated[int, typer.Option("--max-pairs", metavar="N", min=1, help="Give up after N pairs.")]
Alpha = Annotated[
    float, typer.Option("--alpha", metavar="P", help="The probability of calling no difference better or worse.")
]
Threshold = Annotated[
    float, typer.Option("--threshold", metavar="F", help="The smallest gain or loss worth a word, as a fraction.")
]
Warmup = Annotated[int, typer.Option("--warmup", metavar="N", min=0, help="Executions in each tree to throw away.")]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="S", min=0.001, help="Seconds for one execution.", show_default=False),
]
Prepare = Annotated[
    str | None,
    typer.Option("--prepare", metavar="LINE", help="A line for the shell, once in each tree.", show_default=False),
]
Share = Annotated[
    list[str] | None,
    typer.Option("--share", metavar="PATH", help="A path of the checkout that the trees see.", show_default=False),
]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="NAME", help="A variable that the command may see.", show_default=False),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print every pair.")]


def compare(
    context: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="What to compare with: any revision, or results of a bench.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The revision in question, or the results.")],
    command: MaybeCommand = None,
    measure: MeasureOption = "wall",
    metric: Metric = None,
    direction: DirectionOption = "lower",
    max_pairs: MaxPairs = 16,
    alpha: Alpha = 0.02,
    threshold: Threshold = 0.0,
    warmup: Warmup = 1,
    timeout: Timeout = None,
    prepare: Prepare = None,
    share: Share = None,
    env: Env = None,
    seed: options.Seed = None,
    verbose: Verbose = False,
    json: options.Json = False,
) -> None:
    """Compare revisions or results: better, worse or noise.

    One command decides, without a program. Both revisions stand in trees of their own; your checkout is not touched.
    They are measured in pairs, side by side, until the evidence suffices. Without a command A and B are results of a
    bench, DIRECTORY[:ARM][#ITERATION], and paired task by task.

    Exit codes: 0 better, 1 worse, 2 something you can fix, 3 noise, 130 interrupted.
    """
    from autoloop import api
    from autoloop.cli.compared import show_comparison
    from autoloop.core.comparison import Difference

    codes = {Difference.BETTER: DONE, Difference.WORSE: WORSE, Difference.NOISE: NOTHING_KEPT}
    if not command:
        from autoloop.cli.contrasted import show_contrast

        found = api.contrast_results(context.obj, a, b, alpha=alpha)
        show_contrast(found, as_json=json)
        raise typer.Exit(codes[found.verdict])
    chosen = _options(
        measure, metric, direction, max_pairs, alpha, threshold, warmup, timeout, prepare, share, env, seed
    )

    def ask(signals: "Signals", on_progress: "OnProgress") -> "Compared":
        return api.compare(context.obj, a, b, command, chosen, signals=signals, on_progress=on_progress)

    compared = _followed(ask)
    show_comparison(compared, chosen, verbose=verbose, as_json=json)
    raise typer.Exit(codes[compared.comparison.difference or Difference.NOISE])


def audit(
    context: typer.Context,
    span: Annotated[str, typer.Argument(metavar="BASE..BRANCH", help="The commits in question.")],
    command: Command,
    measure: MeasureOption = "wall",
    metric: Metric = None,
    direction: DirectionOption = "lower",
    max_pairs: MaxPairs = 16,
    alpha: Alpha = 0.02,
    threshold: Threshold = 0.0,
    warmup: Warmup = 1,
    timeout: Timeout = None,
    prepare: Prepare = None,
    share: Share = None,
    env: Env = None,
    seed: options.Seed = None,
    verbose: Verbose = False,
    json: options.Json = False,
) -> None:
    """Say which commits of a branch are real gains.

    For the kept experiments of any tool. Each commit is compared with its first parent, oldest first, then the branch
    as a whole with where it began. A commit in which the command fails is named, and the others are judged.

    Exit codes: 0 the whole is better and so is a commit, 1 the whole is worse, 2 something you can fix, 3 neither,
    130 interrupted.
    """
    from autoloop import api
    from autoloop.cli.compared import show_audit, telling

    chosen = _options(
        measure, metric, direction, max_pairs, alpha, threshold, warmup, timeout, prepare, share, env, seed
    )

    def ask(signals: "Signals", on_progress: "OnProgress") -> "Audit":
        told = telling(on_progress)
        return api.audit(context.obj, span, command, chosen, signals=signals, on_progress=on_progress, on_commit=told)

    found = _followed(ask)
    show_audit(found, chosen, verbose=verbose, as_json=json)
    raise typer.Exit(_exit_code(found))


def _exit_code(found: "Audit") -> int:
    from autoloop.cli.render import complain
    from autoloop.core.comparison import Difference

    if found.whole is None:
        complain(f"the branch as a whole cannot be measured: {found.failure}")
        return FIXABLE
    if found.whole.comparison.difference is Difference.WORSE:
        return WORSE
    better = found.whole.comparison.difference is Difference.BETTER and any(
        entry.compared and entry.compared.comparison.difference is Difference.BETTER for entry in found.commits
    )
    return DONE if better else NOTHING_KEPT


def _followed(ask: "Callable[[Signals, OnProgress], Result]") -> Result:
    """What `ask` answers, its progress shown on standard error. A first Ctrl-C ends it: there is nothing to resume."""
    from autoloop.cli.live import Watcher
    from autoloop.cli.render import complain
    from autoloop.errors import AutoloopError
    from autoloop.steering import Signals

    signals = Signals()
    try:
        with Watcher(sys.stderr) as watcher:
            signals.install()
            return ask(signals, watcher.on_progress)
    except AutoloopError as error:
        if signals.received is None:
            raise
        complain(f"interrupted: {error.message}")
        raise typer.Exit(INTERRUPTED) from error


def _options(
    measure: str,
    metric: str | None,
    direction: str,
    max_pairs: int,
    alpha: float,
    threshold: float,
    warmup: int,
    timeout: float | None,
    prepare: str | None,
    share: list[str] | None,
    env: list[str] | None,
    seed: int | None,
) -> "CompareOptions":
    from autoloop.arena import CompareOptions
    from autoloop.core.comparison import TwoSided
    from autoloop.core.program import Direction
    from autoloop.stopwatch import Measure

    return CompareOptions(
        measure=Measure(_one_of("--measure", measure, [kind.value for kind in Measure])),
        metric=metric,
        direction=Direction(_one_of("--direction", direction, [way.value for way in Direction])),
        rule=TwoSided(threshold, alpha, max_pairs),
        warmup=warmup,
        timeout=timeout,
        prepare=prepare,
        share=tuple(share or ()),
        env=tuple(env or ()),
        seed=seed,
    )


def _one_of(flag: str, value: str, allowed: list[str]) -> str:
    if value not in allowed:
        raise typer.BadParameter(f"{flag} is {value!r}; allowed: {', '.join(allowed)}")
    return value
