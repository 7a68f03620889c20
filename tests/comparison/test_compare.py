"""`compare` and `audit`: real processes in real trees of real commits."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from typer.testing import CliRunner, Result

from autoloop import api
from autoloop.cli.app import app
from autoloop.comparison.arena import Compared, CompareOptions
from autoloop.comparison.stopwatch import CommandFailed, Measure
from autoloop.core.evidence.comparison import Difference, TwoSided
from autoloop.core.run.program import Direction
from autoloop.errors import AutoloopError
from autoloop.host.signals import Signals
from tests.real_git import commit_all, git, look, make_repository, write

OUTPUT = CompareOptions(measure=Measure.OUTPUT, seed=3)
NOISE = """\
read -r n < "$HOME/n"; echo $((n + 1)) > "$HOME/n"; read -r x < speed
echo "METRIC ms=$((x + n * 7919 % 41))"
"""
"""A metric of `speed` with some noise that is the same whenever a test runs."""
PLAIN = "read -r x < speed; echo METRIC ms=$x"


class Place:
    """A repository whose commits hold one `speed` each; `main` is the first."""

    def __init__(self, root: Path) -> None:
        self.root = make_repository(root, {"speed": "1000\n"})
        git(root, "branch", "base")
        (Path.home() / "n").write_text("1\n")

    def commit(self, speed: int, branch: str) -> str:
        write(self.root, {"speed": f"{speed}\n"})
        commit = commit_all(self.root, f"speed {speed}")
        git(self.root, "branch", "--force", branch)
        return commit

    def compare(self, a: str, b: str, *command: str, options: CompareOptions = OUTPUT) -> Compared:
        return api.compare(self.root, a, b, command, options, signals=Signals(), on_progress=lambda sign: None)

    def type(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["-C", str(self.root), *words])

    def untouched(self) -> tuple[object, ...]:
        cache = Path(os.environ["AUTOLOOP_CACHE_DIR"])
        left = sorted(cache.iterdir()) if cache.exists() else []
        refs, status = git(self.root, "for-each-ref"), git(self.root, "status", "--porcelain")
        return look(self.root), refs, status, left, (self.root / ".git/HEAD").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield Place(tmp_path / "repository")
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_exit_codes_say_better_worse_and_noise_and_nothing_is_left_behind(place: Place) -> None:
    place.commit(900, "quick")
    before = place.untouched()
    assert before[3] == []
    for a, b, code, sentence in [
        ("base", "quick", 0, "quick is 1"),
        ("quick", "base", 1, "base is 1"),
        ("quick", "quick", 3, "quick against quick is noise"),
    ]:
        done = place.type("compare", a, b, "--measure", "output", "--seed", "3", "-v", "--", NOISE)
        assert (done.exit_code, sentence in done.stdout) == (code, True), done.output
        assert "evidence: better" in done.stdout
    assert place.untouched() == before


def test_json_holds_what_a_sceptic_needs(place: Place) -> None:
    place.commit(900, "quick")
    done = place.type("compare", "base", "quick", "--measure", "output", "--seed", "3", "--json", "--", NOISE)
    facts = json.loads(done.stdout)
    assert facts["verdict"] == "better" and facts["low"] < facts["gain"] < facts["high"]
    assert facts["pairs"] == len(facts["values"]["a"]) == len(facts["values"]["b"]) == len(facts["gains"])
    assert facts["evidence"] == facts["evidence_trace"]["better"][-1] >= math.log(100)
    assert (facts["metric"], facts["direction"], facts["warnings"]) == ("ms", "lower", [])


def test_seconds_are_measured_and_a_metric_without_spread_takes_two_pairs(place: Place) -> None:
    write(place.root, {"work.sh": "sleep 0.08\n"})
    place.commit(1, "slow")
    write(place.root, {"work.sh": ":\n"})
    place.commit(2, "quick")
    quicker = place.compare("slow", "quick", "bash", "work.sh", options=CompareOptions(seed=1))
    assert quicker.comparison.difference is Difference.BETTER and quicker.comparison.gain > 0.3
    assert all(pair.a > 0.08 for pair in quicker.pairs)
    plain = place.compare("slow", "quick", PLAIN)
    assert (plain.comparison.difference, plain.comparison.gain, len(plain.pairs)) == (Difference.WORSE, -1.0, 2)


def test_cpu_time_counts_what_a_command_starts_and_not_how_long_it_sleeps(place: Place) -> None:
    script = "sleep 0.05; ( i=0; while ((i < $(<speed))); do i=$((i + 1)); done )"
    write(place.root, {"work.sh": script})
    place.commit(300, "quick")
    place.commit(8000, "slow")
    options = CompareOptions(measure=Measure.CPU, warmup=0, seed=1)
    found = place.compare("slow", "quick", "bash work.sh", options=options)
    assert found.comparison.difference is Difference.BETTER
    assert median(pair.b for pair in found.pairs) < 0.05


def test_both_arms_get_the_seed_the_shared_paths_the_variables_and_their_preparation(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANTED", "1")
    monkeypatch.setenv("UNWANTED", "1")
    place.commit(900, "quick")
    write(place.root, {"data/big": "5\n"})
    line = 'echo $AUTOLOOP_SEED >> "$HOME/seeds"; echo METRIC ms=$(($(<built) + $(<data/big) * WANTED - UNWANTED))'
    options = CompareOptions(
        measure=Measure.OUTPUT, warmup=0, prepare="cat speed > built", share=("data",), env=("WANTED",)
    )
    found = place.compare("base", "quick", line, options=options)
    assert [(pair.a, pair.b) for pair in found.pairs] == [(1005, 905)] * 2
    seeds = (Path.home() / "seeds").read_text().split()
    assert len(seeds) == 12 and len(set(seeds)) == 6 and seeds[0::2] == seeds[1::2]


def test_several_metrics_need_a_name_and_cases_speak_for_themselves(place: Place) -> None:
    place.commit(900, "quick")
    two = f"{PLAIN}; echo METRIC other=1"
    with pytest.raises(CommandFailed, match="choose with --metric"):
        place.compare("base", "quick", two)
    higher = CompareOptions(measure=Measure.OUTPUT, metric="ms", direction=Direction.HIGHER)
    assert place.compare("base", "quick", two, options=higher).comparison.difference is Difference.WORSE
    cases = """read -r x < speed; echo '{"cases": {"one": 1, "two": '$((x < 1000))'}}'"""
    found = place.compare("base", "quick", cases)
    assert (found.metric, found.comparison.difference) == ("pass rate", Difference.BETTER)


@pytest.mark.parametrize(("failing", "named"), [("900", "quick"), ("1000", "base")])
def test_the_revision_in_which_a_command_fails_is_named(place: Place, failing: str, named: str) -> None:
    place.commit(900, "quick")
    before = place.untouched()
    line = f"{PLAIN}; [ $x != {failing} ] || {{ echo no luck >&2; exit 4; }}"
    with pytest.raises(CommandFailed, match=f"fails in {named}: it ended with exit code 4: no luck"):
        place.compare("base", "quick", line)
    assert place.untouched() == before


def test_what_a_user_can_mend_is_said_before_anything_is_measured(place: Place) -> None:
    with pytest.raises(AutoloopError, match="'nowhere' names no commit"):
        place.compare("base", "nowhere", "true")
    with pytest.raises(AutoloopError, match="5 pairs can show nothing"):
        place.compare("base", "base", "true", options=CompareOptions(rule=TwoSided(max_pairs=5)))
    assert place.type("compare", "base", "base", "--measure", "cup", "--", "true").exit_code == 2
    without = place.type("compare", "base", "base").exception
    assert isinstance(without, AutoloopError) and "`-- COMMAND`" in without.hint


def test_trees_that_differ_by_themselves_are_said(place: Place) -> None:
    line = "case $PWD in */a) echo METRIC ms=10;; *) echo METRIC ms=11;; esac"
    assert "depends on the directory" in place.compare("base", "base", line).warnings[0]


def test_an_interrupt_ends_it_at_once_and_cleans_up(place: Place) -> None:
    before = place.untouched()
    words = [sys.executable, "-m", "autoloop", "-C", str(place.root), "compare", "base", "base"]
    package = str(Path(__file__).resolve().parent.parent.parent)
    process = subprocess.Popen(
        [*words, "--", 'echo $$ > "$HOME/alive"; exec sleep 60'],
        env={**os.environ, "PYTHONPATH": package},
        stderr=subprocess.PIPE,
        text=True,
    )
    alive, until = Path.home() / "alive", time.monotonic() + 60
    while not (alive.exists() and alive.read_text().strip()) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.startswith("autoloop: interrupted")) == (130, True), said
    assert not Path(f"/proc/{alive.read_text().strip()}").exists()
    assert place.untouched() == before


def test_an_audit_tells_real_commits_from_noise(place: Place) -> None:
    commits = [place.commit(speed, "feature") for speed in (800, 801, 700)]
    before = place.untouched()
    words = ("audit", "base..feature", "--measure", "output", "--seed", "3", "--json", "--", NOISE)
    done = place.type(*words)
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert [entry["commit"] for entry in facts["commits"]] == commits
    assert [(entry["verdict"], entry["confirmed"]) for entry in facts["commits"]] == [
        ("better", True), ("noise", False), ("better", True),
    ]  # fmt: skip
    assert (facts["commits"][0]["subject"], facts["whole"]["verdict"]) == ("speed 800", "better")
    assert facts["whole"]["gain"] == pytest.approx(0.3, abs=0.03)
    assert facts["sum_of_gains"] == pytest.approx(0.3, abs=0.03)
    assert place.untouched() == before


def test_a_commit_that_fails_does_not_end_an_audit(place: Place) -> None:
    for speed in (800, 666, 1200):
        place.commit(speed, "feature")
    line = f"{PLAIN}; [ $x != 666 ]"
    done = place.type("audit", "base..feature", "--measure", "output", "-v", "--", line)
    assert done.exit_code == 1, done.output
    assert [row.split()[1].strip(",") for row in done.stdout.splitlines()[1:4]] == ["better", "failed", "failed"]
    assert "As a whole feature is 20.0 % worse than base" in done.stdout


def test_an_audit_needs_a_branch(place: Place) -> None:
    for span, said in [("base", "not a range"), ("base...HEAD", "not a range"), ("base..base", "has no commit")]:
        with pytest.raises(AutoloopError, match=said):
            api.audit(place.root, span, ["true"], OUTPUT, signals=Signals(), on_progress=lambda sign: None)
