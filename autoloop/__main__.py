"""`python -m autoloop`."""

from autoloop.cli import main

main()
