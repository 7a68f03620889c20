"""Dear calibrations are remembered by program, tree and host, and journaled by the run that uses them."""

import os
from pathlib import Path

import pytest

from autoloop import api
from autoloop.config.places import cache_directory
from autoloop.core.run.events import Baselined, Event, Sampled
from autoloop.core.run.measurement import Arm, Sample, Taken, Wanted
from autoloop.core.run.program import Criteria, Direction, Program
from autoloop.core.run.verdict import Record
from autoloop.git.repository import find, tree_of
from autoloop.host.signals import Signals
from autoloop.runs.calibrations import Calibrations
from autoloop.runs.find import find_run
from autoloop.runs.record import read_record
from tests.real_git import commit_all, make_repository, write

MEASURE = 'echo x >> "$COUNT"\nread value < value.txt\necho "{\\"ms\\": $value}"\n'
CONFIG = 'metric_field = "ms"\ndirection = "lower"\nmeasure_env = ["COUNT"]\nwarmup = 0\ncanary = false\n'
PROGRAM = Program(
    slug="p",
    directory="programs/p",
    text="",
    scripts=("measure.sh",),
    criteria=Criteria(metric_field="ms", direction=Direction.LOWER),
)


def calibrated(seconds: float, at: float = 1000.0) -> list[Event]:
    pairs = [(index, arm) for index in range(10) for arm in (Arm.BASELINE, Arm.CANDIDATE)]
    sampled: list[Event] = [
        Sampled(
            at=at,
            experiment=0,
            commit="c0",
            taken=Taken(
                wanted=Wanted(arm=arm, index=index), result=Sample(metrics={"ms": 100.0 + index}, seconds=seconds)
            ),
        )
        for index, arm in pairs
    ]
    return [*sampled, Baselined(at=at, why="calibration", record=Record(commit="c0", metrics={}), moved=True)]


def test_a_dear_calibration_is_recalled_for_a_day_and_a_cheap_one_never(tmp_path: Path) -> None:
    known = Calibrations(tmp_path, PROGRAM, {"measure.sh": "1"}, "tree")
    known.remember(calibrated(seconds=1.0), seed=7)
    assert known.recall(1001.0) is None
    known.remember(calibrated(seconds=30.0), seed=7)
    found = known.recall(1001.0)
    assert found is not None and found.seed == 7 and len(found.taken) == 20
    assert known.recall(1000.0 + 90_000) is None


@pytest.mark.parametrize(
    "other",
    [
        Calibrations(Path("cache"), PROGRAM, {"measure.sh": "2"}, "tree"),
        Calibrations(Path("cache"), PROGRAM, {"measure.sh": "1"}, "other tree"),
        Calibrations(Path("cache"), PROGRAM.model_copy(update={"criteria": Criteria(
            metric_field="ms", direction=Direction.LOWER, calibration_pairs=5)}), {"measure.sh": "1"}, "tree"),
    ],
)  # fmt: skip
def test_anything_that_changes_the_measurement_changes_the_key(other: Calibrations) -> None:
    assert other._path != Calibrations(Path("cache"), PROGRAM, {"measure.sh": "1"}, "tree")._path


def test_a_run_from_the_same_start_measures_nothing_before_its_first_experiment(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    write(root, {"value.txt": "100\n", "programs/p/config.toml": CONFIG, "programs/p/measure.sh": MEASURE})
    write(root, {"autoloop.toml": '[profiles.mine]\nagent = "command"\ncommand = "true"\n'})
    commit_all(root)
    count = tmp_path / "count"
    environ = {**os.environ, "COUNT": str(count), "AUTOLOOP_CACHE_DIR": str(tmp_path / "cache")}

    def run() -> int:
        count.write_text("")
        options = api.RunOptions(limits={"max_experiments": 1})
        api.run(root, "p", options, signals=Signals(), on_progress=lambda sign: None, environ=environ)
        return len(count.read_text().splitlines())

    assert run() == 20
    record = read_record(find_run(root, None))
    repository = find(root)
    known = Calibrations(cache_directory(environ), record.program, record.seal, tree_of(repository, repository.head))
    dear = [event for event in api.events(root) if isinstance(event, Sampled | Baselined)]
    known.remember([_dearer(event) for event in dear], seed=record.seed)
    assert run() == 0
    again = read_record(find_run(root, None))
    assert again.run_id != record.run_id and again.seed == record.seed
    assert sum(isinstance(event, Sampled) for event in api.events(root)) == 20, "every sample is in the journal"


def _dearer(event: Event) -> Event:
    if not isinstance(event, Sampled) or not isinstance(event.taken.result, Sample):
        return event
    result = event.taken.result.model_copy(update={"seconds": 30.0})
    return event.model_copy(update={"taken": event.taken.model_copy(update={"result": result})})
