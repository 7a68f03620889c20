"""Containers of tasks, by Docker's command line.

- `engine`: is there one, and images
- `container`: the container of one trial, from its first command to its end
- `sandbox`: its commands as the tier `container`
- `workspace`: its workdir, a directory of ours that is mounted
- `exec`: runs one command inside; copied there, and run by its path
"""
