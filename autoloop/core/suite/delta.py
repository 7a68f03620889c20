"""What changed from one iteration to the next: the content of `delta.json`.

A task that flips is named; whether the iterations differ is for their contrast to say. One flip never does.
"""

from autoloop.core.comparison import Difference
from autoloop.core.model import Frozen
from autoloop.core.suite.contrast import ALPHA, Contrast, contrast
from autoloop.core.suite.pairing import Results


class Delta(Frozen):
    """What became of each task. A task passes when more than half of its trials that count do."""

    fixed: tuple[str, ...]
    """Tasks that pass now and did not."""
    broken: tuple[str, ...]
    """Tasks that passed and do not now."""
    unchanged: tuple[str, ...]
    not_compared: tuple[str, ...]
    """Tasks with trials of one of them alone that count."""
    verdict: Difference
    """Of the iteration as a whole."""
    sentence: str
    contrast: Contrast


def delta(
    previous: Results, current: Results, *, names: tuple[str, str] = ("before", "now"), alpha: float = ALPHA
) -> Delta:
    """What the current iteration is against the previous one."""
    before, now = _passing(previous), _passing(current)
    common = sorted(before.keys() & now.keys())
    seen = contrast(previous, current, names=names, alpha=alpha)
    return Delta(
        fixed=tuple(task for task in common if now[task] and not before[task]),
        broken=tuple(task for task in common if before[task] and not now[task]),
        unchanged=tuple(task for task in common if before[task] == now[task]),
        not_compared=tuple(sorted(before.keys() ^ now.keys())),
        verdict=seen.verdict,
        sentence=seen.sentence(),
        contrast=seen,
    )


def _passing(results: Results) -> dict[str, bool]:
    passes: dict[str, list[bool]] = {}
    for key, result in results.items():
        if result.outcome.counts:
            passes.setdefault(key.task, []).append(result.passed)
    return {task: 2 * sum(passed) > len(passed) for task, passed in passes.items()}
