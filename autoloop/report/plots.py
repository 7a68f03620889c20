"""Plots as SVG that stands in a page: colours follow it, text is text, and a title and a description say what is seen.

Needs matplotlib, the extra `plots`. Without it a page comes without plots, and says so.
"""

import importlib.util
import io
import logging
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from autoloop.core.run.notes import visible

INK, MUTED, LINE, KEEP, DISCARD, CRASH, ACCENT, WARN = (f"#0101{n:02x}" for n in range(1, 9))
"""Stand for colours of the page: matplotlib gets these, and the page its own."""
_NAMES = ("ink", "muted", "line", "keep", "discard", "crash", "accent", "warn")
_COLOURS = {f"#0101{n:02x}": f"var(--{name})" for n, name in enumerate(_NAMES, 1)}
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 10.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "lines.linewidth": 1.6,
}


@dataclass(frozen=True)
class Plot:
    """A picture, and what it shows in words."""

    name: str
    """Unique in its page; the element's id."""
    title: str
    description: str
    draw: Callable[[Any], None]
    """Draws on a figure."""
    width: float = 13.0
    height: float = 3.6
    """Inches of 72 px."""
    says: Mapping[str, str] = field(default_factory=dict)
    """Tooltips of points, by what they lead to: `#e7`."""


def can_draw() -> bool:
    """Whether matplotlib, the extra `plots`, is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def drawn(plot: Plot) -> Markup:
    """The plot as an element of a page."""
    import matplotlib
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    out = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": plot.name}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that is missing here is there in the browser
        figure = Figure(figsize=(plot.width, plot.height), layout="constrained")
        plot.draw(figure)
        figure.savefig(out, format="svg", metadata={"Date": None})
    return _element(plot, out.getvalue())


def label(text: str, most: int = 40) -> str:
    """A name as text of a plot: on one line, without control characters, clipped."""
    line = " ".join(visible(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _element(plot: Plot, text: str) -> Markup:
    """What matplotlib wrote, made part of the page: own ids, no metadata, no fonts, no colours of its own."""
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{_SVG}style" or not child.tag.startswith(_SVG) or child.tag == f"{_SVG}metadata":
                parent.remove(child)
    for element in root.iter():
        _belongs(plot, element)
    inner = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    head = (
        f'<svg id="{plot.name}" viewBox="{root.get("viewBox")}" role="img" '
        f'aria-labelledby="{plot.name}-title {plot.name}-desc">'
        f'<title id="{plot.name}-title">{escape(plot.title)}</title>'
        f'<desc id="{plot.name}-desc">{escape(plot.description)}</desc>'
    )
    return Markup(head + inner + "</svg>")


def _belongs(plot: Plot, element: ElementTree.Element) -> None:
    element.tag = element.tag.removeprefix(_SVG)
    target = element.attrib.pop(_LINK, None)
    if target is not None and element.tag == "a":
        element.attrib |= {"href": target, "tabindex": "-1"}
        element.insert(0, _title(plot.says.get(target, "")))
    elif target is not None:
        element.set("href", f"#{plot.name}-{target[1:]}")
    if "id" in element.attrib:
        element.set("id", f"{plot.name}-{element.get('id')}")
    for name in ("clip-path", "style"):
        if name in element.attrib:
            element.set(name, _restyled(plot, element.attrib[name]))


def _title(text: str) -> ElementTree.Element:
    title = ElementTree.Element("title")
    title.text = visible(text)
    return title


def _restyled(plot: Plot, style: str) -> str:
    style = re.sub(r"url\(#", f"url(#{plot.name}-", style)
    style = re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", style)
    style = re.sub(r"font-family: [^;]*;?", "", style)
    return re.sub(r"#0101[0-9a-f]{2}", lambda found: _COLOURS.get(found[0], found[0]), style)
