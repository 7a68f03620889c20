"""The live page of a run or a bench: a process of its own that reads a journal and shows it to any number of viewers.

The process that carries the run or the bench on knows nothing of it.

- `server`: HTTP and WebSocket; refuses everything but the page and its messages
- `hub`: one reader of the journal, any number of viewers
- `messages`: what viewers are told of an event
- `run_story`, `bench_story`: what is new at each look, and the whole of it for who comes later
"""
