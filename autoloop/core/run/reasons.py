"""The closed sets of words that a decision and a run end with."""

from enum import StrEnum


class Status(StrEnum):
    """The result of an experiment, as `results.tsv` shows it."""

    BASELINE = "baseline"
    KEEP = "keep"
    DISCARD = "discard"
    CRASH = "crash"


class Reason(StrEnum):
    """The reason of a decision: one word for each rung of the ladder."""

    IMPROVED = "improved"
    SIMPLIFIED = "simplified"
    WITHIN_NOISE = "within_noise"
    REGRESSED = "regressed"
    GATE_FAILED = "gate_failed"
    HOLDOUT_FAILED = "holdout_failed"
    CHECKS_FAILED = "checks_failed"
    BUILD_FAILED = "build_failed"
    LOCK_VIOLATION = "lock_violation"
    OUT_OF_SCOPE = "out_of_scope"
    NO_CANDIDATE = "no_candidate"
    AGENT_FAILED = "agent_failed"
    MEASUREMENT_FAILED = "measurement_failed"
    INTERRUPTED = "interrupted"
    STALE = "stale"

    @property
    def status(self) -> Status:
        """The verdict that this reason stands for."""
        if self in _KEEPS:
            return Status.KEEP
        return Status.CRASH if self in _CRASHES else Status.DISCARD


_KEEPS = {Reason.IMPROVED, Reason.SIMPLIFIED}
_CRASHES = {
    Reason.AGENT_FAILED,
    Reason.NO_CANDIDATE,
    Reason.BUILD_FAILED,
    Reason.MEASUREMENT_FAILED,
    Reason.INTERRUPTED,
}


class StopReason(StrEnum):
    """The reason why a run ended."""

    STAGNATION = "stagnation"
    MAX_EXPERIMENTS = "max_experiments"
    MAX_HOURS = "max_hours"
    BUDGET = "budget"
    TARGET = "target"
    STOPPED = "stopped"
    ABORTED = "aborted"
    AGENT_UNAVAILABLE = "agent_unavailable"
    FAULT = "fault"
