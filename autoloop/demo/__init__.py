"""`autoloop demo`: a complete campaign on a shipped example."""
