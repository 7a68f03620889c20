"""The holdout: a second measurement that agents never see, nor anything of what it says."""

import os
import subprocess
from pathlib import Path

import pytest

from autoloop import api
from autoloop.config.programs import load_program
from autoloop.core.run.events import Decided, Sampled
from autoloop.core.run.measurement import HOLDOUT, MeasurementFailure, Sample
from autoloop.errors import AutoloopError
from autoloop.sandbox.choose import choose
from tests.real_git import commit_all, git, write
from tests.real_run import Checkout
from tests.sandbox.test_sandbox import Ground

ANSWER, PLACE, SAID = "4711.25", "answers-of-the-holdout", "words-of-the-holdout"
"""What an agent could learn of: a value, where the data lies, what the script says."""
HOLDOUT_SH = f"""
read -r _ _ x < code.py
for data in "$AUTOLOOP_PROGRAM_DIR/holdout/answers" ~/{PLACE}/answers; do
    [ "$(cat "$data")" = {ANSWER} ] || {{ echo "no $data" >&2; exit 9; }}
done
echo "{SAID}" | tee "$AUTOLOOP_DIAGNOSTICS" .autoauto-diagnostics >&2
[ "$x" != 70 ] || exit 7
[ "$x" != 80 ] || x=900
echo '{{"ms": '$x'.71253, "cases": {{"{SAID}": 1}}}}'
"""
HUNT = f"""
grep -rlE '4711[.]25' . "$HOME" "$AUTOLOOP_TREE" {{root}} /run/autoloop 2> /dev/null | sed 's/^/hit /'
find . "$HOME" {{root}} /run/autoloop -name 'holdout*' -o -name '{PLACE}' 2> /dev/null | sed 's/^/hit /'
git log --all --name-only | grep -i holdout | sed 's/^/hit /'
env | grep -i '^[a-z_]*holdout' | sed 's/^/hit /'
echo hunted
"""


@pytest.fixture(params=["none", "landlock", "bwrap"])
def tier(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The sandbox in force."""
    tier: str = request.param
    if tier != "none":
        ground = Ground(tmp_path / "ground")
        try:
            choose(tier, ground.places(), ground.cache)
        except AutoloopError as error:
            pytest.skip(error.message)
    monkeypatch.setenv("AUTOLOOP_SANDBOX", tier)
    return tier


@pytest.fixture
def held_out(checkout: Checkout) -> Checkout:
    """A program whose holdout has data beside it and at home; x = 80 makes it worse, and at 70 it fails."""
    checkout.configure(
        holdout_paths=[f"~/{PLACE}"], read_paths=["~/agent.sh"], max_experiments=1, repeats=2, canary=False
    )
    write(checkout.root, {".gitignore": "programs/p/holdout*\n"})
    commit_all(checkout.root)
    write(checkout.program, {"holdout.sh": HOLDOUT_SH, "holdout/answers": f"{ANSWER}\n"})
    write(Path.home() / PLACE, {"answers": f"{ANSWER}\n"})
    return checkout


def told(checkout: Checkout) -> str:
    """Everything that agents were told, and what they and the measurement found."""
    folder = checkout.directory.path / "experiments"
    return "\n".join(path.read_text() for path in sorted(folder.glob("*/*")) if path.name != "diff.patch")


def of_holdout(checkout: Checkout) -> list[Sample | MeasurementFailure]:
    """What the journal has of the holdout."""
    return [
        event.taken.result
        for event in checkout.events
        if isinstance(event, Sampled) and event.taken.wanted.script == HOLDOUT
    ]


def secrets_in(text: str) -> list[str]:
    return [word for word in (ANSWER, PLACE, SAID, ".71253") if word in text]


def test_a_gain_that_carries_over_is_kept(held_out: Checkout, tier: str) -> None:
    held_out.agent("echo 'x = 90' > code.py")
    held_out.run()
    assert held_out.reasons == ["improved"]
    samples = of_holdout(held_out)
    values = [sample.metrics["ms"] for sample in samples if isinstance(sample, Sample)]
    assert values == [100.71253] * 2 + [90.71253] * 2
    assert all(sample.diagnostics == SAID for sample in samples), "the user finds them in the journal"


@pytest.mark.parametrize(
    ("x", "reason", "why"),
    [
        (80, "holdout_failed", "better, but the holdout regressed"),
        (70, "holdout_failed", "better, but the holdout could not measure the candidate"),
        (90, "improved", ""),
    ],
)
def test_agents_are_told_the_verdict_and_nothing_else(
    held_out: Checkout, tier: str, x: int, reason: str, why: str
) -> None:
    held_out.agent(f"echo 'x = {x}' > code.py; [ $n = 1 ] || echo x = 100 > code.py")
    held_out.run(limits={"max_experiments": 2})
    assert (held_out.reasons[0], why in held_out.row(1).why) == (reason, True)
    packet = (held_out.directory.path / "experiments/0002/packet.md").read_text()
    assert reason in packet and why in packet and secrets_in(packet) == []
    ideas = (held_out.directory.path / "ideas.md").read_text()
    results = held_out.directory.path.joinpath("results.tsv").read_text()
    assert secrets_in(ideas) == secrets_in(results) == []


def test_the_user_finds_the_words_of_a_holdout_that_failed(held_out: Checkout, tier: str) -> None:
    held_out.agent("echo 'x = 70' > code.py")
    held_out.run()
    failure = of_holdout(held_out)[-1]
    assert isinstance(failure, MeasurementFailure)
    assert "exit code 7" in failure.detail and SAID in failure.detail and failure.diagnostics == SAID
    decided = [event.decision for event in held_out.events if isinstance(event, Decided)]
    assert SAID not in decided[0].why
    shown = api.show(held_out.root, 1)
    assert any(isinstance(event, Sampled) and event.taken.result == failure for event in shown.events)


def test_an_agent_that_looks_for_the_holdout_finds_nothing(held_out: Checkout, tier: str) -> None:
    if tier == "none":
        pytest.skip("without a sandbox, what the user can read an agent can read")
    hunt = HUNT.format(root=held_out.root)
    held_out.agent(f"{hunt} > found; cat found; rm found; echo 'x = '$((100 - n * 5)) > code.py")
    held_out.measure(f'({hunt}) > "$AUTOLOOP_DIAGNOSTICS"', "echo METRIC ms=$x")
    held_out.run(limits={"max_experiments": 3})
    assert held_out.reasons == ["improved"] * 3
    text = told(held_out)
    assert text.count("hunted") >= 5, "agents and measurements have looked"
    assert [line for line in text.splitlines() if "hit " in line and "/holdout" not in line] == []
    assert ANSWER not in text and SAID not in text


def test_candidates_leave_nothing_of_a_holdout_behind_for_agents(held_out: Checkout, tier: str) -> None:
    """The candidate's own code runs beside the data, and tries every place that it can write to."""
    if tier == "none":
        pytest.skip("without a sandbox, every script finds the sealed holdout")
    places = "leak cache/leak $HOME/leak /tmp/leak $AUTOLOOP_SAMPLE_DIR/leak"
    copy = f'for at in {places}; do cat "$AUTOLOOP_PROGRAM_DIR/holdout/answers" > $at; done 2> /dev/null'
    held_out.configure(
        holdout_paths=[f"~/{PLACE}"], read_paths=["~/agent.sh"], canary=False, cache_paths=["cache"], repeats=1
    )
    write(held_out.root, {"code.sh": "true\n"})
    commit_all(held_out.root)
    held_out.script("holdout.sh", f"sh code.sh\n{HOLDOUT_SH}")
    held_out.measure('sh code.sh; cat leak cache/leak ~/leak /tmp/leak > "$AUTOLOOP_DIAGNOSTICS" 2> /dev/null',
                     "echo METRIC ms=$x")  # fmt: skip
    held_out.agent(f"cat leak cache/leak ~/leak; echo '{copy}' > code.sh; echo 'x = '$((100 - n * 5)) > code.py")
    held_out.run(limits={"max_experiments": 3})
    assert held_out.reasons == ["improved"] * 3
    assert ANSWER not in told(held_out)


# Where it may lie


def refused(checkout: Checkout) -> AutoloopError:
    with pytest.raises(AutoloopError) as error:
        api.validate(checkout.root, "p", runs=3, on_progress=checkout.seen.append, environ=os.environ)
    assert "\n" not in error.value.message
    return error.value


@pytest.mark.parametrize("path", ["programs/p/holdout.sh", "programs/p/holdout/answers", "data/private/set"])
def test_a_holdout_that_git_has_is_refused_with_the_command_that_mends_it(held_out: Checkout, path: str) -> None:
    write(held_out.root, {"data/private/set": "1\n"})
    held_out.configure(holdout_paths=["data/private"], canary=False)
    git(held_out.root, "add", "--force", path)
    error = refused(held_out)
    assert "is tracked by git, so an agent can read it" in error.message
    command = error.hint.split("`")[1]
    git(held_out.root, "commit", "--quiet", "--message", "with the holdout")
    subprocess.run(command, shell=True, cwd=held_out.root, check=True, capture_output=True)
    assert "is tracked by git" in refused(held_out).message, "HEAD has it still, and a run starts from HEAD"
    git(held_out.root, "commit", "--quiet", "--message", "without")
    write(held_out.root, {".gitignore": "programs/p/holdout*\ndata\n"})
    held_out.script("holdout.sh", "echo METRIC ms=1\n")
    found = api.validate(held_out.root, "p", runs=3, on_progress=held_out.seen.append, environ=os.environ)
    assert any("is in the history of git" in text for text in found.warnings), "where it is for good"


def test_a_holdout_path_that_is_not_there_is_refused(held_out: Checkout) -> None:
    held_out.configure(holdout_paths=["~/misspelt"])
    with pytest.raises(AutoloopError, match='holdout_paths has "~/misspelt", which does not exist'):
        load_program(held_out.root, held_out.program)


def test_validation_tries_the_holdout_once(held_out: Checkout, tier: str) -> None:
    found = api.validate(held_out.root, "p", runs=3, on_progress=held_out.seen.append, environ=os.environ)
    assert found.values == (100, 100, 100)
    held_out.script("holdout.sh", "cat ~/missing\n")
    error = refused(held_out)
    assert "holdout.sh cannot measure the code as it is" in error.message and "missing" in error.message


def test_held_out_data_within_what_is_shared_is_withheld(held_out: Checkout, tier: str) -> None:
    if tier == "none":
        pytest.skip("without a sandbox, what is shared is shared whole")
    write(
        held_out.root, {".gitignore": "data\nprograms/p/holdout*\n", "data/open": "1\n", "data/private": f"{ANSWER}\n"}
    )
    commit_all(held_out.root)
    held_out.configure(share_paths=["data"], holdout_paths=["data/private"], read_paths=["~/agent.sh"], canary=False)
    held_out.script("holdout.sh", f"grep -q {ANSWER} data/private && read -r _ _ x < code.py; echo METRIC ms=$x\n")
    held_out.agent("cat data/open data/private; echo 'x = 90' > code.py")
    held_out.run(limits={"max_experiments": 1})
    assert held_out.reasons == ["improved"] and ANSWER not in told(held_out)
