"""Task directories of Harbor and Terminal-Bench: what is applied, and what makes a task unsupported."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from autoloop.core.suite.tasks import Placed, SuiteTask
from autoloop.errors import AutoloopError
from autoloop.suites.sources.harbor import HarborTasks
from tests.suites.written import TASK_TOML, harbor, written

WHOLE = """\
schema_version = "1.1"
[task]
name = "us/hello"
description = "d"
authors = [{ name = "A" }]
keywords = ["k"]
[metadata]
difficulty = "easy"
category = "files"
tags = ["t", "u"]
anything = { else = 1 }
[agent]
timeout_sec = 120.0
[verifier]
timeout_sec = 30
env = { KEY = "${KEY}", MODEL = "${MODEL:-small}", PLAIN = "$x" }
user = "root"
[environment]
build_timeout_sec = 300.0
cpus = 1
memory_mb = 2048
network_mode = "no-network"
env = { HELLO = "${WORD:-hi}" }
[solution]
env = { MORE = "${KEY}" }
"""


def load(path: Path, environ: Mapping[str, str] | None = None, *, here: str = "python3 gcc make") -> SuiteTask:
    (task,) = HarborTasks(environ or {}, here.split().__contains__).load(path).tasks
    return task


def refusal(path: Path) -> str:
    with pytest.raises(AutoloopError) as caught:
        load(path)
    return str(caught.value)


def test_a_task_is_read_whole(tmp_path: Path) -> None:
    harbor(tmp_path / "d" / "hello", WHOLE, dockerfile="FROM ubuntu:24.04\n", solution__solve=":", tests__more="x")
    written(tmp_path / "d" / "hello", {"solution/solve.sh": "echo\n"})
    task = load(tmp_path / "d", {"KEY": "secret"})
    assert (task.id, task.name, task.group, task.difficulty) == ("hello", "us/hello", "files", "easy")
    assert (task.tags, task.timeout, task.setup_timeout) == (("k", "t", "u"), 120.0, 300.0)
    assert (task.workdir, task.network, task.needs_paths, task.unsupported) == ("/app", False, True, "")
    assert task.bounds == ("cpus = 1", "memory_mb = 2048")
    assert task.env == {"HELLO": "hi"}
    (step,) = task.steps
    assert (step.instruction, step.name, step.min_reward) == ("Say hello.\n", "", None)
    verification = step.verification
    assert verification.files == (Placed(source="hello/tests", target="/tests", script="test.sh"),)
    assert (verification.command, verification.reward) == ("/tests/test.sh", "file")
    assert (verification.timeout, verification.user) == (30.0, "root")
    assert verification.env == {"KEY": "secret", "MODEL": "small", "PLAIN": "$x"}
    assert task.solution is not None
    assert task.solution.commands == ("/solution/solve.sh",)
    assert task.solution.files == (Placed(source="hello/solution", target="/solution", script="solve.sh"),)
    assert task.solution.env == {"MORE": "secret"}


def test_a_legacy_task_is_read_and_its_verifier_has_a_deadline(tmp_path: Path) -> None:
    toml = 'version = "1.0"\n[environment]\nmemory = "2G"\nstorage = "10G"\nallow_internet = false\n'
    task = load(harbor(tmp_path / "one", toml))
    assert (task.network, task.unsupported, task.timeout, task.solution) == (False, "", None, None)
    assert task.steps[0].verification.timeout == 600.0
    assert task.steps[0].verification.files == (Placed(source="tests", target="/tests", script="test.sh"),)


def test_a_variable_that_is_not_set_makes_a_task_unsupported_and_no_secret_reaches_its_digest(tmp_path: Path) -> None:
    path = harbor(tmp_path / "one", WHOLE)
    assert load(path).unsupported == "it needs the environment variable KEY"
    assert load(path).digest == load(path, {"KEY": "secret"}).digest
    harbor(tmp_path / "two", 'version = "1.0"\n[solution]\nenv = { A = "${A}" }\n', solution__x="")
    written(tmp_path / "two", {"solution/solve.sh": ":"})
    assert load(tmp_path / "two").solution is None and not load(tmp_path / "two").unsupported
    assert load(tmp_path / "two", {"A": "1"}).solution is not None


def test_a_value_is_a_variable_as_a_whole_or_stands_as_it_is(tmp_path: Path) -> None:
    env = '{ PATH_LIKE = "/app:${PYTHONPATH}", EMPTY = "${EMPTY:-d}", BRACES = "${B:-{}}", PLUS = "${C:+x}", N = "$N" }'
    task = load(harbor(tmp_path / "one", f"{TASK_TOML}[environment]\nenv = {env}\n"), {"EMPTY": "", "C": "1"})
    assert task.unsupported == ""
    assert task.env == {
        "PATH_LIKE": "/app:${PYTHONPATH}", "EMPTY": "", "BRACES": "{}", "PLUS": "${C:+x}", "N": "$N",
    }  # fmt: skip


def test_steps_have_tests_over_those_of_the_task_and_solutions_of_their_own(tmp_path: Path) -> None:
    toml = (
        'schema_version = "1.2"\n[agent]\ntimeout_sec = 50\n'
        '[verifier]\ntimeout_sec = 9\nuser = 0\nenv = {A = "1", B = "1"}\n'
        '[[steps]]\nname = "b"\nmin_reward = 1\n[steps.verifier]\ntimeout_sec = 5\nenv = {B = "2"}\n'
        '[[steps]]\nname = "a"\n[steps.agent]\ntimeout_sec = 70\n'
    )
    path = written(tmp_path / "one", {
        "task.toml": toml, "tests/test.sh": "t", "steps/a/instruction.md": "Then a.", "steps/a/tests/test.sh": "t",
        "steps/b/instruction.md": "First b.", "steps/b/solution/solve.sh": "s", "solution/solve.sh": "s",
        "steps/b/workdir/data": "d", "steps/a/workdir/setup.sh": "s",
    })  # fmt: skip
    task = load(path)
    assert [(step.name, step.instruction, step.min_reward) for step in task.steps] == [
        ("b", "First b.", 1.0),
        ("a", "Then a.", None),
    ]
    first, second = (step.verification for step in task.steps)
    assert [placed.source for placed in second.files] == ["tests", "steps/a/tests"]
    assert (len(first.files), first.timeout, first.user, second.timeout, task.timeout) == (1, 5.0, "0", 9.0, 120.0)
    assert (first.env, second.env) == ({"A": "1", "B": "2"}, {"A": "1", "B": "1"})
    assert [(step.files, step.setup) for step in task.steps] == [
        ((Placed(source="steps/b/workdir", target="."),), ()),
        ((Placed(source="steps/a/workdir", target="."),), ('bash "$PWD/setup.sh"',)),
    ]
    assert task.solution is not None
    assert task.solution.commands == ("/solution/solve.sh",) * 2
    assert task.solution.files_of(1) == (Placed(source="steps/b/solution", target="/solution", script="solve.sh"),)
    assert task.solution.files_of(2) == (Placed(source="solution", target="/solution", script="solve.sh"),)
    assert task.instruction == "First b.\n\nThen a."
    written(path, {"task.toml": TASK_TOML})
    assert [step.name for step in load(path).steps] == ["a", "b"], "without a list they come in the order of names"


UNSUPPORTED = {
    "allow-list": '[environment]\nnetwork_mode = "allowlist"\n',
    "differ in their network": '[environment]\nnetwork_mode = "public"\n[verifier]\nnetwork_mode = "no-network"\n',
    "a GPU": "[environment]\ngpus = 1\n",
    "needs windows": '[environment]\nos = "windows"\n',
    "MCP servers": '[[environment.mcp_servers]]\nname = "x"\n',
    "container of its own": '[verifier]\nenvironment_mode = "separate"\n',
    "verifier has a container of its own": "[verifier.environment]\ncpus = 1\n",
    "has a container of its own": '[[steps]]\nname = "a"\n[steps.verifier]\nenvironment_mode = "separate"\n',
    "verifier differ in their network": '[agent]\nnetwork_mode = "no-network"\n',
    "agent and its verifier differ": '[[steps]]\nname = "a"\n[steps.agent]\nnetwork_mode = "no-network"\n',
    "its agent is to work as the user app": '[agent]\nuser = "app"\n',
    "a TPU": '[environment.tpu]\ntype = "v6e"\ntopology = "2x4"\n',
    "collects from its services": '[[verifier.collect]]\ncommand = "dump"\n',
    "its workdir is / itself": '[environment]\nworkdir = "/"\n',
}
CONTAINED = {
    "a healthcheck": '[environment.healthcheck]\ncommand = "x"\n',
    "its verifier is to work as the user nobody": '[verifier]\nuser = "nobody"\n',
    "its verifier is to work as the user 1000": '[[steps]]\nname = "a"\n[steps.verifier]\nuser = 1000\n',
    "its image node:20 brings node": '[environment]\ndocker_image = "node:20"\n',
    "what its image ghcr.io/x/y:1 holds": '[environment]\ndocker_image = "ghcr.io/x/y:1"\n',
    "its workdir puts something below /etc": '[environment]\nworkdir = "/etc/x"\n',
}


@pytest.mark.parametrize("said", UNSUPPORTED)
def test_what_no_trial_can_have_is_unsupported_with_one_line(tmp_path: Path, said: str) -> None:
    path = written(harbor(tmp_path / "one", TASK_TOML + UNSUPPORTED[said]), {"steps/a/instruction.md": "x"})
    why = load(path).unsupported
    assert said in why and "\n" not in why


@pytest.mark.parametrize("said", CONTAINED)
def test_what_a_container_gives_is_no_reason_to_be_unsupported(tmp_path: Path, said: str) -> None:
    path = written(harbor(tmp_path / "one", TASK_TOML + CONTAINED[said]), {"steps/a/instruction.md": "x"})
    task = load(path)
    assert said in task.contained and "\n" not in task.contained and not task.unsupported


def test_a_container_is_what_the_task_says(tmp_path: Path) -> None:
    toml = (
        '[environment]\ncpus = 2\nmemory = "1.5G"\nworkdir = "/w"\nenv = {A = "${HOME:-x}"}\n'
        '[environment.healthcheck]\ncommand = "ask"\ninterval_sec = 2\nretries = 5\n'
    )
    path = written(harbor(tmp_path / "built", TASK_TOML + toml), {"environment/Dockerfile": "FROM ubuntu\n"})
    built = load(path).container
    assert built is not None and built.healthcheck is not None
    assert (built.image, built.context, built.workdir) == ("", "environment", "/w")
    assert (built.cpus, built.memory_mb, built.healthcheck.interval) == (2.0, 1536.0, 2.0)
    assert (built.healthcheck.command, built.healthcheck.retries, built.healthcheck.timeout) == ("ask", 5, 30.0)
    image = '[environment]\ndocker_image = "a/b:1"\nmemory_mb = 9\n'
    named = load(harbor(tmp_path / "named", TASK_TOML + image)).container
    assert named is not None and (named.image, named.context, named.memory_mb) == ("a/b:1", "", 9.0)
    written(path, {"environment/Dockerfile": "FROM debian\n"})
    other = load(path).container
    assert other is not None and other.digest != built.digest
    bare = written(tmp_path / "bare", {"task.toml": TASK_TOML, "instruction.md": "x", "tests/test.sh": ""})
    assert load(bare).container is None


def test_other_needs_are_unsupported_too(tmp_path: Path) -> None:
    compose = harbor(tmp_path / "compose", environment__compose="")
    written(compose, {"environment/docker-compose.yaml": "services: {}"})
    assert load(compose).unsupported.startswith("its environment is a compose file")
    installing = harbor(tmp_path / "apt")
    written(installing, {"tests/test.sh": "# apt install\napt-get -y update && apt-get install -y curl\n"})
    assert load(installing).contained == "its test.sh installs packages (apt-get)"
    hook = written(tmp_path / "hook", {
        "task.toml": TASK_TOML, "tests/test.sh": "", "steps/a/instruction.md": "x",
        "steps/a/workdir/setup.sh": "apk add curl",
    })  # fmt: skip
    assert load(hook).contained == "its setup.sh installs packages (apk)"
    begun = written(harbor(tmp_path / "begun"), {"trajectory.json": "{}"})
    assert "in the middle of a conversation" in load(begun).unsupported
    for image in ("python:3.13-slim", "docker.io/library/ubuntu", "ghcr.io/laude-institute/t-bench/python-3-13:2025"):
        known = harbor(tmp_path / "known", TASK_TOML + f'[environment]\ndocker_image = "{image}"\n')
        assert load(known).contained == ""


REFUSED = {
    'agent.timeout_sec is "60"': {"task.toml": TASK_TOML + '[agent]\ntimeout_sec = "60"\n'},
    'unknown field "verifier.timeout_secs"; did you mean "verifier.timeout_sec"?': {
        "task.toml": TASK_TOML + "[verifier]\ntimeout_secs = 60\n"
    },
    'unknown field "steps[0].min_rewards"': {"task.toml": TASK_TOML + '[[steps]]\nname = "a"\nmin_rewards = 1\n'},
    'schema_version is "2.0"; allowed: "1.0" to "1.x"': {"task.toml": 'schema_version = "2.0"\n'},
    'environment.network_mode is "none"': {"task.toml": TASK_TOML + '[environment]\nnetwork_mode = "none"\n'},
    'environment.memory is "lots"': {"task.toml": TASK_TOML + '[environment]\nmemory = "lots"\n'},
    "task.toml: Invalid value": {"task.toml": "version = \n"},
    'steps: "../x" is no name': {"task.toml": TASK_TOML + '[[steps]]\nname = "../x"\n'},
    'steps: "a:b" is no name': {"task.toml": TASK_TOML + '[[steps]]\nname = "a:b"\n'},
    'steps: the name "A" stands twice': {"task.toml": TASK_TOML + '[[steps]]\nname = "a"\n[[steps]]\nname = "A"\n'},
    'multi_step_reward_strategy is "best"': {"task.toml": TASK_TOML + 'multi_step_reward_strategy = "best"\n'},
    '"allowed_hosts" goes with network_mode': {"task.toml": TASK_TOML + '[agent]\nallowed_hosts = ["a.b"]\n'},
    'environment_mode is "shared"': {
        "task.toml": TASK_TOML + '[verifier]\nenvironment_mode = "shared"\n[verifier.environment]\ncpus = 1\n'
    },
    'unknown field "steps[0].verifier.timeout_se"': {
        "task.toml": TASK_TOML + '[[steps]]\nname = "a"\n[steps.verifier]\ntimeout_se = 1\n'
    },
    'environment.memory is "2GB"': {"task.toml": TASK_TOML + '[environment]\nmemory = "2GB"\n'},
    "instruction.md is empty": {"instruction.md": " \n"},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_wrong_is_refused_with_file_and_field(tmp_path: Path, said: str) -> None:
    path = written(harbor(tmp_path / "one"), REFUSED[said])
    message = refusal(path)
    assert said in message and str(path) in message


def test_missing_parts_are_named(tmp_path: Path) -> None:
    path = harbor(tmp_path / "one")
    (path / "tests" / "test.sh").unlink()
    assert "there is no" in refusal(path) and "tests/test.sh" in refusal(path)
    harbor(path)
    (path / "instruction.md").unlink()
    assert "instruction.md cannot be read: No such file" in refusal(path)


def test_how_the_rewards_of_steps_count_is_read(tmp_path: Path) -> None:
    steps = '[[steps]]\nname = "a"\nmin_reward = { style = 0.5, reward = 1 }\n[[steps]]\nname = "b"\n'
    path = harbor(tmp_path / "one", f'{TASK_TOML}multi_step_reward_strategy = "final"\n{steps}')
    task = load(written(path, {"steps/a/instruction.md": "A", "steps/b/instruction.md": "B"}))
    assert (task.counts, task.unsupported) == ("final", "")
    assert task.steps[0].min_reward == {"style": 0.5, "reward": 1.0}


def test_the_mark_of_a_data_set_is_not_shown_to_agents(tmp_path: Path) -> None:
    mark = "<!-- BENCHMARK DATA. canary GUID 1-2 -->\n# harbor-canary 1\n\n"
    task = load(written(harbor(tmp_path / "one"), {"instruction.md": f"{mark}# Say\nhello, canary.\n"}))
    assert task.instruction == "# Say\nhello, canary.\n"


def test_what_a_step_brings_must_not_judge_it(tmp_path: Path) -> None:
    path = harbor(tmp_path / "one", TASK_TOML + '[[steps]]\nname = "a"\n')
    written(path, {"steps/a/instruction.md": "A", "steps/a/tests/more": ""})
    (path / "steps/a/workdir").symlink_to("tests")
    assert "shows the agent" in refusal(path)


def test_fields_of_later_versions_are_passed_over(tmp_path: Path) -> None:
    later = '[environment]\nskills_dir = "x"\nmemory_gb = 2\n[artifacts]\nx = 1\n'
    assert load(harbor(tmp_path / "one", TASK_TOML + later)).unsupported == ""


def test_only_directories_with_a_task_are_tasks(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        harbor(tmp_path / name)
    written(tmp_path, {"README.md": "x", "scripts/run.sh": "x"})
    assert [task.id for task in HarborTasks({}).load(tmp_path).tasks] == ["a", "b"]
