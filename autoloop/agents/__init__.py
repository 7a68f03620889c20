"""Agents that propose changes, the profiles that choose among them, and the record of their sessions."""
