"""The loop and everything that one run does."""
