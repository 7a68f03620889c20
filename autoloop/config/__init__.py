"""Files that people write: programs, settings, `.env`, prompts, and what `init` makes of a repository."""
