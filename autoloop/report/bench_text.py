"""What a bench came to, in sentences: the claim at the top, the figures, and what to do next."""

from autoloop.core.evidence.comparison import Difference
from autoloop.core.evidence.trials import Rate
from autoloop.core.suite.advice import About, AdviceKind
from autoloop.core.suite.failures import Consistency
from autoloop.core.text import count, duration, money, percent, percent_range, points
from autoloop.report.bench_material import SuiteMaterial
from autoloop.report.run_text import Headline, NextStep


def headline(material: SuiteMaterial) -> Headline:
    """The claim, no larger than what was measured."""
    summary = material.summary
    if not summary.totals.counted:
        return Headline(f"{summary.suite}: no trial has come to a result that counts", _left_out(material))
    if not material.contrasts:
        arm = summary.arms[0]
        tasks = count(len(material.plan.tasks), "task")
        lead = f"{arm.passed} of {count(arm.counted, 'trial')} that count, over {tasks}. {_left_out(material)}"
        return Headline(f"{arm.arm} passes {rate_in_words(arm.rate)} of {summary.suite}", lead)
    lead = " ".join(_as_sentence(one.sentence()) for one in material.contrasts[:3])
    return Headline(_ranking(material), f"{lead} {_left_out(material)}")


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _ranking(material: SuiteMaterial) -> str:
    first = material.contrasts[0]
    if len(material.contrasts) == 1 and first.verdict is not Difference.NOISE:
        return f"{first.b_name} is {first.verdict.value} than {first.a_name} on {material.summary.suite}"
    if len(material.contrasts) == 1:
        return f"{first.a_name} and {first.b_name} cannot be told apart on {material.summary.suite}"
    rates = ", ".join(f"{arm.arm} {rate_in_words(arm.rate, interval=False)}" for arm in material.summary.arms)
    return f"{material.summary.suite}: {rates}"


def rate_in_words(rate: Rate, *, interval: bool = True) -> str:
    """A pass rate with its interval: `73 % (66 to 79 %)`."""
    if rate.value is None:
        return "nothing"
    between = f" ({percent_range(rate.low, rate.high, '.0f')} %)" if interval else ""
    return percent(rate.value, ".0f") + between


def _left_out(material: SuiteMaterial) -> str:
    totals = material.summary.totals
    parts = [
        f"{count(totals.error, 'trial')} errored" if totals.error else "",
        f"{totals.unsupported} cannot be tried here" if totals.unsupported else "",
    ]
    named = " and ".join(part for part in parts if part)
    return f"{named}: in no rate." if named else ""


def how_it_stands(material: SuiteMaterial) -> str:
    """Whether the bench is running, was killed, or why it ended."""
    summary = material.summary
    left = summary.totals.planned - summary.totals.done
    open_ = f", {count(left, 'trial')} outstanding" if left else ""
    if material.alive:
        to_come = f", about {duration(summary.eta_seconds)} to come" if summary.eta_seconds else ""
        return f"running{open_}{to_come}"
    if summary.stop_reason is None:
        return f"unfinished: its process was killed{open_}"
    return f"ended: {summary.stop_reason}{f' ({summary.stop_detail})' if summary.stop_detail else ''}{open_}"


def facts(material: SuiteMaterial) -> list[tuple[str, str]]:
    """The table of figures at the top of the report."""
    summary, plan = material.summary, material.plan
    unknown = summary.totals.unknown_costs
    known = [
        ("state", how_it_stands(material)),
        ("suite", f"{summary.suite} {summary.suite_version[:16]}, {count(len(plan.tasks), 'task')}"),
        ("cut short", "; ".join(one.sentence for one in summary.cut)),
        ("trials", f"{summary.totals.done} of {summary.totals.planned} done, {summary.totals.retries} retried"),
        ("iterations", f"{plan.iterations}, {count(plan.attempts, 'attempt')} each"),
        ("time", f"{duration(summary.worked_seconds)}{_waited(summary.waited_seconds)}"),
        ("cost", money(summary.cost_usd) + (f", {count(unknown, 'trial')} of unknown cost" if unknown else "")),
        ("tokens", f"{summary.tokens:,}" if summary.tokens is not None else "unknown"),
        ("workers replaced", str(summary.replaced_workers) if summary.replaced_workers else ""),
    ]
    return [(name, text) for name, text in known if text]


def _waited(seconds: float) -> str:
    return f", {duration(seconds)} of them waiting" if seconds else ""


def consistency(material: SuiteMaterial) -> list[tuple[str, dict[str, int]]]:
    """The number of tasks of each arm that always, sometimes and never pass."""
    return [
        (arm, {kind.value: sum(one.consistency is kind for one in records.values()) for kind in Consistency})
        for arm, records in material.records.items()
    ]


def steps(material: SuiteMaterial, kind: AdviceKind) -> list[NextStep]:
    """The advice of one kind, with the command where there is one."""
    several = len(material.plan.arms) > 1
    found = []
    for one in material.advice:
        if one.kind is kind:
            arm = f"{one.arm}: " if several and one.arm and one.about is not About.CONTRAST else ""
            gain = f" At most {points(one.gain)}." if one.gain else ""
            text = one.text.replace("`", "")
            found.append(NextStep(f"{arm}{text}.{gain}"))
    return found
