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
    words: dict[str, None] = {}
    while len(words) < size:
        word = "".join(chance.choices(_SYLLABLES, k=chance.choice([1, 2, 2, 3]))) + chance.choice(_ENDINGS)
        words[word.capitalize() if chance.random() < 0.1 else word] = None
    return list(words)
