"""What is released: an sdist, the wheel that comes of it, and that wheel where there is nothing else."""

import json
import re
import subprocess
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.wheel.conftest import EXTRAS, Demo, Environment
from tests.wheel.pythons import PROJECT, ROOT, find, wanted

pytestmark = pytest.mark.wheel
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
PLACES: dict[str, str] = {package: package for package in WHEEL["packages"]} | WHEEL["force-include"]
"""Where a wheel has what lies at the root of the checkout."""
VERSION = f"autoloop {PROJECT['project']['version']}\n"


def in_sdist(sdist: Path) -> dict[str, bytes]:
    """The files by their path from the root."""
    with tarfile.open(sdist) as archive:
        files = [(member.name.partition("/")[2], archive.extractfile(member)) for member in archive]
        return {name: file.read() for name, file in files if file}


def in_wheel(wheel: Path) -> dict[str, bytes]:
    """The files but those that tell of the package."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}


def place(name: str) -> str:
    """Where a wheel has a file of the sdist; empty when it has no place there."""
    return next(
        (name.replace(here, there, 1) for here, there in PLACES.items() if f"{name}/".startswith(f"{here}/")), ""
    )


def test_there_is_a_python_to_try() -> None:
    assert any(map(find, wanted())), f"none of {', '.join(wanted())} was found, neither in PATH nor in pyenv"


def test_an_sdist_has_every_file_that_git_tracks_and_none_that_it_ignores(sdist: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    names = in_sdist(sdist).keys()
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [name for name in tracked.split("\0") if (ROOT / name).is_file() and name not in names] == []
    asked = "\0".join([*names, ".env"])
    ignored = ["git", "check-ignore", "-z", "--stdin"]
    found = subprocess.run(ignored, cwd=ROOT, input=asked, capture_output=True, text=True).stdout
    assert found == ".env\0", "keys may be in there"


def test_a_wheel_from_the_sdist_has_all_that_it_should_have_of_it(sdist: Path, wheel: Path) -> None:
    expected = {place(name): content for name, content in in_sdist(sdist).items() if place(name)}
    found = in_wheel(wheel)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert all(any(f"{name}/".startswith(f"{there}/") for name in found) for there in PLACES.values())


def test_its_commands_work_anywhere(installed: Environment) -> None:
    assert installed.says("autoloop", "--version") == VERSION
    assert installed.says("python", "-m", "autoloop", "--version") == VERSION
    assert re.search(r"^ +bench ", installed.says("autoloop", "--help"), re.MULTILINE)
    assert installed.pip("check") == "No broken requirements found.\n"
    assert not list(installed.empty.iterdir())


def test_every_module_can_be_imported_or_names_an_extra(installed: Environment, wheel: Path) -> None:
    found = installed.imports()["absent"]
    modules = {re.sub(r"/__init__$", "", name.removesuffix(".py")) for name in in_wheel(wheel) if name.endswith(".py")}
    shipped = tuple(WHEEL["force-include"].values())
    assert found.keys() == {name.replace("/", ".") for name in modules if not name.startswith(shipped)}
    assert set(found.values()) - {""} <= EXTRAS.keys()


def test_the_checkout_is_out_of_reach(installed: Environment) -> None:
    found = installed.imports()
    assert Path(found["place"]).is_relative_to(installed.folder / "env")
    assert not [entry for entry in found["path"] if Path(entry).is_relative_to(ROOT)]


def test_the_demo_needs_no_checkout_and_no_network(installed: Environment, demo: Demo) -> None:
    assert demo.asked == ""
    assert not list(installed.empty.iterdir())
    assert demo.root.is_relative_to(installed.folder / "temporary")
    assert demo.facts["noise"] and demo.facts["edits"], "how many edits there is time for depends on the machine"
    assert not demo.facts["interrupted"] and "NOT as promised" not in demo.told


def test_a_run_is_reported_on(installed: Environment, demo: Demo) -> None:
    page, text = installed.folder / "run.html", installed.folder / "run.md"
    installed.says("autoloop", "report", "--html", page, "--markdown", text, cwd=demo.root)
    assert "word-index" in page.read_text() and "</html>" in page.read_text()
    assert "word-index" in text.read_text()


def test_prompts_that_ship_are_found(installed: Environment, demo: Demo) -> None:
    words = ("autoloop", "run", "word-index")
    done = installed.tries(*words, cwd=demo.root, AUTOLOOP_PROMPT="no-such-prompt")
    names = sorted(prompt.stem for prompt in (ROOT / "system_prompts").iterdir())
    assert done.returncode == 2 and f"one that ships: {', '.join(names)}." in done.stderr
    packet = installed.says("autoloop", "packet", "word-index", cwd=demo.root)
    assert packet.splitlines()[0] in (ROOT / "system_prompts/experiment.md").read_text()


def test_a_first_program_is_written(installed: Environment, demo: Demo) -> None:
    installed.says("autoloop", "init", "first", cwd=demo.root)
    written = {file.name for file in (demo.root / "programs/first").iterdir()}
    assert {"program.md", "config.toml", "measure.sh"} <= written


def test_a_suite_that_ships_is_tried_and_reported_on(installed: Environment) -> None:
    suite = Path(installed.imports()["place"]).parent / PLACES["programs"] / "prompt-tuning/suite/suite.json"
    results, page, text = (installed.folder / name for name in ("results", "bench.html", "bench.md"))
    installed.says(
        "autoloop", "bench", suite, "-m", "nop", "-i", "1", "--limit", "1", "--min-free-gb", "0", "-o", results
    )
    assert json.loads((results / "summary.json").read_text())
    installed.says("autoloop", "report", results, "--html", page, "--markdown", text)
    assert "nop" in page.read_text() and "</html>" in page.read_text()
    assert "nop" in text.read_text()


def test_with_its_extras_every_module_can_be_imported(extended: Environment) -> None:
    assert not {module: package for module, package in extended.imports()["absent"].items() if package}


def test_the_live_page_is_served_with_all_that_it_links_to(extended: Environment, demo: Demo) -> None:
    words = [str(extended.bin / "autoloop"), "hud", "--port", "0"]
    with subprocess.Popen(words, cwd=demo.root, env=extended.environ, stdout=subprocess.PIPE, text=True) as hud:
        try:
            assert hud.stdout
            address = next(filter(None, (re.search(r"http://\S+/", line) for line in hud.stdout)))[0]
            page = fetch(address)
            links = re.findall(r'(?:href|src)="/([^"]+)"', page)
            assert len(links) > 1 and all(fetch(address + link) for link in links)
        finally:
            hud.terminate()


def fetch(address: str) -> str:
    """What is served there, without the proxy of whoever runs the tests."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=20) as answer:
        text: str = answer.read().decode()
        return text
