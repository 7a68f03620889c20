"""The whole product as functions. The edges parse, call one of these, and render what comes back.

Heavy parts are imported by the function that needs them: `status` must not pay for the loop.
"""

from autoloop.api.agents import Checked, agents_at_hand, check_agent
from autoloop.api.contrasting import contrast_results
from autoloop.api.judging import audit, compare, verify
from autoloop.api.keeping import clean, holdings
from autoloop.api.looking import Found, Shown, benches, events, ideas, look, packet, results, root_of, show, status
from autoloop.api.reporting import Reported, ReportOptions, report
from autoloop.api.running import RunOptions, demo, detach, init, resume, run, validate
from autoloop.api.steering import guide, limit, stop
from autoloop.api.suites import (
    SAMPLE_DIR,
    BenchOptions,
    BenchOutcome,
    Followed,
    SuiteCheck,
    bench,
    check_suite,
    container_engine,
    failing_tasks,
    regrade,
    resume_bench,
    root_or_here,
    suite_of,
)
from autoloop.api.watching import bench_events, follow

__all__ = [
    "SAMPLE_DIR",
    "BenchOptions",
    "BenchOutcome",
    "Checked",
    "Followed",
    "Found",
    "ReportOptions",
    "Reported",
    "RunOptions",
    "Shown",
    "SuiteCheck",
    "agents_at_hand",
    "audit",
    "bench",
    "bench_events",
    "benches",
    "check_agent",
    "check_suite",
    "clean",
    "compare",
    "container_engine",
    "contrast_results",
    "demo",
    "detach",
    "events",
    "failing_tasks",
    "follow",
    "guide",
    "holdings",
    "ideas",
    "init",
    "limit",
    "look",
    "packet",
    "regrade",
    "report",
    "results",
    "resume",
    "resume_bench",
    "root_of",
    "root_or_here",
    "run",
    "show",
    "status",
    "stop",
    "suite_of",
    "validate",
    "verify",
]
