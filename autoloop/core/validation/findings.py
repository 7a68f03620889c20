"""What a validation says: the findings in words that a person can act on, and every number for programs."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from autoloop.core.run.program import Program, Rule
from autoloop.core.text import percent, rough_duration
from autoloop.core.validation import outlook as outlooks
from autoloop.core.validation.outlook import Cost, Outlook, Timing, outlook
from autoloop.core.validation.settings import Setting, settings
from autoloop.core.validation.stability import Class, Reruns, Stability, scale_of, stability


@dataclass(frozen=True)
class Validation:
    """The result of validating a program's measurement. Shares and gains are fractions."""

    program: str
    metric_field: str
    rule: str
    """The rule in force; `threshold`, `resolvable` and `seconds_per_experiment` are its."""
    values: tuple[float, ...]
    """The metric in one tree, in the order taken."""
    others: tuple[float, ...]
    """The metric in the other tree, with the same seeds."""
    seconds_per_sample: float
    spread: float
    """Relative standard deviation of one sample."""
    threshold: float
    """The noise threshold in force: the program's, or what the noise asks for."""
    resolvable: float | None
    """The relative gain that is found in 9 of 10 cases; None when none is."""
    seconds_per_experiment: float
    """Measuring and building alone, without the agent, when the change has no effect."""
    false_keeps: float
    """To expect in a run of `max_experiments` when no change does anything."""
    experiments: int
    repeats: int
    max_pairs: int
    given_threshold: float | None
    stability: Stability
    outlook: Outlook
    settings: tuple[Setting, ...]
    sandbox: str
    """The tier that these samples were taken in, and a run's would be."""
    unresolved: str | None = None
    """Why what is asked for cannot be shown on this machine."""
    remedies: tuple[str, ...] = ()
    """What would help."""
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Every number of the validation, for `--json`; infinite values become None."""
        facts: dict[str, Any] = _plain(asdict(self))
        facts["settings"] = [{**asdict(setting), "line": setting.line} for setting in self.settings]
        return facts

    def lines(self) -> tuple[str, ...]:
        """The findings as sentences for people, one a line."""
        width = max(len(setting.assignment) for setting in self.settings)
        return (
            self._measured(),
            "",
            _class(self.stability),
            *_findings(self.stability),
            "",
            *self._resolution(),
            *self._prices(),
            self._errors(),
            *self._verdict(),
            *(f"warning: {text}" for text in self.warnings),
            "",
            "Recommended for config.toml (lines with # are right as they are):",
            *(f"  {setting.assignment:{width}}  # {setting.reason}" for setting in self.settings),
        )

    def _measured(self) -> str:
        span = f"{min(self.values + self.others):.6g} to {max(self.values + self.others):.6g}"
        pairs, each = (
            f"{len(self.values)} pairs in two trees of the same commit",
            rough_duration(self.seconds_per_sample),
        )
        how = f"{each} a sample, sandbox {self.sandbox}"
        return f"{self.metric_field}: {self.stability.median:.6g} ({span}), {pairs}, {how}"

    def _resolution(self) -> list[str]:
        seen, figures = self.stability, self.outlook
        if seen.kind is Class.DETERMINISTIC:
            return ["Resolves: any gain at all" + (f" above {percent(self.threshold)}" if self.threshold else "")]
        by_pairs, by_median = (
            "no gain" if gain is None else f"{percent(gain)} and more" for gain in (figures.paired, figures.median)
        )
        drift = " as long as nothing drifts" if seen.steady else ", and what drifts passes for gains"
        lines = [
            f"Resolves, in 9 of 10 cases: {by_pairs} with rule = paired and {self.max_pairs} pairs;",
            f"  {by_median} with rule = median of {self.repeats}{drift}",
        ]
        alters = "  paired: that is for changes that alter how chance is used; of others it sees any gain in every seed"
        return [
            *lines,
            *([alters] if seen.in_seed else []),
            *([f"  noise_threshold: {_fit(self)}"] if self.given_threshold is not None else []),
        ]

    def _prices(self) -> list[str]:
        figures = self.outlook
        nothing, something = _price(figures.without_effect), _price(figures.with_effect)
        an_hour = f"About {float(f'{figures.per_hour:.2g}'):,.0f} in an hour of measuring by {self.rule}."
        return [
            f"Measuring one experiment costs {nothing} without effect and {something} with one (paired);",
            f"  {_price(figures.by_median)} (median). {an_hour}",
        ]

    def _errors(self) -> str:
        if self.rule == Rule.PAIRED.value:
            bound = f"at most {self.false_keeps:.2g} in a run of {self.experiments} experiments"
            return f"False keeps: {bound} that do nothing; of those marked confirmed at most 1 in 10"
        share = percent(self.outlook.false_by_median)
        number = f"about {self.false_keeps:.2g} in a run of {self.experiments} experiments"
        return f"False keeps: {number} that do nothing ({share} each)"

    def _verdict(self) -> list[str]:
        if self.unresolved is None:
            return []
        return ["", f"Not on this machine: {self.unresolved}.", "What would help:"] + [
            f"  - {text}" for text in self.remedies
        ]


def validated(
    program: Program,
    reruns: Reruns,
    timing: Timing,
    *,
    has_cases: bool,
    sandbox: str,
    warnings: tuple[str, ...] = (),
    cautions: tuple[str, ...] = (),
) -> Validation:
    """The validation of a program, from samples of one commit."""
    criteria, scale, seen = program.criteria, scale_of(reruns, program.criteria), stability(reruns, program.criteria)
    figures = outlook(seen, timing, program, scale)
    unresolved = outlooks.unresolved(seen, figures, program)
    by_median = criteria.rule is Rule.MEDIAN
    asked = figures.noise_asks if by_median else 0.0
    return Validation(
        program=program.slug,
        metric_field=criteria.metric_field,
        rule=criteria.rule.value,
        values=reruns.first,
        others=reruns.second,
        seconds_per_sample=timing.sample,
        spread=seen.cv,
        threshold=asked if criteria.noise_threshold is None else criteria.noise_threshold,
        resolvable=figures.median if by_median else figures.paired,
        seconds_per_experiment=(figures.by_median if by_median else figures.without_effect).seconds,
        false_keeps=figures.false_keeps,
        experiments=program.limits.max_experiments,
        repeats=criteria.repeats,
        max_pairs=criteria.max_pairs,
        given_threshold=criteria.noise_threshold,
        stability=seen,
        outlook=figures,
        settings=settings(seen, figures, timing, program, scale),
        unresolved=unresolved,
        remedies=outlooks.remedies(seen, figures, timing, program, has_cases) if unresolved else (),
        sandbox=sandbox,
        warnings=(*warnings, *_warnings(seen, figures, program), *cautions),
    )


def _warnings(seen: Stability, figures: Outlook, program: Program) -> list[str]:
    criteria, found = program.criteria, []
    if seen.bias:
        found.append(f"{seen.bias}. Under `paired` a run refuses to start")
    given = criteria.noise_threshold
    if criteria.rule is Rule.MEDIAN and given is not None and given < figures.noise_asks:
        found.append(f"noise_threshold is below what the noise asks for, {percent(figures.noise_asks)}")
    if seen.kind is Class.DETERMINISTIC and not program.measuring.canary:
        found.append("the metric never changed, and with canary = false nothing shows that it depends on the code")
    target, lower = program.limits.target, criteria.direction.value == "lower"
    if target is not None and (seen.median <= target if lower else seen.median >= target):
        found.append("the target is reached already: a run would stop at once")
    return found


def _class(seen: Stability) -> str:
    if seen.kind is Class.DETERMINISTIC:
        return f"Stability: deterministic. {2 * seen.pairs} samples, all the same"
    one, pair = percent(seen.cv), percent(seen.sigma)
    return f"Stability: {seen.kind.value}. One sample varies by {one}, the gain of a pair by {pair}"


def _findings(seen: Stability) -> list[str]:
    """The findings to report, one line each."""
    if seen.kind is Class.DETERMINISTIC:
        return []
    modes, shift = seen.modes, f"{percent(abs(seen.trend))} {_way(seen.trend)}"
    taken = f"{2 * seen.pairs} samples"
    farthest = percent(seen.farthest, "+.3g")
    far = f"outliers: {seen.outliers} of {taken}, up to {farthest}; take the fastest of several runs"
    offered = (
        (seen.in_seed, "seed: the same seed always gives the same value, so all of this is chance between seeds"),
        (seen.drifts, f"drift: {shift} from the first pair to the last; pairs cancel it, medians do not"),
        (seen.linked and not seen.drifts, "drift: samples near in time are alike; pairs cancel that, medians do not"),
        (seen.warming, f"warm-up: the first pair lies {_off(seen.warm_up)} the later ones"),
        (seen.cold_start, f"warm-up: the first sample after a build lies {_off(seen.cold or 0.0)} the next one"),
        (
            seen.alike,
            "seed: pairs agree far less than the two of a pair; the seed matters, or the machine is slow to change",
        ),
        (modes is not None, f"two modes: it jumps between {modes.low:.6g} and {modes.high:.6g}" if modes else ""),
        (bool(seen.outliers) and modes is None, far),
        (seen.coarse is not None, f"coarse: only {seen.coarse} different values in {taken}; print more digits"),
        (not seen.watched, f"{seen.pairs} pairs cannot show a drift, and all figures below are rough"),
    )
    lines = [text for applies, text in offered if applies]
    return [f"  {text}" for text in lines or ["no drift, no warm-up, no outliers"]]


def _way(change: float) -> str:
    return "up" if change > 0 else "down"


def _off(share: float) -> str:
    return f"{percent(abs(share))} {'above' if share > 0 else 'below'}"


def _fit(said: Validation) -> str:
    """Whether the noise threshold that the user set fits, in a sentence."""
    given, bare, asks = said.given_threshold or 0.0, said.outlook.unbounded, said.outlook.noise_asks
    shown = percent(given)
    if said.rule == Rule.PAIRED.value:
        fits = bare is not None and given >= bare
        return f"{shown} fits, and decides" if fits else f"{shown} does no harm, but the noise alone asks for more"
    if given < asks:
        return f"{shown} is too low: the noise asks for {percent(asks)}"
    return f"{shown} fits" if given <= 2 * asks else f"{shown} is more than the {percent(asks)} that the noise asks for"


def _price(cost: Cost) -> str:
    return f"{cost.samples:.3g} samples ({rough_duration(cost.seconds)})"


def _plain(value: Any) -> Any:
    """A value for JSON: tuples become lists, infinite numbers None."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
