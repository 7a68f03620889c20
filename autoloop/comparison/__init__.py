"""Two revisions and one command: better, worse or noise."""
