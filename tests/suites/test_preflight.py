"""Before a bench: what would fail at the first trial is refused, nothing is written, and nothing is lost."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autoloop import api
from autoloop.core.suite.plan import ArmPlan, BenchConfig
from autoloop.errors import AutoloopError
from autoloop.host.context import Context
from autoloop.suites.preflight import Preflight
from tests.http_script import Reply
from tests.real_git import write
from tests.standins.openai import answering, failing
from tests.standins.server import Standin, Turn, standing_in
from tests.suites.test_bench import Place
from tests.suites.test_bench_words import bench as typed

KEY = "sk-0123456789abcdef01234567"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "project")


@contextmanager
def service(*replies: Reply | None) -> Iterator[tuple[Standin, Mapping[str, str]]]:
    """A service that meets the first questions like this and then solves the task `one`, with what leads to it."""
    left = list(replies)

    def answer(path: str, body: Any, before: int) -> Reply | None:
        reply = left.pop(0) if left else None
        return reply or answering([Turn("I write.", "echo one > answer"), Turn("Done.")])(path, body, before)

    with standing_in(answer) as standin:
        yield standin, {**os.environ, "OPENAI_BASE_URL": f"{standin.url}/v1", "OPENAI_API_KEY": KEY}


def asked(standin: Standin) -> list[Any]:
    """The questions that were no part of a trial."""
    return [body for _, body in standin.requests if body and not body.get("tools")]


def test_a_model_is_asked_for_a_token_before_its_bench(place: Place) -> None:
    with service() as (standin, environ):
        outcome = place.bench("openai:some-model", tasks=["one"], environ=environ)
        assert outcome.metrics()["passed"] == 1 and outcome.metrics()["model_calls"] == 2
        assert len(asked(standin)) == 1 and standin.keys[0] == f"Bearer {KEY}"
    assert any(line.startswith("notice: openai-some-model answers, ") for line in place.said)


@pytest.mark.parametrize(
    ("reply", "said", "hint"),
    [
        (failing(401, "Incorrect API key provided", "invalid_api_key"), "Incorrect API key", "OPENAI_API_KEY"),
        (failing(404, "The model does not exist", "model_not_found"), "does not exist", "model's name"),
        (Reply([b"<html>a proxy</html>"]), "no chat completion", "--check"),
    ],
    ids=["a wrong key", "an unknown model", "no service at all"],
)
def test_a_model_that_does_not_answer_is_said_before_anything_is_written(
    place: Place, reply: Reply, said: str, hint: str
) -> None:
    with service(reply) as (standin, environ), pytest.raises(AutoloopError) as refused:
        place.bench("openai:some-model", environ=environ)
    assert refused.value.message.startswith("openai:some-model cannot be used: ") and said in refused.value.message
    assert "\n" not in refused.value.message and hint in (refused.value.hint or "")
    assert len(standin.requests) == 1 and not (place.root / "out").exists()


def test_a_model_that_hangs_is_given_up(place: Place) -> None:
    arm = ArmPlan(name="hanging", profile="openai:some-model")
    config = BenchConfig(bench_id="b", suite=str(place.root / "suite.json"), arms=(arm,), min_free_gb=0)
    with service(Reply(hang_before=True)) as (_, environ):
        context = Context(place.root, environ, place.followed.signals, place.followed.on_progress)
        check = Preflight(config, config.arms, place.root / "out", context)
        with pytest.raises(AutoloopError, match=r"no token came within 0\.5 s"):
            check.require(config.arms, patience=0.5)
    assert not (place.root / "out").exists()


def test_a_service_short_of_breath_is_waited_for_by_the_bench_itself(place: Place) -> None:
    with service(failing(429, "slow down")) as (_, environ):
        assert place.bench("openai:some-model", tasks=["one"], environ=environ).metrics()["passed"] == 1
    assert any("openai-some-model is there, but busy" in line for line in place.said)


def test_each_arm_that_lacks_something_has_a_line(place: Place) -> None:
    with service(failing(401, "no"), failing(404, "not here")) as (_, environ), pytest.raises(AutoloopError) as refused:
        place.bench("half", "openai:a", "openai:b", environ=environ)
    assert refused.value.message == "2 of 3 arms cannot be used: openai-a, openai-b"
    lines = [line for line in place.said if "cannot be used" in line]
    assert [line.split(" cannot")[0] for line in lines] == ["warning: openai:a", "warning: openai:b"]
    assert "OPENAI_API_KEY" in lines[0] and "model's name" in lines[1]


def test_a_resume_asks_what_it_still_needs_and_loses_nothing(place: Place) -> None:
    place.signals.stop = True
    with service() as (_, environ):
        place.bench("openai:some-model", "half", tasks=["one"], environ=environ)
    place.signals.stop = False
    before = {name: (place.root / "out" / name).read_bytes() for name in ("journal.jsonl", "config.json", "state.json")}

    def resume(environ: Mapping[str, str]) -> api.BenchOutcome:
        changes = {"min_free_gb": 0.0, "workers": 1}
        return api.resume_bench(place.root, Path("out"), changes, place.followed, environ=environ)

    with service(failing(401, "no")) as (_, environ), pytest.raises(AutoloopError, match="cannot be used"):
        resume(environ)
    assert before == {name: (place.root / "out" / name).read_bytes() for name in before}
    with service() as (standin, environ):
        assert resume(environ).metrics()["passed"] == 1
        assert len(asked(standin)) == 1
        assert resume(environ).is_complete and len(asked(standin)) == 1, "nothing is left for it to do"
        api.regrade(place.root, Path("out"), place.followed, environ=environ)
        assert len(asked(standin)) == 1, "no model works for another grade"


def test_nobody_is_asked_who_is_not_to_be(place: Place, tmp_path: Path) -> None:
    with service() as (standin, environ):
        within = {**environ, "AUTOLOOP_SAMPLE_DIR": str(tmp_path / "sample")}
        place.bench("openai:some-model", tasks=["one"], output="", environ=within)
        assert asked(standin) == [], "a sample of a measurement asks nothing"
        place.bench("half", "nop", tasks=["one"], environ=environ)
        assert asked(standin) == []


def test_the_question_can_be_left_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["suite.json", "-m", "openai:some-model", "-t", "one", "-i", "1", "-o", "out"]
    with service() as (standin, environ):
        for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
            monkeypatch.setenv(name, environ[name])
        assert "1 passed" in typed(place.root, *words, "--no-preflight")
        assert asked(standin) == []


# Room and sandbox


def test_a_sandbox_that_is_demanded_and_does_not_work_here_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (place.root / "autoloop.toml").read_text()
    write(place.root, {"autoloop.toml": f'sandbox = "bwrap"\n{settings}'})
    with monkeypatch.context() as patched, pytest.raises(AutoloopError, match="bubblewrap is not installed") as refused:
        patched.delenv("AUTOLOOP_SANDBOX", raising=False)
        patched.setenv("PATH", str(place.root))
        place.bench()
    assert "apt install bubblewrap" in (refused.value.hint or "") and not (place.root / "out").exists()
    write(place.root, {"autoloop.toml": f'sandbox = "none"\n{settings}'})
    place.signals.stop = True
    place.bench()
    assert any(line.startswith("warning: no sandbox is in force") for line in place.said)


def test_too_little_room_is_refused_at_the_beginning_and_on_a_resume(place: Place) -> None:
    with pytest.raises(AutoloopError, match="below min_free_gb of 1e") as refused:
        place.bench(min_free_gb=1e9)
    assert "--min-free-gb" in (refused.value.hint or "") and not (place.root / "out").exists()
    place.signals.stop = True
    place.bench()
    before = (place.root / "out/journal.jsonl").read_bytes()
    with pytest.raises(AutoloopError, match="below min_free_gb"):
        place.resume(min_free_gb=1e9)
    assert (place.root / "out/journal.jsonl").read_bytes() == before
