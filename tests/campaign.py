"""A campaign with one experiment of each kind, and all that a run of it leaves behind: for kills and faults."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from autoloop.core.run.results import COLUMNS
from autoloop.runs.directory import RunDirectory
from tests.real_git import commit_all, git, write
from tests.real_run import Checkout

RULES: Mapping[str, Mapping[str, object]] = {
    "median": {"rule": "median", "repeats": 2},
    "paired": {"rule": "paired", "calibration_pairs": 3, "max_pairs": 4},
}
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
    lasting = ("sampled", "captured", "decided", "baselined", "continued", "verified")
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


def a_campaign(folder: Path, rule: str, **fields: object) -> Campaign:
    checkout = Checkout(folder / "checkout", folder / "cache")
    write(checkout.root, {"code.py": CODE, "lib/old.py": "old\n", ".gitignore": "*.log\n"})
    settings = {"max_experiments": 12, "editable": ["code.py", "lib/**", "*.log"], **RULES[rule]}
    checkout.configure(**settings, measure_env=["SAMPLES"], **fields)
    checkout.script("measure.sh", MEASURE)
    checkout.script("build.sh", BUILD)
    checkout.agent(AGENT)
    commit_all(checkout.root)
    write(checkout.root, {"lib/old.py": "edited, not committed\n", "mine.txt": "untracked\n"})
    return Campaign(checkout, folder / "samples")
