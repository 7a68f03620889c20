"""The views of a bench's journal: records of trials, iterations, episodes, the summary, and `state.json`.

All of them can be made anew from the journal, and no view that finds no room holds a bench up.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from autoloop.core.suite.contrast import delta
from autoloop.core.suite.episode import EpisodeRecord, episode
from autoloop.core.suite.events import BenchEvent, BenchStopped, GroupCut, Regraded, TrialEnded
from autoloop.core.suite.plan import BenchPlan
from autoloop.core.suite.state import BenchState
from autoloop.core.suite.summary import cut_in, summarise
from autoloop.core.suite.summary_text import iteration_text, summary_text
from autoloop.core.suite.tasks import Outcome, TrialKey, TrialResult
from autoloop.errors import NoRoom
from autoloop.journal.files import append_text, write_atomically
from autoloop.journal.locks import locked
from autoloop.suites.directory import BenchDirectory, run_id

_SHARE = 0.03
"""The part of the time that may go into `state.json`; a second passes between two of them at least."""

_FIRST = {"verdict": None, "sentence": "there is no iteration before it"}


class BenchViews:
    """Keeps the views of one bench up to date with its journal."""

    def __init__(self, directory: BenchDirectory, plan: BenchPlan) -> None:
        self._directory = directory
        self._plan = plan
        self._workers: dict[int, dict[str, Any]] = {}
        self._state: BenchState | None = None
        self._length = 0
        self._due = 0.0
        self._open: Counter[tuple[str, int]] = Counter()
        """How many trials of an arm's iteration are to be taken before it is complete."""
        self._complete: set[tuple[str, int]] = set()
        """What is complete stays so while a resume tries errors again."""

    def rebuild(self, state: BenchState) -> None:
        """Write what a process that was killed may not have written any more."""
        self._state = state
        trials = list(self._plan.trials())
        errors = {key for key, result in state.results.items() if result.outcome is Outcome.ERROR}
        self._open = Counter((key.arm, key.iteration) for key in trials if key not in state.results or key in errors)
        left = {(key.arm, key.iteration) for key in trials if not state.is_settled(key)}
        self._complete = {(key.arm, key.iteration) for key in trials} - left
        with suppress(NoRoom):
            for key in state.results:
                if not self._directory.record(key, self._plan).exists():
                    self._write_record(key, state.results[key])
            for which in sorted(self._complete):
                self._write_iteration(state, *which)

    def on_append(self, event: object, state: BenchState, length: int) -> None:
        """Bring the views up to a state that includes a new event."""
        self._state, self._length = state, length
        with suppress(NoRoom):
            match event:
                case TrialEnded(key=key) | Regraded(key=key):
                    self._write_record(key, state.results[key])
                    self._count(event, key, state)
                case GroupCut(group=group):
                    self._cut_short(group, state)
                case BenchStopped():
                    self._workers.clear()
                    self._write_end(state)
                case _:
                    pass
            self._write_state(now=isinstance(event, BenchStopped))

    def on_worker(self, worker: int, key: TrialKey | None, phase: str, text: str) -> None:
        """Note what a worker does."""
        if key is None:
            self._workers.pop(worker, None)
        else:
            before = self._workers.get(worker, {})
            since = before["since"] if before.get("phase") == phase else time.time()
            self._workers[worker] = {
                "worker": worker, **key.model_dump(), "phase": phase, "since": since, "text": text
            }  # fmt: skip
        with suppress(NoRoom):
            self._write_state()

    def _count(self, event: BenchEvent, key: TrialKey, state: BenchState) -> None:
        """Once an arm's iteration is complete, write what it came to, and the delta of the one after it anew."""
        which, after = (key.arm, key.iteration), (key.arm, key.iteration + 1)
        if isinstance(event, TrialEnded):
            if not state.is_settled(key):
                return
            self._open[which] -= state.group_of(key) not in state.cut
        if which in self._complete or self._open[which] <= 0:
            self._complete.add(which)
            for one in self._complete & {which, after}:
                self._write_iteration(state, *one)
            self._write_end(state)

    def _cut_short(self, group: str, state: BenchState) -> None:
        """An arm's iteration of which nothing more is to be taken is as complete as it will be."""
        cut = Counter((key.arm, key.iteration) for key in state.open if state.group_of(key) == group)
        self._open -= cut
        for arm, iteration in sorted(cut):
            if self._open[arm, iteration] <= 0 and state.of(arm=arm, iteration=iteration):
                self._complete.add((arm, iteration))
                self._write_iteration(state, arm, iteration)

    def _write_record(self, key: TrialKey, result: TrialResult) -> None:
        """Write `runs/<run_id>.json`, the record of one trial."""
        path = self._directory.record(key, self._plan)
        path.parent.mkdir(parents=True, exist_ok=True)
        place = self._directory.trial(key, self._plan)
        write_atomically(path, _json(record_of(key, result, run_id(key, self._plan), place, self._directory.path)))

    def _write_iteration(self, state: BenchState, arm: str, iteration: int) -> None:
        """Write `iterations/NNN/` (results, delta and report), and add the episode to all episodes."""
        place = self._directory.iteration(iteration)
        place = place / arm if self._plan.several_arms else place
        place.mkdir(parents=True, exist_ok=True)
        results = state.of(arm=arm, iteration=iteration)
        before = state.of(arm=arm, iteration=iteration - 1)
        names = (f"iteration {iteration - 1}", f"iteration {iteration}")
        changed = delta(before, results, names=names) if before else None
        found = self._episode(state, arm, iteration)
        trials = [{**key.model_dump(), **result.model_dump(mode="json")} for key, result in results.items()]
        write_atomically(place / "results.json", _json({"episode": found.model_dump(mode="json"), "trials": trials}))
        write_atomically(place / "delta.json", _json(changed.model_dump(mode="json") if changed else _FIRST))
        write_atomically(place / "report.md", iteration_text(found, results, changed, cut_in(state, arm, iteration)))
        self._add_episode(found)

    def _episode(self, state: BenchState, arm: str, iteration: int) -> EpisodeRecord:
        place = self._directory.iteration(iteration)
        place = place / arm if self._plan.several_arms else place
        return episode(state, arm, iteration, results_path=str(place / "results.json"))

    def _add_episode(self, found: EpisodeRecord) -> None:
        """Add an episode to the file that all benches share: once, whatever was killed in between, and as it is now."""
        path, line = self._directory.shared_episodes, found.to_line().decode()
        with locked(path.with_name(f"{path.name}.lock")):
            known = path.read_text(errors="replace") if path.exists() else ""
            lines = known.splitlines(keepends=True)
            place = next((number for number, one in enumerate(lines) if f'"id":"{found.id}"' in one), None)
            if place is None:
                start = "" if not known or known.endswith("\n") else "\n"  # after a torn line
                append_text(path, start + line)
            elif lines[place] != line:
                write_atomically(path, "".join([*lines[:place], line, *lines[place + 1 :]]))

    def _write_end(self, state: BenchState) -> None:
        """Write the summary, and all episodes so far."""
        summary = summarise(state)
        place = self._directory.path
        episodes = [self._episode(state, arm, number) for arm, number in sorted(self._complete)]
        write_atomically(place / "summary.json", summary.model_dump_json(indent=2) + "\n")
        write_atomically(place / "summary.md", summary_text(summary, episodes))
        write_atomically(place / "episodes.json", _json([found.model_dump(mode="json") for found in episodes]))

    def _write_state(self, now: bool = False) -> None:
        """Write `state.json`, so seldom that it costs next to nothing."""
        began = time.monotonic()
        if self._state is None or (began < self._due and not now):
            return
        summary = summarise(self._state).model_dump(mode="json")
        found = {**summary, "workers": list(self._workers.values()), "journal_bytes": self._length}
        write_atomically(self._directory.state, _json(found))
        took = time.monotonic() - began
        self._due = began + max(1.0, took / _SHARE)


def record_of(key: TrialKey, result: TrialResult, name: str, place: Path, top: Path) -> dict[str, Any]:
    """The record of a trial, under the names that people know from such records."""
    return {
        "run_id": name,
        "test_id": key.task,
        "arm": key.arm,
        "iteration": key.iteration,
        "attempt": key.attempt,
        "timestamp_start": _moment(result.started),
        "timestamp_end": _moment(result.started + result.seconds),
        "duration": result.seconds,
        "rounds": result.turns,
        "actions": result.actions,
        "success": result.passed,
        "failure_mode": result.failure_mode or None,
        "workspace": result.workspace or None,
        "output_log": str((place / "output.txt").relative_to(top)),
        **result.model_dump(mode="json", exclude={"workspace", "failure_mode", "seconds", "turns", "actions"}),
    }


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _json(value: Mapping[str, Any] | list[Any]) -> str:
    return json.dumps(value, indent=2) + "\n"
