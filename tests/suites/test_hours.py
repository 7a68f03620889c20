"""Hours of groups: a level that has used up its own is cut short, and the others go on."""

import json
from pathlib import Path
from typing import Any

import pytest

from autoloop.core.suite.events import BenchEvent, BenchResumed, BenchStarted, BenchStop, GroupCut, TrialEnded
from autoloop.core.suite.plan import TaskPlan
from autoloop.core.suite.state import AtWork, BenchState, CutShort, Span, replay, used_up
from autoloop.core.suite.summary import summarise
from autoloop.errors import AutoloopError
from autoloop.suites.record import read_bench
from tests.real_git import write
from tests.suites.benches import key, plan, result
from tests.suites.live import going
from tests.suites.test_bench import Place
from tests.suites.test_bench_words import bench

HOUR = 3600.0
LEVELS = plan([TaskPlan(id=f"{level}{number}", group=level) for number in (1, 2, 3) for level in ("easy", "hard")])
PASS = result("pass", seconds=HOUR)


@pytest.mark.parametrize(
    ("spans", "in_hand", "seconds"),
    [
        ([], [], 0),
        ([(0, 10), (20, 30)], [], 20),
        ([(0, 10), (5, 15)], [], 15),
        ([(5, 10), (20, 25), (0, 30)], [], 30),
        ([(0, 10)], [(20, 24), (22, 24)], 14),
        ([(0, 10)], [(5, 24)], 24),
    ],
    ids=["nothing", "one by one", "side by side", "a long one around", "others in hand", "one in hand goes on"],
)
def test_the_time_of_a_group_is_that_in_which_any_of_its_trials_ran(
    spans: list[Span], in_hand: list[Span], seconds: float
) -> None:
    at_work = AtWork()
    for start, end in spans:
        at_work = at_work.after(start, end)
    assert at_work.seconds(in_hand) == seconds
    assert at_work.seconds() == AtWork(spans=at_work.spans).seconds(), "to look changes nothing"


def test_a_clock_that_was_set_back_between_processes_takes_no_time_away() -> None:
    at_work = AtWork().after(1000.0, 1010.0).resumed().after(5.0, 12.0)
    assert at_work.seconds() == 17.0


def after(*more: BenchEvent) -> BenchState:
    """A bench of two levels, carried by one process."""
    began = BenchStarted(at=0.0, bench_id="b", suite="s", suite_path="/", suite_version="1", plan=LEVELS)
    return replay([began, BenchResumed(at=0.0, workers=1), *more])


def ended(task: str, hour: float, **how: Any) -> TrialEnded:
    return TrialEnded(at=hour * HOUR, key=key(task), result=PASS, **how)


@pytest.mark.parametrize(
    ("state", "hours", "in_hand", "cut"),
    [
        (after(ended("hard1", 1)), {}, {}, set()),
        (after(ended("hard1", 1)), {"hard": 2}, {}, set()),
        (after(ended("hard1", 1)), {"hard": 1}, {}, {"hard"}),
        (after(ended("easy1", 1)), {"hard": 1}, {}, set()),
        (after(ended("easy1", 1), ended("hard1", 2)), {"hard": 1, "easy": 1}, {}, {"easy", "hard"}),
        (after(ended("hard1", 1), ended("hard2", 1)), {"hard": 1.5}, {}, set()),
        (after(ended("hard1", 1)), {"hard": 2}, {"hard2": 1.0}, {"hard"}),
        (after(ended("hard1", 1), ended("hard2", 2)), {"hard": 1}, {"hard3": 2.0}, set()),
        (after(ended("hard1", 1, reused=True)), {"hard": 1}, {}, set()),
        (after(ended("hard1", 1), BenchResumed(at=9 * HOUR, workers=1)), {"hard": 1}, {}, {"hard"}),
        (after(ended("hard1", 1), BenchResumed(at=9 * HOUR, workers=1)), {"hard": 2}, {}, set()),
        (after(ended("hard1", 1), GroupCut(at=HOUR, group="hard", hours=1)), {"hard": 1}, {}, set()),
    ],
    ids=[
        "no limit", "time left", "used up", "another group", "both", "side by side counts once", "with what is in hand",
        "only one left, and somebody is at it", "reused", "after a resume", "nights between count nothing", "said once",
    ],
)  # fmt: skip
def test_a_group_is_cut_short_when_its_hours_are_used_up(
    state: BenchState, hours: dict[str, float], in_hand: dict[str, float], cut: set[str]
) -> None:
    held = {key(task): since * HOUR for task, since in in_hand.items()}
    assert set(used_up(state, hours, held, now=2 * HOUR)) == cut


def test_what_is_cut_short_is_not_begun_until_a_resume() -> None:
    cut = GroupCut(at=HOUR, group="hard", hours=1)
    state = after(ended("hard1", 1), cut)
    assert {one.task for one in state.outstanding()} == {"easy1", "easy2", "easy3"}
    assert len(state.open) == 5, "it is not done, either"
    assert summarise(state).cut == (CutShort(group="hard", hours=1, taken=1, planned=3),)
    assert len(list(after(ended("hard1", 1), cut, BenchResumed(at=9 * HOUR, workers=1)).outstanding())) == 5


def test_the_time_to_go_is_that_of_the_trials_that_are_to_come() -> None:
    state = after(ended("easy1", 1), ended("hard1", 2), GroupCut(at=2 * HOUR, group="hard", hours=1))
    assert summarise(state).eta_seconds == pytest.approx(2 * HOUR)


def test_an_iteration_is_reported_although_a_level_was_cut_short(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with going(folder, LEVELS.model_copy(update={"iterations": 2})) as live:
        live.ends(key("hard1"), PASS)
        live.add(GroupCut(at=HOUR, group="hard", hours=1))
        assert not (folder / "iterations/001/report.md").exists()
        for number in (1, 2, 3):
            live.ends(key(f"easy{number}"), PASS)
        report = (folder / "iterations/001/report.md").read_text()
        assert "hard was cut short: its 1 hour is used up, 1 of 3 planned trials taken." in report
        live.ends(key("hard2"), result("fail"))
        assert "2 of 3 planned trials taken" in (folder / "iterations/001/report.md").read_text(), "one was in hand"
        live.stop()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["cut"] == [{"group": "hard", "hours": 1.0, "taken": 2, "planned": 6}]
    assert (
        "hard was cut short: its 1 hour is used up, 2 of 6 planned trials taken." in (folder / "summary.md").read_text()
    )
    assert not (folder / "iterations/002/report.md").exists(), "nothing was tried there"


TASK = {"description": "d", "verification": {"type": "command", "command": "true"}}
NAP = 'agent = "command"\ncommand = "sleep 0.5"\n'


@pytest.fixture
def leveled(tmp_path: Path) -> Place:
    """Six short tasks of two levels, of which the suite gives one half a second."""
    place = Place(tmp_path / "project")
    tasks = [{"id": f"{level}{number}", "level": level, **TASK} for level in ("hard", "easy") for number in range(3)]
    levels = {"hard": {"hours": 0.3 / HOUR, "repetitions": 2}, "easy": {}}
    write(place.root, {"suite.json": json.dumps({"name": "s", "levels": levels, "tasks": tasks})})
    write(place.root, {"autoloop.toml": f"[profiles.half]\n{NAP}"})
    return place


def test_the_other_levels_of_a_bench_go_on(leveled: Place) -> None:
    outcome = leveled.bench()
    groups = outcome.summary.arms[0].groups
    assert (groups["hard"].done, groups["easy"].done) == (1, 3)
    assert outcome.summary.stop_reason == BenchStop.GROUP_HOURS and not outcome.is_complete
    with pytest.raises(AutoloopError, match="the hours of hard are used up"):
        outcome.metrics()
    assert "1 of 6 planned trials taken" in (leveled.root / "out/summary.md").read_text()
    again = leveled.resume()
    assert again.state.results == outcome.state.results, "it has no more hours than before"
    raised = leveled.resume(group_hours={"hard": 1.0})
    assert raised.is_complete and not raised.summary.cut
    cuts = [event for event in read_bench(leveled.root / "out/journal.jsonl") if isinstance(event, GroupCut)]
    assert [cut.group for cut in cuts] == ["hard", "hard"]


def test_hours_of_levels_are_told_on_the_command_line(leveled: Place) -> None:
    said = bench(leveled.root, "suite.json", "-m", "half", "-i", "1", "-o", "out", "--workers", "1",
                 "--group-hours", "hard=0.0001,easy=2")  # fmt: skip
    assert json.loads((leveled.root / "out/config.json").read_text())["group_hours"] == {"hard": 0.0001, "easy": 2.0}
    assert said.count("hard is cut short: its 0.0001 hours are used up\n") == 1, "while it goes"
    assert "hard was cut short: its 0.0001 hours are used up, 1 of 6 planned trials taken" in said
    assert said.rstrip().endswith("--group-hours hard=0.0002")


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ("hrad=1", "s has no group 'hrad'; did you mean"),
        ("easy=1", "hours are given for 'easy', of which no task is chosen"),
        ("hard=two", 'group_hours.hard is "two"'),
        ("hard=0", "group_hours.hard is 0"),
        ("hard", "hours by level"),
    ],
)
def test_hours_that_do_not_fit_are_refused(leveled: Place, hours: str, said: str) -> None:
    words = ["suite.json", "-m", "half", "--group", "hard", "-o", "out", "--group-hours", hours]
    try:
        assert said in " ".join(bench(leveled.root, *words).split())
    except AutoloopError as error:
        assert said in error.message
    assert not (leveled.root / "out").exists()
