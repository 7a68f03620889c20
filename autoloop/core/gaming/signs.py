"""Signs of gaming in a diff: what moves the number instead of the thing, as far as its lines tell.

It proves nothing, in either direction. What is found is a reason to look, and who hides it well is not found.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from autoloop.core.gaming import words
from autoloop.core.gaming.patches import FileKind, FilePatch, kind_of, read_patch, without_moves
from autoloop.core.gaming.words import Cases
from autoloop.core.run.candidate import Candidate
from autoloop.core.run.flags import Flag, Sign
from autoloop.core.run.notes import one_line

_LONGEST = 100
"""Characters of a path or of a line that is quoted."""

Found = Iterator[str]
"""The places in a diff that show one sign of gaming, in words."""


@dataclass(frozen=True)
class _File:
    """What comes and goes in one file: lines of code that were not merely moved."""

    patch: FilePatch
    kind: FileKind

    @property
    def name(self) -> str:
        return self.patch.path.rpartition("/")[2]

    @cached_property
    def is_measured(self) -> bool:
        """Whether it may run when the metric is taken. Most tests do not; their `conftest.py` does."""
        return self.kind in (FileKind.CODE, FileKind.BENCHMARK) or self.name == "conftest.py"

    def at(self, line: str) -> str:
        return f"{one_line(self.patch.path, _LONGEST)}: {one_line(line, _LONGEST)}"


@dataclass(frozen=True)
class _Diff:
    files: tuple[_File, ...]
    unseen: tuple[FilePatch, ...]
    """Files of which not every line is known."""
    metric: str
    cases: Cases


def signs(candidate: Candidate, patch: str, *, metric: str, cases: Collection[str]) -> tuple[Flag, ...]:
    """The signs that a candidate's diff shows, each once, with the first place that shows it.

    `metric` is the name of the primary metric, `cases` are the names of the measured cases.
    """
    read = read_patch(patch, candidate)
    files = tuple(
        _File(one, kind_of(one.path)) for one in without_moves(read) if kind_of(one.path) is not FileKind.TEXT
    )
    diff = _Diff(files, tuple(one for one in read if not one.is_whole), metric, Cases(cases))
    found = ((sign, list(look(diff))) for sign, look in _LOOKS.items())
    return tuple(Flag(sign=sign, detail=_told(places)) for sign, places in found if places)


def _told(places: list[str]) -> str:
    return places[0] + (f" and {len(places) - 1} more" if len(places) > 1 else "")


def _seeds(diff: _Diff) -> Found:
    """A seed that is another one now, or that code fixes anew. New tests may have seeds of their own."""
    known = {seed for file in diff.files for line in file.patch.removed for seed in _seeds_in(line)}
    for file in diff.files:
        had_one = any(map(_seeds_in, file.patch.removed))
        for line in file.patch.added:
            new = [seed for seed in _seeds_in(line) if seed not in known and any(map(str.isdigit, seed))]
            fixed = any(seed.lstrip("-[\"'")[:1].isdigit() for seed in new) and file.kind is not FileKind.TEST
            if fixed or (new and had_one):
                yield file.at(line)


def _seeds_in(line: str) -> list[str]:
    if words.HASHING.search(line):
        return []
    given = (seed for match in words.SEED_GIVEN.finditer(line) for seed in match.groups() if seed)
    return [seed.strip() for seed in (*given, *(match[1] for match in words.SEED_SET.finditer(line)))]


def _special_cases(diff: _Diff) -> Found:
    """The name of a measured case, in code or settings."""
    for file in diff.files:
        if file.kind is not FileKind.TEST:
            known = {case for line in file.patch.removed for case in diff.cases.named_in(line)}
            yield from (file.at(line) for line in file.patch.added if set(diff.cases.named_in(line)) - known)


def _checks(diff: _Diff) -> Found:
    """Test files that are gone, fewer assertions or tests than before, and tests that are skipped."""
    new_names = {file.name for file in diff.files if file.patch.change.kind == "added"}
    for file in diff.files:
        if file.kind is FileKind.TEST and file.patch.change.kind == "deleted" and file.name not in new_names:
            yield f"{one_line(file.patch.path, _LONGEST)}: deleted"
    yield from _fewer(diff, _is_assertion, lambda line: bool(words.REFUSAL.search(line)))
    yield from _fewer(diff, _is_test, lambda line: False)
    for file in diff.files:
        was_there = file.patch.change.kind != "added"
        came, went = (
            [line for line in lines if _skips(file, line)] for lines in (file.patch.added, file.patch.removed)
        )
        if was_there and len(came) > len(went):
            yield file.at(came[0])


def _fewer(diff: _Diff, is_check: Callable[[_File, str], bool], stands_in: Callable[[str], bool]) -> Found:
    """The first check that went, when more went than came."""
    looked_at = [file for file in diff.files if file.kind is not FileKind.SETTINGS]
    went = [(file, line) for file in looked_at for line in file.patch.removed if is_check(file, line)]
    came = sum(is_check(file, line) or stands_in(line) for file in looked_at for line in file.patch.added)
    if len(went) > came:
        file, line = went[0]
        yield f"{file.at(line)}: removed"


def _is_assertion(file: _File, line: str) -> bool:
    asserts = words.ASSERTION.search(line) or (file.kind is FileKind.TEST and words.EXPECTATION.search(line))
    return bool(asserts) and not words.VAIN.search(line)


def _is_test(file: _File, line: str) -> bool:
    return bool(words.TEST.search(line) or (file.kind is FileKind.TEST and words.TEST_BLOCK.search(line)))


def _skips(file: _File, line: str) -> bool:
    skipped = file.kind is FileKind.TEST and words.SKIPPED.search(line)
    return bool(skipped or (file.kind in (FileKind.TEST, FileKind.SETTINGS) and words.DESELECTED.search(line)))


def _timing(diff: _Diff) -> Found:
    """A clock that is replaced, or used in new lines. In tests only where the lines before had to do with one."""
    for file in diff.files:
        clocks = [line for line in file.patch.added if words.CLOCK.search(line) or words.CLOCK_REPLACED.search(line)]
        if clocks and (file.is_measured or any(map(words.CLOCK.search, file.patch.removed))):
            yield file.at(next(filter(words.CLOCK_REPLACED.search, clocks), clocks[0]))


def _probes(diff: _Diff) -> Found:
    """Code that looks at who measures it, that acts at the very end, or that prints the metric itself."""
    metric = words.metric_printed(diff.metric)
    for file in (file for file in diff.files if file.is_measured):
        if file.name in words.HOOK_FILES and file.patch.change.kind == "added":
            yield f"{one_line(file.patch.path, _LONGEST)}: runs in every Python process"
        known = {match[0] for line in file.patch.removed for match in words.PROBE.finditer(line)}
        for line in file.patch.added:
            probes = any(match[0] not in known for match in words.PROBE.finditer(line))
            if probes or (words.PRINTS.search(line) and metric.search(line)):
                yield file.at(line)


def _unseen(diff: _Diff) -> Found:
    """Code that the diff does not show: it is beyond what is read, or taken for binary."""
    for one in diff.unseen:
        is_binary = one.change.added is None
        if words.SOURCE.fullmatch(one.path) or (not is_binary and kind_of(one.path) is FileKind.CODE):
            yield f"{one_line(one.path, _LONGEST)}: {'binary' if is_binary else 'beyond what is read of a diff'}"


_LOOKS: dict[Sign, Callable[[_Diff], Found]] = {
    Sign.SEED_CHANGED: _seeds,
    Sign.CASES_SPECIAL_CASED: _special_cases,
    Sign.CHECKS_REMOVED: _checks,
    Sign.TIMING_TOUCHED: _timing,
    Sign.MEASUREMENT_PROBED: _probes,
    Sign.NOT_INSPECTED: _unseen,
}
