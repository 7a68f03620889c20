"""Every attack in every tier that works here: none moves a kept metric, the journal, the seal, the checkout or what follows."""

from collections.abc import Iterator

import pytest

from tests.attacks.attack import Attack, all_attacks
from tests.attacks.theatre import Stage, users, why_not_here

TIERS = ("bwrap", "landlock", "none")
ATTACKS = {name: attack for name, (_, attack) in all_attacks().items()}


@pytest.fixture(scope="module")
def stages() -> Iterator[dict[tuple[str, str], Stage]]:
    made = {(tier, user): Stage(tier, user) for tier in TIERS for user in users()}
    yield made
    for stage in made.values():
        stage.close()


def comes(attack: Attack) -> tuple[str, ...]:
    return (attack.comes,) if isinstance(attack.comes, str) else attack.comes


@pytest.mark.attacks
@pytest.mark.parametrize("user", users())
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_comes_of_it(name: str, tier: str, user: str, stages: dict[tuple[str, str], Stage], record_property) -> None:  # type: ignore[no-untyped-def]
    attack = ATTACKS[name]
    if why := attack.open.get(tier):
        record_property("outcome", f"open: {why}")
        pytest.skip(f"open in this tier: {why}")
    if why := why_not_here(attack, tier, user):
        pytest.skip(why)
    found = stages[tier, user].carry_out(name)
    assert found["broken"] == []
    assert found["reason"] in comes(attack), found
    record_property("outcome", found["reason"])
