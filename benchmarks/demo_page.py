"""Play the demo and show it as it came: `python -m benchmarks.demo_page` rewrites the output in docs/demo.md.

Lines of it stand in README.md too: the same run, never another one that came out better.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(<!-- the demo as it came -->\n```\n).*?(```\n)", re.DOTALL)
EXCERPT = re.compile(
    r"\d\. |   two runs of the same|   one run has|   keep-if-better kept|   autoloop kept|     (?:caught|in vain|kept)"
    r"|     not kept|   killed during|   all \d+ exp|   only the sample|   NOT"
)
"""The lines that README.md shows."""


def play() -> str:
    """What a demo prints when its output is no terminal."""
    directory = tempfile.mkdtemp(prefix="tmp.")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [sys.executable, "-m", "autoloop", "demo", directory]
    return subprocess.run(
        command, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def excerpt(output: str) -> str:
    """The lines that a hurried reader needs."""
    acts = output[: output.index("\n#")].splitlines(keepends=True)
    return "".join(line for line in acts if EXCERPT.match(line))


def put(page: Path, text: str) -> None:
    """Replace what the page shows."""
    shown, count = BLOCK.subn(lambda found: found[1] + text + found[2], page.read_text())
    if count != 1:
        raise SystemExit(f"{page.name} has {count} places for the demo's output")
    page.write_text(shown)


if __name__ == "__main__":
    played = play()
    put(ROOT / "docs" / "demo.md", played)
    put(ROOT / "README.md", excerpt(played))
    print(played, end="")
