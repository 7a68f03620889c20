"""A pool of worker processes that take one trial at a time.

Each is spoken to in lines of JSON: orders on its standard input, signs of life, phases and results on its standard
output. A worker ends when its input does, so none outlives this process, however that ends.
"""

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from autoloop import process
from autoloop.core.suite.tasks import TrialOrder, TrialResult
from autoloop.ports import News

_GRACE = 5.0
"""Seconds that a worker has to end what it is at once it is told to."""
_LAST_WORDS = 20
"""Lines of standard error that are remembered."""


@dataclass
class _Worker:
    """One worker process, and what is known of it."""

    popen: subprocess.Popen[bytes]
    heard: float
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_WORDS))


class Pool:
    """The worker processes of a bench, numbered from 1."""

    def __init__(self, command: Sequence[str], count: int, *, cwd: Path, env: Mapping[str, str], run_id: str) -> None:
        self.command = list(command)
        self.cwd = cwd
        self.env = dict(env)
        self.run_id = run_id
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._listened = time.monotonic()
        self._workers: dict[int, _Worker] = {}
        for number in range(1, count + 1):
            process.sweep_run(self._mark(number))  # what a process that was killed may have left running
            self._start(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def give(self, worker: int, order: TrialOrder) -> None:
        """Let an idle worker take a trial. One that is gone is heard of by `news`."""
        stdin = self._workers[worker].popen.stdin
        assert stdin is not None, "a worker listens"
        marked = order.model_copy(update={"bench_id": self._mark(worker)})
        with suppress(OSError):
            stdin.write(marked.model_dump_json(exclude_none=True).encode() + b"\n")
            stdin.flush()

    def news(self, seconds: float) -> News | None:
        """The next message of a worker, or about one."""
        before = time.monotonic()
        self._forgive(before - self._listened)
        try:
            return self._news.get(timeout=seconds)
        except queue.Empty:
            return None
        finally:
            self._listened = time.monotonic()
            self._forgive(self._listened - before - seconds)

    def silence(self, worker: int) -> float:
        """Seconds since a worker last gave a sign of life."""
        return time.monotonic() - self._workers[worker].heard

    def replace(self, worker: int) -> None:
        """End a worker with all that it started, and start another in its place."""
        self._end(self._workers.pop(worker), grace=0.0)
        process.sweep_run(self._mark(worker))
        self._start(worker)

    def close(self) -> None:
        """End all workers, with all that they started."""
        for worker in self._workers.values():
            _signal(worker.popen, signal.SIGTERM)
        until = time.monotonic() + _GRACE
        for number, worker in self._workers.items():
            self._end(worker, grace=max(0.0, until - time.monotonic()))
            process.sweep_run(self._mark(number))
        self._workers.clear()

    def _mark(self, worker: int) -> str:
        """What the processes of one worker carry as the id of their run."""
        return f"{self.run_id}.{worker}"

    def _forgive(self, late: float) -> None:
        """Time in which this process could not listen, because it was stopped, says nothing of its workers."""
        if late > 1.0:
            for worker in self._workers.values():
                worker.heard += late

    def _start(self, number: int) -> None:
        popen = process.start(  # in a session of its own: a Ctrl-C is for the one that hands out
            self.command,
            cwd=self.cwd,
            env={**self.env, process.RUN: self._mark(number)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        worker = self._workers[number] = _Worker(popen, time.monotonic())
        for listen in (self._listen, self._listen_to_errors):
            threading.Thread(target=listen, args=(number, worker), daemon=True, name=f"worker-{number}").start()

    def _listen(self, number: int, worker: _Worker) -> None:
        assert worker.popen.stdout is not None, "a worker speaks"
        for line in worker.popen.stdout:
            worker.heard = time.monotonic()
            if (news := _parsed(number, line)) is not None and self._workers.get(number) is worker:
                self._news.put(news)
        worker.popen.wait()
        if self._workers.get(number) is worker:
            self._news.put(News(number, "gone", text=_last_words(worker)))

    def _listen_to_errors(self, number: int, worker: _Worker) -> None:
        assert worker.popen.stderr is not None, "a worker may complain"
        for line in worker.popen.stderr:
            worker.said.append(line.decode(errors="replace").strip())

    def _end(self, worker: _Worker, grace: float) -> None:
        popen = worker.popen
        with suppress(subprocess.TimeoutExpired):
            popen.wait(grace)
        _signal(popen, signal.SIGKILL)
        popen.wait()
        for stream in (popen.stdin,):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _parsed(number: int, line: bytes) -> News | None:
    """What a line says; a beat is heard and says nothing."""
    try:
        found: dict[str, Any] = json.loads(line)
        match found["kind"]:
            case "ready":
                return News(number, "ready")
            case "phase":
                return News(number, "phase", phase=str(found["phase"]), text=str(found.get("text", "")))
            case "paced":
                return News(number, "paced", seconds=float(found["seconds"]))
            case "result":
                return News(number, "result", result=TrialResult.model_validate(found["result"]))
    except (ValueError, KeyError, TypeError, ValidationError):
        pass
    return None


def _last_words(worker: _Worker) -> str:
    code = worker.popen.returncode
    how = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    words = [line for line in worker.said if line]
    return f"{how}: {words[-1][:300]}" if words else how


def _signal(popen: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the worker alone: it ends what it started; once it is killed, the sweep does."""
    with suppress(ProcessLookupError):
        os.kill(popen.pid, number)
