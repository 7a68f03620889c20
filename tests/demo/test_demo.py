"""The demo as a whole, and the promises of the example that it runs."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from autoloop import api
from autoloop.agents.scripted import read_script
from autoloop.core.run.results import COLUMNS
from autoloop.demo import demo as demonstration
from autoloop.demo.example import BRANCH, EXAMPLE, LONGEST, MOST, DemoPart, DemoPlan, adapt, pace, set_up
from autoloop.errors import AutoloopError
from autoloop.host.signals import Signals
from tests.real_git import git

NOTHINGS = 2
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


@dataclass(frozen=True)
class Played:
    """A demo that was played, and what it said on the way."""

    outcome: demonstration.DemoOutcome
    said: tuple[str, ...]

    @property
    def edits(self) -> list[dict[str, Any]]:
        """What became of each edit."""
        found: Any = self.outcome.facts()["edits"]
        return list(found)

    def of(self, part: DemoPart) -> list[dict[str, Any]]:
        """What became of the edits of one part."""
        return [edit for edit in self.edits if edit["part"] == part]

    @property
    def journal(self) -> list[dict[str, Any]]:
        """The journal, as its lines are."""
        (file,) = self.outcome.root.glob(f".autoloop/runs/{EXAMPLE}/*/journal.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()]

    def values(self, experiment: int, index: int) -> dict[str, float]:
        """What both arms of one pair measured."""
        taken = (event["taken"] for event in self.journal if event.get("experiment") == experiment and "taken" in event)
        return {
            one["wanted"]["arm"]: one["result"]["metrics"]["cpu_ms"] for one in taken if one["wanted"]["index"] == index
        }


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A short demo of a person without a home, a git identity or settings."""
    folder, said = tmp_path_factory.mktemp("demo"), list[str]()
    hostile = {"AUTOLOOP_AGENT": "claude", "AUTOLOOP_DEFAULT_PROFILE": "none-such", "HOME": str(folder / "absent")}
    outcome = demonstration.demo(
        on_progress=lambda sign: None,
        on_line=said.append,
        signals=Signals(),
        environ={**PLAIN, **hostile, "AUTOLOOP_CACHE_DIR": str(folder / "cache")},
        directory=folder / "here",
        most=NOTHINGS,
    )
    return Played(outcome, tuple(said))


def test_every_act_is_told_in_its_order(demo: Played) -> None:
    numbers = [int(line[0]) for line in demo.said if re.match(r"\d\. ", line)]
    assert numbers == [1, 2, 3, 4, 5]
    assert [edit["part"] for edit in demo.edits] == ["nothing"] * NOTHINGS + ["gain", "cheat", "cheat", "killed"]
    assert demo.outcome.seconds < LONGEST and not demo.outcome.interrupted
    assert demo.outcome.status["stop_reason"] == "max_experiments"
    json.dumps(demo.outcome.facts())


def test_the_noise_is_that_of_one_commit_against_itself(demo: Played) -> None:
    noise: Any = demo.outcome.facts()["noise"]
    pairs = [demo.values(0, index) for index in range(noise["pairs"])]
    apart = [max(pair.values()) / min(pair.values()) - 1 for pair in pairs]
    assert noise["largest"] == pytest.approx(max(apart)) and noise["largest"] > 0
    assert 0 < noise["deviation"] < noise["largest"]
    assert f"two runs of the same code differ by up to {100 * max(apart):.1f} % here;" in "\n".join(demo.said)


def test_both_rules_judge_the_edits_that_do_nothing_from_the_same_samples(demo: Played) -> None:
    kept, claimed = [], 1.0
    for edit in demo.of(DemoPart.NOTHING):
        first = demo.values(edit["experiment"], 0)
        gain = 1 - first["candidate"] / first["baseline"]
        assert edit["keep_if_better"] == {"keep": gain > 0, "gain": pytest.approx(gain)}
        if gain > 0:
            kept, claimed = [*kept, edit], claimed * (1 - gain)
    found: Any = demo.outcome.facts()["nothing"]
    assert (found["edits"], found["would_keep"]) == (NOTHINGS, len(kept))
    assert found["would_claim"] == pytest.approx(1 - claimed)
    assert any(f"kept {len(kept)} of {NOTHINGS} edits that do nothing" in line for line in demo.said)
    assert found["kept"] == sum(edit["kept"] for edit in demo.of(DemoPart.NOTHING))


def test_a_gain_is_told_as_it_came(demo: Played) -> None:
    for edit in (*demo.of(DemoPart.GAIN), *demo.of(DemoPart.KILLED)):
        row = demo.outcome.rows[edit["experiment"]]
        assert edit["kept"] == (row.status == "keep") and row.gain == pytest.approx(edit["gain"])
        after = demo.said[next(i for i, line in enumerate(demo.said) if edit["edit"] in line) + 1]
        told = f"  kept: {100 * edit['gain']:+.1f} % (95 %: {100 * edit['low']:+.1f} % to"
        assert told in after if edit["kept"] else "not kept, as it came" in after


def test_an_agent_that_edits_the_measurement_is_caught_before_anything_is_measured(demo: Played) -> None:
    sealed, printed = demo.of(DemoPart.CHEAT)
    assert sealed["reason"] == "lock_violation" and not sealed["kept"]
    assert demo.outcome.rows[sealed["experiment"]].samples == 0
    assert "measurement files were changed: programs/word-index/measure.sh" in "\n".join(demo.said)
    assert "measurement_probed" in printed["flags"]
    assert (demo.outcome.rows[printed["experiment"]].metric or 0) > 5, "1 ms is what it printed"


def test_a_killed_run_loses_nothing_and_does_nothing_twice(demo: Played) -> None:
    kill = demo.outcome.kill
    assert kill is not None and kill.is_as_promised
    samples = [(event["experiment"], *event["taken"]["wanted"].values()) for event in demo.journal if "taken" in event]
    assert max(Counter(samples).values()) == 1
    kinds = [event["kind"] for event in demo.journal]
    first, second = (number for number, kind in enumerate(kinds) if kind == "run_resumed")
    before = kinds[:second]
    assert before.count("sampled") == kill.held.samples.total() and before.count("decided") == kill.held.experiments
    assert kinds[second - 1] == "sampled", "in the middle of an experiment"
    assert kinds[second + 1] == "sampled", "which goes on with its next sample"
    assert first == 1 and kinds[-1] == "run_stopped"
    assert [row.experiment for row in demo.outcome.rows] == list(range(len(demo.edits) + 1))


def test_its_results_are_well_formed(demo: Played) -> None:
    (file,) = demo.outcome.root.glob(f".autoloop/runs/{EXAMPLE}/*/results.tsv")
    header, *rows = [line.split("\t") for line in file.read_text().splitlines()]
    assert tuple(header) == COLUMNS
    assert len(rows) == len(demo.edits) + 1 and {len(row) for row in rows} == {len(COLUMNS)}
    status = COLUMNS.index("status")
    assert [row[status] for row in rows] == [row.status.value for row in demo.outcome.rows]


def test_it_says_where_to_look_and_every_line_can_be_typed(demo: Played) -> None:
    commands = [pointer.command for pointer in demo.outcome.where_to_look]
    assert all(command in "\n".join(demo.outcome.lines) for command in commands)
    assert demo.outcome.lines[-1].split()[:2] == ["autoloop", "init"]
    assert f"cd {demo.outcome.root}" in commands and "autoloop results" in commands
    typed = "\n".join(command for command in commands if command != "autoloop verify")
    done = subprocess.run(["bash", "-e"], input=typed, env=PLAIN, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "lock_violation" in done.stdout
    assert ("+STEM_CACHE = 4096" in done.stdout) == demo.of(DemoPart.GAIN)[0]["kept"]


def test_it_names_the_sandbox_in_force(demo: Played) -> None:
    tier = demo.outcome.status["sandbox"]
    assert any(line.startswith(f"Sandbox: {tier}") for line in demo.outcome.lines)


def test_the_checkout_of_the_demo_is_left_as_it_was(demo: Played) -> None:
    assert git(demo.outcome.root, "status", "--porcelain") == ""
    assert git(demo.outcome.root, "rev-parse", "--abbrev-ref", "HEAD") == BRANCH


def interrupted(folder: Path, at: str, *options: str) -> tuple[int, str, str]:
    """A demo as it is typed, with a Ctrl-C once it tells of an act; exit code, the lines so far, all that followed."""
    command = [sys.executable, "-m", "autoloop", "demo", str(folder / "here"), *options]
    env = {**PLAIN, "AUTOLOOP_CACHE_DIR": str(folder / "cache")}
    followed = "stderr" if options else "stdout"
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=env, cwd=Path(__file__).parent.parent.parent, **pipes) as process:
        lines = []
        for line in getattr(process, followed):
            lines.append(line)
            if line.startswith(at):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        return process.returncode, "".join(lines), out + err if followed == "stdout" else out


def test_a_demo_that_is_interrupted_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    code, before, after = interrupted(tmp_path, "2. ")
    assert code == 130
    assert "1. Noise" in before and "\x1b" not in before + after
    assert "3. " not in after and "the code as it was" in after
    assert re.search(r"^Interrupted after \d+ s", after, re.MULTILINE) and f"cd {tmp_path / 'here'}" in after
    status = api.status(tmp_path / "here")
    assert not status["alive"] and status["stop_reason"] == "aborted"


def test_a_demo_that_is_interrupted_at_once_has_no_results(tmp_path: Path) -> None:
    code, _, after = interrupted(tmp_path, "1. ", "--json")
    facts = json.loads(after)
    assert code == 130 and facts["interrupted"] and facts["rows"] == [] and facts["kill"] is None
    assert facts["repository"] == str(tmp_path / "here")


def test_an_example_that_cannot_be_measured_is_refused_with_its_last_words(project: Path) -> None:
    (project / "wordindex" / "words.py").unlink()
    with pytest.raises(AutoloopError, match=r"cannot be measured here: .*CalledProcessError"):
        pace(project, PLAIN)


def steps(root: Path) -> list[tuple[DemoPart, list[dict[str, str]]]]:
    """What every edit of the demo does."""
    parts = adapt(root, DemoPlan(MOST, 10))
    found = json.loads((root / ".autoloop" / "edits.json").read_text())["steps"]
    assert len(read_script(root / ".autoloop" / "edits.json", {}).steps) == len(parts)
    return [(part, step["actions"]) for part, step in zip(parts, found, strict=True)]


def edit(root: Path, actions: list[dict[str, str]]) -> None:
    for action in actions:
        path = root / action["path"]
        if action["do"] == "write":
            path.write_text(action["text"])
            continue
        assert path.read_text().count(action["old"]) >= 1, action["path"]
        path.write_text(path.read_text().replace(action["old"], action["new"]))


def instructions(root: Path) -> dict[str, list[bytes]]:
    """What the interpreter executes of each file, whatever its variables are called."""

    def of(code: CodeType) -> list[bytes]:
        return [code.co_code, *(part for inner in code.co_consts if isinstance(inner, CodeType) for part in of(inner))]

    return {path.name: of(compile(path.read_text(), path.name, "exec")) for path in root.glob("wordindex/*.py")}


def test_edits_that_do_nothing_leave_every_instruction_as_it_was(project: Path) -> None:
    before, text = instructions(project), {path: path.read_text() for path in project.glob("wordindex/*.py")}
    nothings = [actions for part, actions in steps(project) if part is DemoPart.NOTHING]
    assert len(nothings) == MOST
    for actions in nothings:
        edit(project, actions)
        changed = {path: path.read_text() for path in text}
        assert changed != text
        text = changed
    assert instructions(project) == before
    assert git(project, "diff", "--shortstat") != ""


def test_the_gains_of_the_demo_are_gains(project: Path) -> None:
    before = min(sample(project)["cpu_ms"] for _ in range(3))
    for part, actions in steps(project):
        if part in (DemoPart.GAIN, DemoPart.KILLED):
            edit(project, actions)
    shutil.rmtree(project / "wordindex" / "__pycache__")
    assert script(project, "checks.sh").returncode == 0
    assert min(sample(project)["cpu_ms"] for _ in range(4)) < 0.9 * before


def test_the_cheats_of_the_demo_would_work_where_nobody_looks(project: Path) -> None:
    (_, sealed), (_, printed) = ((part, actions) for part, actions in steps(project) if part is DemoPart.CHEAT)
    edit(project, printed)
    assert sample(project)["cpu_ms"] > 5, "what the program prints is not listened to"
    edit(project, sealed)
    assert sample(project)["cpu_ms"] == 1


def test_a_slow_machine_calibrates_in_less_time(project: Path) -> None:
    adapt(project, DemoPlan(4, 5))
    config = tomllib.loads((project / "programs" / EXAMPLE / "config.toml").read_text())
    assert config["calibration_pairs"] == 5
    assert git(project, "status", "--porcelain") == ""


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
