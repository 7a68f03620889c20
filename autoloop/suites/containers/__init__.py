"""Containers of tasks, by Docker's command line."""
