"""Every attack in every tier that works here, as root and as somebody else.

None moves a kept metric, the journal, the seal, the user's checkout or git, or what later experiments come to.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from autoloop import process
from autoloop.sandbox import restrict
from tests.attacks.attack import Attack, all_attacks
from tests.attacks.processes import HIDING
from tests.attacks.theatre import Stage, users, why_not_here

TIERS = ("bwrap", "landlock", "none")
OF_RIGHTS = ("processes", "git", "files", "homes", "reaching", "steering")
"""Groups that are tried as a second user as well."""
ATTACKS = all_attacks()
Play = Callable[[str, str, str], dict[str, list[str]]]
Record = Callable[[str, object], None]


@pytest.fixture(scope="session")
def play() -> Iterator[Play]:
    """Carries out an attack, on a stage that serves for all of a kind."""
    stages: dict[tuple[str, str], Stage] = {}

    def carry_out(name: str, tier: str, user: str) -> dict[str, list[str]]:
        return stages.setdefault((tier, user), Stage(tier, user)).carry_out(name)

    yield carry_out
    for stage in stages.values():
        stage.close()


def cases() -> Iterator[tuple[str, str, str]]:
    for tier in TIERS:
        for number, user in enumerate(users()):
            yield from ((name, tier, user) for name, (group, _) in ATTACKS.items() if not number or group in OF_RIGHTS)


@pytest.mark.attacks
@pytest.mark.parametrize(("name", "tier", "user"), list(cases()))
def test_nothing_comes_of_it(name: str, tier: str, user: str, play: Play, record_property: Record) -> None:
    attack = ATTACKS[name][1]
    if why := why_not_here(attack, tier, user):
        pytest.skip(why)
    record_property("attack", (name, tier, user))
    if why := attack.is_open(tier, user, restrict.abi()):
        record_property("outcome", f"open: {why}")
        if not attack.shown:
            pytest.skip(f"open: {why}")
        assert play(name, tier, user)["broken"] != [], "it does not succeed: is it still an attack?"
        return
    expect(attack, play(name, tier, user), record_property)


@pytest.mark.parametrize("name", [name for name, (_, attack) in ATTACKS.items() if attack.quick])
def test_what_needs_no_sandbox_is_prevented_without_one(name: str, play: Play, record_property: Record) -> None:
    expect(ATTACKS[name][1], play(name, "none", users()[0]), record_property)


@pytest.mark.parametrize("name", HIDING)
def test_what_hides_would_be_left_running(name: str, tmp_path: Path) -> None:
    done = process.run(["sh", "-c", dedent(HIDING[name])], cwd=tmp_path, env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"})
    assert done.strays > 0, done


def expect(attack: Attack, found: dict[str, list[str]], record_property: Record) -> None:
    """That everything holds, and that the attack came to what it should."""
    assert found["broken"] == []
    assert found["reason"] in ((attack.comes,) if isinstance(attack.comes, str) else attack.comes), found
    record_property("outcome", found["reason"])
