"""Commands with real processes: what ends them, what they leave behind, what they cost."""

import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from autoloop.process import Finished, absolute_paths, executable, run, start, start_detached, sweep_run
from autoloop.process.reaper import Child

SOON = 30.0
"""Seconds in which whatever does not wait for a sleep of 60 is over, on the busiest machine."""
linux = pytest.mark.skipif(sys.platform != "linux", reason="orphans come to us on Linux only")


class Shell:
    """Runs bash scripts in a directory, and finds the processes that carry its tag in their command line."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.tag = f"tag{uuid.uuid4().hex}"
        self.env = {**os.environ, "TAG": self.tag, "PYTHON": sys.executable}

    def __call__(self, script: str, **options: Any) -> Finished:
        return run(["bash", "-c", script], cwd=self.home, env=self.env, **options)

    def alive(self, tag: str = "") -> list[int]:
        """Living processes with the tag; a zombie has no command line."""
        return [pid for pid in psutil.pids() if self._tagged(pid, tag or self.tag)]

    def _tagged(self, pid: int, tag: str) -> bool:
        try:
            return any(tag in word for word in psutil.Process(pid).cmdline())
        except psutil.Error:
            return False

    def wait_for(self, tag: str = "", count: int = 1) -> list[int]:
        until = time.monotonic() + SOON
        while time.monotonic() < until:
            if len(found := self.alive(tag)) >= count:
                return found
            time.sleep(0.01)
        raise AssertionError("it did not start")

    def wait_for_file(self, name: str, ready: Callable[[Path], bool] = Path.exists) -> None:
        until = time.monotonic() + SOON
        while not ready(self.home / name):
            assert time.monotonic() < until, f"no {name}"
            time.sleep(0.01)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    for pid in shell.alive():
        os.kill(pid, signal.SIGKILL)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def test_a_command_gives_its_output_and_exit_code(shell: Shell) -> None:
    done = shell("echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.exit_code, done.strays) == ("out\n", "err\n", 3, 0)
    assert not done.ok
    assert shell("pwd").stdout.strip() == str(shell.home)
    assert shell("true").ok


def test_death_by_a_signal_is_a_negative_exit_code(shell: Shell) -> None:
    done = shell("kill -SEGV $$")
    assert done.exit_code == -signal.SIGSEGV
    assert not (done.timed_out or done.idle or done.cancelled)


def test_a_missing_executable_is_127_and_a_forbidden_one_126(shell: Shell) -> None:
    missing = run(["no-such-command", "-x"], cwd=shell.home, env=shell.env)
    assert missing.exit_code == 127
    assert missing.stderr == "no-such-command: No such file or directory\n"
    (shell.home / "plain").write_text("text")
    for refused in ("./plain", shell.home):
        done = run([refused], cwd=shell.home, env=shell.env)
        assert done.exit_code == 126
        assert "Permission denied" in done.stderr


def test_a_missing_directory_is_not_taken_for_a_missing_executable(shell: Shell) -> None:
    with pytest.raises(FileNotFoundError):
        run(["true"], cwd=shell.home / "gone", env=shell.env)


def test_standard_input_is_empty(shell: Shell) -> None:
    assert shell("cat; echo end", deadline=5).stdout == "end\n"


def test_a_deadline_ends_every_process_at_once(shell: Shell) -> None:
    done = shell("echo begun; (exec -a $TAG sleep 60) & setsid bash -c 'exec -a $TAG sleep 60' & wait", deadline=1)
    assert done.timed_out
    assert not done.ok
    assert done.stdout == "begun\n"
    assert done.exit_code == -signal.SIGTERM
    assert 1 <= done.seconds < SOON
    assert not shell.alive()


def test_signals_escalate_from_the_first_to_sigkill(shell: Shell) -> None:
    script = "trap 'echo int' INT; trap 'echo term' TERM; while :; do read -t 0.01 <> <(:); done"
    done = shell(script, deadline=1, grace=0.5, first_signal=signal.SIGINT)
    assert done.stdout.split() == ["int", "term"]
    assert done.exit_code == -signal.SIGKILL
    assert 1.95 < done.seconds < SOON
    assert shell(script, deadline=1, grace=0.5).stdout.split() == ["term"]


def test_what_a_command_says_while_it_is_ending_is_heard(shell: Shell) -> None:
    script = "trap 'head -c 300000 /dev/zero; echo cost=7; exit 1' INT; while :; do sleep 0.02; done"
    done = shell(script, deadline=1, grace=SOON, first_signal=signal.SIGINT)
    assert done.stdout.endswith("cost=7\n")
    assert done.exit_code == 1
    assert done.timed_out


def test_silence_ends_a_command_and_output_keeps_it(shell: Shell) -> None:
    silent = shell("echo a; sleep 60", idle=1)
    assert (silent.idle, silent.timed_out, silent.stdout) == (True, False, "a\n")
    assert silent.seconds < SOON
    assert shell("for i in 1 2 3 4 5 6; do sleep 0.5; echo . >&2; done", idle=2.5).ok


def test_a_command_is_cancelled_from_outside(shell: Shell) -> None:
    begun = time.monotonic()
    done = shell("yes", cancelled=lambda: time.monotonic() > begun + 0.3)
    assert done.cancelled
    assert done.seconds < SOON


def test_cancelled_is_asked_about_ten_times_a_second(shell: Shell) -> None:
    asked: list[float] = []
    shell("timeout 1 yes", cancelled=lambda: bool(asked.append(time.monotonic())))
    assert len(asked) >= 2
    assert min(later - earlier for earlier, later in itertools.pairwise(asked)) > 0.09


def test_a_child_that_holds_the_output_open_delays_nothing(shell: Shell) -> None:
    done = shell("(exec -a $TAG sleep 60) & echo done", deadline=SOON, idle=SOON)
    assert done.ok
    assert done.stdout == "done\n"
    assert done.strays == 1
    assert not shell.alive()


ESCAPES = {  # those that fork without end end by themselves, should the defence fail
    "in the background": "exec -a $TAG sleep 60 &",
    "in a session of its own": "setsid bash -c 'exec -a $TAG sleep 60' &",
    "forked twice": "(setsid bash -c '(exec -a $TAG sleep 60) & disown; exit' & ) ; sleep 0.1",
    "deaf to signals": "setsid bash -c 'trap \"\" TERM INT HUP; exec -a $TAG sleep 60' &",
    "without its environment": "t=$TAG; setsid env -i bash -c 'exec -a $0 sleep 60' $t & sleep 0.1",
    "with a forged mark": "AUTOLOOP_CALL=x setsid bash -c 'exec -a $TAG sleep 60' & sleep 0.1",
    "stopped": "setsid bash -c 'kill -STOP $$; exec -a $TAG sleep 60' $TAG & sleep 0.1",
    "writing without end": "setsid bash -c 'exec -a $TAG yes' &",
    "three sessions deep": """setsid bash -c '
setsid bash -c "setsid sleep 60 & exec -a $TAG sleep 60" & exec -a $TAG sleep 60' & sleep 0.2""",
    "forking on": """setsid $PYTHON -c '
import os, time
end = time.time() + 10
while time.time() < end:
    if os.fork(): os._exit(0)
' $TAG & sleep 0.1""",
    "forking in all directions": """
bomb() { [ $1 = 9 ] || { bomb $(($1 + 1)) & sleep 0.01; bomb $(($1 + 1)) & }; }
: $TAG; bomb 0 & sleep 0.1""",
}


@linux
@pytest.mark.parametrize("how", ESCAPES)
def test_nothing_outlives_its_command(shell: Shell, how: str) -> None:
    before = children()
    done = shell(ESCAPES[how], deadline=SOON)
    assert done.exit_code == 0
    assert done.strays >= 1
    assert not shell.alive()
    assert children() <= before, "a zombie, or somebody left"


@linux
def test_a_deadline_reaches_what_escaped(shell: Shell) -> None:
    before = children()
    done = shell("\n".join([*list(ESCAPES.values())[1:4], "sleep 60"]), deadline=2)
    assert done.timed_out
    assert done.strays == 3
    assert not shell.alive()
    assert children() <= before


@linux
def test_a_command_leaves_the_strays_of_another_alone(shell: Shell) -> None:
    other: list[Finished] = []
    script = "setsid bash -c 'exec -a $TAG.other sleep 60' & until [ -e end ]; do sleep 0.02; done"
    thread = threading.Thread(target=lambda: other.append(shell(script)))
    thread.start()
    shell.wait_for(f"{shell.tag}.other")
    for _ in range(20):
        assert shell("setsid bash -c 'exec -a $TAG.own sleep 60' & sleep 0.01").strays == 1
    assert not shell.alive(f"{shell.tag}.own")
    assert shell.alive(f"{shell.tag}.other")
    (shell.home / "end").touch()
    thread.join()
    assert other[0].strays == 1
    assert not shell.alive()


@linux
def test_many_commands_at_once_each_find_their_own_strays(shell: Shell) -> None:
    before = children()
    found: list[int] = []

    def work() -> None:
        for n in range(10):
            found.append(shell("".join(["setsid bash -c 'exec -a $TAG sleep 60' &"] * (n % 3)) or "true").strays)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found) == 6 * sum(n % 3 for n in range(10))
    assert not shell.alive()
    assert children() <= before


@linux
def test_a_stray_that_nobody_can_tell_apart_goes_with_the_last_command(shell: Shell) -> None:
    script = "touch begun; until [ -e end ]; do sleep 0.02; done"
    thread = threading.Thread(target=lambda: shell(script))
    thread.start()
    shell.wait_for_file("begun")
    shell(ESCAPES["without its environment"])
    assert shell.alive(), "it might have been the other's"
    (shell.home / "end").touch()
    thread.join()
    assert not shell.alive()


def test_processes_started_by_other_means_are_left_alone(shell: Shell) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    quick = subprocess.Popen(["bash", "-c", "exit 7"])
    shell("sleep 0.1; sleep 60 & ")
    assert bystander.poll() is None
    assert quick.wait() == 7, "its exit code was not taken away"
    bystander.kill()
    bystander.wait()


@pytest.mark.parametrize("own_session", [True, False])
def test_what_its_starter_ends_is_left_alone_by_commands(shell: Shell, own_session: bool) -> None:
    thread = threading.Thread(target=lambda: shell("touch begun; until [ -e end ]; do sleep 0.02; done"))
    thread.start()
    shell.wait_for_file("begun")
    options: dict[str, Any] = {"cwd": shell.home, "env": shell.env, "own_session": own_session}
    lasting = start(["bash", "-c", "exec -a $TAG sleep 60"], **options)
    quick = start(["bash", "-c", "exit 7"], **options)
    assert [os.getpgid(lasting.pid), os.getsid(lasting.pid) == lasting.pid] == [lasting.pid, own_session]
    shell.wait_for()
    (shell.home / "end").touch()
    thread.join()
    shell("true")
    assert shell.alive() == [lasting.pid]
    assert quick.wait() == 7, "its exit code was not taken away"
    lasting.kill()
    assert lasting.wait() == -signal.SIGKILL
    shell("true")


def test_no_command_that_ends_meanwhile_takes_a_process_for_its_own(shell: Shell) -> None:
    codes: list[int] = []

    def work() -> None:
        for _ in range(40):
            codes.append(start(["bash", "-c", "exit 7"], cwd=shell.home, env=shell.env).wait())

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        assert shell("true").strays == 0
    assert codes == [7] * 40


def test_a_starter_talks_to_its_process_through_pipes(shell: Shell) -> None:
    words = ["bash", "-c", "read -r line; echo $line; echo $TAG >&2"]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    output, errors = start(words, cwd=shell.home, env=shell.env, **pipes).communicate(b"said\n")
    assert (output, errors) == (b"said\n", f"{shell.tag}\n".encode())


def test_what_is_started_detached_outlives_commands(shell: Shell) -> None:
    thread = threading.Thread(target=lambda: shell("touch begun; until [ -e end ]; do sleep 0.02; done"))
    thread.start()
    shell.wait_for_file("begun")
    with (shell.home / "log").open("wb") as output:
        command = ["bash", "-c", "echo up; exec -a $TAG sleep 60"]
        pid = start_detached(command, cwd=shell.home, env=shell.env, output=output)
    shell.wait_for_file("log", lambda path: path.read_text() == "up\n")
    (shell.home / "end").touch()
    thread.join()
    shell("true")
    assert shell.wait_for() == [pid]
    assert (shell.home / "log").read_text() == "up\n"


@linux
def test_orphans_that_end_while_a_command_runs_are_reaped(shell: Shell) -> None:
    before = children()
    child = Child(["bash", "-c", "(true &); (setsid true &); exec sleep 60"], cwd=shell.home, env=shell.env)
    try:
        until = time.monotonic() + SOON
        while time.monotonic() < until:
            child.tidy()
            # Once it sleeps, all that it starts is started; looked at the other way round, orphans may still come.
            if Path(f"/proc/{child.pid}/cmdline").read_bytes()[:5] == b"sleep" and children() - before == {child.pid}:
                break
            time.sleep(0.01)
        assert children() - before == {child.pid}
    finally:
        child.end()


INNER = """
import os, sys
from pathlib import Path
from autoloop.process import run
run(["bash", "-c", sys.argv[1]], cwd=Path.cwd(), env=dict(os.environ))
"""


@linux
def test_the_strays_of_a_killed_loop_within_a_command_go_too(shell: Shell) -> None:
    shell.env |= {"INNER": INNER, "PYTHONPATH": str(Path(__file__).parents[2])}
    script = """$PYTHON -c "$INNER" 'setsid bash -c "touch up; exec -a $TAG sleep 60" & wait' &
until [ -e up ]; do sleep 0.02; done; kill -9 $!; sleep 0.1"""
    other = Child(["sleep", "60"], cwd=shell.home, env=shell.env)
    try:
        assert shell(script, deadline=SOON).exit_code == 0
        assert not shell.alive()
    finally:
        other.end()


@linux
def test_a_forked_worker_sweeps_for_itself(shell: Shell) -> None:
    parents = Child(["sleep", "60"], cwd=shell.home, env=shell.env)
    try:
        if (worker := os.fork()) == 0:
            try:
                os._exit(shell(ESCAPES["without its environment"]).strays)
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 1
        assert not parents.exited()
    finally:
        parents.end()
    assert not shell.alive()


def test_text_is_bounded_to_its_head_and_its_tail(shell: Shell) -> None:
    done = shell("seq 100000; seq 10 >&2", keep=1000)
    total = len("".join(f"{n}\n" for n in range(1, 100001)))
    head, note, tail = done.stdout.partition(f"\n… {total - 1000} bytes left out …\n")
    assert (len(head), len(tail)) == (500, 500)
    assert note
    assert head.startswith("1\n2\n")
    assert tail.endswith("\n99999\n100000\n")
    assert done.stderr.split() == [str(n) for n in range(1, 11)]


def test_text_that_just_fits_is_whole(shell: Shell) -> None:
    assert shell("printf é%.0s {1..50}", keep=100).stdout == "é" * 50
    assert shell("printf é%.0s {1..51}", keep=100).stdout.count("\n") == 2
    assert shell(r"printf '\377ok'").stdout == "\ufffdok"


def test_every_chunk_is_passed_on_and_logged(shell: Shell) -> None:
    out, err, log = io.BytesIO(), io.BytesIO(), io.BytesIO()

    shell("head -c 300000 /dev/zero; echo e >&2", keep=10, on_stdout=out.write, on_stderr=err.write, log=log)
    assert (len(out.getvalue()), err.getvalue(), len(log.getvalue())) == (300000, b"e\n", 300002)


def test_two_hundred_megabytes_cost_no_memory(shell: Shell) -> None:
    seen = peak = 0

    def count(chunk: bytes) -> None:
        nonlocal seen, peak
        seen += len(chunk)
        if seen % 5_000_000 < len(chunk):
            peak = max(peak, psutil.Process().memory_info().rss)

    before = psutil.Process().memory_info().rss
    done = shell("head -c 200000000 /dev/zero", on_stdout=count)
    assert done.ok
    assert seen == 200_000_000
    assert peak - before < 20_000_000


@linux
def test_an_exception_in_a_callback_leaves_no_process(shell: Shell) -> None:
    def fail(_: bytes) -> None:
        raise ValueError("not JSON")

    before = children()
    with pytest.raises(ValueError, match="not JSON"):
        shell(
            "setsid bash -c 'exec -a $TAG sleep 60' & sleep 0.1; echo x; exec -a $TAG sleep 60",
            on_stdout=fail,
        )
    assert not shell.alive()
    assert children() <= before


@linux
def test_a_keyboard_interrupt_leaves_no_process(shell: Shell) -> None:
    before = children()
    interrupt = threading.Timer(0.3, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        shell("setsid bash -c 'exec -a $TAG sleep 60' & exec -a $TAG sleep 60")
    assert not shell.alive()
    assert children() <= before


def test_two_hundred_commands_leak_no_file(shell: Shell) -> None:
    run(["true"], cwd=shell.home, env=shell.env)
    before = psutil.Process().num_fds()
    for n in range(200):
        run(["true" if n % 2 else "no-such-command"], cwd=shell.home, env=shell.env)
    assert psutil.Process().num_fds() == before


def test_a_command_costs_little_more_than_a_bare_one(shell: Shell) -> None:
    def best(act: Callable[[], object]) -> float:
        times = []
        for _ in range(40):
            begun = time.perf_counter()
            act()
            times.append(time.perf_counter() - begun)
        return min(times)

    bare = best(lambda: subprocess.Popen(["/bin/true"], cwd=shell.home, env=shell.env).wait())
    ours = best(lambda: run(["/bin/true"], cwd=shell.home, env=shell.env))
    assert ours - bare < 0.003


def test_a_resume_sweeps_what_the_killed_loop_left(shell: Shell) -> None:
    mine, theirs = f"run-{uuid.uuid4()}", f"run-{uuid.uuid4()}"
    left = "setsid bash -c 'exec -a $TAG.mine sleep 60' & "
    bare = "setsid bash -c 'env -i sleep 60 & exec -a $TAG.mine sleep 60' & "
    keep = "AUTOLOOP_RUN=$OTHER setsid bash -c 'exec -a $TAG.theirs sleep 60' & "
    loop = subprocess.Popen(
        ["bash", "-c", left + bare + keep + "wait"],
        env={**shell.env, "AUTOLOOP_RUN": mine, "OTHER": theirs},
        stdin=subprocess.PIPE,
    )
    shell.wait_for(f"{shell.tag}.mine", 2)
    shell.wait_for(f"{shell.tag}.theirs")
    loop.kill()
    loop.wait()
    assert sweep_run(mine) == 3
    assert not shell.alive(f"{shell.tag}.mine")
    assert shell.alive(f"{shell.tag}.theirs")
    assert sweep_run(mine) == 0
    assert sweep_run(theirs) == 1


def test_a_sweep_spares_the_process_that_asks_and_its_ancestors(shell: Shell) -> None:
    shell.env |= {"AUTOLOOP_RUN": f"run-{uuid.uuid4()}", "PYTHONPATH": str(Path(__file__).parents[2])}
    sweep = "import os; from autoloop.process import sweep_run; print(sweep_run(os.environ['AUTOLOOP_RUN']))"
    done = shell(f'sleep 60 & $PYTHON -c "{sweep}"; echo still here')
    assert done.stdout == "1\nstill here\n"


def test_commands_end_without_pidfd(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert shell("echo a").stdout == "a\n"
    done = shell("setsid bash -c 'exec -a $TAG sleep 60' & exec -a $TAG sleep 60", deadline=0.5)
    assert done.timed_out
    assert done.seconds < SOON
    assert not shell.alive()


ELSEWHERE = """
import os, sys, psutil
sys.platform = "darwin"
del os.pidfd_open, os.waitid
from pathlib import Path
from autoloop.process import run, sweep_run
script = "setsid bash -c 'exec -a $TAG sleep 60' & (exec -a $TAG sleep 60) & echo up; wait"
done = run(["bash", "-c", script], cwd=Path.cwd(), env=dict(os.environ), deadline=2, first_signal=9)
print(done.timed_out, done.exit_code, done.stdout.strip())
print(run(["bash", "-c", "exit 5"], cwd=Path.cwd(), env=dict(os.environ)).exit_code)
os.spawnlpe(os.P_NOWAIT, "setsid", "setsid", "sleep", "61", {**os.environ, "AUTOLOOP_RUN": os.environ["TAG"]})
print(sweep_run(os.environ["TAG"]))
"""


def test_other_systems_end_the_group_and_known_descendants(shell: Shell) -> None:
    shell.env["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], env=shell.env, cwd=shell.home, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "-9", "up", "5", "1"], done.stderr
    assert not shell.alive()


def test_search_paths_have_no_entry_that_leads_into_a_tree() -> None:
    given = {"PATH": ":./bin:/usr/bin:.:~/bin", "LD_LIBRARY_PATH": ":lib", "PYTHONPATH": "src", "HOME": "~"}
    assert absolute_paths(given) == {"PATH": "/usr/bin", "PYTHONPATH": "src", "HOME": "~"}


def test_a_program_is_not_looked_for_where_it_may_have_been_planted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sh").write_text("#!/bin/sh\n")
    (tmp_path / "sh").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f":.:{os.defpath}")
    found = executable("sh")
    assert found and not Path(found).is_relative_to(tmp_path)
    assert executable("no-such-program") is None
