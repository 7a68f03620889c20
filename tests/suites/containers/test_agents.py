"""Agents of other kinds in containers: a model whose tools work from outside, steps that bring files of their own."""

import os
from pathlib import Path
from typing import Any

import pytest

from autoloop.core.suite.tasks import Outcome
from autoloop.suites.containers.engine import Engine
from tests.http_script import Reply
from tests.services import openai_text, openai_tool
from tests.standins.server import standing_in
from tests.suites.containers.cases import DOCKERFILE, Trying, containers_of

pytestmark = [pytest.mark.containers, pytest.mark.usefixtures("base")]
TWICE = "[ $(grep -c hello out.txt) = 2 ] && reward=1 || reward=0\necho $reward > /logs/verifier/reward.txt\n"


@pytest.fixture
def here(tmp_path: Path, engine: Engine) -> Trying:
    return Trying(tmp_path)


def test_a_model_works_in_the_container_with_all_its_tools(here: Trying, engine: Engine) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("bash", {"command": "cat /etc/made; pwd; trap '' TERM; sleep 400", "timeout": 1}),
        ("view", {"path": "/app/start.txt"}),
        ("edit", {"path": "start.txt", "old": "start", "new": "hello"}),
        ("write", {"path": "new/more.txt", "text": "hello again\n"}),
        ("bash", {"command": "cat start.txt new/more.txt > out.txt; ls -A /tests; echo $OPENAI_API_KEY"}),
    ]

    def answer(path: str, body: Any, before: int) -> Reply:
        said = sum(message["role"] == "assistant" for message in body["messages"])
        return openai_tool(*calls[said]) if said < len(calls) else openai_text("Done.")

    with standing_in(answer) as service:
        here.environ |= {"OPENAI_BASE_URL": f"{service.url}/v1", "OPENAI_API_KEY": "sk-0123456789abcdef01234567"}
        task = here.task(tests__test_sh=TWICE)
        result = here.take(here.order("openai:some-model", task, timeout=60.0))
        said = [m["content"] for m in service.requests[-1][1]["messages"] if m["role"] == "tool"]
    assert result.outcome is Outcome.PASS, (result.detail, said)
    assert said[0].startswith("made\n/app") and "ended after 1 s" in said[0]
    assert "sk-0123" not in said[-1] and "test.sh" not in said[-1]
    assert containers_of(engine, here.bench) == []


@pytest.mark.parametrize("user", ["", "RUN chmod 777 /app\nUSER 1234\n"])
def test_what_a_step_brings_is_there_whoever_owns_the_workdir(here: Trying, user: str) -> None:
    check = "grep -qx {0} {0}.txt && echo 1 > /logs/verifier/reward.txt || echo 0 > /logs/verifier/reward.txt\n"
    files = {"instruction_md": "", "tests__test_sh": "", "solution__solve_sh": ""}
    for name in "ab":
        files |= {
            f"steps__{name}__instruction_md": "Copy it.\n",
            f"steps__{name}__tests__test_sh": check.format(name),
            f"steps__{name}__workdir__given_txt": f"{name}\n",
        }
    steps = "[[steps]]\nname = 'a'\n[[steps]]\nname = 'b'\n"
    task = here.task(steps, environment__Dockerfile=DOCKERFILE + user, **files)
    assert task.contained and not task.unsupported
    line = "name=$(cat given.txt); mkdir -m 700 -p own; cp given.txt $name.txt"
    result = here.tried(line, task, keep="all")
    assert result.outcome is Outcome.PASS, (result.detail, here.file("output.txt"))
    kept = here.directory.parent / "boxed/workspace"
    assert {file.stat().st_uid for file in (kept / "own", kept / "a.txt")} == {os.getuid()}
