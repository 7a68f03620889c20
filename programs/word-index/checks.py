"""Compares the index with one that is made in the plainest way. Exit code 0 when they are the same."""

import re
import subprocess
import sys
import tempfile
import zlib
from collections import Counter, defaultdict
from pathlib import Path

import corpus

ENDINGS = "ational fulness ousness ization ingly ement ness ings able ing ies ed ly es s".split()
ODD = {
    "a-empty.txt": "",
    "b-one.txt": "word",
    "c-cases.txt": "Word WORD wOrd don't x86 naïve café Ωmega \t\r\n\r\nlast ",
    "d-long.txt": "long" * 20_000 + " end",
    "e-lines.txt": "running\nstopped\nhopes\n" * 3_000,
    "f-accents.txt": "é" * 70_001 + " ü" * 70_000,
}


def stem(word: str) -> str:
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) >= len(ending) + 3:
            word = word.removesuffix(ending)
            break
    return word[:-1] if word[-2:] in "bb dd gg ll mm nn pp rr tt".split() else word


def expected(directory: Path) -> list[str]:
    """The lines of the index, from the rules in the project's README and nothing else."""
    postings = defaultdict(list)
    for number, document in enumerate(sorted(directory.iterdir())):
        words = re.findall("[a-z]+", document.read_bytes().decode().lower())
        for found, count in Counter(map(stem, words)).items():
            postings[found].append(f"{number}:{count}")
    return [f"{found}\t{' '.join(where)}" for found, where in sorted(postings.items())]


def stored(index: Path) -> list[str]:
    """The lines of an index file."""
    content, text, at = index.read_bytes(), b"", 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        text += zlib.decompress(content[at + 4 : at + 4 + length])
        at += 4 + length
    return text.decode().splitlines()


def check(directory: Path, index: Path) -> None:
    subprocess.run([sys.executable, "-E", "-s", "-S", "-m", "wordindex", directory, index], check=True)
    found, right = stored(index), expected(directory)
    for line, (is_now, should_be) in enumerate(zip(found, right), 1):
        if is_now != should_be:
            sys.exit(f"line {line} of the index is {is_now[:60]!r}, and should be {should_be[:60]!r}")
    if len(found) != len(right):
        sys.exit(f"the index has {len(found)} lines, and should have {len(right)}")


with tempfile.TemporaryDirectory() as scratch:
    odd = Path(scratch, "odd")
    odd.mkdir()
    for name, text in ODD.items():
        (odd / name).write_bytes(text.encode())
    nothing = Path(scratch, "nothing")
    nothing.mkdir()
    texts = corpus.write(Path(scratch, "texts"), seed=7, documents=45, words=150)
    for number, directory in enumerate([nothing, odd, texts]):
        check(directory, Path(scratch, f"index-{number}"))
