"""What a run leaves on disk: a journal that is the truth, views that can be lost, locks that die with their process."""

import json
import resource
import signal
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from autoloop import api
from autoloop.core.run.events import Decided, Event, ExperimentStarted, RunResumed, RunStarted, from_line, to_line
from autoloop.core.run.program import Criteria, Direction
from autoloop.core.run.reasons import Reason
from autoloop.core.run.replay import replay
from autoloop.core.run.state import RunState
from autoloop.core.run.verdict import Decision
from autoloop.errors import AutoloopError
from autoloop.journal.files import write_atomically
from autoloop.runs.directory import ExperimentFiles, RunDirectory, held
from autoloop.runs.find import all_runs, is_alive, trusted_state
from autoloop.runs.record import FileJournal, read_events, read_record
from tests.real_run import Checkout, MadeOnce

STATE = RunState(Criteria(metric_field="ms", direction=Direction.LOWER))
STARTED = RunStarted(at=1.0, run_id="r", program="p", seed=1, start="c0", branch="b")
EVENTS: list[Event] = [STARTED, RunResumed(at=2.0), ExperimentStarted(at=3.5, experiment=1, parent="c0")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of three events."""
    path = tmp_path / "journal.jsonl"
    journal = FileJournal(path)
    for event in EVENTS:
        journal.append(event, STATE)
    journal.close()
    return path


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What a full disk is like: a file takes what fits, and then no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Events


def models(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and all that it is made of."""
    yield kind
    for info in kind.model_fields.values():
        for part in parts(info.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part)


def parts(annotation: object) -> Iterator[object]:
    yield annotation
    for inner in get_args(annotation):
        yield from parts(inner)


def test_whatever_may_be_unknown_may_be_missing_from_a_line() -> None:
    """Lines leave out what is None, so a field that may be None and must be there makes a line unreadable."""
    for event in get_args(Event):
        for model in set(models(event)):
            for name, info in model.model_fields.items():
                optional = types.NoneType in get_args(info.annotation)
                assert not (optional and info.is_required()), f"{model.__name__}.{name} needs a default"


def test_an_event_survives_its_line() -> None:
    decision = Decision(reason=Reason.IMPROVED, why="tab\t, newline\n, \N{SNOWMAN}", gain=0.1, metrics={"ms": 1e-300})
    event = Decided(at=1.5, experiment=3, decision=decision, description="d")
    assert from_line(to_line(event)) == event
    assert to_line(event).count(b"\n") == 1


# The journal


def test_a_torn_last_line_is_removed_at_whatever_byte_it_was_torn(path: Path) -> None:
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(start, len(whole)):
        path.write_bytes(whole[:cut])
        assert list(read_events(path)) == EVENTS[:2], "whoever only looks leaves it out"
        journal = FileJournal(path)
        assert journal.repaired == cut - start
        journal.append(EVENTS[2], STATE)
        journal.close()
        assert path.read_bytes() == whole


def test_a_torn_line_longer_than_a_block_is_removed_whole(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 200_000)
    journal = FileJournal(path)
    journal.close()
    assert (journal.repaired, path.read_bytes()) == (200_000, whole)


@pytest.mark.parametrize(
    "damage", [b"\0" * 20, b'{"at": 1', b"[]", b"\xff\xfe", b'{"kind": 7}', b'{"kind":"run_resumed"}', b""]
)
def test_a_damaged_line_in_the_middle_is_named_and_nothing_is_changed(path: Path, damage: bytes) -> None:
    first, _, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + b"\n" + third)
    before = path.read_bytes()
    with pytest.raises(AutoloopError, match="line 2, is damaged") as refused:
        list(FileJournal(path).read())
    assert "before that line" in refused.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [
    b'{"at": 1.0, "kind": "run_teleported"}\n',
    b'{"at": 1.0, "kind": "run_resumed", "mood": "fine"}\n',
    to_line(STARTED.model_copy(update={"version": 99})),
])  # fmt: skip
def test_what_a_newer_version_wrote_is_said_to_be_newer(path: Path, line: bytes) -> None:
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(AutoloopError, match="was written by a newer autoloop"):
        list(read_events(path))


def test_an_event_that_does_not_fit_on_the_disk_leaves_no_trace(path: Path) -> None:
    whole = path.read_bytes()
    journal = FileJournal(path)
    with files_no_larger_than(len(whole) + 10), pytest.raises(AutoloopError, match="cannot be written") as refused:
        journal.append(EVENTS[2], STATE)
    assert path.read_bytes() == whole and "resume" in refused.value.hint
    journal.append(EVENTS[2], STATE)
    journal.close()
    assert list(read_events(path)) == [*EVENTS, EVENTS[2]]


def test_an_event_is_durable_before_any_view_sees_it(path: Path) -> None:
    seen: list[int] = []
    journal = FileJournal(path, lambda event, state, length: seen.append(length - path.stat().st_size))
    journal.append(EVENTS[2], STATE)
    journal.close()
    assert seen == [0]


def test_a_journal_is_streamed(path: Path) -> None:
    line = to_line(EVENTS[1])
    path.write_bytes(to_line(STARTED) + line * 20_000)
    assert replay(read_events(path), STATE).events == 20_001


# Views


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    def make(checkout: Checkout) -> None:
        checkout.agent("""
[ $n = 1 ] && echo 'x = 90' > code.py; [ $n = 3 ] && echo 'x = 80' > code.py
echo '<notes>{"hypothesis": "less", "next": ["even less"]}</notes>'""")
        checkout.run()

    return MadeOnce(tmp_path_factory.mktemp("done"), make)


@pytest.fixture
def done(made: MadeOnce, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A run of three experiments."""
    return made.again(monkeypatch)


def test_views_that_are_lost_are_rebuilt(done: Checkout) -> None:
    folder = done.directory.path
    before = {name: (folder / name).read_text() for name in ("results.tsv", "ideas.md")}
    for name in ("results.tsv", "ideas.md", "state.json"):
        (folder / name).unlink()
    assert done.status()["kept"] == 2, "without views the journal tells"
    done.resume()
    assert {name: (folder / name).read_text() for name in before} == before
    assert trusted_state(done.directory) is not None


def test_a_state_that_lags_behind_its_journal_is_not_trusted(done: Checkout) -> None:
    with done.directory.journal.open("ab") as file:
        file.write(to_line(RunResumed(at=1e10)))
    assert trusted_state(done.directory) is None
    assert done.status()["phase"] == "killed"


def test_views_that_do_not_fit_on_the_disk_stop_the_run_and_lose_nothing(checkout: Checkout) -> None:
    checkout.agent("echo x = $((100 - 10 * n)) > code.py")

    def no_room_left(sign: object) -> None:
        if getattr(sign, "experiment", 0) == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(AutoloopError, match="cannot be written"):
            checkout.run(on_progress=no_room_left)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    checkout.resume()
    assert checkout.reasons == ["improved"] * 3


def test_of_a_long_diff_the_beginning_is_saved(done: Checkout) -> None:
    files = ExperimentFiles(done.directory)
    files.patch(77, "diff --git a/a b/a\n" + "+a line\n" * 100_000)
    saved = (done.directory.experiment(77) / "diff.patch").read_text()
    assert saved.startswith("diff --git a/a b/a\n") and saved.endswith(
        "\n+a line\n[the rest of the patch is left out]\n"
    )
    assert len(saved) < 201_000


def test_a_reader_finds_the_old_text_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "view"
    write_atomically(path, "old")
    with files_no_larger_than(1), pytest.raises(AutoloopError, match="cannot be written"):
        write_atomically(path, "new and longer")
    assert path.read_text() == "old"


def test_looking_at_a_run_needs_no_lock_and_changes_nothing(done: Checkout) -> None:
    folder = done.directory.path
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    (
        api.status(done.root),
        api.results(done.root),
        api.show(done.root, 1),
        api.ideas(done.root),
        list(api.events(done.root)),
    )
    api.packet(done.root, "p")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


# A run's directory, damaged


def test_a_resume_after_a_torn_line_works_and_says_so(done: Checkout) -> None:
    whole = done.directory.journal.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(start + 1, len(whole), 16):
        done.directory.journal.write_bytes(whole[:cut])
        done.seen.clear()
        done.resume()
        assert done.said("repaired") == [f"{cut - start} bytes of a torn last line of the journal"]
        assert done.reasons == ["improved", "no_candidate", "improved"]


def test_a_resume_refuses_a_damaged_journal_and_changes_nothing(done: Checkout) -> None:
    lines = done.directory.journal.read_bytes().splitlines(keepends=True)
    done.directory.journal.write_bytes(b"".join([*lines[:4], b"garbage\n", *lines[5:]]))
    before = {path: path.read_bytes() for path in done.directory.path.rglob("*") if path.is_file()}
    refs = done.refs()
    for look in (done.resume, lambda: api.results(done.root)):
        with pytest.raises(AutoloopError, match="line 5, is damaged"):
            look()
    after = {path: path.read_bytes() for path in done.directory.path.rglob("*") if path.is_file()}
    assert (after, done.refs()) == (before, refs)


def test_an_empty_journal_is_refused_and_not_begun_again(done: Checkout) -> None:
    done.directory.journal.write_bytes(b"")
    with pytest.raises(AutoloopError, match="holds no event"):
        done.resume()
    for look in (lambda: done.status(), lambda: api.ideas(done.root)):
        (done.directory.path / "state.json").unlink(missing_ok=True)
        with pytest.raises(AutoloopError, match="holds no event"):
            look()


@pytest.mark.parametrize(("text", "message"), [
    ("{", "is damaged"), ('{"format": 2}', "newer autoloop"), ("[]", "is damaged"), ('{"format": 1}', "is damaged"),
])  # fmt: skip
def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(AutoloopError, match=message):
        read_record(RunDirectory(tmp_path))


def test_a_directory_whose_creation_was_cut_short_is_no_run(done: Checkout) -> None:
    half = done.directory.path.with_name("99999999-000000-half")
    (half / "sealed").mkdir(parents=True)
    (half / "journal.jsonl").write_bytes(to_line(STARTED))
    assert done.status()["run_id"] != half.name
    assert done.run(limits={"max_experiments": 1}).summary.experiments == 1


# Locks

HOLD = """\
import sys, time
from pathlib import Path
from autoloop.runs.directory import held
from autoloop.runs.directory import RunDirectory
with held(RunDirectory(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""
START = """\
import sys
from pathlib import Path
import autoloop.runs.resume
from autoloop import api
from autoloop.errors import AutoloopError
from autoloop.host.signals import Signals
print("ready", flush=True)
sys.stdin.readline()
try:
    outcome = api.run(Path(sys.argv[1]), "p", api.RunOptions(), signals=Signals(), on_progress=lambda sign: None)
    print("ran", outcome.summary.experiments)
except AutoloopError as error:
    print("refused", error.message)
"""


def python(script: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=Path(__file__).parent.parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_lock_of_a_dead_process_holds_nobody_up(done: Checkout) -> None:
    holder = python(HOLD, done.directory.path)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    assert is_alive(done.directory)
    with pytest.raises(AutoloopError, match="held by another process"):
        done.resume()
    holder.send_signal(signal.SIGSTOP)
    assert is_alive(done.directory), "asleep is not dead"
    holder.kill()
    holder.wait()
    assert not is_alive(done.directory)
    assert done.resume(limits={"max_experiments": 4}).summary.experiments == 4


def test_two_runs_of_one_program_never_go_at_once(done: Checkout) -> None:
    """They would disturb each other's measurements."""
    first = done.directory
    done.run(limits={"max_experiments": 1})
    [second] = [run for run in all_runs(done.root) if run != first]
    holder = python(HOLD, first.path)
    try:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with pytest.raises(AutoloopError, match="another run of p is already running"), held(second):
            pass
        with pytest.raises(AutoloopError, match="is already running"):
            done.run()
    finally:
        holder.kill()
        holder.wait()
    assert len(all_runs(done.root)) == 2


def test_of_two_that_start_at_once_one_is_refused(checkout: Checkout) -> None:
    checkout.agent("sleep 1")
    starters = [python(START, checkout.root) for _ in range(2)]
    for starter in starters:
        assert starter.stdout and starter.stdout.readline() == "ready\n"
    for starter in starters:
        assert starter.stdin
        starter.stdin.write("\n")
        starter.stdin.flush()
    answers = sorted(starter.communicate(timeout=60)[0].strip() for starter in starters)
    assert answers[0].startswith("ran 3") and "is already running" in answers[1]
    assert len(list((checkout.root / ".autoloop/runs/p").glob("*/run.json"))) == 1
    pinned = {name.split("/")[2] for name in checkout.refs() if name.startswith("refs/autoloop")}
    assert pinned == {checkout.directory.run_id}
    assert json.loads(checkout.directory.state.read_text())["experiments"] == 3
