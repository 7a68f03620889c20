"""Rewards are read, put together and compared as the format's own package does it."""

import itertools
import random
from typing import Any

import pytest

from autoloop.core.suite import grading
from autoloop.core.suite.grading import Reward
from autoloop.core.suite.tasks import Step, SuiteTask, TaskVerification
from tests.harbor.conftest import Authority

pytestmark = pytest.mark.harbor
CHECK = TaskVerification(reward="file", command="true")
TEXTS = ("1", " 0.5\n", "", "  ", "nan", "-inf", "1e999", "1 of 2", "0x1", "1_0", "true", "-1", "1e-3")
JSONS = (
    *TEXTS, '{"reward": 1}', '{"reward": true}', '{"reward": "1"}', '{"reward": null}', '{"a": 0.5, "b": 1}',
    '{"reward": 0.5, "style": 2}', '{"reward": NaN}', '{"reward": 1e999}', "{broken", "[1]", '{"reward": {"a": 1}}',
)  # fmt: skip
FILES = [
    *({"reward.txt": text} for text in TEXTS),
    *({"reward.json": text} for text in JSONS),
    *(
        {"reward.json": as_json, "reward.txt": as_text}
        for as_json, as_text in itertools.product(JSONS[-11:], ("1", ""))
    ),
    {"reward.json": "", "reward.txt": "1"},
    {},
]
BARE = {"1", " 0.5\n", "-1", "1e-3"}
"""Numbers in JSON without a name, which only we take."""


def test_a_reward_is_read_as_the_package_reads_it(authority: Authority) -> None:
    answers = authority.says("reward", FILES)
    assert sum(answer is None for answer in answers) > 20 and sum(answer is not None for answer in answers) > 15
    for files, answer in zip(FILES, answers, strict=True):
        found = grading.read_reward(files.get("reward.json"), files.get("reward.txt")).reward
        if files.get("reward.json") in BARE:
            assert answer is None and found is not None
        else:
            assert (None if found is None else found.by_name) == answer, files


def steps(count: int, counts: str) -> SuiteTask:
    made = [Step(name=f"s{number}", instruction="x", verification=CHECK) for number in range(count)]
    return SuiteTask.model_validate({"id": "t", "steps": made, "counts": counts})


def rewards(dice: random.Random) -> dict[str, float]:
    names = [name for name in ("reward", "style", "speed") if dice.random() < 0.6] or ["style"]
    return {name: dice.choice((0.0, 0.25, 0.5, 1.0, 3.0)) for name in names}


def as_reward(said: dict[str, float]) -> Reward:
    others = tuple((name, value) for name, value in said.items() if name != grading.MAIN)
    if grading.MAIN in said:
        return Reward(said[grading.MAIN], others)
    return Reward(sum(said.values()) / len(said), others, is_mean=True)


@pytest.mark.parametrize("counts", ["mean", "final"])
def test_the_rewards_of_steps_are_put_together_as_the_package_does(authority: Authority, counts: str) -> None:
    dice = random.Random(1)
    asked = [{"counts": counts, "rewards": [rewards(dice) for _ in range(dice.randint(1, 4))]} for _ in range(300)]
    for question, answer in zip(asked, authority.says("combined", asked), strict=True):
        said: list[Any] = question["rewards"]  # type: ignore[assignment]
        found = grading.combined(steps(4, counts), [as_reward(each) for each in said])
        others = {name: value for name, value in found.others if not name.startswith("s") or name in ("style", "speed")}
        assert others == pytest.approx({name: value for name, value in answer.items() if name != grading.MAIN})
        assert found.value == pytest.approx(as_reward(answer).value)


def test_a_step_ends_a_trial_where_the_package_ends_it(authority: Authority) -> None:
    dice = random.Random(2)
    least: list[Any] = [None, 0, 0.5, 1.0, {"style": 0.25}, {"reward": 0.5, "speed": 0.5}, {}]
    asked = [{"least": dice.choice(least), "rewards": rewards(dice)} for _ in range(400)]
    answers = authority.says("goes_on", asked)
    assert 50 < sum(answers) < 350
    for question, answer in zip(asked, answers, strict=True):
        step = Step(instruction="x", verification=CHECK, min_reward=question["least"])  # type: ignore[arg-type]
        assert grading.goes_on(step, as_reward(question["rewards"])) == answer, question  # type: ignore[arg-type]
