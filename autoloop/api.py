"""The whole product as functions, each defined where it works: one table, loaded name by name.

The edges parse, call one of these, and render what comes back. `status` must not pay for the loop, so nothing is
imported before it is asked for; type checkers and editors read the block under `TYPE_CHECKING`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoloop.activity.find import bench_events as bench_events
    from autoloop.activity.find import follow as follow
    from autoloop.activity.overview import Overview as Overview
    from autoloop.activity.overview import benches as benches
    from autoloop.activity.overview import look as look
    from autoloop.agents.probe import agents_at_hand as agents_at_hand
    from autoloop.cleanup.remove import clean as clean
    from autoloop.cleanup.survey import holdings as holdings
    from autoloop.comparison.compare import audit as audit
    from autoloop.comparison.compare import compare as compare
    from autoloop.config.init import init as init
    from autoloop.demo.demo import demo as demo
    from autoloop.git.root import root_of as root_of
    from autoloop.report.read import Reported as Reported
    from autoloop.report.read import ReportOptions as ReportOptions
    from autoloop.report.read import report as report
    from autoloop.runs.check_agent import Checked as Checked
    from autoloop.runs.check_agent import check_agent as check_agent
    from autoloop.runs.control import guide as guide
    from autoloop.runs.control import limit as limit
    from autoloop.runs.control import stop as stop
    from autoloop.runs.create import RunOptions as RunOptions
    from autoloop.runs.find import status as status
    from autoloop.runs.look import Shown as Shown
    from autoloop.runs.look import events as events
    from autoloop.runs.look import ideas as ideas
    from autoloop.runs.look import packet as packet
    from autoloop.runs.look import results as results
    from autoloop.runs.look import show as show
    from autoloop.runs.resume import resume as resume
    from autoloop.runs.start import detach as detach
    from autoloop.runs.start import run as run
    from autoloop.runs.validate import validate as validate
    from autoloop.runs.verify import verify as verify
    from autoloop.suites.contrast import contrast_results as contrast_results
    from autoloop.suites.start import SAMPLE_DIR as SAMPLE_DIR
    from autoloop.suites.start import BenchOptions as BenchOptions
    from autoloop.suites.start import BenchOutcome as BenchOutcome
    from autoloop.suites.start import Followed as Followed
    from autoloop.suites.start import SuiteCheck as SuiteCheck
    from autoloop.suites.start import bench as bench
    from autoloop.suites.start import check_suite as check_suite
    from autoloop.suites.start import container_engine as container_engine
    from autoloop.suites.start import failing_tasks as failing_tasks
    from autoloop.suites.start import regrade as regrade
    from autoloop.suites.start import resume_bench as resume_bench
    from autoloop.suites.start import root_or_here as root_or_here
    from autoloop.suites.start import suite_of as suite_of

_HOMES = {
    "activity.find": "bench_events follow",
    "activity.overview": "Overview benches look",
    "agents.probe": "agents_at_hand",
    "cleanup.remove": "clean",
    "cleanup.survey": "holdings",
    "comparison.compare": "audit compare",
    "config.init": "init",
    "demo.demo": "demo",
    "git.root": "root_of",
    "report.read": "ReportOptions Reported report",
    "runs.check_agent": "Checked check_agent",
    "runs.control": "guide limit stop",
    "runs.find": "status",
    "runs.look": "Shown events ideas packet results show",
    "runs.resume": "resume",
    "runs.create": "RunOptions",
    "runs.start": "detach run",
    "runs.validate": "validate",
    "runs.verify": "verify",
    "suites.contrast": "contrast_results",
    "suites.start": "SAMPLE_DIR BenchOptions BenchOutcome Followed SuiteCheck bench check_suite container_engine "
    "failing_tasks regrade resume_bench root_or_here suite_of",
}
HOME = {name: home for home, names in _HOMES.items() for name in names.split()}
"""The module, below the package, that defines each name."""

__all__ = list(HOME)


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"autoloop.{HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(HOME)
