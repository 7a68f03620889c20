"""How facts look: numbers, durations, tables, JSON. Only a terminal gets colours and cut columns.

Much of what is shown was written by agents and measured programs, so control characters never reach a terminal.
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

Cells = Sequence[str]

STYLES = {"keep": "green", "crash": "red", "baseline": "bold", "discard": ""}
"""How each status looks on a terminal."""


_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def say(text: str = "", file: TextIO | None = None) -> None:
    """Print a text, control characters left out."""
    print(clean(text), file=file or sys.stdout, flush=True)


def say_json(facts: Any) -> None:
    """Print facts for programs."""
    print(json.dumps(facts, indent=2, ensure_ascii=False), flush=True)


def complain(message: str, hint: str = "") -> None:
    """What is wrong, and the next thing to try."""
    say(f"autoloop: {message}", sys.stderr)
    if hint:
        say(f"  {hint}", sys.stderr)


def clean(text: str) -> str:
    """Text without control characters, line breaks and tabs aside, and without what turns the direction of a line."""
    return "".join(c for c in text if c in "\n\t" or not (c < " " or "\x7f" <= c < "\xa0" or c in _TURNING))


def on_terminal(file: TextIO | None = None) -> bool:
    """Whether people look at it, on something that can redraw a line."""
    return (file or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def number(value: float | None) -> str:
    """A metric."""
    return "" if value is None else f"{value:.6g}"


def percent(fraction: float | None) -> str:
    """A gain: `+3.1 %`."""
    if fraction is None:
        return ""
    value = 100 * fraction
    return f"{value:+.1f} %" if abs(value) >= 1 or value == 0 else f"{value:+.2g} %"


def duration(seconds: float | None) -> str:
    """`1 h 12 min`, `3 min 20 s`, `4.1 s`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def money(cost_usd: float | None) -> str:
    """An amount; what is not known is said to be so."""
    return "unknown" if cost_usd is None else f"${cost_usd:.2f}"


def count(amount: int, noun: str) -> str:
    """`1 sample`, `3 samples`."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


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
