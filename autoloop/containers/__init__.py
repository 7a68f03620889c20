"""Containers of tasks, by the command line of Docker or Podman."""

from autoloop.containers.engine import Engine, Found, find_engine, swept
from autoloop.containers.staging import Contained, contained

__all__ = ["Contained", "Engine", "Found", "contained", "find_engine", "swept"]
