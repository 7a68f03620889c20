"""The live page of a run or a bench, over real sockets and from real journals."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from autoloop import api
from autoloop.core.suite.events import BENCH_EVENTS, BenchStop, Regraded, TrialEnded, WorkerReplaced, to_line
from autoloop.errors import AutoloopError
from autoloop.hud.hub import MOST_WAITING, Hub
from autoloop.hud.messages import Message, message
from autoloop.hud.server import ShownPage, address, is_loopback, listen, server_of, shown, why_refused
from autoloop.journal.tail import Tail
from autoloop.runs.record import FileJournal, read_events
from autoloop.suites.record import read_bench
from tests.real_run import Checkout
from tests.suites.benches import key, result
from tests.suites.live import going

Told = dict[str, Any]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "results/20260101"


@contextmanager
def page_of(folder: Path) -> Iterator[ShownPage]:
    with shown(folder.parent, folder.name, "127.0.0.1", 0) as page:
        yield page


def viewer(page: ShownPage, **options: Any) -> ClientConnection:
    return connect(page.url.replace("http", "ws") + "events", **options)


def heard(connection: ClientConnection, most: int = 1000, until: str = "") -> list[Told]:
    """Everything that has come, and comes without a pause; a message of the kind `until` is waited for."""
    found: list[Told] = []
    late = time.monotonic() + 10
    while len(found) < most:
        try:
            found.append(json.loads(connection.recv(timeout=0.3)))
        except TimeoutError:
            if not until or until in kinds(found) or time.monotonic() > late:
                break
    return found


def kinds(found: list[Told]) -> list[str]:
    return [told["kind"] for told in found]


# Reading on


def test_a_look_reads_what_was_added_and_nothing_else(place: Path) -> None:
    with going(place) as bench:
        tail = Tail(bench.directory.journal, BENCH_EVENTS)
        assert [event.kind for event in tail.new()] == ["bench_started", "bench_resumed"]
        size = bench.directory.journal.stat().st_size
        with bench.directory.journal.open("r+b") as file:
            file.write(b"x" * (size - 1))
        bench.ends(key("t1"), result("pass"))
        assert [event.kind for event in tail.new()] == ["trial_ended"], "what was read is not looked at again"


def test_a_line_is_read_when_its_end_is_there_wherever_it_was_torn(place: Path) -> None:
    with going(place) as bench:
        journal = bench.directory.journal
        line = to_line(TrialEnded(at=5.0, key=key("t1"), result=result("pass")))
        for cut in range(0, len(line), 7):
            tail = Tail(journal, BENCH_EVENTS)
            before, whole = len(list(tail.new())), journal.read_bytes()
            journal.write_bytes(whole + line[:cut])
            assert list(tail.new()) == []
            journal.write_bytes(whole + line)
            assert len(list(tail.new())) == 1 and before == 2
            journal.write_bytes(whole)
            assert tail.is_replaced(), "it is shorter than what was read"


def test_another_file_in_its_place_is_noticed(place: Path) -> None:
    with going(place) as bench:
        tail = Tail(bench.directory.journal, BENCH_EVENTS)
        assert len(list(tail.new())) == 2 and not tail.is_replaced()
    shutil.copy(bench.directory.journal, place / "copy")
    (place / "copy").replace(bench.directory.journal)
    assert tail.is_replaced() and not tail.is_replaced()
    assert len(list(tail.new())) == 2


def test_the_events_of_a_bench_are_for_everybody(place: Path) -> None:
    with going(place) as bench:
        bench.ends(key("t1"), result("pass"))
    assert [event.kind for event in api.bench_events(place, after=1)] == ["bench_resumed", "trial_ended"]


# A bench


def test_a_viewer_gets_a_snapshot_and_then_what_follows_in_order(place: Path) -> None:
    with going(place) as bench, page_of(place) as page:
        bench.works(1, key("t1"), "setup")
        page.hub.look()
        with viewer(page) as connection:
            first = json.loads(connection.recv())
            bench.works(1, key("t1"), "agent", "reads a file")
            page.hub.look()
            bench.works(1, key("t1"), "verification")
            page.hub.look()
            bench.ends(key("t1"), result("fail", failure_mode="wrong_result", cost_usd=0.25))
            page.hub.look()
            time.sleep(0.1)  # figures are made for a small share of the time
            page.hub.look()
            found = heard(connection)
    assert (first["kind"], first["about"], first["name"], first["alive"]) == ("snapshot", "bench", "s", True)
    assert [(one["worker"], one["task"], one["phase"]) for one in first["workers"]] == [(1, "t1", "setup")]
    assert [told["seq"] for told in found] == list(range(first["seq"] + 1, first["seq"] + 1 + len(found)))
    told = [one for one in kinds(found) if one != "summary"]
    assert told == ["task_progress", "task_output", "task_progress", "task_completed"]
    assert all(isinstance(one["at"], float) for one in found)
    last = [one for one in found if one["kind"] == "summary"][-1]
    assert (last["workers"], last["cost_usd"]) == ([], 0.25)


def test_a_summary_counts_each_arm_against_its_own_total(place: Path) -> None:
    with going(place) as bench:
        for task, outcome in (("t1", "pass"), ("t2", "fail")):
            bench.ends(key(task), result(outcome, cost_usd=0.5))
        with page_of(place) as page, viewer(page) as connection:
            told = json.loads(connection.recv())
    a, b = told["arms"]
    assert [(arm["arm"], arm["done"], arm["planned"], arm["pass_rate"]) for arm in (a, b)] == [
        ("a", 2, 3, 0.5), ("b", 0, 3, None),
    ]  # fmt: skip
    assert (told["totals"]["done"], told["totals"]["planned"], told["cost_usd"]) == (2, 6, 1.0)
    assert told["eta_seconds"] is not None and told["elapsed"] >= 0


def test_a_trial_too_short_to_be_seen_at_work_began_all_the_same(place: Path) -> None:
    with going(place) as bench, page_of(place) as page, viewer(page) as connection:
        connection.recv()
        bench.ends(key("t1"), result("pass"))
        page.hub.look()
        found = heard(connection)
    assert kinds(found)[:2] == ["task_started", "task_completed"]


def test_what_the_journal_says_has_ended_is_not_begun_again_by_an_older_state(place: Path) -> None:
    with going(place) as bench, page_of(place) as page, viewer(page) as connection:
        connection.recv()
        bench.works(1, key("t1"), "agent", "at work")
        bench.views._due = time.monotonic() + 60  # the state stays behind the journal
        bench.ends(key("t1"), result("error"))
        page.hub.look()
        page.hub.look()
        stale = heard(connection)
        time.sleep(0.01)
        bench.works(1, key("t1"), "setup")
        page.hub.look()
        again = heard(connection)
    assert kinds(stale).count("task_started") == 1
    assert kinds(again)[:2] == ["task_started", "task_progress"], "an error is tried again"


def test_a_bench_that_ends_and_is_resumed_is_followed_on(place: Path) -> None:
    with ExitStack() as stack:
        with going(place) as bench:
            page = stack.enter_context(page_of(place))
            connection = stack.enter_context(viewer(page))
            assert json.loads(connection.recv())["alive"]
            bench.stop(BenchStop.MAX_HOURS)
            page.hub.look()
            ended = heard(connection, until="summary")
        page.hub.look()
        let_go = heard(connection, until="summary")
        with going(place) as bench:
            bench.ends(key("t2", "b"), result("pass"))
            time.sleep(0.1)
            page.hub.look()
            resumed = heard(connection, until="summary")
    assert "run_completed" in kinds(ended) and ended[-1]["stop_reason"] == "max_hours"
    assert kinds(let_go) == ["summary"] and not let_go[-1]["alive"]
    assert kinds(resumed) == ["run_resumed", "task_started", "task_completed", "summary"]
    assert resumed[-1]["alive"] and resumed[-1]["stop_reason"] is None


def test_a_journal_in_the_place_of_another_is_told_from_its_beginning(place: Path) -> None:
    with going(place) as bench:
        bench.ends(key("t1"), result("pass"))
    with page_of(place) as page, viewer(page) as connection:
        assert json.loads(connection.recv())["totals"]["done"] == 1
        shutil.rmtree(place)
        page.hub.look()
        with going(place):
            page.hub.look()
            found = heard(connection)
            with viewer(page) as later:
                assert json.loads(later.recv())["totals"]["done"] == 0
    assert kinds(found)[-3:] == ["run_started", "run_resumed", "summary"]


def test_a_journal_that_becomes_unreadable_is_said_once_and_read_again_when_it_is_mended(place: Path) -> None:
    with going(place) as bench:
        whole = bench.directory.journal.read_bytes()
        with page_of(place) as page, viewer(page) as connection:
            connection.recv()
            bench.directory.journal.write_bytes(whole + b'{"kind": 7}\n')
            for _ in range(4):
                page.hub.look()
            found = heard(connection)
            line = to_line(TrialEnded(at=5.0, key=key("t1"), result=result("pass")))
            bench.directory.journal.write_bytes(whole + line)
            page.hub.look()
            mended = heard(connection)
    assert kinds(found) == ["notice"] and "line 3, is damaged" in found[0]["text"]
    assert "task_completed" in kinds(mended)


def test_regrading_and_replaced_workers_are_told(place: Path) -> None:
    with going(place) as bench, page_of(place) as page, viewer(page) as connection:
        connection.recv()
        bench.ends(key("t1"), result("fail"))
        bench.add(Regraded(at=time.time(), key=key("t1"), result=result("pass")))
        bench.add(WorkerReplaced(at=time.time(), worker=2, key=key("t2"), why="silent for 30 s"))
        page.hub.look()
        found = heard(connection)
    assert [told["regraded"] for told in found if told["kind"] == "task_completed"] == [False, True]
    assert [told["text"] for told in found if told["kind"] == "notice"] == ["worker 2 was replaced: silent for 30 s"]


def test_many_news_at_once_come_as_one_snapshot(place: Path) -> None:
    with going(place) as bench, page_of(place) as page, viewer(page) as connection:
        number = json.loads(connection.recv())["seq"]
        with bench.directory.journal.open("ab") as file:
            for at in range(150):
                file.write(to_line(TrialEnded(at=at, key=key("t1"), result=result("error"))))
            file.flush()
            page.hub.look()
            found = heard(connection)
            file.write(to_line(TrialEnded(at=200.0, key=key("t1"), result=result("pass"))))
            file.flush()
            page.hub.look()
            after = heard(connection)
    assert kinds(found) == ["snapshot"] and found[0]["seq"] > number + 150
    assert after[0]["seq"] == found[0]["seq"] + 1


# A run


@pytest.fixture
def finished(checkout: Checkout) -> Checkout:
    """A run of two experiments, the first of which was kept."""
    checkout.agent('test "$n" = 2 || echo "x = 50" > code.py')
    checkout.run(limits={"max_experiments": 2})
    return checkout


def test_a_run_is_told_as_its_journal_grows(finished: Checkout, tmp_path: Path) -> None:
    events = list(read_events(finished.directory.journal))
    half = next(at for at, event in enumerate(events) if event.kind == "experiment_started")
    place = tmp_path / "again/20260101"
    shutil.copytree(finished.directory.path, place)
    lines = (place / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (place / "journal.jsonl").write_bytes(b"".join(lines[:half]))
    with page_of(place) as page, viewer(page) as connection:
        first = json.loads(connection.recv())
        with closing(FileJournal(place / "journal.jsonl")) as journal:
            for event in events[half:]:
                journal.append(event, finished_state(finished))
                page.hub.look()
        found = heard(connection)
    assert (first["about"], first["name"], [row["experiment"] for row in first["rows"]]) == ("run", "p", [0])
    told = [one for one in found if one["kind"].startswith(("experiment", "run_"))]
    assert [(one["kind"], one.get("experiment")) for one in told if one["kind"] != "experiment_row"] == [
        ("experiment_started", 1), ("experiment_decided", 1), ("experiment_started", 2), ("experiment_decided", 2),
        ("run_completed", None),
    ]  # fmt: skip
    assert [one["row"]["status"] for one in told if one["kind"] == "experiment_row"] == ["keep", "crash"]
    assert [one["reason"] for one in told if one["kind"] == "experiment_decided"] == ["improved", "no_candidate"]
    last = [one for one in found if one["kind"] == "summary"][-1]
    assert (last["run"]["kept"], last["stop_reason"], last["alive"]) == (1, "max_experiments", False)


def finished_state(checkout: Checkout) -> Any:
    follower = api.follow(checkout.root, None)
    follower.look()
    return follower.state


def test_a_run_shows_its_phases_and_the_newest_line_of_its_agent(checkout: Checkout) -> None:
    checkout.agent("for i in 1 2 3; do echo line $i; sleep 0.5; done; echo 'x = 50' > code.py")
    running = threading.Thread(target=lambda: checkout.run(limits={"max_experiments": 1}))
    running.start()
    found: list[Told] = []
    try:
        until = time.monotonic() + 30
        while not list(checkout.root.glob(".autoloop/runs/p/*/state.json")):
            assert time.monotonic() < until
            time.sleep(0.05)
        with shown(checkout.root, "p", "127.0.0.1", 0) as page, viewer(page) as connection:
            while "run_completed" not in kinds(found):
                assert time.monotonic() < until, kinds(found)
                page.hub.look()
                found += heard(connection)
    finally:
        running.join()
    phases = [told["phase"] for told in found if told["kind"] == "experiment_phase"]
    assert "agent" in phases
    assert any(told["text"].startswith("line ") for told in found if told["kind"] == "experiment_output")
    assert "text" not in checkout.status(), "what is fleeting is no part of the status"


# Viewers


class Loud:
    """A story of as many words as are wanted."""

    def __init__(self) -> None:
        self.words = 0

    def tell(self, now: float) -> list[Message]:
        return [message("notice", now, text="x" * 5000) for _ in range(self.words)]

    def snapshot(self, now: float) -> Message:
        return message("snapshot", now)


@contextmanager
def serving(story: Loud) -> Iterator[tuple[Hub, int]]:
    hub = Hub(story, time.time)
    listening = listen("127.0.0.1", 0)
    server = server_of(hub, listening, "127.0.0.1")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub, listening.getsockname()[1]
    finally:
        hub.close()
        server.shutdown()


def test_fifty_viewers_are_all_told_the_same() -> None:
    story = Loud()
    with serving(story) as (hub, port), ExitStack() as stack:
        viewers = [stack.enter_context(connect(f"ws://127.0.0.1:{port}/events")) for _ in range(50)]
        for one in viewers:
            assert json.loads(one.recv(timeout=5))["kind"] == "snapshot"
        assert hub.viewers == 50
        story.words = 20
        hub.look()
        story.words = 0
        told = [[json.loads(one.recv(timeout=5))["seq"] for _ in range(20)] for one in viewers]
    assert told == [list(range(1, 21))] * 50
    assert hub.dropped == 0


def test_a_viewer_that_never_reads_is_dropped_and_nobody_waits_for_it() -> None:
    story = Loud()
    with serving(story) as (hub, port), ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(
            b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert deaf.recv(12) == b"HTTP/1.1 101"
        good = stack.enter_context(connect(f"ws://127.0.0.1:{port}/events"))
        good.recv(timeout=5)
        story.words, slowest = 100, 0.0
        for _ in range(40):
            began = time.monotonic()
            hub.look()
            slowest = max(slowest, time.monotonic() - began)
            for _ in range(100):
                good.recv(timeout=5)
            if hub.dropped:
                break
        assert hub.dropped == 1 and hub.viewers == 1
        assert slowest < 1.0
        story.words = 1
        hub.look()
        assert json.loads(good.recv(timeout=5))["kind"] == "notice"


def test_what_waits_for_a_viewer_is_bounded() -> None:
    hub, story = Hub(story := Loud(), time.time), story
    ended: list[str] = []
    hub.join(lambda: ended.append("cut off"))
    story.words = 100
    for _ in range(MOST_WAITING // 100):
        hub.look()
    assert ended == ["cut off"] and hub.dropped == 1


def test_viewers_that_went_away_are_forgotten() -> None:
    story = Loud()
    with serving(story) as (hub, port):
        for _ in range(3):
            with connect(f"ws://127.0.0.1:{port}/events") as connection:
                connection.recv(timeout=5)
        story.words = 1
        until = time.monotonic() + 5
        while hub.viewers and time.monotonic() < until:
            hub.look()
            time.sleep(0.05)
        assert hub.viewers == 0 and hub.dropped == 0


def test_the_end_of_the_page_ends_its_viewers_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with ExitStack() as stack:
        with serving(Loud()) as (_, port):
            connection = stack.enter_context(connect(f"ws://127.0.0.1:{port}/events"))
            connection.recv(timeout=5)
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=5)
    until = time.monotonic() + 5
    while (left := set(threading.enumerate()) - before) and time.monotonic() < until:
        time.sleep(0.05)
    assert left == set()


def test_a_quiet_hub_says_that_it_is_there() -> None:
    now = 100.0
    hub = Hub(Loud(), lambda: now)
    viewer = hub.join(lambda: None)
    assert json.loads(viewer.next() or "")["kind"] == "snapshot"
    for later in (101.0, 106.0, 107.0, 111.5):
        now = later
        hub.look()
    told = [json.loads(viewer.next() or "") for _ in range(2)]
    assert [(one["kind"], one["at"]) for one in told] == [("beat", 106.0), ("beat", 111.5)]


# Who may look


@pytest.mark.parametrize(
    ("bound", "host", "origin", "fine"),
    [
        ("127.0.0.1", "127.0.0.1:4242", None, True),
        ("127.0.0.1", "localhost:4242", "http://localhost:4242", True),
        ("127.0.0.1", "LOCALHOST:8080", "http://localhost:8080", True),
        ("::1", "[::1]:4242", "http://[::1]:4242", True),
        ("127.0.0.1", "evil.example:4242", "http://evil.example:4242", False),
        ("127.0.0.1", "localhost.evil.example:4242", None, False),
        ("127.0.0.1", "192.168.1.5:4242", None, False),
        ("127.0.0.1", "127.0.0.1:4242", "http://evil.example", False),
        ("127.0.0.1", "127.0.0.1:4242", "http://127.0.0.1:3000", False),
        ("127.0.0.1", "127.0.0.1:4242", "null", False),
        ("127.0.0.1", "127.0.0.1:4242", "", False),
        ("127.0.0.1", None, None, False),
        ("127.0.0.1", "[", None, False),
        ("0.0.0.0", "192.168.1.5:4242", "http://192.168.1.5:4242", True),
        ("0.0.0.0", "evil.example:4242", None, False),
        ("build.example", "build.example:4242", None, True),
    ],
)
def test_only_who_means_this_machine_may_look(bound: str, host: str | None, origin: str | None, fine: bool) -> None:
    assert (why_refused(bound, host, origin) is None) is fine


def test_a_page_elsewhere_and_a_name_that_was_led_here_are_refused(place: Path) -> None:
    with going(place), page_of(place) as page:
        port = page.url.split(":")[2].rstrip("/")
        for options in (
            {"origin": "http://evil.example"},
            {"additional_headers": {"Host": "x"}, "origin": f"http://evil.example:{port}"},
        ):
            with pytest.raises(InvalidStatus) as refused:
                viewer(page, **options)
            assert refused.value.response.status_code == 403
        with viewer(page, origin=page.url.rstrip("/")) as connection:
            assert json.loads(connection.recv())["kind"] == "snapshot"
        request = urllib.request.Request(page.url, headers={"Host": f"evil.example:{port}"})
        with pytest.raises(urllib.error.HTTPError) as denied:
            urllib.request.urlopen(request, timeout=5)
        assert denied.value.code == 403 and b"evil.example" in denied.value.read()


def test_the_page_comes_with_a_policy_that_lets_nothing_else_in(place: Path) -> None:
    with going(place), page_of(place) as page:
        for path, kind in (("", "text/html"), ("live.js", "text/javascript"), ("live.css", "text/css")):
            with urllib.request.urlopen(page.url + path, timeout=5) as answer:
                assert answer.headers["Content-Type"].startswith(kind) and answer.read()
                policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        for path, code in (("favicon.ico", 404), ("../pyproject.toml", 404), ("events", 426)):
            with pytest.raises(urllib.error.HTTPError) as answered:
                urllib.request.urlopen(page.url + path, timeout=5)
            assert answered.value.code == code


def test_the_page_never_makes_markup_of_what_it_is_told() -> None:
    script = (Path(__file__).parent.parent.parent / "autoloop/hud/page/live.js").read_text()
    assert [
        word for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(") if word in script
    ] == []


@pytest.mark.parametrize(
    ("name", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)],
)
def test_what_only_this_machine_reaches(name: str, loopback: bool) -> None:
    assert is_loopback(name) is loopback


# What is meant, and what is said


def test_the_newest_run_or_bench_is_shown_when_none_is_named(finished: Checkout) -> None:
    assert api.follow(finished.root).directory == finished.directory
    with going(finished.root / "results/20260102"):
        pass
    assert api.follow(finished.root).directory.path == finished.root / "results/20260102"
    for name in ("p", finished.directory.run_id, str(finished.directory.path)):
        assert api.follow(finished.root, name).directory == finished.directory


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (None, "there is no run in"),
        ("nowhere", "there is no run"),
        ("./results", "In it are 20260101"),
        ("./empty", "holds no journal.jsonl"),
        ("./torn", "does not begin with an event"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(checkout: Checkout, name: str | None, said: str) -> None:
    if name is not None:
        (checkout.root / "empty").mkdir()
        with going(checkout.root / "results/20260101"):
            pass
        (checkout.root / "torn").mkdir()
        (checkout.root / "torn/journal.jsonl").write_bytes(b'{"at": 1')
    with pytest.raises(AutoloopError) as refused:
        api.follow(checkout.root, name)
    assert said in f"{refused.value.message} {refused.value.hint}"


def test_a_port_that_is_taken_names_the_next(place: Path) -> None:
    with going(place), closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        done = hud("-C", str(place.parent.parent), "hud", "results/20260101", "--port", str(port))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"autoloop: port {port} on 127.0.0.1 is taken",
        f"  If that is a hud, open http://127.0.0.1:{port}/. Else take another port: `autoloop hud --port {port + 1}`.",
    ]


@pytest.mark.parametrize(
    ("host", "port", "said"), [("127.0.0.1", 70000, "no port 70000"), ("192.0.2.1", 0, "listen on")]
)
def test_a_place_where_nobody_can_listen_is_said(host: str, port: int, said: str) -> None:
    with pytest.raises(AutoloopError, match=said):
        listen(host, port)


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:1/"), ("::1", "http://[::1]:1/"), ("0.0.0.0", "http://127.0.0.1:1/")],
)
def test_the_address_is_one_that_a_browser_can_open(host: str, url: str) -> None:
    assert address(host, 1) == url


def test_the_verb_serves_until_ctrl_c(place: Path) -> None:
    with going(place) as bench:
        words = [sys.executable, "-m", "autoloop", "-C", str(place.parent.parent), "hud", "--port", "0"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"bench {place}\n"
            url = process.stdout.readline().split()[0]
            with connect(url.replace("http", "ws") + "events") as connection:
                assert json.loads(connection.recv(timeout=5))["kind"] == "snapshot"
                bench.ends(key("t1"), result("pass"))
                found = heard(connection, most=2)
                while len(found) < 2:
                    found += heard(connection, most=2)
                assert kinds(found) == ["task_started", "task_completed"]
                process.send_signal(signal.SIGINT)
                _, complaints = process.communicate(timeout=10)
        finally:
            process.kill()
            process.wait()
    assert (process.returncode, complaints) == (0, "")


def test_an_open_address_is_warned_of(place: Path) -> None:
    with going(place):
        words = [sys.executable, "-m", "autoloop", "-C", str(place), "hud", ".", "--port", "0", "--host", "0.0.0.0"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=10)
    assert "whoever reaches 0.0.0.0 can read this run" in complaints


def hud(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "autoloop", *words], capture_output=True, text=True, timeout=20)


def test_a_hud_changes_nothing_of_what_it_shows(place: Path) -> None:
    with going(place) as bench:
        bench.ends(key("t1"), result("pass"))
    before = {path: path.read_bytes() for path in place.parent.rglob("*") if path.is_file()}
    with page_of(place) as page, viewer(page) as connection:
        connection.recv()
        page.hub.look()
    assert {path: path.read_bytes() for path in place.parent.rglob("*") if path.is_file()} == before
    assert len(list(read_bench(place / "journal.jsonl"))) == 3
