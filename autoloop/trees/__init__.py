"""The trees of a run, and the git that it owns: see `git_trees` for what they promise."""

from autoloop.trees.git_trees import GitTrees
from autoloop.trees.homes import occupied
from autoloop.trees.options import TreeOptions

__all__ = ["GitTrees", "TreeOptions", "occupied"]
