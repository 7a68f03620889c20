"""The trees of a run, and the git that it owns: see `git_trees` for what they promise."""

from autoloop.trees.git_trees import GitTrees, TreeOptions
from autoloop.trees.homes import occupied

__all__ = ["GitTrees", "TreeOptions", "occupied"]
