"""SIGKILL at every event and at random instants: what is left after the resume is what an undisturbed run leaves."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from autoloop.runs.find import all_runs
from tests.campaign import REASONS, RULES, Campaign, Left, a_campaign, alive, left_by
from tests.real_run import move_in

Undisturbed = Mapping[str, tuple[Left, Counter[str]]]
"""What a run leaves that nobody kills, and its executions of measure.sh, by rule."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    found = {}
    for rule in RULES:
        folder = tmp_path_factory.mktemp(rule)
        with pytest.MonkeyPatch.context() as patch:
            move_in(folder, patch)
            campaign = a_campaign(folder, rule)
            assert campaign.carry_on("never") == 0
            found[rule] = left_by(campaign.checkout), campaign.executions()
    yield found


def check(campaign: Campaign, before: dict[str, object], killed: int, expected: tuple[Left, Counter[str]]) -> None:
    """Nothing is lost, nothing is there twice, nothing was touched, nothing is left running."""
    left, executions = expected
    checkout = campaign.checkout
    assert len(all_runs(checkout.root)) == 1
    assert left_by(checkout) == left
    again = campaign.executions() - executions
    assert executions - campaign.executions() == Counter()
    # A machine that stood still has a pair taken again, and a kill may follow each half.
    disturbed = sum(event.kind == "disturbed" for event in checkout.events)
    assert again.total() <= killed + 2 * disturbed, f"samples already taken were taken again: {again}"
    assert checkout.snapshot() == before
    assert alive(checkout.directory) == []
    assert checkout.status()["experiments"] == 12


def test_the_campaign_has_one_of_each_kind(undisturbed: Undisturbed) -> None:
    left, executions = undisturbed["median"]
    assert [row["reason"] for row in left.rows[1:]] == REASONS
    assert set(left.pins) == {"start", "head", *map(str, (1, 2, 3, 4, 5, 8, 9, 10, 11, 12))}
    assert executions["9-candidate-0-measure.sh"] == 1
    by_pairs, _ = undisturbed["paired"]
    assert {row["reason"] for row in by_pairs.rows[1:]} == {*REASONS}
    assert by_pairs.events[-1] == "verified"


def die_at_events(folder: Path, undisturbed: Undisturbed, rule: str, mode: str, every: int) -> None:
    campaign = a_campaign(folder, rule)
    before = campaign.checkout.snapshot()
    killed = campaign.carry_on(mode, every)
    assert killed >= 5
    check(campaign, before, killed, undisturbed[rule])


@pytest.mark.parametrize(("rule", "mode", "every"), [
    ("median", "unseen", 5), ("median", "before", 8), ("median", "torn", 11), ("median", "after", 11),
    ("median", "homeless", 7), ("paired", "unseen", 9),
])  # fmt: skip
def test_a_run_killed_around_an_event_ends_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed: Undisturbed, rule: str, mode: str, every: int
) -> None:
    die_at_events(tmp_path, undisturbed, rule, mode, every)


@pytest.mark.faults
@pytest.mark.parametrize(("rule", "mode", "every"), [
    ("median", "unseen", 2), ("median", "before", 3), ("median", "torn", 3), ("median", "after", 2),
    ("median", "homeless", 4),
    ("paired", "before", 6), ("paired", "torn", 6), ("paired", "after", 5), ("paired", "homeless", 8),
])  # fmt: skip
def test_a_run_killed_around_every_event_ends_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed: Undisturbed, rule: str, mode: str, every: int
) -> None:
    die_at_events(tmp_path, undisturbed, rule, mode, every)


def some_kills(folder: Path, undisturbed: Undisturbed, rule: str, seed: int, kills: int) -> None:
    campaign = a_campaign(folder, rule)
    before = campaign.checkout.snapshot()
    killed = campaign.carry_on("random", kills=kills, seed=seed)
    assert killed == kills
    check(campaign, before, killed, undisturbed[rule])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(2))
def test_a_run_killed_at_any_instant_ends_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed: Undisturbed, rule: str, seed: int
) -> None:
    some_kills(tmp_path, undisturbed, rule, seed, kills=5)


@pytest.mark.faults
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(100, 115))
def test_two_hundred_kills_at_any_instant_change_nothing(
    tmp_path: Path, undisturbed: Undisturbed, rule: str, seed: int
) -> None:
    some_kills(tmp_path, undisturbed, rule, seed, kills=7)
