"""Agents with a model in trials: named as an agent and a model, sent to a stand-in for the service."""

from pathlib import Path

import pytest

from autoloop.core.suite.tasks import Outcome
from tests.atif import Document
from tests.http_script import Reply
from tests.standins.openai import answering
from tests.standins.server import Turn, standing_in
from tests.suites.proving import Proving, plain, task


def test_a_model_works_at_the_workdir_and_its_trajectory_is_kept(rooted: Proving) -> None:
    turns = [Turn("I look.", "pwd; ls -A /app"), Turn("I write.", "echo hello > /app/out.txt"), Turn("Done.")]
    with standing_in(answering(turns)) as service:
        rooted.environ |= {"OPENAI_BASE_URL": f"{service.url}/v1", "OPENAI_API_KEY": "sk-0123456789abcdef01234567"}
        result = rooted.take(rooted.order("openai:some-model", task()))
    assert result.passed and (result.turns, result.actions) == (3, 2)
    assert result.tokens == 3 * 1350
    whole = Document.model_validate_json((rooted.directory / "trajectory.json").read_bytes())
    assert whole.extra is None, "it is the agent's own"
    assert "/app" in rooted.record("output.txt") and "I write." in rooted.record("output.txt")


@pytest.mark.parametrize(
    ("reply", "mode"),
    [
        (Reply([b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'], status=429), "rate_limited"),
        (Reply([b'{"error": {"message": "no such model", "code": "model_not_found"}}'], status=404), None),
        (Reply([b"<html>a proxy</html>"]), None),
    ],
)
def test_a_service_that_does_not_answer_makes_an_error_and_no_failure(
    tmp_path: Path, reply: Reply, mode: str | None
) -> None:
    here = Proving(tmp_path)
    with standing_in(answering([], lambda step: reply)) as service:
        here.environ |= {"OPENAI_BASE_URL": f"{service.url}/v1", "OPENAI_API_KEY": "sk-0123456789abcdef01234567"}
        result = here.take(here.order("openai:some-model", task(plain())))
    assert (result.outcome, result.reward) == (Outcome.ERROR, None), result
    assert mode in (None, result.failure_mode)


def test_a_model_that_cannot_be_reached_is_not_replaced_by_another(tmp_path: Path) -> None:
    here = Proving(tmp_path)
    here.profile("echo hello > out.txt", "other")
    with (here.root / "autoloop.toml").open("a") as file:
        file.write('[profiles.local]\nagent = "ollama"\nmodel = "m"\nfallback = "other"\n')
    here.environ["OLLAMA_HOST"] = "127.0.0.1:9"
    for profile in ("ollama:no-such-model", "local"):
        result = here.take(here.order(profile, task(plain())))
        assert (result.outcome, result.failure_mode) == (Outcome.ERROR, "unreachable")
