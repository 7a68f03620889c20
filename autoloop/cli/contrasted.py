"""Two results of a bench against each other, told."""

from autoloop.cli.render import say, say_json
from autoloop.core.suite.contrast import Contrast

_SHOWN = 20
"""Tasks that are named."""


def show_contrast(found: Contrast, *, as_json: bool) -> None:
    """Print the verdict, and the tasks that it rests on."""
    if as_json:
        say_json({**found.model_dump(mode="json"), "sentence": found.sentence()})
        return
    say(found.sentence())
    for flip in found.flips[:_SHOWN]:
        more = f"{found.b_name} had more in {flip.for_b} of {flip.pairs} pairs, {found.a_name} in {flip.for_a}"
        say(f"  {flip.task}: {more}")
    if len(found.flips) > _SHOWN:
        say(f"  and {len(found.flips) - _SHOWN} more tasks that differ")
