"""Practice exercises of exercism: a track, a directory of exercises, or one.

The agent finds the stub, `.docs` and what a build needs. The tests and the example are only there when they are used.

One exercise of exercism: which of its files are the stub, the tests, the example, by its config or by its layout.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict

from autoloop.config.fields import quoted, read_values, validated
from autoloop.config.prompts import prompt
from autoloop.core.suite.tasks import Placed, Solution, Step, SuiteTask, TaskVerification
from autoloop.errors import AutoloopError
from autoloop.ports import Suite
from autoloop.suites.sources.assemble import Has, assemble, has_program, make_task
from autoloop.suites.sources.contents import digest, files_below, inside, refuse_escapes, text_of
from autoloop.suites.sources.languages import LANGUAGES, Language, language_of

_TEXTS = ("introduction.md", "introduction.append.md", "instructions.md", "instructions.append.md")
_BROUGHT = ".reference-solution"
"""Where examples lie until they are copied: what a solution brings is taken away again, also from a stub's place."""
_VERIFIED_IN = 180.0
"""Seconds for the tests of one exercise, builds included."""


@dataclass(frozen=True)
class Exercise:
    """The files of an exercise, from its directory, and its language when that is known."""

    directory: Path
    language: Language | None
    stubs: tuple[str, ...]
    """The files that the agent edits; one that does not exist yet is for it to make."""
    tests: tuple[str, ...]
    """The test files, which no agent sees."""
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


@dataclass(frozen=True)
class ExercismExercises:
    """A track with `exercises/practice`, a directory of exercises, or one."""

    has: Has = has_program

    def claims(self, path: Path) -> bool:
        """Whether there are exercises, here or where a track has them."""
        return path.is_dir() and bool(_directories(path))

    def load(self, path: Path) -> Suite:
        """Read every exercise; hidden directories are none."""
        track = _track(path)
        difficulties = _difficulties(track)
        tasks = [self._task(path, directory, difficulties) for directory in _directories(path)]
        return assemble(str(track.get("slug") or path.name), "", path, tasks, str(path))

    def _task(self, root: Path, directory: Path, difficulties: Mapping[str, str]) -> SuiteTask:
        refuse_escapes(root, directory)
        exercise = read_exercise(root, directory)
        verification = _verification(root, exercise)
        difficulty = difficulties.get(directory.name, "")
        return make_task(
            str(directory),
            id=directory.name,
            name=directory.name,
            group=difficulty,
            difficulty=difficulty,
            steps=(Step(instruction=_instruction(root, exercise), verification=verification),),
            files=_found(root, exercise),
            solution=_solution(root, exercise),
            unsupported=self._unsupported(exercise),
            digest=digest((verification.command, verification.env), [directory]),
        )

    def _unsupported(self, exercise: Exercise) -> str:
        language = exercise.language
        if language is None:
            return f"no way is known to run the tests of {Path(exercise.stubs[0]).suffix or exercise.stubs[0]} files"
        lacking = language.lacks(exercise.directory, exercise.tests, self.has)
        return f"its tests need {lacking}, which is not here" if lacking else ""


def _directories(path: Path) -> list[Path]:
    if is_exercise(path):
        return [path]
    practice = path / "exercises" / "practice"
    parent = practice if practice.is_dir() else path
    return sorted(child for child in parent.iterdir() if child.is_dir() and child.name[0] != "." and is_exercise(child))


def _track(path: Path) -> Mapping[str, Any]:
    file = path / "config.json"
    return read_values(file, str(file)) if file.is_file() and (path / "exercises").is_dir() else {}


def _difficulties(track: Mapping[str, Any]) -> dict[str, str]:
    """Of a track's exercises, from 1 to 10, in the words that exercism shows."""
    exercises = track.get("exercises")
    practice = exercises.get("practice") if isinstance(exercises, dict) else None
    entries = [entry for entry in practice if isinstance(entry, dict)] if isinstance(practice, list) else []
    ranked = {str(entry.get("slug")): entry.get("difficulty") for entry in entries}
    return {slug: _in_words(rank) for slug, rank in ranked.items() if isinstance(rank, int)}


def _in_words(rank: int) -> str:
    return "easy" if rank <= 3 else "medium" if rank <= 7 else "hard"


def _instruction(root: Path, exercise: Exercise) -> str:
    docs = exercise.directory / ".docs"
    files = [docs / name for name in _TEXTS] if docs.is_dir() else [exercise.directory / "README.md"]
    texts = [text_of(file, root).strip() for file in files if file.is_file()]
    if not any(texts):
        raise AutoloopError(f"{exercise.directory}: there is no .docs/instructions.md")
    names = ", ".join(f"`{stub}`" for stub in exercise.stubs)
    return "\n\n".join([*texts, prompt("exercise").text.format(files=names).strip()]) + "\n"


def _found(root: Path, exercise: Exercise) -> tuple[Placed, ...]:
    stubs = [name for name in exercise.stubs if (exercise.directory / name).is_file()]
    docs = [".docs"] if (exercise.directory / ".docs").is_dir() else []
    return tuple(_placed(root, exercise, name) for name in [*stubs, *exercise.shown, *docs])


def _verification(root: Path, exercise: Exercise) -> TaskVerification:
    language = exercise.language
    shown = [_placed(root, exercise, name, again=True) for name in exercise.shown]
    return TaskVerification(
        reward="exit_code",
        files=(*(_placed(root, exercise, name) for name in exercise.tests), *shown),
        command=language.command(exercise.tests) if language else "",
        env=language.env if language else {},
        timeout=_VERIFIED_IN,
    )


def _solution(root: Path, exercise: Exercise) -> Solution | None:
    if not exercise.examples:
        return None
    parts = [(example, f"{_BROUGHT}/{number}", stub) for number, (example, stub) in enumerate(exercise.over_stubs())]
    copies = (f"mkdir -p {shlex.quote(_folder(stub))} && cp {place} {shlex.quote(stub)}" for _, place, stub in parts)
    files = tuple(_placed(root, exercise, example, place) for example, place, _ in parts)
    return Solution(commands=(" && ".join(copies),), files=files)


def _folder(name: str) -> str:
    return PurePosixPath(name).parent.as_posix()


def _placed(root: Path, exercise: Exercise, name: str, target: str = "", *, again: bool = False) -> Placed:
    source = (exercise.directory / name).relative_to(root).as_posix()
    return Placed(source=source, target=target or name, again=again)


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
