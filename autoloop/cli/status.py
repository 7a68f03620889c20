"""What `status` prints of a run and its benches, and the lines of it that other verbs print too.

Reads small files, and loads neither typer nor models nor tables for it. The verb itself stands in `look`.
"""

import time
from pathlib import Path
from typing import Any

from autoloop import api
from autoloop.cli.render import say, say_json
from autoloop.core.text import count, duration, how_to_go_on, money, number, percent, signed_percent
from autoloop.errors import AutoloopError

Facts = dict[str, Any]

_WORTH_SAYING = 0.02
"""A drift below this is not worth a line."""
_OPEN = {
    "landlock": "landlock: files are guarded, the network is not",
    "none": "none: measured code is not confined, and neither are agents",
}
"""What a tier leaves open, for those that leave much open."""


def print_status(path: Path, run: str | None, as_json: bool) -> None:
    """Print the status of a run, and of the benches beside it; or of a bench that is named."""
    benches = api.benches(path, run)
    facts = _of_run(path, run, benches)
    if as_json:
        say_json({**(facts or {"run_id": None}), "benches": benches})
    else:
        run_lines = lines(facts, time.time()) if facts else []
        say("\n".join([*run_lines, *(line for bench in benches for line in bench_lines(bench))]))


def _of_run(path: Path, run: str | None, benches: list[Facts]) -> Facts | None:
    """The run that is meant; None where a bench is, or where there are benches alone."""
    if run is not None and benches:
        return None
    try:
        return api.status(path, run)
    except AutoloopError:
        if not benches:
            raise
        return None


def bench_lines(facts: Facts) -> list[str]:
    """The status of a bench, in lines."""
    arms = ", ".join(f"{arm['arm']} {_rate(arm)}" for arm in facts["arms"])
    shown = {
        "state": _bench_state(facts),
        "done": f"{facts['done']} of {count(facts['planned'], 'trial')}",
        "passed": arms,
        "cost": "" if facts["cost_usd"] is None else money(facts["cost_usd"]),
        "files": facts["path"],
    }
    title = f"bench {facts['suite']} {facts['bench_id']}"
    return [title, *(f"  {name:8} {text}" for name, text in shown.items() if text)]


def _rate(arm: Facts) -> str:
    return "nothing yet" if arm["pass_rate"] is None else percent(arm["pass_rate"], ".1f")


def _bench_state(facts: Facts) -> str:
    if facts["alive"]:
        left = facts["eta_seconds"]
        return "alive" if left is None else f"alive, about {duration(left)} to go"
    go_on = "" if facts["done"] == facts["planned"] else f"; to go on: `autoloop bench --resume {facts['path']}`"
    if facts["stop_reason"]:
        detail = f" ({facts['stop_detail']})" if facts["stop_detail"] else ""
        return f"not running; it ended: {facts['stop_reason']}{detail}{go_on}"
    return f"not running; it was killed{go_on}"


def lines(facts: Facts, now: float) -> list[str]:
    """The status of a run, in lines."""
    shown = {
        "state": _state(facts),
        "done": _done(facts),
        "left": _left(facts, now),
        "metric": _metric(facts),
        "drift": _drift(facts),
        "keeps": keeps_line(facts),
        "flagged": flagged_line(facts),
        "verified": verified_line(facts.get("verified")),
        "last": _last(facts["last"]),
        "cost": _cost(facts),
        "time": duration(_elapsed(facts, now)),
        "branch": f"{facts['branch']} at {facts['head'][:10]}" + (f"; {merge(facts)}" if facts["kept"] else ""),
        "sandbox": sandbox_line(facts),
        "files": facts["path"],
    }
    return [f"{facts['program']} {facts['run_id']}", *(f"  {name:8} {text}" for name, text in shown.items() if text)]


def merge(facts: Facts) -> str:
    """The command that merges what was kept."""
    return f"`git merge {facts['branch']}`"


def _state(facts: Facts) -> str:
    if facts["alive"]:
        return f"alive, {facts['phase']}, experiment {facts['experiment']}"
    if facts["stop_reason"]:
        detail = f" ({facts['detail']})" if facts["detail"] else ""
        return f"not running; it ended: {facts['stop_reason']}{detail}{_to_go_on(facts)}"
    return f"not running; it was killed{_to_go_on(facts)}"


def _to_go_on(facts: Facts) -> str:
    command = how_to_go_on(facts["program"], facts["run_id"], facts["stop_reason"])
    return f"; to go on: `{command}`" if command else ""


def _done(facts: Facts) -> str:
    verdicts = ", ".join(f"{facts[verdict]} {verdict}" for verdict in ("kept", "discarded", "crashed"))
    return f"{count(facts['experiments'], 'experiment')}: {verdicts}"


def _left(facts: Facts, now: float) -> str:
    left = [count(max(0, facts["max_experiments"] - facts["experiments"]), "experiment")]
    if (hours := facts.get("max_hours")) is not None:
        left.append(duration(max(0.0, 3600 * hours - _elapsed(facts, now))))
    if (most := facts.get("max_cost_usd")) is not None:
        left.append(money(max(0.0, most - (facts["cost_usd"] or 0.0))))
    if (most := facts.get("max_tokens")) is not None:
        left.append(count(max(0, most - (facts["tokens"] or 0)), "token"))
    row, limit = facts["discards_in_row"], facts["max_consecutive_discards"]
    return f"{', '.join(left)}; {row} in a row without a keep, it stops at {limit}"


def _metric(facts: Facts) -> str:
    if facts["baseline"] is None:
        return f"{facts['metric_field']}, not measured yet; {facts['direction']} is better"
    change = f"{number(facts['original_baseline'])} -> {number(facts['baseline'])} ({signed_percent(facts['gain'])})"
    noise = f"; a gain must pass {percent(facts['noise_threshold'], '.2g')}" if facts["noise_threshold"] else ""
    target = f"; target {number(facts['target'])}" if facts.get("target") is not None else ""
    return f"{facts['metric_field']} {change}; {facts['direction']} is better{noise}{target}"


def _drift(facts: Facts) -> str:
    drift = facts.get("drift")
    if drift is None or abs(drift) < _WORTH_SAYING:
        return ""
    moved = f"the machine moved by {signed_percent(drift)}"
    return f"{moved}: this is what the kept code measures now; pairs are not misled by it"


def keeps_line(facts: Facts) -> str:
    """The line that says which keeps the whole night confirms."""
    if not facts["kept"] or facts.get("confirmed") is None:
        return ""
    ruled_out = f", {facts['ruled_out']} ruled out by later pairs" if facts["ruled_out"] else ""
    return f"{facts['confirmed']} confirmed, {facts['provisional']} provisional{ruled_out}"


def flagged_line(facts: Facts) -> str:
    """The line that names flagged keeps, to be looked at before merging."""
    found = facts.get("flagged")
    if not found:
        return ""
    verb, first = ("is" if len(found) == 1 else "are"), f"`autoloop show {found[0]} {facts['run_id']}`"
    others = ", ".join(map(str, found[1:6])) + (", …" if len(found) > 6 else "")
    return f"{count(len(found), 'keep')} {verb} flagged: look at {first}{f', and at {others}' if others else ''}"


def verified_line(found: Facts | None) -> str:
    """The gain of a fresh measurement of the original against the head, in a line."""
    if not found:
        return ""
    problems = f"; {', '.join(found['problems'])}" if found["problems"] else ""
    if found["gain"] is None:
        return f"not measured{problems}"
    between = (
        "" if found["low"] is None else f" (95 %: {signed_percent(found['low'])} to {signed_percent(found['high'])})"
    )
    claimed = "" if found["claimed"] is None else f"; the keeps claim {signed_percent(found['claimed'])}"
    return f"{signed_percent(found['gain'])}{between} in {count(len(found['pairs']), 'fresh pair')}{claimed}{problems}"


def sandbox_line(facts: Facts) -> str:
    """The line that names the tier in force."""
    return _OPEN.get(facts["sandbox"], str(facts["sandbox"]))


def _last(last: Facts | None) -> str:
    if last is None or not last["experiment"]:
        return ""
    verdict = f"{last['experiment']}: {last['status']}, {last['reason']}"
    return " ".join(filter(None, (verdict, signed_percent(last["gain"]), last["description"])))


def _cost(facts: Facts) -> str:
    unknown = count(facts["unknown_costs"], "session") + " of unknown cost" if facts["unknown_costs"] else ""
    known = "" if facts["cost_usd"] is None else money(facts["cost_usd"])
    tokens = "" if facts["tokens"] is None else count(facts["tokens"], "token")
    return ", ".join(filter(None, (known, unknown, tokens)))


def _elapsed(facts: Facts, now: float) -> float:
    since = max(0.0, now - facts.get("updated_at", now)) if facts["alive"] else 0.0
    return float(facts["seconds"]) + since
