"""The sampler: places a commit in a slot, prepares, checks, builds and warms it up, then measures.

The baseline stays built in one slot while candidates come and go in the other; after a keep the
slots swap roles by themselves, because a slot is asked for by its commit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from autoloop import process
from autoloop.core.run.measurement import HOLDOUT, MEASURE, Arm, MeasurementFailure, Sample, parse_output
from autoloop.core.run.program import Program
from autoloop.core.run.reasons import Reason
from autoloop.measure.cell import PREPARE, Confined
from autoloop.measure.scripts import WARM_UP, MetricsOutput, how_it_failed, leave_cases, read_diagnostics, remove
from autoloop.measure.seal import Protected, ProtectedFiles, SealedProgram
from autoloop.ports import OnProgress, Progress, Request, Sandbox, Trees
from autoloop.sandbox.none import NoSandbox

AUTOAUTO_DIAGNOSTICS = ".autoauto-diagnostics"
"""Where a program written for AutoAuto leaves its diagnostics, in the tree."""


@dataclass
class Slot:
    """One of the two trees in which commits are measured, and how far it is ready."""

    name: str
    commit: str = ""
    tree: Path = Path()
    protected: ProtectedFiles | None = None
    ready: bool = False
    warmed: set[str] = field(default_factory=set)
    """The scripts that have run in the tree."""
    fresh: bool = False
    """Whether the tree was made without caches."""
    held_out: bool = False
    """Whether `holdout.sh` ran in the tree, and may have left something of what only it can see."""


@dataclass
class SlotSampler:
    """Takes samples in two slots with the sealed scripts of a program."""

    program: Program
    trees: Trees
    sealed: SealedProgram
    scratch: Path
    """The directory of sample directories until their sample is taken."""
    run_id: str
    environ: Mapping[str, str]
    cancelled: Callable[[], bool] = lambda: False
    homes: Path = Path("/nonexistent")
    """The directory of private homes; without a sandbox there are none."""
    sandbox: Sandbox = field(default_factory=NoSandbox)
    holdout_paths: tuple[Path, ...] = ()
    """What only `holdout.sh` can see."""
    loopback: tuple[str, ...] = ()
    """What stands before a command that shares a loopback with the run's services."""
    slots: tuple[Slot, Slot] = field(default_factory=lambda: (Slot("a"), Slot("b")))
    base: Slot = field(init=False)
    """The slot that holds the baseline."""

    def __post_init__(self) -> None:
        self.base = self.slots[0]

    def sample(self, request: Request, on_progress: OnProgress) -> Sample | MeasurementFailure:
        """Make a slot ready for the commit and the script where that is still to do, then measure once."""
        slot = self.slot_for(request)
        slot.ready = slot.ready and not request.alone
        failure = None if slot.ready else self._make_ready(slot, request, on_progress)
        failure = failure or (None if request.alone else self._warm_up(slot, request))
        if failure is not None:
            slot.commit = ""
            return failure
        return self._measure(slot, request)

    def sample_without(
        self, commit: str, removed: Callable[[str], bool] | None, strip: Callable[[str, Callable[[str], bool]], int]
    ) -> Sample | MeasurementFailure:
        """One sample of a commit that lacks some files, for the canary; the slot is made anew afterwards."""
        slot = self.slots[1]
        slot.commit, slot.ready = "", False
        slot.tree = self.trees.place(slot.name, commit)
        self.scripts.empty_home(slot.name)
        if removed is not None:
            strip(slot.name, removed)
        slot.protected = None
        request = Request(commit=commit, keep="", arm=Arm.CANDIDATE, script=MEASURE, seed=0, key="canary")
        return self._run_script("build.sh", slot, Reason.BUILD_FAILED) or self._measure(slot, request)

    def sample_in(self, tree: Path, *, key: str) -> Sample | MeasurementFailure:
        """One sample in a directory that is no slot, such as the user's checkout."""
        request = Request(commit="", keep="", arm=Arm.CANDIDATE, script=MEASURE, seed=0, key=key)
        return self._measure(Slot("elsewhere", tree=tree), request)

    def anew(self, **changes: Any) -> "SlotSampler":
        """A sampler like this one but for some fields, that has not measured anything."""
        return replace(self, slots=(Slot("a"), Slot("b")), **changes)

    def share(self, loopback: tuple[str, ...]) -> None:
        """Let scripts share a loopback from now on, or no longer."""
        self.loopback = loopback
        self.__dict__.pop("scripts", None)

    def close(self) -> None:
        """Kill every process that the run left behind."""
        process.sweep_run(self.run_id)

    @cached_property
    def scripts(self) -> Confined:
        """The program's scripts, as they are run in their cells."""
        return Confined(
            self.program,
            self.sealed,
            self.run_id,
            self.environ,
            self.homes,
            self.holdout_paths,
            self.sandbox,
            self.loopback,
            self.cancelled,
        )

    def slot_for(self, request: Request) -> Slot:
        """The baseline's slot is the one that holds what must stay built; candidates go to the other one."""
        a, b = self.slots
        holding = [slot for slot in self.slots if slot.commit == request.keep]
        if self.base not in holding:
            self.base = holding[0] if holding else a
        slot = self.base if request.arm is Arm.BASELINE else (b if self.base is a else a)
        is_other = (slot.commit, slot.fresh) != (request.commit, request.fresh)
        if is_other or (slot.held_out and request.script != HOLDOUT):
            slot.ready = False
        return slot

    def _make_ready(self, slot: Slot, request: Request, on_progress: OnProgress) -> MeasurementFailure | None:
        if self.program.has("build.sh") or self.program.has("checks.sh"):
            on_progress(Progress("building"))
        slot.commit, slot.fresh, slot.held_out = request.commit, request.fresh, False
        slot.tree = self.trees.place(slot.name, request.commit, keep_caches=not request.fresh)
        self.scripts.empty_home(slot.name)
        slot.protected = ProtectedFiles(slot.tree, Protected(self.program.scope.protected))
        failure = self._run_script(PREPARE, slot, Reason.BUILD_FAILED) if request.fresh else None
        failure = failure or self._run_script("checks.sh", slot, Reason.CHECKS_FAILED)
        failure = failure or self._run_script("build.sh", slot, Reason.BUILD_FAILED)
        slot.ready = failure is None
        slot.warmed.clear()
        return failure

    def _warm_up(self, slot: Slot, request: Request) -> MeasurementFailure | None:
        """Take samples that are thrown away, before the first one of a script in a tree; how one failed, if it did."""
        if request.script in slot.warmed or request.script == HOLDOUT:
            return None
        for _ in range(self.program.measuring.warmup):
            # Not in the sample's own directory, which may hold what a killed process had finished of it.
            warm = self._measure(slot, replace(request, key=request.key + WARM_UP))
            if isinstance(warm, MeasurementFailure):
                return warm
        slot.warmed.add(request.script)
        return None

    def _run_script(self, script: str, slot: Slot, reason: Reason) -> MeasurementFailure | None:
        """Run an optional script in the slot; how it failed, if it did."""
        if not self.program.has(script):
            return None
        changed = self._violations(slot)
        if changed is not None:
            return changed
        limit = self.program.measuring.build_timeout
        done = self._run(script, slot, limit)
        if done.cancelled:
            return _interrupted(done.seconds)
        if not done.ok:
            return MeasurementFailure(reason=reason, detail=how_it_failed(script, done, limit), seconds=done.seconds)
        return self._violations(slot)

    def _measure(self, slot: Slot, request: Request) -> Sample | MeasurementFailure:
        changed = self._violations(slot)
        if changed is not None:
            return changed
        if request.script == HOLDOUT:
            slot.held_out = True
            self.trees.trust(slot.name, False)
        directory = self.scratch / request.key
        directory.mkdir(parents=True, exist_ok=True)
        leave_cases(directory, request.cases)
        output = MetricsOutput()
        extra = {"AUTOLOOP_SEED": str(request.seed)}
        beside = slot.tree / AUTOAUTO_DIAGNOSTICS
        if slot not in self.slots:
            # The user's checkout stays as it is: no file of theirs is removed, and none is left behind.
            extra["PYTHONPYCACHEPREFIX"] = str(self.scratch / "bytecode")
        left = [beside] if slot in self.slots or not beside.exists() else []
        limit = self.program.measuring.measurement_timeout
        done = self._run(request.script, slot, limit, extra, directory, output.feed)
        said = read_diagnostics(directory / "diagnostics", *left)
        if not done.cancelled:
            remove(directory)
        return self._violations(slot) or self._read(request.script, done, output, said, limit)

    def _read(
        self, script: str, done: process.Finished, output: MetricsOutput, diagnostics: str, limit: int
    ) -> Sample | MeasurementFailure:
        """The sample that the script printed, or why there is none."""
        if done.cancelled:
            return _interrupted(done.seconds)
        criteria = self.program.criteria
        if not done.ok:
            detail = how_it_failed(script, done, limit)
        elif output.overflowed:
            detail = f"{script} printed more metric lines than can be read"
        elif isinstance(parsed := parse_output(output.text(), criteria), Sample):
            return parsed.model_copy(update={"seconds": done.seconds, "diagnostics": diagnostics})
        else:
            detail = f"{script}: {parsed}"
        return MeasurementFailure(
            reason=Reason.MEASUREMENT_FAILED, detail=detail, seconds=done.seconds, diagnostics=diagnostics
        )

    def _violations(self, slot: Slot) -> MeasurementFailure | None:
        changed = (*self.sealed.violations(), *(slot.protected.violations() if slot.protected else ()))
        if not changed:
            return None
        return MeasurementFailure(reason=Reason.LOCK_VIOLATION, detail=", ".join(changed[:5]))

    def _run(
        self,
        script: str,
        slot: Slot,
        limit_ms: int,
        values: Mapping[str, str] | None = None,
        sample: Path | None = None,
        on_stdout: Callable[[bytes], object] | None = None,
    ) -> process.Finished:
        # The user's own checkout is measured as the user would.
        scripts = self.scripts if slot in self.slots else replace(self.scripts, sandbox=NoSandbox())
        return scripts.run(
            [script], slot.tree, slot.name, limit_ms=limit_ms, values=values, sample=sample, on_stdout=on_stdout
        )


def _interrupted(seconds: float) -> MeasurementFailure:
    return MeasurementFailure(reason=Reason.INTERRUPTED, detail="cut short by a person or a signal", seconds=seconds)
