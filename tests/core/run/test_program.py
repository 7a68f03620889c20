"""The parts of a program: gates, knobs, scope; and what a captured tree is told by them."""

import pytest
from pydantic import ValidationError

from autoloop.core.gaming.inspect import inspect
from autoloop.core.run.candidate import Candidate, Capture, Change, commit_message, describe
from autoloop.core.run.events import Captured, from_line, to_line
from autoloop.core.run.flags import Sign
from autoloop.core.run.notes import Notes
from autoloop.core.run.program import Criteria, Direction, Gate, Knob, Program, Scope, SecondaryMetric
from autoloop.core.seeds import coin, seed_for


def candidate(*paths: str) -> Candidate:
    changes = tuple(Change(path=path, kind="modified", added=1, removed=3) for path in paths)
    return Candidate(commit="c1", parent="c0", changes=changes)


def test_a_measurement_must_print_the_metric_the_gates_and_the_secondary_metrics() -> None:
    criteria = Criteria(
        metric_field="ms",
        direction=Direction.LOWER,
        quality_gates={"errors": Gate(max=0)},
        secondary_metrics={"size": SecondaryMetric(direction=Direction.LOWER)},
    )
    assert criteria.fields == ("ms", "errors", "size")


@pytest.mark.parametrize(
    ("gate", "better"),
    [
        (Gate(min=1), Direction.HIGHER),
        (Gate(max=1), Direction.LOWER),
        (Gate(min=0, max=1), Direction.LOWER),
        (Gate(max_regression=0.1), Direction.LOWER),
        (Gate(max_regression=0.1, direction=Direction.HIGHER), Direction.HIGHER),
    ],
)
def test_a_gate_knows_which_way_is_better(gate: Gate, better: Direction) -> None:
    assert gate.better is better


@pytest.mark.parametrize(
    "fields", [{}, {"min": 2, "max": 1}, {"max": float("nan")}, {"max_regression": -1}, {"maximum": 1}]
)
def test_a_gate_that_bounds_nothing_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Gate.model_validate(fields)


def test_a_knob_needs_a_range_or_choices() -> None:
    whole = {"name": "k", "file": "a.py", "pattern": "(x)"}
    Knob.model_validate({**whole, "type": "int", "low": 1, "high": 2, "log": True})
    Knob.model_validate({**whole, "type": "choice", "choices": ("a", 1)})
    for wrong in ({"type": "int"}, {"type": "int", "low": 1, "high": 1}, {"type": "choice", "choices": ("a",)}):
        with pytest.raises(ValidationError):
            Knob.model_validate({**whole, **wrong})


def test_values_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Scope().editable = ()  # type: ignore[misc]


def test_what_is_protected_is_not_editable() -> None:
    scope = Scope(editable=("src/**",), protected=("src/golden", "**/conftest.py"))
    assert scope.is_editable("src/a.py")
    assert not scope.is_editable("src/golden/a.txt")
    assert not scope.is_editable("src/conftest.py")
    assert not scope.is_editable("lib/a.py")
    assert not scope.is_protected("lib/a.py")


def program(scope: Scope) -> Program:
    criteria = Criteria(metric_field="ms", direction=Direction.LOWER)
    return Program(slug="x", directory="programs/x", text="", scripts=("measure.sh",), criteria=criteria, scope=scope)


def test_a_program_knows_its_scripts() -> None:
    known = program(Scope())
    assert known.has("measure.sh") and not known.has("build.sh")


def test_a_protected_path_is_a_lock_violation_and_another_outside_is_a_breach() -> None:
    scope = Scope(editable=("src",), protected=("programs/x/**",))
    found = Capture(
        candidate("src/a.py", "programs/x/measure.sh", "lib/b.py"), breaches=("pipe: fifo",), ignored=("a.o",)
    )
    event = inspect(found, program(scope), ["sealed/measure.sh: content"], cases=(), experiment=3, at=1.0)
    assert event.tampered == ("programs/x/measure.sh", "sealed/measure.sh: content")
    assert event.breaches == ("lib/b.py", "pipe: fifo")
    assert event.ignored == ("a.o",)
    assert event.code_removed == 2


def test_replacing_the_programs_directory_is_a_lock_violation() -> None:
    known = program(Scope(protected=("programs/x/**",)))
    event = inspect(Capture(candidate("programs/x")), known, [], cases=(), experiment=1, at=0.0)
    assert event.tampered == ("programs/x",)


def test_no_candidate_still_shows_a_broken_seal() -> None:
    event = inspect(Capture(None), program(Scope()), ["measure.sh: content"], cases=(), experiment=1, at=0.0)
    assert event.candidate is None and event.tampered and event.code_removed == 0


def test_a_capture_carries_the_signs_of_its_diff() -> None:
    changed = Candidate(commit="c", parent="p", changes=(Change(path="a.py", kind="modified", added=1, removed=1),))
    patch = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 1\n+x = {'case-17': 4}\n"
    event = inspect(Capture(changed, patch=patch), program(Scope()), [], cases=["case-17"], experiment=1, at=0.0)
    assert [flag.sign for flag in event.flags] == [Sign.CASES_SPECIAL_CASED]
    assert from_line(to_line(event)) == event
    old = from_line(b'{"at": 1, "kind": "captured", "experiment": 3}')
    assert isinstance(old, Captured) and old.flags == (), "written before there were flags"


def test_an_experiment_is_described_by_its_hypothesis_else_by_its_files() -> None:
    assert describe(Notes(hypothesis="hoist"), candidate("a")) == "hoist"
    assert describe(Notes(), candidate("a", "b", "c", "d", "e")) == "a, b, c and 2 more (+5 -15)"
    assert describe(Notes(), None) == "no change"


def test_a_commit_message_names_program_and_experiment() -> None:
    message = commit_message(7, "speed", Notes(hypothesis="hoist it", why="invariant"))
    assert message.splitlines()[0] == "hoist it"
    assert "invariant" in message and "autoloop speed, experiment 7" in message
    assert commit_message(7, "speed", Notes()).startswith("experiment 7\n")


def test_seeds_are_found_again_and_differ() -> None:
    seeds = {seed_for(1, experiment, index) for experiment in range(50) for index in range(-1, 20)}
    assert len(seeds) == 50 * 21
    assert seed_for(1, 2, 3) == seed_for(1, 2, 3) != seed_for(2, 2, 3)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert 400 < sum(coin(1, experiment, 0) for experiment in range(1000)) < 600
