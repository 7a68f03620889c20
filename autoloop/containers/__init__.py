"""Containers of tasks, by Docker's command line."""

from autoloop.containers.engine import Engine, Found, find_engine, swept
from autoloop.containers.staging import Contained, contained

__all__ = ["Contained", "Engine", "Found", "contained", "find_engine", "swept"]
