"""`verify` on a real repository: original against head, told afresh and kept in the journal."""

import os
from pathlib import Path

import pytest

from autoloop import api
from autoloop.core.run.verdict import Verification
from autoloop.errors import AutoloopError
from autoloop.host.signals import Signals
from tests.real_git import commit_all, git, make_repository, write

CONFIG = 'metric_field = "ms"\ndirection = "lower"\nmax_experiments = 1\nwarmup = 0\ncanary = false\n'
MEASURE = 'read value < value.txt\necho "{\\"ms\\": $value}"\n'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "AUTOLOOP_CACHE_DIR": str(tmp_path / "cache")}


def ran(root: Path, value: int, environ: dict[str, str]) -> None:
    """A run whose agent writes one value over 100."""
    make_repository(root)
    write(root, {"value.txt": "100\n", "programs/p/config.toml": CONFIG, "programs/p/measure.sh": MEASURE})
    write(root, {"autoloop.toml": f'[profiles.mine]\nagent = "command"\ncommand = "echo {value} > value.txt"\n'})
    commit_all(root)
    api.run(root, "p", api.RunOptions(), signals=Signals(), on_progress=lambda sign: None, environ=environ)


def verify(root: Path, pairs: int, environ: dict[str, str]) -> Verification:
    return api.verify(root, pairs=pairs, signals=Signals(), on_progress=lambda sign: None, environ=environ)


def test_what_is_told_is_what_was_measured_now_and_the_most_precise_is_kept(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    root = tmp_path / "repo"
    ran(root, 80, environ)
    by_itself = api.status(root)["verified"]
    assert len(by_itself["pairs"]) == 16 and by_itself["gain"] == pytest.approx(0.2)
    now = verify(root, 4, environ)
    assert len(now.pairs) == 4 and now.gain == pytest.approx(0.2)
    facts = api.status(root)
    assert len(facts["verified"]["pairs"]) == 16
    assert facts["stop_reason"] == "max_experiments", "a verification leaves the run as it was"
    assert git(root, "status", "--porcelain") == ""


def test_a_run_that_kept_nothing_has_nothing_to_verify(tmp_path: Path, environ: dict[str, str]) -> None:
    root = tmp_path / "repo"
    ran(root, 120, environ)
    with pytest.raises(AutoloopError, match="kept nothing"):
        verify(root, 4, environ)
