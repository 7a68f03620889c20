"""Rendering of facts: numbers, durations, tables, JSON. Only a terminal gets colours and cut columns.

Much of what is shown was written by agents and measured programs, so control characters never reach a terminal.
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

Cells = Sequence[str]
DONE, BUG, FIXABLE, NOTHING_KEPT, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes. Wrong usage is FIXABLE too."""

STYLES = {"keep": "green", "crash": "red", "baseline": "bold", "discard": ""}
"""How each status looks on a terminal."""

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def say(text: str = "", file: TextIO | None = None) -> None:
    """Print a text, control characters left out."""
    print(clean(text), file=file or sys.stdout, flush=True)


def say_json(facts: Any) -> None:
    """Print facts as JSON, for programs."""
    print(json.dumps(facts, indent=2, ensure_ascii=False), flush=True)


def complain(message: str, hint: str = "") -> None:
    """Print an error and its hint: what is wrong, and the next thing to try."""
    say(f"autoloop: {message}", sys.stderr)
    if hint:
        say(f"  {hint}", sys.stderr)


def clean(text: str) -> str:
    """Text without control characters, line breaks and tabs aside, and without what turns the direction of a line."""
    return "".join(c for c in text if c in "\n\t" or not (c < " " or "\x7f" <= c < "\xa0" or c in _TURNING))


def on_terminal(file: TextIO | None = None) -> bool:
    """Whether a file is a terminal that can redraw a line."""
    return (file or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def aligned(rows: Sequence[Cells]) -> str:
    """Rows in columns, the last one as wide as it likes."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def table(header: Cells, rows: Sequence[Cells], statuses: Sequence[str], file: TextIO | None = None) -> None:
    """Rows in columns; on a terminal coloured by status and cut at its edge."""
    file = file or sys.stdout
    lines = clean(aligned([header, *rows])).split("\n")
    if not on_terminal(file):
        say("\n".join(lines), file)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=file)
    for line, status in zip(lines, ("baseline", *statuses), strict=True):
        console.print(Text(line, style=STYLES.get(status, "")), no_wrap=True, overflow="ellipsis", crop=True)
