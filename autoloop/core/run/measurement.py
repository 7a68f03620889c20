"""Samples and measurements: what `measure.sh` printed, read strictly.

Every doubt is a failure with its cause, never a number: a metric printed twice, NaN, a missing
field, `1,234.5`. No metric is ever 0 to mean "none".
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median
from typing import Any

from autoloop.core.model import Frozen
from autoloop.core.run.program import Criteria, Direction
from autoloop.core.run.reasons import Reason

_METRIC = re.compile(r"METRIC\s+([^\s=]+)\s*=\s*(.*)")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LARGEST = 1e300
"""Beyond this, sums and ratios of metrics would no longer be finite."""
_LINE_END = re.compile(r"\r\n|\r|\n")
_ODD = re.compile(r"[+-]?(nan|inf(inity)?)", re.IGNORECASE)


class Sample(Frozen):
    """One execution of `measure.sh` that counted."""

    metrics: dict[str, float]
    cases: dict[str, float] | None = None
    """A score from 0 to 1 for each case, when the measurement gives them."""
    cost_usd: float | None = None
    seconds: float = 0.0
    diagnostics: str = ""
    """Text that the measurement left for the next packet, clipped; never trusted."""


class MeasurementFailure(Frozen):
    """Why no sample came of a tree: a reason of a decision, not an exception."""

    reason: Reason
    detail: str
    seconds: float = 0.0
    diagnostics: str = ""
    intact: bool = True
    """Whether the tree still had the files of its commit."""


@dataclass(frozen=True)
class Measurement:
    """Several samples of one tree, spoken for by their median."""

    samples: tuple[Sample, ...]

    def value(self, field: str) -> float:
        """The median of one metric over the samples."""
        return median(sample.metrics[field] for sample in self.samples)

    def values(self, field: str) -> list[float]:
        """One metric of every sample, in the order taken."""
        return [sample.metrics[field] for sample in self.samples]

    def medians(self) -> dict[str, float]:
        """The median of every metric that all samples carry."""
        common = set.intersection(*(set(sample.metrics) for sample in self.samples))
        return {name: self.value(name) for name in self.samples[0].metrics if name in common}

    def cases(self) -> dict[str, float]:
        """The mean score of every case, worst first; empty when there are none."""
        scores: dict[str, list[float]] = {}
        for sample in self.samples:
            for case, score in (sample.cases or {}).items():
                scores.setdefault(case, []).append(score)
        means = {case: fmean(values) for case, values in scores.items()}
        return dict(sorted(means.items(), key=lambda item: (item[1], item[0])))


class Arm(StrEnum):
    """The tree that a sample was taken of."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


MEASURE = "measure.sh"
HOLDOUT = "holdout.sh"
HOLDOUT_DATA = "holdout"
"""A directory of the program that only `holdout.sh` can see."""
SCREEN = "screen.sh"


class Wanted(Frozen):
    """A sample that must be taken before anything can be decided."""

    arm: Arm
    index: int
    """Counts from 0 for each arm and script; the arms of a pair share it, and with it the seed."""
    script: str = MEASURE
    fresh: bool = False
    """Taken of a tree that was placed, prepared and built for this sample alone, without a warm-up."""


class Taken(Frozen):
    """A sample that was wanted, with its result."""

    wanted: Wanted
    result: Sample | MeasurementFailure


@dataclass(frozen=True)
class Series:
    """The samples taken so far for one question, in order."""

    taken: tuple[Taken, ...] = ()

    def of(self, arm: Arm, script: str = MEASURE) -> tuple[Sample, ...]:
        """The good samples of one arm and script; those of fresh trees are a series of their own."""
        asked = (arm, script, False)
        return tuple(
            entry.result
            for entry in self.taken
            if isinstance(entry.result, Sample) and (entry.wanted.arm, entry.wanted.script, entry.wanted.fresh) == asked
        )

    @property
    def failure(self) -> MeasurementFailure | None:
        """The first failure among the samples."""
        return next((entry.result for entry in self.taken if isinstance(entry.result, MeasurementFailure)), None)

    def without_failures(self) -> "Series":
        """The series with only its good samples."""
        return Series(tuple(entry for entry in self.taken if isinstance(entry.result, Sample)))

    def over(self, stored: Sequence[Sample]) -> "Series":
        """The series with stored samples as the baseline's first ones, as far as the candidate has come."""
        reached = stored[: len(self.of(Arm.CANDIDATE))]
        baseline = (Taken(wanted=Wanted(arm=Arm.BASELINE, index=i), result=one) for i, one in enumerate(reached))
        return Series((*baseline, *self.taken))

    def plus(self, entry: Taken) -> "Series":
        """The series with one more sample."""
        return Series((*self.taken, entry))


def relative_gain(baseline: float, candidate: float, direction: Direction, unit: float | None = None) -> float:
    """Relative improvement in the program's direction; positive is better.

    The unit is the size of the baseline, whatever its sign. A baseline of 0 is judged in `unit`
    (the original baseline's size), and in plain numbers when that is 0 as well.
    """
    better = baseline - candidate if direction is Direction.LOWER else candidate - baseline
    gain = better / (abs(baseline) or abs(unit or 0.0) or 1.0)
    return max(-_LARGEST, min(_LARGEST, gain))


def parse_output(text: str, criteria: Criteria) -> Sample | str:
    """The sample that `measure.sh` printed, or one sentence that says why there is none.

    Accepts one JSON object as the whole output or on a line of its own, and lines
    `METRIC name=number`; other lines are ignored.
    """
    try:
        found = _merged(_objects(text), known={*criteria.fields, "cases", "cost_usd"})
        metrics = {name: value for name, value in found.items() if _is_number(value)}
        for field in criteria.fields:
            _require_number(field, found)
        return Sample(metrics=metrics, cases=_cases(found.get("cases")), cost_usd=_cost(found))
    except _UnclearError as unclear:
        return str(unclear)


class _UnclearError(Exception):
    """The output has no single, finite reading."""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as printed, repeated names included."""


def _objects(text: str) -> list[_Pairs]:
    whole = _json_object(text)
    if whole is not None:
        return [whole]
    found = []
    for line in map(str.strip, _LINE_END.split(text)):
        if line.startswith("{") and (pairs := _json_object(line)) is not None:
            found.append(pairs)
        elif metric := _METRIC.fullmatch(line):
            found.append(_Pairs([(metric[1], _plain_number(metric[2].strip()))]))
    return found


def _json_object(text: str) -> _Pairs | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        pairs = json.loads(text, object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        return None
    return pairs if isinstance(pairs, _Pairs) else None


def _pairs(pairs: list[tuple[str, Any]]) -> _Pairs:
    """The pairs under names that can be written down: JSON may escape half of a character."""
    return _Pairs((name.encode(errors="replace").decode(), value) for name, value in pairs)


def _plain_number(text: str) -> float | str:
    return float(text) if _NUMBER.fullmatch(text) or _ODD.fullmatch(text) else text


def _merged(objects: Iterable[_Pairs], known: set[str]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name, value in (pair for pairs in objects for pair in pairs):
        if name in merged and name in known:
            raise _UnclearError(f"`{name}` was printed twice, so it is ambiguous")
        merged[name] = value
    return merged


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _require_number(field: str, found: Mapping[str, Any]) -> None:
    if field not in found:
        printed = ", ".join(list(found)[:8]) or "no metric at all"
        raise _UnclearError(f"`{field}` is missing from the output, which has {printed}")
    if not _is_number(found[field]):
        raise _UnclearError(f"`{field}` is {str(found[field])[:60]!r}, not a finite number")


def _cases(value: object) -> dict[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, _Pairs):
        raise _UnclearError("`cases` must be an object {id: number from 0 to 1}")
    cases: dict[str, float] = {}
    for case, score in value:
        if case in cases:
            raise _UnclearError(f"the case {case!r} was printed twice, so it is ambiguous")
        if not _is_number(score) or not 0 <= score <= 1:
            raise _UnclearError(f"the case {case!r} is {str(score)[:60]!r}, not a number from 0 to 1")
        cases[case] = float(score)
    return cases


def _cost(found: Mapping[str, Any]) -> float | None:
    cost = found.get("cost_usd")
    return float(cost) if _is_number(cost) and cost is not None and cost >= 0 else None
