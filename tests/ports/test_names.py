"""Names of ports that agents of people use."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from autoloop import ports
from autoloop.core.run.program import Direction, Knob
from autoloop.core.session import Session
from autoloop.ports import Goal, OnProgress, Task
from tests.fakes import FakeSampler, World, program


@dataclass
class Remembering:
    """An agent that does nothing, and keeps what it was given."""

    tasks: list[Task] = field(default_factory=list)

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        self.tasks.append(task)
        return Session(seconds=1.0)


def task_of_a_run() -> Task:
    agent = Remembering()
    World(program(max_experiments=1), FakeSampler(lambda commit, count: 100.0), agent=agent).run()
    return agent.tasks[0]


def test_a_sampler_can_be_imported_by_its_earlier_name_for_one_version() -> None:
    with pytest.warns(DeprecationWarning, match="now called Sampler"):
        assert ports.Bench is ports.Sampler


def test_a_name_that_was_never_there_is_missed_as_usual() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Bank'"):
        ports.Bank  # noqa: B018


def test_an_agent_can_read_the_program_of_a_run_for_one_version() -> None:
    task = task_of_a_run()
    assert task.goal == Goal("p", Direction.LOWER)
    with pytest.warns(DeprecationWarning, match="read Task.goal"):
        assert task.program == program(max_experiments=1)


def test_a_task_without_a_run_has_a_program_that_says_what_its_goal_says() -> None:
    knob = Knob(name="n", file="f", pattern="(1)", type="choice", choices=(1, 2))
    task = replace(task_of_a_run(), goal=Goal("fix-git", Direction.HIGHER, (knob,)), run_program=None)
    with pytest.warns(DeprecationWarning):
        stand_in = task.program
    assert (stand_in.slug, stand_in.text, stand_in.tuning.knobs) == ("fix-git", task.packet, (knob,))
    assert Goal.of(stand_in) == task.goal


def test_the_former_name_of_a_cells_root_is_read_for_one_more_version(tmp_path: Path) -> None:
    cell = ports.Cell(tree=tmp_path, home=tmp_path, rootfs=tmp_path / "root")
    with pytest.warns(DeprecationWarning, match="now called Cell.rootfs"):
        assert cell.ground == cell.rootfs
