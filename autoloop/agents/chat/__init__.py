"""The built-in agent: one conversation with a model that can use a shell and edit files. One core, three services."""
