"""The live page of a run or a bench: a process of its own that reads a journal and shows it to any number of viewers.

Whoever carries the run or the bench on knows nothing of it.
"""
