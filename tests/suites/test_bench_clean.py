"""`clean` and benches: workspaces of old ones go when that is asked for, and results never do."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoloop import api
from autoloop.cleanup.remove import Cleaned
from autoloop.cleanup.survey import REMOVED_TRIALS
from autoloop.cli.app import app
from autoloop.core.holdings import CleanOptions, Part, State
from autoloop.errors import AutoloopError
from tests.real_git import look
from tests.restored import Restored
from tests.suites.test_bench import Place

WORKSPACES = CleanOptions(workspaces=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Restored:
    place = Place(tmp_path_factory.mktemp("benches") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOLOOP_SANDBOX", "none")
        for number, name in enumerate(("old", "new")):
            place.bench(output=f"results/{name}", tasks=["one", "three"])
            os.utime(place.root / f"results/{name}/journal.jsonl", (number + 1, number + 1))
    return Restored(place.root)


@pytest.fixture
def place(made: Restored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A directory, which is no repository, with two benches that are done."""
    monkeypatch.setenv("AUTOLOOP_CACHE_DIR", str(tmp_path / "cache"))
    made.restore()
    return Place(made.folder)


def states(place: Place, name: str | None = None) -> dict[str, State]:
    return {entry.name: entry.state for entry in api.holdings(place.root, name).entries}


def clean(place: Place, name: str | None = None, options: CleanOptions = WORKSPACES) -> Cleaned:
    return api.clean(api.holdings(place.root, name, options))


def workspaces(place: Place) -> list[str]:
    return sorted(path.relative_to(place.root / "results").parts[0] for path in place.root.rglob("workspace"))


def test_workspaces_of_old_benches_go_when_that_is_asked_for_and_records_stay(place: Place) -> None:
    assert states(place) == {"results/old": State.FINISHED, "results/new": State.FINISHED}
    assert clean(place, options=CleanOptions(killed=True, everywhere=True, runs=True)) == Cleaned()
    before = look(place.root / "results/old")
    (old,) = (entry for entry in api.holdings(place.root).entries if entry.name == "results/old")
    cleaned = clean(place)
    assert cleaned == Cleaned(freed=old.sizes[Part.WORKSPACES]) and cleaned.freed > 0
    assert workspaces(place) == ["new"], "the latest keeps its own"
    assert look(place.root / "results/old") == {
        path: entry for path, entry in before.items() if "/three/workspace" not in f"/{path}"
    }
    assert clean(place) == Cleaned()
    assert clean(place, "results/new").freed > 0 and workspaces(place) == [], "unless it is named"


def test_a_bench_that_goes_or_can_be_gone_on_with_is_left_alone(place: Place) -> None:
    place.signals.stop = True
    place.bench(output="results/begun")
    place.signals.stop = False
    shutil.copytree(place.root / "results/old", place.root / "results/cut")
    journal = place.root / "results/cut/journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    (place.root / "results/torn").mkdir()
    (place.root / "results/torn/journal.jsonl").write_text('{"kind": "bench_started"}\nno event\n{}\n')
    assert {states(place)[f"results/{name}"] for name in ("begun", "cut", "torn")} == {State.UNFINISHED}
    line = f"exec 9> {place.root}/results/old/bench.lock; flock 9; echo held; read -r"
    with subprocess.Popen(["bash", "-c", line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        assert states(place, "results/old") == {"results/old": State.ALIVE}
        assert clean(place) == Cleaned()
        holder.communicate("\n")
    assert workspaces(place) == ["cut", "new", "old"]


def test_a_bench_that_is_taken_up_meanwhile_is_left_as_it_is(place: Place) -> None:
    found = api.holdings(place.root, "results/old", WORKSPACES)
    journal = place.root / "results/old/journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    cleaned = api.clean(found)
    assert cleaned.freed == 0 and cleaned.problems == ["results/old was taken up meanwhile, so it was left as it is"]
    assert "old" in workspaces(place)


def test_what_a_journal_names_outside_of_its_bench_is_not_touched(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for folder in (outside / "workspace", place.root / "results/workspace"):
        folder.mkdir(parents=True)
    journal = place.root / "results/old/journal.jsonl"
    named = '"workspace":"iterations/001/three/workspace"'
    for other in (f"{outside}/workspace", "../workspace"):
        text = journal.read_text()
        assert named in text
        journal.write_text(text.replace(named, f'"workspace":"{other}"'))
        assert clean(place, "results/old") == Cleaned()
        journal.write_text(text)
    shutil.move(place.root / "results/old/iterations/001/three", outside / "three")
    (place.root / "results/old/iterations/001/three").symlink_to(outside / "three")
    assert clean(place, "results/old") == Cleaned()
    assert (outside / "three/workspace").is_dir() and (place.root / "results/workspace").is_dir()


def test_a_clean_that_was_cut_short_is_finished_by_the_next(place: Place) -> None:
    aside = place.root / "results/old" / REMOVED_TRIALS / "workspace.abcd"
    aside.mkdir(parents=True)
    (aside / "answer").write_text("half of it")
    assert clean(place, options=CleanOptions()).problems == []
    assert not (place.root / "results/old" / REMOVED_TRIALS).exists() and workspaces(place) == ["new", "old"]


def test_what_was_cleaned_cannot_be_graded_once_more_and_keeps_its_grade(place: Place) -> None:
    clean(place)
    outcome = api.regrade(place.root, Path("results/old"), place.followed)
    assert (outcome.summary.totals.passed, outcome.summary.totals.failed) == (1, 1)
    assert [one.detail[:22] for one in outcome.state.results.values() if not one.passed] == ["could not be regraded:"]


def type_in(place: Place, *words: str) -> str:
    done = CliRunner().invoke(app, ["-C", str(place.root), "clean", *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_it_is_shown_before_it_goes(place: Place) -> None:
    shown = type_in(place)
    assert "bench results/old" in shown and "--workspaces frees that" in shown and "Nothing to free." in shown
    shown = type_in(place, "--workspaces")
    assert "results and records stay" in shown and "results/new is the latest bench" in shown
    assert shown.rstrip().endswith("clean --workspaces --yes") and workspaces(place) == ["new", "old"]
    facts = json.loads(type_in(place, "--workspaces", "--json"))
    goes = {entry["name"]: (entry["what"], entry["goes"]) for entry in facts["entries"]}
    assert goes["results/old"] == ("bench", ["litter", "workspaces"]) and not facts["removed"]
    assert "bench results/old: 0.0 MB freed" in type_in(place, "--workspaces", "--yes")
    assert workspaces(place) == ["new"]


def test_without_a_repository_and_benches_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(AutoloopError, match="not in a git repository"):
        api.holdings(tmp_path)
