"""Formats of suites, and reading one by its path."""
