"""One trial from its order to its result."""

import time
from pathlib import Path

import pytest

from autoloop.core.suite.tasks import Expectation, Outcome, Placed, Solution, Step, TaskVerification, TrialKey
from tests.real_git import write
from tests.suites.proving import CHECK, Proving, expecting, plain, task

SOLVE = "echo hello > out.txt"


def test_a_task_finds_its_workspace_and_its_verifier_at_their_true_paths(rooted: Proving) -> None:
    result = rooted.run('test "$PWD" = /app && echo hello > /app/out.txt', task())
    assert (result.outcome, result.reward, result.failure_mode) == (Outcome.PASS, 1.0, "")
    assert result.sandbox == "bwrap" and result.agent_seconds is not None and result.verifier_seconds is not None
    assert not (rooted.directory / "workspace").exists() and result.workspace == ""
    assert "reward 1" in rooted.record("verification.txt")


@pytest.mark.parametrize(
    "workdir", ["/app", "/srv/dir/deep", "/usr/src/app", "/home/someone/code", "/opt/a/b", "/root", "/tmp"]
)
def test_a_workdir_may_be_anywhere(rooted: Proving, workdir: str) -> None:
    given = task(workdir=workdir, files=(Placed(source="given", target="in.txt"),))
    write(rooted.suite, {"given": "hello from there\n"})
    assert rooted.run(f"pwd; cp {workdir}/in.txt out.txt", given).passed
    assert rooted.record("output.txt") == f"{workdir}\n"
    assert rooted.run("true", given).failure_mode == "no_change"


def test_files_at_other_absolute_paths_are_there_and_last_until_they_are_judged(rooted: Proving) -> None:
    write(rooted.suite, {"data/one": "1\n", "conf": "c\n"})
    files = (Placed(source="data", target="/data"), Placed(source="conf", target="/opt/tool/conf"))
    judge = TaskVerification(
        reward="exit_code", command="test $(cat /data/one /opt/tool/conf /made/here | tr -d '\\n') = 1xy"
    )
    done = rooted.run("echo x > /opt/tool/conf; mkdir /made; echo y > /made/here", task(judge, files=files))
    assert done.passed, done


def test_what_is_left_below_logs_lasts_until_it_is_judged_and_judged_again(rooted: Proving) -> None:
    agent = (
        "ls -A /logs /logs/*; mkdir /logs/mine; echo hello | tee /logs/artifacts/out /logs/mine/out > /logs/agent/out"
    )
    judge = "ls -A /logs/verifier; grep hello /logs/artifacts/out /logs/mine/out /logs/agent/out && echo 1 > $OUT"
    given = task(TaskVerification(reward="file", command=judge, env={"OUT": "/logs/verifier/reward.txt"}, timeout=20))
    step = Step(instruction="x", verification=given.steps[0].verification)
    assert rooted.run(agent, given, keep="all").passed
    assert rooted.record("output.txt").split() == [
        "/logs:", "agent", "artifacts", "verifier", "/logs/agent:", "/logs/artifacts:", "/logs/verifier:",
    ]  # fmt: skip
    assert rooted.take(rooted.order("nop", given, regrade=True, keep="all")).passed
    assert rooted.run(f"test -e /logs/mine || {{ {agent}; }}", task(steps=(step, step))).passed


def test_what_the_agent_says_does_not_count(anywhere: Proving) -> None:
    result = anywhere.run("echo 'All tests pass. reward 1. SUCCESS'", task(plain()))
    assert (result.outcome, result.reward, result.failure_mode) == (Outcome.FAIL, 0.0, "no_change")
    assert anywhere.run("echo bye > out.txt; exit 0", task(plain())).failure_mode == "wrong_result"
    failed = anywhere.run("echo bye > out.txt; exit 3", task(plain()))
    assert (failed.failure_mode, failed.outcome) == ("exited", Outcome.FAIL)
    assert anywhere.run(f"{SOLVE}; exit 3", task(plain())).passed, "its files are judged all the same"


def test_the_oracle_passes_and_nop_does_not(rooted: Proving) -> None:
    assert rooted.run("oracle", task()).passed
    result = rooted.run("nop", task())
    assert (result.outcome, result.failure_mode, result.cost_usd) == (Outcome.FAIL, "no_change", 0.0)
    assert rooted.run("oracle", task(solution=None)).outcome is Outcome.UNSUPPORTED


def test_a_task_with_absolute_paths_is_unsupported_without_bubblewrap(tmp_path: Path) -> None:
    here = Proving(tmp_path)
    for given in (task(), task(plain(), needs_paths=True), task(plain(), files=(Placed(source="x", target="/data"),))):
        result = here.run(SOLVE, given)
        assert (result.outcome, result.reward) == (Outcome.UNSUPPORTED, None) and "bubblewrap" in result.detail
    assert here.run("nop", task(unsupported="needs a Docker engine")).detail == "needs a Docker engine"


def test_the_verifiers_files_come_when_the_agent_is_done_and_go_before_its_next_step(anywhere: Proving) -> None:
    write(anywhere.suite, {"check.sh": CHECK})
    judge = plain("bash check.sh", files=(Placed(source="check.sh", target="check.sh"),))
    steps = tuple(Step(name=name, instruction=f"Do {name}.", verification=judge) for name in ("one", "two"))
    result = anywhere.run(f"ls; test ! -e check.sh && {SOLVE}", task(steps=steps))
    assert result.passed and result.rewards == {"one": 1.0, "two": 1.0}
    assert anywhere.record("output.txt") == "out.txt\n", "the first step found nothing, the second what the first left"


def test_with_less_than_its_least_reward_a_step_ends_the_trial_which_has_not_passed(
    anywhere: Proving,
) -> None:
    held = expecting(Expectation(path="out.txt"), Expectation(path="never.txt"))
    first = Step(name="one", instruction="x", verification=held, min_reward=0.5)
    second = Step(name="two", instruction="x", verification=held, min_reward=0.6)
    third = Step(name="three", instruction="x", verification=held)
    result = anywhere.run("echo again; touch out.txt", task(steps=(first, second, third)))
    assert result.rewards == {"one": 0.5, "two": 0.5} and (result.outcome, result.reward) == (Outcome.FAIL, 0.5)
    assert (result.outcome, result.failure_mode) == (Outcome.FAIL, "partial_result")
    assert result.detail == "one: 1 of 2 expectations not met: never.txt"
    assert anywhere.record("output.txt") == "again\nagain\n"


def test_the_agents_time_is_over_all_steps_and_nothing_is_verified_then(anywhere: Proving) -> None:
    step = Step(instruction="x", verification=plain("touch verified; true"))
    result = anywhere.run("sleep 0.6", task(steps=(step, step)), timeout=0.9)
    assert (result.outcome, result.reward, result.failure_mode) == (Outcome.TIMEOUT, 0.0, "timeout")
    assert result.agent_seconds == pytest.approx(0.9, abs=0.4)
    silent = anywhere.run("sleep 5", task(plain("touch verified; true")), idle_timeout=0.3)
    assert (silent.outcome, silent.failure_mode) == (Outcome.TIMEOUT, "idle")
    assert not (anywhere.directory / "workspace/verified").exists()


def test_a_verifier_has_a_deadline_of_its_own(rooted: Proving) -> None:
    slow = rooted.run(SOLVE, task(plain("sleep 30", timeout=0.3)))
    assert (slow.outcome, slow.reward, slow.failure_mode) == (Outcome.FAIL, 0.0, "verifier_timeout")
    judge = TaskVerification(reward="file", command="echo 1 > /logs/verifier/reward.txt; sleep 30", timeout=0.3)
    result = rooted.run(SOLVE, task(judge))
    assert (result.outcome, result.reward, result.failure_mode) == (Outcome.ERROR, None, "verifier_timeout")


@pytest.mark.parametrize(
    ("command", "outcome", "reward"),
    [
        ("echo 0.5 > $D/reward.txt", Outcome.FAIL, 0.5),
        ("echo 1 > $D/reward.txt; exit 7", Outcome.PASS, 1.0),
        ("""echo '{"reward": 1, "speed": 0.2}' > $D/reward.json; echo 0 > $D/reward.txt""", Outcome.PASS, 1.0),
        ("true", Outcome.ERROR, None),
        ("touch $D/reward.txt", Outcome.ERROR, None),
        ("echo NaN > $D/reward.txt", Outcome.ERROR, None),
        ("mkfifo $D/reward.txt", Outcome.ERROR, None),
        ("ln -s /etc/hostname $D/reward.json", Outcome.ERROR, None),
    ],
)
def test_a_reward_is_what_its_files_say_and_no_reward_is_an_error(
    rooted: Proving, command: str, outcome: Outcome, reward: float | None
) -> None:
    judge = TaskVerification(reward="file", command=command.replace("$D", "/logs/verifier"), timeout=20)
    result = rooted.run(SOLVE, task(judge))
    assert (result.outcome, result.reward) == (outcome, reward)
    assert (
        ("verifier_error" in rooted.record("error.txt"))
        if reward is None
        else not (rooted.directory / "error.txt").exists()
    )


def test_a_setup_runs_first_and_its_failure_is_no_failure_of_the_agent(anywhere: Proving) -> None:
    given = task(
        plain(), setup=("echo hello > given.txt", 'echo "$GREETING" >> given.txt'), env={"GREETING": "and you"}
    )
    assert anywhere.run('test "$GREETING" = "and you" && cp given.txt out.txt', given).passed
    broken = anywhere.run(SOLVE, task(plain(), setup=("echo no such tool >&2; exit 4",)))
    assert (broken.outcome, broken.failure_mode) == (Outcome.ERROR, "setup_failed")
    assert "exit code 4: no such tool" in broken.detail
    slow = anywhere.run(SOLVE, task(plain(), setup=("sleep 20",), setup_timeout=0.3))
    assert slow.failure_mode == "setup_failed" and "too long" in slow.detail


def test_each_try_begins_with_nothing_of_the_one_before_and_spares_other_attempts(anywhere: Proving) -> None:
    second = anywhere.run(
        "touch left; exit 1", task(plain()), key=TrialKey(arm="a", iteration=1, task="hello", attempt=2)
    )
    anywhere.run("echo hello > left; mkdir -p d/e; chmod 0 d", task(plain()))
    assert (anywhere.directory / "workspace/left").exists()
    again = anywhere.run("ls -A; cp left out.txt", task(plain()))
    assert again.outcome is Outcome.FAIL and "cannot stat 'left'" in anywhere.record("output.txt")
    assert (anywhere.bench / second.workspace / "left").exists()


def test_an_agent_out_of_reach_is_an_error(anywhere: Proving) -> None:
    result = anywhere.run("no-such-program-anywhere", task(plain()))
    assert (result.outcome, result.failure_mode) == (Outcome.ERROR, "unreachable")
    assert "no-such-program" in result.detail and "unreachable" in anywhere.record("error.txt")


def test_an_unknown_profile_or_model_is_an_error_and_nothing_else(anywhere: Proving) -> None:
    result = anywhere.take(anywhere.order("no-such-profile", task(plain())))
    assert (result.outcome, result.reward) == (Outcome.ERROR, None) and "no-such-profile" in result.detail
    anywhere.profile(SOLVE)
    environ = {**anywhere.environ, "AUTOLOOP_COMMAND": SOLVE}
    anywhere.environ = environ
    anywhere.profile("true", "lazy")
    assert not anywhere.take(anywhere.order("lazy", task(plain()))).passed, "no variable makes an arm another one"


def test_what_is_interrupted_says_nothing(anywhere: Proving) -> None:
    began = time.monotonic()
    result = anywhere.run("sleep 20", task(plain()), cancelled=lambda: time.monotonic() - began > 0.3)
    assert (result.outcome, result.failure_mode, result.reward) == (Outcome.ERROR, "interrupted", None)
    assert time.monotonic() - began < 10
    began = time.monotonic()
    late = anywhere.run("true", task(plain("sleep 20")), cancelled=lambda: time.monotonic() - began > 0.5)
    assert late.failure_mode == "interrupted"


def test_a_suite_that_names_what_it_does_not_have_is_an_error(anywhere: Proving) -> None:
    for source in ("missing", "../repo/README.md"):
        result = anywhere.run(SOLVE, task(plain(), files=(Placed(source=source, target="x"),)))
        assert result.outcome is Outcome.ERROR and source in result.detail


def test_a_kept_workspace_can_be_verified_once_more(rooted: Proving) -> None:
    judge = plain("cat /made/out.txt; false")
    before = rooted.run("mkdir /made; echo hello > /made/out.txt", task(judge))
    assert before.outcome is Outcome.FAIL and before.workspace
    mended = task(plain("grep hello /made/out.txt"))
    after = rooted.take(rooted.order("nop", mended, regrade=True, keep="all"))
    assert after.passed and after.workspace == before.workspace
    assert rooted.run("nop", mended, regrade=True, keep="all").passed, "it stays for another time"
    gone = rooted.take(rooted.order("nop", task(plain(), id="other"), regrade=True, keep="all"))
    assert gone.outcome is Outcome.ERROR and "no workspace" in gone.detail


def test_commands_find_the_variables_of_their_task(anywhere: Proving) -> None:
    said = {"WORDS": "two 'words' $HOME\n`and` a line", "LD_BIND_NOW": "1", "HOME": "/elsewhere"}
    check = plain('cmp "$AGENTS" wanted && [ "$WORDS$LD_BIND_NOW" = "$(cat wanted)" ]', env={"AGENTS": "out.txt"})
    agent = 'printf %s "$WORDS$LD_BIND_NOW" > out.txt'
    oracle = Solution(commands=('[ "$HOME" != /elsewhere ] && printf %s "$WORDS$LD_BIND_NOW" > out.txt',))
    setup = 'printf %s "$WORDS$LD_BIND_NOW" > wanted'
    for command in (agent, "oracle"):
        result = anywhere.run(command, task(check, env=said, setup=(setup,), solution=oracle), keep="all")
        assert result.outcome is Outcome.PASS, anywhere.record("verification.txt")
    assert (anywhere.directory / "workspace/out.txt").read_text() == f"{said['WORDS']}1"
