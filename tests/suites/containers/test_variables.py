"""Which variables are found in a container: the image's, the task's and the agent's, and none of this machine."""

from pathlib import Path

import pytest

from autoloop.core.suite.tasks import Outcome
from autoloop.process.environment import PASSED_ON
from autoloop.suites.containers import exec
from autoloop.suites.containers.engine import Engine
from tests.suites.containers.cases import DOCKERFILE, TEST, Trying

pytestmark = [pytest.mark.containers, pytest.mark.usefixtures("base")]


@pytest.fixture
def here(tmp_path: Path, engine: Engine) -> Trying:
    return Trying(tmp_path)


def test_no_tool_of_this_machine_takes_the_place_of_the_images(here: Trying) -> None:
    of_image = DOCKERFILE + "ENV JAVA_HOME=/java GOPATH=/go CARGO_HOME=/cargo\n"
    here.environ |= {"JAVA_HOME": "/usr/lib/jvm", "GOPATH": "/home/me/go", "CARGO_HOME": "/x", "RUSTUP_HOME": "/y"}
    assert here.tried("env; echo hello > out.txt", here.task(environment__Dockerfile=of_image)).passed
    said = here.file("output.txt").splitlines()
    assert {"JAVA_HOME=/java", "GOPATH=/go", "CARGO_HOME=/cargo"} <= set(said)
    assert not any(line.startswith("RUSTUP_HOME") for line in said)


def test_what_a_task_says_holds_for_the_machines_own_names_too(here: Trying) -> None:
    table = (
        "[verifier.env]\nPYTHONPATH = '/tests'\nLANG = 'xy'\nDOCKER_HOST = 'nowhere'\nLD_LIBRARY_PATH = '/app/lib'\n"
    )
    result = here.tried("echo hello > out.txt", here.task(table, tests__test_sh="env\n" + TEST))
    assert result.outcome is Outcome.PASS, result.detail
    said = here.file("verification.txt").splitlines()
    assert {"PYTHONPATH=/tests", "LANG=xy", "DOCKER_HOST=nowhere", "LD_LIBRARY_PATH=/app/lib"} <= set(said)
    assert not any("carried" in line for line in said)


def test_no_variable_of_a_task_leads_to_another_engine(here: Trying, tmp_path: Path) -> None:
    loads = f"LD_DEBUG = 'libs'\nLD_DEBUG_OUTPUT = '{tmp_path}/loaded'\n"
    table = f"[environment.env]\nDOCKER_HOST = 'unix:///nowhere'\nPATH = '/bin'\nHOME = '/nobody'\n{loads}"
    places = f"{DOCKERFILE}RUN mkdir -p {tmp_path}\n"
    result = here.tried("oracle", here.task(table, environment__Dockerfile=places))
    assert result.outcome is Outcome.PASS, result.detail
    assert list(tmp_path.glob("loaded*")) == []


def test_all_that_finds_tools_on_this_machine_stays_here() -> None:
    assert [name for name in PASSED_ON if exec.is_passed_on(name)] == []
