"""Benches of suites and everything that one bench does. Its files have the names of those in `runs` for the same jobs.

The loop, which knows protocols alone:
- `loop`: hand out trials, take results, look after the workers
- `regrade`: verify kept workspaces once more

From a verb to the loop:
- `start`: `bench` and its options
- `preflight`: room, sandbox, and whether each model answers
- `create`: a bench begun, or refused where it could not work
- `resume`: the parts put together around a journal
- `pool`: worker processes
- `worker`: such a process, taking orders on its standard input
- `pace`: calls a minute, shared by the workers
- `reuse`: results that benches share

One trial:
- `trial`: from its order to its result
- `workspace`: where the agent works, and how its work is verified
- `containers`: the same in a container

Its files:
- `directory`: where they are; loads no models
- `record`: the journal
- `views`: records, iterations, episodes, summary, `state.json`

Looking:
- `find`: benches by their directory
- `follow`: a bench that another process carries on
- `contrast`: two results against each other

Reading tasks:
- `sources`: formats of suites
"""
