"""The sampler: real trees, real scripts, and what may go wrong between them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from autoloop.config.programs import load_program
from autoloop.core.run.measurement import Arm, MeasurementFailure, Sample
from autoloop.core.run.reasons import Reason
from autoloop.git.git_trees import GitTrees
from autoloop.git.repository import find
from autoloop.measure.sampler import SlotSampler
from autoloop.measure.seal import SealedProgram, seal
from autoloop.ports import Progress, Request
from autoloop.runs.confine import tree_options
from tests.real_git import commit_all, git, write
from tests.real_run import READ, Checkout

KEY = "1-candidate-0"
"""The name of every sample."""


class Sampling:
    """A sampler on a checkout's program, made when it is first used."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.log = checkout.root.parent / "log"
        self.cancelled: Callable[[], bool] = lambda: False
        self.environ = {**os.environ, "SECRET": "s3cret", "WANTED": "yes", "LC_NUMERIC": "C", "LOG": str(self.log)}
        self.seen: list[Progress] = []
        checkout.configure(measure_env=["WANTED", "LOG"])

    def open(self) -> SlotSampler:
        """As at the start of a process."""
        root = self.checkout.root
        repository = find(root)
        program = load_program(root, self.checkout.program)
        self.trees = GitTrees(repository, self.checkout.cache / "r", "r", "autoloop/p/r", tree_options(program, "none"))
        self.trees.open(repository.head)
        self.sealed = self.checkout.cache / "sealed"
        sealed = SealedProgram(self.sealed, seal(self.checkout.program, self.sealed))
        scratch = self.checkout.cache / "scratch"
        self.sampler = SlotSampler(program, self.trees, sealed, scratch, "r", self.environ, self.cancelled)
        return self.sampler

    def commit(self, x: object, **files: str) -> str:
        """A commit with this x, which nobody has checked out."""
        write(self.checkout.root, {"code.py": f"x = {x}\n", **files})
        commit = commit_all(self.checkout.root)
        git(self.checkout.root, "checkout", "--quiet", "--detach", "HEAD^")
        return commit

    def sample(self, commit: str, *, base: str | None = None, seed: int = 1) -> Sample | MeasurementFailure:
        """One sample: of the baseline, or of a candidate beside it."""
        arm = Arm.BASELINE if base is None else Arm.CANDIDATE
        request = Request(commit, base or commit, arm, "measure.sh", seed, KEY)
        return self.sampler.sample(request, self.seen.append)

    def ms(self, commit: str, **options: object) -> float:
        """The metric of a sample that must come out well."""
        result = self.sample(commit, **options)  # type: ignore[arg-type]
        assert isinstance(result, Sample), result
        return result.metrics["ms"]

    def failure(self, commit: str, **options: object) -> MeasurementFailure:
        """Why there was no sample."""
        result = self.sample(commit, **options)  # type: ignore[arg-type]
        assert isinstance(result, MeasurementFailure), result
        return result

    def logged(self) -> list[str]:
        """What the scripts wrote to $LOG."""
        return self.log.read_text().splitlines()


@pytest.fixture
def sampler(checkout: Checkout) -> Sampling:
    return Sampling(checkout)


def head(sampler: Sampling) -> str:
    return git(sampler.checkout.root, "rev-parse", "HEAD")


# Slots


def test_the_baseline_stays_built_while_candidates_come_and_go(sampler: Sampling) -> None:
    sampler.checkout.script("build.sh", 'echo "build $(<code.py)" >> "$LOG"; cp code.py built\n')
    sampler.checkout.script("measure.sh", "read -r _ _ x < built; echo METRIC ms=$x\n")
    sampler.open()
    base = head(sampler)
    good, bad = sampler.commit(90), sampler.commit(120)
    assert [sampler.ms(base), sampler.ms(good, base=base), sampler.ms(base), sampler.ms(bad, base=base)] == [
        100,
        90,
        100,
        120,
    ]
    assert sampler.ms(good, base=base) == 90
    assert sampler.ms(good) == 90, "a kept candidate is where it was measured"
    assert sampler.ms(bad, base=good) == 120
    assert sampler.ms(good) == 90
    assert sampler.logged() == ["build x = 100", "build x = 90", "build x = 120", "build x = 90", "build x = 120"]


def test_what_one_sample_leaves_in_the_tree_is_gone_for_the_next_commit(sampler: Sampling) -> None:
    sampler.checkout.measure("[ -e left ] && x=1; touch left; echo METRIC ms=$x")
    sampler.open()
    base = head(sampler)
    assert [sampler.ms(sampler.commit(90), base=base), sampler.ms(sampler.commit(80), base=base)] == [90, 80]


def test_a_build_that_failed_is_tried_again(sampler: Sampling) -> None:
    sampler.checkout.script("build.sh", 'echo build >> "$LOG"; [ $(wc -l < "$LOG") != 1 ]\n')
    sampler.open()
    base = head(sampler)
    assert sampler.failure(base).reason is Reason.BUILD_FAILED
    assert sampler.ms(base) == 100


def test_checks_come_before_the_build_and_the_build_before_the_measurement(sampler: Sampling) -> None:
    for name in ("checks", "build", "measure"):
        sampler.checkout.script(f"{name}.sh", f'echo {name} >> "$LOG"; echo METRIC ms=1\n')
    sampler.open()
    sampler.ms(head(sampler))
    assert sampler.logged() == ["checks", "build", "measure"]


# Warm-up and scratch


def test_one_sample_of_each_slot_is_thrown_away(sampler: Sampling) -> None:
    sampler.checkout.script("measure.sh", 'echo . >> "$LOG"; echo METRIC ms=$(wc -l < "$LOG")\n')
    sampler.checkout.configure(measure_env=["LOG"], warmup=1)
    sampler.open()
    base = head(sampler)
    assert [sampler.ms(base), sampler.ms(base), sampler.ms(sampler.commit(90), base=base)] == [2, 3, 5]


def test_a_warm_up_that_fails_fails_the_sample(sampler: Sampling) -> None:
    sampler.checkout.script("measure.sh", 'echo . >> "$LOG"; [ $(wc -l < "$LOG") != 1 ] && echo METRIC ms=1\n')
    sampler.checkout.configure(measure_env=["LOG"], warmup=1)
    sampler.open()
    assert sampler.failure(head(sampler)).reason is Reason.MEASUREMENT_FAILED


def test_a_sample_cut_off_by_a_kill_finds_what_it_had_finished(sampler: Sampling) -> None:
    """Also after the warm-up that its slot needs first."""
    sampler.checkout.script("measure.sh", 'cd "$AUTOLOOP_SAMPLE_DIR"; echo found $(ls) >> "$LOG"; echo METRIC ms=1\n')
    sampler.checkout.configure(measure_env=["LOG"], warmup=1)
    sampler.open()
    write(sampler.sampler.scratch, {f"{KEY}/half": "finished half\n"})
    sampler.ms(head(sampler))
    assert sampler.logged() == ["found", "found half"]
    assert list(sampler.sampler.scratch.iterdir()) == [], "it goes with the sample"


# What a measurement sees


def test_a_measurement_sees_what_is_allowed_and_nothing_else(sampler: Sampling) -> None:
    sampler.checkout.measure(
        'env > "$LOG"; pwd >> "$LOG"; ls -d "$AUTOLOOP_SAMPLE_DIR"', "echo METRIC ms=$AUTOLOOP_SEED"
    )
    sampler.open()
    assert sampler.ms(head(sampler), seed=77) == 77
    seen = dict(line.split("=", 1) for line in sampler.logged() if "=" in line)
    tree = str(sampler.trees.path("a"))
    assert "SECRET" not in seen and seen["WANTED"] == "yes" and seen["LC_NUMERIC"] == "C"
    assert (seen["AUTOLOOP_TREE"], seen["AUTOLOOP_RUN"]) == (tree, "r") and tree in sampler.logged()
    assert seen["AUTOLOOP_PROGRAM_DIR"] == str(sampler.sealed)


def test_scripts_run_from_the_sealed_copy(sampler: Sampling) -> None:
    sampler.open()
    base = head(sampler)
    sampler.checkout.script("measure.sh", "echo METRIC ms=0\n")
    assert sampler.ms(base) == 100
    assert sampler.ms(sampler.commit(90), base=base) == 90, "nor does the candidate's own measure.sh count"


def test_diagnostics_are_kept_short_and_consumed(sampler: Sampling) -> None:
    sampler.checkout.measure(
        'yes slow | head -c 100000 > "$AUTOLOOP_DIAGNOSTICS"',
        '[ $x = 90 ] && rm "$AUTOLOOP_DIAGNOSTICS"',
        "echo METRIC ms=1",
    )
    sampler.open()
    base = head(sampler)
    first, second = sampler.sample(base), sampler.sample(sampler.commit(90), base=base)
    assert first.diagnostics.startswith("slow") and 7_000 < len(first.diagnostics) <= 8_000
    assert second.diagnostics == ""


def test_a_failure_has_diagnostics_too(sampler: Sampling) -> None:
    sampler.checkout.script("measure.sh", 'echo "case 7 broke" > "$AUTOLOOP_DIAGNOSTICS"; exit 1\n')
    sampler.open()
    assert sampler.failure(head(sampler)).diagnostics == "case 7 broke"


# The seal


@pytest.mark.parametrize("script", ["measure.sh", "build.sh", "checks.sh"])
def test_a_sealed_file_changed_while_measuring_is_a_lock_violation(sampler: Sampling, script: str) -> None:
    tamper = '[ $x = 90 ] && echo "echo METRIC ms=0" >> "$AUTOLOOP_PROGRAM_DIR/measure.sh"\n'
    sampler.checkout.script(script, f"{READ}\n{tamper}echo METRIC ms=$x\n")
    sampler.open()
    base = head(sampler)
    assert sampler.ms(base) == 100
    failure = sampler.failure(sampler.commit(90), base=base)
    assert (failure.reason, failure.detail) == (Reason.LOCK_VIOLATION, "sealed measure.sh")
    assert sampler.failure(base).reason is Reason.LOCK_VIOLATION, "nothing is measured with a broken seal"


def test_a_protected_file_changed_by_the_build_is_a_lock_violation(sampler: Sampling) -> None:
    write(sampler.checkout.root, {"golden/a.txt": "expected\n"})
    commit_all(sampler.checkout.root)
    sampler.checkout.configure(protected=["golden/**"])
    sampler.checkout.script("build.sh", f"{READ}\nif [ $x = 90 ]; then echo easier > golden/a.txt; fi\n")
    sampler.open()
    base = head(sampler)
    assert sampler.ms(base) == 100
    failure = sampler.failure(sampler.commit(90), base=base)
    assert (failure.reason, failure.detail) == (Reason.LOCK_VIOLATION, "golden/a.txt")
    assert sampler.ms(sampler.commit(80), base=base) == 80, "the next candidate finds the tree as it should be"


def test_bytecode_planted_beside_the_scripts_is_never_used(sampler: Sampling) -> None:
    sampler.checkout.measure(
        'ls -A "$AUTOLOOP_PROGRAM_DIR" >> "$LOG"',
        'mkdir -p "$AUTOLOOP_PROGRAM_DIR/__pycache__"',
        "echo METRIC ms=1",
    )
    sampler.open()
    base = head(sampler)
    sampler.ms(base), sampler.ms(base)
    assert "__pycache__" not in sampler.logged()


# Measurements that do not come out well


@pytest.mark.parametrize(("script", "detail"), [
    ("echo first >&2; echo 'no such table' >&2; exit 3", "measure.sh ended with exit code 3: no such table"),
    ("echo 'only this'; exit 1", "measure.sh ended with exit code 1: only this"),
    ("exit 1", "measure.sh ended with exit code 1 without a word"),
    ("kill -9 $$", "measure.sh was killed by SIGKILL, as the system does when memory runs out without a word"),
    ("sleep 600", "measure.sh took longer than 3 s and was ended"),
    ("true", "measure.sh: `ms` is missing from the output, which has no metric at all"),
    ("echo METRIC ms=1,234.5", "measure.sh: `ms` is '1,234.5', not a finite number"),
    ("yes METRIC other=1", "measure.sh printed more metric lines than can be read"),
    ("yes METRIC other=1 | head -n 200000; echo METRIC ms=1", "measure.sh printed more metric lines than can be read"),
])  # fmt: skip
def test_a_measurement_that_fails_says_how_in_one_line(sampler: Sampling, script: str, detail: str) -> None:
    sampler.checkout.configure(measurement_timeout=30_000 if script.startswith("yes") and "head" in script else 3000)
    sampler.checkout.script("measure.sh", f"{script}\n")
    sampler.open()
    failure = sampler.failure(head(sampler))
    if script == "yes METRIC other=1":
        assert failure.reason is Reason.MEASUREMENT_FAILED
        return
    assert (failure.reason, failure.detail) == (Reason.MEASUREMENT_FAILED, detail)


def test_a_sample_alone_has_a_tree_that_nothing_ran_in_before(sampler: Sampling) -> None:
    commit = sampler.commit(80, **{".gitignore": "cache\n"})
    sampler.checkout.configure(cache_paths=["cache"], measure_env=["LOG"], warmup=1)
    log = 'echo "$(cat cache/seen 2>/dev/null)$AUTOLOOP_SEED" >> "$LOG"'
    sampler.checkout.measure(log, "mkdir -p cache; printf x >> cache/seen", 'echo "{\\"ms\\": $x}"')
    sampler.checkout.script("build.sh", 'echo built >> "$LOG"\n')
    sampler.checkout.script("prepare.sh", 'echo prepared >> "$LOG"\n')
    sampler.open()
    for alone, seed in ((False, 1), (True, 2), (True, 3), (False, 4)):
        request = Request(commit, commit, Arm.BASELINE, "measure.sh", seed, f"{KEY}-{seed}", fresh=alone, alone=alone)
        assert isinstance(sampler.sampler.sample(request, sampler.seen.append), Sample)
    warmed_up, alone = ["built", "1", "x1"], ["prepared", "built", "2", "prepared", "built", "3"]
    assert sampler.logged()[:9] == [*warmed_up, *alone]
    assert sampler.logged()[9] == "built" and len(sampler.logged()) == 12, "then as usual, with a warm-up"


def test_metrics_among_much_other_output_are_found(sampler: Sampling) -> None:
    noise = "yes 'nonsense { METRIC a=1' | head -c 20000000; echo"
    sampler.checkout.measure("echo METRIC ms=3", noise, "echo '{\"kb\": 4}'")
    sampler.open()
    result = sampler.sample(head(sampler))
    assert isinstance(result, Sample) and result.metrics == {"ms": 3, "kb": 4}


def test_a_background_child_neither_outlives_a_sample_nor_holds_it_up(sampler: Sampling) -> None:
    sampler.checkout.script("measure.sh", 'setsid sleep 600 & echo $! > "$LOG"; echo METRIC ms=1\n')
    sampler.open()
    began = time.monotonic()
    assert sampler.ms(head(sampler)) == 1
    assert time.monotonic() - began < 30
    assert not psutil.pid_exists(int(sampler.logged()[0]))


def test_a_sample_that_is_cut_short_is_interrupted(sampler: Sampling) -> None:
    sampler.checkout.script("measure.sh", 'cd "$AUTOLOOP_SAMPLE_DIR"; touch half "$LOG"; sleep 600\n')
    sampler.cancelled = lambda: sampler.log.exists()
    sampler.open()
    assert sampler.failure(head(sampler)).reason is Reason.INTERRUPTED
    assert (sampler.sampler.scratch / KEY / "half").exists(), "a resume may take the sample again"


def test_whatever_carries_the_runs_id_goes_when_the_sampler_closes(sampler: Sampling) -> None:
    sampler.open()
    left = psutil.Popen(["sleep", "600"], env={"PATH": os.defpath, "AUTOLOOP_RUN": "r"})
    other = psutil.Popen(["sleep", "600"], env={"PATH": os.defpath, "AUTOLOOP_RUN": "another"})
    try:
        sampler.sampler.close()
        assert left.wait(10) == -9
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_sample_in_the_checkout_removes_nothing_there(sampler: Sampling) -> None:
    write(sampler.checkout.root, {".autoauto-diagnostics": "mine\n"})
    sampler.open()
    result = sampler.sampler.sample_in(sampler.checkout.root, key="checkout")
    assert isinstance(result, Sample) and result.metrics["ms"] == 100
    assert Path(sampler.checkout.root / ".autoauto-diagnostics").read_text() == "mine\n"
