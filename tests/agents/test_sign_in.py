"""A sign-in that is copied into a session: both sides hear of a new token, and nothing else gets through."""

import os
from pathlib import Path

import pytest

from autoloop.agents.sign_in import BorrowedSignIn

OLD, NEW, NEWER = b'{"token": "old"}', b'{"token": "new"}', b'{"token": "newer"}'


@pytest.fixture
def borrowed(tmp_path: Path) -> BorrowedSignIn:
    own, home = tmp_path / "own/auth.json", tmp_path / "private"
    own.parent.mkdir()
    home.mkdir()
    own.write_bytes(OLD)
    return BorrowedSignIn(own, home, Path(".client/auth.json"))


def copy(borrowed: BorrowedSignIn) -> Path:
    return borrowed.home / borrowed.place


def replace(path: Path, text: bytes) -> None:
    """As a client does it: another file takes the place."""
    other = path.with_suffix(".tmp")
    other.write_bytes(text)
    os.replace(other, path)


def test_what_either_side_renews_reaches_the_other(borrowed: BorrowedSignIn) -> None:
    borrowed.copy_in()
    assert copy(borrowed).read_bytes() == OLD and copy(borrowed).stat().st_mode & 0o777 == 0o600
    replace(copy(borrowed), NEW)
    borrowed.look(at_once=True)
    assert borrowed.own.read_bytes() == NEW and borrowed.own.stat().st_mode & 0o777 == 0o600
    replace(borrowed.own, NEWER)
    borrowed.look(at_once=True)
    assert copy(borrowed).read_bytes() == NEWER


def test_nothing_stays_behind_and_the_last_word_is_heard(borrowed: BorrowedSignIn) -> None:
    borrowed.copy_in()
    replace(copy(borrowed), NEW)
    borrowed.take_back()
    assert borrowed.own.read_bytes() == NEW and not copy(borrowed).exists()
    borrowed.take_back()
    assert borrowed.own.read_bytes() == NEW


def test_what_a_killed_session_renewed_is_brought_home(borrowed: BorrowedSignIn) -> None:
    borrowed.copy_in()
    replace(copy(borrowed), NEW)
    os.utime(borrowed.own, (1, 1))
    later = BorrowedSignIn(borrowed.own, borrowed.home, borrowed.place)
    later.rescue()
    assert borrowed.own.read_bytes() == NEW
    replace(borrowed.own, NEWER)  # the user signed in again
    os.utime(copy(borrowed), (1, 1))
    later.rescue()
    assert borrowed.own.read_bytes() == NEWER


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1]", b"\xff", b"{" * 100_000], ids=["empty", "cut", "list", "bytes", "deep"]
)
def test_nothing_broken_is_brought_home(borrowed: BorrowedSignIn, text: bytes) -> None:
    borrowed.copy_in()
    copy(borrowed).write_bytes(text)
    borrowed.take_back()
    assert borrowed.own.read_bytes() == OLD


def test_no_link_of_a_session_is_followed(borrowed: BorrowedSignIn, tmp_path: Path) -> None:
    other = tmp_path / "other/auth.json"
    other.parent.mkdir()
    other.write_bytes(NEW)
    borrowed.copy_in()
    copy(borrowed).unlink()
    copy(borrowed).symlink_to(other)
    borrowed.look(at_once=True)
    assert borrowed.own.read_bytes() == OLD
    copy(borrowed).unlink()
    copy(borrowed).parent.rmdir()
    copy(borrowed).parent.symlink_to(other.parent)
    borrowed.take_back()
    BorrowedSignIn(borrowed.own, borrowed.home, borrowed.place).rescue()
    assert (borrowed.own.read_bytes(), other.read_bytes()) == (OLD, NEW)


def test_a_pipe_in_its_place_blocks_nobody(borrowed: BorrowedSignIn) -> None:
    borrowed.copy_in()
    copy(borrowed).unlink()
    os.mkfifo(copy(borrowed))
    borrowed.take_back()
    assert borrowed.own.read_bytes() == OLD


def test_without_a_sign_in_nothing_is_copied(borrowed: BorrowedSignIn) -> None:
    borrowed.own.unlink()
    borrowed.copy_in()
    borrowed.take_back()
    assert not copy(borrowed).exists() and not borrowed.own.exists()
