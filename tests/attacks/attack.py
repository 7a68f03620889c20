"""What an attack is: a hostile agent, a hostile candidate, or both, and what comes of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from textwrap import dedent

GROUPS = ("processes", "git", "files", "python", "metric", "homes", "state", "reaching", "steering", "saying")
"""The modules with the attacks, as the table has them."""
WITHOUT = "nothing stands between it and the user's rights"
"""Why an attack is open where there is no sandbox."""

MEASURE = """\
read -r _ _ x < code.py
. "$AUTOLOOP_PROGRAM_DIR/helper.sh"
sh run.sh > /dev/null 2>&1 < /dev/null
cmp -s golden/answer.txt "$AUTOLOOP_PROGRAM_DIR/answer.txt" || { echo "wrong answer" >&2; exit 3; }
report "$x"
"""
"""A good measurement: it takes the number first, then runs the code of the candidate, with its output to nowhere."""


@dataclass(frozen=True)
class Attack:
    """In scripts `@HOME@`, `@CHECKOUT@`, `@CACHE@`, `@RUN@` and `@WORK@` are places of the user, `@MARK@` is a word."""

    name: str
    tries: str
    """What it tries, for the table."""
    agent: str = ""
    """What the agent of experiment 1 does, in the language of the shell."""
    code: str = ""
    """What the candidate does while it is measured: the end of `run.sh`."""
    comes: str | tuple[str, ...] = "no_candidate"
    """The reason of experiment 1: one of these."""
    open: Mapping[str, str] = field(default_factory=dict)
    """Where it succeeds, and why: `none`, `none root` for one user, `landlock<9` for older versions."""
    shown: bool = False
    """Whether it is tried where it succeeds as well, to show that it does. Only what harms nothing beyond the test's
    own folder may be: such a script runs with all rights of whoever runs the tests."""
    measure: str = MEASURE
    files: Mapping[str, str] = field(default_factory=dict)
    """Committed before the run begins; `programs/p/` is the program."""
    config: Mapping[str, object] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """Programs without which it cannot be tried."""
    later: tuple[tuple[str, float], ...] = (("within_noise", 100), ("improved", 90))
    """Reason and metric of experiments 2, which does nothing, and 3, which sets `x = 90`."""
    baseline: float = 100
    """The metric of the code as it was."""
    quick: bool = False
    """Whether it is tried by the ordinary tests as well, without a sandbox."""

    def is_open(self, tier: str, user: str, version: int) -> str:
        """Why it succeeds in a tier; nothing where it must not. `version` is that of Landlock."""
        for where, why in self.open.items():
            name, _, below = where.partition("<")
            if name in (tier, f"{tier} {user}") and (not below or version < int(below)):
                return why
        return ""

    @property
    def script(self) -> str:
        """What the agent of experiment 1 does, the hostile candidate included."""
        planted = f"cat >> run.sh <<'RUN'\n{dedent(self.code).rstrip()}\nRUN\n" if self.code else ""
        return planted + dedent(self.agent).rstrip()


def all_attacks() -> dict[str, tuple[str, Attack]]:
    """Every attack with its group, by name."""
    return {attack.name: (group, attack) for group in GROUPS for attack in of(group)}


def of(group: str) -> Iterator[Attack]:
    """The attacks of one group."""
    yield from import_module(f"tests.attacks.{group}").ATTACKS
