"""Names of measured cases in code: only those that nobody writes by chance."""

import re
from collections.abc import Collection

_QUOTED = re.compile(r"\"([^\"\\]{1,200})\"|'([^'\\]{1,200})'|`([^`\\]{1,200})`")
_BARE = re.compile(r"[\w.:/\[\]-]{5,200}")
_NUMBER = re.compile(r"(?<![\w.])\d{5,40}(?![\w.])")
_TECHNICAL = re.compile(
    r"(utf|sha|md|base|u?int|b?float|bf|fp|iso|latin|crc|aes|x|vec|mat|complex|amd|arm|ipv|http|log|exp|atan|h|mp|i|u|f)"
    r"[-_]?\d+(?:[-_]\d+)*",
    re.IGNORECASE,
)
"""`sha256`, `float32`: everybody's words."""


class Cases:
    """The cases of a measurement, by the names that give them away."""

    def __init__(self, cases: Collection[str]) -> None:
        names = {part for case in cases for part in (case, case.rpartition("::")[2])}
        self._names = frozenset(filter(is_telling, names))

    def named_in(self, line: str) -> list[str]:
        """Those that a line of code names: in quotes, as a number, or by a name that is no identifier."""
        if not self._names:
            return []
        quoted = [text for match in _QUOTED.finditer(line) for text in match.groups() if text]
        files = [text.rpartition("/")[2] for text in quoted]
        stems = [text.rpartition(".")[0] for text in files]
        bare = [text.strip(":.") for text in _BARE.findall(line)]
        bare = [text for text in bare if not text.isidentifier()]
        found = (*quoted, *files, *stems, *bare, *_NUMBER.findall(line))
        return [text for text in dict.fromkeys(found) if text in self._names]


def is_telling(case: str) -> bool:
    """Whether a case has a name that stands in code for no other reason."""
    if len(case) < 5 or case.isalpha() or _TECHNICAL.fullmatch(case):
        return False
    if case.isdigit():
        return not case.endswith("000") and len(set(case)) > 2 and int(case) & (int(case) - 1) != 0
    if any(map(str.isdigit, case)) or not case.replace("-", "_").isidentifier():
        return True
    words = case.replace("-", "_").split("_")
    return len(words) >= 3 or (words[0] == "test" and len(case) >= 8)
