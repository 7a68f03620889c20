"""One try at a task: the workspace of a trial, the agent's session, the verifier, what stays."""
