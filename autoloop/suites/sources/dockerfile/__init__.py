"""Dockerfiles of tasks: what they amount to with and without a container.

- `parse`: instruction by instruction
- `commands`: which commands do nothing but arrange files
- `image`: files, setup, variables and workdir, or why a container is needed
"""
