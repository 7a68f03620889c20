"""Suites as values: tasks, trials, the plan of a bench, its events, and what they add up to."""
