"""Two trees, and a command that is measured in them: takes the pairs that `core.evidence.comparison` judges.

A coin decides which tree holds A, so no tree is favoured on average; and before B is placed, A is measured in both.
That tells how much pairs vary by themselves, and shows a command that measures its directory: then a warning is said
and nothing is refused. The trees do not change places half-way: what a build wrote down may hold its own path, and a
new build for every pair would cost more than it tells. `prepare` therefore runs once for A in each tree, and for B.
"""

import time
from dataclasses import dataclass, field

from autoloop.comparison.stopwatch import CommandFailed, Measure, Reading, Stopwatch
from autoloop.core.evidence.comparison import CALIBRATION_PAIRS, Comparison, TwoSided, compare_cases, compare_gains
from autoloop.core.evidence.noise import NoisePool, Scale
from autoloop.core.run.calibration import bias
from autoloop.core.run.program import Direction
from autoloop.core.seeds import coin, seed_for
from autoloop.core.text import percent
from autoloop.git.git_trees import GitTrees
from autoloop.ports import OnProgress, Progress


@dataclass(frozen=True)
class CompareOptions:
    """The options of a comparison: what is measured, by which rule, in what trees."""

    measure: Measure = Measure.WALL
    metric: str | None = None
    """With `output`: which of the printed metrics; needed when there are several."""
    direction: Direction = Direction.LOWER
    """With `output`: which way is better. Cases are better when they pass."""
    rule: TwoSided = field(default_factory=TwoSided)
    warmup: int = 1
    """The number of executions after placing a revision that are thrown away."""
    timeout: float | None = None
    """Seconds for one execution of the command."""
    prepare: str | None = None
    """A command for the shell, once in each tree before its first measurement."""
    share: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True)
class Revision:
    """A commit, and what the user calls it."""

    name: str
    commit: str


@dataclass(frozen=True)
class Pair:
    """A pair of measurements, one of each revision, and the gain of B as a fraction."""

    a: float
    b: float
    gain: float


@dataclass(frozen=True)
class Compared:
    """Two revisions, their measurements, and the verdict."""

    a: Revision
    b: Revision
    metric: str
    direction: Direction
    comparison: Comparison
    pairs: tuple[Pair, ...]
    seconds: float
    warnings: tuple[str, ...] = ()
    """About the trees and the measurement."""


@dataclass(frozen=True)
class Known:
    """The knowledge that measuring A against itself has given."""

    metric: str
    direction: Direction
    cases: bool
    """Whether passes and fails are judged, case by case."""
    scale: Scale
    pool: NoisePool
    warnings: tuple[str, ...]


@dataclass
class Arena:
    """Two trees, and a command that is measured in them."""

    trees: GitTrees
    stopwatch: Stopwatch
    options: CompareOptions
    seed: int
    on_progress: OnProgress
    warnings: tuple[str, ...]
    label: str = "comparing"
    """The words that begin each line of progress."""
    standing: dict[str, str] = field(default_factory=dict)
    """The commit that each slot holds, ready to be measured."""

    def learn(self, a: Revision) -> Known:
        """Measure a revision against itself, in both trees."""
        slots = ("a", "b") if coin(self.seed, 0, CALIBRATION_PAIRS) else ("b", "a")
        for slot in slots:
            self._stand(slot, a)
        taken: list[tuple[Reading, Reading]] = []
        for index in range(CALIBRATION_PAIRS):
            self._say(f"A against itself, {index + 1} of {CALIBRATION_PAIRS}")
            taken.append(self._pair(0, index, slots, (a, a)))
            if taken[0][0].binary_cases:
                break
        self.standing.pop(slots[1])
        return self._known(taken)

    def _known(self, taken: list[tuple[Reading, Reading]]) -> Known:
        metric, cases = taken[0][0].metric, taken[0][0].binary_cases is not None
        asked = self.options.direction if self.options.measure is Measure.OUTPUT else Direction.LOWER
        direction = Direction.HIGHER if cases else asked
        scale = Scale.of([reading.value for pair in taken for reading in pair], direction.value)
        gains = [scale.gain(first.value, second.value) for first, second in taken]
        odd = None if cases else bias(gains)
        return Known(metric, direction, cases, scale, NoisePool(gains), (odd,) if odd else ())

    def compare(self, question: int, a: Revision, b: Revision, known: Known) -> Compared:
        """Take pairs until they say something. The slots that hold A or B already are left as they are."""
        began = time.monotonic()
        slots = self._slots_for(a, b)
        for slot, revision in zip(slots, (a, b), strict=True):
            self._stand(slot, revision)
        taken: list[tuple[Reading, Reading]] = []
        comparison, so_far = None, ""
        while comparison is None or comparison.difference is None:
            self._say(f"pair {len(taken) + 1} of at most {self.options.rule.max_pairs}{so_far}")
            taken.append(self._pair(question, len(taken), slots, (a, b)))
            _require_same_metric(taken[-1], (a, b), known)
            comparison = self._judge(taken, known)
            so_far = f", {'+' * (comparison.gain > 0)}{percent(comparison.gain)}"
        values = ((first.value, second.value) for first, second in taken)
        pairs = tuple(Pair(x, y, known.scale.fraction(known.scale.gain(x, y))) for x, y in values)
        return Compared(a, b, known.metric, known.direction, comparison, pairs, time.monotonic() - began)

    def _judge(self, taken: list[tuple[Reading, Reading]], known: Known) -> Comparison:
        rule = self.options.rule
        if known.cases:
            first, second = ([pair[arm].binary_cases or {} for pair in taken] for arm in (0, 1))
            return compare_cases(first, second, rule=rule)
        gains = [known.scale.gain(first.value, second.value) for first, second in taken]
        return compare_gains(gains, scale=known.scale, pool=known.pool, rule=rule)

    def _pair(
        self, question: int, index: int, slots: tuple[str, str], revisions: tuple[Revision, Revision]
    ) -> tuple[Reading, Reading]:
        """One execution for each revision, back to back, with the same seed; a coin decides which comes first."""
        seed = seed_for(self.seed, question, index)
        readings: dict[int, Reading] = {}
        for arm in (0, 1) if coin(self.seed, question, index) else (1, 0):
            readings[arm] = self._measure(slots[arm], revisions[arm], seed)
        return readings[0], readings[1]

    def _measure(self, slot: str, revision: Revision, seed: int) -> Reading:
        return self.stopwatch.measure(self.trees.path(slot), seed, revision.name)

    def _slots_for(self, a: Revision, b: Revision) -> tuple[str, str]:
        """The slot that holds each revision already; what is missing goes to the other one."""
        backwards = self.standing.get("b") == a.commit or (
            self.standing.get("a") == b.commit and self.standing.get("a") != a.commit
        )
        return ("b", "a") if backwards else ("a", "b")

    def _stand(self, slot: str, revision: Revision) -> None:
        """Place a revision in a slot and make it ready, unless it is."""
        if self.standing.get(slot) == revision.commit:
            return
        self.standing.pop(slot, None)
        self._say(f"placing {revision.name}")
        tree = self.trees.place(slot, revision.commit)
        if self.options.prepare is not None:
            self._say(f"preparing {revision.name}")
            self.stopwatch.prepare(self.options.prepare, tree, revision.name)
        for index in range(self.options.warmup):
            self._measure(slot, revision, seed_for(self.seed, -1, index))
        self.standing[slot] = revision.commit

    def _say(self, text: str) -> None:
        self.on_progress(Progress(self.label, text=text))


def _require_same_metric(pair: tuple[Reading, Reading], revisions: tuple[Revision, Revision], known: Known) -> None:
    for reading, revision in zip(pair, revisions, strict=True):
        if reading.metric != known.metric:
            raise CommandFailed(
                revision.name,
                f"{revision.name} prints {reading.metric}, where {known.metric} was measured before",
                "Name the metric that counts with --metric.",
            )
