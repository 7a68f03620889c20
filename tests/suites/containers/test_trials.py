"""Trials in real containers: what the image brings, what an agent can do there, and what is left of it."""

import os
import stat
from pathlib import Path

import pytest

from autoloop.core.suite.tasks import Outcome
from autoloop.suites.containers.engine import Engine
from tests.suites.containers.cases import BASE, DOCKERFILE, TEST, Trying, containers_of

pytestmark = [pytest.mark.containers, pytest.mark.usefixtures("base")]


@pytest.fixture
def here(tmp_path: Path, engine: Engine) -> Trying:
    return Trying(tmp_path)


def test_the_solution_passes_and_doing_nothing_does_not(here: Trying, engine: Engine) -> None:
    task = here.task()
    assert task.contained and not task.unsupported
    solved, nothing = here.tried("oracle", task), here.tried("nop", task)
    assert (solved.outcome, solved.sandbox) == (Outcome.PASS, "container"), solved.detail
    assert (nothing.outcome, nothing.failure_mode) == (Outcome.FAIL, "no_change")
    assert containers_of(engine, here.bench) == []


def test_an_agent_finds_the_image_and_nothing_of_this_machine(here: Trying) -> None:
    task = here.task(
        "[environment.env]\nSET = 'by the task'\n",
        environment__Dockerfile=DOCKERFILE + 'ENV GREETING="hi there" PATH=/opt/bin:$PATH\n',
    )
    asks = f"pwd; cat start.txt /etc/made; env; cat {here.root}/README.md; ls {here.suite}; echo hello > out.txt"
    assert here.tried(asks, task).outcome is Outcome.PASS
    said = here.file("output.txt")
    assert "/app\nstart\nmade\n" in said and "GREETING=hi there" in said and "SET=by the task" in said
    assert "PATH=/opt/bin:/" in said and said.count("No such file") == 2
    assert Path(here.directory.parent / "boxed/trajectory.json").exists()


def test_the_tests_are_not_there_while_the_agent_works(here: Trying) -> None:
    asks = "ls -A /tests /solution /logs/verifier | cat; echo rest; echo hello > out.txt"
    assert here.tried(asks, here.task()).outcome is Outcome.PASS
    said = here.file("output.txt").split("rest")[0]
    assert "test.sh" not in said and "solve.sh" not in said


def test_what_waits_for_the_tests_does_not_live_to_see_them(here: Trying) -> None:
    waits = "until [ -e /tests/test.sh ]; do sleep 0.01; done; echo 1 > /logs/verifier/reward.txt; echo > /app/seen"
    test = "ls /app; sleep 0.5\n" + TEST
    result = here.tried(f"setsid bash -c '{waits}' > /dev/null 2>&1 & sleep 0.3", here.task(tests__test_sh=test))
    assert (result.outcome, result.reward) == (Outcome.FAIL, 0.0)
    assert "seen" not in here.file("verification.txt")


def test_a_reward_that_the_agent_wrote_is_gone(here: Trying, tmp_path: Path) -> None:
    forged = "echo 1 > /logs/verifier/reward.txt; echo 'echo 1 > /logs/verifier/reward.json' > /tests/test.sh"
    assert here.tried(forged, here.task()).reward == 0.0
    (tmp_path / "prize").write_text("1\n")
    link = f"ln -s {tmp_path}/prize /logs/verifier/reward.json; exit 0"
    linked = here.tried("true", here.task(tests__test_sh=link))
    assert (linked.outcome, linked.reward) == (Outcome.ERROR, None)


def test_what_the_agent_installs_in_the_system_is_there_for_the_tests(here: Trying) -> None:
    test = 'if [ "$(cat /etc/installed)" = it ]; then echo 1; else echo 0; fi > /logs/verifier/reward.txt\n'
    assert here.tried("echo it > /etc/installed", here.task(tests__test_sh=test)).outcome is Outcome.PASS
    elsewhere = here.tried("echo that > /etc/installed", here.task(tests__test_sh=test))
    assert elsewhere.failure_mode == "wrong_result", "a change outside of the workdir is a change"


def test_an_image_by_name_needs_no_dockerfile(here: Trying) -> None:
    task = here.task(
        f"[environment]\ndocker_image = '{BASE}'\nworkdir = '/task'\n",
        environment__Dockerfile="", environment__start_txt="", solution__solve_sh="pwd > /task/out.txt",
        tests__test_sh="if grep -q ^/task /task/out.txt; then echo 1; else echo 0; fi > /logs/verifier/reward.txt\n",
    )  # fmt: skip
    assert (task.contained != "", here.tried("oracle", task).outcome) == (True, Outcome.PASS)


def test_a_build_that_fails_is_an_error_with_its_last_words(here: Trying) -> None:
    task = here.task(environment__Dockerfile=f"FROM {BASE}\nRUN much=little; echo so $much for that >&2; exit 7\n")
    result = here.tried("oracle", task)
    assert (result.outcome, result.reward) == (Outcome.ERROR, None)
    assert "build the image of boxed/environment" in result.detail and "7" in result.detail
    assert "so little for that" in here.file("error.txt"), "what the build said"


def test_more_cores_than_there_are_is_all_of_them(here: Trying) -> None:
    assert here.tried("oracle", here.task("[environment]\ncpus = 64\n")).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "entrypoint", ['["cat"]', '["bash", "-c", "sleep 0.5; exit 1"]', '["bash", "-c", "sleep 1; exit 0", "x"]']
)
def test_an_entrypoint_that_can_run_no_command_is_passed_over(here: Trying, entrypoint: str) -> None:
    task = here.task(environment__Dockerfile=f"{DOCKERFILE}ENTRYPOINT {entrypoint}\n")
    result = here.tried("sleep 1; echo hello > out.txt", task)
    assert result.outcome is Outcome.PASS, result.detail


def test_an_entrypoint_that_starts_something_has_it_running(here: Trying) -> None:
    starts = '(sleep 999 & echo up > /tmp/up); exec \\"$@\\"'
    task = here.task(environment__Dockerfile=f'{DOCKERFILE}ENTRYPOINT ["bash", "-c", "{starts}", "x"]\n')
    result = here.tried("cat /tmp/up; grep -l 999 /proc/[0-9]*/cmdline; echo hello > out.txt", task)
    assert result.outcome is Outcome.PASS, result.detail
    assert "up\n" in here.file("output.txt") and "/cmdline" in here.file("output.txt")


def test_a_time_limit_ends_what_runs_inside(here: Trying, engine: Engine) -> None:
    result = here.tried("echo hello > out.txt; sleep 500", here.task(), timeout=3.0)
    assert (result.outcome, result.failure_mode) == (Outcome.TIMEOUT, "timeout")
    assert containers_of(engine, here.bench) == []


def test_a_verifier_that_takes_too_long_is_an_error(here: Trying, engine: Engine) -> None:
    result = here.tried("true", here.task("[verifier]\ntimeout_sec = 1\n", tests__test_sh="sleep 500\n"))
    assert (result.outcome, result.failure_mode) == (Outcome.ERROR, "verifier_timeout")
    assert containers_of(engine, here.bench) == []


def test_memory_has_the_bound_that_the_task_says(here: Trying) -> None:
    task = here.task("[environment]\nmemory_mb = 64\n")
    greedy = "dd if=/dev/zero of=/dev/null bs=200M count=1 && echo hello > out.txt"
    assert here.tried(greedy, task).outcome is Outcome.FAIL
    assert here.tried(greedy, here.task()).outcome is Outcome.PASS


def test_without_a_network_there_is_only_a_loopback(here: Trying) -> None:
    asks = "ls /sys/class/net > out.txt; echo hello >> out.txt"
    count = "if [ $(wc -l < out.txt) = 2 ]; then echo 1; else echo 0; fi > /logs/verifier/reward.txt\n"
    closed = here.task("[environment]\nallow_internet = false\n", tests__test_sh=count)
    assert here.tried(asks, closed).outcome is Outcome.PASS
    assert here.tried(asks, here.task(tests__test_sh=count)).outcome is Outcome.FAIL


def test_a_container_is_ready_when_its_healthcheck_says_so(here: Trying) -> None:
    check = "[environment.healthcheck]\ncommand = '{}'\ninterval_sec = 0.1\nretries = 3\n"
    well = "if [ -e /tmp/asked ]; then exit 0; fi; echo > /tmp/asked; exit 1"
    assert here.tried("oracle", here.task(check.format(well))).outcome is Outcome.PASS
    ill = here.tried("oracle", here.task(check.format("echo not yet; exit 1")))
    assert ill.outcome is Outcome.ERROR and "not healthy: not yet" in ill.detail


def test_the_images_user_works_and_the_verifier_may_be_another(here: Trying) -> None:
    user = DOCKERFILE + "RUN chmod 777 /app\nUSER 1234\n"
    test = "id; " + TEST
    task = here.task("[verifier]\nuser = 'root'\n", environment__Dockerfile=user, tests__test_sh=test)
    result = here.tried("id; echo hello > out.txt", task, keep="all")
    assert result.outcome is Outcome.PASS, result.detail
    assert "uid=1234" in here.file("output.txt") and "uid=0" in here.file("verification.txt")
    kept = here.directory.parent / "boxed/workspace/out.txt"
    assert kept.stat().st_uid == os.getuid()


def test_a_script_that_nobody_made_executable_runs_for_whoever_verifies_or_solves(here: Trying) -> None:
    image = DOCKERFILE + "RUN chmod 777 /app\nUSER 1234\n"
    task = here.task("[verifier]\nuser = 4321\n", environment__Dockerfile=image, tests__test_sh="id; " + TEST)
    result = here.tried("oracle", task)
    assert result.outcome is Outcome.PASS, result.detail
    assert "uid=4321" in here.file("verification.txt")


def test_what_an_agent_leaves_below_logs_is_there_for_the_verifier(here: Trying) -> None:
    image = DOCKERFILE + "RUN chmod 777 /app\nUSER 1234\n"
    test = "cat /logs/agent/out /logs/artifacts/out > /app/out.txt\n" + TEST
    task = here.task(environment__Dockerfile=image, tests__test_sh=test)
    result = here.tried("ls -A /logs/*; echo hello | tee /logs/agent/out > /logs/artifacts/out", task)
    assert result.outcome is Outcome.PASS, result.detail
    assert here.file("output.txt").split() == ["/logs/agent:", "/logs/artifacts:", "/logs/verifier:"]


def test_a_workspace_that_is_kept_holds_nothing_that_gives_rights(here: Trying) -> None:
    made = here.tried("echo x > tool; chmod 4755 tool; mknod disk b 8 0", here.task(), keep="all")
    assert made.workspace
    tool = here.directory.parent / "boxed/workspace/tool"
    assert tool.exists() and not tool.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    assert not (tool.parent / "disk").exists()


def test_steps_share_one_container(here: Trying) -> None:
    step = "if [ -e /etc/step-{0} ]; then echo 1; else echo 0; fi > /logs/verifier/reward.txt\n"
    files = {"instruction_md": "", "tests__test_sh": "", "solution__solve_sh": ""}
    for name in "ab":
        files |= {
            f"steps__{name}__instruction_md": f"Make /etc/step-{name}.\n",
            f"steps__{name}__tests__test_sh": step.format(name),
            f"steps__{name}__solution__solve_sh": f"echo > /etc/step-{name}\n",
        }
    steps = "[[steps]]\nname = 'a'\n[[steps]]\nname = 'b'\n"
    task = here.task(steps, **files)
    assert here.tried("oracle", task).outcome is Outcome.PASS
    assert here.tried("ls /etc; echo > /etc/step-a; [ ! -e /etc/first ] || echo > /etc/step-b; echo > /etc/first", task)
    assert here.file("output.txt").count("made\n") == 2


def test_a_workspace_of_a_container_is_not_graded_again(here: Trying) -> None:
    task = here.task()
    assert here.tried("true", task).outcome is Outcome.FAIL
    again = here.tried("oracle", task, regrade=True)
    assert again.outcome is Outcome.ERROR and "it was tried in a container" in again.detail


def test_nothing_that_an_agent_leaves_keeps_its_trial_from_being_judged(here: Trying) -> None:
    places = '/tests/deep/er /logs/verifier/deep/er /app/tests/deep "$HOME"/../verifier/deep'
    leaves = f"mkdir -p {places}; for place in {places}; do echo x > $place/file; chmod 500 $place; done"
    result = here.tried(leaves, here.task())
    assert (result.outcome, result.reward) == (Outcome.FAIL, 0.0), result.detail
