"""autoloop: leave it overnight on a git repository with one number to move.

The functions of `autoloop.api` and the types of `autoloop.core`, loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoloop.api import RunOptions as RunOptions
    from autoloop.api import audit as audit
    from autoloop.api import bench_events as bench_events
    from autoloop.api import benches as benches
    from autoloop.api import clean as clean
    from autoloop.api import compare as compare
    from autoloop.api import detach as detach
    from autoloop.api import events as events
    from autoloop.api import follow as follow
    from autoloop.api import guide as guide
    from autoloop.api import holdings as holdings
    from autoloop.api import ideas as ideas
    from autoloop.api import init as init
    from autoloop.api import limit as limit
    from autoloop.api import look as look
    from autoloop.api import packet as packet
    from autoloop.api import results as results
    from autoloop.api import resume as resume
    from autoloop.api import run as run
    from autoloop.api import show as show
    from autoloop.api import status as status
    from autoloop.api import stop as stop
    from autoloop.api import validate as validate
    from autoloop.api import verify as verify
    from autoloop.comparison.arena import CompareOptions as CompareOptions
    from autoloop.core.evidence import Judgement as Judgement
    from autoloop.core.evidence import NoisePool as NoisePool
    from autoloop.core.evidence import PairedRule as PairedRule
    from autoloop.core.evidence import judge as judge
    from autoloop.core.evidence import judge_cases as judge_cases
    from autoloop.core.holdings import CleanOptions as CleanOptions
    from autoloop.core.run.candidate import Candidate as Candidate
    from autoloop.core.run.candidate import Change as Change
    from autoloop.core.run.measurement import Measurement as Measurement
    from autoloop.core.run.measurement import MeasurementFailure as MeasurementFailure
    from autoloop.core.run.measurement import Sample as Sample
    from autoloop.core.run.program import Criteria as Criteria
    from autoloop.core.run.program import Direction as Direction
    from autoloop.core.run.program import Limits as Limits
    from autoloop.core.run.program import Program as Program
    from autoloop.core.run.program import Rule as Rule
    from autoloop.core.run.program import Scope as Scope
    from autoloop.core.run.reasons import Reason as Reason
    from autoloop.core.run.reasons import Status as Status
    from autoloop.core.run.reasons import StopReason as StopReason
    from autoloop.core.run.results import Row as Row
    from autoloop.core.run.state import RunState as RunState
    from autoloop.core.run.verdict import Decision as Decision
    from autoloop.core.run.verdict import Verification as Verification
    from autoloop.core.session import Session as Session
    from autoloop.core.session import SessionFailure as SessionFailure
    from autoloop.errors import AutoloopError as AutoloopError
    from autoloop.host.signals import Signals as Signals
    from autoloop.ports import Agent as Agent
    from autoloop.ports import Progress as Progress
    from autoloop.ports import Task as Task

_HOMES = {
    "api": "RunOptions audit bench_events benches clean compare detach events follow guide holdings ideas init "
    "limit look packet results resume run show status stop validate verify",
    "core.run.candidate": "Candidate Change",
    "core.evidence": "Judgement NoisePool PairedRule judge judge_cases",
    "core.holdings": "CleanOptions",
    "core.run.measurement": "Measurement MeasurementFailure Sample",
    "core.run.program": "Criteria Direction Limits Program Rule Scope",
    "core.run.reasons": "Reason Status StopReason",
    "core.run.results": "Row",
    "core.run.state": "RunState",
    "core.session": "Session SessionFailure",
    "core.run.verdict": "Decision Verification",
    "errors": "AutoloopError",
    "ports": "Agent Progress Task",
    "comparison.arena": "CompareOptions",
    "host.signals": "Signals",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'autoloop' has no attribute {name!r}")
    return getattr(import_module(f"autoloop.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
