"""Running commands, and leaving none of their processes behind."""

from autoloop.process.command import Finished, run
from autoloop.process.environment import absolute_paths, executable
from autoloop.process.reaper import RUN, start_detached, sweep_run

__all__ = ["RUN", "Finished", "absolute_paths", "executable", "run", "start_detached", "sweep_run"]
