"""A run as values: its program, events and state, and every judgement about it."""
