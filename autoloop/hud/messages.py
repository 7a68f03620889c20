"""The messages that viewers get: small JSON objects made of events. Pure.

Each has `kind` and `at` (Unix seconds); the hub numbers them. Texts that agents and verifiers wrote are cut, and are
data: whoever shows them escapes them.
"""

from collections.abc import Mapping
from typing import Any

from autoloop.core.run import events as loop
from autoloop.core.run.events import Event
from autoloop.core.run.notes import one_line
from autoloop.core.run.results import Row
from autoloop.core.suite import events as suite
from autoloop.core.suite.events import BenchEvent
from autoloop.core.suite.tasks import TrialKey, TrialResult

Message = dict[str, Any]

_LONGEST = 500
"""Characters of a text that is passed on."""


def message(kind: str, at: float, **fields: Any) -> Message:
    """A message of this kind, with its fields as JSON takes them."""
    return {"kind": kind, "at": at, **fields}


def cut(text: str) -> str:
    """A text on one line, cut to a length that people read."""
    return one_line(text, longest=_LONGEST)


def trial_fields(key: TrialKey) -> Mapping[str, Any]:
    """Which trial a message speaks of."""
    return {"arm": key.arm, "task": key.task, "iteration": key.iteration, "attempt": key.attempt}


def completed(at: float, key: TrialKey, result: TrialResult, *, regraded: bool = False) -> Message:
    """The message that a trial has a result."""
    return message(
        "task_completed",
        at,
        **trial_fields(key),
        outcome=result.outcome.value,
        reward=result.reward,
        seconds=result.seconds,
        turns=result.turns,
        cost_usd=result.cost_usd,
        failure_mode=result.failure_mode,
        detail=cut(result.detail),
        regraded=regraded,
    )


def of_bench(event: BenchEvent) -> Message:
    """The message for an event of a bench."""
    match event:
        case suite.BenchStarted():
            plan = event.plan
            arms, tasks = [arm.name for arm in plan.arms], len(plan.tasks)
            return message("run_started", event.at, id=event.bench_id, name=event.suite, arms=arms, tasks=tasks)
        case suite.BenchResumed():
            return message("run_resumed", event.at, workers=event.workers)
        case suite.TrialEnded():
            return completed(event.at, event.key, event.result)
        case suite.Regraded():
            return completed(event.at, event.key, event.result, regraded=True)
        case suite.WorkerReplaced():
            return _notice(event.at, f"worker {event.worker} was replaced: {event.why}")
        case suite.BenchWaited():
            return _notice(event.at, f"waited {event.seconds:.0f} s: {event.why}")
        case suite.GroupCut():
            return _notice(event.at, f"{event.group} is cut short: its {event.hours:g} hours are used up")
        case suite.BenchStopped():
            return message("run_completed", event.at, reason=event.reason.value, detail=cut(event.detail))


def of_run(event: Event) -> Message | None:
    """The message for an event of a run; None for one that only the row and the summary show."""
    match event:
        case loop.RunStarted():
            return message("run_started", event.at, id=event.run_id, name=event.program)
        case loop.RunResumed():
            return message("run_resumed", event.at)
        case loop.ExperimentStarted():
            return message("experiment_started", event.at, experiment=event.experiment)
        case loop.Decided():
            return _decided(event)
        case loop.RunStopped():
            return message("run_completed", event.at, reason=event.reason.value, detail=cut(event.detail))
    said = _said(event)
    return _notice(event.at, said) if said else None


def of_row(at: float, row: Row) -> Message:
    """The message that a row of the results is there, or has changed."""
    return message("experiment_row", at, row=row_fields(row))


def row_fields(row: Row) -> dict[str, Any]:
    """The columns of the results, with what the verdict says."""
    fields = row.model_dump(mode="json", exclude={"secondary", "flags"})
    return {**fields, "flags": [flag.sign.value for flag in row.flags]}


def _decided(event: loop.Decided) -> Message:
    decision = event.decision
    return message(
        "experiment_decided",
        event.at,
        experiment=event.experiment,
        status=decision.reason.status.value,
        reason=decision.reason.value,
        metric=decision.metric,
        gain=decision.gain,
        description=cut(event.description),
        why=cut(decision.why),
    )


def _said(event: Event) -> str:
    match event:
        case loop.Waited():
            return f"waited {event.seconds:.0f} s: {event.why}"
        case loop.Disturbed():
            return f"a step of experiment {event.experiment} is taken again: {event.why}"
        case loop.Guided():
            return f"guidance: {event.text}" if event.text else "the guidance was withdrawn"
        case loop.LimitsChanged():
            return "limits: " + ", ".join(f"{name} {value}" for name, value in event.limits.items())
        case loop.VerificationStarted():
            return "the original is measured against what was kept"
        case loop.Verified():
            gain = event.verification.gain
            return "verified" if gain is None else f"verified: a gain of {gain:+.1%}"
    return ""


def _notice(at: float, text: str) -> Message:
    return message("notice", at, text=cut(text))
