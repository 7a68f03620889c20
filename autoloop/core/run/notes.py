"""What agents say of their own work: the closing notes, and the ideas backlog they feed."""

import json
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any
from unicodedata import category

from autoloop.core.model import Frozen
from autoloop.core.run.reasons import Reason, Status

_TAG = re.compile(r"<(?P<end>/?)(?P<name>(?:autoauto_)?notes)>", re.IGNORECASE)
_BREAKS = re.compile(r"[\n\t]")
_LONGEST = 300
_MOST_TRIED = 200
_MOST_IDEAS = 40


class Notes(Frozen):
    """An agent's closing block, every text one line and clipped."""

    hypothesis: str = ""
    why: str = ""
    avoid: tuple[str, ...] = ()
    next: tuple[str, ...] = ()


def parse_notes(text: str) -> Notes:
    """The last notes block in the text, read leniently; empty notes when there is none.

    Accepts fenced JSON, trailing commas, a lone string where a list belongs, a block that is not
    closed, and plain text (then it is the hypothesis).
    """
    body = _last_block(text)
    if body is None:
        return Notes()
    body = re.sub(r"^```\w*|```$", "", body.strip(), flags=re.MULTILINE).strip()
    found = _lenient_json(body)
    if found is None:
        return Notes(hypothesis=one_line(body))
    return Notes(
        hypothesis=one_line(found.get("hypothesis")),
        why=one_line(found.get("why")),
        avoid=_texts(found.get("avoid")),
        next=_texts(found.get("next")),
    )


def _last_block(text: str) -> str | None:
    """What stands in the last block; behind the last opening tag when it was cut off in an object."""
    tags = list(_TAG.finditer(text))
    if tags and not tags[-1]["end"]:
        rest = text[tags[-1].end() :]
        if rest.lstrip().startswith(("{", "```")):
            return rest
    for closing, opening in pairwise(reversed(tags)):
        if not opening["end"] and closing["end"] and opening["name"].lower() == closing["name"].lower():
            return text[opening.end() : closing.start()]
    return None


def one_line(value: object, longest: int = _LONGEST) -> str:
    """Any value as one clipped line of text without control characters."""
    text = str(value if value is not None else "")[: 20 * longest]  # megabytes would take a while
    text = "".join(character for character in text if character.isprintable() or character.isspace())
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def visible(text: str) -> str:
    """Text of several lines in which nothing moves a cursor or turns a line around: such characters are replaced."""
    text = text.replace("\r\n", "\n")
    if all(map(str.isprintable, _BREAKS.split(text))):
        return text
    return "".join(
        char if char in "\n\t" or char.isprintable() or category(char) == "Zs" else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def _lenient_json(body: str) -> dict[str, Any] | None:
    for attempt in (body, re.sub(r",\s*([}\]])", r"\1", body)):
        try:
            found = json.loads(attempt, strict=False)
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    return None


def _texts(value: object) -> tuple[str, ...]:
    items: Iterable[object] = value if isinstance(value, list) else [value]
    texts = (one_line(item) for item in items if item is not None)
    return tuple(text for text in texts if text)[:10]


class Idea(Frozen):
    """An entry of the backlog: one change that was tried."""

    experiment: int
    reason: Reason
    what: str
    outcome: str


class Backlog(Frozen):
    """The ideas backlog. Bounded: the oldest entries leave it, the journal keeps them all."""

    tried: tuple[Idea, ...] = ()
    worked: tuple[Idea, ...] = ()
    avoid: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    forgotten: int = 0

    def after(self, idea: Idea, notes: Notes) -> "Backlog":
        """The backlog with one more experiment in it."""
        kept = idea.reason.status is Status.KEEP
        return Backlog(
            tried=(*self.tried, idea)[-_MOST_TRIED:],
            worked=(*self.worked, idea)[-_MOST_TRIED:] if kept else self.worked,
            avoid=_newest(self.avoid, notes.avoid),
            next=_newest(self.next, notes.next),
            forgotten=self.forgotten + (len(self.tried) == _MOST_TRIED),
        )

    def render(self) -> str:
        """The backlog as the text of `ideas.md`."""
        older = f"- … {self.forgotten} older ones: `autoloop results`\n" if self.forgotten else ""
        return (
            "# Ideas\n\nWritten by autoloop from the agents' notes and the decisions; rebuilt at will.\n"
            + _section("Try next", (f"- {text}" for text in reversed(self.next)))
            + _section("Avoid", (f"- {text}" for text in reversed(self.avoid)))
            + _section("What worked", map(_tried_line, reversed(self.worked)))
            + _section("What was tried", map(_tried_line, reversed(self.tried)))
            + older
        )


def _newest(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    return (*(text for text in old if text not in new), *new)[-_MOST_IDEAS:]


def _section(title: str, lines: Iterable[str]) -> str:
    return f"\n## {title}\n\n" + ("\n".join(lines) or "Nothing yet.") + "\n"


def _tried_line(idea: Idea) -> str:
    return f"- **{idea.experiment}** {idea.reason}: {idea.what} ({idea.outcome})"
