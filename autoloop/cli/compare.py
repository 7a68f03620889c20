"""`compare` and `audit`: revisions of any tool's making, without a program, and two results of a bench.

Each answers in one sentence, a table or JSON, and an exit code.
"""

import sys
from collections.abc import Callable
from statistics import median
from typing import Annotated, Any, TypeVar

import typer

from autoloop import api
from autoloop.cli import options
from autoloop.cli.live import Watcher
from autoloop.cli.render import DONE, FIXABLE, INTERRUPTED, NOTHING_KEPT, aligned, complain, say, say_json, table
from autoloop.comparison.arena import Compared, CompareOptions
from autoloop.comparison.compare import Audit, Audited, OnCommit
from autoloop.comparison.stopwatch import Measure
from autoloop.core.evidence.comparison import Comparison, Difference, TwoSided
from autoloop.core.run.program import Direction
from autoloop.core.suite.contrast import Contrast
from autoloop.core.text import count, duration, number, odds, signed_percent
from autoloop.errors import AutoloopError
from autoloop.host.signals import Signals
from autoloop.ports import OnProgress, Progress

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
    float, typer.Option("--threshold", metavar="F", help="The smallest gain or loss to report, as a fraction.")
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
    codes = {Difference.BETTER: DONE, Difference.WORSE: WORSE, Difference.NOISE: NOTHING_KEPT}
    if not command:
        found = api.contrast_results(context.obj, a, b, alpha=alpha)
        show_contrast(found, as_json=json)
        raise typer.Exit(codes[found.verdict])
    chosen = _options(
        measure, metric, direction, max_pairs, alpha, threshold, warmup, timeout, prepare, share, env, seed
    )

    def ask(signals: Signals, on_progress: OnProgress) -> Compared:
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
    chosen = _options(
        measure, metric, direction, max_pairs, alpha, threshold, warmup, timeout, prepare, share, env, seed
    )

    def ask(signals: Signals, on_progress: OnProgress) -> Audit:
        report = commit_printer(on_progress)
        return api.audit(context.obj, span, command, chosen, signals=signals, on_progress=on_progress, on_commit=report)

    found = _followed(ask)
    show_audit(found, chosen, verbose=verbose, as_json=json)
    raise typer.Exit(_exit_code(found))


def _exit_code(found: Audit) -> int:
    if found.whole is None:
        complain(f"the branch as a whole cannot be measured: {found.failure}")
        return FIXABLE
    if found.whole.comparison.difference is Difference.WORSE:
        return WORSE
    better = found.whole.comparison.difference is Difference.BETTER and any(
        entry.compared and entry.compared.comparison.difference is Difference.BETTER for entry in found.commits
    )
    return DONE if better else NOTHING_KEPT


def _followed(ask: Callable[[Signals, OnProgress], Result]) -> Result:
    """What `ask` answers, its progress shown on standard error. A first Ctrl-C ends it: there is nothing to resume."""
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
) -> CompareOptions:
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


Facts = dict[str, Any]

_STYLES = {Difference.BETTER: "keep", Difference.WORSE: "crash", Difference.NOISE: "discard", None: "crash"}
"""What looks like it in a run."""
_SHORT = 10


def show_comparison(compared: Compared, options: CompareOptions, *, verbose: bool, as_json: bool) -> None:
    """Print the comparison of two revisions."""
    if as_json:
        say_json({**facts(compared), "alpha": options.rule.alpha, "warnings": list(compared.warnings)})
        return
    say(headline(compared))
    _details(compared, verbose)
    for warning in compared.warnings:
        complain(f"warning: {warning}")


def show_audit(found: Audit, options: CompareOptions, *, verbose: bool, as_json: bool) -> None:
    """Print the result of each commit, and of the branch as a whole."""
    if as_json:
        say_json({**_audit_facts(found), "alpha": options.rule.alpha, "warnings": list(found.warnings)})
        return
    header = ("commit", "verdict", "gain", "95 %", "evidence", "pairs", "subject")
    statuses = [_STYLES[entry.compared.comparison.difference if entry.compared else None] for entry in found.commits]
    table(header, [_row(entry) for entry in found.commits], statuses)
    for entry in found.commits:
        if entry.failure:
            say(f"{entry.commit[:_SHORT]}: {entry.failure}")
        if verbose and entry.compared:
            say(f"\n{entry.commit[:_SHORT]} {entry.subject}")
            _details(entry.compared, verbose)
    if found.whole is not None:
        say(f"\nAs a whole {headline(found.whole)}")
        _details(found.whole, verbose)
        say(f"The commits that are better or worse claim {signed_percent(found.sum_of_gains)} together.")
    for warning in found.warnings:
        complain(f"warning: {warning}")


def commit_printer(on_progress: OnProgress) -> OnCommit:
    """Prints each commit as soon as it is done: an audit may take hours."""

    def on_commit(number: int, of: int, found: Audited) -> None:
        result = found.failure if found.compared is None else headline(found.compared)
        on_progress(Progress("notice", text=f"{number} of {of}: {result}"))

    return on_commit


def headline(compared: Compared) -> str:
    """The answer in one sentence."""
    found, a, b = compared.comparison, compared.a.name, compared.b.name
    taken = f"{count(len(compared.pairs), 'pair')}, evidence {odds(found.log_evidence)}"
    match found.difference:
        case Difference.BETTER:
            return f"{b} is {_plain(found.gain)} better than {a}{_between(found, 1)}, {taken}"
        case Difference.WORSE:
            return f"{b} is {_plain(-found.gain)} worse than {a}{_between(found, -1)}, {taken}"
        case _:
            taken = count(len(compared.pairs), "pair")
            return f"{b} against {a} is noise: a gain of {_plain(found.gain)}{_between(found, 1)}, {taken}"


def facts(compared: Compared) -> Facts:
    """A comparison for programs. Gains are fractions, evidence is its natural logarithm."""
    found = compared.comparison
    return {
        "verdict": (found.difference or Difference.NOISE).value,
        "gain": found.gain,
        "low": found.low,
        "high": found.high,
        "pairs": len(compared.pairs),
        "evidence": found.log_evidence,
        "seconds": compared.seconds,
        "metric": compared.metric,
        "direction": compared.direction.value,
        "a": vars(compared.a),
        "b": vars(compared.b),
        "values": {"a": [pair.a for pair in compared.pairs], "b": [pair.b for pair in compared.pairs]},
        "gains": [pair.gain for pair in compared.pairs],
        "evidence_trace": {"better": list(found.for_gain), "worse": list(found.for_loss)},
    }


def _audit_facts(found: Audit) -> Facts:
    commits = [
        {
            "commit": entry.commit,
            "subject": entry.subject,
            "confirmed": entry.confirmed,
            **(facts(entry.compared) if entry.compared else {"verdict": "failed", "failure": entry.failure}),
        }
        for entry in found.commits
    ]
    whole = facts(found.whole) if found.whole else {"verdict": "failed", "failure": found.failure}
    return {"commits": commits, "whole": whole, "sum_of_gains": found.sum_of_gains}


def _row(entry: Audited) -> tuple[str, ...]:
    if entry.compared is None:
        return (entry.commit[:_SHORT], "failed", "", "", "", "", entry.subject)
    found = entry.compared.comparison
    bounds = (
        ""
        if found.low is None or found.high is None
        else f"{signed_percent(found.low)} to {signed_percent(found.high)}"
    )
    return (
        entry.commit[:_SHORT],
        f"{(found.difference or Difference.NOISE).value}{', confirmed' * entry.confirmed}",
        signed_percent(found.gain),
        bounds,
        odds(found.log_evidence),
        str(len(entry.compared.pairs)),
        entry.subject,
    )


def _details(compared: Compared, verbose: bool) -> None:
    a, b = (median(values) for values in zip(*((pair.a, pair.b) for pair in compared.pairs), strict=True))
    better = f"{compared.direction.value} is better"
    say(f"  {compared.metric} {number(a)} -> {number(b)} ({better}), measured in {duration(compared.seconds)}")
    if verbose:
        found = compared.comparison
        header = ("pair", "A", "B", "gain", "evidence: better", "worse")
        unknown = (0.0,) * len(compared.pairs)
        traces = zip(compared.pairs, found.for_gain or unknown, found.for_loss or unknown, strict=True)
        rows = [
            (str(number_), number(pair.a), number(pair.b), signed_percent(pair.gain), odds(better), odds(worse))
            for number_, (pair, better, worse) in enumerate(traces, 1)
        ]
        say(aligned([header, *rows]))


def _plain(fraction: float) -> str:
    return signed_percent(fraction).removeprefix("+")


def _between(found: Comparison, sign: int) -> str:
    if found.low is None or found.high is None:
        return ""
    low, high = sorted((sign * found.low, sign * found.high))
    return f" (95 %: {_plain(low)} to {_plain(high)})"


_SHOWN = 20
"""The number of tasks that are named."""


def show_contrast(found: Contrast, *, as_json: bool) -> None:
    """Print the verdict, and the tasks that it rests on."""
    if as_json:
        say_json({**found.model_dump(mode="json"), "sentence": found.sentence()})
        return
    say(found.sentence())
    for flip in found.flips[:_SHOWN]:
        more = f"{found.b_name} had more in {flip.for_b} of {flip.pairs} pairs, {found.a_name} in {flip.for_a}"
        say(f"  {flip.task}: {more}")
    if len(found.flips) > _SHOWN:
        say(f"  and {len(found.flips) - _SHOWN} more tasks that differ")
