"""Compiled Python beside what judges: it may be planted, so it goes before it can be used. Python makes it again."""

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from autoloop.trees.walk import is_real_folder, open_up, remove

FOLDER = "__pycache__"


def remove_all(folder: str) -> None:
    """Remove a folder of compiled Python, or whatever stands in its place."""
    with suppress(OSError):
        remove(os.fsencode(folder))


def remove_compiled(sources: Iterable[str]) -> None:
    """Remove what was compiled of these files, or passes for it; what stands beside it stays, since it is dear."""
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    for source in sources:
        folder, name = os.path.split(source)
        if name.endswith(".py"):
            by_folder[f"{folder}/{FOLDER}"].append(name.removesuffix("py"))
    for folder, stems in by_folder.items():
        if not is_real_folder(os.fsencode(folder)):  # nothing, or a link, which Python would follow
            remove_all(folder)
            continue
        with suppress(OSError):
            open_up(os.fsencode(folder))
            for name in os.listdir(folder):
                if name.startswith(tuple(stems)):
                    remove(os.fsencode(f"{folder}/{name}"))
