"""How much of the long texts goes into a page: a run of a thousand experiments must still open at once."""

from dataclasses import dataclass

PAGE = 3_000_000
"""Characters of diffs, packets and records in one page, all together."""
_LONGEST = 40_000
_WORTH_SHOWING = 300
"""Characters below which a beginning tells nothing."""
_SHARES_OF_A_KEEP = 4


@dataclass(frozen=True)
class Excerpt:
    """The beginning or end of a text that lies in a file."""

    text: str = ""
    left_out: int = 0
    """Bytes of the file that are not shown."""
    path: str = ""
    """The file, from the directory of the run or the bench; empty when there is none."""

    @property
    def there(self) -> bool:
        """Whether the file of the excerpt exists."""
        return bool(self.path)


@dataclass(frozen=True)
class ExcerptBudget:
    """The number of characters that an excerpt may have."""

    ordinary: int
    kept: int
    """Characters for texts of kept experiments, which people look at first."""

    def of(self, kept: bool) -> int:
        """The characters for one text, by whether its experiment was kept."""
        return self.kept if kept else self.ordinary


def room_for(texts: int, kept: int) -> ExcerptBudget:
    """An equal share of the page for each of the texts, a larger one for those of keeps."""
    share = PAGE // max(texts + (_SHARES_OF_A_KEEP - 1) * kept, 1)
    return ExcerptBudget(_bounded(share), _bounded(_SHARES_OF_A_KEEP * share))


def _bounded(share: int) -> int:
    return 0 if share < _WORTH_SHOWING else min(share, _LONGEST)


def beginning(text: str, most: int, whole: int, path: str) -> Excerpt:
    """The whole lines at the beginning of a text whose file has `whole` bytes."""
    if len(text) <= most and len(text.encode(errors="replace")) >= whole:
        return Excerpt(text, 0, path)
    cut = text[: text.rfind("\n", 0, most) + 1] or text[:most]
    return Excerpt(cut, max(whole - len(cut.encode(errors="replace")), 0), path)


def ending(text: str, most: int, whole: int, path: str) -> Excerpt:
    """The whole lines at the end of a text whose file has `whole` bytes; `text` is the end of it."""
    if len(text) <= most and len(text.encode(errors="replace")) >= whole:
        return Excerpt(text, 0, path)
    tail = text[-most:] if most else ""
    cut = tail[tail.find("\n") + 1 :] or tail
    return Excerpt(cut, max(whole - len(cut.encode(errors="replace")), 0), path)
