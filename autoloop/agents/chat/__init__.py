"""The built-in agent: one conversation with a model that can use a shell and edit files. One core, three services.

- `agent`: one session, turn by turn
- `tools`: the shell and the editing of files
- `service`: what the agent needs of a model's service, as a protocol
- `anthropic`, `openai`, `ollama`: the three services
- `http`: streamed answers, for services without an SDK
- `configured`: the agent as profiles name it
"""
