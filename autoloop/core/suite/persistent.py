"""Persistent collections: each change gives a new version, and every earlier one stays as it was.

A state that holds thousands of trials is folded with them: a copy of a dictionary for each event would be quadratic.
"""

from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Table(Generic[K, V]):
    """What all versions of a map share. It only grows, so a reader in another thread sees nothing change."""

    def __init__(self, entries: Iterable[tuple[K, V]]) -> None:
        self.newest = 0
        self.ordered: list[tuple[K, list[tuple[int, V]]]] = [(key, [(0, value)]) for key, value in entries]
        """Each key with its values, and the version from which on each holds; in the order in which keys came."""
        self.by_key = dict(self.ordered)


class PersistentMap(Mapping[K, V]):
    """A map in the order of insertion, to which one more entry costs the same however many there are.

    The fat nodes of Driscoll, Sarnak, Sleator and Tarjan, "Making data structures persistent" (1989). The newest
    version is extended in place; where a second one branches off an earlier version, that one is copied first.
    """

    def __init__(self, entries: Iterable[tuple[K, V]] = ()) -> None:
        self._is_at(_Table(entries), 0)

    def _is_at(self, table: _Table[K, V], version: int) -> None:
        self._table = table
        self._version = version
        self._length = len(table.ordered)

    def having(self, key: K, value: V) -> "PersistentMap[K, V]":
        """The map with this entry, whether there was one of the key or not."""
        if self._version != self._table.newest:
            return PersistentMap(self.items()).having(key, value)
        table = self._table
        table.newest += 1
        if (values := table.by_key.get(key)) is not None:
            values.append((table.newest, value))
        else:
            table.by_key[key] = values = [(table.newest, value)]
            table.ordered.append((key, values))
        found: PersistentMap[K, V] = PersistentMap.__new__(PersistentMap)
        found._is_at(table, table.newest)
        return found

    def __getitem__(self, key: K) -> V:
        return self._current(key, self._table.by_key[key])

    def _current(self, key: K, values: list[tuple[int, V]]) -> V:
        for since, value in reversed(values):
            if since <= self._version:
                return value
        raise KeyError(key)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in islice(self._table.ordered, self._length))

    def __reversed__(self) -> Iterator[K]:
        return (self._table.ordered[number][0] for number in range(self._length - 1, -1, -1))

    def items(self) -> ItemsView[K, V]:
        """The entries, found without looking each key up."""
        return _Items(self)

    def _entries(self) -> Iterator[tuple[K, V]]:
        for key, values in islice(self._table.ordered, self._length):
            yield key, self._current(key, values)

    def __repr__(self) -> str:
        return f"PersistentMap({dict(self.items())!r})"


class _Items(ItemsView[K, V]):
    _mapping: PersistentMap[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._entries()


_BLOCK = 64
"""Keys that are copied when one of them is taken away."""


class PersistentSet(Collection[K]):
    """An ordered set from which keys are only taken away: each time one small block of it is copied."""

    def __init__(self, keys: Iterable[K] = ()) -> None:
        ordered = list(dict.fromkeys(keys))
        self._blocks = tuple(dict.fromkeys(ordered[at : at + _BLOCK]) for at in range(0, len(ordered), _BLOCK))
        self._block_of = {key: number // _BLOCK for number, key in enumerate(ordered)}
        self._length = len(ordered)

    def without(self, key: K) -> "PersistentSet[K]":
        """The set without a key, which need not be in it."""
        number = self._block_of.get(key)
        if number is None or key not in self._blocks[number]:
            return self
        block = dict(self._blocks[number])
        del block[key]
        found: PersistentSet[K] = PersistentSet.__new__(PersistentSet)
        found._blocks = (*self._blocks[:number], block, *self._blocks[number + 1 :])
        found._block_of, found._length = self._block_of, self._length - 1
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._block_of and key in self._blocks[self._block_of[key]]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        return (key for block in self._blocks for key in block)

    def __repr__(self) -> str:
        return f"PersistentSet({list(self)!r})"
