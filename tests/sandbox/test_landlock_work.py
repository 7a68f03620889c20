"""What a command under Landlock can do: ordinary work, and what its room is like."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.landlocked import VERSION, Den
from tests.real_git import git, write

pytestmark = pytest.mark.skipif(not VERSION, reason="this kernel has no Landlock")


@pytest.fixture
def den(tmp_path: Path) -> Den:
    return Den(tmp_path)


def test_the_tree_the_home_and_what_is_named_can_be_written(den: Den) -> None:
    sample, client = den.cache / "sample", den.home / ".client"
    code = """
for place in sys.argv[1:]:
    os.makedirs(f"{place}/a/b")
    open(f"{place}/a/file", "w").write("x")
    os.symlink("file", f"{place}/a/link")
    os.chmod(f"{place}/a/file", 0o755)
    if VERSION > 1:
        os.rename(f"{place}/a/file", f"{place}/a/b/file")
        os.link(f"{place}/a/b/file", f"{place}/c")
    os.mkfifo(f"{place}/pipe")
    os.truncate(f"{place}/c" if VERSION > 1 else f"{place}/a/file", 0)
""".replace("VERSION", str(VERSION))
    assert den.python_says(code, den.tree, den.private, sample, client, writes=(sample,), kept=(client,)) == ""
    assert (sample / "pipe").exists()
    assert (client / "a/link").is_symlink()


def test_a_shell_works_with_all_its_redirections(den: Den) -> None:
    script = r"""
set -e
echo out > /dev/stdout; echo lost > /dev/null; cat <(echo substituted); echo into > >(cat); sleep 0.05
cat <<< here
sort <<END
b
a
END
kept=$(mktemp); echo temporary > "$kept"; cat "$kept"
printf '#!/bin/sh\necho executed\n' > run; chmod +x run; ./run
ls / > /dev/null; ls /etc/*release > /dev/null; (sleep 9 & kill $!; wait $! || echo killed)
"""
    done = den.run("bash", "-c", script)
    said = {"out", "substituted", "into", "here", "a", "b", "temporary", "executed", "killed"}
    assert set(done.stdout.split()) == said, done.stderr
    assert done.returncode == 0


def test_git_commits_in_a_tree_that_borrows_objects(den: Den) -> None:
    git(den.tree, "init", "--quiet")
    write(den.tree, {".git/objects/info/alternates": f"{den.root}/.git/objects\n"})
    git(den.tree, "reset", "--quiet", "--hard", git(den.root, "rev-parse", "HEAD"))
    script = (
        "git config user.name a; git config user.email a@b; echo 'x = 2' > code.py; git commit -qam faster; git gc -q"
    )
    done = den.run("sh", "-ec", f"{script}; git log --format=%s; git show HEAD~:code.py; git status --short")
    assert done.stdout.splitlines() == ["faster", "a commit", "x = 1"], done.stderr


def test_python_makes_an_environment_and_uses_it(den: Den) -> None:
    done = den.run(
        "sh", "-ec", f"{sys.executable} -m venv --without-pip v; v/bin/python -c 'import sys; print(sys.prefix)'"
    )
    assert done.stdout.strip() == str(den.tree / "v"), done.stderr


def test_python_has_its_processes_and_semaphores(den: Den) -> None:
    code = """
import multiprocessing, pty, tempfile
def square(x): return x * x
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool: print(pool.map(square, [1, 2, 3]))
    os.chdir(tempfile.gettempdir())
    tempfile.tempdir = "."  # a socket's whole path has 107 bytes at most
    with multiprocessing.Manager() as manager: print(list(manager.list([4])))
    print(os.getcwd())
    os.close(pty.openpty()[1])
"""
    lines = den.python_says(code).splitlines()
    assert lines == ["[1, 4, 9]", "[4]", str(den.private / "tmp")]


def test_a_compiler_builds_a_program_that_runs(den: Den) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no compiler")
    write(den.tree, {"a.c": '#include <stdio.h>\nint main(void) { puts("compiled"); return 0; }\n'})
    done = den.run("sh", "-ec", "cc -O1 a.c -o a; ./a")
    assert done.stdout == "compiled\n", done.stderr


def test_node_runs_with_children(den: Den) -> None:
    if shutil.which("node") is None:
        pytest.skip("no node")
    child = "require('child_process').execFileSync('node', ['-p', '6 * 7']).toString()"
    done = den.run("node", "-e", f"console.log({child}, require('os').homedir())")
    assert done.stdout.split() == ["42", str(den.private)], done.stderr


def test_a_service_of_its_own_is_reached(den: Den) -> None:
    code = """
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
named = socket.socket(socket.AF_UNIX); named.bind("s"); named.listen()
socket.socket(socket.AF_UNIX).connect("s")
"""
    assert den.python_says(code) == ""


def test_the_tools_of_the_home_are_found_in_the_private_one(den: Den) -> None:
    client = den.home / ".client"
    done = den.run("sh", "-ec", "cat ~/.tool/bin; echo x > ~/.client/new; cd ~/.tool; pwd -P", kept=(client,))
    assert done.stdout == f"a tool{den.home / '.tool'}\n", done.stderr
    assert (client / "new").exists()
    assert den.run("true", kept=(client,)).returncode == 0


def test_what_a_command_left_in_its_home_is_neither_followed_nor_replaced(den: Den) -> None:
    deep = den.home / ".config/client"
    write(deep, {"settings": ""})
    (den.private / ".config").symlink_to(den.home / ".client")
    (den.private / ".tool").write_text("its own")
    (den.private / "tmp").symlink_to("nowhere")
    den.room(kept=(deep,))
    assert [path.name for path in (den.home / ".client").iterdir()] == ["settings"]
    assert (den.private / ".tool").read_text() == "its own"
    assert not (den.private / "nowhere").exists()


def test_the_launcher_leaves_no_trace(den: Den) -> None:
    room = den.room()
    env = {"PATH": os.environ["PATH"], "ODD": "\udcff", "EMPTY": "", "LC_ALL": "C", **room.env}
    script = 'echo $$; printf "%s\\n" "$1"; grep -E "SigIgn|NoNewPrivs" /proc/self/status; env'
    command = [*room.prefix, "bash", "-c", script, "--", "\udcfe --"]
    with subprocess.Popen(command, cwd=room.cwd, env=env, stdout=subprocess.PIPE) as process:
        pid, word, ignored, new, *found = process.communicate()[0].splitlines()
    added = {b"PWD", b"SHLVL", b"_"}
    assert int(pid) == process.pid, "the command takes the launcher's place"
    assert word == b"\xfe --"
    assert new.split() == [b"NoNewPrivs:", b"1"]
    of_python = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1
    assert int(ignored.split()[1], 16) == ignored_here() & ~of_python, "what Python ignores is not passed on"
    given = {os.fsencode(f"{name}={value}") for name, value in env.items()}
    assert {line for line in found if line.split(b"=")[0] not in added} == given


def ignored_here() -> int:
    """The signals that this process ignores, a bit each; whoever started it may have ignored some."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))


@pytest.mark.parametrize(("command", "code"), [("absent-program", 127), ("./absent", 127), ("./data", 126), (".", 126)])
def test_what_cannot_be_run_exits_as_in_a_shell(den: Den, command: str, code: int) -> None:
    write(den.tree, {"data": "not a program"})
    done = den.run(command)
    assert done.returncode == code
    assert done.stderr.startswith(f"{command}: ")


def test_a_program_is_taken_from_the_first_directory_that_lets_it_run(den: Den) -> None:
    for place, text in ((den.home / ".hidden", "echo hidden"), (den.tree / "bin", "echo found")):
        write(place, {"program": f"#!/bin/sh\n{text}\n"})
        (place / "program").chmod(0o755)
    room = den.room()
    path = f"{den.home}/.hidden:{den.tree}/bin:/usr/bin:/bin"
    done = subprocess.run([*room.prefix, "program"], cwd=room.cwd, env={"PATH": path}, capture_output=True, text=True)
    assert done.stdout == "found\n"


def test_the_launcher_imports_little(den: Den) -> None:
    python, *rest = den.room().prefix
    done = subprocess.run([python, "-X", "importtime", *rest, "true"], capture_output=True, text=True)
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "ctypes" in loaded
    assert not loaded & {"json", "re", "typing", "pathlib", "subprocess", "enum", "site", "autoloop"}


def test_rules_are_few_and_found_once(den: Den) -> None:
    for number in range(1001):
        (den.folder / f"beside/{number}").parent.mkdir(exist_ok=True)
        (den.folder / f"beside/{number}").write_text("")
    crowded = den.folder / "beside"
    first = den.room(reads=(crowded,), hides=(crowded / "0",)).prefix
    assert not any(str(crowded) in rule for rule in first), "a rule for each would take longer than a command"
    assert f"r{crowded}" in den.room(reads=(crowded,)).prefix
