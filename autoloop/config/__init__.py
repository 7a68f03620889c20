"""Files that people write: programs, settings, `.env`, prompts, and what `init` makes of a repository.

- `programs`: finding and loading a program
- `fields`: reading settings strictly into a model
- `classes`: classes by a short name, or as `package.module:Class`
- `dotenv`: variables of the repository's `.env`
- `prompts`: text files that ship with the package
- `places`: the cache directory and the user's settings
- `init`: writing a first program
- `repo_survey`: what a repository holds, as a plan for that program
"""
