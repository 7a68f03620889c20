"""Agents that propose changes, the profiles that choose among them, and the record of their sessions.

Which agent:
- `registry`: agents by name, and classes of a user's own
- `profiles`: `autoloop.toml` and the environment
- `make`: an agent with its wrappers, made of a profile
- `probe`: which agents are installed, signed in and within reach
- `wrappers`: retry, fallback and budget, as agents that hold an agent
- `prices`: what models cost

Clients with a command line of their own:
- `client`: what they have in common
- `client_programs`: where they are installed, and how people sign in
- `claude`, `codex`, `opencode`: one file each
- `sign_in`: a user's sign-in, copied into a session's home and kept equal
- `environment`: variables, and what of the home an agent may write
- `events`: what a client tells of its session
- `error_texts`: its failures in our words

Agents that need no client:
- `command`: any command line
- `chat`: the built-in agent over the services of models
- `tuner`, `knobs`: a search over declared values in files
- `scripted`: the double for tests and demos

What stays of a session:
- `transcript`: line by line
- `trajectory`: step by step, in ATIF
- `redaction`: secrets taken out of both
"""
