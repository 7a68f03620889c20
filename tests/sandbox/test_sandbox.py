"""The sandbox: what a command in it can reach, what it cannot, and which tier a run uses."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from autoloop import process
from autoloop.errors import AutoloopError
from autoloop.git.git_trees import GitTrees, TreeOptions
from autoloop.git.repository import Repository, find
from autoloop.ports import Cell, Progress, Sandbox
from autoloop.process import Finished
from autoloop.runs.record import read_record
from autoloop.sandbox.bwrap import OBJECTS, BwrapSandbox
from autoloop.sandbox.choose import WARNING, choose
from autoloop.sandbox.none import NoSandbox
from autoloop.sandbox.places import Places, survey
from tests.real_git import commit_all, git, make_repository, write
from tests.real_run import Checkout

ROOT = Path(__file__).parent.parent.parent
"""Of what is tested: a run inside of a run needs it."""
VENV = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


class Ground:
    """A checkout, trees of it, and the sandbox in force there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.cache = folder, make_repository(folder / "checkout"), folder / "cache"
        self.home, self.users_home = self.cache / "homes/agent", Path.home()
        self.home.mkdir(parents=True)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environ = {"PATH": path, "HOME": str(self.users_home)}
        self.trees = GitTrees(
            self.repository, self.cache, "r", "autoloop/p/r", TreeOptions(bound=True, objects=OBJECTS)
        )
        self.trees.open(self.repository.head)
        self.tree = self.trees.place("agent", self.repository.head)

    @property
    def repository(self) -> Repository:
        return find(self.root)

    def places(self, **chosen: Any) -> Places:
        return survey(self.root, self.repository.common_dir / "objects", self.cache, self.environ, **chosen)

    def sandbox(self, **chosen: Any) -> Sandbox:
        return BwrapSandbox(self.places(**chosen))

    def run(self, script: str, sandbox: Sandbox | None = None, **fields: Any) -> Finished:
        """Run a line of shell in a cell."""
        options = {
            name: fields.pop(name)
            for name in ("deadline", "idle", "cancelled", "first_signal", "grace")
            if name in fields
        }
        room = (sandbox or self.sandbox()).enter(Cell(**{"tree": self.tree, "home": self.home, **fields}))
        environ = {**self.environ, **room.env}
        command = [*room.prefix, "bash", "-c", script]
        return process.run(command, cwd=room.cwd, env=environ, wrappers=room.wrappers, **options)

    def says(self, script: str, sandbox: Sandbox | None = None, **fields: Any) -> str:
        """What a line of shell prints, that must end well."""
        done = self.run(script, sandbox, **fields)
        assert done.ok, done
        return done.stdout.strip()

    def reads(self, path: Path, sandbox: Sandbox | None = None, **fields: Any) -> bool:
        """Whether a command can read a file."""
        return self.run(f"cat '{path}' > /dev/null", sandbox, **fields).ok


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Where bubblewrap works; else the test is skipped, and says why it does not."""
    here = Ground(tmp_path)
    try:
        choose("bwrap", here.places(), here.cache)
    except AutoloopError as error:
        pytest.skip(error.message)
    return here


# What a command finds


def test_the_tree_stands_at_the_checkouts_own_path(ground: Ground) -> None:
    write(ground.root, {"app.py": "the user's own edit\n", "untracked.txt": "the user's\n"})
    assert ground.says("pwd; cat app.py; ls") == f"{ground.root}\nprint(1)\napp.py\nsrc"
    assert ground.says(f"cat {ground.root}/app.py") == "print(1)", "an absolute path leads to the tree"
    ground.says("echo new > made.txt; echo 2 >> app.py")
    assert (ground.tree / "made.txt").read_text() == "new\n"
    assert (ground.root / "app.py").read_text() == "the user's own edit\n"
    assert not (ground.root / "made.txt").exists()


def test_home_is_private_and_holds_nothing_but_tools(ground: Ground) -> None:
    write(
        ground.users_home, {".ssh/id_ed25519": "key", "letters/a.txt": "x", ".cargo/bin/tool": "#!/bin/sh\necho tool\n"}
    )
    (ground.users_home / ".cargo/bin/tool").chmod(0o755)
    assert ground.says("echo $HOME; ls -A ~; ~/.cargo/bin/tool") == f"{ground.users_home}\n.cargo\ntool"
    assert not ground.run("touch ~/.cargo/bin/planted").ok
    ground.says("echo mine > ~/.settings")
    assert (ground.home / ".settings").read_text() == "mine\n"
    assert not (ground.users_home / ".settings").exists()


@pytest.mark.parametrize("home", ["/", "/nonexistent/home"])
def test_a_home_that_is_none_does_no_harm(ground: Ground, home: str) -> None:
    """As in containers."""
    ground.environ["HOME"] = home
    assert ground.says("echo $HOME; cd; touch mine; ls -A") == "/run/autoloop/home\nmine"
    assert not ground.reads(ground.users_home) and (ground.home / "mine").exists()


def test_what_looks_like_a_tool_may_hold_a_secret_and_does_not_show_it(ground: Ground) -> None:
    write(ground.users_home, {".cargo/config.toml": "ok", ".cargo/credentials.toml": "token"})
    assert ground.says("cat ~/.cargo/config.toml; cat ~/.cargo/credentials.toml") == "ok"


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/ssl/private", "/var/backups", "/root/.ssh", "/home"])
def test_secrets_of_the_system_are_not_there(ground: Ground, path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"there is no {path} here")
    found = ground.run(f"cat {path} 2> /dev/null; ls -A {path} 2> /dev/null").stdout.strip()
    assert found in ("", path)


def test_the_run_the_sealed_files_and_the_cache_are_out_of_reach(ground: Ground) -> None:
    journal = ground.root / ".autoloop/runs/p/r/journal.jsonl"
    write(journal.parent, {"journal.jsonl": "truth\n", "sealed/measure.sh": "echo METRIC ms=1\n"})
    write(ground.cache, {"git/config": "own", "t/a/code.py": "other"})
    for path in (
        journal,
        journal.parent / "sealed/measure.sh",
        ground.cache / "git/config",
        ground.cache / "t/a/code.py",
    ):
        assert not ground.reads(path)
        ground.run(f"mkdir -p {path.parent}; echo forged > {path}")
    assert journal.read_text() == "truth\n" and (ground.cache / "t/a/code.py").read_text() == "other"


def test_the_users_git_directory_is_out_of_reach(ground: Ground) -> None:
    before = git(ground.root, "for-each-ref")
    hook = ground.root / ".git/hooks/post-commit"
    ground.run("echo 'touch /tmp/pwned' > .git/hooks/post-commit; git update-ref refs/heads/planted HEAD")
    ground.run(f"rm -rf {OBJECTS}/*; echo x > {OBJECTS}/planted")
    assert git(ground.root, "for-each-ref") == before and not hook.exists()
    assert git(ground.root, "fsck", "--full") == ""


def test_git_works_in_the_tree(ground: Ground) -> None:
    assert ground.says("git log --format=%s; git status --porcelain") == "a commit"
    ground.says("echo 2 > app.py; git add --all; git commit --quiet --message mine; git show --stat HEAD > /dev/null")
    assert ground.says("git log --format=%s") == "mine\na commit"
    capture = ground.trees.capture(1, ground.repository.head, at=1_700_000_000.0, message="one")
    assert capture.candidate and [change.path for change in capture.candidate.changes] == ["app.py"]


def test_what_a_cell_names_is_found_where_the_room_says(ground: Ground) -> None:
    write(ground.cache, {"sealed/measure.sh": "x\n", "sealed/holdout.sh": "secret", "sealed/holdout/data": "secret"})
    sample, sealed = ground.cache / "sample", ground.cache / "sealed"
    sample.mkdir()
    hidden = (sealed / "holdout.sh", sealed / "holdout")
    cell = Cell(ground.tree, ground.home, reads=(sealed,), writes=(sample,), hides=hidden)
    seen = ground.sandbox().enter(cell).seen
    fields = {"reads": (sealed,), "writes": (sample,), "hides": hidden}
    assert (
        ground.says(f"cat {seen(sealed / 'measure.sh')}; ls {seen(sealed)}", **fields)
        == "x\nholdout\nholdout.sh\nmeasure.sh"
    )
    assert ground.run(f"cat {seen(sealed)}/holdout.sh {seen(sealed)}/holdout/*", **fields).stdout == ""
    assert not ground.run(f"echo y > {seen(sealed)}/measure.sh", **fields).ok
    ground.says(f"echo finished > {seen(sample / 'diagnostics')}", **fields)
    assert (sample / "diagnostics").read_text() == "finished\n"


def test_tmp_is_the_commands_own(ground: Ground) -> None:
    ground.says("echo x > /tmp/left; echo y > /var/tmp/left; echo $TMPDIR; mktemp")
    assert not Path("/tmp/left").exists()
    assert ground.says("ls -A /tmp /var/tmp | grep left || echo nothing") == "nothing"


# What the checkout lends to a tree


def installed(folder: Path, leads_to: Path) -> Path:
    """A virtual environment with an editable install; its Python."""
    write(
        folder,
        {"pyvenv.cfg": f"home = {Path(sys.base_prefix) / 'bin'}\n", f"{VENV}/__editable__.gauge.pth": f"{leads_to}\n"},
    )
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to(os.path.realpath(sys.executable))
    return folder / "bin/python"


def test_an_editable_install_of_the_checkout_leads_to_the_tree(ground: Ground) -> None:
    python = installed(ground.root / ".venv", ground.root / "src")
    write(ground.root, {"src/lib.py": "x = 'the checkout'\n"})
    write(ground.tree, {"src/lib.py": "x = 'the tree'\n"})
    shared = ground.sandbox(share_paths=[".venv"])
    assert ground.says(f"{python} -c 'import lib; print(lib.x)'", shared) == "the tree"
    assert not ground.run("touch .venv/bin/planted", shared).ok


@pytest.mark.parametrize("place", ["tmp", "home", "checkout"])
def test_an_environment_on_the_path_is_let_through_with_the_python_behind_it(ground: Ground, place: str) -> None:
    folder = {"tmp": ground.folder / "env", "home": ground.users_home / "env", "checkout": ground.root / "env"}[place]
    installed(folder, ground.folder / "nowhere")
    ground.environ["PATH"] = f"{folder}/bin:{ground.environ['PATH']}"
    assert ground.says("command -v python; python -c 'print(1)'") == f"{folder}/bin/python\n1"


def test_a_directory_of_programs_is_let_through_and_nothing_beside_it(ground: Ground) -> None:
    write(ground.users_home, {"mine/bin/tool": "#!/bin/sh\necho tool\n", "mine/letter": "dear"})
    (ground.users_home / "mine/bin/tool").chmod(0o755)
    ground.environ["PATH"] = f"{ground.users_home}/mine/bin:{ground.environ['PATH']}"
    assert ground.says("tool; ls -A ~/mine") == "tool\nbin"


def test_what_a_tree_has_of_its_own_is_not_covered_by_the_checkouts(ground: Ground) -> None:
    write(ground.root, {"src/tool": "#!/bin/sh\necho the checkout\n"})
    write(ground.tree, {"src/tool": "#!/bin/sh\necho the tree\n"})
    (ground.tree / "src/tool").chmod(0o755)
    ground.environ["PATH"] = f"{ground.root}/src:{ground.environ['PATH']}"
    own = ground.sandbox(in_trees=lambda path: path == Path("src"))
    assert ground.says("tool", own) == "the tree"


def test_a_share_that_is_a_link_shows_what_it_leads_to(ground: Ground) -> None:
    write(ground.users_home, {"sets/corpus.txt": "7\n"})
    (ground.root / "data").symlink_to(ground.users_home / "sets")
    (ground.tree / "data").mkdir()
    shared = ground.sandbox(share_paths=["data"])
    assert ground.says("cat data/corpus.txt", shared) == "7"
    assert not ground.run("echo 8 > data/corpus.txt", shared).ok


def test_read_paths_are_let_through_to_be_read(ground: Ground) -> None:
    write(ground.users_home, {"sets/corpus.txt": "7\n", ".cargo/credentials.toml": "token\n"})
    shown = ground.sandbox(read_paths=["~/sets", "~/.cargo/credentials.toml"])
    assert ground.says("cat ~/sets/corpus.txt", shown) == "7"
    assert not ground.run("echo 8 > ~/sets/corpus.txt", shown).ok
    assert ground.says("cat ~/.cargo/credentials.toml", shown) == "token", "what is named is shown, secret or not"


def test_what_is_secret_stays_so_inside_of_what_is_shown(ground: Ground) -> None:
    write(ground.users_home, {"sets/corpus.txt": "7\n", "sets/holdout.txt": "8\n"})
    secret = ground.users_home / "sets/holdout.txt"
    shown = ground.sandbox(read_paths=["~/sets"], secret_paths=[secret])
    assert ground.says("cat ~/sets/*.txt", shown) == "7"
    assert ground.says("cat ~/sets/*.txt", shown, shows=(secret,)) == "7\n8"


def test_parts_of_the_home_that_are_kept_can_be_written(ground: Ground) -> None:
    write(ground.users_home, {".client/token": "t", ".other": "o"})
    ground.says("echo new > ~/.client/token; ls -A ~ | grep -v .other", kept=(ground.users_home / ".client",))
    assert (ground.users_home / ".client/token").read_text() == "new\n"


# Processes


@pytest.mark.parametrize("code", [0, 3, 126, 127])
def test_exit_codes_come_through(ground: Ground, code: int) -> None:
    assert ground.run(f"exit {code}").exit_code == code


def test_a_signal_that_ended_the_command_is_told(ground: Ground) -> None:
    assert ground.run("kill -SEGV $$").exit_code == -signal.SIGSEGV
    assert ground.run("kill -KILL $$").exit_code == -signal.SIGKILL


def test_a_command_is_asked_to_end_and_not_its_sandbox(ground: Ground) -> None:
    script = "trap 'echo asked; exit 5' INT; echo ready; while :; do sleep 0.02; done"
    done = ground.run(script, deadline=0.4, first_signal=signal.SIGINT)
    assert (done.stdout, done.exit_code, done.timed_out) == ("ready\nasked\n", 5, True)


def test_what_heeds_no_signal_is_killed(ground: Ground) -> None:
    done = ground.run("trap '' INT TERM; echo $$; while :; do sleep 0.02; done", deadline=0.2, grace=0.2)
    assert done.timed_out and done.seconds < 3 and not done.ok


def test_silence_ends_a_command(ground: Ground) -> None:
    done = ground.run("echo once; sleep 30", idle=0.3)
    assert done.idle and done.stdout == "once\n" and done.seconds < 3


def test_a_wish_ends_a_command(ground: Ground) -> None:
    assert ground.run("sleep 30", cancelled=lambda: True).cancelled


def marked(mark: str) -> list[psutil.Process]:
    """Processes with a word in their command line."""
    return [process for process in psutil.process_iter(["cmdline"]) if mark in " ".join(process.info["cmdline"] or [])]


@pytest.mark.parametrize("script", ["sleep {0} &", "setsid sleep {0} &", "(setsid sh -c 'sleep {0} & sleep {0}' &)"])
def test_nothing_survives_a_command(ground: Ground, script: str) -> None:
    mark = f"31.{os.getpid()}{time.monotonic_ns() % 10**6}"
    assert ground.run(f"{script.format(mark)}\nsleep 0.05").ok
    assert marked(mark) == []


def test_nothing_survives_whoever_started_the_command(ground: Ground) -> None:
    """As after a power cut of the loop alone: nobody is left to sweep."""
    mark = f"32.{os.getpid()}{time.monotonic_ns() % 10**6}"
    room = ground.sandbox().enter(Cell(ground.tree, ground.home))
    words = [*room.prefix, "sh", "-c", f"setsid sleep {mark} & sleep {mark}"]
    code = f"import subprocess; subprocess.Popen({words!r}); import os; input(); os._exit(1)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, cwd=ground.tree) as parent:
        until = time.monotonic() + 5
        while len(marked(f"sleep {mark}")) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        found = marked(mark)
        assert len(found) >= 3
        parent.kill()
    psutil.wait_procs(found, timeout=5)
    assert marked(mark) == []


TRACE = """
import ctypes, sys
c = ctypes.CDLL(None)
print("traced" if c.ptrace(16, int(sys.argv[1]), 0, 0) == 0 else "refused")
try: open(f"/proc/{sys.argv[1]}/mem", "r+b")
except OSError: print("refused")
else: print("opened")
"""


@pytest.mark.parametrize(("tracing", "said"), [(True, "traced opened"), (False, "refused refused")])
def test_what_measures_cannot_be_traced_by_what_it_starts(ground: Ground, tracing: bool, said: str) -> None:
    script = f"sleep 5 & {sys.executable} -c '{TRACE}' $!; kill -9 $!"
    if tracing and ground.run(script, tracing=True).stdout.split() != said.split():
        pytest.skip("this kernel lets nobody trace")
    assert ground.says(script, tracing=tracing).split() == said.split()


def test_settings_of_the_kernel_are_out_of_reach(ground: Ground) -> None:
    """They ask for the id of root alone, and core_pattern names a program that the kernel starts as root."""
    for name in ("kernel/core_pattern", "vm/swappiness"):
        script = f'old=$(cat /proc/sys/{name}); echo "$old" > /proc/sys/{name}'
        assert not ground.run(script).ok
        assert not ground.run(f"mount -o remount,rw /proc/sys; umount /proc/sys; {script}").ok


def test_other_processes_cannot_be_seen_or_signalled(ground: Ground) -> None:
    with psutil.Popen(["sleep", "30"]) as bystander:
        assert not ground.run(f"kill -9 {bystander.pid}; test -e /proc/{bystander.pid}/cmdline").ok
        assert bystander.poll() is None
        bystander.kill()


# Devices, sockets, network


@contextmanager
def listening(address: Any, family: socket.AddressFamily) -> Iterator[None]:
    """A server that greets whoever comes."""
    over = threading.Event()

    def greet() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                client, _ = server.accept()
                client.sendall(b"hello")
                client.close()

    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
        server.settimeout(0.05)
        thread = threading.Thread(target=greet)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def dial(kind: str, address: object) -> str:
    """A line of shell that prints a greeting, or `refused`."""
    code = f"""import socket
s = socket.socket(socket.{kind})
try:
    s.connect({address!r})
    print(s.recv(9).decode())
except OSError:
    print("refused")
"""
    return f"{sys.executable} - <<'PYTHON'\n{code}PYTHON"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_network_is_off_or_on(ground: Ground) -> None:
    address = ("127.0.0.1", free_port())
    with listening(address, socket.AF_INET):
        assert ground.says(dial("AF_INET", address), network="on") == "hello"
        assert ground.says(dial("AF_INET", address), network="off") == "refused"


def test_a_command_without_network_has_a_loopback_of_its_own(ground: Ground) -> None:
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(socket.create_connection(s.getsockname()))"
    assert "raddr" in ground.says(f'{sys.executable} -c "{code}"')


def test_a_socket_is_out_of_reach_unless_it_is_named(ground: Ground) -> None:
    for name in ("one", "two"):
        (ground.users_home / name).mkdir()
    one, two = (str(ground.users_home / name / "s.sock") for name in ("one", "two"))
    with listening(one, socket.AF_UNIX), listening(two, socket.AF_UNIX):
        for path in (one, two):
            assert ground.says(dial("AF_UNIX", path)) == "refused"
        assert ground.says(dial("AF_UNIX", one), sockets=("~/on*/s.sock",)) == "hello"
        assert ground.says(dial("AF_UNIX", two), sockets=("~/on*/s.sock",)) == "refused"


def test_devices_are_few_unless_they_are_named(ground: Ground) -> None:
    host = {path.name for path in Path("/dev").iterdir() if path.is_char_device()}
    beyond = sorted(host - {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"})
    if not beyond:
        pytest.skip("this machine has no other device")
    name = beyond[0]
    assert not ground.run(f"test -e /dev/{name}").ok
    assert ground.run(f"test -c /dev/{name}", devices=(f"/dev/{name[:-1]}?", "/dev/nvidia*")).ok
    assert ground.run("echo x > /dev/null && head -c 1 /dev/urandom | wc -c && ls /dev/shm").ok


# Which tier is in force


def links_to_all_but(folder: Path, *left_out: str) -> Path:
    """A directory with the programs of this machine, some left out."""
    folder.mkdir()
    for place in ("/usr/local/bin", "/usr/bin", "/bin", str(Path(sys.executable).parent)):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name not in left_out and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return folder


def test_the_best_tier_that_passes_its_trial_is_chosen(ground: Ground) -> None:
    choice = choose("auto", ground.places(), ground.cache)
    assert (choice.sandbox.tier, choice.warning) == ("bwrap", "")
    assert sorted(path.name for path in ground.cache.iterdir() if path.name.startswith("trial")) == []


def test_without_a_sandbox_the_warning_is_loud_and_says_why(ground: Ground) -> None:
    choice = choose("none", ground.places(), ground.cache)
    assert choice.sandbox == NoSandbox() and choice.warning.startswith(WARNING) and 'sandbox = "none"' in choice.warning


def test_a_tier_that_is_named_and_does_not_work_is_refused(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(links_to_all_but(tmp_path / "bin", "bwrap")))
    with pytest.raises(AutoloopError) as error:
        choose("bwrap", replace(ground.places(), tools=()), ground.cache)
    assert error.value.message == "the sandbox bwrap does not work here: bubblewrap is not installed"
    assert "apt install bubblewrap" in error.value.hint


def test_a_program_that_only_bears_the_name_does_not_pass_the_trial(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts whatever it is given, without a sandbox: its presence says nothing. (Without root's rights at that.)"""
    write(
        tmp_path / "fake", {"bwrap": '#!/bin/bash\nwhile [ "$1" != -- ]; do shift; done; shift; exec unshare -r "$@"\n'}
    )
    (tmp_path / "fake/bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/fake:{os.environ['PATH']}")
    with pytest.raises(AutoloopError) as error:
        choose("bwrap", replace(ground.places(), tools=()), ground.cache)
    assert "does not work here: a command in it can" in error.value.message


@pytest.mark.parametrize("said", ["setting up uid map: Permission denied", "No permissions to create new namespace"])
def test_a_bubblewrap_that_is_refused_is_quoted_with_a_remedy(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    write(tmp_path / "fake", {"bwrap": f"#!/bin/sh\necho 'bwrap: {said}' >&2; exit 1\n"})
    (tmp_path / "fake/bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/fake:{os.environ['PATH']}")
    with pytest.raises(AutoloopError) as error:
        choose("bwrap", replace(ground.places(), tools=()), ground.cache)
    assert said in error.value.message and "\n" not in error.value.message
    assert "AppArmor" in error.value.hint or "user namespaces" in error.value.hint


def test_a_program_planted_in_the_tree_is_not_taken_for_the_sandbox(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ground.tree, {"bwrap": "#!/bin/sh\ntouch planted\n"})
    (ground.tree / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}")
    assert ground.says("pwd") == str(ground.root)
    assert not (ground.tree / "planted").exists()


# Whole runs


class Confined(Checkout):
    """A checkout whose runs are confined, but for the script of its agent."""

    def configure(self, **fields: Any) -> None:
        super().configure(**{"read_paths": ["~/agent.sh"], **fields})


@pytest.fixture
def confined(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Confined:
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "auto")
    return Confined(tmp_path / "users", tmp_path / "cache")


def test_a_run_is_confined_and_says_so(confined: Confined) -> None:
    before = confined.snapshot()
    confined.agent('echo "x = $((100 - n * 10))" > code.py; touch ~/left /tmp/left')
    outcome = confined.run()
    assert confined.reasons == ["improved"] * 3 and confined.said("warning") == []
    assert outcome.summary.sandbox == confined.status()["sandbox"] == "bwrap"
    assert read_record(confined.directory).sandbox == "bwrap"
    assert confined.snapshot() == before and not (Path.home() / "left").exists()


def test_scripts_that_name_the_checkout_measure_the_tree(confined: Confined) -> None:
    """What is refused without a sandbox, because each candidate would measure the same."""
    confined.script("measure.sh", f"cd {confined.root}; read -r _ _ x < {confined.root}/code.py; echo METRIC ms=$x\n")
    confined.agent("echo x = 90 > code.py")
    confined.run(limits={"max_experiments": 1})
    assert (confined.reasons, confined.row(1).metric) == (["improved"], 90)


def test_programs_of_the_checkout_that_are_on_the_path_are_the_trees_own(
    confined: Confined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As direnv puts them there. Let through like other places on the path, the checkout's would cover the tree's."""
    write(confined.root, {"bin/tool": "#!/bin/sh\necho METRIC ms=100\n"})
    (confined.root / "bin/tool").chmod(0o755)
    commit_all(confined.root)
    monkeypatch.setenv("PATH", f"{confined.root}/bin:{os.environ['PATH']}")
    confined.configure(max_experiments=1)
    confined.script("measure.sh", "tool\n")
    confined.agent("sed -i s/100/90/ bin/tool")
    confined.run()
    assert (confined.reasons, confined.row(1).metric) == (["improved"], 90)


def test_an_editable_install_that_is_shared_measures_the_tree(confined: Confined) -> None:
    installed(confined.root / ".venv", confined.root / "src")
    write(confined.root, {"src/gauge.py": "X = 100\n", ".gitignore": ".venv\n"})
    confined.configure(share_paths=[".venv"], editable=["src/**"], max_experiments=1)
    confined.script("measure.sh", ".venv/bin/python -c 'import gauge; print(\"METRIC ms =\", gauge.X)'\n")
    confined.agent("echo X = 90 > src/gauge.py; rm -rf .venv")
    commit_all(confined.root)
    confined.run()
    assert (confined.reasons, confined.row(1).metric) == (["improved"], 90)
    assert (confined.root / ".venv/bin/python").exists()


def test_a_sample_has_its_directory_and_its_diagnostics(confined: Confined) -> None:
    confined.measure(
        'echo saved > "$AUTOLOOP_SAMPLE_DIR/saved" && cat "$AUTOLOOP_PROGRAM_DIR/config.toml" > /dev/null || exit 1',
        'echo "slow in parse()" > "$AUTOLOOP_DIAGNOSTICS"; echo METRIC ms=$x',
    )
    confined.agent('cp "$AUTOLOOP_PACKET" packet.txt; echo "x = $((100 - n))" > code.py')
    confined.run(limits={"max_experiments": 2})
    assert "slow in parse()" in (confined.directory.path / "experiments/0002/packet.md").read_text()
    assert list((confined.cache / confined.directory.run_id / "scratch").iterdir()) == []


def test_neither_agent_nor_candidate_finds_what_judges_them(confined: Confined) -> None:
    write(Path.home(), {".ssh/id_ed25519": "key"})
    runs = f"{confined.root}/.autoloop {confined.cache} {confined.root}/.git/refs/autoloop"
    hunt = f"(find {runs} ~ /run -name '*.jsonl' -o -name run.json -o -name id_ed25519 -o -path '*/refs/autoloop/*')"
    confined.measure(
        f'{hunt} > "$AUTOLOOP_DIAGNOSTICS" 2> /dev/null', "echo found: >> $AUTOLOOP_DIAGNOSTICS; echo METRIC ms=$x"
    )
    confined.agent(f"{hunt} 2> /dev/null; echo found:; echo 'x = 90' > code.py")
    confined.run(limits={"max_experiments": 2})
    assert confined.reasons[0] == "improved"
    said = (confined.directory.path / "experiments/0001/session.jsonl").read_text()
    packet = (confined.directory.path / "experiments/0002/packet.md").read_text()
    for text in (said, packet):
        assert "found:" in text
        assert not any(word in text for word in ("jsonl\\n", "run.json", "id_ed25519", "refs/autoloop"))


@pytest.mark.parametrize("path", ["~", "/", "..", "data", "{root}/data"])
def test_what_is_there_to_be_hidden_cannot_be_shown(confined: Confined, path: str) -> None:
    confined.configure(read_paths=[path.format(root=confined.root)])
    with pytest.raises(AutoloopError, match="read_paths has ") as error:
        confined.run()
    assert "Name the parts" in error.value.hint or "`share_paths`" in error.value.hint


def test_a_resume_takes_the_tier_that_the_run_began_with(confined: Confined, monkeypatch: pytest.MonkeyPatch) -> None:
    confined.agent('echo "x = $((100 - n))" > code.py; echo "HOME holds $(ls ~)"')
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "none")
    confined.run(limits={"max_experiments": 1})
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "auto")
    confined.resume(limits={"max_experiments": 2})
    assert confined.status()["sandbox"] == "none" and len(confined.said("warning")) == 2
    assert "a new one would have the sandbox bwrap" in confined.said("warning")[1]


def test_a_resume_with_another_tier_is_refused(confined: Confined, monkeypatch: pytest.MonkeyPatch) -> None:
    confined.agent('echo "x = $((100 - n))" > code.py')
    confined.run(limits={"max_experiments": 1})
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "none")
    with pytest.raises(AutoloopError) as error:
        confined.resume(limits={"max_experiments": 2})
    assert "began with sandbox bwrap, and the setting `sandbox` is none now" in error.value.message
    assert confined.status()["experiments"] == 1


def test_a_resume_is_refused_where_the_tier_no_longer_works(
    confined: Confined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    confined.agent('echo "x = $((100 - n))" > code.py')
    confined.run(limits={"max_experiments": 1})
    monkeypatch.setenv("PATH", str(links_to_all_but(tmp_path / "bin", "bwrap")))
    with pytest.raises(AutoloopError) as error:
        confined.resume(limits={"max_experiments": 2})
    assert error.value.message == "the sandbox bwrap does not work here: bubblewrap is not installed"


def test_where_bubblewrap_is_missing_a_run_says_loudly_what_it_has_instead(
    confined: Confined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(links_to_all_but(tmp_path / "bin", "bwrap")))
    confined.run(limits={"max_experiments": 1})
    tier, warnings = confined.status()["sandbox"], confined.said("warning")
    assert tier in ("landlock", "none")
    assert "bubblewrap is not installed" in warnings[0] and "apt install bubblewrap" in warnings[0]
    assert ["measure_network" in text for text in warnings] == ([False, True] if tier == "landlock" else [False])


def test_the_warning_of_a_run_without_sandbox_is_said_once_by_each_process(
    confined: Confined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "none")
    confined.run(limits={"max_experiments": 1})
    assert len(confined.said("warning")) == 1
    assert WARNING in confined.said("warning")[0]


def autoloop(checkout: Checkout, *words: str) -> list[str]:
    """The lines that a command prints."""
    command = [sys.executable, "-m", "autoloop", "-C", str(checkout.root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.splitlines()


def test_the_start_and_the_end_of_a_run_say_which_sandbox_it_has(
    confined: Confined, monkeypatch: pytest.MonkeyPatch
) -> None:
    confined.agent("echo x = 90 > code.py")
    lines = autoloop(confined, "run", "p", "--max-experiments", "1")
    assert any(line.startswith("run ") and ", sandbox bwrap;" in line for line in lines)
    assert "sandbox: bwrap" in lines and not [line for line in lines if line.startswith("warning")]
    assert any(line.split() == ["sandbox", "bwrap"] for line in autoloop(confined, "status"))
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "none")
    lines = autoloop(confined, "run", "p", "--max-experiments", "1")
    assert len([line for line in lines if line.startswith("warning: no sandbox is in force")]) == 1
    assert "sandbox: none: measured code is not confined, and neither are agents" in lines


def test_a_detached_run_without_sandbox_says_so_to_the_terminal_and_in_its_log(
    confined: Confined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "none")
    shown = autoloop(confined, "run", "p", "--max-experiments", "1", "--detach")
    until = time.monotonic() + 30
    while confined.status()["stop_reason"] is None and time.monotonic() < until:
        time.sleep(0.1)
    log = (confined.directory.path / "run.log").read_text().splitlines()
    for lines in (shown, log):
        assert len([line for line in lines if WARNING in line]) == 1


# Services and the loopback


SERVICE = """
case $1 in
start)
    echo "started $AUTOLOOP_RUN" >> {log}
    {python} -c '
import socket, time
server = socket.create_server(("127.0.0.1", {port}))
while True:
    client, _ = server.accept()
    client.sendall(b"7")
    client.close()
' > /dev/null 2>&1 &
    for try in $(seq 100); do (exec 3<> /dev/tcp/127.0.0.1/{port}) 2> /dev/null && exit 0; sleep 0.05; done; exit 1 ;;
stop) echo stopped >> {log} ;;
esac
"""


def with_service(confined: Confined, port: int, **fields: Any) -> Path:
    """A program whose samples ask a service; where the service writes down its starts and stops."""
    log = confined.root.parent / "services.log"
    confined.script("services.sh", SERVICE.format(log=log, port=port, python=sys.executable))
    confined.measure(f"read -r -N 1 y < /dev/tcp/127.0.0.1/{port} && echo METRIC ms=$((x + y))")
    confined.configure(**{"measure_network": "loopback", **fields})
    confined.agent('echo "x = $((100 - 10 * n))" > code.py')
    return log


def test_samples_share_a_loopback_with_the_services_and_with_nothing_else(confined: Confined) -> None:
    port, other = free_port(), free_port()
    log = with_service(confined, port, max_experiments=1)
    confined.measure(
        f"read -r -N 1 y < /dev/tcp/127.0.0.1/{port} || exit 1",
        f"(exec 3<> /dev/tcp/127.0.0.1/{other}) 2> /dev/null && y=1000",
        "echo METRIC ms=$((x + y))",
    )
    reached = []

    def look(sign: Progress) -> None:
        with socket.socket() as probe:
            reached.append(probe.connect_ex(("127.0.0.1", port)) == 0)

    with listening(("127.0.0.1", other), socket.AF_INET):
        confined.run(on_progress=look)
    assert confined.row(0).metric == 107 and confined.reasons == ["improved"]
    assert not any(reached), "nobody else reaches the services"
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["started", "stopped"]
    assert marked(f'127.0.0.1", {port}') == []


def test_a_resume_starts_the_services_anew(confined: Confined) -> None:
    log = with_service(confined, free_port(), max_experiments=1)
    confined.run()
    confined.resume(limits={"max_experiments": 2})
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["started", "stopped"] * 2
    assert confined.status()["experiments"] == 2


def test_without_services_each_command_has_a_loopback_of_its_own(confined: Confined) -> None:
    port = free_port()
    confined.configure(measure_network="loopback", max_experiments=1)
    confined.measure(f"(exec 3<> /dev/tcp/127.0.0.1/{port}) 2> /dev/null && x=1", "echo METRIC ms=$x")
    with listening(("127.0.0.1", port), socket.AF_INET):
        confined.run()
    assert confined.row(0).metric == 100 and confined.said("warning") == []


def test_without_the_program_that_enters_a_loopback_there_is_one_clear_line(
    confined: Confined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_service(confined, free_port())
    monkeypatch.setenv("PATH", str(links_to_all_but(tmp_path / "bin", "nsenter")))
    with pytest.raises(AutoloopError) as error:
        confined.run()
    assert error.value.message == 'measure_network = "loopback" does not work here: there is no `nsenter`'
    assert "util-linux" in error.value.hint


def test_where_a_loopback_cannot_be_enforced_the_machines_own_is_shared_and_that_is_said(
    confined: Confined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOLOOP_SANDBOX", "none")
    with_service(confined, free_port(), max_experiments=1)
    confined.run()
    assert confined.reasons == ["improved"]
    assert 'measure_network = "loopback" is not enforced with sandbox none' in confined.said("warning")[1]


# A run inside of a run

RUN_INSIDE = f"""
cd $(mktemp -d); git init -q; mkdir -p programs/q; echo 'x = 5' > code.py
echo 'read -r _ _ x < code.py; echo METRIC ms=$x' > programs/q/measure.sh
cat > programs/q/config.toml <<'END'
metric_field = "ms"
direction = "lower"
rule = "median"
noise_threshold = 0.1
repeats = 1
min_free_gb = 0
max_experiments = 1
END
cat > autoloop.toml <<'END'
[profiles.a]
agent = "command"
command = "echo x = 4 > code.py"
END
git add -A; git -c user.name=a -c user.email=a@b commit -qm start
{sys.executable} -m autoloop run q --json 2> log > out || {{ tail -n 3 log >&2; exit 1; }}
{sys.executable} -c 'import json; found = json.load(open("out")); print("METRIC ms =", found["baseline"])
print("METRIC confined =", int(found["sandbox"] != "none"))'
"""


def test_a_sandbox_works_inside_of_a_sandbox(confined: Confined, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a program that improves autoloop itself."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    confined.script("measure.sh", RUN_INSIDE)
    confined.configure(
        canary=False,
        max_experiments=1,
        secondary_metrics={"confined": {"direction": "higher"}},
        read_paths=["~/agent.sh", str(ROOT)],
    )
    confined.run()
    assert (confined.row(0).metric, confined.row(0).secondary) == (4, {"confined": 1})


def test_an_agent_can_compare_two_revisions(confined: Confined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    confined.configure(read_paths=["~/agent.sh", str(ROOT)])
    confined.agent("echo 'x = 90' > code.py; git commit -qam mine; autoloop compare HEAD^ HEAD -- true; echo exit $?")
    confined.run(limits={"max_experiments": 1})
    said = (confined.directory.path / "experiments/0001/session.jsonl").read_text()
    assert re.search(r'"exit [013]"', said), "whichever it is on a busy machine, it is an answer"
