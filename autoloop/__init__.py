"""autoloop: leave it overnight on a git repository with one number to move.

The functions of `autoloop.api` and the types of `autoloop.core`, loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoloop.api import (
        RunOptions,
        audit,
        bench_events,
        benches,
        clean,
        compare,
        detach,
        events,
        follow,
        guide,
        holdings,
        ideas,
        init,
        limit,
        look,
        packet,
        results,
        resume,
        run,
        show,
        status,
        stop,
        validate,
        verify,
    )
    from autoloop.arena import CompareOptions
    from autoloop.core.candidate import Candidate, Change
    from autoloop.core.evidence import Judgement, NoisePool, PairedRule, judge, judge_cases
    from autoloop.core.keeping import CleanOptions
    from autoloop.core.measurement import Measurement, MeasurementFailure, Sample
    from autoloop.core.program import Criteria, Direction, Limits, Program, Rule, Scope
    from autoloop.core.reasons import Reason, Status, StopReason
    from autoloop.core.results import Row
    from autoloop.core.run import RunState
    from autoloop.core.session import Session, SessionFailure
    from autoloop.core.verdict import Decision, Verification
    from autoloop.errors import AutoloopError
    from autoloop.ports import Agent, Progress, Task
    from autoloop.steering import Signals

_HOMES = {
    "api": "RunOptions audit bench_events benches clean compare detach events follow guide holdings ideas init "
    "limit look packet results resume run show status stop validate verify",
    "core.candidate": "Candidate Change",
    "core.evidence": "Judgement NoisePool PairedRule judge judge_cases",
    "core.keeping": "CleanOptions",
    "core.measurement": "Measurement MeasurementFailure Sample",
    "core.program": "Criteria Direction Limits Program Rule Scope",
    "core.reasons": "Reason Status StopReason",
    "core.results": "Row",
    "core.run": "RunState",
    "core.session": "Session SessionFailure",
    "core.verdict": "Decision Verification",
    "errors": "AutoloopError",
    "ports": "Agent Progress Task",
    "arena": "CompareOptions",
    "steering": "Signals",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'autoloop' has no attribute {name!r}")
    return getattr(import_module(f"autoloop.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
