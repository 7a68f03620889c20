"""What a Dockerfile amounts to without a container: files, lines of setup, variables and a workdir, or why not."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import join, normpath

from autoloop.core.suite.tasks import Placed
from autoloop.errors import AutoloopError
from autoloop.suites.sources.assemble import Has
from autoloop.suites.sources.dockerfile.commands import OWN, SYSTEM, leaving_own, why_not, within, without_it
from autoloop.suites.sources.dockerfile.parse import BuildContext, Instruction, fill_bare, instructions

WORKDIR = "/app"
"""The workdir where nothing names another."""
_PASSED_OVER = frozenset({"CMD", "LABEL", "MAINTAINER", "EXPOSE", "STOPSIGNAL", "VOLUME", "USER"})
_SHELLS = frozenset({"sh", "bash"})
_IN_EVERY_IMAGE = frozenset({"/", "/tmp", "/root", "/home", "/opt", "/srv", "/var", "/mnt", "/media"})


@dataclass
class Image:
    """The parts of a task's environment that go into its workspace."""

    workdir: str = ""
    """An absolute path; empty when nothing names it."""
    env: dict[str, str] = field(default_factory=dict)
    files: list[Placed] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    contained: str = ""
    """Why it takes a container; what stands behind the first reason is not read."""


def read_image(text: str, context: BuildContext, environ: Mapping[str, str], has: Has, source: str) -> Image:
    """Apply a Dockerfile's instructions, up to the first that needs a container."""
    builder = _ImageBuilder(context, has, source, search_path=environ.get("PATH", "/usr/bin:/bin"))
    for instruction in instructions(text, source):
        why = builder.apply(instruction)
        if why:
            builder.image.contained = why
            return builder.image
    if not builder.bases:
        raise AutoloopError(f"{source}: there is no FROM")
    return builder.image


class _ImageBuilder:
    def __init__(self, context: BuildContext, has: Has, source: str, search_path: str) -> None:
        self.image = Image()
        self.context = context
        self.has = has
        self.source = source
        self.bases = 0
        self.arguments: dict[str, str] = {}
        self.variables = {"PATH": search_path}
        self.directories = set(_IN_EVERY_IMAGE)

    def apply(self, given: Instruction) -> str:
        """Apply one instruction; why it needs a container, or nothing."""
        if given.has_here_document:
            return f"its Dockerfile has a here-document in {given.word}"
        match given.word:
            case "FROM":
                return self._from(given)
            case "ARG":
                return self._arg(given)
            case "ENV":
                return self._env(given)
            case "WORKDIR":
                return self._workdir(given)
            case "COPY" | "ADD":
                return self._copy(given)
            case "RUN":
                return self._run(given)
            case "SHELL" | "ENTRYPOINT" if _is_shell(given):
                return ""
            case "HEALTHCHECK" if given.rest.upper() == "NONE":
                return ""
            case word if word in _PASSED_OVER:
                return ""
        return f"its Dockerfile has {given.word}"

    def _from(self, given: Instruction) -> str:
        self.bases += 1
        if self.bases > 1:
            return "its Dockerfile has several stages"
        return without_it(self._filled(given.words(self.source)[0]), self.has)

    def _arg(self, given: Instruction) -> str:
        for word in given.words(self.source):
            name, _, default = word.partition("=")
            self.arguments.setdefault(name, self._filled(default))
        return ""

    def _env(self, given: Instruction) -> str:
        words = given.words(self.source)
        if "=" not in words[0]:
            name, _, value = given.rest.partition(" ")
            words = [f"{name}={value.strip()}"]
        before = self._values()
        for word in words:
            name, _, value = word.partition("=")
            self.image.env[name] = fill_bare(value, before)
        return ""

    def _workdir(self, given: Instruction) -> str:
        self.image.workdir = self._absolute(self._filled(given.rest.strip("\"'")))
        self.directories.add(self.image.workdir)
        return self._not_ours(self.image.workdir)

    def _copy(self, given: Instruction) -> str:
        others = set(given.flags) - {"chown", "chmod", "link"}
        if others:
            return f"its Dockerfile has {given.word} --{min(others)}"
        *names, last = map(self._filled, given.words(self.source))
        if any("://" in name or name.startswith("git@") for name in names):
            return "its Dockerfile fetches a file with ADD"
        sources = [path for name in names for path in self.context.find(name, f"{self.source}:{given.line}")]
        if given.word == "ADD" and any(".tar" in path.name or path.suffix == ".tgz" for path in sources):
            return "its Dockerfile unpacks an archive with ADD"
        target = self._absolute(last)
        into = last.endswith(("/", ".")) or len(sources) > 1 or target in self.directories
        return self._not_ours(target) or self._place(sources, target, into, given.flags.get("chmod", ""))

    def _place(self, sources: list[Path], target: str, into: bool, mode: str) -> str:
        for path in sources:
            place = join(target, path.name) if into and not path.is_dir() else target
            self.image.files += self.context.placed(path, place)
            if mode:
                self.image.setup.append(f"chmod -R {shlex.quote(mode)} {shlex.quote(place)}")
        if into or any(path.is_dir() for path in sources):
            self.directories.add(target)
        return ""

    def _run(self, given: Instruction) -> str:
        if given.flags:
            return f"its Dockerfile has RUN --{min(given.flags)}"
        words = given.listed()
        line = leaving_own(shlex.join(words) if words else given.rest)
        why = why_not(line)
        if not why:
            self.image.setup.append(self._as_setup(line))
            self._remember_directories(line)
        return why

    def _as_setup(self, line: str) -> str:
        """The line as a shell of a Dockerfile understands it, in the workdir of its place in the file."""
        used = {name: value for name, value in self.arguments.items() if name in line and name not in self.image.env}
        begin = [f"cd {shlex.quote(self.image.workdir)} &&"] if self.image.workdir else []
        begin += ["shopt -s xpg_echo;"] if "echo" in line and "\\" in line else []
        begin += [f"{name}={shlex.quote(value)};" for name, value in used.items()]
        return " ".join([*begin, line])

    def _remember_directories(self, line: str) -> None:
        if "mkdir" in line:
            words = (word.rstrip(";") for word in self._filled(line).split())
            self.directories |= {normpath(word) for word in words if word.startswith("/")}

    def _values(self) -> dict[str, str]:
        return {**self.arguments, **self.variables, **self.image.env}

    def _filled(self, text: str) -> str:
        return fill_bare(text, self._values())

    def _absolute(self, path: str) -> str:
        return normpath(join(self.image.workdir or "/", path))

    def _not_ours(self, path: str) -> str:
        return why_no_place(path, "its Dockerfile")


def why_no_place(path: str, who: str) -> str:
    """Why a trial cannot have its own files at a place; empty when it can."""
    if path == "/":
        return f"{who} uses / itself"
    taken = within(path, (*SYSTEM, *OWN))
    return f"{who} puts something below {taken}, which a trial cannot change" if taken else ""


def _is_shell(given: Instruction) -> bool:
    words: Iterable[str] = given.listed() or given.rest.split()
    return {word.rsplit("/", 1)[-1] for word in words if not word.startswith("-")} <= _SHELLS
