"""From what a verifier left to a reward, and on to the outcome."""

import pytest

from autoloop.core.session import SessionFailure
from autoloop.core.suite import grading
from autoloop.core.suite.grading import Reward, combined, of_reward, of_session, read_reward, why_less, why_not
from autoloop.core.suite.tasks import (
    Container,
    Expectation,
    Outcome,
    Placed,
    Step,
    SuiteTask,
    TaskVerification,
    TrialKey,
    TrialOrder,
)

CHECK = TaskVerification(reward="exit_code", command="true")


@pytest.mark.parametrize(
    ("as_json", "as_text", "value", "others"),
    [
        ("0.25", None, 0.25, {}),
        ('{"reward": 0.5, "speed": 3}', "1", 0.5, {"speed": 3.0}),
        ('{"a": true, "b": 0}', None, 0.5, {"a": 1.0, "b": 0.0}),
        (None, " 1\n", 1.0, {}),
    ],
)
def test_a_reward_is_read(as_json: str | None, as_text: str | None, value: float, others: dict[str, float]) -> None:
    graded = read_reward(as_json, as_text)
    assert graded.reward is not None and graded.error == ""
    assert (graded.reward.value, dict(graded.reward.others)) == (value, others)
    assert graded.reward.by_name == ({} if as_json and '"a"' in as_json else {"reward": value}) | others


@pytest.mark.parametrize(
    ("as_json", "as_text"),
    [
        (None, None),
        ("", ""),
        ("  ", "0"),
        (None, "nan"),
        (None, "inf"),
        (None, "1 of 2"),
        ("NaN", None),
        ("true", None),
        ("[1]", None),
        ("{}", None),
        ('{"reward": "1"}', None),
        ('{"reward": 1, "b": NaN}', None),
        ("{broken", "1"),
        ("1" + 400 * "0", None),
        (100_000 * "[", None),
    ],
)
def test_what_is_no_number_is_an_error_and_never_a_0(as_json: str | None, as_text: str | None) -> None:
    graded = read_reward(as_json, as_text)
    assert graded.reward is None and graded.error


def test_almost_1_passes_and_without_a_step_that_was_not_begun_nothing_does() -> None:
    assert of_reward(1 - 1e-10, None, changed=True).outcome is Outcome.PASS
    assert of_reward(0.999, None, changed=True).outcome is Outcome.FAIL
    early = of_reward(1.0, None, changed=True, not_begun=2)
    assert (early.outcome, early.reward) == (
        Outcome.FAIL,
        1.0,
    ) and "the 2 steps behind it were not begun" in early.detail


def stepping(*names: str, **fields: object) -> SuiteTask:
    steps = [Step(name=name, instruction="x", verification=CHECK) for name in names]
    return SuiteTask.model_validate({"id": "t", "steps": steps, **fields})


def test_the_rewards_of_steps_are_their_means_name_by_name() -> None:
    three = stepping("one", "", "three")
    assert combined(three, [Reward(1.0), Reward(0.5)]) == Reward(0.75, (("one", 1.0), ("step-2", 0.5)))
    mixed = combined(three, [Reward(1.0, (("speed", 2.0),)), Reward(0.25, (("style", 0.25),), is_mean=True)])
    assert mixed.value == 0.5, "a step without the main reward counts as 0"
    assert dict(mixed.others) == {"speed": 1.0, "style": 0.125, "one": 1.0, "step-2": 0.25}
    assert combined(stepping("one"), [Reward(1.0, (("speed", 2.0),))]) == Reward(1.0, (("speed", 2.0),))
    without = combined(
        stepping("a", "b"), [Reward(0.5, (("x", 1.0), ("y", 0.0)), is_mean=True), Reward(1.0, is_mean=True)]
    )
    assert without.value == 0.25, "the mean of x and y, which the second step did not say"


def test_the_last_step_that_was_begun_can_be_all_that_counts() -> None:
    task = stepping("one", "two", "three", counts="final")
    ended = combined(task, [Reward(1.0, (("speed", 2.0),)), Reward(0.25)])
    assert ended == Reward(0.25, (("one", 1.0), ("two", 0.25)))


@pytest.mark.parametrize(
    ("least", "said", "on"),
    [
        (None, Reward(-1.0), True),
        (0.5, Reward(0.5), True),
        (0.5, Reward(0.4), False),
        (0.0, Reward(1.0, (("a", 1.0),), is_mean=True), False),
        ({"a": 0.5, "b": 0.5}, Reward(0.0, (("a", 0.5), ("b", 0.6))), True),
        ({"a": 0.5, "b": 0.5}, Reward(1.0, (("a", 0.5), ("b", 0.4))), False),
        ({"a": 0.0}, Reward(1.0), False),
        ({"reward": 1.0}, Reward(1.0), True),
        ({}, Reward(0.0), True),
    ],
)
def test_a_reward_that_is_asked_for_must_be_there_and_large_enough(
    least: float | dict[str, float] | None, said: Reward, on: bool
) -> None:
    step = Step(instruction="x", verification=CHECK, min_reward=least)
    assert grading.goes_on(step, said) is on


def test_each_failure_of_a_session_is_a_timeout_an_error_or_left_to_the_verifier() -> None:
    outcomes = {
        failure: judged.outcome for failure in SessionFailure if (judged := of_session(failure, "")) is not None
    }
    assert {f for f, outcome in outcomes.items() if outcome is Outcome.TIMEOUT} == {"timeout", "idle"}
    assert {f for f, outcome in outcomes.items() if outcome is Outcome.ERROR} == {
        "not_installed", "not_signed_in", "out_of_quota", "unreachable", "rate_limited", "overloaded", "malformed",
        "cancelled",
    }  # fmt: skip
    assert of_session(SessionFailure.CANCELLED, "") == grading.TrialJudgement(
        Outcome.ERROR, None, "interrupted", "interrupted"
    )


@pytest.mark.parametrize(
    ("reward", "failure", "changed", "known", "mode"),
    [
        (0.0, None, True, "", "wrong_result"),
        (0.5, None, True, "", "partial_result"),
        (0.0, None, False, "", "no_change"),
        (0.0, SessionFailure.TURNS, False, "", "turns"),
        (0.0, SessionFailure.TURNS, True, "verifier_timeout", "verifier_timeout"),
        (1.0, SessionFailure.TURNS, True, "", ""),
    ],
)
def test_the_failure_mode_says_why_it_did_not_pass(
    reward: float, failure: SessionFailure | None, changed: bool, known: str, mode: str
) -> None:
    assert of_reward(reward, failure, changed=changed, known=known).failure_mode == mode


@pytest.mark.parametrize(
    ("reward", "last_words", "why"),
    [
        (Reward(1.0), "3 passed", ""),
        (Reward(0.5), "1 failed, 1 passed", "1 failed, 1 passed"),
        (Reward(0.5, (("style", 0.25), ("tests", 1.0))), "", "style 0.25"),
        (Reward(0.0, (("style", 0.0),)), "no such file", "style 0: no such file"),
        (Reward(0.0), "", ""),
    ],
)
def test_what_a_verifier_says_of_less_than_the_full_reward(reward: Reward, last_words: str, why: str) -> None:
    assert why_less(reward, last_words) == why


def test_what_does_not_hold_is_named_and_many_are_counted() -> None:
    wanted = [Expectation(path=f"{name}.txt") for name in "abcde"]
    assert why_not(wanted, [True] * 5) == ""
    assert why_not(wanted, [False] * 5) == "5 of 5 expectations not met: a.txt, b.txt, c.txt and 2 more"
    assert why_not([Expectation(path="README.md", contains="Usage", matches="^#")], [False]) == (
        '1 of 1 expectation not met: README.md with "Usage" matching ^#'
    )


def order(profile: str = "mine", **fields: object) -> TrialOrder:
    given = {"id": "t", "steps": [Step(instruction="x", verification=CHECK)], **fields}
    task = SuiteTask.model_validate(given)
    key = TrialKey(arm="a", iteration=1, task="t")
    return TrialOrder(
        key=key, task=task, suite="/s", profile=profile, bench_id="b", directory="/d", seed=1, timeout=1,
        idle_timeout=0, max_turns=1,
    )  # fmt: skip


def test_what_a_task_needs_that_is_not_here_is_said() -> None:
    away = {"files": [Placed(source="x", target="/data")]}
    below = {"files": [Placed(source="x", target="/app/data"), Placed(source="x", target="y")]}
    assert grading.unsupported(order(**away), ROOTED) is None
    assert grading.unsupported(order(**below), BARE) is None
    missing = grading.unsupported(order(**away), BARE)
    assert missing is not None and missing.outcome is Outcome.UNSUPPORTED
    assert missing.detail == "it names absolute paths, which needs bubblewrap: bubblewrap is not installed"
    for workdir in ("/", "/usr", "app", "/etc/"):
        assert grading.unsupported(order(workdir=workdir), ROOTED) is not None, workdir
    assert grading.unsupported(order("oracle"), ROOTED) is not None


ROOTED = grading.HostAbilities(rooted=True, why_no_engine="docker is not installed")
BARE = grading.HostAbilities(
    rooted=False, why_not="bubblewrap is not installed", why_no_engine="docker is not installed"
)
WITH_ENGINE = grading.HostAbilities(rooted=True, engine="docker")
BARE_WITH_ENGINE = grading.HostAbilities(rooted=False, engine="docker")
AWAY = {"files": [Placed(source="x", target="/data")], "container": Container(image="ubuntu")}
SYSTEM = {**AWAY, "contained": "its Dockerfile runs make"}


@pytest.mark.parametrize(
    ("task", "when", "here", "is_in_one", "why"),
    [
        (AWAY, "needed", ROOTED, False, ""),
        (AWAY, "needed", WITH_ENGINE, False, ""),
        (AWAY, "needed", BARE_WITH_ENGINE, True, ""),
        (AWAY, "needed", BARE, True, "a container engine would be needed: docker is not installed"),
        (AWAY, "always", WITH_ENGINE, True, ""),
        (AWAY, "always", ROOTED, True, "a container engine would be needed: docker is not installed"),
        (AWAY, "never", BARE_WITH_ENGINE, False, "it names absolute paths"),
        (SYSTEM, "needed", WITH_ENGINE, True, ""),
        (SYSTEM, "needed", ROOTED, True, "its Dockerfile runs make; a container engine would be needed"),
        (SYSTEM, "never", WITH_ENGINE, False, "its Dockerfile runs make; a container would be needed"),
        ({}, "always", WITH_ENGINE, False, ""),
    ],
)
def test_a_task_is_tried_in_its_container_where_it_has_to_be(
    task: dict[str, object], when: str, here: grading.HostAbilities, is_in_one: bool, why: str
) -> None:
    given = order(**task).model_copy(update={"containers": when})
    missing = grading.unsupported(given, here)
    assert grading.in_container(given, here) is is_in_one
    assert (missing is None) == (why == "")
    assert missing is None or why in missing.detail


def test_an_agent_that_an_image_cannot_execute_leaves_its_task_unsupported() -> None:
    elsewhere = of_session(SessionFailure.NOT_INSTALLED, "no node")
    inside = of_session(SessionFailure.NOT_INSTALLED, "no node", contained=True)
    assert elsewhere is not None and elsewhere.outcome is Outcome.ERROR
    assert inside is not None and (inside.outcome, inside.reward) == (Outcome.UNSUPPORTED, None)


@pytest.mark.parametrize("outcome", Outcome)
def test_only_a_failure_is_put_down_to_a_signal_that_everybody_heard(outcome: Outcome) -> None:
    judged = grading.TrialJudgement(outcome, 0.0, "exited", "killed by SIGINT")
    assert grading.unless_told(judged, False) == judged
    heard = grading.unless_told(judged, True)
    assert heard == judged or (outcome, heard.outcome, heard.reward) == (Outcome.FAIL, Outcome.ERROR, None)
    assert (heard != judged) == (outcome is Outcome.FAIL)
