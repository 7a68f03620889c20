"""Task directories are read as the format's own package reads them; where they are not, it is known why."""

import json
import random
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoloop.core.suite.tasks import SuiteTask
from autoloop.errors import AutoloopError
from autoloop.suites.sources.harbor import HarborTasks
from tests.harbor.conftest import Authority
from tests.suites.written import harbor, written

pytestmark = pytest.mark.harbor
ENV = '{ X = "1", Y = "${NO_SUCH:-d}" }'
MODES = ('"public"', '"no-network"')
FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "": {"schema_version": ('"1.0"', '"1.3"', '"1.4"'), "multi_step_reward_strategy": ('"mean"', '"final"')},
    "task": {"keywords": ('["k"]', "[]"), "description": ('"d"',), "authors": ('[{ name = "A" }]',)},
    "metadata": {"difficulty": ('"easy"',), "anything": ("1", '{ deep = ["x"] }')},
    "agent": {"timeout_sec": ("60", "120.5"), "user": ('"root"', "0", '"app"', "1000"), "network_mode": MODES},
    "verifier": {
        "timeout_sec": ("600", "600.0"), "env": ('{ A = "1", B = "1" }',), "user": ('"root"', "0", '"nobody"'),
        "network_mode": MODES, "environment_mode": ('"shared"', '"separate"'),
    },
    "environment": {
        "build_timeout_sec": ("300.0",), "cpus": ("1", "2.0", "0.5"), "memory_mb": ("2048",), "storage_mb": ("10240",),
        "workdir": ('"/work"',), "env": (ENV,), "os": ('"linux"', '"Linux"', '"windows"'),
        "network_mode": (*MODES, '"allowlist"'), "allow_internet": ("true", "false"), "gpus": ("0", "1"),
    },
    "solution": {"env": ('{ S = "1" }',)},
}  # fmt: skip
STEP: dict[str, dict[str, tuple[str, ...]]] = {
    "": {"min_reward": ("0.5", "1", "{ a = 0.5, reward = 1 }")},
    "agent": {"timeout_sec": ("30", "45.5"), "network_mode": MODES, "user": ('"root"', '"app"')},
    "verifier": {
        "timeout_sec": ("600", "20"), "env": ('{ B = "2" }',), "network_mode": MODES,
        "environment_mode": ('"shared"', '"separate"'), "user": ("0", "7"),
    },
}  # fmt: skip
ROOT = (None, "root", 0)
RARE = {"user", "network_mode", "environment_mode", "gpus", "os", "allow_internet"}
"""Most values of these make a task unsupported."""


def generated(seed: int) -> str:
    """A file that is right, with some of the fields that there are."""
    dice = random.Random(seed)
    lines: list[str] = []
    for table, fields in FIELDS.items():
        some = _some(dice, fields)
        lines += [f"[{table}]", *(['name = "us/t"'] if table == "task" else [])] if table else []
        lines += some
    for name in ("one", "two", "three")[: dice.choice((0, 0, 2, 3))]:
        lines += ["[[steps]]", f'name = "{name}"', *_some(dice, STEP[""])]
        for table in ("agent", "verifier"):
            lines += [f"[steps.{table}]", *_some(dice, STEP[table])]
    return "\n".join(lines) + "\n"


def _some(dice: random.Random, fields: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for name, values in fields.items():
        if dice.random() < (0.1 if name in RARE else 0.6):
            yield f"{name} = {dice.choice(values)}"


def directory(root: Path, toml: str) -> Path:
    """A task with all parts that its steps could need."""
    path = harbor(root, toml, environment__Dockerfile="FROM ubuntu:24.04\n")
    written(path, {"solution/solve.sh": ":"})
    for step in tomllib.loads(toml).get("steps", []):
        if "/" not in step["name"] and 0 < len(step["name"]) < 200:
            written(path, {f"steps/{step['name']}/instruction.md": "Do it.\n"})
    return path


def read(path: Path) -> SuiteTask:
    (task,) = HarborTasks({}, {"python3"}.__contains__).load(path).tasks
    return task


def why_not(said: dict[str, Any]) -> set[str]:
    """What no trial can give, or none without a container, by the package's own values."""
    networks = {mode for step in said["steps"] for mode in step["networks"]}
    reasons = {
        "separate": any(step["mode"] == "separate" for step in said["steps"]),
        "allowlist": "allowlist" in networks,
        "networks": len(networks) > 1,
        "agent's user": any(step["users"][0] not in ROOT for step in said["steps"]),
        "verifier's user": any(step["users"][1] not in ROOT for step in said["steps"]),
        "os": said["os"] != "linux",
    }
    return {reason for reason, there in reasons.items() if there}


def test_whatever_is_right_is_read_with_the_same_values(authority: Authority, tmp_path: Path) -> None:
    texts = [generated(seed) for seed in range(400)]
    tried = 0
    for number, (text, said) in enumerate(zip(texts, authority.says("task", texts), strict=True)):
        assert "refused" not in said, (text, said)
        task = read(directory(tmp_path / str(number), text))
        reasons = why_not(said)
        assert bool(task.unsupported) == bool(reasons - {"verifier's user"} or "gpus = 1" in text), (text, task)
        assert bool(task.contained) == ("verifier's user" in reasons), (text, task.contained)
        _same_values(task, said, text)
        tried += not task.unsupported
    assert 100 < tried < 400


def _same_values(task: SuiteTask, said: dict[str, Any], text: str) -> None:
    steps = said["steps"]
    assert [step.name for step in task.steps] == [step["name"] for step in steps]
    timeouts = [step["agent_timeout"] for step in steps]
    assert task.timeout == (None if None in timeouts else sum(timeouts)), text
    assert [step.verification.timeout for step in task.steps] == [step["verifier_timeout"] for step in steps], text
    assert [step.verification.env for step in task.steps] == [step["verifier_env"] for step in steps], text
    assert [step.min_reward for step in task.steps] == [step["min_reward"] for step in steps], text
    if not why_not(said):
        assert [task.network] == list({mode == "public" for step in steps for mode in step["networks"]}), text
    assert task.counts == said["counts"]
    assert task.env == {**said["env"], **({"Y": "d"} if said["env"] else {})}
    assert task.solution is not None and task.solution.env == said["solution_env"]
    assert (task.setup_timeout, task.workdir) == (said["build_timeout"], said["workdir"] or "/app")
    assert task.tags == tuple(said["keywords"]) and len(task.bounds) == sum(
        limit is not None for limit in said["limits"]
    )
    assert task.container is not None
    assert [task.container.cpus, task.container.memory_mb] == said["limits"][:2], text
    assert (task.container.workdir, task.container.env) == (said["workdir"] or "", task.env), text


ODD: dict[str, tuple[str, str]] = {
    # what is wrong, and why there is another answer here, if there is
    'version = "1.0"': ("", ""),
    'schema_version = "2.0"': ("", "what a later format means is not known"),
    "version = 1.0": ("", ""),
    "steps = 3": ("", ""),
    "steps = []": ("", ""),
    'multi_step_reward_strategy = "best"': ("", ""),
    'name = "../x"': ("[[steps]]", ""),
    'name = ""': ("[[steps]]", ""),
    'name = "a/b"': ("[[steps]]", ""),
    'name = "a:b"': ("[[steps]]", ""),
    'name = "a."': ("[[steps]]", ""),
    'name = " "': ("[[steps]]", ""),
    'name = "con"': ("[[steps]]", "Windows is no place for a bench"),
    'name = ".a"': ("[[steps]]", ""),
    'name = "a"\n[[steps]]\nname = "A"': ("[[steps]]", ""),
    'name = "a"\nmin_reward = "1"': ("[[steps]]", "a number in quotes is a slip of the pen"),
    'name = "a"\nmin_reward = { a = "x" }': ("[[steps]]", ""),
    'name = "hello"': ("[task]", "a name is only shown to people"),
    'name = "us/hello"': ("[task]", ""),
    'description = "d"': ("[task]", "a name is only shown to people"),
    "timeout_sec = 0": ("[agent]", "without any time there is no trial"),
    "timeout_sec = -5": ("[verifier]", "without any time there is no verdict"),
    'timeout_sec = "60"': ("[verifier]", "a number in quotes is a slip of the pen"),
    'timeout_sec = "soon"': ("[verifier]", ""),
    "timeout_secs = 60": ("[verifier]", "a field that is nearly a known one is a slip of the pen"),
    "something_else = 60": ("[verifier]", ""),
    "user = 1.5": ("[verifier]", ""),
    "user = true": ("[verifier]", "a truth value is no user"),
    "env = { A = 1 }": ("[verifier]", ""),
    'env = ["A"]': ("[environment]", ""),
    'environment_mode = "own"': ("[verifier]", ""),
    'environment_mode = "shared"\n[verifier.environment]\ncpus = 1': ("[verifier]", ""),
    'network_mode = "none"': ("[environment]", ""),
    'network_mode = "off"': ("[agent]", ""),
    'network_mode = "public"\nallowed_hosts = ["a.b"]': ("[environment]", ""),
    'allowed_hosts = ["a.b"]': ("[agent]", ""),
    "allowed_hosts = []": ("[agent]", "no hosts are no list"),
    'network_mode = "allowlist"\nallowed_hosts = ["http://a.b/"]': (
        "[environment]",
        "an allow-list is unsupported anyway",
    ),
    'memory = "2G"': ("[environment]", ""),
    'memory = "2GB"': ("[environment]", ""),
    'memory = "lots"': ("[environment]", ""),
    'memory = "2G"\nmemory_mb = 1024': ("[environment]", "nothing enforces either of them"),
    'storage = "512m"': ("[environment]", ""),
    "memory_mb = 2048.5": ("[environment]", "nothing enforces it"),
    'cpus = "2"': ("[environment]", "a number in quotes is a slip of the pen"),
    "cpus = nan": ("[environment]", ""),
    "cpus = -1": ("[environment]", "a machine without cores runs nothing"),
    "gpus = -1": ("[environment]", "fewer than no GPUs are a slip of the pen"),
    'os = "plan9"': ("[environment]", "it is unsupported"),
    "allow_internet = 3": ("[environment]", ""),
    'docker_image = "ubuntu:24.04"': ("[environment]", ""),
    "retries = 3": ("[environment.healthcheck]", ""),
    'name = "x"': ("[[environment.mcp_servers]]", "MCP servers are unsupported anyway"),
    "env = { S = 1 }": ("[solution]", ""),
    'source = "/data"': ("[[artifacts]]", ""),
    'source = "../data"': ("[[artifacts]]", "no artifacts are collected"),
}


def test_what_is_odd_is_taken_and_refused_alike_or_it_is_known_why_not(authority: Authority, tmp_path: Path) -> None:
    texts = [f"{table}\n{line}\n" for line, (table, _) in ODD.items()]
    differing, refused = {}, 0
    for number, (text, said) in enumerate(zip(texts, authority.says("task", texts), strict=True)):
        try:
            path = (
                harbor(tmp_path / str(number), text) if "steps = 3" in text else directory(tmp_path / str(number), text)
            )
            read(path)
            here = ""
        except AutoloopError as error:
            here = error.message
            assert "\n" not in here and "task.toml" in here
            refused += 1
        if bool(here) != ("refused" in said):
            differing[text.strip().split("\n", text.startswith("["))[-1]] = here or said.get("refused")
    assert differing.keys() == {line for line, (_, why) in ODD.items() if why}, differing
    assert 10 < refused < len(ODD)


VALUES = (
    "${A}", "${B}", "${E}", "${A:-d}", "${B:-d}", "${E:-d}", "${B:-}", "${B:-{}}", "${B:-a:-b}", "${B:-${A}}", "${B-d}",
    "${A:+x}", "${A:?}", "x${A}", "${A}x", "${A}${A}", "/app:${B}", "$A", "$$", "\\${A}", " ${A}", "${}", "${a b}", "",
)  # fmt: skip


def test_a_value_stands_for_what_the_package_puts_in_its_place(authority: Authority, tmp_path: Path) -> None:
    environ = {"A": "1", "E": ""}
    asked = [{"text": text, "environ": environ} for text in VALUES]
    for number, (text, said) in enumerate(zip(VALUES, authority.says("value", asked), strict=True)):
        toml = f'version = "1.0"\n[environment]\nenv = {{ X = {json.dumps(text)} }}\n'
        (task,) = HarborTasks(environ).load(harbor(tmp_path / str(number), toml)).tasks
        assert (None if task.unsupported else task.env["X"]) == said, text


def test_a_step_has_the_deadline_of_its_task_which_the_package_forgets(authority: Authority, tmp_path: Path) -> None:
    text = 'version = "1.0"\n[verifier]\ntimeout_sec = 900\n[[steps]]\nname = "a"\n[[steps]]\nname = "b"\n'
    (said,) = authority.says("task", [text])
    assert [step["verifier_timeout"] for step in said["steps"]] == [600.0, 600.0]
    assert [step.verification.timeout for step in read(directory(tmp_path / "t", text)).steps] == [900.0, 900.0]


INSTRUCTIONS = (
    "Say hello.\n",
    "# Title\n\nSay hello.\n",
    "<!-- BENCHMARK DATA. canary GUID 1 -->\nSay hello.\n",
    "# BENCHMARK canary GUID 1\n\n  <!-- Canary -->  \n\n\nSay hello.\n",
    "Say canary.\n# canary\n",
    "<!-- a note -->\n# canary\nSay hello.\n",
    "<!-- canary --> and text\nSay hello.\n",
)


def test_an_instruction_is_shown_as_the_package_shows_it(authority: Authority, tmp_path: Path) -> None:
    for number, (text, shown) in enumerate(
        zip(INSTRUCTIONS, authority.says("instruction", list(INSTRUCTIONS)), strict=True)
    ):
        assert read(written(harbor(tmp_path / str(number)), {"instruction.md": text})).instruction == shown


def test_the_packages_own_template_is_a_task(authority: Authority, tmp_path: Path) -> None:
    (template,) = Path(authority.python).parent.parent.glob("lib/*/site-packages/harbor/cli/template-task")
    copied = tmp_path / "template-task"
    shutil.copytree(template, copied, ignore=shutil.ignore_patterns("__pycache__"))
    written(copied, {"instruction.md": "Do it.\n"})
    assert authority.says("directory", [str(copied)]) == [""]
    task = read(copied)
    assert (task.timeout, task.steps[0].verification.timeout, task.network) == (900.0, 900.0, True)
    assert task.solution is not None
