"""Dockerfiles of tasks: what they amount to with and without a container."""
