"""A sandbox inside of a sandbox: what `auto` comes to in a cell that measures, tier by tier and user by user."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from autoloop import process
from autoloop.git.walk import remove
from autoloop.ports import Cell
from autoloop.sandbox import restrict
from autoloop.sandbox.bwrap import BwrapSandbox
from tests.attacks.theatre import NOBODY, environment, users, why_not, words
from tests.within import place_in


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place that other users can enter."""
    made = Path(tempfile.mkdtemp(prefix="autoloop-within-"))
    yield made
    remove(os.fsencode(made))


def chosen_within(outer: str, tracing: bool, user: str, folder: Path) -> dict[str, Any]:
    """What comes of a choice inside of a cell of the outer tier."""
    if why := why_not(outer, user):
        pytest.skip(why)
    return chosen([*words(user), "-m", "tests.within", outer, str(tracing), str(folder)], user, folder)


def chosen(command: Sequence[str], user: str, folder: Path) -> dict[str, Any]:
    """What a choice comes to."""
    if user == "user":
        os.chown(folder, NOBODY, NOBODY)
    env = {**environment(), "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        pytest.fail(f"{done.stdout}\n{done.stderr}")
    return found


@pytest.mark.parametrize("user", users())
@pytest.mark.parametrize(("outer", "tracing"), [("bwrap", False), ("bwrap", True), ("landlock", True)])
def test_the_best_sandbox_that_works_inside_of_one_is_chosen(
    outer: str, tracing: bool, user: str, folder: Path
) -> None:
    found = chosen_within(outer, tracing, user, folder)
    with_namespaces = (outer, tracing) == ("bwrap", True)
    assert found["tier"] == ("bwrap" if with_namespaces else "landlock" if restrict.abi() else "none")
    assert ("/proc of what is around" in found["warning"]) is (with_namespaces and user == "root")
    if found["tier"] != "none":
        assert (found["said"], found["kept"]) == (["worked", ""], True)


@pytest.mark.parametrize("user", users())
def test_it_is_told_apart_from_a_machine_without_bubblewrap(user: str, folder: Path) -> None:
    found = chosen_within("bwrap", False, user, folder)
    assert "sandbox of autoloop" in found["warning"] and "measure_tracing" in found["warning"]
    assert "Docker" not in found["warning"]


COVERED = 'mount -t tmpfs -o ro none /proc/fs && exec "$@"'
"""What container engines do to /proc."""


@pytest.mark.skipif(os.geteuid() != 0, reason="covering parts of /proc takes root")
@pytest.mark.parametrize("user", users())
def test_where_proc_is_covered_the_one_around_serves(user: str, folder: Path) -> None:
    if why := why_not("bwrap", user):
        pytest.skip(why)
    found = chosen(["unshare", "--mount", "sh", "-c", COVERED, "-", *words(user), "-m", "tests.within"], user, folder)
    assert (found["tier"], found["said"], found["kept"]) == ("bwrap", ["worked", ""], True)
    assert "/proc of what is around" in found["warning"]


def test_numbers_of_the_proc_around_are_taken_for_nobody(folder: Path) -> None:
    """Else a sweep, or the end of a command, would signal whoever has such a number here."""
    if why := why_not("bwrap", users()[0]):
        pytest.skip(why)
    places, cache = place_in(folder)
    room = BwrapSandbox(places, own_proc=False).enter(Cell(cache / "tree", cache / "home"))
    script = (
        "import os; from pathlib import Path; from autoloop import process; from autoloop.process import proctable\n"
        "print(proctable.look(1), proctable.look(os.getpid()), proctable.marked('PATH=/usr/bin:/bin', set()))\n"
        "done = process.run(['sh', '-c', 'sleep 60'], cwd=Path.cwd(), env=os.environ, deadline=0.2, grace=0.2)\n"
        "print(done.timed_out, done.exit_code)"
    )
    env = {**environment(), **room.env}
    done = process.run([*room.prefix, sys.executable, "-c", script], cwd=room.cwd, env=env, wrappers=room.wrappers)
    assert done.stdout.splitlines() == ["None None set()", "True -15"], done
