"""Agents with real processes and real files: what they change, what they say, how they fail."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoloop.agents.command import CommandAgent
from autoloop.agents.knobs import check, rounded
from autoloop.agents.profiles import Profile
from autoloop.agents.registry import agent_class
from autoloop.agents.scripted import Delete, Fail, Nothing, Replace, ScriptedAgent, ScriptedStep, Shell, Write
from autoloop.agents.transcript import Transcript
from autoloop.agents.tuner import TunerAgent
from autoloop.core.run.history import Trial
from autoloop.core.run.notes import parse_notes
from autoloop.core.run.program import Direction, Knob, Limits
from autoloop.core.session import Session, SessionFailure
from autoloop.errors import AutoloopError
from autoloop.ports import Agent, Cell, Goal, Progress, Task
from autoloop.sandbox.none import NoSandbox

ENV = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}

SIZE = Knob(name="size", file="a.py", pattern=r"^SIZE = (\d+)", type="int", low=1, high=64, log=True)
RATE = Knob(name="rate", file="a.py", pattern=r"^RATE = ([\d.e-]+)", type="float", low=0.0, high=1.0)
MODE = Knob(name="mode", file="m.toml", pattern=r'^mode = "(\w+)"', type="choice", choices=("slow", "fast", "odd"))
A_PY = "# sizes\nSIZE = 16  # items\nRATE = 0.5\n"
M_TOML = 'mode = "slow"\r\nother = 1\r\n'


class Place:
    """A tree, and tasks in it; remembers the progress of every session."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.tree = home / "tree"
        self.tree.mkdir()
        self.progress: list[Progress] = []

    def task(self, **fields: Any) -> Task:
        task = Task(
            packet="the packet",
            packet_path=self.home / "packet.md",
            tree=self.tree,
            run_id="run-1",
            goal=Goal("p", Direction.LOWER),
            experiment=7,
            seed=11,
            limits=Limits(agent_timeout=20_000, agent_idle_timeout=20_000),
            history=lambda: [],
            transcript=self.home / "experiments" / "0007" / "session.jsonl",
            cancelled=lambda: False,
            sandbox=NoSandbox(),
            cell=Cell(tree=self.tree, home=self.home / "private"),
        )
        return replace(task, **fields)

    def session(self, agent: Agent, **fields: Any) -> Session:
        return agent.run(self.task(**fields), self.progress.append)

    def command(self, command: str, env: dict[str, str] | None = None, **fields: Any) -> Session:
        return self.session(CommandAgent(command, ENV | (env or {})), **fields)

    def tune(self, *knobs: Knob, direction: Direction = Direction.LOWER, **fields: Any) -> Session:
        return self.session(TunerAgent(), goal=Goal("p", direction, knobs), **fields)

    def write(self, path: str, text: str) -> None:
        (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / path).write_text(text)

    def read(self, path: str) -> str:
        return (self.tree / path).read_text()

    def transcript(self) -> list[dict[str, Any]]:
        lines = (self.home / "experiments" / "0007" / "session.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# --- command


def test_a_command_finds_its_task_in_the_environment(place: Place) -> None:
    names = ["PACKET", "PACKET_TEXT", "TREE", "RUN", "EXPERIMENT", "PROGRAM", "SEED"]
    session = place.command("pwd; " + "; ".join(f'echo "$AUTOLOOP_{name}"' for name in names))
    tree = str(place.tree)
    packet = str(place.home / "packet.md")
    assert session.failure is None
    assert session.text.split("\n")[:-1] == [tree, packet, "the packet", tree, "run-1", "7", "p", "11"]


def test_a_command_gets_what_is_allowed_and_what_its_profile_names(place: Place) -> None:
    allowed = {"LANG": "C", "LC_ALL": "C", "HTTPS_PROXY": "http://proxy", "ANTHROPIC_API_KEY": "k", "CODEX_HOME": "/c"}
    misleading = {"GIT_DIR": "/elsewhere", "GIT_CONFIG_GLOBAL": "/x", "PYTHONDONTWRITEBYTECODE": "1"}
    private = {"AWS_SECRET_ACCESS_KEY": "s", "SSH_AUTH_SOCK": "/s", "OTHER": "o"}
    environ = {**ENV, **allowed, **misleading, **private, "MINE": "yes"}
    profile = Profile(name="mine", agent="command", command="env", env=("MINE",))
    said = place.session(CommandAgent.from_profile(profile, place.home, environ)).text.splitlines()
    assert {f"{name}={value}" for name, value in {**allowed, "MINE": "yes"}.items()} <= set(said)
    assert [line for line in said if line.split("=")[0] in misleading | private] == []


@pytest.mark.parametrize("part", ["/etc", "~", "../other", "~/.client/../.."])
def test_only_parts_of_the_home_can_be_kept(place: Place, part: str) -> None:
    profile = Profile(name="mine", agent="command", command="true", home=(part,))
    with pytest.raises(AutoloopError, match="home holds"):
        CommandAgent.from_profile(profile, place.home, {**ENV, "HOME": str(place.home)})


def test_a_packet_too_large_for_the_environment_is_cut_and_says_so(place: Place) -> None:
    packet = "\0ä" * 200_000
    said = place.command(
        'printf %s "$AUTOLOOP_PACKET_TEXT" | wc -c; echo "$AUTOLOOP_PACKET_TEXT" | tail -2 | grep .', packet=packet
    ).text
    size, last = said.splitlines()
    assert 99_000 < int(size) < 110_000
    assert "AUTOLOOP_PACKET" in last


def test_what_a_command_prints_is_recorded_line_by_line_and_passed_on(place: Place) -> None:
    place.command("echo one; sleep 0.5; echo two >&2; sleep 0.5; printf '\\033[31mthree\\033[0m'")
    entries = place.transcript()
    assert [(entry["stream"], entry["text"]) for entry in entries] == [
        ("stdout", "one"),
        ("stderr", "two"),
        ("stdout", "\x1b[31mthree\x1b[0m"),
    ]
    assert 0 <= entries[0]["at"] < entries[1]["at"] < entries[2]["at"] < 60
    assert [(one.phase, one.experiment, one.text) for one in place.progress] == [
        ("agent", 7, "one"),
        ("agent", 7, "two"),
        ("agent", 7, "three"),
    ]


def test_the_transcript_is_written_while_the_command_runs(place: Place) -> None:
    seen: list[str] = []

    def look(progress: Progress) -> None:
        seen.append(place.transcript()[-1]["text"])

    CommandAgent("echo first; sleep 0.1; echo second", ENV).run(place.task(), look)
    assert seen == ["first", "second"]


def test_the_last_notes_are_found_however_much_follows_them(place: Place) -> None:
    place.write("talk.py", 'print(\'<notes>{"hypothesis": "old"}</notes>\')\n')
    with (place.tree / "talk.py").open("a") as file:
        file.write(
            'print(\'<notes>\\n{"hypothesis": "fewer copies",\', \'x\' * 15000 and \'"why": "w"}\\n</notes>\')\n'
        )
        file.write("print('chatter\\n' * 100_000)\n")
    session = place.command(f"{sys.executable} talk.py")
    assert parse_notes(session.text).hypothesis == "fewer copies"
    assert len(session.text) < 30_000
    assert session.text.endswith("chatter\n\n")


def test_notes_repeated_from_the_packet_count_for_nothing(place: Place) -> None:
    packet = 'End with:\n<notes>{"hypothesis": "what you changed"}</notes>\n'
    place.home.joinpath("packet.md").write_text(packet)
    session = place.command('cat "$AUTOLOOP_PACKET"', packet=packet)
    assert parse_notes(session.text).hypothesis == ""
    own = place.command('echo "<notes>my own</notes>"; cat "$AUTOLOOP_PACKET"', packet=packet)
    assert parse_notes(own.text).hypothesis == "my own"


def test_an_unknown_cost_is_none_and_the_notes_may_tell_it(place: Place) -> None:
    silent = place.command("echo done")
    assert (silent.cost_usd, silent.tokens) == (None, None)
    told = place.command("""echo '<autoauto_notes>{"cost_usd": 0.25, "tokens": 1200}</autoauto_notes>'""")
    assert (told.cost_usd, told.tokens) == (0.25, 1200)
    wrong = place.command("""echo '<notes>{"cost_usd": "free", "tokens": NaN}</notes>'""")
    assert (wrong.cost_usd, wrong.tokens) == (None, None)


@pytest.mark.parametrize("code", [126, 127])
def test_a_command_that_cannot_be_run_is_out_of_reach(place: Place, code: int) -> None:
    place.write("old.txt", "")
    time.sleep(0.02)  # file times lag behind the clock
    session = place.command(f"echo 'no such agent' >&2; exit {code}")
    assert session.failure is SessionFailure.UNREACHABLE
    assert f"exit {code}" in session.detail and "no such agent" in session.detail


def test_a_missing_program_is_named(place: Place) -> None:
    session = place.command("no-such-agent-anywhere --print")
    assert session.failure is SessionFailure.UNREACHABLE
    assert "no-such-agent-anywhere --print" in session.detail and "127" in session.detail


def test_a_tree_placed_an_instant_ago_does_not_pass_for_the_agents_change(place: Place) -> None:
    for _ in range(10):
        place.write("code.py", "fresh")
        place.write(".git/HEAD", "placed last")
        assert place.command("no-such-agent-anywhere").failure is SessionFailure.UNREACHABLE


def test_exit_127_after_a_change_is_an_experiment(place: Place) -> None:
    session = place.command("mkdir -p a/b; echo x > a/b/new; exit 127")
    assert session.failure is SessionFailure.EXITED


def test_another_exit_code_is_told_with_the_last_error(place: Place) -> None:
    session = place.command("echo out; echo first >&2; echo 'model overloaded' >&2; exit 3")
    assert session.failure is SessionFailure.EXITED
    assert session.detail == "exit code 3: model overloaded"
    assert place.command("kill -SEGV $$").detail == "killed by SIGSEGV"


def test_a_command_is_ended_by_its_limits_and_says_which(place: Place) -> None:
    late = place.command("echo a; sleep 30", limits=Limits(agent_timeout=200, agent_idle_timeout=0))
    assert late.failure is SessionFailure.TIMEOUT and "0.2 s (agent_timeout)" in late.detail
    idle = place.command("echo a; sleep 30", limits=Limits(agent_timeout=0, agent_idle_timeout=1500))
    assert idle.failure is SessionFailure.IDLE and "agent_idle_timeout" in idle.detail
    assert idle.text == "a\n"
    cut = place.command("sleep 30", cancelled=lambda: True)
    assert cut.failure is SessionFailure.CANCELLED
    assert late.seconds + idle.seconds + cut.seconds < 25


def test_a_command_is_asked_to_end_as_by_ctrl_c(place: Place) -> None:
    script = "trap 'echo interrupted; exit 0' INT; echo ready; while :; do sleep 0.05; done"
    session = place.command(f'bash -c "{script}"', limits=Limits(agent_timeout=1500))
    assert session.failure is SessionFailure.TIMEOUT
    assert "interrupted" in session.text


def test_much_output_stays_out_of_memory_and_the_record_has_an_end(place: Place) -> None:
    session = place.command("yes some words | head -c 8000000; printf x%.0s $(seq 100000)")
    assert len(session.text) <= 8192 and session.text.endswith("xxx\n")
    with Transcript(place.task(), lambda progress: None, largest=1000) as transcript:
        for number in range(100):
            transcript.stdout.feed(b"some more words %d\n" % number)
    assert place.transcript()[-1] == {**place.transcript()[-1], "stream": "autoloop"}
    assert len(place.transcript()) < 30


def test_output_that_is_not_text_is_no_trouble(place: Place) -> None:
    session = place.command(r"printf 'caf\303'; sleep 0.05; printf '\251 \377\n'")
    assert session.text == "café �\n"


# --- scripted


def test_a_scripted_agent_performs_the_step_of_the_experiment(place: Place) -> None:
    place.write("a.py", "size = 64\r\n")
    agent = ScriptedAgent([Write("new/b.py", "x"), [Replace("a.py", "64", "32"), Delete("new/b.py")], Nothing()])
    assert place.session(agent, experiment=1).failure is None
    assert place.read("new/b.py") == "x"
    place.session(agent, experiment=2)
    assert (place.tree / "a.py").read_bytes() == b"size = 32\r\n"
    assert not (place.tree / "new/b.py").exists()
    before = sorted(place.tree.rglob("*"))
    for experiment in (3, 4):
        assert place.session(agent, experiment=experiment).failure is None
    assert sorted(place.tree.rglob("*")) == before


def test_a_cycling_script_begins_again(place: Place) -> None:
    agent = ScriptedAgent([Write("a", "1"), Write("a", "2")], cycle=True)
    for experiment, text in ((1, "1"), (2, "2"), (3, "1"), (8, "2")):
        place.session(agent, experiment=experiment)
        assert place.read("a") == text


def test_a_step_says_what_it_was_and_cost(place: Place) -> None:
    agent = ScriptedAgent([ScriptedStep([Write("a", "1")], hypothesis="smaller", avoid=("b",), cost_usd=0.5, tokens=3)])
    session = place.session(agent, experiment=1)
    notes = parse_notes(session.text)
    assert (notes.hypothesis, notes.avoid) == ("smaller", ("b",))
    assert (session.cost_usd, session.tokens) == (0.5, 3)


def test_a_failing_action_ends_the_step_and_keeps_what_was_done(place: Place) -> None:
    failing = ScriptedAgent([[Write("a", "1"), Fail(SessionFailure.TIMEOUT, "slow"), Write("b", "2")]])
    session = place.session(failing, experiment=1)
    assert (session.failure, session.detail) == (SessionFailure.TIMEOUT, "slow")
    assert place.read("a") == "1" and not (place.tree / "b").exists()
    absent = place.session(ScriptedAgent([Replace("a", "9", "1")]), experiment=1)
    assert absent.failure is SessionFailure.EXITED and "does not hold" in absent.detail


def test_a_scripted_shell_command_and_function_are_real(place: Place) -> None:
    def function(task: Task) -> None:
        (task.tree / "c").write_text(str(task.seed))

    agent = ScriptedAgent([Shell("echo hi > b; echo '<notes>shelled</notes>'"), function, Shell("exit 4")])
    assert parse_notes(place.session(agent, experiment=1).text).hypothesis == "shelled"
    assert place.read("b") == "hi\n"
    place.session(agent, experiment=2)
    assert place.read("c") == "11"
    assert place.session(agent, experiment=3).failure is SessionFailure.EXITED


def test_no_agent_of_ours_writes_outside_the_tree(place: Place) -> None:
    (place.home / "outside").write_text("knob = 1")
    (place.tree / "link").symlink_to(place.home)
    (place.tree / "file").symlink_to("../outside")
    for path in ("../outside", "link/outside", "file", str(place.home / "outside")):
        session = place.session(ScriptedAgent([Write(path, "x")]), experiment=1)
        assert session.failure is SessionFailure.EXITED and "out of the tree" in session.detail
        assert place.tune(Knob(name="k", file=path, pattern=r"= (\d)", type="int", low=0, high=9)).failure
    assert (place.home / "outside").read_text() == "knob = 1"


# --- tuner


@pytest.fixture
def tunable(place: Place) -> Place:
    place.write("a.py", A_PY)
    (place.tree / "m.toml").write_bytes(M_TOML.encode())
    return place


def test_the_tuner_sets_every_knob_and_nothing_else(tunable: Place) -> None:
    session = tunable.tune(SIZE, RATE, MODE)
    size, rate, mode = (session.parameters[name] for name in ("size", "rate", "mode"))
    assert session.failure is None
    assert isinstance(size, int) and 1 <= size <= 64 and isinstance(rate, float) and 0 <= rate <= 1
    assert tunable.read("a.py") == f"# sizes\nSIZE = {size}  # items\nRATE = {rate}\n"
    assert (tunable.tree / "m.toml").read_bytes() == f'mode = "{mode}"\r\nother = 1\r\n'.encode()
    said = f"set size={size}, rate={rate}, mode={mode}"
    assert parse_notes(session.text).hypothesis == said
    assert (session.cost_usd, session.tokens) == (0.0, 0)
    assert tunable.transcript()[0]["text"] == tunable.progress[-1].text == said


def trials_of(metric: Callable[[int], float | None], count: int) -> list[Trial]:
    return [
        Trial(
            number, {"size": 1 + number % 64, "rate": round(number / 100 % 1, 3), "mode": "fast"}, metric(number), False
        )
        for number in range(count)
    ]


def test_the_same_history_and_seed_give_the_same_proposal(tunable: Place) -> None:
    history = trials_of(lambda number: None if number % 5 == 0 else float(number), 30)
    proposals = []
    for seed in (1, 1, 2):
        tunable.write("a.py", A_PY)
        tunable.write("m.toml", M_TOML)
        proposals.append(tunable.tune(SIZE, RATE, MODE, seed=seed, history=lambda: iter(history)).parameters)
    assert proposals[0] == proposals[1] != proposals[2]


def test_every_setting_is_proposed_once_and_the_present_one_never(tunable: Place) -> None:
    small = SIZE.model_copy(update={"low": 14, "high": 17})
    history: list[Trial] = []
    for number in range(1, 12):
        tunable.write("a.py", A_PY)
        tunable.write("m.toml", M_TOML)
        session = tunable.tune(small, MODE, seed=number, history=lambda: history)
        assert session.failure is None
        history.append(Trial(number, session.parameters, float(number), False))
    tried = {(trial.parameters["size"], trial.parameters["mode"]) for trial in history}
    assert len(tried) == 11 and (16, "slow") not in tried
    tunable.write("a.py", A_PY)
    tunable.write("m.toml", M_TOML)
    session = tunable.tune(small, MODE, history=lambda: history)
    assert session.failure is SessionFailure.EXITED and "every setting" in session.detail
    assert tunable.read("a.py") == A_PY


@pytest.mark.parametrize("direction", list(Direction))
def test_the_tuner_finds_a_better_setting_than_chance_would(tunable: Place, direction: Direction) -> None:
    sign = 1 if direction is Direction.LOWER else -1
    history: list[Trial] = []
    for number in range(1, 31):
        session = tunable.tune(RATE, MODE, seed=number, direction=direction, history=lambda: history)
        rate, mode = session.parameters["rate"], session.parameters["mode"]
        metric = None if mode == "odd" else sign * ((float(rate) - 0.83) ** 2 + (mode == "slow"))
        history.append(Trial(number, session.parameters, metric, False))
    close = [trial for trial in history[15:] if trial.metric is not None and abs(trial.metric) < 0.02]
    assert len(close) >= 5, "by chance it would be one or two of fifteen"


def test_a_long_history_does_not_slow_the_tuner_down(tunable: Place) -> None:
    history = trials_of(float, 10_000)
    tunable.tune(SIZE, RATE, MODE)
    assert tunable.tune(SIZE, RATE, MODE, history=lambda: iter(history)).seconds < 1.0


def test_trials_of_another_agent_are_passed_over(tunable: Place) -> None:
    alien = [Trial(1, {"depth": 3}, 1.0, True), Trial(2, {"size": 999, "rate": 0.1, "mode": "fast"}, 2.0, False)]
    assert tunable.tune(SIZE, RATE, MODE, history=lambda: alien).failure is None


def test_a_truth_value_is_written_as_the_file_has_it(place: Place) -> None:
    knob = Knob(name="on", file="f", pattern=r"on[=:] ?(\w+)", type="choice", choices=(True, False))
    for before, after in (("on=True", "on=False"), ("on: false", "on: true")):
        place.write("f", before)
        assert place.tune(knob).parameters == {"on": after.endswith("rue")}
        assert place.read("f") == after


def test_a_float_has_no_more_digits_than_its_range_can_use() -> None:
    knob = Knob(name="x", file="f", pattern="(.*)", type="float", low=0.0, high=1.0)
    near, wide = (knob.model_copy(update=bounds) for bounds in ({"low": 1000.0, "high": 1000.5}, {"high": 5e6}))
    steep = knob.model_copy(update={"low": 1e-12, "high": 1.0, "log": True})
    assert rounded(knob, 0.123456789) == 0.123
    assert rounded(near, 1000.123456) == 1000.1235 and rounded(near, 1000.49999) == 1000.5
    assert rounded(wide, 1234567.8) == 1235000.0
    assert rounded(steep, 1.23456e-7) == 1.235e-7


def test_a_small_float_is_written_so_that_every_format_reads_a_number(place: Place) -> None:
    knob = Knob(name="x", file="f", pattern=r"x: (\S+)", type="float", low=1e-5, high=1.1e-5)
    place.write("f", "x: 1")
    place.tune(knob)
    assert place.read("f").startswith("x: 0.00001")
    place.tune(knob.model_copy(update={"low": 1e-12, "high": 1.4e-12, "log": True}))
    assert place.read("f")[:5] == "x: 1." and place.read("f").endswith("e-12")


def refusal(knob: Knob, **texts: str) -> str:
    files = {"a.py": A_PY, "m.toml": M_TOML, **texts}

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[path]

    with pytest.raises(AutoloopError) as refused:
        check([knob], read)
    return str(refused.value)


def test_knobs_that_could_not_be_turned_are_refused_up_front(tunable: Place) -> None:
    check([SIZE, RATE, MODE], tunable.read)
    assert "cannot read b.py" in refusal(SIZE.model_copy(update={"file": "b.py"}))
    assert "matches nowhere" in refusal(SIZE.model_copy(update={"pattern": r"^COUNT = (\d+)"}))
    assert "matches 2 times" in refusal(SIZE.model_copy(update={"pattern": r"= (\d+)"}))
    assert "no group" in refusal(SIZE.model_copy(update={"pattern": r"^SIZE = \d+"}))
    assert "is wrong" in refusal(SIZE.model_copy(update={"pattern": r"^SIZE = (\d+"}))
    assert "whole numbers" in refusal(SIZE.model_copy(update={"low": 1.5}))
    assert "a choice twice" in refusal(MODE.model_copy(update={"choices": ("a", "a")}))
    with pytest.raises(AutoloopError, match="same place"):
        check([SIZE, SIZE.model_copy(update={"name": "other"})], tunable.read)
    with pytest.raises(AutoloopError, match="declares no knobs"):
        check([], tunable.read)


def test_a_pattern_that_covers_only_a_part_of_a_value_is_refused() -> None:
    """`(\\d+)` takes the 0 of 0.5, and the next value would be written into the middle of a number."""
    assert "finds '0'" in refusal(RATE.model_copy(update={"pattern": r"^RATE = (\d+)"}), **{"a.py": "RATE = 0"})


def test_a_knob_that_is_gone_is_a_failure_and_no_exception(place: Place) -> None:
    place.write("a.py", "nothing here")
    session = place.tune(SIZE)
    assert session.failure is SessionFailure.EXITED and "matches nowhere" in session.detail
    assert place.tune(MODE).failure is SessionFailure.EXITED
    assert place.tune().failure is SessionFailure.EXITED


def test_without_optuna_the_tuner_is_out_of_reach_with_the_remedy(
    tunable: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    session = tunable.tune(SIZE)
    assert session.failure is SessionFailure.UNREACHABLE
    assert 'pip install "autoloop-engine[tuner]"' in session.detail
    assert tunable.read("a.py") == A_PY


# --- the registry


def test_agents_are_found_by_short_name_and_by_dotted_path() -> None:
    assert agent_class("command") is CommandAgent
    assert agent_class("scripted") is ScriptedAgent
    assert agent_class("tuner") is TunerAgent
    assert agent_class("tests.fakes:FakeAgent").__name__ == "FakeAgent"


@pytest.mark.parametrize(
    "name", ["clod", "tests.nowhere:Agent", "tests.fakes:Absent", "tests.fakes:NoFiles", ":", "a:"]
)
def test_an_agent_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(AutoloopError) as refused:
        agent_class(name)
    assert name in refused.value.message


def test_importing_the_agents_costs_no_optuna() -> None:
    code = "import sys, autoloop.agents.tuner, autoloop.agents.profiles; sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
