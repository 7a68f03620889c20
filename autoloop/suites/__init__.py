"""Suites: a set of tasks tried by one or more profiles, night after night."""
