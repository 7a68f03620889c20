"""The whole product as functions. The edges parse, call one of these, and render what comes back.

Heavy parts are imported by the function that needs them: `status` must not pay for the loop.
"""

from autoloop.api.agents import Checked, agents_at_hand, check_agent
from autoloop.api.judging import audit, compare, verify
from autoloop.api.keeping import clean, holdings
from autoloop.api.looking import Found, Shown, events, ideas, look, packet, results, root_of, show, status
from autoloop.api.reporting import Reported, ReportOptions, report
from autoloop.api.running import RunOptions, demo, detach, init, resume, run, validate
from autoloop.api.steering import guide, limit, stop

__all__ = [
    "Checked",
    "Found",
    "ReportOptions",
    "Reported",
    "RunOptions",
    "Shown",
    "agents_at_hand",
    "audit",
    "check_agent",
    "clean",
    "compare",
    "demo",
    "detach",
    "events",
    "guide",
    "holdings",
    "ideas",
    "init",
    "limit",
    "look",
    "packet",
    "report",
    "results",
    "resume",
    "root_of",
    "run",
    "show",
    "status",
    "stop",
    "validate",
    "verify",
]
