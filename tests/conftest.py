"""No test sees the home, the cache or the settings of whoever runs it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoloop.process import reaper
from tests.outcomes import print_table
from tests.real_run import Checkout, move_in


def pytest_configure() -> None:
    """Whoever starts the tests in the background has them ignore Ctrl-C and hangups; what is tested must hear them."""
    _hear_signals_as_python_does()


@pytest.fixture(autouse=True)
def _places_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move_in(tmp_path, monkeypatch)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A repository with a program that measures `code.py`, and an agent that makes it faster."""
    return Checkout(tmp_path / "checkout", tmp_path / "cache")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    print_table(terminalreporter)


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """A command that still runs, or a signal that is heard by what is gone, would change later tests."""
    _hear_signals_as_python_does()
    yield
    _hear_signals_as_python_does()
    assert not reaper._live


def _hear_signals_as_python_does() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
