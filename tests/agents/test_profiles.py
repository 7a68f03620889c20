"""Settings from files and the environment: which one wins, and what a wrong one is told."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from autoloop.agents.command import CommandAgent
from autoloop.agents.make import make_agent
from autoloop.agents.profiles import WITHOUT_SETTINGS, Profile, Settings, choose, load_settings
from autoloop.agents.registry import AGENTS
from autoloop.agents.scripted import Replace, ScriptedAgent, ScriptedStep, Write
from autoloop.agents.tuner import TunerAgent
from autoloop.config.dotenv import parse, variables
from autoloop.config.places import user_config
from autoloop.core.session import Session
from autoloop.errors import AutoloopError
from autoloop.ports import OnProgress, Task


class Home:
    """A repository's root and a user's config directory."""

    def __init__(self, place: Path) -> None:
        self.root = place / "repository"
        self.root.mkdir()
        self.user = place / "config" / "autoloop.toml"
        self.user.parent.mkdir()

    def settings(self, project: str = "", user: str = "", environ: Mapping[str, str] | None = None) -> Settings:
        (self.root / "autoloop.toml").write_text(project)
        self.user.write_text(user)
        return load_settings(self.root, environ or {}, self.user)

    def refusal(self, project: str = "", user: str = "", environ: Mapping[str, str] | None = None) -> AutoloopError:
        with pytest.raises(AutoloopError) as refused:
            self.settings(project, user, environ)
        return refused.value


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


MINE = '[profiles.mine]\nagent = "command"\ncommand = "sh agent.sh"\n'


def test_without_any_file_the_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {}, tmp_path / "nowhere" / "autoloop.toml")
    assert settings == Settings()
    assert (settings.sandbox, settings.default_profile) == ("auto", None)


def test_the_nearer_setting_wins(home: Home) -> None:
    user = 'default_profile = "u"\nsandbox = "none"\n[profiles.mine]\nagent = "tuner"\nmodel = "small"\n'
    assert home.settings("", user).default_profile == "u"
    both = home.settings('default_profile = "p"\n' + MINE, user)
    assert (both.default_profile, both.sandbox) == ("p", "none")
    assert both.profiles["mine"] == Profile(name="mine", agent="command", command="sh agent.sh", model="small")
    (home.root / ".env").write_text("AUTOLOOP_DEFAULT_PROFILE=dotenv\nAUTOLOOP_SANDBOX=bwrap\n")
    assert home.settings(MINE, user).default_profile == "dotenv"
    environ = {"AUTOLOOP_DEFAULT_PROFILE": "environ"}
    real = home.settings(MINE, user, environ)
    assert (real.default_profile, real.sandbox) == ("environ", "bwrap")


def test_the_environment_sets_fields_of_the_chosen_profile_alone(home: Home) -> None:
    settings = home.settings(
        MINE + '[profiles.other]\nagent = "tuner"\n', environ={"AUTOLOOP_COMMAND": "make it", "AUTOLOOP_MODEL": "m"}
    )
    chosen = choose(settings, "mine")
    assert (chosen.command, chosen.model, chosen.agent) == ("make it", "m", "command")
    assert settings.profiles["other"].command == ""


def test_an_agent_that_is_named_by_a_flag_is_no_other_one(home: Home) -> None:
    settings = home.settings(MINE, environ={"AUTOLOOP_AGENT": "codex", "AUTOLOOP_MODEL": "m", "AUTOLOOP_EFFORT": "low"})
    named = choose(settings, "ollama:qwen3:30b")
    assert (named.agent, named.model, named.effort) == ("ollama", "qwen3:30b", "low")
    assert (choose(settings, "claude-code").agent, choose(settings, "claude").model) == ("claude", "m")
    assert choose(settings, "mine").agent == "codex"


def test_an_agent_that_needs_a_model_is_told_with_one(home: Home) -> None:
    for spec in ("ollama", "openai", "olama:qwen3"):
        with pytest.raises(AutoloopError) as refused:
            choose(home.settings(MINE), spec)
        assert "ollama:MODEL" in str(refused.value.hint)


def test_an_empty_variable_is_none(home: Home) -> None:
    settings = home.settings(MINE, environ={"AUTOLOOP_SANDBOX": "", "AUTOLOOP_COMMAND": ""})
    assert settings.sandbox == "auto"
    assert choose(settings, None).command == "sh agent.sh"


def test_a_profile_is_chosen_by_name_then_default_then_because_it_is_the_only_one(home: Home) -> None:
    two = MINE + '[profiles.other]\nagent = "tuner"\n'
    settings = home.settings('default_profile = "other"\n' + two)
    assert choose(settings, "mine").name == "mine"
    assert choose(settings, None).name == "other"
    assert choose(home.settings(MINE), None, has_knobs=True).name == "mine"
    with pytest.raises(AutoloopError, match="several profiles"):
        choose(home.settings(two), None)


def test_knobs_need_no_profile(home: Home) -> None:
    settings = home.settings()
    assert choose(settings, None, has_knobs=True) == Profile(name="tuner", agent="tuner")
    assert choose(settings, "tuner").agent == "tuner"
    with pytest.raises(AutoloopError, match="no agent is configured") as refused:
        choose(settings, None)
    assert 'agent = "command"' in refused.value.hint


def test_the_environment_alone_can_name_an_agent(home: Home) -> None:
    chosen = choose(home.settings(environ={"AUTOLOOP_AGENT": "command", "AUTOLOOP_COMMAND": "x"}), None)
    assert (chosen.agent, chosen.command) == ("command", "x")


def test_an_unknown_profile_is_told_which_there_are(home: Home) -> None:
    with pytest.raises(AutoloopError) as refused:
        choose(home.settings(MINE), "mien")
    assert refused.value.message == 'unknown profile "mien"; did you mean "mine"?'
    assert refused.value.hint == f"There are: mine, {', '.join(WITHOUT_SETTINGS)}, openai:MODEL, ollama:MODEL."
    with pytest.raises(AutoloopError, match="default_profile"):
        choose(home.settings('default_profile = "gone"\n' + MINE), None)
    with pytest.raises(AutoloopError, match='"gone" \\(fallback of "mine"\\)'):
        choose(home.settings(MINE + 'fallback = "gone"\n'), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sandbox = 3", 'sandbox is 3; allowed: "auto", "bwrap", "landlock" or "none"'),
        ('sandbox = "jail"', 'sandbox is "jail"; allowed: "auto", "bwrap", "landlock" or "none"'),
        ('defualt_profile = "x"', 'unknown field "defualt_profile"; did you mean "default_profile"?'),
        ('[profiles.a]\nagent = "tuner"\ncomand = "x"', 'profiles.a: unknown field "comand"; did you mean "command"?'),
        ('[profiles.a]\nagent = ["x"]', 'profiles.a: agent is ["x"]; allowed: ' + ", ".join(AGENTS)),
        ('[profiles.a]\nagent = ""', 'profiles.a: agent is ""; allowed: ' + ", ".join(AGENTS)),
        ('[profiles.a]\nagent = "tuner"\ncommand = 5', "profiles.a: command is 5; allowed: a command line"),
        ('[profiles.a]\ncommand = "x"', "profiles.a.agent is missing; needed: " + ", ".join(AGENTS)),
        ("[profiles]\na = 5", "profiles.a is 5; allowed: a table [profiles.a]"),
        ("profiles = 5", "profiles is 5; allowed: tables [profiles.NAME]"),
        ("sandbox = ", "(at end of document)"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(home: Home, text: str, message: str) -> None:
    for refused, source in ((home.refusal(text), "autoloop.toml: "), (home.refusal(user=text), str(home.user))):
        assert message in refused.message
        assert "\n" not in refused.message
        assert refused.message.startswith(source) or "is missing" in message


def test_a_wrong_variable_is_named(home: Home) -> None:
    assert home.refusal(environ={"AUTOLOOP_SANDBOX": "jail"}).message.startswith("AUTOLOOP_SANDBOX in the environment")


@pytest.mark.parametrize("env", ['{KEY = "sk-123"}', '["KEY=sk-123"]', '"sk-123"'])
def test_a_secret_in_the_wrong_place_is_refused_and_not_repeated(home: Home, env: str) -> None:
    refused = home.refusal(f'[profiles.a]\nagent = "tuner"\nenv = {env}')
    assert "profiles.a: env holds" in refused.message and ".env" in refused.message
    assert "sk-123" not in str(refused)


def test_the_users_file_is_where_the_desktop_standard_has_it() -> None:
    assert user_config({"XDG_CONFIG_HOME": "/c", "HOME": "/h"}) == Path("/c/autoloop/autoloop.toml")
    assert user_config({"XDG_CONFIG_HOME": "c", "HOME": "/h"}) == Path("/h/.config/autoloop/autoloop.toml")
    assert user_config({}) is None


# --- .env


def test_dotenv_knows_quotes_export_and_comments() -> None:
    text = (
        "# keys\r\nPLAIN=a b \nexport EXPORTED = x # why\nSINGLE='a # \\n $b'  # c\n"
        'DOUBLE="one\\ntwo \\"q\\""\nURL=http://h/#part\nEMPTY=\nnot a line\nMULTI="a\nb"\nQUOTE=it\'s\nPLAIN2=z'
    )
    assert parse(text) == {
        "PLAIN": "a b",
        "EXPORTED": "x",
        "SINGLE": "a # \\n $b",
        "DOUBLE": 'one\ntwo "q"',
        "URL": "http://h/#part",
        "EMPTY": "",
        "MULTI": "a\nb",
        "QUOTE": "it's",
        "PLAIN2": "z",
    }


def test_the_real_environment_wins_over_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    assert variables(tmp_path, {"A": "real"}) == {"A": "real", "B": "file"}


def test_a_virtual_environment_named_dotenv_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert variables(tmp_path, {"A": "1"}) == {"A": "1"}


# --- agents of profiles


def refused_agent(profile: Profile, root: Path) -> AutoloopError:
    with pytest.raises(AutoloopError) as refused:
        make_agent(profile, root, {})
    return refused.value


def test_a_command_profile_gets_the_variables_that_it_names_and_no_others(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("API_KEY=sk-123\nDATABASE=prod\n")
    profile = Profile(name="p", agent="command", command="x", env=("API_KEY",))
    agent = make_agent(profile, tmp_path, {"HOME": "/h"})
    assert agent == CommandAgent("x", {"HOME": "/h", "API_KEY": "sk-123"})
    assert "sk-123" not in profile.model_dump_json() + repr(agent)
    missing = refused_agent(profile.model_copy(update={"env": ("OTHER",)}), tmp_path)
    assert 'profile "p" needs the variable OTHER' in missing.message


def test_a_command_profile_without_a_command_is_refused(tmp_path: Path) -> None:
    refused = refused_agent(Profile(name="p", agent="command"), tmp_path)
    assert refused.message == 'profile "p" has agent = "command" and no command'
    assert "[profiles.p]" in refused.hint


def test_an_unknown_agent_is_told_which_there_are(home: Home) -> None:
    settings = home.settings('[profiles.night]\nagent = "comand"\n')
    refused = refused_agent(choose(settings, "night"), home.root)
    assert refused.message == 'profile "night": unknown agent "comand"; did you mean "command"?'
    assert refused.hint == f"There are: {', '.join(AGENTS)}, or a class of your own as package.module:Class."


def test_the_tuner_takes_no_options(tmp_path: Path) -> None:
    assert isinstance(make_agent(Profile(name="t", agent="tuner"), tmp_path, {}), TunerAgent)
    assert "takes no options" in refused_agent(Profile(name="t", agent="tuner", options={"a": 1}), tmp_path).message


class OwnAgent:
    def __init__(self, depth: int = 1) -> None:
        self.depth = depth

    def run(self, task: Task, on_progress: OnProgress) -> Session:
        return Session(seconds=0)


def test_a_class_of_the_users_own_is_called_with_the_options(tmp_path: Path) -> None:
    name = f"{__name__}:OwnAgent"
    agent = make_agent(Profile(name="o", agent=name, options={"depth": 3}), tmp_path, {})
    assert isinstance(agent, OwnAgent) and agent.depth == 3
    refused = refused_agent(Profile(name="o", agent=name, options={"width": 3}), tmp_path)
    assert "does not take these options" in refused.message and "width" in refused.message


STEPS = """
cycle = true
[[steps]]
hypothesis = "smaller blocks"
actions = [{do = "write", path = "a.py", text = "x"}, {do = "replace", path = "a.py", old = "x", new = "y"}]
[[steps]]
actions = []
"""


def test_a_scripted_profile_reads_its_steps(tmp_path: Path) -> None:
    (tmp_path / "steps.toml").write_text(STEPS)
    profile = Profile(name="s", agent="scripted", script="steps.toml")
    agent = make_agent(profile, tmp_path, {})
    actions = (Write("a.py", "x"), Replace("a.py", "x", "y"))
    assert agent == ScriptedAgent(
        [ScriptedStep(actions, hypothesis="smaller blocks"), ScriptedStep()], cycle=True, env={}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[[steps]]\nactions = [{do = "wirte", path = "a"}]',
            'steps.toml: step 1: do is "wirte"; allowed: write, replace',
        ),
        ('[[steps]]\nactions = [{do = "write", path = "a"}]', "steps.toml: step 1: write: text: "),
        ('[[steps]]\nactions = [{do = "nothing", path = "a"}]', "steps.toml: step 1: nothing: path: "),
        ('[[steps]]\nactions = [{do = "fail", failure = "sad"}]', "steps.toml: step 1: fail: failure: "),
        ("[[steps]]\nhypotesis = 'x'", 'steps.toml: unknown field "hypotesis" in steps[0]'),
        ("", "steps.toml: steps is missing"),
    ],
)
def test_a_wrong_script_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "steps.toml").write_text(text)
    refused = refused_agent(Profile(name="s", agent="scripted", script="steps.toml"), tmp_path)
    assert refused.message.startswith(message)


def test_a_script_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "no script" in refused_agent(Profile(name="s", agent="scripted"), tmp_path).message
    assert "gone.toml" in refused_agent(Profile(name="s", agent="scripted", script="gone.toml"), tmp_path).message
