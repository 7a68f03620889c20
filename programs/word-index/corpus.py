"""Documents to index, the same ones for the same seed."""

import random
from itertools import accumulate
from pathlib import Path

_SYLLABLES = [consonant + vowel for consonant in "bcdfghklmnprstvw" for vowel in "aeiou"]
_ENDINGS = ["", "", "", "s", "ed", "ing", "ly", "ness", "ization", "able", "ement", "ings"]
_SEPARATORS = [" "] * 12 + [", ", ". ", "\n", " - ", "; "]


def write(directory: Path, *, seed: int, documents: int, words: int) -> Path:
    """Documents of so many words, common and rare ones as in a real text."""
    directory.mkdir(parents=True)
    chance = random.Random(seed)
    vocabulary = _vocabulary(random.Random("vocabulary"), 6000)
    weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(vocabulary))))
    for number in range(documents):
        chosen = chance.choices(vocabulary, cum_weights=weights, k=words)
        separators = chance.choices(_SEPARATORS, k=words)
        text = "".join([part for pair in zip(chosen, separators) for part in pair])
        (directory / f"{number:05}.txt").write_text(text)
    return directory


def _vocabulary(chance: random.Random, size: int) -> list[str]:
    """Different words of two or three syllables, most of them with an ending, in no order."""
    later = [*_SYLLABLES, *[""] * 25]
    parts = [chance.choices(choices, k=2 * size) for choices in (_SYLLABLES, _SYLLABLES, later, _ENDINGS)]
    words = list(dict.fromkeys(map("".join, zip(*parts))))[:size]
    return [word.capitalize() if number % 10 == 0 else word for number, word in enumerate(words)]
