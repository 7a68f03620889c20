"""One try at a task: the workspace of a trial, the agent's session, the verifier, what stays.

- `attempt`: setup, then a session and the verifier for each step
- `workspace`: the directory, and paths elsewhere that a task asks for
- `copy_files`: files of the suite, put where they are looked for
- `commands`: setup, verifier and solution as lines of bash
- `sessions`: the agent on one step
- `verify`: the verifier run and its reward read
- `match`: a regular expression against files; run by its path
- `result`: the result of a trial, and what of it is kept
- `records`: what was said, and the trajectory
"""
