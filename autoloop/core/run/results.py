"""Rows of results, one an experiment, row 0 the baseline, in the columns of `results.tsv`; with counts and costs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from autoloop.core.model import Frozen
from autoloop.core.run.flags import Flag, signs_of
from autoloop.core.run.notes import one_line
from autoloop.core.run.program import Criteria
from autoloop.core.run.reasons import Reason, Status
from autoloop.core.run.verdict import Decision, Record
from autoloop.core.text import sum_known

COLUMNS = (
    "experiment",
    "commit",
    "status",
    "reason",
    "metric",
    "baseline",
    "gain",
    "evidence",
    "samples",
    "seconds",
    "cost_usd",
    "lines_added",
    "lines_removed",
    "description",
    "secondary",
)
HEADER = "\t".join(COLUMNS) + "\n"


class Row(Frozen):
    """One experiment as people see it. An unknown number is None and an empty cell."""

    experiment: int
    commit: str = ""
    status: Status
    reason: str = ""
    metric: float | None = None
    baseline: float | None = None
    gain: float | None = None
    evidence: float | None = None
    samples: int = 0
    seconds: float | None = None
    cost_usd: float | None = None
    lines_added: int | None = None
    lines_removed: int | None = None
    description: str = ""
    secondary: dict[str, float] = {}
    why: str = ""
    """One sentence; shown by `show`, the packet and the tables, not a column of the file."""
    confidence: str = ""
    """What the whole night says of a keep: confirmed, provisional or ruled out; not a column of the file."""
    flags: tuple[Flag, ...] = ()
    """Signs of gaming. In the file their names stand before the description."""

    def cells(self) -> dict[str, object]:
        """The columns and their values."""
        values = self.model_dump(mode="json", include=set(COLUMNS))
        return {column: values[column] for column in COLUMNS}

    def facts(self) -> dict[str, object]:
        """The columns, and the flags in full: what `results --json` gives."""
        return {**self.cells(), "flags": [flag.model_dump(mode="json") for flag in self.flags]}

    def to_tsv(self) -> str:
        """One line of `results.tsv`: tabs and line breaks inside a value become spaces."""
        said = f"[{signs_of(self.flags)}] {self.description}" if self.flags else self.description
        return "\t".join(map(_cell, {**self.cells(), "description": said}.values())) + "\n"


def baseline_row(record: Record, criteria: Criteria, *, samples: int, seconds: float) -> Row:
    """Row 0 of the results: the baseline's measurement."""
    metric = record.metrics[criteria.metric_field]
    return Row(
        experiment=0,
        commit=record.commit,
        status=Status.BASELINE,
        metric=metric,
        baseline=metric,
        samples=samples,
        seconds=seconds,
        description="the code as it was",
        secondary=secondary_of(record.metrics, criteria),
    )


def secondary_of(metrics: Mapping[str, float], criteria: Criteria) -> dict[str, float]:
    """The metrics of gates and the secondary metrics, in the order of the program."""
    names = (*criteria.quality_gates, *criteria.secondary_metrics)
    return {name: metrics[name] for name in names if name in metrics}


def decided_fields(decision: Decision, criteria: Criteria) -> dict[str, object]:
    """The columns that a decision fills."""
    return {
        "status": decision.reason.status,
        "reason": decision.reason.value,
        "metric": decision.metric,
        "baseline": decision.baseline,
        "gain": decision.gain,
        "evidence": decision.evidence,
        "samples": decision.samples,
        "secondary": secondary_of(decision.metrics, criteria),
        "why": decision.why,
        "flags": decision.flags,
    }


def _cell(value: object) -> str:
    if value is None or value == {}:
        return ""
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, dict):
        return one_line(json.dumps(value, sort_keys=True), longest=2000)
    return one_line(value, longest=500)


@dataclass(frozen=True)
class Totals:
    """Counts and costs of a run. A sum of costs leaves out what is unknown, and says how often that was."""

    experiments: int = 0
    kept: int = 0
    discarded: int = 0
    crashed: int = 0
    cost_usd: float | None = None
    unknown_costs: int = 0
    tokens: int | None = None
    by_reason: dict[str, int] = field(default_factory=dict)

    def plus(self, reason: Reason) -> "Totals":
        """The counts with one more experiment."""
        status = reason.status
        return replace(
            self,
            experiments=self.experiments + 1,
            kept=self.kept + (status is Status.KEEP),
            discarded=self.discarded + (status is Status.DISCARD),
            crashed=self.crashed + (status is Status.CRASH),
            by_reason={**self.by_reason, reason: self.by_reason.get(reason, 0) + 1},
        )

    def charged(self, cost_usd: float | None, tokens: int | None = None, *, unknown: bool = False) -> "Totals":
        """The sums with one more cost; None adds nothing."""
        if cost_usd is None and tokens is None and not unknown:
            return self
        return replace(
            self,
            cost_usd=sum_known(self.cost_usd, cost_usd),
            tokens=sum_known(self.tokens, tokens),
            unknown_costs=self.unknown_costs + unknown,
        )
