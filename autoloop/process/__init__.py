"""Running commands, and leaving none of their processes behind."""

from autoloop.process.command import Finished, run
from autoloop.process.reaper import start_detached, sweep_run

__all__ = ["Finished", "run", "start_detached", "sweep_run"]
