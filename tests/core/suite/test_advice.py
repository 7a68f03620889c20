"""What a bench suggests, and that it suggests nothing which its results do not show."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoloop.core.suite.advice import MOST, About, Advice, AdviceKind, advise
from autoloop.core.suite.events import BenchStop, BenchStopped
from autoloop.core.suite.tasks import TrialKey, TrialResult
from tests.suites.benches import bench, key, plan, result, trials

Results = dict[TrialKey, TrialResult]


def advised(ended: Results, arms: str = "a") -> dict[About, Advice]:
    tasks = sorted({which.task for which in ended})
    attempts = max(which.attempt for which in ended)
    state = bench(plan(tasks, arms=arms, attempts=attempts), ended.items())
    return {advice.about: advice for advice in advise(state)}


@pytest.mark.parametrize(
    "outcomes", [{"t1": "ppp", "t2": "pp"}, {"t1": "p"}, {"t1": "fff", "t2": "ff"}, {"t1": "ppe"}], ids=str
)
def test_nothing_to_say_says_nothing(outcomes: dict[str, str]) -> None:
    assert advised(trials(outcomes)) == {}


def test_what_passes_sometimes_is_a_quick_win_with_what_it_would_bring() -> None:
    advice = advised(trials({"t1": "ppf", "t2": "pff", "t3": "fff", "t4": "p"}))[About.FLAKY]
    assert advice.text == (
        "2 tasks sometimes pass: t2 1 of 3, t1 2 of 3. Were it always, the pass rate would be 70 % instead of 40 %"
    )
    assert (advice.tasks, advice.gain, advice.kind) == (("t2", "t1"), pytest.approx(0.3), AdviceKind.QUICK_WIN)


def test_timeouts_near_the_end_ask_for_more_time_and_others_do_not() -> None:
    late = {
        key("t1"): result("timeout", agent_seconds=600.0),
        key("t1", attempt=2): result("pass", agent_seconds=540.0),
        key("t2"): result("timeout", agent_seconds=600.0),
        key("t2", attempt=2): result("pass", agent_seconds=30.0),
    }
    advice = advised(late)[About.MORE_TIME]
    assert advice.text == "1 trial of t1 ran out of time, and 1 pass took 90 % of that time or more: more time may help"
    partial = {key("t3"): result("timeout", agent_seconds=600.0, reward=0.5)}
    assert "part of the work was done" in advised(partial)[About.MORE_TIME].text
    assert About.MORE_TIME not in advised({key("t3"): result("timeout", agent_seconds=600.0)})


@pytest.mark.parametrize(
    ("passes", "said"),
    [(10, "while no pass took more than 10: look for loops"), (45, "and a pass took 45: more turns may help")],
)
def test_a_limit_of_turns_asks_for_more_only_where_passes_come_near_it(passes: int, said: str) -> None:
    ended = {key("t1"): result("fail", failure_mode="turns", turns=50), key("t2"): result("pass", turns=passes)}
    assert advised(ended)[About.TURNS].text == f"1 trial of t1 reached the limit of 50 turns, {said}"


def test_a_failure_mode_that_many_tasks_share_is_named() -> None:
    ended = {key(f"t{number}"): result("fail", failure_mode="wrong_format") for number in range(4)}
    ended[key("t9")] = result("fail", failure_mode="wrong_result")
    advice = advised(ended)[About.SHARED_MODE]
    assert advice.text == (
        "`wrong_format` ended 4 trials of 4 tasks, 80 % of all that did not pass: begin with t0, t1, t2 and 1 more"
    )
    assert advice.gain == pytest.approx(0.8)


def test_tasks_that_nearly_pass_are_named_with_their_reward() -> None:
    ended = {key("t1"): result("fail", reward=0.8), key("t2"): result("fail", reward=0.1)}
    assert advised(ended)[About.NEARLY].text == (
        "1 task never passed and came near, by mean reward and trials: t1 0.8 in 1"
    )


def test_errors_are_named_where_they_cost_most() -> None:
    error = result("error", failure_mode="agent_unavailable")
    ended = [(key("t1"), error), (key("t1"), error), (key("t2"), error), (key("t1"), result("pass"))]
    found = {advice.about: advice for advice in advise(bench(plan(["t1", "t2"]), ended))}
    assert found[About.ERRORS].text == (
        "3 tries were lost to errors: t1 2, t2 1; 1 trial still stands as an error, in no rate, most often as "
        "`agent_unavailable`"
    )


def test_arms_that_cannot_be_told_apart_say_how_many_more_trials_would() -> None:
    a = trials({f"t{number:02}": "p" if number < 20 else "f" for number in range(50)})
    b = trials({f"t{number:02}": "p" if 14 <= number < 40 else "f" for number in range(50)}, arm="b")
    text = advised({**a, **b}, arms="ab")[About.CONTRAST].text
    assert text.startswith("50 pairs do not show which of a and b is better (+12.0 points, 95 %: ")
    assert text.endswith("about 1,000 more, 21 times what there are, which is hardly worth it")
    assert About.CONTRAST not in advised({**a, **trials({which.task: "p" for which in a}, arm="b")}, arms="ab")


def test_what_failed_in_its_only_trial_is_worth_another() -> None:
    advice = advised(trials({"t1": "f", "t2": "pp", "t3": "p"}))[About.TRIED_ONCE]
    assert (advice.tasks, advice.kind, advice.gain) == (("t1",), AdviceKind.NEXT_STEP, None)
    assert "94 % of the cases" in advice.text


def test_what_is_left_and_what_cannot_be_tried_are_next_steps() -> None:
    ended = {key("t1"): result("unsupported", detail="needs a Docker engine"), key("t2"): result("pass")}
    stopped = BenchStopped(at=200.0, reason=BenchStop.MAX_HOURS)
    found = {advice.about: advice for advice in advise(bench(plan(["t1", "t2", "t3"]), ended.items(), [stopped]))}
    assert found[About.UNSUPPORTED].text == "1 task cannot be tried here: needs a Docker engine"
    assert found[About.OUTSTANDING].text == "1 trial is outstanding, 2 have a result: resume the bench"


WORDS = st.text("pfteu", min_size=1, max_size=4)


@given(
    st.dictionaries(st.sampled_from([f"t{n}" for n in range(9)]), WORDS, min_size=1),
    WORDS,
    st.sampled_from(["a", "abc"]),
)
@settings(max_examples=40, deadline=None)
def test_there_are_ten_at_most_and_every_one_has_a_number(outcomes: dict[str, str], other: str, arms: str) -> None:
    of_arms = {arm: outcomes if arm == "a" else dict.fromkeys(outcomes, other) for arm in arms}
    ended = {which: one for arm, words in of_arms.items() for which, one in trials(words, arm).items()}
    found = advise(bench(plan(sorted(outcomes), arms=arms, attempts=4), ended.items()))
    assert len(found) <= MOST
    for advice in found:
        assert any(letter.isdigit() for letter in advice.text)
        assert advice.gain is None or 0 < advice.gain <= 1
    gains = [advice.gain for advice in found if advice.gain is not None]
    assert gains == sorted(gains, reverse=True)
