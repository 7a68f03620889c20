"""Validation in a sandbox: what the sandbox takes from a measurement is told, with the field that gives it back."""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from autoloop.config.programs import load_program
from autoloop.core.validation.bisect import fewest
from autoloop.errors import AutoloopError
from autoloop.runs.confine import sandbox_for
from autoloop.runs.context import RunContext
from autoloop.sandbox import permissions
from tests.real_git import commit_all, write
from tests.real_run import Checkout
from tests.runs.test_validate import left, refused, validate
from tests.sandbox.test_sandbox import dial, free_port, listening

WITHOUT = "the code as it is can be measured without the sandbox, and not in it: "
PYTHON = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def _confined(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every checkout is validated under bubblewrap, with an interpreter at hand."""
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "bwrap")
    monkeypatch.setenv("PATH", f"{PYTHON}:{os.environ['PATH']}")
    program = load_program(checkout.root, checkout.program)
    try:
        sandbox_for("bwrap", RunContext.at(checkout.root, os.environ, lambda sign: None), program)
    except AutoloopError as error:
        pytest.skip(error.message)
    yield


def test_a_program_that_needs_nothing_is_validated_in_the_sandbox(checkout: Checkout) -> None:
    before = left(checkout)
    found = validate(checkout)
    assert (found.sandbox, found.warnings, found.values) == ("bwrap", (), (100, 100, 100))
    assert "sandbox bwrap" in found.lines()[0] and found.as_dict()["sandbox"] == "bwrap"
    assert left(checkout) == before


def test_a_lack_of_network_points_at_measure_network(checkout: Checkout) -> None:
    address = ("127.0.0.1", free_port())
    ask = f"exec 3<> /dev/tcp/{address[0]}/{address[1]} || exit 1"
    checkout.measure(ask, "echo METRIC ms=$x")
    before = left(checkout)
    with listening(address, socket.AF_INET):
        error = refused(checkout)
        assert error.message.startswith(f"{WITHOUT}measure.sh ended with exit code 1")
        assert error.hint == 'It needs the network: set `measure_network = "on"`.'
        assert left(checkout) == before
        checkout.configure(measure_network="on")
        assert validate(checkout).values == (100, 100, 100)


def test_a_debugger_points_at_measure_tracing(checkout: Checkout) -> None:
    trace = "python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(0, 0, 0, 0) != 0)' || exit 4"
    checkout.measure(trace, "echo METRIC ms=$x")
    error = refused(checkout)
    assert error.message.startswith(WITHOUT)
    assert error.hint == "It traces processes, or makes namespaces: set `measure_tracing = true`."
    checkout.configure(measure_tracing=True)
    assert validate(checkout).values == (100, 100, 100)


def test_a_sandbox_within_points_at_measure_tracing(checkout: Checkout) -> None:
    checkout.measure("bwrap --ro-bind / / --unshare-user --unshare-pid true || exit 4", "echo METRIC ms=$x")
    error = refused(checkout)
    assert error.message.startswith(WITHOUT) and "uid map" in error.message
    assert error.hint == "It traces processes, or makes namespaces: set `measure_tracing = true`."
    checkout.configure(measure_tracing=True)
    assert validate(checkout).values == (100, 100, 100)


@pytest.mark.skipif(os.geteuid() != 0, reason="it works for ordinary users")
def test_a_sandbox_within_that_mounts_proc_is_told_that_root_cannot(checkout: Checkout) -> None:
    checkout.measure("bwrap --ro-bind / / --unshare-pid --proc /proc true || exit 4", "echo METRIC ms=$x")
    error = refused(checkout)
    assert error.message.startswith(WITHOUT)
    assert error.hint.startswith("It makes a sandbox of its own") and "a user other than root" in error.hint


def test_services_that_cannot_be_reached_point_at_the_loopback(checkout: Checkout) -> None:
    port = free_port()
    serve = f"import socket\ns = socket.create_server(('127.0.0.1', {port}))\nwhile True: s.accept()[0].send(b'x')"
    write(checkout.program, {"serve.py": serve})
    wait = (
        f"for n in 1 2 3 4 5 6 7 8 9; do (exec 3<> /dev/tcp/127.0.0.1/{port}) 2> /dev/null && exit 0; sleep 0.1; done"
    )
    start = 'start) python "$AUTOLOOP_PROGRAM_DIR/serve.py" > /dev/null 2>&1 & '
    checkout.script("services.sh", f"case $1 in {start}{wait} ;; esac\n")
    checkout.measure(f"exec 3<> /dev/tcp/127.0.0.1/{port} || exit 1", "echo METRIC ms=$x")
    assert '`measure_network = "loopback"`' in refused(checkout).hint
    checkout.configure(measure_network="loopback")
    assert validate(checkout).values == (100, 100, 100)


def test_a_file_at_home_points_at_read_paths(checkout: Checkout) -> None:
    write(Path.home(), {"sets/corpus.txt": "7\n", "other/a.txt": "", "letters/b.txt": "", ".dotted/c": ""})
    checkout.measure("read -r y < ~/sets/corpus.txt || exit 3", "echo METRIC ms=$((x + y))")
    error = refused(checkout)
    assert error.message.startswith(WITHOUT) and "sets/corpus.txt: No such file" in error.message
    assert error.hint == 'Add "~/sets" to `read_paths`.'
    checkout.configure(read_paths=["~/sets"])
    assert validate(checkout).values == (107, 107, 107)


def test_what_fails_without_a_word_is_found_by_trials(checkout: Checkout) -> None:
    """Two places at once, one of them dotted, and nothing in the error tells which."""
    folders = [f"{name}/data" for name in ("a", "b", "c", "d", "e", ".f", ".g", ".h")]
    write(Path.home(), dict.fromkeys(folders, "1\n"))
    checkout.measure("cat ~/c/data ~/.g/data > /dev/null 2>&1 || exit 3", "echo METRIC ms=$x")
    assert refused(checkout).hint in ('Add "~/c", "~/.g" to `read_paths`.', 'Add "~/.g", "~/c" to `read_paths`.')


def test_a_file_among_other_peoples_points_at_read_paths(checkout: Checkout, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {"corpus.txt": "7\n"})
    checkout.measure(f"cat {tmp_path}/elsewhere/corpus.txt > /dev/null 2>&1 || exit 3", "echo METRIC ms=$x")
    assert refused(checkout).hint == f'Add "{tmp_path}/elsewhere" to `read_paths`.'


def test_a_crowded_place_does_not_hide_the_way_to_home(checkout: Checkout) -> None:
    """As of a `/tmp` with hundreds of entries, in which a home lies."""
    crowd = Path.home().parent
    write(crowd, {f"entry-{number}": "" for number in range(permissions.CROWDED + 1)})
    write(Path.home(), {"sets/corpus.txt": "7\n"})
    checkout.measure("read -r y < ~/sets/corpus.txt || exit 3", "echo METRIC ms=$((x + y))")
    assert refused(checkout).hint == 'Add "~/sets" to `read_paths`.'


def test_an_absolute_path_to_what_the_checkout_alone_has_points_at_share_paths(checkout: Checkout) -> None:
    write(checkout.root, {".gitignore": "data/\n.venv/\n", "data/corpus.txt": "7\n", ".venv/x": ""})
    commit_all(checkout.root)
    checkout.measure(f"read -r y < {checkout.root}/data/corpus.txt || exit 1", "echo METRIC ms=$((x + y))")
    assert refused(checkout).hint == 'Add "data" to `share_paths`.'
    checkout.configure(share_paths=["data"])
    assert validate(checkout).values == (107, 107, 107)


def test_a_socket_points_at_sockets(checkout: Checkout) -> None:
    path = Path.home() / "s.sock"
    checkout.measure(f'test "$({dial("AF_UNIX", str(path))}\n)" = hello || exit 1', "echo METRIC ms=$x")
    with listening(str(path), socket.AF_UNIX):
        assert refused(checkout).hint == 'Add "~/s.sock" to `sockets`.'
        checkout.configure(sockets=["~/s.sock"])
        assert validate(checkout).values == (100, 100, 100)


def test_a_device_points_at_devices(checkout: Checkout) -> None:
    usual = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
    others = [path for path in sorted(Path("/dev").iterdir()) if path.is_char_device() and path.name not in usual]
    device = next((path for path in others if not path.name.startswith(("tty", "vcs"))), None)
    if device is None:
        pytest.skip("this machine has no other device")
    checkout.measure(f"test -c {device} || exit 1", "echo METRIC ms=$x")
    assert f'"{device}" to `devices`' in refused(checkout).hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write to most places")
def test_writing_outside_of_the_tree_is_told_apart(checkout: Checkout) -> None:
    place = Path("/var/lib/autoloop-test")
    place.mkdir()
    try:
        checkout.measure(f"echo $x >> {place}/log || exit 1", "echo METRIC ms=$x")
        error = refused(checkout)
        assert error.message.startswith("a script of the program writes outside of its tree, to /var/lib: measure.sh")
        assert "$AUTOLOOP_SAMPLE_DIR" in error.hint
    finally:
        (place / "log").unlink(missing_ok=True)
        place.rmdir()


def test_a_build_that_fails_in_the_sandbox_is_told_in_the_same_way(checkout: Checkout) -> None:
    write(Path.home(), {"sets/corpus.txt": "7\n"})
    checkout.script("build.sh", "cp ~/sets/corpus.txt built\n")
    checkout.measure("echo METRIC ms=$x")
    error = refused(checkout)
    assert error.message.startswith(f"{WITHOUT}build.sh ended") and error.hint == 'Add "~/sets" to `read_paths`.'


def test_so_is_a_preparation(checkout: Checkout) -> None:
    write(Path.home(), {"sets/corpus.txt": "7\n"})
    checkout.script("prepare.sh", "mkdir -p made; cp ~/sets/corpus.txt made/\n")
    checkout.configure(cache_paths=["made"])
    checkout.measure("read -r y < made/corpus.txt", "echo METRIC ms=$((x + y))")
    before = left(checkout)
    error = refused(checkout)
    assert error.message.startswith(f"{WITHOUT}prepare.sh ended") and error.hint == 'Add "~/sets" to `read_paths`.'
    assert left(checkout) == before


def test_what_no_field_gives_back_is_said(checkout: Checkout) -> None:
    checkout.measure(f"test -e /proc/{os.getpid()}/stat || exit 1", "echo METRIC ms=$x")
    error = refused(checkout)
    assert error.message.startswith(WITHOUT) and "No field lets through what it needs" in error.hint


def test_what_fails_in_every_tree_is_no_fault_of_the_sandbox(checkout: Checkout) -> None:
    write(checkout.root, {".gitignore": "data/\n", "data/corpus.txt": "7\n"})
    commit_all(checkout.root)
    checkout.measure("read -r y < data/corpus.txt || exit 1", "echo METRIC ms=$((x + y))")
    assert "works in the checkout, and not in a tree made from HEAD" in refused(checkout).message


def test_a_metric_that_is_another_one_in_the_sandbox_is_warned_of(checkout: Checkout) -> None:
    """As of a model that falls back to the slow processor where it finds no fast one."""
    write(Path.home(), {"fast/engine": "", "other/engine": ""})
    checkout.measure("test -e ~/fast/engine || x=$((x * 50))", "echo METRIC ms=$x")
    found = validate(checkout)
    assert found.values == (5000, 5000, 5000)
    assert found.warnings == ('ms is 100 without the sandbox and 5000 in it. Add "~/fast" to `read_paths`.',)


def test_a_failure_that_goes_away_by_itself_is_not_blamed_on_the_sandbox(checkout: Checkout) -> None:
    """The seeds stand for chance: of the checkout, of a trial, of a first sample."""
    checkout.measure("case $AUTOLOOP_SEED in 0|1) ;; *) exit 1 ;; esac", "echo METRIC ms=$x")
    assert "fails and then works" in refused(checkout).message


@pytest.mark.parametrize("needed", [[3], [0, 7], [7], [0, 1, 2], [2, 5, 6]])
def test_the_fewest_are_found_by_halves(needed: list[int]) -> None:
    asked: list[Sequence[int]] = []

    def works(chosen: Sequence[int]) -> bool:
        asked.append(chosen)
        return set(needed) <= set(chosen)

    assert sorted(fewest(range(64), works)) == needed
    assert len(asked) <= 7 * len(needed)


def test_when_it_is_late_what_is_in_question_is_named() -> None:
    assert fewest([1, 2, 3, 4], lambda chosen: True, lambda: True) == [1, 2, 3, 4]
