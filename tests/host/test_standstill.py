"""Standstills, clocks, signals and starters: what happens to the processes of a run."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from autoloop.core.run.events import Disturbed, RunStopped
from autoloop.host.machine import ThisMachine
from autoloop.process import run
from tests.faults import stand_still, wait_for
from tests.real_run import Checkout

HOUR = 3600.0
PACKAGE = Path(__file__).parent.parent.parent
BETTER = "echo x = $((100 - 10 * n)) > code.py"


class Typed:
    """`autoloop` in a process of its own, as a person starts it."""

    def __init__(self, checkout: Checkout, *words: str, wrapper: tuple[str, ...] = ()) -> None:
        self.popen = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "autoloop", *words],
            cwd=checkout.root,
            env={**os.environ, "PYTHONPATH": str(PACKAGE), "AUTOLOOP_SANDBOX": "none"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def end(self, expect: int = 0) -> str:
        """What it said as an error, once it is over."""
        out, err = self.popen.communicate(timeout=120)
        assert self.popen.returncode == expect, f"{self.popen.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return err


# Standing still


def test_a_pulse_notices_a_stop_and_nothing_else(tmp_path: Path) -> None:
    script = """\
import sys, time
from autoloop.host.standstill import Pulse
with Pulse() as pulse:
    sum(range(30_000_000))
    time.sleep(0.5)
    before = pulse.still()
    print("ready", flush=True)
    sys.stdin.readline()
    print(before, pulse.still())
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PACKAGE
    )
    assert child.stdout and child.stdin and child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    child.send_signal(signal.SIGCONT)
    child.stdin.write("\n")
    child.stdin.flush()
    before, after = map(float, child.stdout.readline().split())
    child.wait(30)
    assert before == 0
    assert 1.5 < after < 60


@pytest.mark.faults
def test_a_sample_across_a_standstill_is_taken_again(checkout: Checkout, tmp_path: Path) -> None:
    """Loop and measurement stopped together, as when a container is paused: the clock of the measurement went on."""
    mark = tmp_path / "mark"
    checkout.configure(rule="paired", calibration_pairs=3, max_pairs=4, max_experiments=1)
    checkout.agent("echo x = 90 > code.py; echo '#' >> code.py")
    checkout.script(
        "measure.sh",
        f"""\
read -r _ _ x < code.py
began=$(date +%s%N)
[ $x = 90 ] && touch {mark}
sleep 0.3
late=$(( ($(date +%s%N) - began) / 1000000 > 1500 ))
echo "{{\\"ms\\": $((x + 1000 * late))}}"
""",
    )
    loop = Typed(checkout, "run", "p", "--seed", "7")
    wait_for(mark.exists)
    stand_still([loop.pid], 2.5)
    loop.end()
    assert checkout.reasons == ["improved"]
    assert checkout.row(1).metric == 90
    stopped = [event for event in checkout.events if isinstance(event, Disturbed)]
    assert stopped and sum(event.still for event in stopped) > 1.5
    assert "stood still" in stopped[0].why


@pytest.mark.faults
def test_a_loop_that_was_stopped_blames_nobody_for_the_time(checkout: Checkout, tmp_path: Path) -> None:
    """Its deadlines passed meanwhile: of a measurement, and of an agent that was heard all the time."""
    mark = tmp_path / "mark"
    checkout.configure(measurement_timeout=2500, agent_idle_timeout=2500, max_experiments=1)
    checkout.agent(f"touch {mark}.agent; for i in 1 2 3 4 5 6 7 8; do sleep 0.5; echo $i; done; echo x = 90 > code.py")
    checkout.measure(f"[ $x = 90 ] && touch {mark}; sleep 0.8", 'echo "METRIC ms=$x"')
    loop = Typed(checkout, "run", "p", "--seed", "7")
    for name in (f"{mark}.agent", mark):
        wait_for(Path(name).exists)
        os.kill(loop.pid, signal.SIGSTOP)
        time.sleep(3.5)
        os.kill(loop.pid, signal.SIGCONT)
    loop.end()
    assert checkout.reasons == ["improved"]


def test_a_deadline_counts_only_time_in_which_it_could_be_seen(tmp_path: Path) -> None:
    script = f"""\
import os
from pathlib import Path
from autoloop.process import run
done = run(["bash", "-c", "touch up; sleep 2"], cwd=Path({str(tmp_path)!r}), env=dict(os.environ), deadline=3)
print(done.ok, round(done.seconds, 1))
"""
    child = subprocess.Popen([sys.executable, "-c", script], cwd=PACKAGE, stdout=subprocess.PIPE, text=True)
    wait_for((tmp_path / "up").exists)
    stand_still([child.pid], 4.0)
    out, _ = child.communicate(timeout=60)
    ok, seconds = out.split()
    assert ok == "True"
    assert float(seconds) < 3.5


# Clocks


def test_a_step_of_the_clock_is_no_time_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [0.0]
    steady = itertools.count(100.0).__next__
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0 + steps[0])
    machine = ThisMachine(steady=steady)
    first = machine.now()
    steps[0] = HOUR
    second = machine.now()
    steps[0] = -HOUR
    third = machine.now()
    assert (first, second, third) == (1_000_001.0, 1_000_002.0, 1_000_003.0)


# Signals


def test_two_requests_to_terminate_are_one(checkout: Checkout, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    checkout.agent(f"touch {mark}; trap '' INT TERM; sleep 30 & wait; wait; sleep 30")
    loop = Typed(checkout, "run", "p", "--seed", "7")
    wait_for(mark.exists)
    for _ in range(3):
        os.kill(loop.pid, signal.SIGTERM)
        time.sleep(0.2)
    loop.end(expect=130)
    last = checkout.events[-1]
    assert isinstance(last, RunStopped) and last.reason == "aborted"
    assert checkout.reasons == ["interrupted"]
    checkout.agent(BETTER)
    assert checkout.resume().summary.experiments == 3


def test_a_hangup_is_ignored_where_it_was_ignored_before(checkout: Checkout, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    checkout.agent(f"touch {mark}; sleep 0.7; {BETTER}")
    loop = Typed(checkout, "run", "p", "--seed", "7", wrapper=("nohup",))
    wait_for(mark.exists)
    os.kill(loop.pid, signal.SIGHUP)
    loop.end()
    assert checkout.reasons == ["improved"] * 3


def test_a_detached_run_outlives_the_terminal_that_started_it(checkout: Checkout, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    checkout.agent(f"touch {mark}; sleep 0.7; {BETTER}")
    starter = Typed(checkout, "run", "p", "--seed", "7", "--detach")
    starter.end()
    wait_for(mark.exists)
    with suppress(ProcessLookupError):
        os.killpg(starter.pid, signal.SIGHUP)
    wait_for(lambda: checkout.status()["stop_reason"])
    assert checkout.reasons == ["improved"] * 3


# Memory


@pytest.mark.parametrize(("script", "said"), [
    ("kill -9 $$", "measure.sh was killed by SIGKILL, as the system does when memory runs out"),
    ("bash -c 'kill -9 $$'; exit $?", "exit code 137 (killed by SIGKILL, as the system does when memory runs out)"),
    ("ulimit -v 200000; python3 -c 'bytearray(1 << 30)'", "MemoryError"),
])  # fmt: skip
def test_a_measurement_that_runs_out_of_memory_says_so(checkout: Checkout, script: str, said: str) -> None:
    checkout.agent(BETTER)
    checkout.measure(f"[ $x = 80 ] && {{ {script} || exit 1; }}", 'echo "METRIC ms=$x"')
    checkout.run()
    assert checkout.reasons == ["improved", "measurement_failed", "improved"]
    assert said in checkout.row(2).why


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux only")
def test_memory_that_runs_out_takes_what_is_measured_before_the_loop(tmp_path: Path) -> None:
    done = run(["bash", "-c", "sleep 0.1; bash -c 'cat /proc/self/oom_score_adj'"], cwd=tmp_path, env=dict(os.environ))
    ours = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(done.stdout) >= max(500, ours)


# Two at once


def started_together(checkout: Checkout, *lines: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """What became of some command lines that were typed at the same instant."""
    begun = [Typed(checkout, *words) for words in lines]
    for typed in begun:
        _, err = typed.popen.communicate(timeout=120)
        assert "Traceback" not in err
        yield typed.popen.returncode, err


@pytest.mark.faults
@pytest.mark.parametrize("how", ["run", "resume", "both"])
def test_of_those_that_start_at_once_one_goes_on_and_the_others_say_why(checkout: Checkout, how: str) -> None:
    checkout.agent(BETTER)
    new, on = ("run", "p", "--seed", "7"), ("run", "p", "--resume", "--max-experiments", "3")
    if how != "run":
        checkout.run(limits={"max_experiments": 1})
    # Longer than anybody waits for a lock, wherever the others are by then.
    checkout.agent(f"sleep 3; {BETTER}")
    lines = {"run": (new, new), "resume": (on, on, on), "both": (on, new)}[how]
    answers = sorted(started_together(checkout, *lines))
    assert [code for code, _ in answers] == [0, *[2] * (len(lines) - 1)]
    for _, said in answers[1:]:
        assert "already running" in said or "held by another process" in said
        assert len(said.strip().splitlines()) == 2
    runs = list((checkout.root / ".autoloop/runs/p").glob("*/journal.jsonl"))
    assert len(runs) == (1 if how == "run" else len(runs))
    for journal in runs:
        numbers = [json.loads(line).get("experiment") for line in journal.read_text().splitlines()]
        decided = [n for line, n in zip(journal.read_text().splitlines(), numbers, strict=True) if '"decided"' in line]
        assert decided == sorted(set(decided)), "no experiment was decided twice"
