"""Counting: batches of documents become sorted segments, and the segments one sorted list."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from wordindex.reading import pieces
from wordindex.settings import MERGE, SEGMENT_DOCUMENTS
from wordindex.words import stems

Postings = list[tuple[int, int]]
"""Document and count, in the order of the documents."""
Entry = tuple[str, Postings]
Segment = list[Entry]
"""Entries in the order of their stems, each stem once."""


def entries(documents: Sequence[Path]) -> Segment:
    """Every stem of the documents with its postings."""
    numbered = list(enumerate(documents))
    batches = (numbered[at : at + SEGMENT_DOCUMENTS] for at in range(0, len(numbered), SEGMENT_DOCUMENTS))
    return _MERGES[MERGE]([_segment(batch) for batch in batches])


def _segment(batch: Iterable[tuple[int, Path]]) -> Segment:
    postings: dict[str, Postings] = defaultdict(list)
    for number, document in batch:
        counts: dict[str, int] = {}
        for piece in pieces(document):
            for stem in stems(piece):
                counts[stem] = counts.get(stem, 0) + 1
        for stem, count in counts.items():
            postings[stem].append((number, count))
    return sorted(postings.items())


def _pairwise(segments: list[Segment]) -> Segment:
    """Merge neighbours, then the results, until one is left."""
    while len(segments) > 1:
        pairs = zip(segments[::2], [*segments[1::2], []])
        segments = [_two(left, right) for left, right in pairs]
    return segments[0] if segments else []


def _two(left: Segment, right: Segment) -> Segment:
    merged: Segment = []
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i][0] < right[j][0]:
            merged.append(left[i])
            i += 1
        elif left[i][0] > right[j][0]:
            merged.append(right[j])
            j += 1
        else:
            merged.append((left[i][0], left[i][1] + right[j][1]))
            i, j = i + 1, j + 1
    return [*merged, *left[i:], *right[j:]]


def _heap(segments: list[Segment]) -> Segment:
    """Take the smallest stem of all segments again and again."""
    return _joined(heapq.merge(*segments, key=itemgetter(0)))


def _sort(segments: list[Segment]) -> Segment:
    """Put them one after another and sort: the sort is stable, and quick where there are long runs."""
    return _joined(sorted((entry for segment in segments for entry in segment), key=itemgetter(0)))


def _joined(ordered: Iterable[Entry]) -> Segment:
    grouped = groupby(ordered, key=itemgetter(0))
    return [(stem, [posting for _, postings in same for posting in postings]) for stem, same in grouped]


_MERGES: dict[str, Callable[[list[Segment]], Segment]] = {"pairwise": _pairwise, "heap": _heap, "sort": _sort}
