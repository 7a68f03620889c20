"""Where trials are tried."""

from pathlib import Path

import pytest

from tests.suites.proving import Proving, proving


@pytest.fixture
def rooted(tmp_path: Path) -> Proving:
    """Under bubblewrap, where tasks find their absolute paths."""
    return proving(tmp_path, "bwrap")


@pytest.fixture(params=["bwrap", "landlock", "none"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Proving:
    """In each tier that works here."""
    return proving(tmp_path, request.param)
