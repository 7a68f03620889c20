"""What a command under Landlock cannot do: real attempts, against the real kernel."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoloop.sandbox import restrict
from tests.landlocked import PRELUDE, SECRET, VERSION, Den

pytestmark = pytest.mark.skipif(not VERSION, reason="this kernel has no Landlock")


@pytest.fixture
def den(tmp_path: Path) -> Den:
    return Den(tmp_path)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user, outside."""
    with subprocess.Popen(["sleep", "60"], env={"PRIVATE": SECRET, "PATH": os.environ["PATH"]}) as process:
        yield process
        process.kill()


CHANGES = {
    "write": "open(sys.argv[1], 'w')",
    "append": "open(sys.argv[1], 'a')",
    "empty it while opening it": "os.open(sys.argv[1], os.O_RDONLY | os.O_TRUNC)",
    "remove": "os.remove(sys.argv[1])",
    "remove its directory": "os.rename(os.path.dirname(sys.argv[1]), 'mine')",
    "move out": "os.rename(sys.argv[1], 'mine')",
    "move over": "open('mine', 'w').close(); os.rename('mine', sys.argv[1])",
    "link and write": "os.link(sys.argv[1], 'mine'); open('mine', 'w')",
    "write through a symlink": "os.symlink(sys.argv[1], 'mine'); open('mine', 'w')",
    "write through the root of this process": "open('/proc/self/root' + sys.argv[1], 'w')",
    "write through the root of the parent": "open(f'/proc/{os.getppid()}/root{sys.argv[1]}', 'w')",
    "make a file beside it": "open(sys.argv[1] + '.new', 'w')",
    "make a directory beside it": "os.mkdir(sys.argv[1] + '.new')",
    "make a pipe beside it": "os.mkfifo(sys.argv[1] + '.new')",
    "make a link beside it": "os.symlink('x', sys.argv[1] + '.new')",
    "make a socket beside it": "socket.socket(socket.AF_UNIX).bind(sys.argv[1] + '.new')",
    "mount over it": "checked(libc.mount(b'tmpfs', os.path.dirname(sys.argv[1]).encode(), b'tmpfs', 0, 0))",
    "mount over it as another user": (
        "checked(libc.unshare(0x10020000))\n"
        "checked(libc.mount(b'tmpfs', os.path.dirname(sys.argv[1]).encode(), b'tmpfs', 0, 0))"
    ),
}


@pytest.mark.parametrize("how", CHANGES)
def test_nothing_outside_can_be_changed(den: Den, how: str) -> None:
    target = Path(f"/{den.victim.relative_to('/')}")
    assert den.attempt(CHANGES[how], target) == "refused"
    assert [path.name for path in den.victim.parent.iterdir()] == ["file"]
    assert den.victim.read_text() == SECRET


@pytest.mark.skipif(VERSION < 3, reason="from version 3 on")
def test_nothing_outside_can_be_emptied(den: Den) -> None:
    assert den.attempt("os.truncate(sys.argv[1], 0)", den.victim) == "refused"
    assert den.victim.read_text() == SECRET


@pytest.mark.parametrize("what", ["data/set", "sealed/measure.sh", ".tool/bin"])
def test_what_is_let_through_can_be_read_and_not_written(den: Den, what: str) -> None:
    place = next(top / what for top in (den.root, den.cache, den.home) if (top / what).exists())
    text, sealed = place.read_text(), den.cache / "sealed"
    assert den.python_says("print(open(sys.argv[1]).read())", place, reads=(sealed,)).strip() == text
    assert den.attempt("open(sys.argv[1], 'w')", place, reads=(sealed,)) == "refused"
    assert den.attempt("os.link(sys.argv[1], 'mine')", place, reads=(sealed,)) == "refused"
    assert place.read_text() == text


READINGS = {
    "by its name": "open(sys.argv[1]).read()",
    "through a symlink": "os.symlink(sys.argv[1], 'mine'); open('mine').read()",
    "through the root of this process": "open('/proc/self/root' + sys.argv[1]).read()",
    "through the root of the parent": "open(f'/proc/{os.getppid()}/root{sys.argv[1]}').read()",
    "through a link": "os.link(sys.argv[1], 'mine'); open('mine').read()",
    "by moving it": "os.rename(sys.argv[1], 'mine'); open('mine').read()",
}


@pytest.mark.parametrize("what", ["home/.keys", "home/.tool/token", "checkout/victim/file", "checkout/data/answers"])
def test_what_is_hidden_or_secret_cannot_be_read(den: Den, what: str) -> None:
    for how, code in READINGS.items():
        assert den.attempt(code, den.folder / what) == "refused", how
        (den.tree / "mine").unlink(missing_ok=True)


def test_a_part_that_is_hidden_from_a_cell_cannot_be_read_in_it(den: Den) -> None:
    sealed = den.cache / "sealed"
    read = "open(sys.argv[1]).read()"
    hides = (sealed / "holdout.sh",)
    assert den.attempt(read, sealed / "holdout.sh", reads=(sealed,), hides=hides) == "refused"
    assert den.attempt(read, sealed / "measure.sh", reads=(sealed,), hides=hides) == "done"
    assert den.attempt(read, sealed / "holdout.sh", reads=(sealed,)) == "done"


def test_what_a_cell_shows_can_be_read_although_it_is_secret(den: Den) -> None:
    answers = den.root / "data/answers"
    assert den.attempt("open(sys.argv[1]).read()", answers, shows=(answers,)) == "done"


def test_the_devices_of_the_machine_are_out_of_reach(den: Den) -> None:
    assert den.attempt("os.mknod('disk', 0o60600, os.makedev(7, 0))") == "refused"
    nodes = [node for node in ("/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/loop0") if os.path.exists(node)]
    for node in nodes:
        assert den.attempt("os.open(sys.argv[1], os.O_RDONLY)", node) == "refused"


def test_a_device_that_is_named_can_be_used(den: Den) -> None:
    node = next((node for node in ("/dev/kmsg", "/dev/fuse", "/dev/net/tun") if os.access(node, os.W_OK)), None)
    if node is None:
        pytest.skip("no device that we may use")
    opening = "os.open(sys.argv[1], os.O_WRONLY)"
    assert den.attempt(opening, node) == "refused"
    assert den.attempt(opening, node, devices=(f"{node[:-1]}?",)) == "done"


@pytest.mark.skipif(VERSION < 6, reason="from version 6 on")
def test_no_process_outside_gets_a_signal(den: Den, bystander: subprocess.Popen[bytes]) -> None:
    for pid in (bystander.pid, os.getpid()):
        assert den.attempt("os.kill(int(sys.argv[1]), 9)", pid) == "refused"
    assert bystander.poll() is None
    assert den.attempt("os.kill(os.getppid(), 0)") == "refused"


def test_no_process_outside_can_be_looked_into(den: Den, bystander: subprocess.Popen[bytes]) -> None:
    pid = bystander.pid
    assert den.attempt("checked(libc.ptrace(16, int(sys.argv[1]), 0, 0))", pid) == "refused"
    for part in ("environ", "mem", "cwd/x", "root/etc/passwd", "fd/0", "ns/mnt", "exe", "maps"):
        assert den.attempt("open(f'/proc/{sys.argv[1]}/{sys.argv[2]}', 'rb')", pid, part) == "refused", part


def test_a_file_that_the_parent_has_open_is_not_ours(den: Den) -> None:
    with den.victim.open("r+") as file:
        path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
        assert den.attempt("open(sys.argv[1], 'w')", path) == "refused"
    assert den.victim.read_text() == SECRET


@pytest.mark.skipif(VERSION < 6, reason="from version 6 on")
def test_abstract_sockets_outside_are_closed(den: Den) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0autoloop-{os.getpid()}")
        server.listen()
        name = f"autoloop-{os.getpid()}"
        assert den.attempt("socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])", name) == "refused"


def test_sockets_in_files_are_closed_as_far_as_landlock_can(den: Den) -> None:
    connect = "socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    with socket.socket(socket.AF_UNIX) as server:
        path = den.home / "s"
        server.bind(str(path))
        server.listen()
        assert den.attempt(connect, path) == ("refused" if VERSION >= 9 else "done")
        assert den.attempt(connect, path, sockets=(f"{den.home}/?",)) == "done"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has them")
def test_root_has_no_rights_beyond_files(den: Den) -> None:
    held = int(den.python_says("print([line for line in open('/proc/self/status') if 'CapPrm' in line][0][8:])"), 16)
    assert held == held & restrict.CAPABILITIES
    assert den.attempt("checked(libc.sethostname(b'x', 1))") == "refused"


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_the_rules_of_older_versions_hold(den: Den, version: int) -> None:
    code = (
        f"sys.path.insert(0, {os.path.dirname(restrict.__file__)!r})\nimport restrict\n"
        f"restrict.enforce(['l/', 'r/usr', 'w{den.tree}', 'd/dev/null', 's{den.home}'], {version})\n"
        "open('mine', 'w').close()\n"
        "try: open(sys.argv[1], 'w')\nexcept PermissionError: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, den.victim], cwd=den.tree, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("refused", "")


def test_without_landlock_nothing_is_started() -> None:
    with pytest.raises(OSError, match="no Landlock"):
        restrict.enforce([], 0)


@pytest.mark.parametrize("tracing", [True, False])
def test_what_measures_cannot_be_traced_by_what_it_starts(den: Den, tracing: bool) -> None:
    code = """
child = os.fork()
if not child:
    import time; time.sleep(5); os._exit(0)
print("refused" if libc.ptrace(16, child, 0, 0) else "traced")
try: open(f"/proc/{child}/mem", "r+b")
except OSError: print("refused")
os.kill(child, 9)
"""
    said = den.python_says(code, tracing=tracing).split()
    assert said[1:] == ["refused"] and (tracing or said[0] == "refused")


def test_keys_of_the_kernel_do_not_outlive_a_measurement(den: Den) -> None:
    code = "print(libc.syscall({'x86_64': 248}.get(os.uname().machine, 217), b'user', b'kept', b'x', 1, -4))"
    assert den.python_says(code, tracing=False).strip() == "-1"
