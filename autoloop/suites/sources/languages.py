"""Languages of exercises: what a test is called, what belongs to building, and how the tests are run."""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from autoloop.suites.sources.assemble import Has

_PYTEST = "python3 -m pytest -q --noconftest -c /dev/null --rootdir . -p no:cacheprovider"
_UNITTEST = """\
import sys, unittest
sys.path.insert(0, "")
run = unittest.main(module=None, argv=["tests", *sys.argv[1:]], exit=False)
sys.exit(not run.result.wasSuccessful() or run.result.testsRun == 0)"""
"""An empty set of tests is a failure, as it is for pytest."""


@dataclass(frozen=True)
class Language:
    """A language of exercises, and how its tests are run."""

    name: str
    suffixes: tuple[str, ...]
    tests: tuple[str, ...]
    """Globs of the names of test files, which no agent sees."""
    command: Callable[[Sequence[str]], str]
    """The line that runs these test files."""
    programs: tuple[str, ...]
    """Programs that must be on this machine."""
    building: tuple[str, ...] = ()
    """Files and directories beside the solution that a build needs; they show nothing of the tests."""
    env: dict[str, str] = field(default_factory=dict)

    def is_test(self, path: str) -> bool:
        """Whether a file is one of tests."""
        return any(PurePosixPath(path).match(pattern) for pattern in self.tests)

    def lacks(self, directory: Path, tests: Sequence[str], has: Has) -> str:
        """The first program that is not here; empty when its tests can be run."""
        wanted = list(self.programs)
        if self.name in ("javascript", "typescript") and not _for_node(directory, tests):
            wanted.append("jest")
        return next((program for program in wanted if not has(program)), "")


def _python(tests: Sequence[str]) -> str:
    """pytest where the sandbox's Python has it, else unittest; neither looks at what the agent left for them."""
    modules = [PurePosixPath(test).with_suffix("").as_posix().replace("/", ".") for test in tests]
    has_pytest = "python3 -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec(\"pytest\") is None)'"
    unittest = f"python3 -c {shlex.quote(_UNITTEST)} {shlex.join(modules)}"
    return f"if {has_pytest}; then {_PYTEST} {shlex.join(tests)}; else {unittest}; fi"


def _javascript(tests: Sequence[str]) -> str:
    """Node's own runner where the tests ask for it, else jest."""
    files = shlex.join(tests)
    return f"if grep -q node:test {files}; then node --test {files}; else jest {files}; fi"


def _for_node(directory: Path, tests: Sequence[str]) -> bool:
    texts = [(directory / test).read_text(errors="replace") for test in tests]
    return all(re.search(r"[\"']node:test[\"']", text) for text in texts)


def _each(program: str) -> Callable[[Sequence[str]], str]:
    return lambda tests: " && ".join(f"{program} {shlex.quote(test)}" for test in tests)


def _always(command: str) -> Callable[[Sequence[str]], str]:
    return lambda tests: command


_CMAKE = "cmake -S . -B .build -DEXERCISM_RUN_ALL_TESTS=1 && cmake --build .build"
LANGUAGES = (
    Language(
        "python",
        (".py",),
        ("*_test.py", "test_*.py"),
        _python,
        ("python3",),
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONSAFEPATH": "1"},
    ),
    Language(
        "javascript",
        (".js", ".mjs"),
        ("*.spec.js", "*.test.js", "*.test.mjs"),
        _javascript,
        ("node",),
        ("package.json",),
    ),
    Language("go", (".go",), ("*_test.go",), _always("go test ./..."), ("go",), ("go.mod", "go.sum")),
    Language(
        "rust",
        (".rs",),
        ("tests/*.rs",),
        _always("cargo test --offline --quiet -- --include-ignored"),
        ("cargo",),
        ("Cargo.toml", "Cargo.lock"),
    ),
    Language("bash", (".sh",), ("*.bats",), _each("bats"), ("bats",), env={"BATS_RUN_SKIPPED": "true"}),
    Language("ruby", (".rb",), ("*_test.rb",), _each("ruby"), ("ruby",)),
    Language("c", (".c",), ("test_*.c",), _always("make test"), ("gcc", "make"), ("makefile", "test-framework")),
    Language("cpp", (".cpp",), ("*_test.cpp",), _always(_CMAKE), ("cmake", "make"), ("CMakeLists.txt", "test")),
)


def language_of(files: Sequence[str]) -> Language | None:
    """The language of a solution's files, by their suffixes."""
    suffixes = [PurePosixPath(file).suffix for file in files]
    return next((language for language in LANGUAGES if set(suffixes) & set(language.suffixes)), None)
