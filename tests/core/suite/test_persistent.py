"""Collections of which every version stays as it was."""

import random

import pytest

from autoloop.core.suite.persistent import PersistentMap, PersistentSet


@pytest.mark.parametrize("seed", range(20))
def test_every_version_of_a_map_is_the_dictionary_that_it_was(seed: int) -> None:
    chance = random.Random(seed)
    versions: list[tuple[PersistentMap[int, int], dict[int, int]]] = [(PersistentMap(), {})]
    for number in range(200):
        # Mostly the newest version is extended; now and then one branches off an earlier one.
        before, plain = versions[-1] if chance.random() < 0.9 else chance.choice(versions)
        key = chance.randrange(60)
        versions.append((before.having(key, number), {**plain, key: number}))
    for found, plain in versions:
        assert list(reversed(found)) == list(reversed(plain))
        assert found == plain and list(found) == list(plain) and len(found) == len(plain)
        assert list(found.items()) == list(plain.items()) and list(found.values()) == list(plain.values())
        assert [found.get(key) for key in range(60)] == [plain.get(key) for key in range(60)]


def test_every_version_of_a_set_keeps_its_order() -> None:
    chance, keys = random.Random(1), list(range(1000))
    found, left = PersistentSet(keys), keys
    versions = [(found, left)]
    for key in chance.sample(range(1100), 900):
        found, left = found.without(key), [other for other in left if other != key]
        versions.append((found, left))
    for number in range(0, len(versions), 50):
        found, left = versions[number]
        assert list(found) == left and len(found) == len(left) and bool(found) == bool(left)
        assert [key for key in range(1100) if key in found] == left


def test_a_new_version_copies_next_to_nothing_of_the_one_before() -> None:
    found, left = PersistentMap[int, int](), PersistentSet(range(10_000))
    for number in range(0, 10_000, 7):
        longer, fewer = found.having(number, number), left.without(number)
        assert longer._table is found._table, "all versions in a row share one table"
        assert sum(a is not b for a, b in zip(fewer._blocks, left._blocks, strict=True)) == 1
        found, left = longer, fewer
    assert max(map(len, left._blocks)) <= 64
