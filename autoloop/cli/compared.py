"""How a comparison and an audit look: one sentence, a table, JSON."""

import math
from statistics import median
from typing import TYPE_CHECKING, Any

from autoloop.cli.render import aligned, complain, count, duration, number, percent, say, say_json, table
from autoloop.core.comparison import Comparison, Difference
from autoloop.ports import OnProgress, Progress

if TYPE_CHECKING:
    from autoloop.arena import Compared, CompareOptions
    from autoloop.auditing import Audit, Audited, OnCommit

Facts = dict[str, Any]

_STYLES = {Difference.BETTER: "keep", Difference.WORSE: "crash", Difference.NOISE: "discard", None: "crash"}
"""What looks like it in a run."""
_SHORT = 10
_FORGOTTEN = 700.0
"""Beyond the exponent of this, odds are no numbers any more."""


def show_comparison(compared: "Compared", options: "CompareOptions", *, verbose: bool, as_json: bool) -> None:
    """Print what two revisions are to each other."""
    if as_json:
        say_json({**facts(compared), "alpha": options.rule.alpha, "warnings": list(compared.warnings)})
        return
    say(headline(compared))
    _details(compared, verbose)
    for warning in compared.warnings:
        complain(f"warning: {warning}")


def show_audit(found: "Audit", options: "CompareOptions", *, verbose: bool, as_json: bool) -> None:
    """Print what became of each commit, and of them all."""
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
        say(f"The commits that are better or worse claim {percent(found.sum_of_gains)} together.")
    for warning in found.warnings:
        complain(f"warning: {warning}")


def telling(on_progress: OnProgress) -> "OnCommit":
    """Tells of each commit as soon as it is done: an audit may take hours."""

    def told(number: int, of: int, found: "Audited") -> None:
        said = found.failure if found.compared is None else headline(found.compared)
        on_progress(Progress("notice", text=f"{number} of {of}: {said}"))

    return told


def headline(compared: "Compared") -> str:
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


def odds(log_evidence: float) -> str:
    """Evidence as betting odds."""
    value = math.exp(min(abs(log_evidence), _FORGOTTEN))
    text = f"{value:.0f}" if value < 1e6 else f"{value:.0e}"
    return f"{text} : 1" if log_evidence >= 0 else f"1 : {text}"


def facts(compared: "Compared") -> Facts:
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


def _audit_facts(found: "Audit") -> Facts:
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


def _row(entry: "Audited") -> tuple[str, ...]:
    if entry.compared is None:
        return (entry.commit[:_SHORT], "failed", "", "", "", "", entry.subject)
    found = entry.compared.comparison
    bounds = "" if found.low is None or found.high is None else f"{percent(found.low)} to {percent(found.high)}"
    return (
        entry.commit[:_SHORT],
        f"{(found.difference or Difference.NOISE).value}{', confirmed' * entry.confirmed}",
        percent(found.gain),
        bounds,
        odds(found.log_evidence),
        str(len(entry.compared.pairs)),
        entry.subject,
    )


def _details(compared: "Compared", verbose: bool) -> None:
    a, b = (median(values) for values in zip(*((pair.a, pair.b) for pair in compared.pairs), strict=True))
    better = f"{compared.direction.value} is better"
    say(f"  {compared.metric} {number(a)} -> {number(b)} ({better}), measured in {duration(compared.seconds)}")
    if verbose:
        found = compared.comparison
        header = ("pair", "A", "B", "gain", "evidence: better", "worse")
        unknown = (0.0,) * len(compared.pairs)
        traces = zip(compared.pairs, found.for_gain or unknown, found.for_loss or unknown, strict=True)
        rows = [
            (str(number_), number(pair.a), number(pair.b), percent(pair.gain), odds(better), odds(worse))
            for number_, (pair, better, worse) in enumerate(traces, 1)
        ]
        say(aligned([header, *rows]))


def _plain(fraction: float) -> str:
    return percent(fraction).removeprefix("+")


def _between(found: Comparison, sign: int) -> str:
    if found.low is None or found.high is None:
        return ""
    low, high = sorted((sign * found.low, sign * found.high))
    return f" (95 %: {_plain(low)} to {_plain(high)})"
