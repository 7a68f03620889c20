"""Benches of suites and everything that one bench does."""
