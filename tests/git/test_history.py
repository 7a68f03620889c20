"""The history that people are shown: what is read, and that no program which somebody has set is run for it."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import git as gitpython
import pytest

from autoloop import api
from autoloop.comparison.arena import CompareOptions
from autoloop.comparison.stopwatch import Measure
from autoloop.errors import AutoloopError
from autoloop.git.history import History, LoggedCommit
from autoloop.git.repository import find
from autoloop.host.signals import Signals
from tests.real_git import commit_all, git, make_repository, write
from tests.real_run import Checkout


def history(root: Path) -> History:
    repository = find(root)
    return History(repository.root, repository.git_dir)


def audit(root: Path, span: str) -> list[str]:
    """The subjects of what is audited; a few real processes in real trees."""
    options = CompareOptions(measure=Measure.OUTPUT, seed=1)
    audited = api.audit(root, span, ["echo METRIC n=1"], options, signals=Signals(), on_progress=lambda sign: None)
    return [entry.subject for entry in audited.commits]


def test_a_revision_is_resolved_to_its_commit(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    git(root, "tag", "-m", "one", "v1")
    head = git(root, "rev-parse", "HEAD")
    for right in ("v1", "HEAD", head[:8], "main@{0}", "main^{/a commit}"):
        assert history(root).resolve(right) == head
    for wrong in ("nothing", "--all", "HEAD:app.py", "", "http://[::1", "0" * 40):
        with pytest.raises(AutoloopError, match="names no commit") as caught:
            history(root).resolve(wrong)
        assert caught.value.hint and "\n" not in caught.value.message


def test_a_log_follows_first_parents_from_the_oldest(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    base = git(root, "rev-parse", "HEAD")
    first = commit_all(root, "one line\nand another\n\nand a body")
    git(root, "checkout", "--quiet", "-b", "side", base)
    side = commit_all(root, "beside")
    git(root, "checkout", "--quiet", "main")
    git(root, "merge", "--quiet", "--no-ff", "-m", "a merge", "side")
    merge = git(root, "rev-parse", "HEAD")
    assert history(root).log(base, merge) == [
        LoggedCommit(first, (base,), "one line and another"), LoggedCommit(merge, (first, side), "a merge"),
    ]  # fmt: skip
    assert history(root).log(merge, base) == []


def test_a_subject_is_text_whatever_it_holds(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    git(root, "config", "i18n.logOutputEncoding", "ISO-8859-1")
    base = git(root, "rev-parse", "HEAD")
    subjects = ["fa\u00e7ade \u4e2d", "a page\x0cbreak", "a line\u2028break", "\x1b[31mred", "%H %x00"]
    for subject in subjects:
        commit_all(root, subject)
    git(root, "commit", "--quiet", "--allow-empty", "--allow-empty-message", "-m", "")
    found = history(root).log(base, git(root, "rev-parse", "HEAD"))
    assert [entry.subject for entry in found] == [*subjects, ""]


def test_history_is_read_in_repositories_of_every_kind(tmp_path: Path) -> None:
    origin = make_repository(tmp_path / "origin")
    commits = [git(origin, "rev-parse", "HEAD"), *(commit_all(origin, name) for name in ("second", "third"))]
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{origin}", "shallow")
    (end,) = history(tmp_path / "shallow").log(commits[1], commits[2])
    assert (end.parents, history(tmp_path / "shallow").resolve("HEAD~1")) == ((commits[1],), commits[1])
    git(
        tmp_path / "shallow",
        "branch",
        "--quiet",
        "empty",
        git(tmp_path / "shallow", "commit-tree", "-m", "e", "HEAD^{tree}"),
    )
    base = git(tmp_path / "shallow", "rev-parse", "empty")
    assert [entry.parents for entry in history(tmp_path / "shallow").log(base, commits[2])] == [(), (commits[1],)]
    git(origin, "worktree", "add", "--quiet", "../side", "HEAD~1")
    assert history(tmp_path / "side").resolve("HEAD") == commits[1]
    large = make_repository(tmp_path / "large", None, "--object-format=sha256")
    start, head = git(large, "rev-parse", "HEAD"), commit_all(large, "second")
    assert history(large).log(start, head) == [LoggedCommit(head, (start,), "second")] and len(head) == 64
    odd = make_repository(tmp_path / os.fsdecode(b"caf\xe9 = $HOME"))
    assert history(odd).resolve("HEAD") == git(odd, "rev-parse", "HEAD")


def test_whose_a_repository_is_stays_gits_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "repo")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(AutoloopError, match="dubious ownership") as caught:
        audit(root, "HEAD..HEAD")
    assert "safe.directory" in caught.value.hint
    git(root, "config", "--global", "safe.directory", "*")
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")
    if os.geteuid() == 0:
        for path in (root, root / ".git"):
            os.chown(path, 65534, 65534)
    assert len(history(root).resolve("HEAD")) == 40


def test_a_git_that_cannot_be_run_is_one_line(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from autoloop.errors import AutoloopError\n"
        "from autoloop.git.history import History\n"
        "try: History(Path(sys.argv[2]), Path(sys.argv[2], '.git')).resolve('HEAD')\n"
        "except AutoloopError as error: print(error.message)"
    )
    package = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, package, str(root)],
        env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout.count("\n"), done.stdout[:15], done.stderr) == (1, "git rev-parse: ", "")


def _run(root: Path, *words: str) -> str:
    """GitPython as it comes, with the environment and all settings."""
    return str(gitpython.Git(root).execute(["git", *words], with_exceptions=False))


def _reads(root: Path, *words: str) -> None:
    """What GitPython would run, in the guarded way. What only looks at work files or writes is not listed there."""
    reader = history(root)
    reader.resolve("HEAD")
    reader.log(reader.resolve("HEAD~1"), reader.resolve("HEAD"))
    with pytest.raises(AutoloopError):
        reader.resolve("1" * 40)
    name, *rest = words
    if name in ("log", "rev-parse"):
        getattr(reader.git, name)(*rest, with_exceptions=False)
    else:
        with pytest.raises(KeyError):
            getattr(reader.git, name)(*rest)


@dataclass(frozen=True)
class Planted:
    """A place from which git can be told to start a program, and the command that does."""

    name: str
    words: tuple[str, ...]
    plant: Callable[[Path, str, pytest.MonkeyPatch], None]


def _config(**settings: str) -> Callable[[Path, str, pytest.MonkeyPatch], None]:
    def plant(root: Path, program: str, patch: pytest.MonkeyPatch) -> None:
        for name, value in settings.items():
            git(root, "config", name.replace("__", "."), value.replace("@", program))

    return plant


def _variables(**variables: str) -> Callable[[Path, str, pytest.MonkeyPatch], None]:
    def plant(root: Path, program: str, patch: pytest.MonkeyPatch) -> None:
        for name, value in variables.items():
            patch.setenv(name, value.replace("@", program))

    return plant


def _hook(name: str) -> Callable[[Path, str, pytest.MonkeyPatch], None]:
    def plant(root: Path, program: str, patch: pytest.MonkeyPatch) -> None:
        (root / ".git/hooks").mkdir(exist_ok=True)
        (root / ".git/hooks" / name).symlink_to(program)

    return plant


def _hooks_path(root: Path, program: str, patch: pytest.MonkeyPatch) -> None:
    (root.parent / "planted-hooks").mkdir()
    (root.parent / "planted-hooks/reference-transaction").symlink_to(program)
    git(root, "config", "core.hooksPath", str(root.parent / "planted-hooks"))


def _home(root: Path, program: str, patch: pytest.MonkeyPatch) -> None:
    write(Path.home(), {".gitconfig": f"[log]\nshowSignature = true\n[gpg]\nprogram = {program}\n"})


def _system(root: Path, program: str, patch: pytest.MonkeyPatch) -> None:
    write(root.parent, {"gitconfig": f"[log]\nshowSignature = true\n[gpg]\nprogram = {program}\n"})
    patch.setenv("GIT_CONFIG_SYSTEM", str(root.parent / "gitconfig"))


def _beside(*names: str) -> Callable[[Path, str, pytest.MonkeyPatch], None]:
    """Programs in the repository, found because a person's path holds the current directory."""

    def plant(root: Path, program: str, patch: pytest.MonkeyPatch) -> None:
        for name in names:
            for folder in (root, root / ".git"):
                (folder / name).symlink_to(program)
        patch.setenv("PATH", f".:{os.environ['PATH']}")
        patch.chdir(root)

    return plant


def _promised(**settings: str) -> Callable[[Path, str, pytest.MonkeyPatch], None]:
    """A partial clone: what is missing is asked of another repository."""
    partial = {"core__repositoryFormatVersion": "1", "extensions__partialClone": "origin"}
    promised = {"remote__origin__url": "../origin", "remote__origin__promisor": "true"}
    return _config(**{**partial, **promised, **settings})


SIGNED = ("log", "--format=%s")
CHANGES = ("log", "--patch", "--format=%s")
MISSING = ("rev-parse", "--verify", "--quiet", "1" * 40 + "^{commit}")
SHOWS = {"log__showSignature": "true"}
PLANTED = (
    Planted("gpg", SIGNED, _config(**SHOWS, gpg__program="@")),
    Planted("gpg-of-a-format", ("log", "--format=%G?"), _config(gpg__program="@")),
    Planted("gpg-at-home", SIGNED, _home),
    Planted("gpg-of-the-system", SIGNED, _system),
    Planted("gpg-in-variables", SIGNED, _variables(
        GIT_CONFIG_COUNT="2", GIT_CONFIG_KEY_0="log.showSignature", GIT_CONFIG_VALUE_0="true",
        GIT_CONFIG_KEY_1="gpg.program", GIT_CONFIG_VALUE_1="@",
    )),
    Planted("gpg-in-parameters", SIGNED, _variables(
        GIT_CONFIG_PARAMETERS="'log.showSignature'='true' 'gpg.program'='@'"
    )),
    Planted("textconv", CHANGES, _config(diff__planted__textconv="@")),
    Planted("a-driver-of-diffs", ("diff", "HEAD~1", "HEAD"), _config(diff__planted__command="@")),
    Planted("an-external-diff", ("diff", "HEAD~1", "HEAD"), _config(diff__external="@")),
    Planted("an-external-diff-in-a-variable", ("diff", "HEAD~1", "HEAD"), _variables(GIT_EXTERNAL_DIFF="@")),
    Planted("a-filter", ("diff", "HEAD"), _config(filter__planted__clean="@")),
    Planted("fsmonitor", ("status",), _config(core__fsmonitor="@")),
    Planted("a-hook-of-the-index", ("status",), _hook("post-index-change")),
    Planted("a-hook-of-refs", ("update-ref", "refs/heads/other", "HEAD"), _hook("reference-transaction")),
    Planted("a-path-of-hooks", ("update-ref", "refs/heads/other", "HEAD"), _hooks_path),
    Planted("an-alias", ("shown",), _config(alias__shown="!@")),
    Planted("git-in-the-path", SIGNED, _beside("git", "env")),
    Planted("upload-pack", MISSING, _promised(remote__origin__uploadpack="@")),
    Planted("ssh", MISSING, _promised(remote__origin__url="ssh://nowhere/repo", core__sshCommand="@")),
)  # fmt: skip


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A repository whose last commit is said to be signed and changes a file that has a driver and a filter."""
    root = make_repository(tmp_path / "repo", {"app.py": "1\n"})
    write(root, {"app.py": "2\n", ".git/info/attributes": "*.py diff=planted filter=planted\n"})
    commit_all(root)
    make_repository(tmp_path / "origin")
    head, text = git(root, "cat-file", "commit", "HEAD").split("\n\n", 1)
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----"
    write(tmp_path, {"commit": f"{head}\n{signature}\n\n{text}\n"})
    git(root, "reset", "--quiet", "--hard", git(root, "hash-object", "-t", "commit", "-w", str(tmp_path / "commit")))
    os.utime(root / "app.py", (1, 1))
    return root


def _program(folder: Path) -> tuple[str, Path]:
    program, marker = folder / "planted", folder / "marker"
    program.write_text(f"#!/bin/sh\necho ran >> {marker}\nexit 1\n")
    program.chmod(0o755)
    return str(program), marker


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_no_planted_program_runs_for_what_people_are_shown(
    planted: Planted, signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, marker = _program(tmp_path)
    planted.plant(signed, program, monkeypatch)
    _reads(signed, *planted.words)
    assert not marker.exists()
    _run(signed, *planted.words)
    assert marker.exists(), "nothing would have run without the guard either"


def test_an_audit_runs_nothing_that_is_planted(signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, marker = _program(tmp_path)
    for planted in PLANTED:
        if planted.name not in ("ssh", "upload-pack", "gpg-in-parameters"):
            planted.plant(signed, program, monkeypatch)
    assert audit(signed, "HEAD~1..HEAD") == ["a commit"]
    assert not marker.exists()
    _run(signed, *CHANGES)
    assert marker.exists()


def test_a_borrowed_repository_in_the_environment_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, other = make_repository(tmp_path / "repo"), make_repository(tmp_path / "other", {"b": "b\n"})
    head = git(root, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / ".git/objects"))
    assert history(root).resolve("HEAD") == head


LOADED = """\
import sys
from typer.testing import CliRunner
import autoloop
from autoloop.cli.app import app
for words in {lines!r}:
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 2 and isinstance(done.exception, (SystemExit, type(None))), (words, done.output)
print("loaded:", [name for name in ("git", "autoloop.git.history") if name in sys.modules])
"""


def _loaded(root: Path, *lines: str) -> str:
    code = LOADED.format(lines=[["-C", str(root), *line.split()] for line in lines])
    package = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([package, *filter(None, sys.path)]),
            "GIT_PYTHON_GIT_EXECUTABLE": "/nowhere/git",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rpartition("loaded: ")[2].strip()


def test_only_verbs_that_read_history_load_gitpython(checkout: Checkout) -> None:
    checkout.configure(max_experiments=1)
    checkout.agent('echo "x = 90" > code.py')
    assert _loaded(checkout.root, "run p", "status", "results", "verify", "init speed", "clean") == "[]"
    assert _loaded(checkout.root, "compare HEAD HEAD --max-pairs 8 -- true") == "['git', 'autoloop.git.history']"
