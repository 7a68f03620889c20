"""Which settings fit what was seen of a measurement, each with its reason."""

import math
from dataclasses import dataclass

from autoloop.core.evidence.noise import Scale
from autoloop.core.run.program import Criteria, Program, Rule
from autoloop.core.text import percent, rough_duration
from autoloop.core.validation.outlook import Outlook, Timing, smallest_gain, wanted_gain
from autoloop.core.validation.stability import Class, Stability

_FEW = 6
"""Experiments of a night, below which pairs are too expensive."""
_LONG = 30.0
"""A warm-up of more seconds is worth leaving out."""
_MUCH = 0.5
"""The share of a night for measuring at which samples are expensive: sessions take as long again."""
_MORE_PAIRS = 32
"""Beyond these, pairs resolve hardly more."""


@dataclass(frozen=True)
class Setting:
    """One field of `config.toml`, what it should be, and why."""

    field: str
    value: str | int | float | None
    """None leaves it out."""
    reason: str
    in_force: bool
    """Whether the program has it so already."""

    @property
    def line(self) -> str:
        """The setting as a line of `config.toml`, its reason behind it; a comment where nothing is to be changed."""
        return f"{self.assignment}  # {self.reason}"

    @property
    def assignment(self) -> str:
        """The setting as a line of `config.toml`, without its reason."""
        shown = f'"{self.value}"' if isinstance(self.value, str) else f"{self.value}"
        text = f"{self.field} = {shown}" if self.value is not None else f"no {self.field}"
        return f"# {text}" if self.in_force or self.value is None else text


def settings(found: Stability, outlook: Outlook, timing: Timing, program: Program, scale: Scale) -> tuple[Setting, ...]:
    """The settings that fit the measurement, each with its reason."""
    rule = _rule(found, outlook, program.criteria)
    by_pairs = rule.value == Rule.PAIRED.value
    size = _max_pairs(found, outlook, program, scale) if by_pairs else _repeats(outlook, program.criteria)
    return (
        rule,
        size,
        _threshold(found, outlook, program.criteria, by_pairs),
        _warmup(found, timing, program),
        *([_baseline(found, outlook, program)] if by_pairs else []),
        *_timeout(timing, program),
        *_least_time(timing, program.criteria),
    )


def _rule(found: Stability, outlook: Outlook, criteria: Criteria) -> Setting:
    in_force = criteria.rule
    chosen, why = Rule.PAIRED, "decides with a stated chance of error, whatever the noise and its drift"
    nights = max(outlook.fresh.experiments, outlook.reuse.experiments)
    if found.kind is Class.DETERMINISTIC:
        why = "no spread: one pair discards, two keep"
    elif nights < _FEW and found.steady and not (found.in_seed or found.alike):
        chosen = Rule.MEDIAN
        why = f"only {nights} experiments by pairs fit into {outlook.hours:g} h; medians are cheaper and promise less"
    return Setting("rule", chosen.value, why, in_force is chosen)


def _max_pairs(found: Stability, outlook: Outlook, program: Program, scale: Scale) -> Setting:
    criteria, wanted = program.criteria, wanted_gain(found, program)
    now = criteria.max_pairs
    bare = criteria.model_copy(update={"noise_threshold": None})

    def resolves(pairs: int) -> float:
        gain = smallest_gain(found, scale, bare, pairs)
        return math.inf if gain is None else gain

    usual = max(now, 16)
    if found.kind is Class.DETERMINISTIC and outlook.unbounded is not None:
        return Setting("max_pairs", now, "more than it will need", True)
    if wanted is not None and resolves(_MORE_PAIRS) <= wanted < resolves(usual):
        return Setting("max_pairs", _MORE_PAIRS, f"resolves the {percent(wanted)} that you ask for", now == _MORE_PAIRS)
    if resolves(usual) < resolves(now):
        return Setting("max_pairs", usual, f"resolves {percent(resolves(usual))}; {now} are too few", False)
    return Setting("max_pairs", now, f"resolves {percent(resolves(now))}; more of them add little", True)


def _repeats(outlook: Outlook, criteria: Criteria) -> Setting:
    least = max(criteria.repeats, 3)
    seen = "no gain at all" if outlook.median is None else f"a gain of {percent(outlook.median)}"
    reason = f"with them {seen} is found in 9 of 10 cases"
    if least > criteria.repeats:
        reason = "the median of fewer follows every outlier"
    return Setting("repeats", least, reason, least == criteria.repeats)


def _threshold(found: Stability, outlook: Outlook, criteria: Criteria, by_pairs: bool) -> Setting:
    given, asks = criteria.noise_threshold, _rounded_up(outlook.noise_asks)
    if by_pairs and given is None:
        return Setting("noise_threshold", None, "pairs meet the noise themselves; set what is not worth a change", True)
    if by_pairs and given is not None:
        decides = outlook.unbounded is not None and given >= outlook.unbounded
        reason = "decides: the noise alone allows less" if decides else "does no harm: the noise asks for more anyway"
        return Setting("noise_threshold", given, reason, True)
    if given is not None and given >= outlook.noise_asks:
        return Setting("noise_threshold", given, f"fits: the noise asks for {percent(outlook.noise_asks)}", True)
    if given is None:
        return Setting("noise_threshold", None, f"calibration finds it, about {percent(asks)}", True)
    return Setting("noise_threshold", asks, f"below it a median of {criteria.repeats} is noise", False)


def _warmup(found: Stability, timing: Timing, program: Program) -> Setting:
    now = program.measuring.warmup
    if found.warming:
        return Setting("warmup", now + 1, f"the first pair was still {percent(abs(found.warm_up))} off", False)
    if found.cold_start and found.cold is not None:
        off = f"the first sample after a build is {percent(abs(found.cold))} off"
        return Setting("warmup", max(now, 1), off, now > 0)
    if now and timing.sample > _LONG and found.cold is not None:
        saved = f"the first sample after a build is like the others; saves {now * timing.sample:.0f} s an experiment"
        return Setting("warmup", 0, saved, False)
    return Setting("warmup", now, "no effect of a cold start is left", True)


def _baseline(found: Stability, outlook: Outlook, program: Program) -> Setting:
    chosen, why = _fresh_or_reuse(found, outlook, program)
    return Setting("baseline", chosen, f"{why}; {_nights(outlook, program)}", program.criteria.baseline == chosen)


def _nights(outlook: Outlook, program: Program) -> str:
    """What fresh and reused baselines cost in a night of measuring."""
    fresh, reuse, wanted = outlook.fresh, outlook.reuse, program.limits.max_experiments
    if fresh.experiments < wanted:
        return f"{fresh.experiments} experiments fit into {outlook.hours:g} h fresh, {reuse.experiments} with reuse"
    return (
        f"{wanted} experiments take {rough_duration(fresh.seconds)} fresh, {rough_duration(reuse.seconds)} with reuse"
    )


def _fresh_or_reuse(found: Stability, outlook: Outlook, program: Program) -> tuple[str, str]:
    expensive = outlook.fresh.seconds > _MUCH * outlook.hours * 3600
    if not found.steady:
        return "fresh", "what drifts must be measured side by side"
    if not expensive:
        return "fresh", "pairs are cheap enough"
    if found.kind is Class.DETERMINISTIC or found.in_seed:
        return "reuse", "the same seed gives the same value, so nothing can drift"
    if found.alike:
        return "fresh", "samples far apart in time differ more than those of a pair"
    if not found.watched:
        return "fresh", f"{found.pairs} pairs are too few to rule a drift out"
    return "reuse", "no drift was seen, and samples are expensive"


def _timeout(timing: Timing, program: Program) -> list[Setting]:
    limit, longest = program.measuring.measurement_timeout, max(timing.seconds)
    if not limit or longest * 2000 < limit:
        return []
    seconds = max(1, math.ceil(_rounded_up(3 * longest)))
    reason = f"a sample took {longest:.3g} s of the {limit / 1000:g} s allowed"
    return [Setting("measurement_timeout", seconds * 1000, reason, False)]


def _least_time(timing: Timing, criteria: Criteria) -> list[Setting]:
    fastest, given = min(timing.seconds) * 1000, criteria.min_sample_ms
    tenth = float(f"{fastest / 10:.1g}")
    shown = int(tenth) if tenth >= 1 else tenth
    if given is not None and given > fastest / 2:
        reason = f"samples take {rough_duration(fastest / 1000)}: {given:g} would flag real gains"
        return [Setting("min_sample_ms", shown, reason, False)]
    if given is not None:
        return [Setting("min_sample_ms", given, "far below what a sample takes", True)]
    if fastest < 50:
        return []
    now = rough_duration(fastest / 1000)
    return [Setting("min_sample_ms", shown, f"ten times as fast as now ({now}) would be implausible", False)]


def _rounded_up(value: float) -> float:
    """A value rounded up to two significant digits."""
    if value <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step - 1e-9) * step:.3g}")
