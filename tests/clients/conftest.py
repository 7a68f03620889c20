"""Where the clients are."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoloop.agents.environment import CLIENTS as FAMILIES
from tests.clients.cases import Workshop
from tests.real_run import move_in

INSTALLED = "AUTOLOOP_TEST_CLIENTS"
"""The directory that npm installed the clients to."""
PLACE = os.environ.get(INSTALLED, "")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autoloop-tests"
"""Outside of /tmp: Codex refuses to live in a temporary directory."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and not (Path(PLACE) / "bin").is_dir():
            item.add_marker(
                pytest.mark.skip(reason=f"the clients are not installed: `make test-clients` ({INSTALLED})")
            )


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """A place with a home of its own, and the clients in PATH."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as folder:
        place = Path(folder).resolve()
        move_in(place, monkeypatch)
        for name in [name for name in os.environ if name.startswith(FAMILIES)]:
            monkeypatch.delenv(name)  # nobody's own key, and no other service
        monkeypatch.setenv("PATH", f"{PLACE}/bin:{os.environ['PATH']}")
        monkeypatch.setenv("AUTOLOOP_SANDBOX", "auto")
        yield Workshop(place)
