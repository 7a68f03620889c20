"""Tasks of several steps: what each brings, which rewards count, and each verified once more."""

import shutil
from pathlib import Path
from typing import Any

from autoloop.core.suite.grading import needs_root
from autoloop.core.suite.tasks import Outcome, Placed, Solution, Step, SuiteTask, TrialResult
from autoloop.suites.sources.harbor import HarborTasks
from tests.suites.proving import Proving, plain, task
from tests.suites.written import harbor, written

REWARDED = "cat /app/reward > /logs/verifier/reward.json"


def step(name: str, command: str = "true", *, reward: str = "exit_code", **fields: Any) -> Step:
    return Step(name=name, instruction=f"{name}!", verification=plain(command, reward=reward), **fields)


def two(first: Step, second: Step, **fields: Any) -> SuiteTask:
    return task(steps=(first, second), **fields)


def again(here: Proving, given: SuiteTask) -> TrialResult:
    return here.take(here.order("nop", given, regrade=True, keep="all"))


def test_a_step_brings_its_files_and_runs_its_setup_before_its_agent_begins(anywhere: Proving) -> None:
    written(anywhere.suite, {"b/data/in": "of b\n", "b/setup.sh": "cat in data/in > seen; echo set up\n"})
    bringing = step("two", files=(Placed(source="b", target="."),), setup=("bash ./setup.sh",))
    command = "ls; cat in data/in seen; echo of the agent > in; mkdir -p data; echo $AUTOLOOP_PACKET"
    result = anywhere.run(command, two(step("one", "! ls setup.sh && ! ls seen"), bringing))
    assert result.passed and result.rewards == {"one": 1.0, "two": 1.0}
    first, second = anywhere.record("output.txt").split("packet.md\n")[:2]
    assert "of b" not in first and "setup.sh" not in first
    assert second.endswith("of the agent\nof b\nof the agent\nof b\n" + second.splitlines()[-1])


def test_a_setup_of_a_step_that_fails_is_an_error(anywhere: Proving) -> None:
    result = anywhere.run("true", two(step("one"), step("two", setup=("echo no such thing >&2; exit 3",))))
    assert (result.outcome, result.failure_mode) == (Outcome.ERROR, "setup_failed")
    assert "ended with exit code 3: no such thing" in result.detail


def test_each_step_is_solved_with_files_of_its_own(rooted: Proving) -> None:
    solve = "cp /solution/answer /app/; ls /solution >> /app/found"
    for name in ("s1", "s2"):
        written(rooted.suite / name, {"solve.sh": solve, "answer": name, f"only-{name}": ""})
    solution = Solution(
        commands=("bash /solution/solve.sh",) * 2,
        files=tuple(Placed(source=name, target="/solution") for name in ("s1", "s2")),
        by_step=True,
    )
    steps = step("one", "grep s1 answer"), step("two", "grep s2 answer && test $(grep -c only found) = 2")
    assert rooted.run("oracle", two(*steps, solution=solution)).passed


def test_scripts_of_a_task_directory_are_run_by_what_their_first_line_names(rooted: Proving) -> None:
    solve = "#!/usr/bin/env python3\nopen('out.txt', 'w').write('hello')\n"
    ended = "#!/bin/bash -e\ngrep -q hello out.txt\necho 1 > /logs/verifier/reward.txt\nfalse\nrm /logs/verifier/*\n"
    plainly = "grep -q hello out.txt\necho $((1 - $?)) > /logs/verifier/reward.txt\n"
    for number, judge in enumerate((ended, plainly)):
        place = harbor(rooted.suite / f"t{number}")
        written(place, {"solution/solve.sh": solve, "tests/judge": judge})
        (place / "tests/test.sh").unlink()
        (place / "tests/test.sh").symlink_to("judge")
        (given,) = HarborTasks({}).load(place).tasks
        rooted.suite = place
        assert rooted.run("oracle", given).passed, rooted.record("verification.txt", given.id)
        rooted.suite = place.parent


def test_the_reward_of_steps_counts_as_the_task_says(rooted: Proving) -> None:
    command = (
        'if test -e reward; then echo \'{"reward": 1, "style": 0.5}\'; else echo \'{"reward": 0}\'; fi > r; mv r reward'
    )
    steps = step("one", REWARDED, reward="file"), step("two", REWARDED, reward="file")
    mean = rooted.run(command, two(*steps))
    assert (mean.outcome, mean.reward) == (Outcome.FAIL, 0.5)
    assert mean.rewards == {"style": 0.25, "one": 0.0, "two": 1.0}
    assert rooted.run(command, two(*steps, counts="final")).passed
    ending = step("one", REWARDED, reward="file", min_reward={"style": 0.1})
    early = rooted.run(command, two(ending, steps[1]))
    assert (early.outcome, early.reward, early.rewards) == (Outcome.FAIL, 0.0, {"one": 0.0})
    assert "the step behind it was not begun" in early.detail


def test_each_step_is_verified_once_more_on_what_it_left(rooted: Proving) -> None:
    """The second step undoes what the first one's mended verifier looks for, in the workdir and elsewhere."""
    agent = "if test -e a; then rm a /made/a; else mkdir /made; echo hello > a; cp a /made/; fi"
    before = rooted.run(agent, two(step("one", "test -e a && false"), step("two", "test ! -e a")))
    assert (before.reward, before.rewards) == (0.5, {"one": 0.0, "two": 1.0}) and before.workspace
    mended = two(
        step("one", "touch b; grep hello a /made/a"), step("two", "test ! -e a && test ! -e /made/a && test ! -e b")
    )
    for _ in range(2):
        after = again(rooted, mended)
        assert after.passed and after.rewards == {"one": 1.0, "two": 1.0} and after.workspace == before.workspace
        mended = two(step("one", "grep hello a /made/a"), mended.steps[1])
    assert "[one: grep hello" in rooted.record("verification.txt")
    worse = again(rooted, two(step("one", "false", min_reward=1.0), mended.steps[1]))
    assert (worse.outcome, worse.reward, worse.rewards) == (Outcome.FAIL, 0.0, {"one": 0.0})


def test_what_a_step_brings_may_lie_outside_of_the_workdir(rooted: Proving) -> None:
    written(rooted.suite, {"b/in": "of b\n", "judge/list": "of b\n"})
    bringing = step("two", files=(Placed(source="b", target="/opt/data"), Placed(source="b", target="/mine")))
    judged = plain("diff /opt/data/in /mine/in && diff in /mine/list", files=(Placed(source="judge", target="/mine"),))
    given = two(step("one", "! ls /opt/data"), bringing.model_copy(update={"verification": judged}))
    before = rooted.run("cp /opt/data/in . || true", given, keep="all")
    assert before.passed and again(rooted, given).passed
    plainly = two(step("one"), step("two", files=(Placed(source="b", target="/mine"),)))
    assert needs_root(plainly) and not needs_root(two(step("one"), step("two")))


def test_a_step_that_was_not_begun_cannot_be_verified(anywhere: Proving) -> None:
    before = anywhere.run("echo x > a", two(step("one", "false", min_reward=1.0), step("two")))
    assert before.outcome is Outcome.FAIL
    after = again(anywhere, two(step("one", "grep x a", min_reward=1.0), step("two")))
    assert (after.outcome, after.failure_mode) == (Outcome.ERROR, "regrading")
    assert after.detail == "the step two would have been begun, and no agent worked on it"
    still = again(anywhere, two(step("one", "grep y a", min_reward=1.0), step("two")))
    assert (still.outcome, still.reward) == (Outcome.FAIL, 0.0)


def test_a_workspace_whose_steps_were_not_kept_is_not_taken_for_that_of_its_first(anywhere: Proving) -> None:
    given = two(step("one", "false"), step("two"))
    anywhere.run("true", given)
    kept = anywhere.directory / ".work/steps"
    assert sorted(path.name for path in kept.iterdir()) == ["1"]
    (kept / "1/workspace").rmdir()
    assert again(anywhere, given).failure_mode == "no_workspace"
    shutil.rmtree(kept)
    assert "not kept one by one" in again(anywhere, given).detail


def test_steps_are_kept_only_where_a_workspace_may_stay(tmp_path: Path) -> None:
    here = Proving(tmp_path)
    given = two(step("one", "test ! -e ../.work/steps/1"), step("two", "test ! -e ../.work/steps"))
    assert here.run("true", given, keep="none").passed
    assert here.run("true", two(step("one"), step("two", "test -e ../.work/steps/1"))).passed
    assert not (here.directory / ".work").exists()


def test_a_trial_without_a_grade_is_graded_once_the_verifier_is_mended(rooted: Proving) -> None:
    broken = rooted.run("echo hello > out.txt", task(plain("true", reward="file")))
    assert (broken.outcome, broken.failure_mode) == (Outcome.ERROR, "verifier_error") and broken.workspace
    assert (rooted.directory / "error.txt").exists()
    after = again(rooted, task(plain("grep -c hello out.txt > /logs/verifier/reward.txt", reward="file")))
    assert after.passed and not (rooted.directory / "error.txt").exists()
