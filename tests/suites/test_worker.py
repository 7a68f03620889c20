"""The worker process: what it is told, what it tells, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from autoloop import process
from autoloop.core.suite.tasks import Outcome, TrialResult
from tests.suites.proving import Proving, plain, task

ROOT = Path(__file__).parent.parent.parent


class Process:
    """A worker, and what it says."""

    def __init__(self, here: Proving) -> None:
        words = [sys.executable, "-P", "-m", "autoloop.suites.worker", str(here.bench), "--root", str(here.root)]
        self.popen = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=here.environ, cwd=ROOT
        )

    def give(self, *orders: Any) -> None:
        assert self.popen.stdin
        for order in orders:
            self.popen.stdin.write(order.model_dump_json() + "\n")
        self.popen.stdin.flush()

    def says(self) -> Iterator[dict[str, Any]]:
        assert self.popen.stdout
        return map(json.loads, self.popen.stdout)

    def until(self, **wanted: object) -> list[dict[str, Any]]:
        """Everything up to the first message like this."""
        heard = []
        for message in self.says():
            heard.append(message)
            if all(message.get(name) == value for name, value in wanted.items()):
                return heard
        raise AssertionError(f"the worker ended without {wanted}: {heard}")

    def end(self) -> int:
        assert self.popen.stdin
        self.popen.stdin.close()
        return self.popen.wait(10)


def result(messages: list[dict[str, Any]]) -> TrialResult:
    return TrialResult.model_validate(messages[-1]["result"])


def sleepers(mark: str) -> list[int]:
    """Processes with a word in their command line, other than this one's."""
    found = psutil.process_iter(["pid", "cmdline"])
    return [p.pid for p in found if mark in " ".join(p.info["cmdline"] or ()) and p.pid != os.getpid()]


def gone(mark: str) -> bool:
    until = time.monotonic() + 8
    while sleepers(mark) and time.monotonic() < until:
        time.sleep(0.05)
    return not sleepers(mark)


def long_order(here: Proving, mark: str) -> Any:
    """A trial whose agent tries to get away."""
    command = f"(setsid sleep {mark} > /dev/null 2>&1 &); echo at work; sleep {mark}"
    return here.order(here.profile(command), task(plain()))


def test_it_takes_orders_until_there_are_no_more(anywhere: Proving) -> None:
    good, bad = anywhere.profile("echo hello > out.txt; sleep 1.2", "good"), anywhere.profile("true", "bad")
    worker = Process(anywhere)
    worker.give(*(anywhere.order(name, task(plain())) for name in (good, bad, "nobody")))
    first = worker.until(kind="result")
    assert first[0] == {"kind": "ready"} and {"kind": "beat"} in first
    phases = [message["phase"] for message in first if message["kind"] == "phase"]
    assert list(dict.fromkeys(phases)) == ["setup", "agent", "verification"]
    assert result(first).passed
    assert result(worker.until(kind="result")).failure_mode == "no_change"
    assert result(worker.until(kind="result")).outcome == "error"
    assert worker.end() == 0


def test_its_processes_carry_the_id_of_the_bench(anywhere: Proving) -> None:
    profile = anywhere.profile('echo "$AUTOLOOP_RUN" > out.txt')
    worker = Process(anywhere)
    order = anywhere.order(
        profile, task(plain('grep -x "$AUTOLOOP_RUN" out.txt && grep -x b7.2 out.txt')), bench_id="b7.2"
    )
    worker.give(order)
    assert result(worker.until(kind="result")).passed
    worker.end()


@pytest.mark.parametrize("how", ["terminated", "orphaned"])
def test_when_it_has_to_end_nothing_is_left_running(anywhere: Proving, how: str) -> None:
    mark = f"97.{time.monotonic_ns() % 10**9}"
    if how == "terminated":
        worker = Process(anywhere)
        worker.give(long_order(anywhere, mark))
        worker.until(kind="phase", text="at work")
        worker.popen.send_signal(signal.SIGTERM)
        assert result(worker.until(kind="result")).failure_mode == "interrupted"
        assert worker.popen.wait(10) == 0
    else:
        _orphan(anywhere, mark)
    assert gone(mark)


def _orphan(here: Proving, mark: str) -> None:
    """Start a worker under a parent, give it a trial, and kill the parent."""
    script = """
import subprocess, sys, time
worker = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, text=True, stdout=subprocess.PIPE)
worker.stdin.write(sys.argv[1] + "\\n"); worker.stdin.flush()
for line in worker.stdout: print(line, end="", flush=True)
"""
    order = long_order(here, mark).model_dump_json()
    words = [sys.executable, "-P", "-m", "autoloop.suites.worker", str(here.bench), "--root", str(here.root)]
    with subprocess.Popen(
        [sys.executable, "-c", script, order, *words], stdout=subprocess.PIPE, text=True, env=here.environ
    ) as parent:
        assert parent.stdout
        next(line for line in parent.stdout if "at work" in line)
        assert sleepers(f"sleep {mark}")
        parent.kill()


def test_a_worker_that_was_killed_leaves_nothing_that_a_sweep_does_not_find(anywhere: Proving) -> None:
    mark = f"98.{time.monotonic_ns() % 10**9}"
    worker = Process(anywhere)
    order = long_order(anywhere, mark).model_copy(update={"bench_id": f"bench-{mark}"})
    worker.give(order)
    worker.until(kind="phase", text="at work")
    worker.popen.kill()
    worker.popen.wait()
    if anywhere.tier != "bwrap":
        assert sleepers(f"sleep {mark}") and process.sweep_run(f"bench-{mark}")
    assert gone(mark), "under bubblewrap they die with it"
    again = anywhere.run("ls -A; echo hello > out.txt", task(plain()))
    assert again.passed and anywhere.record("output.txt") == "", "the next try begins afresh"


def test_a_half_done_order_ends_it_with_its_reason(tmp_path: Path) -> None:
    here = Proving(tmp_path)
    worker = Process(here)
    assert worker.popen.stdin
    worker.popen.stdin.write('{"kind": "order"}\n')
    worker.popen.stdin.flush()
    assert worker.popen.wait(10) == 1


def test_an_agent_that_prints_does_not_speak_for_the_worker(tmp_path: Path) -> None:
    here = Proving(tmp_path)
    (here.root / "loud.py").write_text(
        'class Loud:\n    def run(self, task, on_progress):\n        print(\'{"kind": "result"}\')\n'
        "        from autoloop.core.session import Session\n        return Session(seconds=0.0)\n"
    )
    (here.root / "autoloop.toml").write_text('[profiles.loud]\nagent = "loud:Loud"\n')
    here.environ["PYTHONPATH"] = str(here.root)
    worker = Process(here)
    worker.give(here.order("loud", task(plain())))
    assert result(worker.until(kind="result")).failure_mode == "no_change"
    worker.end()


def test_a_signal_to_everybody_is_no_failure_of_the_agent(anywhere: Proving) -> None:
    """What a supervisor does that ends a whole unit."""
    worker = Process(anywhere)
    mark = "8.7654"
    worker.give(anywhere.order(anywhere.profile(f"echo at work; sleep {mark}"), task(plain("false"))))
    worker.until(kind="phase", text="at work")
    until = time.monotonic() + 5
    while not any(p.info["cmdline"] == ["sleep", mark] for p in psutil.process_iter(["cmdline"])):
        assert time.monotonic() < until
        time.sleep(0.02)
    for child in psutil.Process(worker.popen.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGINT)
    worker.popen.send_signal(signal.SIGINT)
    told = result(worker.until(kind="result"))
    assert (told.outcome, told.failure_mode, told.reward) == (Outcome.ERROR, "interrupted", None)
    assert worker.end() == 0


def test_who_ends_itself_by_a_signal_has_failed(anywhere: Proving) -> None:
    worker = Process(anywhere)
    worker.give(anywhere.order(anywhere.profile("kill -TERM $$; sleep 9"), task(plain("false"))))
    alone = result(worker.until(kind="result"))
    assert (alone.outcome, alone.failure_mode) == (Outcome.FAIL, "exited")
    assert worker.end() == 0
