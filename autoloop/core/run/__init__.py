"""A run as values: its program, events and state, and every judgement about it.

What a run depends on and what happens in it:
- `program`: criteria, scope, measuring rules and limits
- `events`: the lines of `journal.jsonl`
- `state`: what a run is at one instant
- `replay`: the fold from events to a state
- `measurement`: samples, and what was wanted of each

Deciding about a candidate:
- `candidate`: the commit, and what it changes
- `decision`: the ladder that keeps or discards
- `verdict`: the values that a decision is made of
- `rules`: `median` and `paired`
- `reasons`: the words that a decision or a run ends with
- `plausible`: gains and samples too good to be true
- `flags`: signs of gaming that people are to look at

Around it:
- `calibration`: how much a measurement varies by itself
- `rebaseline`: measuring the kept tree again
- `night`: which keeps the whole night confirms
- `disturbance`: when a step does not count
- `stopping`: when a run ends

What agents and people are told:
- `packet`: everything that one session is told
- `notes`: what agents say of their work, and the ideas backlog
- `history`: the events as a searching agent needs them
- `results`: rows of `results.tsv`
- `summary`: a run in one look, with what remains and why nothing was kept
"""
