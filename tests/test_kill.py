"""SIGKILL at every event and at random instants: what is left after the resume is what an undisturbed run leaves."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from autoloop.core.results import COLUMNS
from autoloop.stores.directory import RunDirectory
from autoloop.stores.runs import all_runs
from tests.real_git import commit_all, git, write
from tests.real_run import Checkout, move_in

AGENT = """\
lower() { sed -i "1s/.*/x = $1/" code.py; }
case $n in
1) lower 90 ;;
2) echo "# nothing" >> code.py ;;
3) lower 120 ;;
4) rm programs/p/measure.sh; lower 1 ;;
5) echo "beside the point" > README; lower 1 ;;
6) : ;;
7) echo "no idea" >&2; exit 3 ;;
8) lower boom ;;
9) lower 80; echo "new" > lib/new.py; echo "scratch" > note.log ;;
10) sed -i 2,3d code.py ;;
11) git checkout -q -b mine; lower 75; git commit -qam one; lower 70; git commit -qam two; git reset -q --hard ;;
12) sleep 600 & echo "left" >> lib/new.py; lower 200; exit 1 ;;
esac
printf '<notes>{"hypothesis": "idea %s", "avoid": ["a%s"], "next": ["b%s"]}</notes>' $n $n $n
"""
REASONS = [
    "improved", "within_noise", "regressed", "lock_violation", "out_of_scope", "no_candidate", "agent_failed",
    "measurement_failed", "improved", "simplified", "improved", "regressed",
]  # fmt: skip
BUILD = "cp code.py built\n"
MEASURE = """\
echo "${AUTOLOOP_SAMPLE_DIR##*/}" >> "$SAMPLES"
read -r _ _ x < built
case $x in *[!0-9]*) echo "not a number: $x" >&2; exit 3 ;; esac
echo "{\\"ms\\": $x}"
"""
CODE = "x = 100\na = 1\nb = 2\nc = 3\n"


@dataclass
class Campaign:
    """Twelve experiments, carried on by processes that die."""

    checkout: Checkout
    samples: Path
    """Every execution of measure.sh, by the name of its sample directory."""

    def carry_on(self, mode: str, every: int = 0, *, kills: int = 0, seed: int = 0) -> int:
        """Live and die until the run is over; how many times it died."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.dying", str(self.checkout.root), mode, str(every), str(kills), str(seed)],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, "SAMPLES": str(self.samples)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def executions(self) -> Counter[str]:
        return Counter(self.samples.read_text().split())


@dataclass(frozen=True)
class Left:
    """All that a run leaves behind, without times, costs and the run's name."""

    rows: list[dict[str, object]]
    table: list[list[str]]
    pins: dict[str, tuple[str, str, str]]
    """Tree, message and parent's tree of each candidate and of the head."""
    branch: list[str]
    """Messages of the branch's commits."""
    events: list[str]
    ideas: str
    patches: dict[str, str]


def left_by(checkout: Checkout) -> Left:
    directory = checkout.directory
    names = {commit: git(checkout.root, "rev-parse", f"{commit}^{{tree}}") for commit in checkout.refs().values()}
    rows = [row.model_copy(update={"seconds": None, "commit": names.get(row.commit, "")}) for row in checkout.rows]
    pins = {ref.rpartition("/")[2]: about(checkout, commit) for ref, commit in checkout.refs().items()}
    head = pins.pop(directory.run_id)
    assert head == pins["head"], "the branch is the head"
    lasting = ("sampled", "captured", "decided", "baselined")
    events = [event.kind for event in checkout.events if event.kind in lasting]
    return Left(
        rows=[row.model_dump() for row in rows],
        table=[timeless(line, names) for line in (directory.path / "results.tsv").read_text().splitlines()],
        pins=pins,
        branch=git(checkout.root, "log", "--format=%B", f"autoloop/p/{directory.run_id}").splitlines(),
        events=events,
        ideas=(directory.path / "ideas.md").read_text(),
        patches={path.parent.name: path.read_text() for path in directory.path.glob("experiments/*/diff.patch")},
    )


def about(checkout: Checkout, commit: str) -> tuple[str, str, str]:
    tree, _, message = git(checkout.root, "log", "-1", "--format=%T%n%B", commit).partition("\n")
    has_parent = git(checkout.root, "log", "-1", "--format=%P", commit)
    return tree, message, git(checkout.root, "rev-parse", f"{commit}^^{{tree}}") if has_parent else ""


def timeless(line: str, names: dict[str, str]) -> list[str]:
    cells = dict(zip(COLUMNS, line.split("\t"), strict=True))
    return [names.get(cell, cell) for column, cell in cells.items() if column not in ("seconds", "cost_usd")]


def alive(run: RunDirectory) -> list[int]:
    """Processes that carry the run's id; zombies have no environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AUTOLOOP_RUN") == run.run_id:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def a_campaign(folder: Path, **fields: object) -> Campaign:
    checkout = Checkout(folder / "checkout", folder / "cache")
    write(checkout.root, {"code.py": CODE, "lib/old.py": "old\n", ".gitignore": "*.log\n"})
    settings = {"max_experiments": 12, "repeats": 2, "editable": ["code.py", "lib/**", "*.log"]}
    checkout.configure(**settings, measure_env=["SAMPLES"], **fields)
    checkout.script("measure.sh", MEASURE)
    checkout.script("build.sh", BUILD)
    checkout.agent(AGENT)
    commit_all(checkout.root)
    write(checkout.root, {"lib/old.py": "edited, not committed\n", "mine.txt": "untracked\n"})
    return Campaign(checkout, folder / "samples")


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return a_campaign(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Left, Counter[str]]]:
    """What a run leaves that nobody kills."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        move_in(folder, patch)
        campaign = a_campaign(folder)
        assert campaign.carry_on("never") == 0
        yield left_by(campaign.checkout), campaign.executions()


def check(campaign: Campaign, before: dict[str, object], killed: int, undisturbed: tuple[Left, Counter[str]]) -> None:
    """Nothing is lost, nothing is there twice, nothing was touched, nothing is left running."""
    expected, executions = undisturbed
    checkout = campaign.checkout
    assert len(all_runs(checkout.root)) == 1
    assert left_by(checkout) == expected
    again = campaign.executions() - executions
    assert executions - campaign.executions() == Counter()
    assert again.total() <= killed, f"samples already taken were taken again: {again}"
    assert checkout.snapshot() == before
    assert alive(checkout.directory) == []
    assert checkout.status()["experiments"] == 12


def test_the_campaign_has_one_of_each_kind(undisturbed: tuple[Left, Counter[str]]) -> None:
    left, executions = undisturbed
    assert [row["reason"] for row in left.rows[1:]] == REASONS
    assert set(left.pins) == {"start", "head", *map(str, (1, 2, 3, 4, 5, 8, 9, 10, 11, 12))}
    assert executions["9-candidate-0-measure.sh"] == 1


def die_at_events(campaign: Campaign, undisturbed: tuple[Left, Counter[str]], mode: str, every: int) -> None:
    before = campaign.checkout.snapshot()
    killed = campaign.carry_on(mode, every)
    assert killed >= 5
    check(campaign, before, killed, undisturbed)


@pytest.mark.parametrize(("mode", "every"), [("unseen", 2), ("before", 8), ("torn", 11), ("after", 11)])
def test_a_run_killed_around_an_event_ends_as_if_nothing_had_happened(
    campaign: Campaign, undisturbed: tuple[Left, Counter[str]], mode: str, every: int
) -> None:
    die_at_events(campaign, undisturbed, mode, every)


@pytest.mark.faults
@pytest.mark.parametrize(("mode", "every"), [("before", 3), ("torn", 3), ("after", 2), ("homeless", 4)])
def test_a_run_killed_around_every_event_ends_as_if_nothing_had_happened(
    campaign: Campaign, undisturbed: tuple[Left, Counter[str]], mode: str, every: int
) -> None:
    die_at_events(campaign, undisturbed, mode, every)


def test_trees_deleted_between_processes_are_rebuilt(
    campaign: Campaign, undisturbed: tuple[Left, Counter[str]]
) -> None:
    die_at_events(campaign, undisturbed, "homeless", 7)


def some_kills(campaign: Campaign, undisturbed: tuple[Left, Counter[str]], seed: int) -> None:
    before = campaign.checkout.snapshot()
    killed = campaign.carry_on("random", kills=5, seed=seed)
    assert killed == 5
    check(campaign, before, killed, undisturbed)


@pytest.mark.parametrize("seed", range(4))
def test_a_run_killed_at_any_instant_ends_as_if_nothing_had_happened(
    campaign: Campaign, undisturbed: tuple[Left, Counter[str]], seed: int
) -> None:
    some_kills(campaign, undisturbed, seed)


def test_a_run_judged_by_pairs_survives_kills_as_well(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path_factory.mktemp("pairs") for _ in range(2)]
    campaigns = []
    for folder, mode in zip(folders, ("never", "unseen"), strict=True):
        move_in(folder, monkeypatch)
        campaigns.append(a_campaign(folder, rule="paired", calibration_pairs=3, max_pairs=4))
        before = campaigns[-1].checkout.snapshot()
        killed = campaigns[-1].carry_on(mode, 9)
    assert killed > 10
    check(campaigns[1], before, killed, (left_by(campaigns[0].checkout), campaigns[0].executions()))


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(100, 140))
def test_two_hundred_kills_at_any_instant_change_nothing(
    campaign: Campaign, undisturbed: tuple[Left, Counter[str]], seed: int
) -> None:
    some_kills(campaign, undisturbed, seed)
