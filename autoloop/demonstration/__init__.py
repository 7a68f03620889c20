"""The parts of the demo: its example, its run in a process that is killed, what it found, and how that is told."""
