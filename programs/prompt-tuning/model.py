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
from statistics import fmean

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

    def dates(self, rows: list[dict[str, str]]) -> list[str]:
        split = sorted(row["date"].split(".")[::-1] for row in rows)
        return ["-".join(parts) if "iso" in self.told else ".".join(parts[::-1]) for parts in split]

    def listed(self, things: list[str]) -> list[str]:
        return sorted(set(things)) if "sort" in self.told else things

    def _worded(self, result: str | list[str]) -> str:
        text = "\n".join(result) if isinstance(result, list) else result
        if "explain" in self.told:
            return f"I looked at the files and worked it out as follows.\nThe result is: {text}\n"
        if "only" in self.told:
            return f"{text}\n"
        return f"Here is the list:\n{text}\n" if isinstance(result, list) else f"The answer is {text}.\n"


    # What it can do. The words of a task name the files.

    def count_rows(self, name: str) -> str:
        return str(len(self.rows(name)))

    def count_lines(self, name: str) -> str:
        return str(len(self.lines(name)))

    def count_reports(self, name: str, word: str) -> str:
        return str(sum(word in line for line in self.lines(name)))

    def longest_word(self, name: str) -> str:
        return max(re.findall(r"[a-z]+", " ".join(self.lines(name)).lower()), key=len)

    def field_of(self, field: str, product: str, name: str) -> str:
        return next(row[field] for row in self.rows(name) if row["product"] == product)

    def largest_order(self, name: str) -> str:
        return max(self.rows(name), key=lambda row: int(row["quantity"]))["id"]

    def first_product(self, name: str) -> str:
        return min(row["product"] for row in self.rows(name))

    def all_quantities(self, name: str) -> str:
        return str(sum(int(row["quantity"]) for row in self.rows(name)))

    def highest_price(self, name: str) -> str:
        return self.amount(max(float(row["price"]) for row in self.rows(name)))

    def mean_price(self, name: str) -> str:
        return self.amount(fmean(float(row["price"]) for row in self.rows(name)))

    def turnover(self, name: str) -> str:
        return self.amount(sum(int(row["quantity"]) * float(row["price"]) for row in self.rows(name)))

    def first_date(self, name: str) -> str:
        return self.dates(self.rows(name))[0]

    def dates_of(self, product: str, name: str) -> list[str]:
        return self.dates([row for row in self.rows(name) if row["product"] == product])

    def products(self, name: str) -> list[str]:
        return self.listed([row["product"] for row in self.rows(name)])

    def to_order(self, name: str) -> list[str]:
        return self.listed([row["product"] for row in self.rows(name) if int(row["stock"]) < int(row["minimum"])])


_SKILLS = [
    (r"How many (?:products|orders) does (\S+) (?:list|hold)\?", Clerk.count_rows),
    (r"How many lines does (\S+) have\?", Clerk.count_lines),
    (r"How many lines of (\S+) report an (\w+)\?", Clerk.count_reports),
    (r"the longest word of (\S+)\?", Clerk.longest_word),
    (r"the (stock|minimum) of the product (\w+) by (\S+)\?", Clerk.field_of),
    (r"the order with the largest quantity in (\S+)\?", Clerk.largest_order),
    (r"comes first in the alphabet, by (\S+)\?", Clerk.first_product),
    (r"the sum of all quantities in (\S+)\?", Clerk.all_quantities),
    (r"the highest price in (\S+)\?", Clerk.highest_price),
    (r"the mean price of the products in (\S+)\?", Clerk.mean_price),
    (r"quantity times price, over all orders in (\S+)\?", Clerk.turnover),
    (r"the date of the first order in (\S+)\?", Clerk.first_date),
    (r"the dates of the orders of (\w+) in (\S+),", Clerk.dates_of),
    (r"Which products were ordered, by (\S+)\?", Clerk.products),
    (r"their stock is below its minimum in (\S+)\?", Clerk.to_order),
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
