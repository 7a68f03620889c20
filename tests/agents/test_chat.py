"""The built-in agent with a model that follows a script: what it may do, what ends it, what is told of it."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from autoloop.agents.chat.agent import ChatAgent
from autoloop.agents.chat.service import (
    Answer,
    Answered,
    Asked,
    NoTools,
    Service,
    ServiceFailed,
    Stop,
    Tool,
    Turn,
    Worked,
    failed_with,
)
from autoloop.agents.prices import Price
from autoloop.agents.trajectory import WHOLE, Call
from autoloop.core.run.program import Direction, Limits
from autoloop.core.session import Session, SessionFailure, Usage
from autoloop.ports import Cell, Goal, Left, Progress, Room, Task
from autoloop.sandbox.none import NoSandbox
from tests.atif import Document

PRICES = {"m": Price(input=1.0, output=10.0)}
USED = Usage(input=1000, output=100)
Step = Answer | ServiceFailed | NoTools | Callable[[], Answer]


def says(text: str = "", *calls: Call, stop: Stop | None = None) -> Answer:
    ending: Stop = stop or ("tools" if calls else "end")
    return Answer(text, ending, said={"text": text}, calls=calls, usage=USED, model="m")


def call(name: str, **arguments: Any) -> Call:
    return Call(f"id-{name}-{len(arguments)}", name, arguments)


@dataclass
class Script:
    """A service that answers what stands in a list."""

    steps: list[Step]
    asked: list[tuple[str, list[Turn], list[Tool]]] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def answer(self, system: str, turns: Sequence[Turn], tools: Sequence[Tool]) -> Answer:
        self.asked.append((system, list(turns), list(tools)))
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step

    def sign_of_life(self) -> None: ...

    def close(self) -> None:
        self.closed.set()

    @property
    def told(self) -> list[str]:
        """What the tools gave, as the model was told last."""
        worked = self.asked[-1][1][-1]
        assert isinstance(worked, Worked)
        return [outcome.text for outcome in worked.outcomes]


@dataclass
class Place:
    home: Path
    seen: list[Progress] = field(default_factory=list)

    @property
    def tree(self) -> Path:
        return self.home / "tree"

    def task(self, **fields: Any) -> Task:
        task = Task(
            packet="lower x",
            packet_path=self.home / "packet.md",
            tree=self.tree,
            run_id="run-1",
            goal=Goal("p", Direction.LOWER),
            experiment=7,
            seed=11,
            limits=Limits(max_turns=20, agent_timeout=20_000),
            history=lambda: [],
            transcript=self.home / "experiments/0007/session.jsonl",
            cancelled=lambda: False,
            sandbox=NoSandbox(),
            cell=Cell(tree=self.tree, home=self.home / "private"),
        )
        return replace(task, **fields)

    def session(self, *steps: Step, **fields: Any) -> tuple[Session, Script]:
        script = Script(list(steps))
        connect: Callable[[float], Service] = lambda silence: script  # noqa: E731 - a name for its type
        agent = ChatAgent("anthropic", "m", connect, {"PATH": "/usr/bin:/bin"}, PRICES, secrets=("s3cr3t-key",))
        session = agent.run(self.task(**fields), self.seen.append)
        assert script.closed.is_set()
        return session, script

    def trajectory(self) -> Document:
        return Document.model_validate_json((self.home / "experiments/0007" / WHOLE).read_bytes())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/code.py").write_text("x = 100\ny = 2\n")
    return Place(tmp_path)


def test_waiting_for_its_turn_is_no_part_of_a_session(place: Place) -> None:
    asked = []

    def before_call(is_over: Callable[[], bool]) -> float:
        asked.append(is_over())
        time.sleep(0.6)
        return 0.6

    limits = Limits(max_turns=20, agent_timeout=1_000)
    looks = [says("I look.", call("view", path="code.py")) for _ in range(3)]
    session, _ = place.session(*looks, says("Done."), limits=limits, before_call=before_call)
    assert (session.failure, session.turns, asked) == (None, 4, [False] * 4), "2.4 seconds are no second of work"
    assert session.seconds < 1


def test_a_session_that_is_ended_while_it_waits_makes_no_call(place: Place) -> None:
    over: list[bool] = []

    def before_call(is_over: Callable[[], bool]) -> float:
        over.append(True)
        return 0.0

    session, script = place.session(says("Done."), before_call=before_call, cancelled=lambda: bool(over))
    assert session.failure is SessionFailure.CANCELLED and not script.asked


def test_it_works_with_its_tools_until_it_has_nothing_more_to_do(place: Place) -> None:
    session, script = place.session(
        says("I look.", call("view", path="code.py"), call("bash", command="echo $((6 * 7)); exit 3")),
        says("", call("edit", path="code.py", old="x = 100", new="x = 1"), call("write", path="a/b.txt", text="new")),
        says('Done.\n<notes>{"hypothesis": "less x"}</notes>'),
    )
    assert (session.failure, session.turns, session.model) == (None, 3, "m")
    assert (place.tree / "code.py").read_text() == "x = 1\ny = 2\n"
    assert (place.tree / "a/b.txt").read_text() == "new"
    assert session.usage == USED + USED + USED and session.tokens == 3300
    assert session.cost_usd == pytest.approx(3 * (1000 * 1.0 + 100 * 10.0) / 1e6)
    assert '"less x"' in session.text
    first = script.asked[1][1][-1]
    assert isinstance(first, Worked)
    assert first.outcomes[0].text == "     1\tx = 100\n     2\ty = 2"
    assert (first.outcomes[1].text, first.outcomes[1].is_error) == ("42\nexit code 3", True)
    steps = place.trajectory().steps
    assert [step.source for step in steps] == ["system", "user", "agent", "agent", "agent"]
    assert steps[2].observation and len(steps[2].observation.results) == 2
    assert any("$ echo" in sign.text for sign in place.seen)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (call("view", path="../outside"), "leads out of the tree"),
        (call("view", path="/etc/passwd"), "leads out of the tree"),
        (call("write", path="way/out.txt", text="x"), "leads out of the tree"),
        (call("edit", path="code.py", old="=", new="x"), "stands 2 times"),
        (call("edit", path="code.py", old="z", new="x"), "does not stand in"),
        (call("edit", path="code.py", old="x"), "needs a text 'new'"),
        (call("view", path="gone.py"), "does not exist"),
        (call("view", path=".git/config"), ".git is not a part"),
        (call("fly", path="x"), "there is no tool 'fly'"),
        (call("bash", command="sleep 60", timeout=0.2), "ended after 0.2 s"),
    ],
)
def test_a_wrong_call_is_told_to_the_model_and_harms_nothing(place: Place, wrong: Call, told: str) -> None:
    (place.home / "outside").write_text("secret")
    (place.tree / "way").symlink_to(place.home)
    session, script = place.session(says("", wrong), says("I see."))
    assert told in script.told[0]
    assert session.failure is None
    assert not (place.home / "out.txt").exists()


def test_long_results_keep_their_ends(place: Place) -> None:
    command = "head -c 100000 /dev/zero | tr '\\0' x; echo; echo the end"
    _, script = place.session(says("", call("bash", command=command)), says("ok"))
    assert len(script.told[0]) < 20_000 and script.told[0].endswith("the end")


@dataclass
class Moving:
    """A sandbox in which something goes on, but for the time in which it is held."""

    tree: Path
    tier: Literal["none"] = "none"

    def enter(self, cell: Cell) -> Room:
        return replace(NoSandbox().enter(cell), still=self.held)

    @contextmanager
    def held(self) -> Iterator[None]:
        (self.tree / "state").write_text("held")
        yield
        (self.tree / "state").write_text("moving")


def test_tools_that_work_from_outside_find_everything_held(place: Place) -> None:
    state, look = call("view", path="state"), call("bash", command="cat state")
    write = call("write", path="state", text="written")
    _, script = place.session(says("", look, state, look, write, look), says("ok"), sandbox=Moving(place.tree))
    first, seen, between, _, last = script.told
    assert "held" not in first and "held" in seen and between == last == "moving"


def test_commands_see_no_keys_and_leave_nothing_running(place: Place) -> None:
    command = "env; setsid sleep 600 & echo $!"
    _, script = place.session(says("", call("bash", command=command)), says("ok"))
    assert "KEY" not in script.told[0]
    pid = int(script.told[0].split()[-1])
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("fields", "failure", "turns"),
    [
        ({"limits": Limits(max_turns=2)}, SessionFailure.TURNS, 2),
        ({"left": Left(cost_usd=0.003)}, SessionFailure.BUDGET, 2),
        ({"left": Left(tokens=1100)}, SessionFailure.BUDGET, 1),
        ({"cancelled": lambda: True}, SessionFailure.CANCELLED, 0),
    ],
)
def test_limits_are_looked_at_before_each_call(
    place: Place, fields: dict[str, Any], failure: SessionFailure, turns: int
) -> None:
    session, _ = place.session(*[says("", call("bash", command="true"))] * 9, **fields)
    assert (session.failure, session.turns) == (failure, turns)
    assert session.detail


def test_a_service_that_hangs_is_left_at_the_deadline(place: Place) -> None:
    release = threading.Event()

    def hang() -> Answer:
        release.wait(30)
        return says("late")

    began = time.monotonic()
    session, script = place.session(hang, limits=Limits(agent_timeout=300))
    release.set()
    assert time.monotonic() - began < 10
    assert session.failure is SessionFailure.TIMEOUT and "agent_timeout" in session.detail
    assert script.closed.is_set()


def test_a_command_ends_with_the_session(place: Place) -> None:
    session, _ = place.session(says("", call("bash", command="sleep 60")), says("x"), limits=Limits(agent_timeout=500))
    assert session.failure is SessionFailure.TIMEOUT and session.seconds < 10


@pytest.mark.parametrize(
    ("stop", "failure"),
    [("refused", SessionFailure.REFUSED), ("context", SessionFailure.CONTEXT_TOO_LONG)],
)
def test_how_a_model_stops_is_told(place: Place, stop: Stop, failure: SessionFailure) -> None:
    assert place.session(says("no", stop=stop))[0].failure is failure


def test_a_pause_goes_on_and_a_cut_answer_is_asked_to_go_on(place: Place) -> None:
    session, script = place.session(says("a", stop="paused"), says("b", stop="length"), says("c"))
    assert (session.failure, session.turns) == (None, 3)
    turns = script.asked[-1][1]
    assert [type(turn) for turn in turns] == [Asked, Answered, Answered, Asked]
    cut = place.session(*[says("b", stop="length")] * 9)[0]
    assert (cut.failure, cut.turns) == (SessionFailure.MALFORMED, 3)


def test_a_call_that_was_cut_off_is_not_done(place: Place) -> None:
    half = call("write", path="code.py", text="ha")
    session, script = place.session(says("", half, stop="length"), says("", call("bash", command="true")), says("c"))
    assert session.failure is None and (place.tree / "code.py").read_text() == "x = 100\ny = 2\n"
    worked = script.asked[1][1][-1]
    assert isinstance(worked, Worked) and [outcome.call_id for outcome in worked.outcomes] == [half.id]
    assert worked.outcomes[0].is_error and "smaller steps" in worked.outcomes[0].text
    cut = place.session(*[says("", half, stop="length")] * 9)[0]
    assert (cut.failure, cut.turns) == (SessionFailure.MALFORMED, 3)


def test_a_service_that_fails_ends_the_session_with_its_reason(place: Place) -> None:
    limited = ServiceFailed(SessionFailure.RATE_LIMITED, "HTTP 429", retry_at=5.0)
    session, _ = place.session(says("", call("write", path="code.py", text="half")), limited)
    assert (session.failure, session.detail, session.retry_at) == (SessionFailure.RATE_LIMITED, "HTTP 429", 5.0)
    assert session.tokens == 1100
    assert (place.tree / "code.py").read_text() == "half"


def test_a_model_without_tool_calls_writes_them_into_its_text(place: Place) -> None:
    wanted = json.dumps({"name": "write", "arguments": {"path": "code.py", "text": "x = 5\n"}})
    session, script = place.session(
        NoTools(), says(f"I write.\n```tool\n{wanted}\n```\nand\n```tool\nnonsense\n```"), says("Done.")
    )
    assert session.failure is None
    assert (place.tree / "code.py").read_text() == "x = 5\n"
    system, turns, tools = script.asked[-1]
    assert "```tool" in system and '"write"' in system and not tools
    last = turns[-1]
    assert isinstance(last, Asked) and "code.py is written" in last.text and "not JSON" in last.text


def test_secrets_do_not_reach_the_trajectory(place: Place) -> None:
    place.session(says("the key is s3cr3t-key", call("bash", command="echo s3cr3t-key")), says("ok"))
    assert "s3cr3t" not in (place.home / "experiments/0007" / WHOLE).read_text()
    failed = ServiceFailed(SessionFailure.NOT_SIGNED_IN, "HTTP 401: s3cr3t-key is not valid")
    assert place.session(failed)[0].detail == "HTTP 401: [redacted] is not valid"


@pytest.mark.parametrize(
    ("status", "said", "failure"),
    [
        (401, "invalid x-api-key", SessionFailure.NOT_SIGNED_IN),
        (403, "forbidden", SessionFailure.NOT_SIGNED_IN),
        (402, "pay", SessionFailure.OUT_OF_QUOTA),
        (400, "Your credit balance is too low", SessionFailure.OUT_OF_QUOTA),
        (429, "You exceeded your current quota; insufficient_quota", SessionFailure.OUT_OF_QUOTA),
        (429, "slow down", SessionFailure.RATE_LIMITED),
        (400, "prompt is too long: 300000 tokens", SessionFailure.CONTEXT_TOO_LONG),
        (413, "", SessionFailure.CONTEXT_TOO_LONG),
        (404, "model: nope", SessionFailure.UNREACHABLE),
        (500, "oops", SessionFailure.OVERLOADED),
        (529, "overloaded", SessionFailure.OVERLOADED),
        (400, "tools.0: bad, in the middle of it", SessionFailure.MALFORMED),
        (400, "Output blocked by content filtering policy", SessionFailure.REFUSED),
    ],
)
def test_statuses_and_words_say_what_went_wrong(status: int, said: str, failure: SessionFailure) -> None:
    assert failed_with(status, said).failure is failure


def test_when_to_come_back_is_read_from_seconds_and_dates() -> None:
    soon = failed_with(429, "", "30").retry_at
    assert soon is not None and 25 < soon - time.time() < 31
    assert failed_with(429, "", "Wed, 21 Oct 2015 07:28:00 GMT").retry_at == 1445412480
    assert failed_with(429, "", "soon").retry_at is None
    soon = failed_with(429, "Rate limit reached. Please try again in 20s.").retry_at
    assert soon is not None and 15 < soon - time.time() < 21
