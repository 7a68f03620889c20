"""Notices: every way is tried with something real at its other end, and none of them can harm a run."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoloop.cli.app import app
from autoloop.core import notices
from autoloop.core.notices import Notice
from autoloop.core.run.reasons import Status
from autoloop.core.run.results import Row
from autoloop.core.suite.summary import summarise
from autoloop.errors import AutoloopError
from autoloop.host.notify import Notifier, ways_of
from tests.suites.benches import bench, key, plan, result

END = Notice(title="a title", text="what came of it", is_end=True)
EVENT = END.model_copy(update={"is_end": False})


def told(ways: list[str], environ: dict[str, str], root: Path, *sent: Notice, each: bool = False) -> list[str]:
    """Send notices to the end; what was complained of."""
    problems: list[str] = []
    notifier = Notifier(ways_of(ways, environ, root), each, problems.append)
    for notice in sent:
        notifier.tell(notice)
    notifier.close()
    return problems


def test_a_command_finds_what_is_said_in_its_environment(tmp_path: Path) -> None:
    line = 'echo "$AUTOLOOP_NOTICE_TITLE: $AUTOLOOP_NOTICE_TEXT ($AUTOLOOP_NOTICE_END)" >> said'
    assert told([f"command:{line}"], dict(os.environ), tmp_path, EVENT, END) == []
    assert (tmp_path / "said").read_text() == "a title: what came of it (1)\n"
    told([f"command:{line}"], dict(os.environ), tmp_path, EVENT, END, each=True)
    assert len((tmp_path / "said").read_text().splitlines()) == 3


def test_the_desktop_is_told_through_its_program(tmp_path: Path) -> None:
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/shown\n')
    program.chmod(0o755)
    assert told(["desktop"], {"PATH": f"{tmp_path}:/usr/bin:/bin"}, tmp_path, END) == []
    assert (tmp_path / "shown").read_text().endswith("|--|a title|what came of it|")


class Hook(BaseHTTPRequestHandler):
    status = 200
    got: list[dict[str, object]] = []

    def do_POST(self) -> None:
        self.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook() -> str:
    Hook.got, Hook.status = [], 200
    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/secret-part"
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_the_notice_as_json(hook: str, tmp_path: Path) -> None:
    assert told(["webhook:$HOOK"], {"HOOK": hook}, tmp_path, END) == []
    assert {name: Hook.got[0][name] for name in ("title", "text", "is_end")} == END.model_dump()


def test_a_webhook_that_fails_is_said_once_and_without_its_address(hook: str, tmp_path: Path) -> None:
    Hook.status = 500
    assert told([f"webhook:{hook}"], {}, tmp_path, END, END) == ["the notice by webhook failed: it answered with 500"]
    problems = told(["webhook:http://127.0.0.1:9/secret-part", "webhook:not an address"], {}, tmp_path, END)
    assert len(problems) == 2 and not any("secret" in text or "address" in text for text in problems)


def test_a_command_that_fails_keeps_no_other_way_from_being_taken(tmp_path: Path) -> None:
    problems = told(["command:exit 3", "command:touch done"], dict(os.environ), tmp_path, END)
    assert problems == ["the notice by command failed: exit code 3"] and (tmp_path / "done").exists()


@pytest.mark.parametrize("way", ["pigeon", "desktop:x", "bell:x", "command:", "webhook:", "webhook:$MISSING"])
def test_a_way_that_cannot_work_is_refused_before_anything_starts(way: str, tmp_path: Path) -> None:
    with pytest.raises(AutoloopError):
        ways_of([way], {"PATH": ""}, tmp_path)


def test_an_address_is_not_repeated_where_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AutoloopError) as refused:
        ways_of(["hook:https://example.org/secret-part"], {}, tmp_path)
    assert "secret-part" not in str(refused.value)


def test_what_is_said_of_a_bench_and_of_an_experiment() -> None:
    state = bench(plan(["t1", "t2"]), [(key("t1"), result("pass")), (key("t2"), result("fail"))])
    assert notices.bench_ended(summarise(state)).text == "a: 50.0 % of 2, 0 errors"
    row = Row(experiment=4, status=Status.KEEP, gain=0.031, description="a smaller buffer")
    said = notices.experiment_ended("speed", row)
    assert (said.title, said.text) == ("autoloop: speed 4, keep +3.1 %", "a smaller buffer")


def test_a_bench_tells_people_its_end_and_each_trial(tmp_path: Path) -> None:
    tasks = [{"id": "one", "description": "x", "verification": {"type": "command", "command": "true"}}]
    (tmp_path / "suite.json").write_text(json.dumps({"name": "s", "tasks": tasks}))
    words = ["-C", str(tmp_path), "bench", "suite.json", "-m", "nop", "-i", "1", "--min-free-gb", "0"]
    line = 'command:echo "$AUTOLOOP_NOTICE_TITLE" >> said'
    done = CliRunner().invoke(app, [*words, "--notify", line, "--notify-each"])
    assert done.exit_code == 0, done.stderr
    said = (tmp_path / "said").read_text().splitlines()
    assert said == ["autoloop: s one, pass", "autoloop: s ended, done"]
