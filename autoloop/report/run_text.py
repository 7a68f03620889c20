"""A run in sentences: the claim at the top, and what to do next. All of it follows from the data."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from autoloop.core.run.flags import signs_of
from autoloop.core.run.program import Rule
from autoloop.core.run.reasons import Status
from autoloop.core.run.summary import diagnose
from autoloop.core.text import count, how_to_go_on, listed, number, percent, signed_percent
from autoloop.report.run_material import RunMaterial

_MANY_CRASHES = 0.2
_MUCH_IDLE = 0.25
_TRIED_NEXT = 3


@dataclass(frozen=True)
class Headline:
    """The claim of a report in one line, and what it rests on."""

    claim: str
    detail: str = ""


@dataclass(frozen=True)
class NextStep:
    """A recommendation, and the command for it where there is one."""

    text: str
    command: str = ""


def headline(material: RunMaterial) -> Headline:
    """The claim, no larger than what was measured."""
    summary = material.summary
    found, field = summary.verified, summary.metric_field
    if not summary.kept:
        tried = f"in {count(summary.experiments, 'experiment')}" if summary.experiments else "yet"
        return Headline(f"Nothing was kept {tried}", _noise(material))
    if found is None or found.gain is None:
        problems = f": {'; '.join(found.problems)}" if found and found.problems else ""
        return Headline(f"{field}: the keeps claim {better(summary.gain)}", f"Not measured afresh{problems}.")
    between = "" if found.low is None else f", 95 %: {signed_percent(found.low)} to {signed_percent(found.high)}"
    detail = f"Original against head in {count(len(found.pairs), 'fresh pair')}{between}."
    detail += "" if found.claimed is None else f" The keeps claim {signed_percent(found.claimed)}."
    detail += "".join(f" Problem: {problem}." for problem in found.problems)
    if found.low is None or found.low > 0:
        return Headline(f"{field}: {better(found.gain)}, measured afresh", detail)
    return Headline(f"{field}: {better(found.gain)} measured afresh, which may be noise", detail)


def better(gain: float | None) -> str:
    """A gain in words: `3.1 % better`."""
    if not gain:
        return "no change"
    return f"{signed_percent(abs(gain)).lstrip('+')} {'better' if gain > 0 else 'worse'}"


def _noise(material: RunMaterial) -> str:
    noise = material.state.noise
    if noise is None:
        return "The baseline was not measured."
    threshold = f" Gains below {percent(noise.threshold, '.2g')} are not kept." if noise.threshold else ""
    spread = "" if noise.spread is None else f"One sample varies by {percent(noise.spread, '.2g')}."
    return f"{spread}{threshold}".strip()


def how_it_stands(material: RunMaterial) -> str:
    """Whether the run is running, was killed, or why it ended."""
    summary = material.summary
    if material.alive:
        return f"running: {summary.phase}, experiment {summary.experiment}"
    if summary.stop_reason is None:
        return "unfinished: its process was killed"
    return f"ended: {summary.stop_reason}" + (f" ({summary.detail})" if summary.detail else "")


def next_steps(material: RunMaterial) -> list[NextStep]:
    """Recommendations to a person, the most urgent first."""
    return [*_before_merging(material), *_merging(material), *_going_on(material), *_findings(material)]


def _before_merging(material: RunMaterial) -> Iterator[NextStep]:
    summary, run = material.summary, material.summary.run_id
    signs = {one.number: signs_of(one.row.flags) for one in material.keeps}
    for flagged in summary.flagged[:3]:
        why = f"Look at experiment {flagged} before you merge: it is flagged ({signs.get(flagged, '')})."
        yield NextStep(why, f"autoloop show {flagged} {run}")
    if summary.ruled_out:
        keeps = count(summary.ruled_out, "keep")
        yield NextStep(f"Later pairs ruled out {keeps}, which the branch still holds.", f"autoloop results {run}")
    if summary.kept and summary.verified is None and not material.alive:
        yield NextStep(
            "Measure the gain afresh: what is claimed was also what was chosen by.", f"autoloop verify {run}"
        )


def _merging(material: RunMaterial) -> Iterator[NextStep]:
    summary = material.summary
    if summary.kept:
        yield NextStep("See what a merge brings.", f"git diff {summary.start[:12]}...{summary.branch}")
        yield NextStep("Take what was kept.", f"git merge {summary.branch}")


def _going_on(material: RunMaterial) -> Iterator[NextStep]:
    summary = material.summary
    if material.alive:
        yield NextStep("It is still running.", f"autoloop status {summary.run_id}")
    elif command := how_to_go_on(summary.program, summary.run_id, summary.stop_reason):
        yield NextStep("It can go on from here.", command)


def _findings(material: RunMaterial) -> Iterator[NextStep]:
    """What the experiments say about the program, the agent and the measurement."""
    summary, experiments = material.summary, material.experiments
    yield from (NextStep(f"{sentence[0].upper()}{sentence[1:]}.") for sentence in diagnose(material.state))
    crashes = Counter(one.row.reason for one in experiments if one.row.status is Status.CRASH)
    if summary.kept and crashes.total() > _MANY_CRASHES * len(experiments):
        named = listed([f"{times} {reason}" for reason, times in crashes.most_common()])
        yield NextStep(f"{crashes.total()} of {len(experiments)} experiments came to no measurement: {named}.")
    spent = sum(one.row.seconds or 0.0 for one in experiments)
    other = sum(one.other_seconds for one in experiments)
    if experiments and spent > 60 and other > _MUCH_IDLE * spent:
        yield NextStep(
            f"{percent(other / spent, '.0f')} of the time went to neither agent nor samples: builds, checks, warm-up."
        )
    ideas = material.state.backlog.next
    if ideas and not material.alive:
        yield NextStep(f"Not tried yet: {'; '.join(reversed(ideas[-_TRIED_NEXT:]))}.")


def facts(material: RunMaterial) -> list[tuple[str, str]]:
    """The table of figures at the top of the report."""
    summary = material.summary
    known = [
        ("state", how_it_stands(material)),
        (
            "experiments",
            f"{summary.experiments}: {summary.kept} kept, {summary.discarded} discarded, {summary.crashed} crashed",
        ),
        ("metric", _metric(material)),
        ("keeps", _keeps(material)),
        ("rule", _rule(material)),
        ("agent", material.agent),
        ("sandbox", summary.sandbox),
        ("branch", f"{summary.branch} at {summary.head[:12]}" if summary.kept else ""),
        ("began at", summary.start[:12]),
    ]
    return [(name, text) for name, text in known if text]


def _metric(material: RunMaterial) -> str:
    summary, reached = material.summary, material.state.reached
    if summary.original_baseline is None:
        return f"{summary.metric_field}, not measured; {summary.direction} is better"
    moved = f" to {number(reached)}" if summary.kept else ""
    target = f"; target {number(summary.target)}" if summary.target is not None else ""
    return (
        f"{summary.metric_field} from {number(summary.original_baseline)}{moved}; {summary.direction} is better{target}"
    )


def _keeps(material: RunMaterial) -> str:
    summary = material.summary
    if not summary.kept or summary.confirmed is None:
        return ""
    ruled_out = f", {summary.ruled_out} ruled out" if summary.ruled_out else ""
    return f"{summary.confirmed} confirmed, {summary.provisional} provisional{ruled_out}"


def _rule(material: RunMaterial) -> str:
    criteria = material.program.criteria
    if criteria.rule is Rule.PAIRED:
        return f"paired: a keep needs {1 / criteria.alpha:.0f} : 1, at most {criteria.max_pairs} pairs"
    threshold = material.summary.noise_threshold
    needed = "" if threshold is None else f" beyond {percent(threshold, '.2g')}"
    return f"median of {criteria.repeats}{needed}"


def bound(material: RunMaterial) -> float:
    """The log evidence that a keep needs."""
    return math.log(1 / material.program.criteria.alpha)
