"""Two revisions and one command: better, worse or noise.

- `compare`: `compare`, and `audit` for every commit of a branch
- `arena`: the two trees, and pairs measured in them
- `stopwatch`: one execution of the command
"""
