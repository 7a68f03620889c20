"""Running commands, and leaving none of their processes behind.

- `command`: a deadline, bounded output, and the end of all that it started
- `reaper`: nothing that a command starts outlives it; the only place that starts processes
- `proctable`: what the system says of its processes
- `environment`: search paths without what is relative
"""

from autoloop.process.command import Finished, run
from autoloop.process.environment import absolute_paths, executable
from autoloop.process.reaper import RUN, start, start_detached, sweep_run

__all__ = ["RUN", "Finished", "absolute_paths", "executable", "run", "start", "start_detached", "sweep_run"]
