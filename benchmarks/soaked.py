"""The process that is soaked: a run that stands still after each experiment until whoever watches has looked.

One line of JSON on standard output is an experiment that is over, one line on standard input lets it go on.
"""

import json
import resource
import sys
import time
from pathlib import Path

from autoloop import api
from autoloop.core.run.results import Row
from autoloop.core.run.summary import Summary
from autoloop.host.signals import Signals


def main() -> None:
    began, waited = time.perf_counter(), 0.0

    def tell(rows: list[Row], summary: Summary) -> None:
        nonlocal waited
        for row in rows:
            stopped = time.perf_counter()
            own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
            told = {
                "experiment": row.experiment,
                "reason": row.reason,
                "commit": bool(row.commit),
                "wall": stopped - began - waited,
                "loop": own.ru_utime + own.ru_stime,
                "commands": others.ru_utime + others.ru_stime,
            }
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
            sys.stdin.readline()
            waited += time.perf_counter() - stopped

    root, options = Path(sys.argv[1]), api.RunOptions(seed=7)
    api.run(root, "soak", options, signals=Signals(), on_progress=lambda sign: None, on_news=tell)


if __name__ == "__main__":
    main()
