"""What a demo plans, counts and says, from values alone."""

import math

import pytest

from autoloop.core.run.calibration import Noise
from autoloop.core.run.events import Baselined, Decided, Event, ExperimentStarted, Sampled, to_line
from autoloop.core.run.flags import Flag, Sign
from autoloop.core.run.measurement import Arm, Sample, Taken, Wanted
from autoloop.core.run.program import Criteria, Direction
from autoloop.core.run.reasons import Reason
from autoloop.core.run.verdict import Decision, Record
from autoloop.demo.acts import Pointer, Teller, last_words
from autoloop.demo.example import FEWEST, MOST, DemoPart, others_begin_by, plan
from autoloop.demo.findings import Held, Killed, Spread, TwoRules
from benchmarks.demo_page import BLOCK, ROOT, excerpt

CRITERIA = Criteria(metric_field="cpu_ms", direction=Direction.LOWER)
NOISE = Noise(threshold=0.0, unit=100.0, logarithmic=True, calibration=(0.03, -0.04, 0.01))
PARTS = (DemoPart.NOTHING, DemoPart.NOTHING, DemoPart.GAIN, DemoPart.CHEAT, DemoPart.KILLED)


def calibrated() -> Event:
    return Baselined(at=0, why="calibration", record=Record(commit="c", metrics={}), moved=True, noise=NOISE)


def decided(experiment: int, reason: Reason, pairs: tuple[float, ...] = (), **fields: object) -> list[Event]:
    decision = Decision(reason=reason, why="so it is", pairs=pairs, samples=len(pairs), **fields)  # type: ignore[arg-type]
    return [
        ExperimentStarted(at=0, experiment=experiment, parent="c"),
        Decided(at=0, experiment=experiment, decision=decision, description=f"edit {experiment}"),
    ]


def sampled(experiment: int, arm: Arm, index: int) -> Event:
    taken = Taken(wanted=Wanted(arm=arm, index=index), result=Sample(metrics={"cpu_ms": 1.0}))
    return Sampled(at=0, experiment=experiment, commit="c", taken=taken)


def told(*events: Event) -> tuple[Teller, str]:
    lines: list[str] = []
    teller = Teller(PARTS, CRITERIA, lines.append)
    teller.begin()
    for event in (calibrated(), *events):
        teller.hear(event)
    teller.end()
    return teller, "\n".join(lines)


def journal(*events: Event) -> bytes:
    return b"".join(map(to_line, events))


def test_a_slower_machine_tries_fewer_edits_and_never_none() -> None:
    counts = [plan(pace).nothings for pace in (0.05, 0.15, 0.25, 0.4, 1.0, 10.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == MOST and counts[-1] == FEWEST
    assert plan(0.05, most=2).nothings == plan(10.0, most=2).nothings == 2
    assert not plan(0.2).is_slow and plan(1.0).is_slow


def test_edits_that_do_nothing_make_room_earlier_where_samples_take_longer() -> None:
    times = [others_begin_by(each) for each in (0.1, 0.3, 0.6, 1.2)]
    assert times == sorted(times, reverse=True)
    assert times[0] > 60 and times[-1] < 20


def test_the_largest_difference_is_that_of_the_slower_run_over_the_quicker() -> None:
    found = Spread.of(NOISE, CRITERIA)
    assert found.pairs == 3
    assert found.largest == pytest.approx(math.exp(0.04) - 1)
    assert found.deviation == pytest.approx(math.sqrt((0.03**2 + 0.04**2 + 0.01**2) / 3 / 2))


def test_keep_if_better_looks_at_the_first_pair_alone() -> None:
    teller, text = told(
        *decided(1, Reason.WITHIN_NOISE, (0.05, -0.09, -0.02)), *decided(2, Reason.WITHIN_NOISE, (-0.01, 0.4))
    )
    found = TwoRules.of(teller.tried, NOISE, CRITERIA)
    assert (found.edits, found.would_keep, found.kept, found.pairs) == (2, 1, 0, 2.5)
    assert found.would_claim == pytest.approx(1 - math.exp(-0.05))
    assert "keep-if-better kept 1 of 2 edits that do nothing, and would claim +4.9 %" in text
    assert "autoloop kept none of 2, after 2.5 pairs on average" in text


def test_an_edit_that_does_nothing_and_is_kept_is_told() -> None:
    _, text = told(*decided(1, Reason.IMPROVED, (0.05,) * 6, claimed=0.05), *decided(2, Reason.REGRESSED, (-0.1, -0.1)))
    assert "KEEP after 6 pairs" in text
    assert "autoloop kept 1 of 2, which happens to at most 1 in 50 edits that do nothing" in text


def test_a_gain_that_is_not_kept_is_told_as_it_came() -> None:
    _, text = told(*decided(3, Reason.WITHIN_NOISE, (0.05, 0.01)))
    assert "not kept, as it came: within_noise, so it is" in text


def test_a_gain_is_told_with_its_interval_and_its_evidence() -> None:
    _, text = told(*decided(3, Reason.IMPROVED, (0.1,) * 6, gain=0.1, low=0.08, high=0.12, evidence=math.log(64)))
    assert "kept: +10.0 % (95 %: +8.0 % to +12.0 %), 64 : 1 for a gain after 6 pairs" in text


def test_a_cheat_that_gets_through_is_told() -> None:
    flags = (Flag(sign=Sign.MEASUREMENT_PROBED, detail="it prints"),)
    _, caught = told(*decided(4, Reason.LOCK_VIOLATION))
    assert "caught before anything was measured: lock_violation" in caught
    _, vain = told(*decided(4, Reason.WITHIN_NOISE, (0.01,), gain=0.01, flags=flags))
    assert "in vain: within_noise, measured +1.0 %; flagged measurement_probed" in vain
    _, kept = told(*decided(4, Reason.IMPROVED, (0.9,) * 6, gain=0.9, flags=flags))
    assert "NOT refused: kept with +90.0 %" in kept


def test_what_a_kill_has_cost_is_told() -> None:
    before = journal(*decided(1, Reason.WITHIN_NOISE), sampled(2, Arm.BASELINE, 0))
    held = Held.of(before)
    assert (held.experiments, held.samples.total()) == (1, 1)
    for after, said in (
        (before + journal(sampled(2, Arm.CANDIDATE, 0)), "all 1 experiments and 1 samples are as they were;"),
        (before + journal(sampled(2, Arm.BASELINE, 0)), "NOT as promised: 1 samples were taken again"),
        (before[:-2], "NOT as promised: the journal does not begin with what it held"),
    ):
        lines: list[str] = []
        lost = not after.startswith(before)
        twice = 0 if lost else Held.of(after).twice
        Teller(PARTS, CRITERIA, lines.append).taken_up(Killed(held, "autoloop run p --resume", lost, twice))
        assert said in lines[0]


def test_acts_that_were_not_reached_are_named() -> None:
    _, text = told(*decided(1, Reason.WITHIN_NOISE, (0.01,)))
    assert text.count("not reached in the time that there was") == 3
    assert "3. A real improvement" in text and "5. kill -9" in text


def test_the_readme_shows_lines_of_the_run_that_the_page_of_the_demo_shows() -> None:
    readme, page = (BLOCK.search((ROOT / name).read_text()) for name in ("README.md", "docs/demo.md"))
    assert readme and page and "In all, the keeps claim" in page[0]
    assert readme[0] == f"{readme[1]}{excerpt(page[0])}{readme[2]}"


def test_the_last_words_say_what_was_not_done() -> None:
    status = {"kept": 1, "gain": 0.1, "verified": None, "sandbox": "none", "branch": "b"}
    text = "\n".join(last_words(status, 50.0, False, [Pointer("autoloop results", "the table")]))
    assert "no time left to measure that afresh" in text
    assert "Sandbox: none: here violations are found, and not prevented" in text
    assert "Nothing was kept" in last_words({**status, "kept": 0}, 50.0, False, [])[0]
