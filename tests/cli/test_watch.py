"""`--watch`: what the live tables of a bench and of a run show, on a terminal and elsewhere."""

import io
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from autoloop.cli.watch import (
    BenchWatch,
    WorkerRow,
    arm_rows,
    bench_line,
    experiment_cells,
    follow_bench,
    trial_line,
    trial_name,
    worker_rows,
)
from autoloop.core.run.reasons import Status
from autoloop.core.run.results import Row
from autoloop.core.suite.events import BenchEvent, BenchResumed, BenchStop, BenchStopped, TrialEnded
from autoloop.core.suite.plan import ArmPlan, TaskPlan
from autoloop.core.suite.state import BenchState, after
from autoloop.core.suite.summary import summarise
from autoloop.core.suite.tasks import TrialResult
from autoloop.ports import Progress
from tests.real_run import Checkout
from tests.suites.benches import bench, key, plan, result, trials

TASKS = ["t1", "t2", "t3", "t4"]
TWO = plan(TASKS, "ab")


# Values to rows


def test_an_arm_is_counted_against_its_own_total() -> None:
    half = plan(TASKS).model_copy(
        update={"arms": (ArmPlan(name="a", profile="p"), ArmPlan(name="b", profile="q", share=0.5))}
    )
    state = bench(half, trials({"t1": "p", "t2": "f", "t3": "t"}).items())
    first, second, total = arm_rows(summarise(state))
    assert first == ("a", "3/4   75 %", "1", "1", "1", "0", "0", "1 s")
    assert second[:2] == ("b", "0/2    0 %")
    assert total[:2] == ("total", "3/6   50 %")


def test_errors_that_stand_and_retries_are_shown_apart_from_failures() -> None:
    ended = [(key("t1"), result("error")), (key("t1"), result("pass")), (key("t2"), result("error"))]
    arm = arm_rows(summarise(bench(plan(TASKS), ended)))[0]
    assert arm[1:] == ("1/4   25 %", "1", "0", "0", "1", "1", "1 s")


def test_the_line_below_says_elapsed_what_is_to_go_and_cost() -> None:
    state = bench(plan(TASKS), [(key("t1"), result("pass", cost_usd=0.5)), (key("t2"), result("fail", cost_usd=0.25))])
    line = bench_line(summarise(state), since=3.0)
    assert line == "elapsed 5 s  0 s to go  cost $0.75", "two seconds of work for each two trials, three of them over"
    assert "to go" not in bench_line(summarise(bench(plan(TASKS), [])), 0.0), "nothing is known of trials yet"
    over = bench(plan(TASKS), [], [BenchStopped(at=110.0, reason=BenchStop.STOPPED)])
    assert bench_line(summarise(over), since=100.0) == "elapsed 8 s  cost unknown", "the clock stands still at the end"


def test_a_worker_is_shown_with_its_trial_phase_time_and_newest_line() -> None:
    at = {
        2: WorkerRow(key("t2", "b", 3, 2), "agent", 90.0, "reads\x1b[31m a\nfile"),
        1: WorkerRow(key("t1"), "setup", 99.0),
    }
    assert worker_rows(at, 100.0) == [
        ("1", "a", "t1", "setup", "1 s", ""),
        ("2", "b", "t2 3.2", "agent", "10 s", "reads[31m a file"),
    ]


def test_a_trial_is_named_no_longer_than_it_must() -> None:
    assert [trial_name(key("t", iteration=i, attempt=a)) for i, a in ((1, 1), (2, 1), (2, 3))] == ["t", "t 2", "t 2.3"]


def test_a_finished_trial_is_one_line_whatever_its_verifier_said() -> None:
    line = trial_line(key("t1"), result("fail", failure_mode="wrong_result", detail="3\n\x1b]0;x\x07 != 4"), 7, 40)
    assert line.split() == ["7/40", "fail", "a", "t1", "1", "s", "wrong_result:", "3", "]0;x", "!=", "4"]


def test_an_experiment_without_a_metric_says_why() -> None:
    row = Row(experiment=3, status=Status.CRASH, reason="build_failed", description="faster", why="exit code 2")
    assert experiment_cells(row) == ("3", "crash", "build_failed", "", "", "", "", "faster (exit code 2)")


# Piped


def fold(state: BenchState, watch: BenchWatch, *events: BenchEvent) -> BenchState:
    for event in events:
        state = after(state, event)
        watch.on_state(state)
    return state


def ended(task: str, outcome: str, arm: str = "a", at: float = 103.0) -> TrialEnded:
    return TrialEnded(at=at, key=key(task, arm), result=result(outcome))


@pytest.mark.parametrize("live", [True, False])
def test_elsewhere_than_on_a_terminal_each_trial_that_ends_is_a_plain_line(live: bool) -> None:
    said = io.StringIO()
    state = bench(TWO, [])
    with follow_bench(said, live=live) as watch:
        watch.on_state(state)
        state = fold(state, watch, ended("t1", "pass"), ended("t1", "error", "b"), ended("t1", "error", "b"))
        watch.on_worker(1, key("t2"), "agent", "fleeting")
        watch.on_progress(Progress("waiting", text="for the disk"))
        fold(state, watch, BenchStopped(at=110.0, reason=BenchStop.STOPPED))
    lines = said.getvalue().splitlines()
    assert lines[0] == "8 trials of s"
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["1/8", "pass", "a", "t1"], ["2/8", "error", "b", "t1"], ["2/8", "error", "b", "t1"],
    ]  # fmt: skip
    assert lines[4:] == ["waiting: for the disk"]
    assert "\x1b" not in said.getvalue()


def test_a_resume_does_not_list_again_what_an_earlier_process_did() -> None:
    said = io.StringIO()
    state = bench(TWO, trials({"t1": "p", "t2": "f"}).items())
    with follow_bench(said, live=False) as watch:
        fold(state, watch, BenchResumed(at=200.0, workers=1), ended("t3", "pass"))
    assert [line.split()[0] for line in said.getvalue().splitlines()] == ["2", "3/8"]


# On a terminal


@contextmanager
def terminal() -> Iterator[tuple[io.TextIOWrapper, Callable[[], str]]]:
    """A terminal, and what was shown on it so far."""
    main, other = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        try:
            while chunk := os.read(main, 100_000):
                shown.append(chunk)
        except OSError:  # nobody writes any more
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with open(other, "w", encoding="utf-8") as file:
        yield file, lambda: b"".join(shown).decode()
    reader.join(5)
    os.close(main)


def wait_for(what: Callable[[], object], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def test_a_terminal_shows_one_row_an_arm_a_total_and_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    state = bench(TWO, trials({"t1": "p", "t2": "f"}).items())
    with terminal() as (file, shown):
        with follow_bench(file, live=True) as watch:
            watch.on_state(state)
            watch.on_worker(1, key("t3"), "agent", "looks at the tests")
            watch.on_line("results go to /x")
            wait_for(lambda: "looks at the tests" in shown())
            watch.on_first_interrupt()
            wait_for(lambda: "Ctrl-C again" in shown())
        text = shown()
    for word in ("2/4", "50 %", "0/4", "total", "2/8", "retries", "elapsed", "t3", "results go to /x"):
        assert word in text


def test_the_table_bears_that_everybody_tells_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn as fast as it goes while one thread folds and others tell of workers: nothing changes under the drawer."""
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    many = plan([TaskPlan(id=f"t{n}") for n in range(400)], "ab")
    over = threading.Event()

    def tell(watch: BenchWatch, worker: int) -> None:
        while not over.is_set():
            watch.on_worker(worker, key(f"t{worker}"), "agent", "x")
            watch.on_worker(worker, None, "", "")

    with terminal() as (file, _), follow_bench(file, live=True) as watch:
        assert watch._live is not None
        tellers = [threading.Thread(target=tell, args=(watch, number)) for number in range(4)]
        drawer = threading.Thread(target=lambda: [watch._live.refresh() for _ in range(30)])  # type: ignore[union-attr]
        state = bench(many, [])
        watch.on_state(state)
        for thread in (*tellers, drawer):
            thread.start()
        for number in range(400):
            state = fold(state, watch, ended(f"t{number}", "pass"), ended(f"t{number}", "fail", "b"))
        drawer.join()
        over.set()
        for thread in tellers:
            thread.join()
    assert failed == []


def test_who_folds_is_not_kept_waiting_for_the_figures() -> None:
    many = plan([TaskPlan(id=f"t{n}") for n in range(2500)], "ab")
    state = bench(many, [(key(f"t{n}", arm), result("pass")) for n in range(2500) for arm in "ab"])
    with terminal() as (file, _), follow_bench(file, live=True) as watch:
        began = time.process_time()
        for _ in range(20):
            watch.on_state(state)
        assert (time.process_time() - began) / 20 < 0.02, "the figures of 5,000 trials alone take longer"


# A run


def run(checkout: Checkout, *words: str, stdout: int | io.TextIOWrapper) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autoloop", "-C", str(checkout.root), "run", "p", *words]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60)


FASTER = 'echo "x = $((100 - n * 10))" > code.py'


def test_a_run_is_a_table_of_its_experiments(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    checkout.agent(f"{FASTER}; echo works on it; [ $n != 2 ] || sleep 1.2")
    with terminal() as (file, shown):
        done = run(checkout, "--watch", "--max-experiments", "2", stdout=file)
    assert done.returncode == 0, done.stderr
    text = shown()
    for word in ("verdict", "keep", "improved", "experiment 2/2", "to go", "cost unknown"):
        assert word in text
    assert "\x1b[2K" in text


def test_a_resumed_run_shows_the_experiments_before(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    checkout.agent(FASTER)
    checkout.run(limits={"max_experiments": 1})
    checkout.agent('echo "x = 50" > code.py; sleep 1.2')
    with terminal() as (file, shown):
        done = run(checkout, "--watch", "--resume", "--max-experiments", "2", stdout=file)
    assert done.returncode == 0, done.stderr
    live = shown().split("ended (")[0].rpartition("\x1b[2K")[0]
    assert "code.py" in live and "baseline" in live, "the experiment of the other process is in the live table"


def test_piped_the_table_of_a_run_is_plain_lines(checkout: Checkout) -> None:
    checkout.agent(FASTER)
    done = run(checkout, "--watch", "--max-experiments", "1", stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "improved" in done.stdout.split("ended (")[0]


def test_a_table_of_a_run_in_the_background_is_refused(checkout: Checkout) -> None:
    done = run(checkout, "--watch", "--detach", stdout=subprocess.PIPE)
    assert done.returncode == 2
    assert "does not go with --detach" in done.stderr and "autoloop hud p" in done.stderr
    assert not (checkout.root / ".autoloop").exists()


def test_a_result_is_told_once() -> None:
    same: TrialResult = result("pass")
    said = io.StringIO()
    state = bench(TWO, [])
    with follow_bench(said, live=False) as watch:
        watch.on_state(state)
        fold(state, watch, TrialEnded(at=103.0, key=key("t1"), result=same), BenchResumed(at=104.0, workers=1))
    assert said.getvalue().count("t1") == 1


def test_on_a_narrow_terminal_the_last_column_gives_way_and_no_number_is_lost() -> None:
    from rich.console import Console

    from autoloop.cli.watch import EXPERIMENT_COLUMNS, _table

    row = Row(experiment=123, status=Status.KEEP, reason="improved", metric=37.25, gain=0.075, description="x" * 200)
    said = io.StringIO()
    Console(file=said, width=80).print(_table(EXPERIMENT_COLUMNS, [experiment_cells(row)], left=(1, 2, 7)))
    line = next(line for line in said.getvalue().splitlines() if "123" in line)
    assert line.split()[:5] == ["123", "keep", "improved", "37.25", "+7.5"] and line.rstrip().endswith("…")
