"""Images that tasks are built on, and which programs of this machine stand in for what they bring."""

import re

from autoloop.sources.present import Has

BASES: dict[str, tuple[str, ...]] = {
    "ubuntu": (), "debian": (), "alpine": (), "busybox": (), "bash": (), "scratch": (),
    "python": ("python3",), "node": ("node",), "golang": ("go",), "rust": ("cargo",), "gcc": ("gcc", "make"),
    "buildpack-deps": ("gcc", "make"),
    "ruby": ("ruby",), "perl": ("perl",), "php": ("php",), "openjdk": ("java",), "eclipse-temurin": ("java",),
}  # fmt: skip
"""By the name of an official image; versions are not compared."""
_TERMINAL_BENCH = re.compile(r"ghcr\.io/(?:laude-institute|harbor-framework)/t-bench/(ubuntu|python)[\w.-]*")
_OFFICIAL = re.compile(r"(?:(?:docker\.io/)?library/|docker\.io/)?([\w.-]+)")


def without_it(image: str, has: Has) -> str:
    """Why a task on this image cannot be tried without the image; empty when it can."""
    name = re.sub(r"(:[\w.-]+)?(@[\w:]+)?$", "", image)
    match = _TERMINAL_BENCH.fullmatch(name) or _OFFICIAL.fullmatch(name)
    if match is None or match[1] not in BASES:
        return f"what its image {image} holds is not known"
    lacking = [program for program in BASES[match[1]] if not has(program)]
    return f"its image {image} brings {', '.join(lacking)}, which is not here" if lacking else ""
