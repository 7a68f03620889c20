"""A sign-in that is lent to a session: both sides hear of a new token, and nothing else gets through."""

import os
from pathlib import Path

import pytest

from autoloop.agents.sign_in import BorrowedSignIn

OLD, NEW, NEWER = b'{"token": "old"}', b'{"token": "new"}', b'{"token": "newer"}'


@pytest.fixture
def lent(tmp_path: Path) -> BorrowedSignIn:
    own, home = tmp_path / "own/auth.json", tmp_path / "private"
    own.parent.mkdir()
    home.mkdir()
    own.write_bytes(OLD)
    return BorrowedSignIn(own, home, Path(".client/auth.json"))


def copy(lent: BorrowedSignIn) -> Path:
    return lent.home / lent.place


def replace(path: Path, text: bytes) -> None:
    """As a client does it: another file takes the place."""
    other = path.with_suffix(".tmp")
    other.write_bytes(text)
    os.replace(other, path)


def test_what_either_side_renews_reaches_the_other(lent: BorrowedSignIn) -> None:
    lent.lend()
    assert copy(lent).read_bytes() == OLD and copy(lent).stat().st_mode & 0o777 == 0o600
    replace(copy(lent), NEW)
    lent.look(at_once=True)
    assert lent.own.read_bytes() == NEW and lent.own.stat().st_mode & 0o777 == 0o600
    replace(lent.own, NEWER)
    lent.look(at_once=True)
    assert copy(lent).read_bytes() == NEWER


def test_nothing_stays_behind_and_the_last_word_is_heard(lent: BorrowedSignIn) -> None:
    lent.lend()
    replace(copy(lent), NEW)
    lent.take_back()
    assert lent.own.read_bytes() == NEW and not copy(lent).exists()
    lent.take_back()
    assert lent.own.read_bytes() == NEW


def test_what_a_killed_session_renewed_is_brought_home(lent: BorrowedSignIn) -> None:
    lent.lend()
    replace(copy(lent), NEW)
    os.utime(lent.own, (1, 1))
    later = BorrowedSignIn(lent.own, lent.home, lent.place)
    later.rescue()
    assert lent.own.read_bytes() == NEW
    replace(lent.own, NEWER)  # the user signed in again
    os.utime(copy(lent), (1, 1))
    later.rescue()
    assert lent.own.read_bytes() == NEWER


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1]", b"\xff", b"{" * 100_000], ids=["empty", "cut", "list", "bytes", "deep"]
)
def test_nothing_broken_is_brought_home(lent: BorrowedSignIn, text: bytes) -> None:
    lent.lend()
    copy(lent).write_bytes(text)
    lent.take_back()
    assert lent.own.read_bytes() == OLD


def test_no_link_of_a_session_is_followed(lent: BorrowedSignIn, tmp_path: Path) -> None:
    other = tmp_path / "other/auth.json"
    other.parent.mkdir()
    other.write_bytes(NEW)
    lent.lend()
    copy(lent).unlink()
    copy(lent).symlink_to(other)
    lent.look(at_once=True)
    assert lent.own.read_bytes() == OLD
    copy(lent).unlink()
    copy(lent).parent.rmdir()
    copy(lent).parent.symlink_to(other.parent)
    lent.take_back()
    BorrowedSignIn(lent.own, lent.home, lent.place).rescue()
    assert (lent.own.read_bytes(), other.read_bytes()) == (OLD, NEW)


def test_a_pipe_in_its_place_blocks_nobody(lent: BorrowedSignIn) -> None:
    lent.lend()
    copy(lent).unlink()
    os.mkfifo(copy(lent))
    lent.take_back()
    assert lent.own.read_bytes() == OLD


def test_without_a_sign_in_nothing_is_lent(lent: BorrowedSignIn) -> None:
    lent.own.unlink()
    lent.lend()
    lent.take_back()
    assert not copy(lent).exists() and not lent.own.exists()
