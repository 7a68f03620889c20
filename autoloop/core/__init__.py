"""Values and pure functions: no files, processes, clock, environment or unseeded randomness.

Shared by both products, and imported by every room of the core:
- `model`: the base of every stored value
- `event_lines`: the base of a journal's events, and how they stand in its lines
- `session`: what one agent session cost and how it ended
- `patience`: what to do about an agent whose service fails
- `seeds`: seeds and coin flips
- `globs`: patterns of paths
- `holdings`: what lies on the disk, and what of it may go
- `text`: figures as people read them

Rooms, each of which imports only those above it:
- `evidence`: the statistics of every judgement
- `run`: a run as values: program, events, state, decisions
- `suite`: suites and benches as values; a stranger to `run`
- `gaming`: signs that a candidate games its measurement
- `validation`: what `validate` concludes
- `notices`, one file: what people who are away are told of either product
"""
