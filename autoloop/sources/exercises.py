"""One exercise of exercism: which of its files are the stub, the tests, the example, by its config or by its layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from autoloop.errors import AutoloopError
from autoloop.fields import quoted, read_values, validated
from autoloop.sources.contents import files_below, inside
from autoloop.sources.languages import LANGUAGES, Language, language_of

CONFIG = ".meta/config.json"
_EXAMPLES = ("example", "exemplar")


class _Files(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    solution: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    example: tuple[str, ...] = ()
    exemplar: tuple[str, ...] = ()
    editor: tuple[str, ...] = ()


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    files: _Files = _Files()
    blurb: str = ""


@dataclass(frozen=True)
class Exercise:
    """The files of an exercise, from its directory, and its language when that is known."""

    directory: Path
    language: Language | None
    stubs: tuple[str, ...]
    """What the agent edits; one that does not exist yet is for it to make."""
    tests: tuple[str, ...]
    """What no agent sees."""
    examples: tuple[str, ...]
    """The reference solution."""
    shown: tuple[str, ...]
    """What the agent finds beside the stubs, and cannot change for good."""

    def over_stubs(self) -> list[tuple[str, str]]:
        """Each example with the file whose place it takes: the next of its kind, else a neighbour of the first."""
        left, pairs = list(self.stubs), []
        for example in self.examples:
            suffix = PurePosixPath(example).suffix
            taken = next((stub for stub in left if PurePosixPath(stub).suffix == suffix), "")
            if taken:
                left.remove(taken)
            beside = PurePosixPath(self.stubs[0]).parent / PurePosixPath(example).name
            pairs.append((example, taken or beside.as_posix()))
        return pairs


def is_exercise(directory: Path) -> bool:
    """Whether a directory looks like one exercise."""
    return (directory / ".meta").is_dir() or (directory / ".docs" / "instructions.md").is_file()


def read_exercise(root: Path, directory: Path) -> Exercise:
    """The parts of an exercise; an AutoloopError when it has no stub, or no tests."""
    source = str(directory / CONFIG)
    config = (
        validated(_Config, read_values(directory / CONFIG, source), source)
        if (directory / CONFIG).is_file()
        else _Config()
    )
    files = config.files
    language = language_of(files.solution or files.test) or _language_by_layout(directory)
    top = [path.name for path in sorted(directory.iterdir()) if path.is_file() and not path.name.startswith(".")]
    stubs = files.solution or _stubs(top, language)
    tests = files.test or _tests(directory, language)
    for kind, found in (("solution", stubs), ("test", tests)):
        if not found:
            raise AutoloopError(
                f"{directory}: no {kind} file is known",
                f"Name it in {CONFIG}, as {quoted({'files': {kind: ['...']}})}.",
            )
    hidden = [name for name in files.editor if language and language.is_test(name)]
    building = [name for name in (language.building if language else ()) if (directory / name).exists()]
    shown = [name for name in dict.fromkeys([*files.editor, *building]) if name not in {*stubs, *tests, *hidden}]
    for name in (*tests, *files.editor, *files.example, *files.exemplar):
        inside(root, directory, name, source)
    examples = files.example or files.exemplar or _examples(directory, language)
    return Exercise(
        directory, language, tuple(stubs), tuple(dict.fromkeys([*tests, *hidden])), tuple(examples), tuple(shown)
    )


def _language_by_layout(directory: Path) -> Language | None:
    names = [path.relative_to(directory).as_posix() for path in files_below(directory)]
    plain = [name for name in names if not name.startswith(".")]
    return next((language for language in LANGUAGES if any(map(language.is_test, plain))), None)


def _stubs(names: Sequence[str], language: Language | None) -> list[str]:
    if language is None:
        return []
    return [name for name in names if PurePosixPath(name).suffix in language.suffixes and not language.is_test(name)]


def _tests(directory: Path, language: Language | None) -> list[str]:
    if language is None:
        return []
    names = [path.relative_to(directory).as_posix() for path in files_below(directory)]
    return [name for name in names if not name.startswith(".") and language.is_test(name)]


def _examples(directory: Path, language: Language | None) -> list[str]:
    suffixes = language.suffixes if language else ()
    names = [f".meta/{word}{suffix}" for word in _EXAMPLES for suffix in suffixes]
    return [name for name in names if (directory / name).is_file()][:1]
