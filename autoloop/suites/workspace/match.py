"""Whether a regular expression is found in a file: `match.py PATTERN FILE...`, exit code 0 when it is.

A process of its own, because an expression can take for ever on what an agent wrote, and cannot be stopped from within.
It imports nothing of the package.
"""

import re
import sys

LARGEST = 8 << 20


def main(pattern: str, files: list[str]) -> int:
    """The exit code: 0 when the pattern is found in one of the files, else 1."""
    wanted = re.compile(pattern, re.MULTILINE)
    for file in files:
        with open(file, encoding="utf-8", errors="replace") as opened:
            if wanted.search(opened.read(LARGEST)):
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
