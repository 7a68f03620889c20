"""What to do after a bench: what would lift a pass rate soonest, and which question takes how many more trials.

Everything is read from the results and comes with the numbers that led to it. Where they show nothing, none is given.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from autoloop.core.comparison import Difference
from autoloop.core.suite.advice import About, Advice, Kind
from autoloop.core.suite.contrast import Contrast, contrast
from autoloop.core.suite.failures import Consistency
from autoloop.core.suite.quick_wins import ArmFacts, quick_wins
from autoloop.core.suite.saying import counted, difference_of, rounded
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.trial import Outcome
from autoloop.core.texts import listed

MOST = 10
_MOST_WINS = 6
"""So that the next steps have room."""
_ATTEMPTS = 5
"""A task that passes every other time looks consistent in five trials in 6 % of the cases."""
_TOO_FAR = 20
"""Times the pairs there are: beyond that a question is hardly worth the nights."""


def advise(state: BenchState) -> tuple[Advice, ...]:
    """At most ten, those first that bring most; none when the results suggest none."""
    assert state.started is not None, "a journal begins with its bench"
    arms = [ArmFacts.of(arm.name, state.of(arm=arm.name)) for arm in state.started.plan.arms]
    wins = sorted(chain.from_iterable(map(quick_wins, arms)), key=lambda win: -(win.gain or 0.0))[:_MOST_WINS]
    steps = [*_outstanding(state), *_errors(state), *_contrasts(arms), *_tried_once(arms), *_unsupported(arms)]
    return (*wins, *steps)[:MOST]


def _outstanding(state: BenchState) -> Iterator[Advice]:
    left = sum(1 for _ in state.outstanding())
    if state.cut and state.stopped is not None:
        cut = listed(sorted(state.cut))
        unmet = sum(state.group_of(key) in state.cut for key in state.open)
        text = f"{counted(unmet, 'trial was', 'trials were')} not begun, for want of hours of {cut}: resume with more"
        yield _step(About.OUTSTANDING, "", text)
    if left and state.stopped is not None:
        done = len(state.results)
        text = f"{counted(left, 'trial is', 'trials are')} outstanding, {done:,} have a result: resume the bench"
        yield _step(About.OUTSTANDING, "", text)


def _errors(state: BenchState) -> Iterator[Advice]:
    """The tasks whose trials cost most tries by errors."""
    by_task: Counter[str] = Counter()
    for key, errors in state.all_errors.items():
        by_task[key.task] += errors
    total = by_task.total()
    if total < 2:
        return
    modes = Counter(r.failure_mode for r in state.results.values() if r.outcome is Outcome.ERROR and r.failure_mode)
    standing = sum(result.outcome is Outcome.ERROR for result in state.results.values())
    worst = [f"{task} {errors}" for task, errors in by_task.most_common()]
    text = f"{counted(total, 'try', 'tries')} were lost to errors: {listed(worst, 3)}"
    if standing:
        text += f"; {counted(standing, 'trial still stands as an error', 'trials still stand as errors')}, in no rate"
    if modes:
        text += f", most often as `{modes.most_common(1)[0][0]}`"
    yield _step(About.ERRORS, "", text, tuple(task for task, _ in by_task.most_common()))


def _contrasts(arms: list[ArmFacts]) -> Iterator[Advice]:
    """Where the first arm and another cannot be told apart, what it would take."""
    for other in arms[1:]:
        seen = contrast(arms[0].results, other.results, names=(arms[0].arm, other.arm))
        if seen.pairs and seen.verdict is Difference.NOISE and seen.more_pairs is not None:
            yield _step(About.CONTRAST, other.arm, _to_tell(seen, seen.more_pairs))


def _to_tell(seen: Contrast, more: int) -> str:
    question = f"{counted(seen.pairs, 'pair')} do not show which of {seen.a_name} and {seen.b_name} is better"
    facts = f"{question} ({difference_of(seen)})"
    times = (seen.pairs + more) / seen.pairs
    verdict = ", which is hardly worth it" if times > _TOO_FAR else ""
    return (
        f"{facts}: at that difference it takes about {rounded(more):,} more, {times:.2g} times what there are{verdict}"
    )


def _tried_once(arms: list[ArmFacts]) -> Iterator[Advice]:
    for facts in arms:
        once = [
            record.task
            for record in facts.records
            if record.consistency is Consistency.TRIED_ONCE and not record.rate.passed
        ]
        if once:
            missed = 2 * 0.5**_ATTEMPTS
            text = (
                f"{counted(len(once), 'task')} failed in the only trial, so flaky and consistent failures look alike: "
                f"with {_ATTEMPTS} attempts a task that passes every other time is seen to be flaky in "
                f"{100 * (1 - missed):.0f} % of the cases"
            )
            yield _step(About.TRIED_ONCE, facts.arm, text, tuple(once))


def _unsupported(arms: list[ArmFacts]) -> Iterator[Advice]:
    why: dict[str, str] = {}
    for facts in arms:
        for key, result in facts.results.items():
            if result.outcome is Outcome.UNSUPPORTED:
                why.setdefault(key.task, result.detail or result.failure_mode)
    if why:
        reasons = Counter(reason for reason in why.values() if reason)
        cause = f": {listed([reason for reason, _ in reasons.most_common()], 2)}" if reasons else ""
        yield _step(
            About.UNSUPPORTED, "", f"{counted(len(why), 'task')} cannot be tried here{cause}", tuple(sorted(why))
        )


def _step(about: About, arm: str, text: str, tasks: tuple[str, ...] = ()) -> Advice:
    return Advice(kind=Kind.NEXT_STEP, about=about, arm=arm, text=text, tasks=tasks)
