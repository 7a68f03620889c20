"""Why a run ended without a keep, in sentences that a person can act on."""

from autoloop.core.reasons import Reason
from autoloop.core.run import RunState

_ADVICE = {
    Reason.WITHIN_NOISE: "the noise hides smaller gains: measure more work per sample, see `autoloop validate`",
    Reason.REGRESSED: "the ideas made it worse: steer with `autoloop guide`",
    Reason.GATE_FAILED: "see which gate with `autoloop results`, and whether its bound is meant",
    Reason.HOLDOUT_FAILED: "gains did not carry over to the holdout",
    Reason.CHECKS_FAILED: "try checks.sh by hand on one of the candidates",
    Reason.BUILD_FAILED: "try build.sh by hand on one of the candidates",
    Reason.LOCK_VIOLATION: "the agent edits what measures it: say in program.md what is off limits",
    Reason.OUT_OF_SCOPE: "the agent edits outside `editable`: widen it, or say so in program.md",
    Reason.NO_CANDIDATE: "the agent ends without a change: read a transcript in `experiments/`",
    Reason.AGENT_FAILED: "the agent fails: read a transcript in `experiments/`",
    Reason.MEASUREMENT_FAILED: "candidates break measure.sh: try it by hand on one of them",
}


def diagnose(state: RunState) -> tuple[str, ...]:
    """One sentence for each rung at which experiments ended, commonest first; nothing when one was kept."""
    totals = state.totals
    if totals.kept or not totals.experiments:
        return ()
    counted = sorted(totals.by_reason.items(), key=lambda item: -item[1])
    sentences = [
        f"{count} of {totals.experiments} {reason}" + (f": {advice}" if (advice := _ADVICE.get(Reason(reason))) else "")
        for reason, count in counted
    ]
    if state.noise and state.noise.threshold:
        sentences.append(f"gains below {100 * state.noise.threshold:.2g} % could not be told from noise")
    return tuple(sentences)
