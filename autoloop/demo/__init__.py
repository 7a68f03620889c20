"""`autoloop demo`: a complete campaign on a shipped example.

- `demo`: the five acts from beginning to end
- `example`: the repository, the program and the scripted agent
- `process`: the run in processes of its own, followed, killed and resumed
- `findings`: what was found, from the events alone
- `acts`: what is printed of it
"""
