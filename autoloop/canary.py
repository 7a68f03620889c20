"""The canary: a tree without its editable files must fail to measure, or measure differently.

Where it does not, the measurement looks at something else, most often the user's own checkout
through an editable install, and every candidate would measure the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoloop.core.measurement import MeasurementFailure, Sample
from autoloop.core.program import Program
from autoloop.core.reasons import Reason
from autoloop.errors import AutoloopError

_SAMPLES = 4
"""Of each tree. Two sets of 4 of the same thing lie wholly apart in 3 % of cases."""

Measure = Callable[[Callable[[str], bool] | None], Sample | MeasurementFailure]
"""Takes one sample of the starting tree without the files for which the function is true."""


@dataclass(frozen=True)
class Link:
    """Something in an environment that leads back to the user's checkout."""

    path: Path
    target: str

    def __str__(self) -> str:
        return f"{self.path} leads to {self.target}"


def check_canary(program: Program, measure: Measure, scripts: str, links: list[Link], root: Path) -> None:
    """Refuse a measurement that does not depend on the editable files.

    `scripts` is the text of the program's scripts. Where an environment links to the checkout, a
    second tree keeps the files that the scripts name, so that a missing entry point cannot pass for
    a missing dependency.
    """

    def removed(path: str) -> bool:
        return program.scope.is_editable(path)

    if not _depends_on(removed, measure, program):
        raise AutoloopError(
            "the measurement does not depend on the editable files: without them it gives the same result",
            _likely_cause(scripts, links, root),
        )
    named = [link for link in links if link.target]
    if named and not _depends_on(lambda path: removed(path) and path not in scripts, measure, program):
        raise AutoloopError(
            "the measurement looks at your checkout, not at the tree it is run in", _likely_cause(scripts, links, root)
        )


def _depends_on(removed: Callable[[str], bool], measure: Measure, program: Program) -> bool:
    without: list[float] = []
    for _ in range(_SAMPLES):
        result = measure(removed)
        if isinstance(result, MeasurementFailure):
            _unless_interrupted(result)
            return True
        without.append(result.metrics[program.criteria.metric_field])
    whole = [_metric(measure(None), program) for _ in range(_SAMPLES)]
    return _apart(without, whole)


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
                if str(root) in pointer.read_text(errors="replace"):
                    yield Link(pointer, str(root))
    for entry in (*place.glob("*"), *place.glob("@*/*")):
        target = entry.resolve() if entry.is_symlink() else None
        if target and target.is_relative_to(root) and not target.is_relative_to(place):
            yield Link(entry, str(target))
