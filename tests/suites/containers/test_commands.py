"""Commands in a container, without a trial around them: how they end, and what of them can be seen."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from autoloop import process
from autoloop.core.suite.tasks import Container
from autoloop.ports import Cell, Room
from autoloop.suites.containers.container import Box
from autoloop.suites.containers.engine import BuiltImage, Engine
from autoloop.suites.containers.sandbox import ContainerSandbox

pytestmark = pytest.mark.containers


@pytest.fixture
def room(base: str, engine: Engine, tmp_path: Path) -> Iterator[Room]:
    """Of a container with an empty workdir."""
    name = f"autoloop-test-{os.getpid()}"
    told = Engine(engine.program, {**engine.environ, "DOCKER_AUTH_CONFIG": "a-secret"})
    box = Box(told, BuiltImage(base, "", ""), name, name, Container(image=base), "/app", lasts=100)
    tree, homes, packets = (tmp_path / name for name in ("tree", "homes", "packets"))
    for folder in (tree, homes, packets):
        folder.mkdir()
    try:
        yield ContainerSandbox(box, homes, packets, homes / "agent").enter(Cell(tree=tree, home=homes / "agent"))
    finally:
        box.remove()


def ran(room: Room, line: str, deadline: float = 20.0) -> process.Finished:
    env = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "a-key", **room.env}
    return process.run([*room.prefix, "bash", "-c", line], cwd=room.cwd, env=env, deadline=deadline)


def waits_for(engine: Engine, words: str, there: bool) -> bool:
    until = time.monotonic() + 6
    while time.monotonic() < until:
        name = f"autoloop-test-{os.getpid()}"
        running = engine.do("look", "exec", name, "bash", "-c", "cat /proc/[0-9]*/cmdline").replace("\0", " ")
        if (words in running) is there:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("deaf", ["", "trap '' TERM INT; "])
def test_what_runs_inside_ends_with_its_command(room: Room, engine: Engine, deaf: str) -> None:
    done = ran(room, f"{deaf}sleep 301 & sleep 302; sleep 303", deadline=1.5)
    assert done.timed_out
    assert waits_for(engine, "sleep 30", there=False)


def test_what_is_to_end_before_it_has_begun_does_not_begin(room: Room) -> None:
    for number in range(10):
        ran(room, f"sleep 0.5; echo > began-{number}", deadline=0.02 * number + 0.02)
    time.sleep(2.5)
    assert list(room.cwd.iterdir()) == []
    assert ran(room, "echo the next").stdout == "the next\n"


def test_a_command_can_end_in_good_order(room: Room) -> None:
    done = ran(room, "trap 'echo good > bye; exit 0' TERM; echo up; while :; do sleep 0.1; done", deadline=1.5)
    assert (done.timed_out, (room.cwd / "bye").read_text()) == (True, "good\n")


def test_exit_codes_and_both_streams_come_through(room: Room) -> None:
    done = ran(room, "echo out; echo err >&2; exit 37")
    assert (done.exit_code, done.stdout, done.stderr) == (37, "out\n", "err\n")
    assert ran(room, "kill -KILL $$").exit_code == 137


def test_no_value_of_a_variable_stands_in_a_command_line(room: Room) -> None:
    me = psutil.Process()
    seen: list[str] = []

    def look(_: bytes) -> None:
        for child in me.children(recursive=True):
            with suppress(psutil.Error):  # it has ended meanwhile
                seen.extend(child.cmdline())

    env = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "a-key", **room.env}
    line = [*room.prefix, "bash", "-c", 'echo "$OPENAI_API_KEY"; env; sleep 0.3']
    done = process.run(line, cwd=room.cwd, env=env, deadline=20, on_stdout=look)
    assert done.stdout.startswith("a-key\n") and "a-secret" not in done.stdout
    assert "OPENAI_API_KEY" in seen and not [word for word in seen if "a-key" in word or "a-secret" in word]


@pytest.mark.parametrize("plant", ["ln -sf /etc/passwd", "mkfifo"])
def test_what_an_agent_puts_in_the_place_of_our_notes_holds_nobody_up(room: Room, plant: str) -> None:
    homes = Path(room.cwd).parent / "homes"
    line = f"for file in {homes}/*.pid; do rm $file; {plant} $file && ls -l $file; done; sleep 300"
    began = time.monotonic()
    done = ran(room, line, deadline=1.5)
    assert done.timed_out and ".pid" in done.stdout
    assert time.monotonic() - began < 8


def test_nothing_moves_while_somebody_looks_from_outside(room: Room, engine: Engine) -> None:
    """A link that comes between the look at a path and its opening would lead out of the workdir."""
    count = room.cwd / "count"
    ran(room, "setsid bash -c 'while :; do echo $((++n)) >> count; done' > /dev/null 2>&1 & sleep 0.5")
    with room.still():
        before = count.stat().st_size
        time.sleep(0.5)
        assert count.stat().st_size == before > 0
    time.sleep(0.5)
    assert count.stat().st_size > before, "and afterwards it goes on"
