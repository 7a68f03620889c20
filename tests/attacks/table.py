"""The table of what came of each attack, for a terminal and for the documentation."""

import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping

from autoloop.sandbox import restrict
from tests.attacks.attack import GROUPS, all_attacks

TIERS = ("bwrap", "landlock", "none")
Outcomes = Mapping[str, Mapping[tuple[str, str], str]]
"""By attack, then by tier and user."""
TITLES = {
    "processes": "Processes",
    "git": "Git",
    "files": "Files and trees",
    "python": "Python",
    "metric": "The number itself",
    "homes": "Homes, keys and the holdout",
    "state": "State between samples",
    "reaching": "What a machine offers",
    "steering": "The run's own files",
    "saying": "Words",
}
INTRODUCTION = """\
# Attacks

What came of each attack of `make test-attacks`, which wrote this page: on {system}, with {tools}, {users}.
[Security](security.md) says what the tiers are and what remains open.

Each attack is the first experiment of a run; the second one changes nothing, the third one is a real improvement. Afterwards the same must hold for all: nothing was kept that measures no better outside; the journal, the record, the seal and the views are those of
the loop; the checkout, its git directory, the home and the remote are as they were; no secret is in any file that agents or candidates could write, or in a packet; no process is left after any session or sample; and the second and third experiment come to what they come to without the attack.
A cell gives the reason of the first experiment, such as `no_candidate` for an agent that could change nothing. **open** is an attack that succeeds in that tier.
"""


def text(outcomes: Outcomes) -> str:
    """Aligned columns."""
    width = max(map(len, outcomes))
    lines = []
    for name, found in in_order(outcomes):
        cells = [cell(found, tier).replace("`", "").replace("**", "") for tier in TIERS]
        lines.append(f"{name:{width}}  " + "  ".join(f"{one:24.24}" for one in cells))
    return f"{'':{width}}  " + "  ".join(f"{tier:24}" for tier in TIERS) + "\n" + "\n".join(lines) + "\n"


def page(outcomes: Outcomes) -> str:
    """A page in Markdown."""
    attacks = all_attacks()
    users = sorted({user for found in outcomes.values() for _, user in found})
    said = [INTRODUCTION.format(system=system(), tools=tools(), users=as_whom(users))]
    for group in GROUPS:
        rows = [
            f"| {name} | {attacks[name][1].tries} | " + " | ".join(cell(found, tier) for tier in TIERS) + " |"
            for name, found in in_order(outcomes)
            if attacks[name][0] == group
        ]
        head = ["| attack | what it tries | `bwrap` | `landlock` | `none` |", "|---|---|---|---|---|"]
        said.append("\n".join([f"## {TITLES[group]}\n", *head, *rows]) + "\n")
    return "\n".join(said)


def in_order(outcomes: Outcomes) -> Iterable[tuple[str, Mapping[tuple[str, str], str]]]:
    """As the groups have them, whichever ended first."""
    return ((name, outcomes[name]) for name in all_attacks() if name in outcomes)


def cell(found: Mapping[tuple[str, str], str], tier: str) -> str:
    """What came of it in a tier; both, where that depends on the user."""
    said = {user: worded(outcome) for (there, user), outcome in found.items() if there == tier}
    if len(set(said.values())) <= 1:
        return next(iter(said.values()), "not tried")
    return "; ".join(f"{outcome} as {user}" for user, outcome in sorted(said.items()))


def worded(outcome: str) -> str:
    """An outcome as Markdown."""
    head, _, rest = outcome.partition(": ")
    return f"**open**: {rest}" if head == "open" else f"`{outcome}`"


def system() -> str:
    """The kernel, without the name of a build."""
    return f"{platform.system()} {'.'.join(platform.release().split('-')[0].split('.')[:2])}"


def tools() -> str:
    """Versions of what sandboxes are made of."""
    found = shutil.which("bwrap")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout if found else ""
    return f"{said.strip() or 'no bubblewrap'} and version {restrict.abi()} of Landlock"


def as_whom(users: list[str]) -> str:
    """As whom the attacks were tried."""
    names = {"root": "as root", "user": "in part as another user as well", "self": "as an ordinary user"}
    return ", ".join(names[user] for user in users)
