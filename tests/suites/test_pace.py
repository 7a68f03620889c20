"""--max-rpm: calls of models a minute, all workers of a bench together, as they are made."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from autoloop.core.suite.pausing import Pace
from autoloop.suites.pace import SharedPace, TrialPace
from tests.http_script import Reply
from tests.real_git import write
from tests.standins.openai import answering
from tests.standins.server import Turn, standing_in
from tests.suites.test_bench import Place, suite


def test_calls_have_slots_one_after_the_other_and_nothing_is_saved_up() -> None:
    pace = Pace(per_minute=60)
    assert pace.wait(10.0) == 0
    pace.charge(1, 10.0)
    assert pace.wait(10.25) == pytest.approx(0.75)
    pace.charge(11, 10.25)
    assert pace.wait(10.25) == pytest.approx(11.75), "what was overdrawn is paid back first"
    assert pace.wait(22.0) == 0 and pace.wait(1000.0) == 0
    pace.charge(1, 1000.0)
    assert pace.wait(1000.0) == pytest.approx(1.0), "an idle hour allows no burst"


def test_slots_are_shared_by_whoever_takes_them(tmp_path: Path) -> None:
    began = time.monotonic()
    paces = [SharedPace(tmp_path / "pace.json", 6000) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        slots = sorted(pool.map(lambda number: paces[number % 4].slot(), range(40)))
    assert all(later - sooner > 0.0099 for sooner, later in pairwise(slots))
    assert slots[-1] - began >= 0.39


def test_without_a_limit_nothing_is_counted_or_written(tmp_path: Path) -> None:
    pace = SharedPace(tmp_path / "pace.json", None)
    pace.charge(1000)
    assert pace.wait() == 0 and pace.slot() <= time.monotonic()
    assert not list(tmp_path.glob("pace*"))


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"free_at": null}'])
def test_a_file_that_a_kill_has_torn_holds_nobody_up(tmp_path: Path, torn: str) -> None:
    (tmp_path / "pace.json").write_text(torn)
    pace = SharedPace(tmp_path / "pace.json", 60)
    assert pace.wait() == 0
    pace.charge(2)
    assert 1 < pace.wait() <= 2
    pace.begin_anew()
    assert pace.wait() == 0


@pytest.mark.parametrize(
    ("paid", "seen", "turns", "charged"),
    [
        (1, [], 0, 0),
        (1, [], 1, 0),
        (1, [], 5, 4),
        (1, [1, 3, 3], 3, 2),
        (1, [1, 3], 5, 4),
        (0, [1, 2], 2, 2),
        (1, [4], 2, 3),
    ],
    ids=["none", "the one that was paid", "told at the end", "seen", "seen in part", "nothing paid", "seen too often"],
)
def test_a_call_is_charged_once(tmp_path: Path, paid: int, seen: list[int], turns: int, charged: int) -> None:
    shared = SharedPace(tmp_path / "pace.json", 0.1)
    pace = TrialPace(shared, paid, lambda seconds: None)
    told = pace.of_session()
    for calls in seen:
        told(calls)
    pace.settle(turns)
    assert shared.wait() == pytest.approx(charged * 600, abs=5)


def test_the_steps_of_a_trial_begin_to_count_anew(tmp_path: Path) -> None:
    shared = SharedPace(tmp_path / "pace.json", 0.1)
    pace = TrialPace(shared, 1, lambda seconds: None)
    for told in (pace.of_session(), pace.of_session()):
        told(2)
    pace.settle(4)
    assert shared.wait() == pytest.approx(3 * 600, abs=5)


def test_a_wait_is_told_and_ends_with_the_session(tmp_path: Path) -> None:
    shared, waits, over = SharedPace(tmp_path / "pace.json", 1), list[float](), threading.Event()
    pace = TrialPace(shared, 0, waits.append)
    assert pace.before_call(over.is_set) < 1 and not waits
    threading.Timer(0.3, over.set).start()
    assert pace.before_call(over.is_set) < 5
    assert waits == [pytest.approx(60, abs=2)]
    pace.settle(1)
    assert shared.wait() == pytest.approx(120, abs=5), "what waits for its turn is charged by that alone"


RATE = 10.0
"""Calls a second."""
SESSION = [*(Turn("", "true") for _ in range(7)), Turn("Done.")]


def test_four_workers_together_keep_to_the_limit_call_by_call(tmp_path: Path) -> None:
    place = Place(tmp_path / "project")
    tasks = [{**task, "id": f"t{number}"} for number, task in enumerate(suite()["tasks"])]
    write(place.root, {"suite.json": json.dumps(suite(tasks=tasks))})
    moments: list[float] = []
    play = answering(SESSION)

    def answer(path: str, body: Any, before: int) -> Reply | None:
        if body.get("tools"):  # not the question before the bench
            moments.append(time.monotonic())
        return play(path, body, before)

    with standing_in(answer) as service:
        environ = {**os.environ, "OPENAI_BASE_URL": f"{service.url}/v1", "OPENAI_API_KEY": "sk-test-key-1"}
        outcome = place.bench("openai:some-model", workers=4, max_rpm=60 * RATE, environ=environ)
    assert outcome.is_complete and outcome.summary.totals.counted == 4
    assert len(moments) == outcome.state.calls["openai-some-model"] == 4 * len(SESSION)
    assert moments[-1] - moments[0] >= (len(moments) - 1) / RATE - 0.2
    busiest = max(sum(moment <= other < moment + 1 for other in moments) for moment in moments)
    assert busiest <= RATE + 1 + 2, "a call that this machine held up for 0.2 s counts in a later second"
