"""The user's repository, and the git directory and trees that a run owns."""
