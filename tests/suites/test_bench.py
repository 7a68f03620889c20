"""Whole benches of a small suite: what is written, what a resume does, what is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autoloop import api
from autoloop.core.evidence.comparison import Difference
from autoloop.core.suite.events import BenchStop, TrialEnded
from autoloop.core.suite.tasks import Outcome
from autoloop.errors import AutoloopError
from autoloop.host.signals import Signals
from autoloop.suites.record import read_bench
from tests.real_git import write
from tests.suites.proving import Proving

TASKS = ("one", "two", "three", "four")
AGENT = """
case $(cat "$AUTOLOOP_PACKET") in
  *one*) echo one > answer ;;
  *two*) echo two > answer ;;
  *slow*) sleep 30 ;;
  *) echo something > answer ;;
esac
"""


def suite(**more: Any) -> dict[str, Any]:
    """Each task wants its own name in a file; the agent knows two of them."""
    task = {"setup": ["touch ready"], "category": "words"}
    tasks = [
        {"id": name, "description": f"Write {name}.", **task,
         "verification": {"type": "command", "command": f"grep -qx {name} answer"}}
        for name in TASKS
    ]  # fmt: skip
    return {"name": "words", "version": "7", "tasks": tasks, **more}


class Place:
    """A directory with a suite and a profile."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write(root, {"suite.json": json.dumps(suite()), "agent.sh": AGENT})
        profile = f'agent = "command"\ncommand = "sh {root}/agent.sh"\nreads = ["agent.sh"]\n'
        write(root, {"autoloop.toml": f"[profiles.half]\n{profile}\n[profiles.other]\n{profile}"})
        self.signals = Signals()
        self.said: list[str] = []

    @property
    def followed(self) -> api.Followed:
        return api.Followed(self.signals, lambda sign: self.said.append(f"{sign.phase}: {sign.text}"))

    def bench(
        self,
        *arms: str,
        output: str = "out",
        rate: float = 0.0,
        suite: str = "suite.json",
        environ: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> api.BenchOutcome:
        chosen = {"iterations": 1, "min_free_gb": 0.0, "workers": 1, **fields}
        options = api.BenchOptions(suite, arms or ("half",), rate, Path(output) if output else None, chosen)
        return api.bench(self.root, options, self.followed, **({"environ": environ} if environ else {}))

    def resume(self, output: str = "out", **changes: Any) -> api.BenchOutcome:
        return api.resume_bench(self.root, Path(output), {"min_free_gb": 0.0, "workers": 1, **changes}, self.followed)

    def json(self, path: str) -> Any:
        return json.loads((self.root / path).read_text())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "project")


def test_a_bench_writes_everything_that_people_look_for(place: Place) -> None:
    outcome = place.bench("half", iterations=2, workers=2)
    assert outcome.is_complete and outcome.metrics()["pass_rate"] == 0.5
    assert {name: place.json(f"out/{name}") for name in ("config.json",)}["config.json"]["suite"].endswith("suite.json")
    assert place.json("out/summary.json")["arms"][0]["passed"] == 4
    assert [found["status"] for found in place.json("out/episodes.json")] == ["partial", "partial"]
    lines = (place.root / "episodes.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [1, 2]
    delta = place.json("out/iterations/002/delta.json")
    assert (delta["verdict"], delta["fixed"], delta["broken"]) == ("noise", [], [])
    assert sorted(delta["unchanged"]) == sorted(TASKS)
    assert "1 of 2" not in (place.root / "out/iterations/002/report.md").read_text()
    results = place.json("out/iterations/001/results.json")
    assert results["episode"]["summary"]["passRate"] == 0.5 and len(results["trials"]) == 4
    trial = place.root / "out/iterations/001/three"
    assert {"output.txt", "verification.txt", "trajectory.json", "atif"} <= {entry.name for entry in trial.iterdir()}
    assert (trial / "workspace/answer").read_text() == "something\n", "of a failed trial the workspace is kept"
    assert not (place.root / "out/iterations/001/one/workspace").exists()
    record = place.json("out/runs/three-run-0002.json")
    assert (record["test_id"], record["attempt"], record["success"]) == ("three", 1, False)
    assert place.json("out/state.json")["workers"] == [] and "words" in (place.root / "out/summary.md").read_text()


def test_a_resume_goes_on_in_the_same_directory_and_takes_nothing_twice(place: Place) -> None:
    place.signals.stop = True
    first = place.bench()
    assert first.summary.stop_reason == BenchStop.STOPPED and not first.state.results
    with pytest.raises(AutoloopError, match="measured nothing"):
        first.metrics()
    place.signals.stop = False
    assert place.resume("out/state.json").metrics()["passed"] == 2
    again = place.resume()
    ended = [event.key for event in read_bench(place.root / "out/journal.jsonl") if isinstance(event, TrialEnded)]
    assert again.is_complete and len(ended) == len(set(ended)) == 4
    assert len((place.root / "episodes.jsonl").read_text().splitlines()) == 1


def test_a_resume_tries_what_was_left_standing_as_an_error(place: Place) -> None:
    write(place.root, {"prompt.md": "no slot"})
    with (place.root / "autoloop.toml").open("a") as file:
        file.write('prompt = "prompt.md"\n')
    outcome = place.bench("other", tasks=["one"])
    assert (outcome.is_complete, outcome.summary.totals.error) == (True, 1)
    write(place.root, {"prompt.md": "$instruction"})
    assert place.resume().metrics()["passed"] == 1
    assert json.loads((place.root / "episodes.jsonl").read_text())["status"] == "success"


def test_a_bench_that_was_killed_before_its_first_event_is_gone_on_with(place: Place) -> None:
    place.signals.stop = True
    place.bench()
    place.signals.stop = False
    journal = place.root / "out/journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:20])
    assert place.resume().metrics()["passed"] == 2
    journal.write_bytes(b"")
    with pytest.raises(AutoloopError, match="holds no event"):
        place.resume()


@pytest.mark.parametrize(("changes", "said"), [({"workers": 0}, "workers is 0"), ({"max_hours": -1.0}, "max_hours is")])
def test_a_resume_says_which_change_does_not_fit(place: Place, changes: dict[str, Any], said: str) -> None:
    place.signals.stop = True
    place.bench()
    with pytest.raises(AutoloopError, match=said):
        place.resume(**changes)


def test_arms_are_compared_on_the_same_tasks(place: Place) -> None:
    outcome = place.bench("half", "nop", iterations=5, workers=2)
    arms = {arm.arm: arm for arm in outcome.summary.arms}
    assert (arms["half"].planned, arms["nop"].planned) == (20, 20)
    assert (arms["half"].passed, arms["nop"].passed) == (10, 0)
    assert (place.root / "out/iterations/001/nop/three/workspace").is_dir()
    found = api.contrast_results(place.root, "out:nop", "out:half")
    assert found.verdict is Difference.BETTER and (found.pairs, found.for_b, found.for_a) == (20, 10, 0)
    assert api.contrast_results(place.root, "out:nop#1", "out:half#1").verdict is Difference.NOISE, "two flips are few"
    with pytest.raises(AutoloopError, match="several arms"):
        api.contrast_results(place.root, "out", "out:half")


def test_a_share_is_validated_with_another_profile(place: Place) -> None:
    from autoloop.suites.create import arms_of

    main, validation = arms_of(("half",), 0.25, "other")
    assert (main.share, validation.share, validation.profile) == (1.0, 0.25, "other")
    with pytest.raises(AutoloopError, match=r"claude(-code)? cannot be used"):
        place.bench("half", rate=0.25)


def test_a_subset_is_a_rate_of_the_subset(place: Place) -> None:
    outcome = place.bench(tasks=["one", "three"])
    rate = outcome.summary.arms[0].rate
    assert (rate.passed, rate.of) == (1, 2)


def test_a_timeout_is_the_agents_and_counts(place: Place) -> None:
    tasks = [{**suite()["tasks"][0], "id": "slow", "description": "slow", "timeout_seconds": 1}]
    write(place.root, {"suite.json": json.dumps(suite(tasks=tasks))})
    outcome = place.bench()
    (result,) = outcome.state.results.values()
    assert (result.outcome, result.reward) == (Outcome.TIMEOUT, 0.0)
    assert outcome.metrics()["pass_rate"] == 0.0


def test_a_report_says_what_was_missing_of_a_partial_result(place: Place) -> None:
    tasks = [
        {"id": "open", "description": "one", "verification": {"type": "expectations", "expected": [
            {"path": "answer"}, {"path": "README.md", "contains": "Usage"}]}},
        {"id": "tested", "description": "two",
         "verification": {"type": "command", "command": "echo '2 of 3 tests failed' >&2; false"}},
    ]  # fmt: skip
    write(place.root, {"suite.json": json.dumps(suite(tasks=tasks))})
    place.bench()
    report = (place.root / "out/iterations/001/report.md").read_text()
    assert '| partial_result | 1 of 2 expectations not met: README.md with "Usage" |' in report
    assert "| wrong_result | 2 of 3 tests failed |" in report


def test_within_a_sample_a_bench_goes_on_by_itself(place: Place, tmp_path: Path) -> None:
    import os

    environ = {**os.environ, "AUTOLOOP_SAMPLE_DIR": str(tmp_path / "sample")}
    place.signals.stop = True
    place.bench(output="", environ=environ)
    place.signals.stop = False
    outcome = place.bench(output="", environ=environ)
    assert outcome.directory == tmp_path / "sample/bench" and outcome.metrics()["passed"] == 2


def test_a_mended_verifier_grades_once_more(place: Place) -> None:
    place.bench()
    tasks = suite()["tasks"]
    tasks[2]["verification"]["command"] = "grep -qx something answer"
    write(place.root, {"suite.json": json.dumps(suite(tasks=tasks))})
    with pytest.raises(AutoloopError, match="task three was changed since the bench began"):
        place.resume()
    outcome = api.regrade(place.root, Path("out"), place.followed)
    assert outcome.metrics()["cases"] == {"one": 1.0, "two": 1.0, "three": 1.0, "four": 0.0}
    assert place.json("out/summary.json")["totals"]["passed"] == 3
    assert place.json("out/episodes.json")[0]["summary"]["passed"] == 3


def test_trials_whose_verifier_failed_are_settled_once_it_is_mended(place: Place, rooted: Proving) -> None:
    task = place.root / "tasks/two-steps"
    files = {f"steps/{name}/instruction.md": f"Write {name}.\n" for name in ("one", "two")}
    judge = "grep -qxE 'one|two' answer && echo 1 > /logs/verifier/reward.txt\n"
    write(
        task, {"task.toml": 'version = "1.0"\n', "tests/test.sh": judge, "steps/two/tests/test.sh": "oops\n", **files}
    )
    broken = place.bench(suite="tasks", environ=rooted.environ)
    (trial,) = broken.state.results.values()
    assert (trial.outcome, trial.failure_mode) == (Outcome.ERROR, "verifier_error")
    assert broken.summary.totals.error == 1 and "the verifier ended with: /tests/test.sh" in trial.detail
    write(task, {"steps/two/tests/test.sh": f"{judge}grep -q two answer || rm /logs/verifier/reward.txt\n"})
    mended = api.regrade(place.root, Path("out"), place.followed, environ=rooted.environ)
    assert mended.metrics()["passed"] == 1 and mended.is_complete
    (trial,) = mended.state.results.values()
    assert trial.rewards == {"one": 1.0, "two": 1.0} and trial.workspace
    assert [entry["status"] for entry in place.json("out/episodes.json")] == ["success"]
    assert not list(mended.state.outstanding()), "a resume has nothing to take"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tasks": ["ones"]}, "words has no task 'ones'; did you mean"),
        ({"groups": ["numbers"]}, "words has no group 'numbers'"),
        ({"iterations": 0}, "iterations is 0"),
        ({"workers": "many"}, 'workers is "many"'),
        ({"min_free_gb": 1e9}, "below min_free_gb"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(place: Place, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(AutoloopError, match=said.replace("?", r"\?")):
        place.bench(**fields)
    assert not (place.root / "out").exists()


def test_an_unknown_profile_is_an_error_and_never_another(place: Place) -> None:
    with pytest.raises(AutoloopError, match='unknown profile "haf"; did you mean "half"') as refused:
        place.bench("haf")
    assert refused.value.hint == (
        "There are: half, other, claude-code, codex, opencode, anthropic, oracle, nop, openai:MODEL, ollama:MODEL."
    )
    meant = {"oracel": "oracle", "claud-code": "claude-code", "claude-cod:opus": "claude-code:opus",
             "olama:qwen3:8b": "ollama:qwen3:8b", "ollama": "ollama:MODEL"}  # fmt: skip
    for typed, near in meant.items():
        with pytest.raises(AutoloopError, match=f'unknown profile "{typed}"; did you mean "{near}"'):
            place.bench(typed)
    assert not (place.root / "out").exists()


def test_a_directory_with_a_bench_is_not_begun_anew(place: Place) -> None:
    place.bench(tasks=["one"])
    with pytest.raises(AutoloopError, match="there is a bench in"):
        place.bench()


def test_a_suite_is_tested_by_its_own_solutions(place: Place) -> None:
    tasks = suite()["tasks"][:3]
    tasks[0]["verification"]["command"] = "true"
    write(place.root, {"suite.json": json.dumps(suite(tasks=tasks))})
    options = api.BenchOptions("suite.json", output=Path("checked"), fields={"min_free_gb": 0.0})
    found = api.check_suite(place.root, options, place.followed)
    assert found.wrong == ("one: doing nothing gets a reward of 1",)
    assert [line.partition(":")[0] for line in found.unsupported] == ["one", "two", "three"]
    assert "no reference solution" in found.unsupported[0]


def test_views_are_made_again_from_the_journal(place: Place) -> None:
    place.bench()
    before = (place.root / "out/iterations/001/results.json").read_text()
    for name in ("runs/one-run-0001.json", "iterations/001/results.json", "summary.json"):
        (place.root / "out" / name).unlink()
    (place.root / "episodes.jsonl").unlink()
    place.resume()
    assert (place.root / "out/iterations/001/results.json").read_text() == before
    assert (place.root / "out/runs/one-run-0001.json").exists() and (place.root / "out/summary.json").exists()
    assert len((place.root / "episodes.jsonl").read_text().splitlines()) == 1
