"""Pages as a strict reader sees them: every element closed in order, ids unique, and what reaches outside."""

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "input", "br", "hr", "img", "link", "col", "wbr", "source"}
REFERENCES = ("href", "src", "srcset", "action", "formaction", "poster", "data", "background", "ping", "xlink:href")
LEVELS = ("h1", "h2", "h3", "h4", "h5", "h6")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    path: tuple[str, ...] = ()
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)


@dataclass
class Page(HTMLParser):
    """What a page consists of. `wrong` says what a strict reader would refuse."""

    text: str
    elements: list[Element] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.text)
        self.close()
        self.wrong += [f"{one.tag} is never closed" for one in self._open]
        self.wrong += [f"the id {name} is there {n} times" for name, n in Counter(self.ids).items() if n > 1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        element = Element(tag, attributes, path=tuple(one.tag for one in self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            self.wrong.append(f"</{tag}> at line {self.getpos()[0]} closes {self._open[-1].tag if self._open else '-'}")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.parts.append(data)

    @property
    def ids(self) -> list[str]:
        return [one.attributes["id"] for one in self.elements if "id" in one.attributes]

    @property
    def references(self) -> list[str]:
        """Everything that a page names to be fetched or gone to."""
        named = [one.attributes[name] for one in self.elements for name in REFERENCES if name in one.attributes]
        return [*named, *(found for one in self.elements for found in _of_style(one.attributes.get("style", "")))]

    @property
    def headings(self) -> list[int]:
        return [LEVELS.index(one.tag) + 1 for one in self.elements if one.tag in LEVELS]

    def all(self, tag: str) -> list[Element]:
        return [one for one in self.elements if one.tag == tag]

    def with_id(self, name: str) -> Element:
        return next(one for one in self.elements if one.attributes.get("id") == name)


def _of_style(style: str) -> list[str]:
    return [part.split(")")[0] for part in style.split("url(")[1:]]
