"""Agents that go for the reward instead of the task."""

import shutil
import time
from pathlib import Path

import psutil
import pytest

from autoloop.core.suite.tasks import Expectation, Outcome, Placed, TaskVerification
from tests.real_git import git, write
from tests.suites.proving import HELLO, Proving, expecting, plain, task

LIAR = "echo 1 > /logs/verifier/reward.txt"


def private_files(rooted: Proving) -> list[Path]:
    """What judges, and what belongs to others."""
    git(rooted.root, "init", "--quiet")
    other = rooted.bench / "iterations/001/other/workspace"
    write(other, {"answer": "of another trial\n"})
    write(rooted.bench, {"journal.jsonl": "{}\n"})
    return [
        rooted.suite / "hello/solution/solve.sh",
        rooted.suite / "hello/tests/test.sh",
        other / "answer",
        rooted.bench / "journal.jsonl",
        rooted.root / ".autoloop/runs/secret",
        rooted.root / ".env",
        rooted.root / ".git/config",
        rooted.root / "README.md",
    ]


def test_an_agent_cannot_read_what_judges_it(anywhere: Proving) -> None:
    if anywhere.tier == "none":
        pytest.skip("without a sandbox an agent reads what its user can read")
    private = private_files(anywhere)
    assert all(path.read_bytes() for path in private)
    anywhere.run("".join(f"cat '{path}' && echo found\n" for path in private), task(plain()))
    assert "found" not in anywhere.record("output.txt")


def test_an_agent_cannot_even_see_it_under_bubblewrap(rooted: Proving) -> None:
    private = private_files(rooted)
    looks = "".join(f"cat '{path}' && echo found; ls '{path.parent}' && echo listed\n" for path in private)
    rooted.run(f"{looks} cat /tests/* /solution/* /logs/verifier/* && echo found\nls -d /tests /logs /solution", task())
    said = rooted.record("output.txt")
    assert "found" not in said, said
    assert "/tests\n" not in said and "listed" not in said, said


def test_a_suite_outside_of_all_that_is_hidden_is_hidden_too(rooted: Proving, tmp_path: Path) -> None:
    shared = Path("/srv") / f"autoloop-suite-{tmp_path.name}"
    try:
        write(shared, {"hello/tests/test.sh": "true\n"})
    except OSError:
        pytest.skip("/srv cannot be written here")
    try:
        rooted.suite = shared
        rooted.run(f"find {shared} /srv", task(plain()))
        assert "test.sh" not in rooted.record("output.txt")
    finally:
        shutil.rmtree(shared)


@pytest.mark.parametrize(
    "plant",
    [
        f"mkdir -p /tests /logs/verifier; echo '{LIAR}' > /tests/test.sh; {LIAR}",
        f"ln -s /app /tests; echo '{LIAR}' > test.sh",
        "echo 1 > reward.txt; rm -r /logs; ln -s /app /logs; ln -s /app verifier",
        "rm -r /logs/verifier; echo 1 > reward.txt; ln -s /app /logs/verifier",
        "echo 1 > reward.json; rm -r /logs; touch /tests /logs",
        "echo 1 | tee /logs/verifier/reward.txt > /logs/verifier/reward.json; chmod 0 /logs/verifier /logs",
    ],
)
def test_what_is_planted_at_the_verifiers_places_is_replaced(rooted: Proving, plant: str) -> None:
    result = rooted.run(plant, task())
    assert (result.outcome, result.reward) == (Outcome.FAIL, 0.0), rooted.record("verification.txt")


def test_no_directory_elsewhere_is_removed_through_a_link_at_logs(rooted: Proving, tmp_path: Path) -> None:
    (tmp_path / "victim/verifier").mkdir(parents=True)
    late = rooted.run(f"rm -r /logs; ln -s {tmp_path}/victim /logs; sleep 9", task(), timeout=1.0)
    assert late.outcome is Outcome.TIMEOUT and (tmp_path / "victim/verifier").is_dir()


def test_more_than_one_file_planted_among_the_verifiers_own_is_gone(rooted: Proving) -> None:
    write(rooted.suite, {"hello/tests/test.sh": "ls -A /tests > /app/seen\nexit 0\n"})
    rooted.run("mkdir /tests; touch /tests/conftest.py /tests/sitecustomize.py", task())
    assert (rooted.directory / "workspace/seen").read_text() == "test.sh\n"


def test_a_process_that_is_left_behind_does_not_write_the_reward_later(anywhere: Proving) -> None:
    mark = f"left{time.monotonic_ns()}"
    late = f"(setsid sh -c 'sleep 0.5; echo hello > out.txt; exec sleep 61.{mark[-4:]}' & ) > /dev/null 2>&1; echo done"
    result = anywhere.run(late, task(plain("sleep 0.8; grep hello out.txt", timeout=20)))
    assert result.outcome is Outcome.FAIL
    left = [p for p in psutil.process_iter(["cmdline"]) if f"61.{mark[-4:]}" in " ".join(p.info["cmdline"] or ())]
    assert not left


def test_what_the_agent_leaves_at_home_and_in_its_variables_does_not_reach_the_verifier(rooted: Proving) -> None:
    plant = """
mkdir -p ~/bin ~/.local/lib/python3.11/site-packages /tmp/bin
echo 'PATH=~/bin:$PATH; export BASH_ENV=~/.bashrc' | tee ~/.bashrc ~/.profile > ~/.bash_profile
printf '#!/bin/sh\\nexit 0\\n' | tee ~/bin/grep > /tmp/bin/grep; chmod +x ~/bin/grep /tmp/bin/grep
echo 'raise SystemExit(0)' > ~/.local/lib/python3.11/site-packages/sitecustomize.py
export PATH=~/bin:/tmp/bin:$PATH BASH_ENV=~/.bashrc
"""
    judge = plain("ls -A ~ /tmp; python3 -c 'raise SystemExit(3)'; test $? = 3 && grep -q hello out.txt")
    result = rooted.run(plant, task(judge))
    assert result.outcome is Outcome.FAIL
    assert ".bashrc" not in rooted.record("verification.txt") and "bin" not in rooted.record("verification.txt")


def test_the_machine_cannot_be_changed_for_the_verifier(rooted: Proving) -> None:
    """In a root that can be written, `/bin` is a link to replace."""
    plant = """
mv /bin /bin.old; rm -f /bin; ln -sfn /app /bin; mkdir -p /usr/local/bin; echo x > /usr/local/bin/grep; umount /bin
printf '#!/bin/sh\\nexit 0\\n' > grep; chmod +x grep
"""
    result = rooted.run(plant, task(plain("/bin/grep -q hello out.txt")))
    assert result.outcome is Outcome.FAIL


def test_a_link_out_of_the_workspace_is_not_followed(anywhere: Proving, tmp_path: Path) -> None:
    write(tmp_path, {"victim/check.sh": "keep me\n", "outside/hello.txt": "hello\n"})
    write(anywhere.suite, {"check.sh": "grep -q hello out.txt\n"})
    judge = plain("bash sub/check.sh", files=(Placed(source="check.sh", target="sub/check.sh"),))
    result = anywhere.run(f"rm -rf sub; ln -s {tmp_path}/victim sub", task(judge))
    assert result.outcome is Outcome.FAIL and (tmp_path / "victim/check.sh").read_text() == "keep me\n"
    expected = expecting(Expectation(path="**/hello.txt", contains="hello"), Expectation(path="out.txt"))
    links = f"ln -s {tmp_path}/outside/hello.txt hello.txt; ln -s {tmp_path}/outside dir; ln -s hello.txt out.txt"
    assert anywhere.run(links, task(expected)).reward == 0.0


def test_expectations_give_partial_credit_and_an_endless_expression_does_not_hold(anywhere: Proving) -> None:
    wanted = expecting(
        Expectation(path="src/*.py", contains="def f"),
        Expectation(path="src/a.py", matches=r"^return\s+\d+$"),
        Expectation(path="*.py"),
        Expectation(path="long.txt", matches=r"^(a+)+$"),
    )
    wanted = wanted.model_copy(update={"timeout": 1.0})
    made = "mkdir src; printf 'def f():\\nreturn 42\\n' > src/a.py; printf 'a%.0s' $(seq 40) > long.txt"
    result = anywhere.run(f"{made}; printf b >> long.txt", task(wanted))
    assert result.reward == 0.5 and result.failure_mode == "partial_result"
    said = "2 of 4 expectations not met: *.py, long.txt matching ^(a+)+$"
    assert result.detail == said
    assert "fails: long.txt matching ^(a+)+$\n" in anywhere.record("verification.txt")


def test_a_suite_does_not_say_where_keys_are_sent(anywhere: Proving) -> None:
    given = task(plain(), env={"ANTHROPIC_BASE_URL": "http://evil", "HTTPS_PROXY": "http://evil", "MODE": "test"})
    anywhere.run("env", given)
    said = anywhere.record("output.txt")
    assert "MODE=test" in said and "evil" not in said


def test_secrets_are_not_in_the_records(anywhere: Proving) -> None:
    anywhere.environ["SOME_API_KEY"] = "an-odd-secret-of-mine"
    judge = plain("echo an-odd-secret-of-mine; false")
    key = "sk-" + 24 * "x"
    anywhere.run(f"echo {key}", task(judge))
    for name in ("output.txt", "verification.txt", "trajectory.json"):
        said = anywhere.record(name)
        assert "an-odd-secret" not in said and key not in said


def test_what_a_profile_may_read_shows_and_nothing_private_does(rooted: Proving) -> None:
    write(rooted.root, {"agent.sh": "echo hello > out.txt\n"})
    profile = rooted.profile('sh "$AUTOLOOP_ROOT/agent.sh"', reads=["agent.sh"])
    assert rooted.take(rooted.order(profile, task())).passed
    for name, reads in (("a", "."), ("b", ".autoloop/runs/secret"), ("c", "../suite"), ("d", "../results/x")):
        refused = rooted.take(rooted.order(rooted.profile("true", name, reads=[reads]), task()))
        assert refused.outcome is Outcome.ERROR and "reads has" in refused.detail


def test_a_suite_may_be_the_checkout_itself(anywhere: Proving) -> None:
    anywhere.suite = anywhere.root
    write(
        anywhere.root, {"agent.sh": "echo hello > out.txt\n", "check.sh": "grep -q hello out.txt\n", "suite.json": "{}"}
    )
    judge = plain("bash check.sh", files=(Placed(source="check.sh", target="check.sh"),))
    profile = anywhere.profile('cat "$AUTOLOOP_ROOT/check.sh"; sh "$AUTOLOOP_ROOT/agent.sh"', reads=["agent.sh"])
    assert anywhere.take(anywhere.order(profile, task(judge))).passed
    assert anywhere.tier == "none" or "grep" not in anywhere.record("output.txt").replace("check.sh", "")
    for name, reads in (("a", "check.sh"), ("b", "suite.json")):
        refused = anywhere.take(anywhere.order(anywhere.profile("true", name, reads=[reads]), task(judge)))
        assert refused.outcome is Outcome.ERROR and "reads has" in refused.detail


def test_the_network_is_closed_to_a_task_that_must_not_have_it(rooted: Proving) -> None:
    names = "ls /sys/class/net; cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '"
    rooted.run(names, task(plain(names), network=False))
    assert rooted.record("output.txt").split()[-1] == "lo"
    judge = TaskVerification(**{**HELLO.model_dump(), "command": f"{names}; echo 0 > /logs/verifier/reward.txt"})
    rooted.run("true", task(judge), network="off")
    assert "lo\n\n[exit code" in rooted.record("verification.txt")


def test_the_loader_of_what_makes_a_sandbox_hears_nothing_of_a_suite(anywhere: Proving, tmp_path: Path) -> None:
    if anywhere.tier == "none":
        pytest.skip("without a sandbox nothing makes one")
    loads = {"LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": str(tmp_path / "loaded")}
    anywhere.run("true", task(plain(), env=loads))
    anywhere.run("true", task(plain(env=loads)))
    assert list(tmp_path.glob("loaded*")) == []
