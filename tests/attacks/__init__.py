"""Hostile agents and candidates, and what must not come of them: `make test-attacks`."""
