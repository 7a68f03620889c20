"""What survives in the caches of trees, and what never does."""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from autoloop.errors import AutoloopError
from autoloop.git.caches import BUILD, PREPARE, mark
from tests.real_git import Case, commit_all, look, make_repository, write

TRUSTED = {"obj/a.o": "a", "obj/deep/b.o": "b", "obj/deep/c.o": "c", "web/mods/m/i.js": "m", "web/mods/x": "x"}


class Slot(Case):
    """Slot b, whose caches hold what the start left; and two candidates."""

    def __init__(self, folder: Path, trusted: dict[str, str] | None = None) -> None:
        super().__init__(folder, cache_paths=("obj", "web/mods"))
        self.candidates = []
        for number in (1, 2):
            write(self.tree, {"app.py": f"print({number + 1})\n"})
            self.candidates.append(self.commit())
            self.trees.place("agent", self.start)
        self.slot = self.trees.place("b", self.start)
        write(self.slot, TRUSTED if trusted is None else trusted)
        (self.slot / "obj/link").symlink_to("a.o")
        (self.slot / "obj/abroad").symlink_to("/etc/hostname")

    @property
    def copy(self) -> Path:
        return self.trees.home / "caches/b"

    def caches(self) -> dict[str, tuple[object, ...]]:
        """What is in them, with full modes and times of change."""
        found = {name: about for name, about in look(self.slot).items() if name.startswith(("obj/", "web/mods/"))}
        return {name: (*about, *self._times(self.slot / name)) for name, about in found.items()}

    @staticmethod
    def _times(path: Path) -> tuple[int, ...]:
        about = path.lstat()
        return () if path.is_symlink() else (about.st_mode, about.st_mtime_ns)


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    return Slot(tmp_path)


def test_what_a_discarded_candidate_did_to_the_caches_is_undone(slot: Slot, tmp_path: Path) -> None:
    (slot.slot / "obj/deep").chmod(0o555)
    (slot.slot / "obj/a.o").chmod(0o444)
    trusted = slot.caches()
    outside = tmp_path / "outside"
    write(outside, {"keep": "1", "i.js": "evil"})
    slot.trees.place("b", slot.candidates[0])
    assert slot.caches() == trusted
    before = (slot.slot / "obj/deep/b.o").stat()
    (slot.slot / "obj/deep/b.o").write_text("B")
    os.utime(slot.slot / "obj/deep/b.o", ns=(before.st_atime_ns, before.st_mtime_ns))
    (slot.slot / "obj/a.o").chmod(0o777)
    (slot.slot / "obj/deep").chmod(0o700)
    (slot.slot / "obj/deep/c.o").unlink()
    write(slot.slot, {"obj/deep/c.o/inner": "a folder now", "obj/new/poison": "1", "web/mods/m.js": "1"})
    (slot.slot / "obj/new").chmod(0)
    (slot.slot / "obj/link").unlink()
    (slot.slot / "obj/link").symlink_to("deep/b.o")
    (slot.slot / "obj/abroad").unlink()
    (slot.slot / "obj/abroad").write_text("a file now")
    shutil.rmtree(slot.slot / "web/mods/m")
    (slot.slot / "web/mods/m").symlink_to(outside)
    (slot.slot / "web/mods/x").unlink()
    os.mkfifo(slot.slot / "web/mods/x")
    os.mkfifo(slot.slot / "obj/pipe")
    write(slot.slot, {os.fsdecode(b"obj/\xff\xfe"): "1"})
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(slot.slot / "obj/sock"))
    slot.trees.place("b", slot.candidates[1])
    assert slot.caches() == trusted
    assert look(outside) == {"keep": ("file", False, b"1"), "i.js": ("file", False, b"evil")}


def test_a_cache_that_was_taken_away_whole_comes_back(slot: Slot, tmp_path: Path) -> None:
    trusted = slot.caches()
    slot.trees.place("b", slot.candidates[0])
    shutil.rmtree(slot.slot / "obj")
    (slot.slot / "obj").symlink_to(tmp_path)
    shutil.rmtree(slot.slot / "web")
    (slot.slot / "web").write_text("in the way")
    slot.trees.place("b", slot.candidates[1])
    assert slot.caches() == trusted


def test_only_what_differs_is_written(slot: Slot) -> None:
    slot.trees.place("b", slot.candidates[0])

    def inodes() -> dict[str, int]:
        return {name: (slot.slot / name).lstat().st_ino for name in TRUSTED}

    before = inodes()
    (slot.slot / "obj/a.o").write_text("A")
    slot.trees.place("b", slot.candidates[1])
    after = inodes()
    assert {name for name in TRUSTED if before[name] != after[name]} <= {"obj/a.o"}
    assert (slot.slot / "obj/a.o").read_text() == "a"


def test_a_file_with_another_name_outside_is_not_written_through(slot: Slot, tmp_path: Path) -> None:
    """Package managers link files into `node_modules` from a store in the user's home."""
    (tmp_path / "store").write_text("of the user")
    slot.trees.place("b", slot.candidates[0])
    (slot.slot / "obj/a.o").unlink()
    os.link(tmp_path / "store", slot.slot / "obj/a.o")
    slot.trees.place("b", slot.candidates[1])
    assert (slot.slot / "obj/a.o").read_text() == "a"
    assert (tmp_path / "store").read_text() == "of the user"


def test_what_a_kept_candidate_left_is_what_later_ones_begin_from(slot: Slot) -> None:
    kept = slot.candidates[0]
    slot.trees.place("b", kept)
    write(slot.slot, {"obj/a.o": "a of the kept one"})
    (slot.slot / "obj/deep/c.o").unlink()
    trusted = slot.caches()
    slot.trees.settle(head=kept, previous=slot.start)
    slot.trees.place("b", slot.candidates[1])
    assert slot.caches() == trusted
    write(slot.slot, {"obj/a.o": "poison"})
    slot.trees.place("b", kept)
    assert slot.caches() == trusted


def test_what_the_kept_tree_itself_builds_lasts_and_other_slots_know_nothing_of_it(slot: Slot) -> None:
    slot.trees.place("b", slot.candidates[0])
    slot.trees.place("b", slot.start)
    write(slot.slot, {"obj/later.o": "built by the start"})
    slot.trees.place("b", slot.candidates[1])
    assert (slot.slot / "obj/later.o").exists()
    assert not any((slot.trees.place("a", slot.candidates[1]) / "obj").iterdir())


def test_the_same_commit_placed_again_begins_anew(slot: Slot) -> None:
    """It is placed again when its build was cut short, or when it has seen what others may not."""
    slot.trees.trust("b", True)
    trusted = slot.caches()
    write(slot.slot, {"obj/half": "built"})
    slot.trees.place("b", slot.start)
    assert slot.caches() == trusted


def test_what_an_agent_does_to_its_caches_is_undone_even_at_the_head(slot: Slot) -> None:
    write(slot.tree, {"obj/prepared": "1"})
    slot.trees.trust("agent", True)
    write(slot.tree, {"obj/prepared": "edited"})
    slot.trees.settle(head=slot.candidates[0], previous=slot.start)
    slot.trees.place("agent", slot.candidates[0])
    assert (slot.tree / "obj/prepared").read_text() == "1"
    write(slot.tree, {"obj/prepared": "edited"})
    slot.trees.place("agent", slot.start)
    assert (slot.tree / "obj/prepared").read_text() == "1"


def test_a_tree_that_lacks_files_leaves_nothing(slot: Slot) -> None:
    slot.trees.trust("b", True)
    slot.trees.place("b", slot.candidates[0])
    slot.trees.place("b", slot.start)
    slot.trees.strip("b", lambda path: path == "app.py")
    write(slot.slot, {"obj/a.o": "built without app.py"})
    slot.trees.place("b", slot.candidates[1])
    assert (slot.slot / "obj/a.o").read_text() == "a"


def test_a_fresh_tree_remembers_nothing_of_what_ran_in_it(slot: Slot) -> None:
    """Neither the reset nor a commit knows of a folder's time and attributes, so there work could be kept."""
    for folder in (slot.slot, *(path for path in slot.slot.iterdir() if path.is_dir() and path.name != ".git")):
        with suppress(OSError):  # some file systems have no attributes
            os.setxattr(folder, "user.kept", b"work")
        os.utime(folder, (77, 77))
    tree = slot.trees.place("b", slot.candidates[0], keep_caches=False)
    for folder in (tree, *(path for path in tree.iterdir() if path.is_dir())):
        assert folder.stat().st_mtime > 77 and "user.kept" not in os.listxattr(folder)


def test_a_fresh_tree_has_no_caches_and_they_come_back(slot: Slot) -> None:
    trusted = slot.caches()
    slot.trees.place("b", slot.candidates[0], keep_caches=False)
    assert slot.caches() == {}
    write(slot.slot, {"obj/a.o": "built from nothing"})
    slot.trees.place("b", slot.start, keep_caches=False)
    assert slot.caches() == {}
    write(slot.slot, {"obj/a.o": "built from nothing"})
    slot.trees.place("b", slot.candidates[1])
    assert slot.caches() == trusted


# After a kill


def test_a_process_that_does_not_know_who_was_there_brings_the_copy_back(slot: Slot) -> None:
    kept = slot.candidates[0]
    slot.trees.place("b", kept)
    write(slot.slot, {"obj/a.o": "of the kept one"})
    slot.trees.settle(head=kept, previous=slot.start)
    trusted = slot.caches()
    write(slot.slot, {"obj/a.o": "whoever this was"})
    slot.again().place("b", kept)
    assert slot.caches() == trusted


def test_without_a_copy_caches_are_emptied_and_prepared_again(slot: Slot) -> None:
    done = mark(slot.trees.home, PREPARE, "b"), mark(slot.trees.home, BUILD, "b")
    for file in done:
        file.touch()
    slot.again().place("b", slot.start)
    assert slot.caches() == {}
    assert not any(file.exists() for file in done)


@pytest.mark.parametrize("damage", ["torn", "gone", "content gone", "content touched", "another boot", "not a list"])
def test_a_copy_that_is_not_as_it_was_written_is_never_used(slot: Slot, damage: str) -> None:
    slot.trees.trust("b", True)
    mark(slot.trees.home, PREPARE, "b").touch()
    listing = slot.copy / "list.json"
    content = next(file for file in (slot.copy / "contents").iterdir() if file.read_text() == "a")
    match damage:
        case "torn":
            listing.write_bytes(listing.read_bytes()[:-100])
        case "gone":
            listing.unlink()
        case "content gone":
            content.unlink()
        case "content touched":
            before = content.stat()
            content.write_text("A")
            os.utime(content, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "another boot":
            found = json.loads(listing.read_text())
            found["head"][1] = "another"
            listing.write_text(json.dumps(found))
        case "not a list":
            listing.write_text("[1]")
    slot.again().place("b", slot.start)
    assert slot.caches() == {}
    assert not mark(slot.trees.home, PREPARE, "b").exists()


def test_a_copy_that_is_changed_while_the_run_goes_on_ends_it(slot: Slot) -> None:
    slot.trees.place("b", slot.candidates[0])
    for file in (slot.copy / "contents").iterdir():
        file.write_text("poison")
    write(slot.slot, {"obj/a.o": "poison"})
    with pytest.raises(AutoloopError, match="the copy of the caches was changed") as caught:
        slot.trees.place("b", slot.candidates[1])
    assert "Resume" in caught.value.hint
    slot.again().place("b", slot.candidates[1])
    assert slot.caches() == {}


def killed_while(work: Callable[[], object], begun: Callable[[], bool]) -> None:
    """Do something in another process, and kill that once it has begun."""
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    while not begun():
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1]), "it was done before it could be killed"


MANY = {f"obj/{folder}/{number}.o": "x" * 500 for folder in range(20) for number in range(100)}


def test_killed_in_the_middle_of_the_first_copy_there_is_none(tmp_path: Path) -> None:
    slot = Slot(tmp_path, MANY)
    contents = slot.copy / "contents"
    killed_while(
        lambda: slot.trees.trust("b", True), lambda: contents.exists() and 100 < len(os.listdir(contents)) < 1500
    )
    assert not (slot.copy / "list.json").exists()
    slot.again().place("b", slot.start)
    assert slot.caches() == {}


def test_killed_in_the_middle_of_a_later_copy_there_is_the_earlier_one(tmp_path: Path) -> None:
    slot = Slot(tmp_path, MANY)
    slot.trees.trust("b", True)
    trusted = slot.caches()
    for name in MANY:
        (slot.slot / name).write_text("y" * 500)
    contents = slot.copy / "contents"
    killed_while(lambda: slot.trees.trust("b", True), lambda: 2100 < len(os.listdir(contents)) < 3500)
    slot.again().place("b", slot.start)
    assert slot.caches() == trusted
    slot.trees.trust("b", True)
    write(slot.slot, {"obj/one.o": "more"})
    slot.trees.trust("b", True)
    assert len(os.listdir(contents)) == len(MANY) + 1, "what the killed one left is gone"


def test_killed_in_the_middle_of_bringing_back_the_next_process_goes_on(tmp_path: Path) -> None:
    slot = Slot(tmp_path, MANY)
    slot.trees.trust("b", True)
    trusted = slot.caches()
    shutil.rmtree(slot.slot / "obj")
    slot.again()
    killed_while(
        lambda: slot.trees.place("b", slot.start),
        lambda: (slot.slot / "obj/2").exists() and len(os.listdir(slot.slot / "obj")) < 18,
    )
    slot.again().place("b", slot.start)
    assert slot.caches() == trusted


# What it costs


def test_where_there_are_no_caches_nothing_is_copied(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.trees.trust("agent", True)
    case.trees.place("b", case.start)
    case.trees.settle(head=case.start, previous=case.start)
    case.trees.trust("b", True)
    assert not (case.trees.home / "caches").exists()


def test_tracked_files_in_a_cache_stay(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo", {"app.py": "1\n", "obj/keep.txt": "tracked\n", ".gitignore": "*.o\n"})
    commit_all(root)
    case = Case(tmp_path, root, cache_paths=("obj",))
    for slot in ("b", "b", "agent"):
        tree = case.trees.place(slot, case.start)
        assert (tree / "obj/keep.txt").read_text() == "tracked\n"
        write(tree, {"obj/keep.txt": "changed\n", "obj/a.o": "1"})
    assert look(case.trees.place("agent", case.start, keep_caches=False)) == look(root)
