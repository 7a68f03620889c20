"""The seal: whatever happens to a measurement file is seen, whoever hides it."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoloop.errors import AutoloopError
from autoloop.git.walk import remove
from autoloop.measure.seal import Protected, ProtectedFiles, SealedProgram, seal
from tests.real_git import write

FILES = {"measure.sh": "echo METRIC ms=1\n", "data/input.txt": "1 2 3\n", "data/runs/old.txt": "kept\n"}

TICK = 0.02
"""Seconds after which a file that changes again has another change time, on any system."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write(tmp_path / "source", FILES)
    return tmp_path / "source"


@pytest.fixture
def sealed(source: Path, tmp_path: Path) -> SealedProgram:
    copy = tmp_path / "sealed"
    sealed = SealedProgram(copy, seal(source, copy))
    assert sealed.violations() == ()
    time.sleep(TICK)
    return sealed


def in_secret(path: Path, text: str) -> None:
    """Write the same number of bytes, and put the times back."""
    about = path.stat()
    assert len(text) == about.st_size
    path.write_text(text)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def swap(path: Path, text: str) -> None:
    """Put another file in its place, of the same size, with the same times."""
    about = path.stat()
    other = path.with_name("other")
    other.write_text(text)
    other.chmod(stat.S_IMODE(about.st_mode))
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    other.rename(path)


def link(path: Path, target: Path) -> None:
    """Leave a symlink to a file that holds the same."""
    path.rename(target)
    path.symlink_to(target)


TAMPERING: dict[str, tuple[Callable[[Path], object], str]] = {
    "other content": (lambda copy: (copy / "measure.sh").write_text("echo METRIC ms=0\n"), "sealed measure.sh"),
    "the same size and time": (lambda copy: in_secret(copy / "data/input.txt", "9 9 9\n"), "sealed data/input.txt"),
    "another file in its place": (lambda copy: swap(copy / "measure.sh", "echo METRIC ms=0\n"), "sealed measure.sh"),
    "another mode": (lambda copy: (copy / "measure.sh").chmod(0o755), "sealed measure.sh"),
    "a symlink": (lambda copy: link(copy / "measure.sh", copy.parent / "elsewhere"), "sealed measure.sh"),
    "a symlink for a folder": (lambda copy: link(copy / "data", copy.parent / "elsewhere"), "sealed data (added)"),
    "an addition": (lambda copy: (copy / "json.py").write_text("import os\n"), "sealed json.py (added)"),
    "a deletion": (lambda copy: (copy / "data/input.txt").unlink(), "sealed data/input.txt (gone)"),
    "a fifo": (lambda copy: ((copy / "measure.sh").unlink(), os.mkfifo(copy / "measure.sh")), "sealed measure.sh"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERING)
def test_every_change_of_a_sealed_file_is_named(sealed: SealedProgram, name: str) -> None:
    tamper, said = TAMPERING[name]
    tamper(sealed.directory)
    assert said in sealed.violations()


def test_a_change_that_is_taken_back_is_none(sealed: SealedProgram) -> None:
    path = sealed.directory / "measure.sh"
    path.write_text("exit 1\n")
    assert sealed.violations()
    path.write_text(FILES["measure.sh"])
    assert sealed.violations() == ()


def test_planted_bytecode_goes_before_it_can_be_used(sealed: SealedProgram) -> None:
    planted = sealed.directory / "data/__pycache__/json.cpython-311.pyc"
    planted.parent.mkdir()
    planted.write_bytes(b"planted")
    assert sealed.violations() == ()
    assert not planted.parent.exists() and sealed.violations() == ()


def test_a_link_in_the_place_of_bytecode_goes_as_well(sealed: SealedProgram, tmp_path: Path) -> None:
    write(tmp_path, {"evil/json.cpython-311.pyc": "planted"})
    planted = sealed.directory / "__pycache__"
    planted.symlink_to(tmp_path / "evil")
    assert sealed.violations() == ()
    assert not planted.is_symlink()
    assert (tmp_path / "evil/json.cpython-311.pyc").exists(), "what a link leads to is somebody else's"


def test_a_resumed_run_holds_files_to_the_digests_of_its_beginning(source: Path, tmp_path: Path) -> None:
    digests = seal(source, tmp_path / "sealed")
    (tmp_path / "sealed/measure.sh").write_text("echo METRIC ms=0\n")
    assert SealedProgram(tmp_path / "sealed", digests).violations() == ("sealed measure.sh",)


def test_the_copy_holds_what_links_point_at(source: Path, tmp_path: Path) -> None:
    write(tmp_path, {"shared/lib.sh": "true\n"})
    (source / "lib.sh").symlink_to(tmp_path / "shared/lib.sh")
    (source / "measure.sh").chmod(0o750)
    digests = seal(source, tmp_path / "sealed")
    (tmp_path / "shared/lib.sh").write_text("false\n")
    assert SealedProgram(tmp_path / "sealed", digests).violations() == ()
    assert (tmp_path / "sealed/lib.sh").read_text() == "true\n"
    assert stat.S_IMODE((tmp_path / "sealed/measure.sh").stat().st_mode) == 0o750


def test_results_of_autoauto_are_left_out_and_data_of_that_name_is_not(source: Path, tmp_path: Path) -> None:
    write(source, {"runs/1/results.tsv": "old\n", ".git/config": "\n", "__pycache__/m.pyc": ""})
    assert sorted(seal(source, tmp_path / "sealed")) == sorted(FILES)


def test_what_cannot_be_copied_is_named(source: Path, tmp_path: Path) -> None:
    (source / "gone").symlink_to("nowhere")
    with pytest.raises(AutoloopError, match=r"cannot be sealed: .*gone"):
        seal(source, tmp_path / "sealed")


# Protected files of a tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write(tmp_path / "tree", {"tests/test_a.py": "1\n", "tests/deep/golden.json": "{}\n", "src/a.py": "1\n"})
    return tmp_path / "tree"


@pytest.fixture
def protected(tree: Path) -> ProtectedFiles:
    protected = ProtectedFiles(tree, Protected(("tests/**", "src/*.lock")))
    time.sleep(TICK)
    return protected


def test_only_protected_files_count(tree: Path, protected: ProtectedFiles) -> None:
    (tree / "src/a.py").write_text("2\n")
    (tree / "src/build").mkdir()
    assert protected.violations() == ()


@pytest.mark.parametrize(("tamper", "named"), [
    (lambda tree: in_secret(tree / "tests/test_a.py", "2\n"), "tests/test_a.py"),
    (lambda tree: swap(tree / "tests/test_a.py", "2\n"), "tests/test_a.py"),
    (lambda tree: (tree / "tests/deep/golden.json").chmod(0o777), "tests/deep/golden.json"),
    (lambda tree: (tree / "tests/conftest.py").write_text("\n"), "tests/conftest.py"),
    (lambda tree: (tree / "tests/test_a.py").unlink(), "tests/test_a.py"),
    (lambda tree: (tree / "src/new.lock").write_text("\n"), "src/new.lock"),
    (lambda tree: link(tree / "tests/deep", tree / "elsewhere"), "tests/deep/golden.json"),
])  # fmt: skip
def test_a_change_of_a_protected_file_is_named(
    tree: Path, protected: ProtectedFiles, tamper: Callable[[Path], object], named: str
) -> None:
    tamper(tree)
    assert named in protected.violations()


def test_bytecode_of_protected_modules_goes_and_no_other(tree: Path) -> None:
    planted = "__pycache__/{}.cpython-311.pyc"
    write(tree, {f"src/{planted.format(name)}": "" for name in ("a", "b")})
    write(tree, {f"tests/{planted.format(name)}": "" for name in ("test_a", "left")})
    (tree / "src/__pycache__").chmod(0o500)
    protected = ProtectedFiles(tree, Protected(("tests/**", "src/a.py")))
    assert protected.violations() == ()
    left = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*.pyc"))
    assert left == [f"src/{planted.format('b')}", f"tests/{planted.format('left')}"]


def test_a_link_to_bytecode_of_protected_modules_goes_and_not_what_it_leads_to(tree: Path, tmp_path: Path) -> None:
    write(tmp_path, {"evil/test_a.cpython-311.pyc": "planted"})
    (tree / "tests/__pycache__").symlink_to(tmp_path / "evil")
    assert ProtectedFiles(tree, Protected(("tests/**",))).violations() == ()
    assert not (tree / "tests/__pycache__").is_symlink() and (tmp_path / "evil/test_a.cpython-311.pyc").exists()


def test_names_that_are_not_utf8_are_watched_too(tree: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tree) + b"/tests/\xff"))
    odd.write_text("1")
    protected = ProtectedFiles(tree, Protected(("tests/**",)))
    assert protected.violations() == ()
    odd.write_text("2")
    assert protected.violations() == ("tests/\\xff",)


@pytest.mark.parametrize(("patterns", "roots"), [
    (("programs/p/**",), ("programs/p",)),
    (("tests/**", "tests/deep/*.json", "Makefile"), ("Makefile", "tests")),
    (("**/conftest.py", "tests/**"), ("",)),
    (("./a/b*/c",), ("a",)),
])  # fmt: skip
def test_only_the_folders_that_globs_can_match_are_walked(patterns: tuple[str, ...], roots: tuple[str, ...]) -> None:
    assert Protected(patterns).roots == roots


@contextmanager
def too_deep_in(folder: Path) -> Iterator[None]:
    """More folders than a path can name. They go again: nothing else could remove them."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(2500):
            os.mkdir("d", dir_fd=opened)
            below = os.open("d", os.O_RDONLY, dir_fd=opened)
            os.close(opened)
            opened = below
        yield
    finally:
        os.close(opened)
        remove(os.fsencode(folder / "d"))


def test_folders_deeper_than_a_path_end_no_look(tree: Path) -> None:
    protected = ProtectedFiles(tree, Protected(("**/conftest.py",)))
    with too_deep_in(tree):
        assert protected.violations() == ()
        write(tree, {"lib/conftest.py": "import evil"})
        assert protected.violations() == ("lib/conftest.py",)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_what_is_in_a_closed_folder_is_gone(tree: Path) -> None:
    write(tree, {"tests/golden/a.txt": "1"})
    protected = ProtectedFiles(tree, Protected(("tests/golden/**",)))
    (tree / "tests/golden").chmod(0)
    assert protected.violations() == ("tests/golden/a.txt",)
    (tree / "tests/golden").chmod(0o755)
