"""The loop and everything that one run does.

The loop, which knows protocols alone:
- `loop`: propose, measure, decide, settle
- `steps`: what every step shares: append an event, take a sample, wait
- `task`: what a session is given
- `night_end`: more pairs for provisional keeps, and the verification

From a verb to the loop:
- `start`: `run`: the person's choices checked; `--detach`
- `context`: the repository and what a process is given from outside
- `create`: the directory, the seal, the first line of the journal
- `resume`: the parts put together around a journal, whether empty or long
- `control`: `guide`, `limit`, `stop`, as files
- `confine`: the sandbox of a run
- `calibrations`: calibrations remembered for a day

Its files:
- `directory`: where they are; loads no models
- `record`: `run.json` and the journal
- `views`: `results.tsv`, `ideas.md`, `state.json`

Looking:
- `find`: runs by name, and `status`
- `look`: `results`, `show`, `ideas`, `packet`, `events`
- `follow`: a run that another process carries on

Verbs beside the loop:
- `validate`: can the program be measured, and what does that resolve?
- `first_difference`: where a measurement first differs
- `verify`: measure what was kept once more
- `check_agent`: one tiny real session
"""
