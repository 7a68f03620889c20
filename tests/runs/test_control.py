"""People's wishes for a running loop: files that anyone can write, and signals."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoloop.core.run.program import Limits
from autoloop.errors import AutoloopError
from autoloop.host.signals import Signals
from autoloop.runs.control import FileSteering, ask, check_limits, read_control
from autoloop.runs.directory import RunDirectory


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    path = tmp_path / "run"
    path.mkdir()
    return RunDirectory(path)


@pytest.fixture
def signals() -> Iterator[Signals]:
    """Signals of this process, which are put back afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield Signals()
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_nothing_written_is_nothing_wished(directory: RunDirectory) -> None:
    steering = FileSteering(directory, Signals())
    wishes = steering.wishes()
    assert (wishes.guidance, wishes.limits, wishes.stop, steering.now()) == ("", {}, False, False)


def test_wishes_are_read_anew_each_time(directory: RunDirectory) -> None:
    steering = FileSteering(directory, Signals())
    (directory.path / "guidance.md").write_text("  look at the parser\n\n")
    ask(directory, limits={"max_experiments": 7})
    assert (steering.wishes().guidance, steering.wishes().limits) == ("look at the parser", {"max_experiments": 7})
    ask(directory, stop="after")
    assert steering.wishes().stop and not steering.now()
    ask(directory, stop="now")
    assert steering.now()
    ask(directory, stop=None)
    assert not steering.wishes().stop and steering.wishes().limits == {"max_experiments": 7}, "other wishes stay"
    (directory.path / "control.json").unlink()
    (directory.path / "guidance.md").unlink()
    assert (steering.wishes().guidance, steering.wishes().limits) == ("", {})


@pytest.mark.parametrize("text", ["", "{", "[]", '"stop"', "\x00", '{"limits": 7}', '{"limits": ["max_hours"]}'])
def test_a_control_file_that_makes_no_sense_asks_for_nothing(directory: RunDirectory, text: str) -> None:
    (directory.path / "control.json").write_text(text)
    steering = FileSteering(directory, Signals())
    assert (steering.wishes().limits, steering.wishes().stop, steering.now()) == ({}, False, False)


def test_limits_that_make_no_sense_are_left_out(directory: RunDirectory) -> None:
    ask(
        directory,
        limits={"max_experiments": 0, "max_hours": "two", "repeats": 3, "min_free_gb": 2, "max_cost_usd": 5.5},
    )
    assert FileSteering(directory, Signals()).wishes().limits == {"max_cost_usd": 5.5}


def test_guidance_that_is_not_text_ends_no_run(directory: RunDirectory) -> None:
    (directory.path / "guidance.md").write_bytes(b"caf\xe9")
    assert FileSteering(directory, Signals()).wishes().guidance.startswith("caf")


@pytest.mark.parametrize(("limits", "message"), [
    ({"max_experiments": 0}, "max_experiments is 0; allowed: a whole number from 1"),
    ({"max_experiments": 2.5}, "max_experiments is 2.5; allowed: a whole number from 1"),
    ({"max_hours": -1}, "max_hours is -1; allowed: a number above 0"),
    ({"agent_timeout": 5}, "agent_timeout cannot be changed during a run"),
])  # fmt: skip
def test_a_limit_that_cannot_be_is_refused_with_what_is_allowed(limits: dict[str, float], message: str) -> None:
    with pytest.raises(AutoloopError) as refused:
        check_limits(limits, Limits())
    assert refused.value.message == message


def test_ctrl_c_once_asks_for_the_end_and_twice_for_it_now(signals: Signals, directory: RunDirectory) -> None:
    heard: list[str] = []
    signals.on_first = lambda: heard.append("once")
    signals.install()
    steering = FileSteering(directory, signals)
    os.kill(os.getpid(), signal.SIGINT)
    assert (steering.wishes().stop, steering.now(), heard) == (True, False, ["once"])
    os.kill(os.getpid(), signal.SIGINT)
    assert (steering.now(), heard, signals.received) == (True, ["once"], signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_terminate_is_heeded_at_once(signals: Signals, directory: RunDirectory, number: int) -> None:
    signals.install()
    os.kill(os.getpid(), number)
    assert FileSteering(directory, signals).now() and signals.received == number


def test_whoever_ignores_the_hangup_goes_on(signals: Signals, directory: RunDirectory) -> None:
    """As under `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.install()
    os.kill(os.getpid(), signal.SIGHUP)
    assert not FileSteering(directory, signals).now()


def test_a_control_file_is_read_only_when_it_changed(directory: RunDirectory) -> None:
    ask(directory, stop="after")
    assert read_control(directory.path / "control.json") == {"stop": "after"}
    assert [path.name for path in directory.path.iterdir()] == ["control.json"], "nothing is left beside it"
