"""An agent's notes are read leniently, bounded, and never trusted to be one line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloop.core.run.notes import Backlog, Idea, Notes, one_line, parse_notes
from autoloop.core.run.reasons import Reason

WHOLE = {"hypothesis": "hoist it", "why": "it is invariant", "avoid": ["caching"], "next": ["unroll", "sort"]}
NOTES = Notes(hypothesis="hoist it", why="it is invariant", avoid=("caching",), next=("unroll", "sort"))


@pytest.mark.parametrize(
    "text",
    [
        f"<notes>{json.dumps(WHOLE)}</notes>",
        f"<NOTES>\n{json.dumps(WHOLE, indent=2)}\n</NOTES> bye",
        f"<autoauto_notes>{json.dumps(WHOLE)}</autoauto_notes>",
        f"<notes>```json\n{json.dumps(WHOLE)}\n```</notes>",
        "<notes>" + json.dumps(WHOLE).replace("]", ",]").replace("}", ",}") + "</notes>",
        f'<notes>{{"hypothesis": "an earlier one"}}</notes> then <notes>{json.dumps(WHOLE)}</notes>',
        f"I will end with a <notes> block.\n<notes>{json.dumps(WHOLE)}</notes>",
        f"<notes>{json.dumps(WHOLE)}",
        f"<notes>example</notes><notes>```json\n{json.dumps(WHOLE)}\n```",
        f"<notes>{json.dumps(WHOLE)}</notes> I closed the <notes> block above.",
    ],
)
def test_the_last_block_counts_however_it_is_dressed(text: str) -> None:
    assert parse_notes(text) == NOTES


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        ("I hoisted it", Notes(hypothesis="I hoisted it")),
        ('["a list"]', Notes(hypothesis='["a list"]')),
        ("{'hypothesis': 'single quotes'}", Notes(hypothesis="{'hypothesis': 'single quotes'}")),
        ('{"hypothesis": "a\nb\tc"}', Notes(hypothesis="a b c")),
        ('{"hypothesis": null, "avoid": "one", "next": null}', Notes(avoid=("one",))),
        ('{"avoid": ["", "  ", null, 3, {"a": 1}]}', Notes(avoid=("3", "{'a': 1}"))),
        ('{"hypothesis": 7, "unknown": 1}', Notes(hypothesis="7")),
        ("", Notes()),
        ('{"hypothesis": "\\ud800x"}', Notes(hypothesis="x")),
    ],
)
def test_what_is_not_quite_right_is_taken_as_far_as_it_goes(body: str, notes: Notes) -> None:
    assert parse_notes(f"<notes>{body}</notes>") == notes


@pytest.mark.parametrize("text", ["", "no block", "</notes>", "<notes>", "<notes>open text", "<note>x</note>"])
def test_no_block_is_no_notes(text: str) -> None:
    assert parse_notes(text) == Notes()


def test_notes_are_clipped_in_length_and_number() -> None:
    huge = {"hypothesis": "x" * 10**6, "avoid": [f"{n}" * 1000 for n in range(1000)]}
    notes = parse_notes(f"<notes>{json.dumps(huge)}</notes>")
    assert len(notes.hypothesis) == 300 and notes.hypothesis.endswith("…")
    assert len(notes.avoid) == 10


def test_many_tags_and_deep_nesting_cost_no_time_and_no_crash() -> None:
    assert parse_notes("<notes>" * 50_000) == Notes()
    assert parse_notes("<notes></autoauto_notes>" * 20_000) == Notes()
    assert parse_notes("<notes>{" + "[" * 100_000 + "</notes>").hypothesis.startswith("{[")


@given(st.text())
def test_one_line_is_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable() and len(line) <= 300
    assert one_line(line) == line
    line.encode()


def test_one_line_drops_what_would_move_a_cursor() -> None:
    assert one_line("a\x1b[2Jb\x00\u202ec\r\nd") == "a[2Jbc d"
    assert one_line(None) == ""
    assert one_line("abcdef", 4) == "abc…"


def idea(number: int, reason: Reason = Reason.WITHIN_NOISE) -> Idea:
    return Idea(experiment=number, reason=reason, what=f"idea {number}", outcome="because")


def test_the_backlog_keeps_what_worked_apart_and_the_newest_first() -> None:
    backlog = (
        Backlog()
        .after(idea(1, Reason.IMPROVED), Notes(next=("a", "b")))
        .after(idea(2), Notes(avoid=("c",), next=("a",)))
    )
    text = backlog.render()
    assert backlog.next == ("b", "a")
    assert [entry.experiment for entry in backlog.worked] == [1]
    assert text.index("**2** within_noise") > text.index("**1** improved")
    assert text.rindex("**2**") < text.rindex("**1**")


def test_the_backlog_stays_small_and_says_what_it_forgot() -> None:
    backlog = Backlog()
    for number in range(1, 1001):
        backlog = backlog.after(idea(number, Reason.IMPROVED), Notes(avoid=(f"a{number}",), next=(f"n{number}",)))
    assert len(backlog.tried) == len(backlog.worked) == 200
    assert len(backlog.avoid) == len(backlog.next) == 40
    assert backlog.forgotten == 800
    assert "800 older ones" in backlog.render()
    assert len(backlog.render()) < 50_000


def test_an_empty_backlog_says_so() -> None:
    assert Backlog().render().count("Nothing yet.") == 4
