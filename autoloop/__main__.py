"""Starts the command line for `python -m autoloop`."""

from autoloop.cli import main

if __name__ == "__main__":
    main()
