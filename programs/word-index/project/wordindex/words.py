"""From text to stems."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from string import ascii_lowercase

from wordindex.settings import STEM_CACHE, TOKENIZER

_ENDINGS = tuple("ational fulness ousness ization ingly ement ness ings able ing ies ed ly es s".split())
"""The longest first."""
_DOUBLE = tuple("bb dd gg ll mm nn pp rr tt".split())
_SHORTEST = 3

_WORD = re.compile("[a-z]+")
_LETTERS = frozenset(ascii_lowercase)


class _OnlyLetters(dict[int, str]):
    """A table for `str.translate` that makes a space of everything but a letter."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = found = character if character in _LETTERS else " "
        return found


_ONLY_LETTERS = _OnlyLetters()


def stems(text: str) -> Iterable[str]:
    """The stem of every word of a text, in order."""
    return map(_remembered, _TOKENIZERS[TOKENIZER](text.lower()))


def stem(word: str) -> str:
    """The word without its ending, as long as enough of it is left."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST:
            word = word[: -len(ending)]
            break
    return word[:-1] if word[-2:] in _DOUBLE else word


_remembered = lru_cache(STEM_CACHE)(stem)


def _by_regex(text: str) -> Iterable[str]:
    return (found.group() for found in _WORD.finditer(text))


def _by_split(text: str) -> Iterable[str]:
    return text.translate(_ONLY_LETTERS).split()


def _by_scan(text: str) -> Iterable[str]:
    start = -1
    for at, character in enumerate(text):
        if character in _LETTERS:
            if start < 0:
                start = at
        elif start >= 0:
            yield text[start:at]
            start = -1
    if start >= 0:
        yield text[start:]


_TOKENIZERS: dict[str, Callable[[str], Iterable[str]]] = {"regex": _by_regex, "split": _by_split, "scan": _by_scan}
