"""The user's own sign-in: copied into a session, renewed by either side, with nothing else of the home."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from autoloop.sandbox.landlock import LandlockSandbox
from tests.clients.cases import CLIENTS, Workshop, playing
from tests.standins.server import Turn

pytestmark = pytest.mark.clients
LOOK = Turn("I look around.", "find ~ -type f > found; cat ~/.claude/CLAUDE.md >> found; true")
TIERS = ["bwrap", "landlock"] if LandlockSandbox.abi() else ["bwrap"]


def at_home(name: str, text: str) -> Path:
    path = Path.home() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def tokens(access: str, refresh: str, until: float) -> str:
    kept = {
        "accessToken": access,
        "refreshToken": refresh,
        "expiresAt": int(1000 * until),
        "scopes": ["user:inference"],
    }
    return json.dumps({"claudeAiOauth": {**kept, "subscriptionType": "max"}})


@pytest.mark.parametrize("tier", TIERS)
def test_claude_code_signs_in_as_the_user_and_sees_nothing_else_of_the_home(workshop: Workshop, tier: str) -> None:
    store = at_home(".claude/.credentials.json", tokens("access-1", "refresh-1", time.time() + 9999))
    hook = {"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": "touch hooked"}]}]}}
    at_home(".claude/settings.json", json.dumps(hook))
    at_home(".claude/CLAUDE.md", "Always answer in rhymes.")
    before = store.read_bytes()
    with playing(CLIENTS["claude"], [LOOK, Turn("Done.")]) as service:
        session = workshop.session(
            CLIENTS["claude"], service.url, tier=tier, environ={"ANTHROPIC_BASE_URL": service.url}
        )
        assert session.failure is None, session.detail
        assert set(service.keys) == {"Bearer access-1"}
        assert "rhymes" not in str(service.requests)
    assert not (workshop.tree / "hooked").exists()
    found = (workshop.tree / "found").read_text()
    assert ".credentials.json" in found and "settings.json" not in found and "rhymes" not in found
    assert store.read_bytes() == before and not list(Path.home().glob(".claude/projects"))
    assert not list(workshop.place.glob("cache/**/.credentials.json"))


def test_a_key_that_claude_code_made_for_itself_is_used(workshop: Workshop) -> None:
    settings = {"primaryApiKey": "sk-ant-made", "projects": {"/elsewhere": {"history": ["private"]}}}
    at_home(".claude.json", json.dumps(settings))
    with playing(CLIENTS["claude"], [Turn("I look.", "cat ~/.claude.json > found"), Turn("Done.")]) as service:
        session = workshop.session(CLIENTS["claude"], service.url, environ={"ANTHROPIC_BASE_URL": service.url})
        assert session.failure is None, session.detail
        assert set(service.keys) == {"sk-ant-made"}
    assert "private" not in (workshop.tree / "found").read_text()


def jwt(**about: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    account = {"chatgpt_plan_type": "plus", "chatgpt_account_id": "account-1", "chatgpt_user_id": "user-1"}
    body = {"email": "nobody@localhost", "https://api.openai.com/auth": account, **about}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(body)}.{part('signed')}"


@contextmanager
def renewing(asked: list[Any]) -> Iterator[str]:
    """A service that gives new tokens, once for each refresh token."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
            spent = body["refresh_token"] in asked
            asked.append(body["refresh_token"])
            given = {
                "id_token": jwt(),
                "access_token": jwt(exp=int(time.time()) + 99_999),
                "refresh_token": "refresh-2",
            }
            answer = json.dumps({"error": "refresh_token_reused"} if spent else given).encode()
            self.send_response(401 if spent else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/oauth/token"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("tier", TIERS)
def test_a_sign_in_that_codex_renews_is_the_users_own(workshop: Workshop, tier: str) -> None:
    old = {"id_token": jwt(exp=1), "access_token": jwt(exp=1), "refresh_token": "refresh-1", "account_id": "account-1"}
    about = {"OPENAI_API_KEY": None, "tokens": old, "last_refresh": "2025-01-01T00:00:00Z"}
    store = at_home(".codex/auth.json", json.dumps(about))
    at_home(".codex/AGENTS.md", "Always answer in rhymes.")
    asked: list[Any] = []
    with playing(CLIENTS["codex"], [LOOK, Turn("Done.")]) as service, renewing(asked) as tokens_url:
        settings = f'name="fake",base_url="{service.url}/v1",wire_api="responses",requires_openai_auth=true'
        args = ["-c", "model_provider=fake", "-c", f"model_providers.fake={{{settings}}}"]
        environ = {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": tokens_url}
        session = workshop.session(CLIENTS["codex"], service.url, tier=tier, environ=environ, options={"args": args})
        assert session.failure is None, session.detail
        assert "rhymes" not in str(service.requests)
    assert asked == ["refresh-1"]
    assert json.loads(store.read_bytes())["tokens"]["refresh_token"] == "refresh-2"
    assert not list(Path.home().glob(".codex/sessions")) and "AGENTS.md" not in (workshop.tree / "found").read_text()
    assert not list(workshop.place.glob("cache/**/auth.json"))


def test_opencode_knows_the_services_of_the_user(workshop: Workshop) -> None:
    client = CLIENTS["opencode"]
    with playing(client, [LOOK, Turn("Done.")]) as service:
        given = json.loads(client.profile(service.url)[1]["OPENCODE_CONFIG_CONTENT"])
        del given["provider"]["fake"]["options"]["apiKey"]
        at_home(".config/opencode/opencode.json", json.dumps(given))
        at_home(".config/opencode/AGENTS.md", "Always answer in rhymes.")
        at_home(".local/share/opencode/auth.json", json.dumps({"fake": {"type": "api", "key": "sk-of-the-user"}}))
        session = workshop.session(client, service.url, environ={})
        assert session.failure is None, session.detail
        assert set(service.keys) == {"Bearer sk-of-the-user"} and "rhymes" not in str(service.requests)
