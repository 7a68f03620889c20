"""The demo as a whole, and the promises of the example that it runs."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from autoloop import api
from autoloop.core.results import COLUMNS
from autoloop.demo import BRANCH, EXAMPLE, DemoOutcome, demonstrate, set_up
from autoloop.errors import AutoloopError
from autoloop.steering import Signals
from tests.real_git import git

EXPERIMENTS = 3
PLAIN = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}
"""All that a measurement needs to find."""
GOOD = {"TOKENIZER": '"split"', "STEM_CACHE": 8192, "SEGMENT_DOCUMENTS": 64, "MERGE": '"sort"', "BLOCK_WORDS": 64}
BAD = {"TOKENIZER": '"scan"', "STEM_CACHE": 16, "SEGMENT_DOCUMENTS": 1, "BLOCK_WORDS": 4}


def script(root: Path, name: str, seed: int = 1) -> "subprocess.CompletedProcess[str]":
    file = root / "programs" / EXAMPLE / name
    environ = {**PLAIN, "AUTOLOOP_SEED": str(seed)}
    return subprocess.run(["bash", file], cwd=root, env=environ, capture_output=True, text=True)


def turn(root: Path, knobs: Mapping[str, object]) -> None:
    settings = root / "wordindex" / "settings.py"
    text = settings.read_text()
    for name, value in knobs.items():
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert count == 1, name
    settings.write_text(text)
    shutil.rmtree(root / "wordindex" / "__pycache__", ignore_errors=True)


def sample(root: Path, seed: int = 1) -> dict[str, float]:
    done = script(root, "measure.sh", seed)
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return set_up(tmp_path / "project")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> DemoOutcome:
    """A short demo of a person without a home, a git identity or settings."""
    folder = tmp_path_factory.mktemp("demo")
    pytest.importorskip("optuna")
    hostile = {"AUTOLOOP_AGENT": "claude", "AUTOLOOP_DEFAULT_PROFILE": "none-such", "HOME": str(folder / "absent")}
    return demonstrate(
        on_progress=lambda sign: None,
        signals=Signals(),
        environ={**PLAIN, **hostile, "AUTOLOOP_CACHE_DIR": str(folder / "cache")},
        directory=folder / "here",
        experiments=EXPERIMENTS,
    )


def test_the_demo_is_a_whole_campaign(finished: DemoOutcome) -> None:
    assert [row.experiment for row in finished.rows] == list(range(EXPERIMENTS + 1))
    assert all(row.status in ("keep", "discard") for row in finished.rows[1:])
    assert all(row.samples >= 1 for row in finished.rows)
    assert finished.outcome.summary.stop_reason == "max_experiments"
    kept = [row.experiment for row in finished.rows if row.status == "keep"]
    assert (finished.gain or 0) > 0 if kept else finished.gain == 0


def test_its_results_are_well_formed(finished: DemoOutcome) -> None:
    (file,) = finished.root.glob(f".autoloop/runs/{EXAMPLE}/*/results.tsv")
    header, *rows = [line.split("\t") for line in file.read_text().splitlines()]
    assert tuple(header) == COLUMNS
    assert len(rows) == EXPERIMENTS + 1 and {len(row) for row in rows} == {len(COLUMNS)}
    status, metric = COLUMNS.index("status"), COLUMNS.index("metric")
    assert [row[status] for row in rows] == [row.status.value for row in finished.rows]
    assert all(float(row[metric]) > 0 for row in rows)


def test_it_says_where_to_look_and_every_line_works(finished: DemoOutcome) -> None:
    commands = [pointer.command for pointer in finished.where_to_look]
    assert f"cd {finished.root}" in commands
    assert all(command in "\n".join(finished.lines) for command in commands)
    diffs = [command.removeprefix("git ").split() for command in commands if command.startswith("git diff")]
    assert bool(diffs) == bool(finished.outcome.summary.kept)
    assert all("wordindex/settings.py" in git(finished.root, *diff) for diff in diffs)
    assert any(re.fullmatch(r"autoloop show [1-9]\d*", command) for command in commands)
    assert finished.lines[-1].split()[:2] == ["autoloop", "init"]


def test_the_checkout_of_the_demo_is_left_as_it_was(finished: DemoOutcome) -> None:
    assert git(finished.root, "status", "--porcelain") == ""
    assert git(finished.root, "rev-parse", "--abbrev-ref", "HEAD") == BRANCH


def test_the_same_files_are_set_up_every_time(tmp_path: Path) -> None:
    trees = {git(set_up(tmp_path / name), "rev-parse", "HEAD^{tree}") for name in ("one", "two")}
    assert len(trees) == 1
    listed = git(tmp_path / "one", "ls-files").splitlines()
    assert "wordindex/settings.py" in listed and f"programs/{EXAMPLE}/checks.py" in listed
    assert not [path for path in listed if "project/" in path or "__pycache__" in path]


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(AutoloopError, match="not empty"):
        set_up(full)
    with pytest.raises(AutoloopError, match="no directory for the demo"):
        set_up(full / "mine.txt" / "below")
    assert [path.name for path in full.iterdir()] == ["mine.txt"]


def test_without_optuna_the_demo_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(AutoloopError, match="Optuna") as refused:
        api.demo(lambda sign: None, Signals(), PLAIN, tmp_path / "demo")
    assert "pip install" in refused.value.hint
    assert not (tmp_path / "demo").exists()


def test_the_program_of_the_example_is_valid(project: Path) -> None:
    text = api.packet(project, EXAMPLE)
    assert "cpu_ms" in text and "wordindex/**" in text


def test_the_measurement_tells_good_settings_from_bad_ones(project: Path) -> None:
    times = {}
    for name, knobs in (("bad", BAD), ("good", GOOD)):
        turn(project, knobs)
        assert script(project, "checks.sh").returncode == 0
        times[name] = min(sample(project)["cpu_ms"] for _ in range(2))
    assert times["bad"] > 1.4 * times["good"]


def test_an_uncompressed_index_is_beyond_the_gate(project: Path) -> None:
    before = sample(project)["index_kb"]
    turn(project, {"COMPRESSION": 0})
    assert sample(project)["index_kb"] > 1.1 * before


def test_the_documents_follow_from_the_seed(project: Path) -> None:
    sizes = [sample(project, seed)["index_kb"] for seed in (5, 5, 6)]
    assert sizes[0] == sizes[1] != sizes[2]


@pytest.mark.parametrize("merge", ["heap", "pairwise", "sort"])
@pytest.mark.parametrize("tokenizer", ["regex", "split", "scan"])
def test_every_choice_is_a_correct_one(project: Path, tokenizer: str, merge: str) -> None:
    extreme = {"READ_BYTES": 64, "STEM_CACHE": 16, "SEGMENT_DOCUMENTS": 1, "BLOCK_WORDS": 2048, "COMPRESSION": 0}
    turn(project, {**extreme, "TOKENIZER": f'"{tokenizer}"', "MERGE": f'"{merge}"'})
    done = script(project, "checks.sh")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("reading.py", 'rpartition(b" ")', 'rpartition(b"e")'),
        ("reading.py", "yield rest.decode()", "pass"),
        ("words.py", ">= _SHORTEST", "> _SHORTEST"),
        ("words.py", "text.lower()", "text"),
        ("words.py", "[a-z]+", "[a-z0-9]+"),
        ("segments.py", "counts.get(stem, 0) + 1", "1"),
        ("segments.py", "list(enumerate(documents))", "list(enumerate(documents, 1))"),
        ("segments.py", "key=itemgetter(0)))", "key=itemgetter(0), reverse=True))"),
        ("storing.py", "at + BLOCK_WORDS]", "at + BLOCK_WORDS - 1]"),
        ("__main__.py", "store(entries", "0 and store(entries"),
    ],
)
def test_the_checks_refuse_a_wrong_index(project: Path, file: str, right: str, wrong: str) -> None:
    path = project / "wordindex" / file
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    assert script(project, "checks.sh").returncode != 0


def test_a_module_planted_in_the_tree_does_not_reach_the_clock(project: Path) -> None:
    for name in ("resource", "json", "random", "corpus", "tempfile"):
        (project / f"{name}.py").write_text("raise SystemExit('planted')\n")
    assert sample(project)["cpu_ms"] > 0
