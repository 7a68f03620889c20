"""Formats of suites, and reading one by its path.

- `registry`: which format a path is, and a user's own class
- `assemble`: what every format must hold to
- `contents`: paths that stay inside the suite, and digests
- `json_suite`: suites in one JSON file
- `harbor`: task directories of Harbor and Terminal-Bench
- `task_toml`, `steps`: their `task.toml`, and tasks of several steps
- `dockerfile`: their Dockerfiles
- `exercism`: exercises of exercism
- `languages`: how their tests are run, language by language
"""
