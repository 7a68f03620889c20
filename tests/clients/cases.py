"""Sessions with a real client: its profile, a tree, a stand-in, and what must be true whatever happened."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoloop.agents.make import bare_agent
from autoloop.agents.profiles import Profile
from autoloop.core.run.program import Limits
from autoloop.core.session import Session
from autoloop.ports import Cell, Goal, Left, Progress, Sandbox, Task
from autoloop.sandbox.choose import choose
from autoloop.sandbox.places import survey
from tests.atif import Document
from tests.fakes import program
from tests.http_script import Reply
from tests.outcomes import left_running
from tests.standins import anthropic, openai
from tests.standins.server import Answer, Standin, Turn, standing_in

Fault = Callable[[int], Reply | None]
WORK = (
    Turn("I look.", "cat code.py"),
    Turn("I write.", "echo 'x = 1' > code.py"),
    Turn('Done.\n<notes>{"hypothesis": "less"}</notes>'),
)


@dataclass(frozen=True)
class Client:
    """One client, and how it is led to a stand-in."""

    name: str
    model: str
    answering: Callable[..., Answer]
    stalled: Reply
    slow: float
    """Seconds until its first event."""

    def profile(self, url: str) -> tuple[dict[str, Any], dict[str, str]]:
        """The fields of a profile, and the environment."""
        if self.name == "claude":
            return {}, {"ANTHROPIC_API_KEY": "sk-ant-dummy-dummy-dummy", "ANTHROPIC_BASE_URL": url}
        if self.name == "codex":
            settings = (
                f'name="fake",base_url="{url}/v1",env_key="CODEX_API_KEY",wire_api="responses",'
                "request_max_retries=0,stream_max_retries=0,stream_idle_timeout_ms=60000"
            )
            args = ["-c", "model_provider=fake", "-c", f"model_providers.fake={{{settings}}}"]
            return {"options": {"args": args}}, {"CODEX_API_KEY": "sk-dummy-dummy-dummy"}
        model = {"limit": {"context": 100000, "output": 8000}, "cost": {"input": 3, "output": 15, "cache_read": 0.3}}
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "fake",
            "options": {"baseURL": f"{url}/v1", "apiKey": "sk-dummy-dummy-dummy"},
            "models": {"fake-model": model},
        }
        return {}, {"OPENCODE_CONFIG_CONTENT": json.dumps({"provider": {"fake": provider}})}


CLIENTS = {
    "claude": Client(
        "claude",
        "claude-sonnet-4-5",
        anthropic.answering,
        anthropic.stalled({"model": "claude-sonnet-4-5"}),
        slow=5.0,
    ),
    "codex": Client(
        "codex",
        "fake-model",
        openai.answering,
        openai.stalled({"model": "fake-model", "tools": []}),
        slow=5.0,
    ),
    "opencode": Client(
        "opencode",
        "fake/fake-model",
        openai.answering,
        Reply(openai.completion(Turn("half"), {"model": "fake-model"}, 0).parts[:1], hang_after=True),
        slow=25.0,
    ),
}


@dataclass
class Workshop:
    """A repository, a tree, a home."""

    place: Path
    seen: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root, self.tree = self.place / "repository", self.place / "cache/tree"
        for folder in (self.root, self.tree):
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["git", "init", "--quiet", folder], check=True)
        (self.tree / "code.py").write_text("x = 100\n")

    def sandbox(self, environ: dict[str, str], tier: str = "auto") -> Sandbox:
        places = survey(self.root, self.root / ".git/objects", self.place / "cache", environ)
        return choose(tier, places, self.place / "cache").sandbox

    def session(
        self,
        client: Client,
        url: str,
        *,
        limits: Limits | None = None,
        left: Left | None = None,
        tier: str = "auto",
        text: str = "Lower x.",
        cancelled: Callable[[], bool] = lambda: False,
        environ: dict[str, str] | None = None,
        **more: Any,
    ) -> Session:
        fields, extra = client.profile(url)
        environ = {**os.environ, **(extra if environ is None else environ)}
        packet = self.place / "packet.md"
        packet.write_text(text)
        task = Task(
            packet=text,
            packet_path=packet,
            tree=self.tree,
            run_id=self.place.name,
            goal=Goal.of(program()),
            experiment=1,
            seed=1,
            limits=limits or Limits(max_turns=9, agent_timeout=120_000, agent_idle_timeout=60_000),
            history=lambda: [],
            transcript=self.place / "experiments/0001/session.jsonl",
            cancelled=cancelled,
            sandbox=self.sandbox(environ, tier),
            cell=Cell(tree=self.tree, home=self.place / "cache/home", reads=(packet,), network="on"),
            left=left or Left(),
        )
        profile = Profile(**{"name": "p", "agent": client.name, "model": client.model, **fields, **more})
        session = bare_agent(profile, self.root, environ).run(task, self.seen.append)
        self._check(session)
        return session

    def _check(self, session: Session) -> None:
        """Nothing is left running, and the record can be read."""
        assert left_running(self.place.name) == []
        folder = self.place / "experiments/0001"
        if (folder / "trajectory.json").exists():
            Document.model_validate_json((folder / "trajectory.json").read_bytes())
        assert session.failure is None or session.detail

    @property
    def code(self) -> str:
        return (self.tree / "code.py").read_text()


def playing(
    client: Client, turns: Sequence[Turn] = WORK, fault: Fault | None = None
) -> AbstractContextManager[Standin]:
    """A stand-in for the client's service."""
    return standing_in(client.answering(turns, fault) if fault else client.answering(turns))
