"""Two revisions and one command, no program: is one better than the other, worse, or noise?

Each revision stands in a tree of its own, in paths of equal length, in the user's cache directory; nothing is left
there, and the checkout is never touched. The command stands for itself: there is no seal and no sandbox.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from autoloop import process
from autoloop.arena import Arena, Compared, CompareOptions, Revision
from autoloop.creation import cache_directory
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress
from autoloop.preparation import require_room
from autoloop.repository import Repository, resolve
from autoloop.stopwatch import Measure, Stopwatch
from autoloop.trees import GitTrees, TreeOptions, occupied


def compare(
    repository: Repository,
    a: str,
    b: str,
    command: tuple[str, ...],
    options: CompareOptions,
    *,
    environ: Mapping[str, str],
    on_progress: OnProgress,
    cancelled: Callable[[], bool],
) -> Compared:
    """Is B better than A?"""
    first, second = (Revision(name, resolve(repository, name)) for name in (a, b))
    with arena(repository, first, command, options, environ, on_progress, cancelled) as place:
        known = place.learn(first)
        compared = place.compare(1, first, second, known)
    return replace(compared, warnings=(*place.warnings, *known.warnings))


@contextmanager
def arena(
    repository: Repository,
    start: Revision,
    command: tuple[str, ...],
    options: CompareOptions,
    environ: Mapping[str, str],
    on_progress: OnProgress,
    cancelled: Callable[[], bool],
) -> Iterator[Arena]:
    """Trees to compare revisions in. They are gone afterwards, with what runs in them and the refs that hold them."""
    _refuse(options)
    name = f"compare-{secrets.token_hex(4)}"
    home = cache_directory(environ) / name
    trees = GitTrees(repository, home, name, f"autoloop/{name}", TreeOptions(share_paths=options.share))
    stopwatch = Stopwatch(
        command, options.measure, options.metric, options.timeout, environ, options.env, name, cancelled
    )
    with occupied(home, repository.root):
        try:
            opening = trees.open(start.commit)
            require_room(opening.bytes_needed, home)
            seed = secrets.randbits(31) if options.seed is None else options.seed
            yield Arena(trees, stopwatch, options, seed, on_progress, opening.warnings)
        finally:
            process.sweep_run(name)
            trees.forget(pins=True)


def _refuse(options: CompareOptions) -> None:
    rule = options.rule
    if not 0 < rule.alpha < 0.5:
        raise AutoloopError(f"--alpha is {rule.alpha:g}; allowed: a number above 0 and below 0.5")
    if not 0 <= rule.threshold < 1:
        raise AutoloopError(f"--threshold is {rule.threshold:g}; allowed: a fraction from 0 to below 1")
    if rule.max_pairs < rule.fewest_pairs:
        raise AutoloopError(
            f"{rule.max_pairs} pairs can show nothing at an alpha of {rule.alpha:g}",
            f"Allow --max-pairs {rule.fewest_pairs} or more, or a larger --alpha.",
        )
    if options.metric is not None and options.measure is not Measure.OUTPUT:
        raise AutoloopError("--metric names a metric that the command prints", "Add --measure output.")
