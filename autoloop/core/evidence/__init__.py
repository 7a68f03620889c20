"""Is a change better, or is it noise? The statistics of every judgement, of runs and of suites.

- `paired`: the sequential test over gains of pairs
- `betting`: its e-process
- `noise`: scales and spread of samples
- `power`: what the test can resolve
- `comparison`: the test asked in both directions
- `trials`: pass rates, their intervals, and evidence from trials
- `trial_power`: what a suite can resolve

Loads lazily: importing it loads no numpy, so that `status` stays quick; a name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoloop.core.evidence.betting import PairedRule, Shared, Traces, traces
    from autoloop.core.evidence.noise import NoisePool, Scale
    from autoloop.core.evidence.paired import (
        Judgement,
        Verdict,
        confirmed,
        judge,
        judge_cases,
        rules_out,
        to_continue,
    )
    from autoloop.core.evidence.power import Outcomes, outcomes, resolvable

_HOMES = {
    "betting": "PairedRule Shared Traces traces",
    "noise": "NoisePool Scale",
    "paired": "Judgement Verdict confirmed judge judge_cases rules_out to_continue",
    "power": "Outcomes outcomes resolvable",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Judgement",
    "NoisePool",
    "Outcomes",
    "PairedRule",
    "Scale",
    "Shared",
    "Traces",
    "Verdict",
    "confirmed",
    "judge",
    "judge_cases",
    "outcomes",
    "resolvable",
    "rules_out",
    "to_continue",
    "traces",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
