"""Validation: the first place where a measurement goes wrong is named, with the field that mends it."""

import json
import os

import pytest

from autoloop import api
from autoloop.core.validation.findings import Validation
from autoloop.errors import AutoloopError
from tests.real_git import commit_all, git, write
from tests.real_run import Checkout


def validate(checkout: Checkout, runs: int = 3, **environ: str) -> Validation:
    surroundings = {**os.environ, **environ}
    found = api.validate(checkout.root, "p", runs=runs, on_progress=checkout.seen.append, environ=surroundings)
    assert isinstance(found, Validation)
    return found


def refused(checkout: Checkout, **environ: str) -> AutoloopError:
    with pytest.raises(AutoloopError) as error:
        validate(checkout, **environ)
    assert "\n" not in error.value.message
    return error.value


def left(checkout: Checkout) -> tuple[list[str], list[str], list[str]]:
    """What validation must not leave: refs, trees, and files in the checkout."""
    refs = git(checkout.root, "for-each-ref", "refs/autoloop", "refs/heads/autoloop").splitlines()
    trees = [path.name for path in checkout.cache.glob("*")]
    return refs, trees, checkout.status_text().splitlines()


def test_a_program_that_works_everywhere_is_described(checkout: Checkout) -> None:
    before = left(checkout)
    found = validate(checkout)
    assert (found.program, found.metric_field, found.values, found.spread) == ("p", "ms", (100, 100, 100), 0)
    assert found.threshold == 0.02 and found.sandbox == "none"
    assert len(found.warnings) == 1 and "no sandbox is in force" in found.warnings[0]
    assert found.seconds_per_sample > 0 and found.as_dict()["values"] == [100, 100, 100]
    assert any("deterministic" in line for line in found.lines())
    assert left(checkout) == before


def test_a_noisy_metric_is_said_to_need_more_than_was_asked(checkout: Checkout) -> None:
    checkout.configure(noise_threshold=0.001)
    checkout.script("measure.sh", "test -s code.py || exit 1; echo METRIC ms=$((100 + AUTOLOOP_SEED % 5))\n")
    found = validate(checkout, runs=5)
    assert found.spread > 0.005 and found.resolvable > 0.01
    assert "noise_threshold is below what the noise asks for" in found.warnings[0]


def test_a_variable_that_the_measurement_lacks_points_at_measure_env(checkout: Checkout) -> None:
    checkout.script("measure.sh", 'test -n "$TOKEN" || { echo no TOKEN >&2; exit 1; }\necho METRIC ms=1\n')
    error = refused(checkout, TOKEN="t")
    assert "works in the checkout with your whole environment" in error.message and "no TOKEN" in error.message
    assert "`measure_env`" in error.hint
    checkout.configure(measure_env=["TOKEN"], canary=False)
    assert validate(checkout, TOKEN="t").values == (1, 1, 1)


def test_a_file_that_git_does_not_have_points_at_share_paths_and_preparation(checkout: Checkout) -> None:
    write(checkout.root, {".gitignore": "data/\n", "data/corpus.txt": "7\n"})
    checkout.script("measure.sh", "test -s code.py && echo METRIC ms=$(cat data/corpus.txt)\n")
    commit_all(checkout.root)
    before = left(checkout)
    error = refused(checkout)
    assert "works in the checkout, and not in a tree made from HEAD" in error.message
    assert "`share_paths`" in error.hint and "prepare.sh" in error.hint and "data/" in error.hint
    assert left(checkout) == before
    checkout.configure(share_paths=["data"])
    assert validate(checkout).values == (7, 7, 7)


def test_a_measurement_that_fails_everywhere_is_said_to_fail_in_the_checkout(checkout: Checkout) -> None:
    checkout.script("measure.sh", "echo broken >&2; exit 4\n")
    assert refused(checkout).message == "measure.sh fails in the checkout: measure.sh ended with exit code 4: broken"


def test_what_only_a_built_tree_can_measure_is_no_fault_of_the_checkout(checkout: Checkout) -> None:
    checkout.script("build.sh", "cp code.py built\n")
    checkout.script("measure.sh", "read -r _ _ x < built; echo METRIC ms=$x\n")
    assert validate(checkout).values == (100, 100, 100)
    assert not (checkout.root / "built").exists()


def test_uncommitted_edits_that_change_the_metric_are_said(checkout: Checkout) -> None:
    write(checkout.root, {"code.py": "x = 50\n"})
    assert validate(checkout).warnings[0] == "ms is 50 in the checkout and 100 in a tree made from HEAD"


def test_a_gate_that_the_code_breaks_as_it_is_is_said(checkout: Checkout) -> None:
    checkout.configure(quality_gates={"ms": {"max": 10}})
    assert "breaks a quality gate: ms is 100, above its gate of 10" in validate(checkout).warnings[0]


def test_the_canary_is_asked(checkout: Checkout) -> None:
    checkout.script("measure.sh", "echo METRIC ms=1\n")
    before = left(checkout)
    assert "does not depend on the editable files" in refused(checkout).message
    assert left(checkout) == before


def test_services_are_started_and_stopped(checkout: Checkout) -> None:
    up = checkout.root.parent / "up"
    checkout.script("services.sh", f"case $1 in start) touch {up} ;; stop) rm {up} ;; esac\n")
    checkout.script("measure.sh", f"test -e {up} || exit 1; read -r _ _ x < code.py; echo METRIC ms=$x\n")
    assert validate(checkout).values == (100, 100, 100)
    assert not up.exists()
    checkout.script("measure.sh", "exit 1\n")
    refused(checkout)
    assert not up.exists(), "also when the measurement fails"


def test_preparation_that_fails_is_named(checkout: Checkout) -> None:
    checkout.script("prepare.sh", "echo 'no network' >&2; exit 1\n")
    assert refused(checkout).message == "prepare.sh ended with exit code 1: no network"


def test_a_metric_that_is_not_printed_is_an_error_and_never_no_spread(checkout: Checkout) -> None:
    checkout.script("measure.sh", "test -s code.py && echo METRIC other=1\n")
    assert "`ms` is missing" in refused(checkout).message
    checkout.script("measure.sh", "test -s code.py && echo METRIC ms=1,234.5\n")
    assert "not a finite number" in refused(checkout).message


def test_a_metric_without_spread_that_was_not_asked_about_the_code_is_warned_of(checkout: Checkout) -> None:
    checkout.script("measure.sh", "echo METRIC ms=1\n")
    checkout.configure(canary=False)
    assert "nothing shows that it depends on the code" in validate(checkout).warnings[0]


def test_pairs_are_taken_as_a_run_takes_them(checkout: Checkout) -> None:
    log = checkout.root.parent / "log"
    checkout.configure(warmup=2)
    checkout.script(
        "measure.sh", f'echo "$AUTOLOOP_SEED ${{PWD##*/}}" >> {log}\nread -r _ _ x < code.py; echo METRIC ms=$x\n'
    )
    found = validate(checkout, runs=6)
    taken = [line.split() for line in log.read_text().splitlines()][-12:]
    pairs = list(zip(taken[0::2], taken[1::2], strict=True))
    assert all(one[0] == other[0] and one[1] != other[1] for one, other in pairs)
    assert len({one[0] for one, _ in pairs}) == 6 and len({one[1] for one, _ in pairs}) == 2
    assert len(found.values) == len(found.others) == 6


def test_every_fact_can_be_written_as_json(checkout: Checkout) -> None:
    facts = json.loads(json.dumps(validate(checkout).as_dict(), allow_nan=False))
    assert facts["stability"]["kind"] == "deterministic" and facts["outlook"]["fresh"]["experiments"]
    assert {"field", "value", "reason", "in_force", "line"} == set(facts["settings"][0])


def test_the_first_sample_after_a_build_is_set_against_the_next(checkout: Checkout) -> None:
    checkout.configure(warmup=1)
    slow = "read -r _ _ x < code.py; test -e .warm || { touch .warm; x=$((x + 50)); }; echo METRIC ms=$x\n"
    checkout.script("measure.sh", slow)
    found = validate(checkout)
    assert found.stability.cold == pytest.approx(0.5) and found.values == found.others == (100, 100, 100)
    assert next(setting for setting in found.settings if setting.field == "warmup").in_force


def test_a_metric_that_depends_on_the_directory_is_warned_of(checkout: Checkout) -> None:
    checkout.script(
        "measure.sh", "read -r _ _ x < code.py; case $PWD in */b) x=$((x + 5)) ;; esac; echo METRIC ms=$x\n"
    )
    assert "something depends on the directory" in validate(checkout, runs=4).warnings[0]


def test_what_two_trees_cannot_share_is_told_from_what_one_cannot_do(checkout: Checkout) -> None:
    checkout.script("measure.sh", "read -r _ _ x < code.py; case $PWD in */b) exit 3 ;; esac; echo METRIC ms=$x\n")
    error = refused(checkout)
    assert "works in one tree, and not in a second one" in error.message and "port" in error.hint


def test_a_measurement_that_fails_now_and_then_is_said_to(checkout: Checkout) -> None:
    count = checkout.root.parent / "count"
    script = f"read -r _ _ x < code.py && echo . >> {count} && test $(wc -l < {count}) -ne 7 && echo METRIC ms=$x\n"
    checkout.script("measure.sh", script)
    assert "fails now and then; after 5 good samples" in refused(checkout).message
