"""The documentation names what there is, and what it shows can be typed."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from autoloop.agents.client_programs import CLIENTS
from autoloop.agents.profiles import ProfileTable, SettingsTable
from autoloop.agents.registry import AGENTS
from autoloop.cli.app import app
from autoloop.config.programs import SCRIPTS, field_table
from autoloop.core.run.events import RUN_EVENTS
from autoloop.core.run.flags import Sign
from autoloop.core.run.program import Gate, Knob
from autoloop.core.run.reasons import Reason, StopReason
from autoloop.core.run.results import COLUMNS
from autoloop.core.run.summary import Summary
from autoloop.core.validation.findings import Validation
from autoloop.runs.control import CHANGEABLE

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted((ROOT / "autoloop").rglob("*.py"))
COMMANDS = typer.main.get_command(app)


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one of the same level."""
    level = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert level, f"no section {title!r}"
    return re.split(rf"^#{{1,{len(level[1])}}} ", text[level.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of all tables, by each name in backticks in their first cell."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            found.update(dict.fromkeys(re.findall(r"`([^`]+)`", cells[0]), cells))
    return found


def flags(command: object) -> list[str]:
    return [flag for parameter in command.params for flag in parameter.opts if flag.startswith("-")]  # type: ignore[attr-defined]


def verbs() -> dict[str, object]:
    context = typer.Context(COMMANDS)
    return {name: COMMANDS.get_command(context, name) for name in COMMANDS.list_commands(context)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_and_flag_is_documented(verb: str) -> None:
    cli = page("cli")
    title = re.search(rf"^### `autoloop ({verb}\b[^`]*)`$", cli, re.MULTILINE)
    assert title, f"docs/cli.md has no section on {verb}"
    text = title[0] + section(cli, f"`autoloop {title[1]}`")
    missing = [flag for flag in flags(verbs()[verb]) if f"`{flag}" not in text]
    assert set(missing) <= {"-h", "--help"}


def test_every_flag_of_the_root_is_documented() -> None:
    assert [flag for flag in flags(COMMANDS) if not re.search(rf"`[^`]*{flag}\b", page("cli"))] == []


def test_every_field_is_documented_with_its_default() -> None:
    table = rows(section(page("configuration"), "Fields of `config.toml`"))
    shown = {name: cells[1] for name, cells in table.items() if len(cells) == 3}
    assert shown == {field.name: field.default for field in field_table()}


@pytest.mark.parametrize("model", [Gate, Knob, SettingsTable, ProfileTable])
def test_every_field_of_a_table_is_documented(model: type) -> None:
    text = page("configuration")
    names = model.model_fields  # type: ignore[attr-defined]
    assert [name for name in names if not re.search(rf"`{name}\b|\b{name}[,}}]", text)] == []


def test_every_environment_variable_is_documented() -> None:
    texts = "\n".join(path.read_text() for path in SOURCES)
    named = set(re.findall(r"AUTOLOOP_[A-Z_]+[A-Z]", texts))
    named |= {f"AUTOLOOP_{name.upper()}" for name in ("agent", "command", "model", "effort", "script", "fallback")}
    assert sorted(name for name in named if f"`{name}`" not in page("configuration")) == []


def test_every_variable_that_somebody_may_set_is_in_the_example() -> None:
    agents = "\n".join(path.read_text() for path in (ROOT / "autoloop/agents").rglob("*.py"))
    read = set(re.findall(r'known\.get\("([A-Z_]+)"\)|_needed\(known, "([A-Z_]+)"', agents))
    wanted = {name for names in read for name in names if "_" in name}
    wanted |= {name for client in CLIENTS.values() for name in (*client.keys, client.elsewhere) if name}
    wanted |= set(re.findall(r"`(AUTOLOOP_[A-Z_]+)`", re.split("^Set for", page("configuration"), flags=re.M)[0]))
    assert len(wanted) > 18
    assert sorted(name for name in wanted if name not in (ROOT / ".env.example").read_text()) == []


def test_every_event_is_documented() -> None:
    assert sorted(kind for kind in RUN_EVENTS.kinds if f"`{kind}`" not in page("architecture")) == []


def test_every_file_of_a_run_is_documented() -> None:
    writers = [path for path in SOURCES if path.parent.name in ("runs", "journal")]
    names = set(
        re.findall(r'"([a-z]+\.(?:json|jsonl|tsv|md|lock|log|patch))"', "\n".join(map(Path.read_text, writers)))
    )
    assert {"run.json", "journal.jsonl", "results.tsv", "ideas.md", "state.json", "control.json"} <= names
    for name in names:
        for text in (section(page("configuration"), "Files of a run"), page("architecture")):
            assert re.search(rf"`[^`]*{re.escape(name)}`", text), name


def test_the_closed_sets_are_documented() -> None:
    concepts, configuration, cli = page("concepts"), page("configuration"), page("cli")
    assert [reason for reason in Reason if f"| `{reason.value}` |" not in concepts] == []
    assert [reason for reason in StopReason if f"`{reason.value}`" not in section(concepts, "When a run stops")] == []
    assert [name for name in CHANGEABLE if f"`{name}`" not in section(configuration, "`control.json`")] == []
    assert [name for name in COLUMNS if f"`{name}`" not in section(configuration, "`results.tsv`")] == []
    assert [name for name in Summary.model_fields if f"`{name}`" not in cli] == []
    assert [name for name in Validation.__dataclass_fields__ if f"`{name}`" not in cli] == []
    assert [sign for sign in Sign if f"| `{sign}` |" not in page("measuring")] == []
    assert [name for name in SCRIPTS if f"`{name}" not in page("measuring")] == []
    assert [name for name in AGENTS if f"| `{name}` |" not in page("agents")] == []


def test_modules_that_are_named_are_there() -> None:
    """Paths such as `core/run/decision.py`, with the package's name in front or without, the ending or not."""
    rooms = "|".join(path.parent.name for path in (ROOT / "autoloop").glob("*/__init__.py"))
    gone = [
        f"{source.relative_to(ROOT)}: {name}"
        for source in PAGES
        for name in re.findall(rf"`(?:autoloop/)?((?:{rooms})/[\w/]+(?:\.py)?)`", source.read_text())
        if not any((ROOT / "autoloop" / f"{name}{end}").exists() for end in ("", ".py"))
    ]
    assert gone == []


def links() -> Iterator[tuple[Path, str]]:
    for source in PAGES:
        text = re.sub(r"^(`{3,}).*?^\1$", "", source.read_text(), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:", target):
                yield source, target


def anchor(title: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"`|\[([^]]*)\]\([^)]*\)", r"\1", title).lower()).replace(" ", "-")


@pytest.mark.parametrize(
    ("source", "target"), [pytest.param(*link, id=f"{link[0].name}: {link[1]}") for link in links()]
)
def test_links_lead_somewhere(source: Path, target: str) -> None:
    path, _, fragment = target.partition("#")
    file = (source.parent / path).resolve() if path else source
    assert file.is_relative_to(ROOT) and file.exists()
    if fragment:
        assert fragment in {anchor(title) for title in re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)}


def shown_commands() -> set[str]:
    found = set()
    for source in PAGES:
        text = source.read_text()
        for block in re.findall(r"^(`{3,})[^\n]*\n(.*?)^\1$", text, re.MULTILINE | re.DOTALL):
            found |= {line for line in block[1].splitlines() if line.startswith("autoloop ")}
        found |= set(re.findall(r"`(autoloop [^`]+)`", text))
    return found


@pytest.mark.parametrize("line", sorted(shown_commands()))
def test_commands_that_are_shown_parse(line: str) -> None:
    words = shlex.split(line.split(" | ")[0], comments=True)[1:]
    words = [word for word in words if not word.startswith("[")]
    if words[:1] == ["-C"]:
        words = words[2:]
    if "--" in words:
        words = words[: words.index("--")]
    if not words or words[0] == "VERB":
        return
    if words[0].startswith("-"):
        assert words[0] in flags(COMMANDS)
        return
    assert words[0] in verbs(), f"there is no verb {words[0]}"
    known = flags(verbs()[words[0]])
    assert [word for word in words[1:] if word.startswith("-") and word not in known] == []


def test_the_figures_of_the_readme_are_those_of_the_benchmark() -> None:
    deciding = page("deciding")
    for line in (ROOT / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 5 and cells[1].endswith("%"):
            for noise, kept, false in (("Gaussian 5 %", *cells[1:3]), ("a busy machine", *cells[3:5])):
                assert f"| {noise} | {cells[0]} | {kept} | {false} |" in deciding


def test_the_packet_that_is_shown_is_of_the_prompt_that_ships() -> None:
    fixed = [line for line in (ROOT / "system_prompts/experiment.md").read_text().splitlines() if "$" not in line]
    shown = page("agents").splitlines()
    assert [line for line in fixed if line not in shown] == []


def test_nothing_names_the_machine_that_it_was_written_on() -> None:
    # What mktemp makes is in recorded output, and names no machine.
    machine = re.compile(r"(?<![\w.$}~])/(home|root|Users|tmp|work|mnt)/(?!\.|tmp\.)[\w-]+")
    texts = [*PAGES, *SOURCES, *ROOT.glob("*.toml"), *ROOT.glob("Makefile"), *ROOT.glob("*.example")]
    texts += [path for folder in ("system_prompts", "programs", "benchmarks") for path in (ROOT / folder).rglob("*")]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in texts
        if path.is_file() and path.suffix in (".md", ".py", ".toml", ".sh", ".example", "")
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if machine.search(line)
    ]
    assert found == []
