"""A stand-in for a language model: it does small office tasks, offline, and has habits that a prompt can mend.

It reads its packet (`AUTOLOOP_PACKET`), does the task behind the word "Task:", and writes `answer.txt`. The same
prompt, task and seed give the same answer. Its habits:

    it answers in a sentence          unless told to write only the answer
    it reads twelve lines of a file   unless told to read the whole file
    it rounds amounts                 unless told not to round
    it writes dates as it finds them  unless told to use ISO dates
    it lists things as it finds them  unless told to sort, each once
    it forgets the beginning of a prompt of more than 120 words
    asked to explain, it writes the explanation into the answer

With `--chance P` it slips in a share P of its answers. Whether it does is drawn by seed, task and prompt: another
prompt is another draw, as with a real model.
"""

import argparse
import csv
import hashlib
import os
import re
from pathlib import Path

_LONG = 120
_LINES = 12
_TOLD = {
    "only": r"\bonly the (answer|result|value)\b|\bnothing (else|but)\b|\bno other word\b",
    "whole": r"\bwhole file\b|\bevery line\b|\ball lines\b|\bto (its|the) end\b",
    "exact": r"\bnot round\b|\btwo decimals\b|\bexact amounts?\b",
    "iso": r"\biso\b|\byyyy-mm-dd\b",
    "sort": r"\bsort",
    "explain": r"\bexplain|\breasons?\b|\bstep by step\b|\bshow your work\b",
}


class Clerk:
    """What the stand-in knows and does, under one prompt."""

    def __init__(self, prompt: str) -> None:
        words = prompt.split()
        heeded = " ".join(words[-_LONG:]).lower()
        self.told = {name for name, pattern in _TOLD.items() if re.search(pattern, heeded)}

    def answer(self, task: str) -> str:
        """The text of `answer.txt`."""
        for pattern, skill in _SKILLS:
            if found := re.search(pattern, task):
                return self._worded(skill(self, *found.groups()))
        return "I do not know.\n"

    def rows(self, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(self.lines(name)))

    def lines(self, name: str) -> list[str]:
        lines = Path(name).read_text().splitlines()
        return lines if "whole" in self.told else lines[:_LINES]

    def amount(self, value: float) -> str:
        return f"{value:.2f}" if "exact" in self.told else f"{value:.0f}"

    def date(self, text: str) -> str:
        day, month, year = text.split(".")
        return f"{year}-{month}-{day}" if "iso" in self.told else text

    def listed(self, things: list[str]) -> list[str]:
        return sorted(set(things)) if "sort" in self.told else things

    def _worded(self, result: str | list[str]) -> str:
        text = "\n".join(result) if isinstance(result, list) else result
        if "explain" in self.told:
            return f"I looked at the files and worked it out as follows.\nThe result is: {text}\n"
        if "only" in self.told:
            return f"{text}\n"
        return f"Here is the list:\n{text}\n" if isinstance(result, list) else f"The answer is {text}.\n"


def _by_date(rows: list[dict[str, str]]) -> list[str]:
    return sorted((row["date"] for row in rows), key=lambda date: date.split(".")[::-1])


_SKILLS = [
    (r"How many products does (\S+) list", lambda clerk, name: str(len(clerk.rows(name)))),
    (r"How many orders does (\S+) hold", lambda clerk, name: str(len(clerk.rows(name)))),
    (
        r"How many lines of (\S+) report an? (\w+)",
        lambda clerk, name, word: str(sum(word in line for line in clerk.lines(name))),
    ),
    (
        r"longest word of (\S+)\?",
        lambda clerk, name: max(re.findall(r"[a-z]+", " ".join(clerk.lines(name)).lower()), key=len),
    ),
    (r"How many lines does (\S+) have", lambda clerk, name: str(len(clerk.lines(name)))),
    (
        r"the (stock|minimum) of the product (\w+) by (\S+)\?",
        lambda clerk, field, product, name: next(row[field] for row in clerk.rows(name) if row["product"] == product),
    ),
    (
        r"id of the order with the largest quantity in (\S+)\?",
        lambda clerk, name: max(clerk.rows(name), key=lambda row: int(row["quantity"]))["id"],
    ),
    (r"comes first in the alphabet, by (\S+)\?", lambda clerk, name: min(row["product"] for row in clerk.rows(name))),
    (
        r"sum of all quantities in (\S+)\?",
        lambda clerk, name: str(sum(int(row["quantity"]) for row in clerk.rows(name))),
    ),
    (r"highest price in (\S+)\?", lambda clerk, name: clerk.amount(max(float(row["price"]) for row in clerk.rows(name)))),
    (
        r"mean price of the products in (\S+)\?",
        lambda clerk, name: clerk.amount(sum(float(row["price"]) for row in (rows := clerk.rows(name))) / len(rows)),
    ),
    (
        r"quantity times price, over all orders in (\S+)\?",
        lambda clerk, name: clerk.amount(sum(int(row["quantity"]) * float(row["price"]) for row in clerk.rows(name))),
    ),
    (r"date of the first order in (\S+)\?", lambda clerk, name: clerk.date(_by_date(clerk.rows(name))[0])),
    (
        r"dates of the orders of (\w+) in (\S+),",
        lambda clerk, product, name: [
            clerk.date(date) for date in _by_date([row for row in clerk.rows(name) if row["product"] == product])
        ],
    ),
    (
        r"Which products were ordered, by (\S+)\?",
        lambda clerk, name: clerk.listed([row["product"] for row in clerk.rows(name)]),
    ),
    (
        r"stock is below its minimum in (\S+)\?",
        lambda clerk, name: clerk.listed(
            [row["product"] for row in clerk.rows(name) if int(row["stock"]) < int(row["minimum"])]
        ),
    ),
]


def slips(chance: float, *drawn_by: str) -> bool:
    """Whether this answer goes wrong."""
    digest = hashlib.sha256("\0".join(drawn_by).encode()).digest()
    return int.from_bytes(digest[:8], "big") < chance * 2**64


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for a language model.")
    parser.add_argument("--chance", type=float, default=0.0, metavar="P")
    given = parser.parse_args()
    prompt, _, task = Path(os.environ["AUTOLOOP_PACKET"]).read_text().partition("Task:")
    slipped = slips(given.chance, os.environ.get("AUTOLOOP_SEED", "0"), task, prompt)
    Path("answer.txt").write_text("Sorry, what was the question?\n" if slipped else Clerk(prompt).answer(task))


if __name__ == "__main__":
    main()
