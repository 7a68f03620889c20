"""A full disk: the run waits for room and goes on, or ends when a person asks; no row is wrong."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autoloop import api
from autoloop.core.run.events import RunResumed, RunStarted, Waited
from autoloop.core.run.program import Criteria, Direction
from autoloop.core.run.state import RunState
from autoloop.errors import NoRoom
from autoloop.ports import Progress
from autoloop.runs.record import FileJournal, read_events
from tests.campaign import RULES, a_campaign, left_by
from tests.faults import Filler, at, small_disk
from tests.real_git import write
from tests.real_run import Checkout

STATE = RunState(Criteria(metric_field="ms", direction=Direction.LOWER))
STARTED = RunStarted(at=1.0, run_id="r", program="p", seed=1, start="c0", branch="b")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def filler(disk: Path) -> Filler:
    return Filler(disk)


@pytest.fixture
def full(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout, and the trees of its runs, on a small disk."""
    monkeypatch.setenv("AUTOLOOP_CACHE_DIR", str(disk / "cache"))
    checkout = Checkout(disk / "checkout", disk / "cache")
    checkout.configure(min_free_gb=0.002)
    return checkout


# The journal


def test_a_line_that_does_not_fit_leaves_nothing_for_later_lines_to_stick_to(disk: Path, filler: Filler) -> None:
    path = disk / "journal.jsonl"
    journal = FileJournal(path)
    journal.append(STARTED, STATE)
    whole = path.read_bytes()
    filler.fill()
    with pytest.raises(NoRoom, match="No space left"):
        for _ in range(10_000):
            journal.append(RunResumed(at=2.0), STATE)
    filler.free()
    assert path.read_bytes().startswith(whole) and path.read_bytes().endswith(b"}\n")
    before = len(list(read_events(path)))
    journal.append(RunResumed(at=3.0), STATE)
    journal.close()
    assert [event.at for event in read_events(path)][before - 1 :] == [2.0 if before > 1 else 1.0, 3.0]
    assert FileJournal(path).repaired == 0


# Whole runs


@pytest.mark.parametrize("phase", ["agent", "capture", "measuring", "building"])
def test_a_run_waits_for_room_and_goes_on(full: Checkout, filler: Filler, phase: str) -> None:
    full.agent("echo x = $((100 - 10 * n)) > code.py; echo more > new$n.txt")
    full.script("build.sh", "cat code.py > built; head -c 200000 /dev/zero > object\n")

    def fill() -> None:
        filler.fill()
        filler.free_later(1.0)

    full.run(on_progress=at(phase, 2, fill, full.seen))
    assert full.reasons == ["improved"] * 3
    assert [row.metric for row in full.rows] == [100, 90, 80, 70]
    assert any("no space left" in text for text in full.said("waiting"))
    table = (full.directory.path / "results.tsv").read_text().splitlines()
    assert [line.split("\t")[3] for line in table] == ["reason", "", *full.reasons], "no view lacks a row"
    assert full.status()["kept"] == 3
    assert len(set(full.refs().values())) == 4


def test_a_candidate_that_fills_the_disk_fails_and_leaves_room_for_the_next(full: Checkout) -> None:
    full.agent("echo x = $((100 - 10 * n)) > code.py")
    full.measure("[ $x = 80 ] && { cat /dev/zero > big || exit 4; }", 'echo "METRIC ms=$x"')
    full.run()
    assert full.reasons == ["improved", "measurement_failed", "improved"]
    assert "what it left had filled the disk" in full.row(2).why
    assert [event.why for event in full.events if isinstance(event, Waited)] == [], "nobody had to make room"


def test_a_candidate_that_fills_the_disk_and_clears_up_after_itself_fails_too(full: Checkout) -> None:
    full.agent("echo x = $((100 - 10 * n)) > code.py")
    full.measure(
        "[ $x = 80 ] && { cat /dev/zero > big || { rm big; echo 'cat: No space left on device' >&2; exit 4; }; }",
        'echo "METRIC ms=$x"',
    )
    full.run()
    assert full.reasons == ["improved", "measurement_failed", "improved"]
    assert "the disk was full" in full.row(2).why
    assert sum(event.kind == "disturbed" for event in full.events) == 3, "it had its chances"


def test_an_agent_that_fills_the_disk_has_failed_and_leaves_room_for_the_next(full: Checkout) -> None:
    write(full.root, {".gitignore": "object\n"})
    full.agent("echo x = $((100 - 10 * n)) > code.py; [ $n = 2 ] && { cat /dev/zero > object; }; true")
    full.run()
    assert full.reasons == ["improved", "agent_failed", "improved"]
    assert "what it left had filled the disk" in full.row(2).why


def test_a_candidate_is_not_to_blame_for_a_disk_that_others_fill(full: Checkout, filler: Filler) -> None:
    """The measurement fails while there is no room, and the one that is taken again does not."""
    full.agent("echo x = $((100 - 10 * n)) > code.py")
    full.measure("head -c $((20000 * (101 - x))) /dev/zero > result || exit 5", 'echo "METRIC ms=$x"')

    def fill() -> None:
        filler.fill()
        filler.free_later(1.0)

    full.run(on_progress=at("measuring", 2, fill, full.seen))
    assert full.reasons == ["improved"] * 3
    [disturbed] = [event for event in full.events if event.kind == "disturbed"]
    assert disturbed.experiment == 2 and "full" in disturbed.why


def test_whoever_waits_for_room_can_stop_and_resume_later(full: Checkout, filler: Filler) -> None:
    full.agent("echo x = $((100 - 10 * n)) > code.py")

    def on_progress(sign: Progress) -> None:
        full.seen.append(sign)
        if sign.phase == "agent" and sign.experiment == 2:
            filler.fill()
        if sign.phase == "waiting":
            signals.stop = True

    from autoloop.host.signals import Signals

    signals = Signals()
    try:
        outcome = full.run(on_progress=on_progress, signals=signals)
        assert outcome.summary.stop_reason == "stopped"
    except NoRoom as full_disk:
        assert "resume" in full_disk.hint
    filler.free()
    full.resume()
    assert full.reasons == ["improved"] * 3
    assert [row.experiment for row in full.rows] == [0, 1, 2, 3]


def test_views_for_which_there_was_no_room_are_whole_again_as_soon_as_there_is(
    full: Checkout, filler: Filler, disk: Path
) -> None:
    """The disk fills up while a measurement succeeds, so that the verdict fits into the journal and into no view."""
    words = "x" * 2500
    full.agent(f"""echo x = $((100 - 10 * n)) > code.py
printf '<notes>{{"hypothesis": "idea %s {words}"}}</notes>' $n""")
    full.measure(f"[ $x = 80 ] && cat /dev/zero > {disk}/filler 2> /dev/null", 'echo "METRIC ms=$x"')

    def on_progress(sign: Progress) -> None:
        full.seen.append(sign)
        if sign.phase == "waiting":
            filler.free()

    full.run(on_progress=on_progress)
    assert full.reasons == ["improved"] * 3
    lines = (full.directory.path / "results.tsv").read_text().splitlines()
    assert lines[1:] == [row.to_tsv().rstrip("\n") for row in full.rows]
    assert all(f"idea {number}" in (full.directory.path / "ideas.md").read_text() for number in (1, 2, 3))


def test_free_space_is_looked_at_wherever_a_run_writes(full: Checkout, tmp_path: Path) -> None:
    full.configure(min_free_gb=0.05)
    texts: list[str] = []

    def stop(sign: Progress) -> None:
        if sign.phase == "waiting":
            texts.append(sign.text)
            api.stop(full.root)

    full.run(on_progress=stop)
    assert len(texts) == 1 and "below min_free_gb of 0.05" in texts[0]
    assert full.reasons == []


@pytest.mark.faults
@pytest.mark.parametrize("rule", RULES)
def test_a_disk_that_fills_up_again_and_again_changes_nothing(
    disk: Path, filler: Filler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    """At every phase in turn, with everything on one disk: state, trees and repository."""
    monkeypatch.setenv("SAMPLES", str(tmp_path / "samples"))
    expected = a_campaign(tmp_path / "calm", rule, min_free_gb=0.002)
    expected.checkout.run()
    monkeypatch.setenv("AUTOLOOP_CACHE_DIR", str(disk / "cache"))
    campaign = a_campaign(disk, rule, min_free_gb=0.002)
    seen = [0]

    def on_progress(sign: Progress) -> None:
        seen[0] += sign.phase != "waiting"
        if seen[0] % 9 == 0 and sign.phase != "waiting" and campaign.checkout.status()["experiments"] < 11:
            filler.fill()
            filler.free_later(0.3)

    campaign.checkout.run(on_progress=on_progress)
    # A pair that was interrupted is taken anew: the journal has its first half twice.
    assert replace(left_by(campaign.checkout), events=[]) == replace(left_by(expected.checkout), events=[])
    assert sum(event.kind in ("waited", "disturbed") for event in campaign.checkout.events) > 5
