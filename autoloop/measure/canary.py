"""The canary: a tree without its editable files must fail to measure, or measure differently.

Where it does not, the measurement looks at something else, most often the user's own checkout
through an editable install, and every candidate would measure the same.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from autoloop.core.run.measurement import MeasurementFailure, Sample
from autoloop.core.run.program import Program
from autoloop.core.run.reasons import Reason
from autoloop.errors import AutoloopError
from autoloop.git.git_trees import GitTrees

_SAMPLES = 4
"""Samples of each tree. Two sets of 4 of the same thing lie wholly apart in 3 % of cases."""

Chosen = Callable[[str], bool]
"""Whether a file of the starting tree is to go, by its path."""
Measure = Callable[[Chosen | None], Sample | MeasurementFailure]
"""Takes one sample of the starting tree without the files for which the function is true."""


@dataclass(frozen=True)
class Link:
    """A link in an environment that leads back to the user's checkout."""

    path: Path
    target: str

    def __str__(self) -> str:
        return f"{self.path} leads to {self.target}"


@dataclass(frozen=True)
class Emptied:
    """Chooses files that lose their contents only: where one is missing, the same file elsewhere may stand in."""

    chosen: Chosen

    def __call__(self, path: str) -> bool:
        """Whether this file is to be emptied."""
        return self.chosen(path)


def spoiler(trees: GitTrees) -> Callable[[str, Chosen], int]:
    """Deletes the chosen files of a placed tree, or empties them; their number."""

    def spoil(slot: str, chosen: Chosen) -> int:
        found: set[str] = set()

        def noted(path: str) -> bool:
            if chosen(path):
                found.add(path)
            return path in found

        count = trees.strip(slot, noted)
        if not found and not isinstance(chosen, Emptied):
            raise AutoloopError(
                "`editable` matches no file that git tracks", "Its globs count from the repository's root."
            )
        for path in found if isinstance(chosen, Emptied) else ():
            file = trees.path(slot) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return count

    return spoil


def check_canary(program: Program, measure: Measure, scripts: str, links: list[Link], root: Path) -> None:
    """Refuse a measurement that does not depend on the editable files.

    `scripts` is the text of the program's scripts. Where an environment links to the checkout, the tree
    keeps the files that the scripts name, so that a missing entry point cannot pass for a missing
    dependency. When the result is the same, a second tree keeps the linked files, but empty: with
    `PYTHONPATH=src` Python looks into the tree first, and takes the linked package only where it has none.
    """
    comparison = _Comparison(program, measure)
    shared = program.scope.share_paths
    targets = [os.path.relpath(link.target, root) for link in links]

    def editable(path: str) -> bool:
        # What is shared is the user's own: deleting it in the tree would delete it there.
        return program.scope.is_editable(path) and not any(_is_below(path, share) for share in shared)

    def nameless(path: str) -> bool:
        return editable(path) and path not in scripts

    def linked(path: str) -> bool:
        return nameless(path) and any(_is_below(path, target) for target in targets)

    if not links and not comparison.differs(editable):
        raise AutoloopError(
            "the measurement does not depend on the editable files: without them it gives the same result",
            _likely_cause(scripts, links, root),
        )
    if links and not comparison.differs(nameless) and not comparison.differs(Emptied(linked)):
        raise AutoloopError(
            "the measurement seems to look at your checkout, not at the tree it is run in:"
            " without the editable files it gives the same result",
            _likely_cause(scripts, links, root),
        )


def _is_below(path: str, place: str) -> bool:
    return place == "." or f"{path}/".startswith(f"{place}/")


@dataclass
class _Comparison:
    """A tree that lacks something against the whole one, which is measured once."""

    program: Program
    measure: Measure

    def differs(self, chosen: Chosen) -> bool:
        """Whether the measurement fails, or gives something else, without the chosen files."""
        without: list[float] = []
        for _ in range(_SAMPLES):
            result = self.measure(chosen)
            if isinstance(result, MeasurementFailure):
                _unless_interrupted(result)
                return True
            without.append(result.metrics[self.program.criteria.metric_field])
        return _apart(without, self._whole)

    @cached_property
    def _whole(self) -> list[float]:
        return [_metric(self.measure(None), self.program) for _ in range(_SAMPLES)]


def _metric(result: Sample | MeasurementFailure, program: Program) -> float:
    if isinstance(result, MeasurementFailure):
        _unless_interrupted(result)
        raise AutoloopError(f"the code as it is cannot be measured: {result.detail}", "Try it: `autoloop validate`.")
    return result.metrics[program.criteria.metric_field]


def _unless_interrupted(failure: MeasurementFailure) -> None:
    if failure.reason is Reason.INTERRUPTED:
        raise KeyboardInterrupt


def _apart(left: list[float], right: list[float]) -> bool:
    """Whether two sets of values lie apart by more than either is wide."""
    gap = max(min(left) - max(right), min(right) - max(left))
    return gap > max(max(left) - min(left), max(right) - min(right), 0.0)


def _likely_cause(scripts: str, links: list[Link], root: Path) -> str:
    off = "If that is as it should be, set `canary = false`."
    if str(root) in scripts:
        return f"A script of the program names {root}: use paths relative to its working directory. {off}"
    if links and "node_modules" in links[0].path.parts:
        return (
            f"Likely cause: {links[0]}. Install them in each tree (`npm ci` in prepare.sh, with node_modules in "
            f"`cache_paths`) instead of sharing them. {off}"
        )
    if links:
        return (
            f"Likely cause: {links[0]}. Let the tree's own files come first (`PYTHONPATH=src` in measure.sh), or build "
            f"an environment of each tree's own in prepare.sh (with its directory in `cache_paths`). {off}"
        )
    return f"Check what measure.sh runs, and that `editable` names the code that it measures. {off}"


def linked_environments(root: Path, share_paths: Iterable[str], environ: Mapping[str, str]) -> list[Link]:
    """Editable installs and workspace links, in environments that a measurement may use."""
    active = [Path(environ["VIRTUAL_ENV"])] if environ.get("VIRTUAL_ENV") else []
    places = {*active, *(root / path for path in (*share_paths, ".venv", "venv", "node_modules"))}
    return [link for place in sorted(places) if place.is_dir() for link in _links_in(place, root)]


def _links_in(place: Path, root: Path) -> Iterator[Link]:
    for packages in (place, *place.glob("lib*/python*/site-packages")):
        for pointer in (*packages.glob("*.pth"), *packages.glob("__editable__*.py"), *packages.glob("*.egg-link")):
            with suppress(OSError):
                for target in _paths_below(root, pointer.read_text(errors="replace")):
                    if not Path(target).is_relative_to(place):
                        yield Link(pointer, target)
    for entry in sorted((*place.glob("*"), *place.glob("@*/*"))):
        real = entry.resolve() if entry.is_symlink() else None
        if real and real.is_relative_to(root) and not real.is_relative_to(place):
            yield Link(entry, str(real))


def _paths_below(root: Path, text: str) -> list[str]:
    """The paths in a text that lead to the checkout or into it."""
    found = re.findall(rf"{re.escape(str(root))}(?![^/'\"\s])[^'\"\n\r]*", text)
    return list(dict.fromkeys(path.rstrip("/ ") for path in found))
