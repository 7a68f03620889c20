"""The first place in which a measurement differs: the checkout, a tree of its own, the sandbox.

Where it is the sandbox, the same tree is measured in it with one permission more at a time. The permissions that it
takes are named with their fields.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from autoloop.core.run.measurement import MEASURE, Arm, Sample
from autoloop.core.text import listed
from autoloop.core.validation.bisect import advice, fewest, no_advice
from autoloop.errors import AutoloopError
from autoloop.git.git_trees import GitTrees
from autoloop.git.repository import untracked_places
from autoloop.measure.prepare import prepare_trees
from autoloop.measure.sampler import SlotSampler
from autoloop.ports import Progress, Request
from autoloop.runs.confine import places_of, tree_options, withheld
from autoloop.runs.context import RunContext
from autoloop.sandbox import permissions
from autoloop.sandbox.none import NoSandbox
from autoloop.sandbox.permissions import Permission, WiderSandbox

PATIENCE = 600.0
"""Seconds after which no further trial is begun."""
_TRIES = 10
_NOT_STARTED = "bwrap: "
"""The beginning of bubblewrap's own errors: a file of other people may have vanished, or be out of its reach."""
_FAR_APART = 0.2
"""The relative difference of the metric from which on it is reported."""

Result = Sample | str
"""A sample, or why there is none."""


@dataclass
class Differing:
    """Trials of the start commit, with the sandbox, without it, and with parts of it."""

    context: RunContext
    sampler: SlotSampler
    """The sampler of the validation, with the sandbox in force."""
    home: Path
    trials: int = 0

    def in_checkout(self) -> Sample | None:
        """One sample in the checkout. None when it cannot be measured there but may be in a tree that is built."""
        sampler, root = self.sampler, self.context.repository.root
        self.context.on_progress(Progress("validating", text="measuring in the checkout"))
        lean = sampler.sample_in(root, key="checkout")
        if isinstance(lean, Sample):
            return lean
        measuring = sampler.program.measuring.model_copy(update={"measure_env": tuple(self.context.environ)})
        wide = sampler.anew(program=sampler.program.model_copy(update={"measuring": measuring}))
        if isinstance(wide.sample_in(root, key="checkout"), Sample):
            raise AutoloopError(
                f"measure.sh works in the checkout with your whole environment, not with what it gets: {lean.detail}",
                "Name the variables that it needs in `measure_env`.",
            )
        if sampler.program.has("build.sh") or sampler.program.has("prepare.sh"):
            return None
        beyond = ' It had the loopback of services.sh and nothing else: `measure_network = "on"` has no bounds.'
        hint = f"Fix it there first.{beyond if sampler.loopback else ''}"
        raise AutoloopError(f"measure.sh fails in the checkout: {lean.detail}", hint)

    def prepare(self) -> None:
        """Run `prepare.sh` in each tree."""
        try:
            prepare_trees(self.sampler, self.context.repository.head, self.home, self.context.on_progress)
        except AutoloopError as error:
            raise self.why_it_fails(error.message) or error from None

    def first_failure(self, failure: str, works_in_checkout: bool) -> AutoloopError:
        """Why there is no sample in a tree."""
        if found := self.why_it_fails(failure):
            return found
        if not works_in_checkout:
            said = f"the code as it is cannot be measured: {failure}"
            return AutoloopError(said, "Run the scripts by hand in a fresh clone.")
        untracked = [name for name in untracked_places(self.context.repository) if name != ".autoloop"]
        lacking = f" Not in git here: {', '.join(untracked[:8])}." if untracked else ""
        remedy = "Commit what is missing, name it in `share_paths`, or make it in prepare.sh (kept by `cache_paths`)."
        said = f"measure.sh works in the checkout, and not in a tree made from HEAD: {failure}"
        return AutoloopError(said, remedy + lacking)

    def from_checkout(self, here: Sample | None, samples: Sequence[Sample]) -> list[str]:
        """How far the metric lies from the checkout's, and why, where that is worth a line."""
        name = self.sampler.program.criteria.metric_field
        there = median(sample.metrics[name] for sample in samples)
        if here is None or _near(here.metrics[name], there):
            return []
        said = f"{name} is {here.metrics[name]:.6g} in the checkout and {there:.6g} in a tree made from HEAD"
        return [self.why_it_differs(name, there) or said]

    def why_it_fails(self, failure: str) -> AutoloopError | None:
        """What keeps the code as it is from being measured in the sandbox; None when that is not the sandbox."""
        if self.sampler.sandbox.tier == "none":
            return None
        again = self._confined(())
        if isinstance(again, Sample):
            hint = "A candidate would be discarded for such a failure. Let the scripts try again, or fail for a reason."
            return AutoloopError(f"the same measurement fails and then works: {failure}", hint)
        if not isinstance(self._unconfined(), Sample):
            return None
        found = self._mending(lambda result: isinstance(result, Sample), failure)
        if found and not any(one.field for one in found):
            where = listed([one.value for one in found])
            said = f"a script of the program writes outside of its tree, to {where}: {failure}"
            return AutoloopError(said, self._advice(found))
        return AutoloopError(
            f"the code as it is can be measured without the sandbox, and not in it: {failure}",
            self._advice(found) if found else no_advice(failure),
        )

    def why_it_differs(self, metric: str, confined: float) -> str | None:
        """What makes the metric another one in the sandbox, in one sentence; None when that is not the sandbox."""
        if self.sampler.sandbox.tier == "none":
            return None
        result = self._unconfined()
        if isinstance(result, str):
            return None
        free = result.metrics[metric]
        if _near(free, confined):
            return None

        def is_free(result: Result) -> bool:
            return isinstance(result, Sample) and abs(result.metrics[metric] - free) < abs(free - confined) / 2

        found = [one for one in self._mending(is_free, "") if one.field]
        hint = f" {self._advice(found)}" if found else ""
        return f"{metric} is {free:.6g} without the sandbox and {confined:.6g} in it.{hint}"

    def _mending(self, mended: Callable[[Result], bool], failure: str) -> list[Permission]:
        """The fewest permissions that it takes; none when that is not it, or there was no time to find out."""

        def works(opened: Sequence[Permission]) -> bool:
            return mended(self._confined(tuple(opened)))

        end = time.monotonic() + PATIENCE
        *reading, writing = self._permissions()
        readable = [one for group in reading for one in group]
        named = [one for one in (*readable, *writing) if one.is_in(failure)]
        for group in (named, *reading, readable, writing, [*readable, *writing]):
            if group and time.monotonic() < end and works(group):
                return fewest(group, works, lambda: time.monotonic() > end)
        return []

    def _permissions(self) -> list[list[Permission]]:
        """The permissions to try by kind, the likeliest first; writing comes last."""
        repository, program = self.context.repository, self.sampler.program
        places, secret = places_of(self.context, program), withheld(self.context, program)
        private = (repository.root / program.directory, repository.root / ".autoloop", *secret)
        untracked = [
            name
            for name in untracked_places(repository)
            if not any(_overlap(repository.root / name, path) for path in private)
        ]
        apart = (self.context.cache, repository.common_dir / "objects", *secret)
        return [
            [permissions.network()] if program.measuring.measure_network == "off" else [],
            [] if program.measuring.measure_tracing else [permissions.tracing()],
            permissions.devices(),
            permissions.sockets(places),
            permissions.parts_of_checkout(places, untracked),
            *permissions.hidden_parts(places, apart),
            permissions.writable_parts(places, apart, self.sampler.sandbox.tier),
        ]

    def _confined(self, opened: tuple[Permission, ...]) -> Result:
        said = f", with {listed([one.value for one in opened])} let through" if opened else ""
        self.context.on_progress(Progress("validating", text=f"in the sandbox{said}"))
        for _ in range(_TRIES):
            sandbox = WiderSandbox(self.sampler.sandbox, opened) if opened else self.sampler.sandbox
            result = self._measured(self.sampler.anew(sandbox=sandbox))
            if isinstance(result, Sample) or _NOT_STARTED not in result:
                break
            before, opened = opened, tuple(one for one in opened if not one.is_in(result))
            if opened == before:
                break
        return result

    def _unconfined(self) -> Result:
        self.context.on_progress(Progress("validating", text="in a tree without the sandbox"))
        with self._open_trees() as trees:
            return self._measured(self.sampler.anew(sandbox=NoSandbox(), trees=trees))

    def _measured(self, sampler: SlotSampler) -> Result:
        """One sample, and all that comes before it anew: a trial must not find what another one made."""
        self.trials += 1
        head, key = self.context.repository.head, f"trial-{self.trials}"
        request = Request(head, head, Arm.BASELINE, MEASURE, seed=1, key=key, fresh=True)
        result = sampler.sample(request, self.context.on_progress)
        return result if isinstance(result, Sample) else result.detail

    @contextmanager
    def _open_trees(self) -> Iterator[GitTrees]:
        """Trees as there are without a sandbox: what is shared is linked, and they stand at their own paths."""
        home, name = self.home / "open", f"validate-{secrets.token_hex(4)}"
        trees = GitTrees(
            self.context.repository, home, name, f"autoloop/{name}", tree_options(self.sampler.program, "none")
        )
        try:
            trees.open(self.context.repository.head)
            yield trees
        finally:
            trees.forget(pins=True)

    def _advice(self, found: list[Permission]) -> str:
        return advice([(one.field, one.value) for one in found], self.sampler.program.has("services.sh"))


def _near(value: float, there: float) -> bool:
    return abs(value - there) <= _FAR_APART * (abs(there) or 1.0)


def _overlap(left: Path, right: Path) -> bool:
    return left.is_relative_to(right) or right.is_relative_to(left)
