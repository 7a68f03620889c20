"""The command line as people and scripts meet it: real processes in small real repositories."""

import importlib
import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoloop.cli import plain_status
from autoloop.cli.app import VERBS as TABLE
from autoloop.cli.app import app
from autoloop.cli.look import results_table
from autoloop.cli.render import clean
from autoloop.core.text import duration, signed_percent
from tests.http_script import serving
from tests.services import of_ollama

PACKAGE = Path(__file__).resolve().parent.parent.parent
VERBS = [
    "init",
    "validate",
    "run",
    "status",
    "results",
    "show",
    "report",
    "ideas",
    "packet",
    "guide",
    "stop",
    "limit",
    "verify",
    "compare",
    "audit",
    "clean",
    "agents",
    "demo",
    "hud",
]
MEASURE = """echo "{\\"lines\\": $(wc -l < code.py), \\"errors\\": 0}"\n"""
CONFIG = """
metric_field = "lines"
direction = "lower"
max_experiments = 4
calibration_pairs = 3
repeats = 1
warmup = 0
[quality_gates.errors]
max = 0
"""
AGENT = """
case $AUTOLOOP_EXPERIMENT in
  2) echo 'more = 1' >> code.py;;
  3) ;;
  *) sed -i 1,3d code.py;;
esac
printf '<notes>{"hypothesis": "fewer lines %s", "why": "less is less", "next": ["even fewer"]}</notes>' \\
  $AUTOLOOP_EXPERIMENT
"""
SETTINGS = """
default_profile = "mine"
[profiles.mine]
agent = "command"
command = "sh agent.sh"
[profiles.idle]
agent = "command"
command = "true"
[profiles.gone]
agent = "command"
command = "no-such-agent"
[profiles.slow]
agent = "command"
command = "sleep 30"
"""


@dataclass
class Place:
    """A repository, and `autoloop` to type in it."""

    root: Path
    extra: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AUTOLOOP", "GIT_", "_TYPER"))
        }
        home = str(self.root.parent)
        mine = {"PYTHONPATH": str(PACKAGE), "HOME": home, "XDG_CONFIG_HOME": f"{home}/config"}
        where = {"AUTOLOOP_CACHE_DIR": f"{home}/cache", "AUTOLOOP_SANDBOX": "none"}
        return {**kept, **mine, **where, "TERM": "xterm", **self.extra}

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "autoloop", *words],
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def type(self, *words: str, expect: int = 0) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        assert process.returncode == expect, f"{words}: {process.returncode}\n{out}\n{err}"
        return out

    def refusal(self, *words: str) -> str:
        """What is said of something that the user can fix: never a traceback."""
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (2, ""), f"{words}: {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        assert len(err.splitlines()) <= 4
        return err

    def read(self, *words: str) -> dict[str, object]:
        found = json.loads(self.type(*words, "--json"))
        assert isinstance(found, dict)
        return found


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True, text=True).stdout


def make(root: Path, **files: str) -> Place:
    texts = {"code.py": "x = 1\n" * 30, "agent.sh": AGENT, "autoloop.toml": SETTINGS, **files}
    texts |= {"programs/size/config.toml": CONFIG, "programs/size/measure.sh": MEASURE}
    texts["programs/size/program.md"] = "Fewer lines.\n"
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    return Place(root)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make(tmp_path / "repository")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, str]]:
    """A place with a finished run, which tests only look at, and what it told while it went."""
    place = make(tmp_path_factory.mktemp("cli") / "repository")
    yield place, place.type("run", "size")
    shutil.rmtree(place.root.parent, ignore_errors=True)


@pytest.fixture(scope="module")
def done(told: tuple[Place, str]) -> Place:
    return told[0]


def wait_for(place: Place, wanted: str, value: object) -> dict[str, object]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        status = place.read("status")
        if status[wanted] == value:
            return status
        time.sleep(0.1)
    raise AssertionError(f"{wanted} never became {value}: {status}")


def test_a_run_tells_each_experiment_the_gain_and_how_to_merge_it(told: tuple[Place, str]) -> None:
    place, text = told
    lines = text.splitlines()
    for number, verdict in (
        (0, "baseline"),
        (1, "keep +improved"),
        (2, "discard +regressed"),
        (3, "crash +no_candidate"),
    ):
        assert any(re.match(rf" *{number}  {verdict} ", line) for line in lines), text
    assert "30 at the start, 24 now: a gain of +20.0 %" in text
    assert "sandbox: none" in text
    merge = next(line for line in lines if line.startswith("merge it: ")).removeprefix("merge it: git ")
    git(place.root, "branch", "before")
    git(place.root, *merge.split())
    assert len((place.root / "code.py").read_text().splitlines()) == 24
    git(place.root, "reset", "-q", "--hard", "before")


def test_piped_output_has_no_control_codes(told: tuple[Place, str]) -> None:
    place, text = told
    for shown in (text, place.type("results"), place.type("show", "1"), place.type("status"), place.type()):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", shown)


def test_a_terminal_gets_colours_that_piping_does_not(done: Place) -> None:
    main, other = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "autoloop", "results"], cwd=done.root, env=done.environment(), stdout=other, check=True
    )
    os.close(other)
    shown = os.read(main, 100_000).decode()
    assert "\x1b[" in shown
    assert "no_candidate" in shown


def test_a_terminal_gets_a_live_line_while_a_run_goes(place: Place) -> None:
    main, other = pty.openpty()
    words = [sys.executable, "-m", "autoloop", "run", "size", "--max-experiments", "1"]
    process = subprocess.Popen(words, cwd=place.root, env=place.environment(), stdout=other)
    os.close(other)
    shown = b""
    try:
        while chunk := os.read(main, 100_000):
            shown += chunk
    except OSError:  # how Linux says that nobody writes any more
        pass
    assert process.wait() == 0
    assert b"experiment 1/1" in shown
    assert b"\x1b[2K" in shown


def test_status_says_what_the_contract_promises_to_scripts_and_to_people(done: Place) -> None:
    status = done.read("status")
    promised = "run_id program phase alive experiments kept discarded crashed baseline original_baseline gain"
    promised += " best_experiment stop_reason branch head cost_usd tokens"
    assert set(promised.split()) <= set(status)
    assert (status["experiments"], status["kept"], status["discarded"], status["crashed"]) == (4, 2, 1, 1)
    assert (status["alive"], status["stop_reason"], status["cost_usd"]) == (False, "max_experiments", None)
    text = done.type("-C", str(done.root / "programs"), "status", "size")
    for fact in ("not running", "4 sessions of unknown cost", "30 -> 24 (+20.0 %)", "measured code is not confined"):
        assert fact in text


def test_the_quick_way_to_status_and_typer_say_the_same(done: Place) -> None:
    call = "from autoloop.cli.app import app; app(['-C', '.', 'status', '--json'])"
    slow = subprocess.run([sys.executable, "-c", call], cwd=done.root, env=done.environment(), capture_output=True)
    assert json.loads(slow.stdout) == done.read("-C", ".", "status")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("status", (None, False)),
        ("status --json", (None, True)),
        ("-C . status size --json", ("size", True)),
        ("status a b", None),
        ("status --help", None),
        ("-C /nowhere status", None),
        ("results", None),
        ("-C", None),
        ("", None),
    ],
)
def test_only_plain_words_take_the_quick_way(words: str, expected: tuple[str | None, bool] | None) -> None:
    plain = plain_status(words.split())
    assert (plain and (plain.run, plain.json)) == expected


def test_status_costs_next_to_nothing(done: Place) -> None:
    done.type("status")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done.type("status")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds <= 0.150
    call = "import sys; from autoloop.cli import main; sys.argv[1:] = ['status']; main(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", call], cwd=done.root, env=done.environment(), capture_output=True)
    assert not {b"pydantic", b"rich", b"typer", b"numpy"} & set(loaded.stdout.split())


def test_results_are_a_table_of_tabs_when_piped_and_objects_with_json(done: Place) -> None:
    header, *rows = (line.split("\t") for line in done.type("results").splitlines())
    objects = json.loads(done.type("results", "--json"))
    run = Path(str(done.read("status")["path"]))
    assert done.type("results") == (run / "results.tsv").read_text()
    assert [list(row) for row in objects] == [[*header, "flags"]] * 5
    assert [row[2] for row in rows] == ["baseline", "keep", "discard", "crash", "keep"]
    assert objects[3]["metric"] is None
    assert objects[1]["gain"] == pytest.approx(0.1)


def test_show_has_samples_gates_and_the_diff(done: Place) -> None:
    shown = done.read("show", "2")
    assert shown["reason"] == "regressed"
    assert shown["gates"] == {"errors": {"value": 0.0, "max": 0.0}}
    taken = {sample["arm"]: sample["metrics"]["lines"] for sample in shown["samples_taken"]}  # type: ignore[attr-defined]
    assert taken == {"baseline": 27.0, "candidate": 28.0}
    assert "+more = 1" in str(shown["patch"])
    text = done.type("show", "2", "size")
    for fact in (
        "discard, regressed",
        "fewer lines 2",
        "less is less",
        "candidate 1: lines 28",
        "errors 0 (max 0)",
        "+more",
    ):
        assert fact in text
    assert "no finished experiment 9" in done.refusal("show", "9")
    assert "baseline 3: lines 30" in done.type("show", "0")


def test_ideas_and_the_packet_are_plain_text(done: Place) -> None:
    assert "even fewer" in done.type("ideas")
    assert "Fewer lines." in done.type("packet", "size")


def test_without_a_verb_it_says_what_is_here_and_what_to_type(done: Place, tmp_path: Path) -> None:
    assert "autoloop results" in done.type()
    fresh = make(tmp_path / "fresh")
    assert "autoloop validate size" in fresh.type()
    shutil.rmtree(fresh.root / "programs")
    assert "autoloop init" in fresh.type()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb: str) -> None:
    text = CliRunner().invoke(app, [verb, "--help"]).output
    assert f"Example: autoloop {verb}" in text
    assert "--help" in text


def test_the_list_of_verbs_is_not_cut(tmp_path: Path) -> None:
    listed = Place(tmp_path).type("--help")
    assert set(VERBS) <= set(re.findall(r"^  (\w+)  ", listed, re.MULTILINE))
    assert "..." not in listed.split("Commands:")[1]
    assert Place(tmp_path).type("--version").startswith("autoloop")


def test_limits_and_guidance_reach_a_resumed_run(tmp_path: Path) -> None:
    place = make(tmp_path / "repository")
    place.type("run", "size", "--max-experiments", "1")
    assert "resume it with" in place.type("limit", "2", "--max-hours", "3")
    place.type("guide", "Leave the parser alone.")
    ended = place.read("run", "size", "--resume")
    assert (ended["experiments"], ended["max_hours"], ended["stop_reason"]) == (2, 3.0, "max_experiments")
    assert "Leave the parser alone." in place.type("packet", "size")
    assert place.read("guide", "")["guidance"] == ""
    assert "max_experiments is 0" in place.refusal("limit", "0")
    assert "at least one limit" in place.refusal("limit")


def test_nothing_kept_is_its_own_exit_code_and_says_why(place: Place) -> None:
    text = place.type("run", "size", "--agent", "idle", "--max-experiments", "2", expect=3)
    assert "2 of 2 no_candidate" in text
    again = json.loads(place.type("run", "size", "--agent", "idle", "--max-experiments", "1", "--json", expect=3))
    assert "1 of 1 no_candidate" in again["why_nothing_kept"][0]


def test_a_detached_run_is_alive_until_it_is_told_to_stop(place: Place) -> None:
    run_id = place.read("run", "size", "--agent", "slow", "--detach")["run_id"]
    alive = wait_for(place, "phase", "agent")
    assert (alive["alive"], alive["run_id"]) == (True, run_id)
    assert "alive, agent, experiment 1" in place.type("status")
    assert "is already running" in place.refusal("run", "size")
    assert f"autoloop status {run_id}" in place.type()
    place.type("stop", "--now")
    stopped = wait_for(place, "alive", False)
    assert stopped["stop_reason"] == "aborted"
    assert "is not running" in place.refusal("stop")
    assert "\x1b" not in (Path(str(stopped["path"])) / "run.log").read_text()


def test_one_interrupt_finishes_the_experiment_and_a_second_cuts_it_short(place: Place) -> None:
    process = place.start("run", "size", "--agent", "slow")
    wait_for_run(place)
    wait_for(place, "phase", "agent")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "finishing experiment 1; Ctrl-C again cuts it short" in out
    assert place.read("status")["stop_reason"] == "aborted"


def test_a_run_that_ended_before_its_baseline_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    results_table([])
    assert capsys.readouterr().out == "no results: the baseline has not been measured\n"


def wait_for_run(place: Place) -> None:
    until = time.monotonic() + 60
    while not list(place.root.glob(".autoloop/runs/size/*/state.json")) and time.monotonic() < until:
        time.sleep(0.05)


def test_an_agent_out_of_reach_is_for_the_user_to_fix(place: Place) -> None:
    process = place.start("run", "size", "--agent", "gone")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "cannot be reached" in err
    assert "--resume" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run sizes", 'Did you mean|no program "sizes"'),
        ("run size --agent nobody", "nobody"),
        ("run size --rule best", "--rule is 'best'; allowed: paired, median"),
        ("run size --run x", "--resume"),
        ("run size --resume", "no run"),
        ("run size --resume --detach", "--detach"),
        ("run size --max-experiments 0", "max_experiments is 0; allowed"),
        ("run size --max-hours soon", "--max-hours"),
        ("status", "no run"),
        ("results nothing", "no run"),
        ("nonsense", "nonsense"),
        ("-C /nowhere status", "/nowhere"),
        ("init size", "exists already"),
    ],
)
def test_what_a_user_can_fix_is_said_in_a_line(words: str, said: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert re.search(said, _blank(tmp_path_factory).refusal(*words.split()))


_BLANK: list[Place] = []


def _blank(factory: pytest.TempPathFactory) -> Place:
    """A place where nothing ever runs, made once."""
    if not _BLANK:
        _BLANK.append(make(factory.mktemp("blank") / "repository"))
    return _BLANK[0]


def test_outside_a_repository_and_without_a_commit(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert f"{tmp_path} is not in a git repository" in place.refusal("run", "size")
    assert f"{tmp_path} is not in a git repository" in place.refusal("status")
    git(tmp_path, "init", "-q")
    assert "no commit" in place.refusal("run", "size")


def test_init_and_validate_give_facts(place: Place) -> None:
    made = place.read("init", "speed")
    assert "programs/speed/measure.sh" in made["written"]  # type: ignore[operator]
    checked = place.read("validate", "size", "--runs", "3")
    assert checked["values"] == [30.0, 30.0, 30.0]
    (place.root / "programs/size/measure.sh").write_text("exit 1\n")
    assert "measure.sh" in place.refusal("validate", "size")


def test_numbers_are_written_for_people() -> None:
    assert [signed_percent(gain) for gain in (0.031, -0.5, 0.0, 0.0004, 1.5, None)] == [
        "+3.1 %",
        "-50.0 %",
        "+0.0 %",
        "+0.04 %",
        "+150.0 %",
        "",
    ]
    assert [duration(seconds) for seconds in (0.41, 12.4, 200, 4320, None)] == [
        "0.41 s",
        "12 s",
        "3 min 20 s",
        "1 h 12 min",
        "",
    ]
    assert clean("a\x1b[31mb\r\x07\tc\n\x9bd") == "a[31mb\tc\nd"
    assert clean("if \u202e}\u2066admin") == "if }admin", "what turns a line around hides what it says"


def test_agents_are_listed_with_what_they_lack_and_one_does_an_errand(tmp_path: Path) -> None:
    place = make(tmp_path / "repository")
    settings = """
[profiles.able]
agent = "command"
command = "cat $AUTOLOOP_PACKET; echo ready > answer.txt"
[profiles.idle]
agent = "command"
command = "true"
[profiles.api]
agent = "anthropic"
"""
    (place.root / "autoloop.toml").write_text(settings)
    place.extra["PATH"] = "/usr/bin:/bin"
    listed = place.type("agents")
    assert "api: Set it in the environment or in .env." in listed
    assert "Next: autoloop agents able --check" in listed
    facts = json.loads(place.type("agents", "--json"))
    found = {one["profile"]: one for one in facts}
    assert found["able"]["usable"] and found["api"]["problem"] == "ANTHROPIC_API_KEY is not set"
    assert found["claude"]["remedy"] == "npm install -g @anthropic-ai/claude-code"
    one = json.loads(place.type("agents", "claude-code", "--json"))
    assert [(each["profile"], each["agent"]) for each in one] == [("claude-code", "claude")]
    assert "ollama:some-model" in place.type("agents", "ollama:some-model")
    assert 'unknown profile "abel"; did you mean "able"' in place.refusal("agents", "abel")
    assert found["openai:MODEL"]["problem"] == "OPENAI_API_KEY is not set" and "ollama:MODEL" in found
    assert "able works: it did its errand" in place.type("agents", "able", "--check")
    assert "ended without doing its errand" in place.type("agents", "idle", "--check", expect=2)
    checked = json.loads(place.type("agents", "--check", "--json"))
    assert (checked["profile"], checked["done"], checked["cost_usd"]) == ("able", True, None)


def test_without_a_choice_the_first_usable_agent_is_taken_and_said(tmp_path: Path) -> None:
    place = make(tmp_path / "repository")
    settings = """
[profiles.api]
agent = "anthropic"
[profiles.able]
agent = "command"
command = "echo 1 > other.txt"
"""
    (place.root / "autoloop.toml").write_text(settings)
    place.extra["PATH"] = "/usr/bin:/bin"
    told = place.type("run", "size", "--max-experiments", "1", expect=3)
    assert "the first usable one is taken: able (api: ANTHROPIC_API_KEY is not set)" in told


def test_a_model_of_ollama_is_named_with_its_tag_and_asked_where_a_flag_says(tmp_path: Path) -> None:
    place = make(tmp_path / "repository")
    with serving(of_ollama({"content": "Nothing to do."})) as server:
        words = ("--agent", "ollama:some-model:7b", "--ollama-endpoint", server.url, "--max-experiments", "1")
        place.extra |= {"OLLAMA_ENDPOINT": "http://127.0.0.1:1", "AUTOLOOP_MODEL": "another"}
        place.type("run", "size", *words, expect=3)
        asked = [(path, body["model"]) for path, _, body in server.requests]
    assert asked == [("/api/chat", "some-model:7b")]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [("autoloop.cli.app", "pydantic"), ("autoloop.suites.worker", "numpy"), ("autoloop.runs.start", "numpy")],
)
def test_what_is_started_again_and_again_loads_nothing_heavy(module: str, heavy: str) -> None:
    look = f"import sys, {module}; print({heavy!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd=PACKAGE)
    assert done.stdout == "False\n", f"{module} loads {heavy}"


def test_the_list_of_verbs_says_the_first_sentence_of_each() -> None:
    for verb, known in TABLE.items():
        text = getattr(importlib.import_module(f"autoloop.cli.{known.module}"), verb).__doc__.split("\n")[0]
        assert known.sentence == text.split(". ")[0].removesuffix(".") + ".", verb
