"""Whether a container is ready to be worked in, by the check that its task names."""

import time

from autoloop.containers.engine import Engine
from autoloop.core.suite.task import Healthcheck


def unhealthy(engine: Engine, name: str, check: Healthcheck) -> str:
    """Ask until the check succeeds; what it said when it did not, after all tries."""
    began, failed = time.monotonic(), 0
    while True:
        done = engine.run("exec", name, "sh", "-c", check.command, deadline=check.timeout)
        if done.ok:
            return ""
        early = time.monotonic() - began < check.start_period
        failed += not early
        if failed >= check.retries:
            return (done.stderr.strip() or done.stdout.strip() or f"exit code {done.exit_code}")[-300:]
        time.sleep(check.start_interval if early else check.interval)
