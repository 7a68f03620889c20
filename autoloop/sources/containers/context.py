"""The directory that a Dockerfile copies from, with what its .dockerignore leaves out."""

from dataclasses import dataclass, field
from pathlib import Path

from autoloop.core.globs import matches
from autoloop.core.suite.task import Placed
from autoloop.errors import AutoloopError
from autoloop.fields import quoted
from autoloop.sources.contents import files_below


@dataclass(frozen=True)
class Context:
    """A task's `environment/`."""

    root: Path
    """The suite's directory."""
    directory: Path
    ignored: tuple[str, ...] = field(default=())
    """The lines of its .dockerignore."""

    def find(self, name: str, source: str) -> list[Path]:
        """What a name or glob of COPY stands for; an AutoloopError when there is no such file."""
        path = name.lstrip("/").removeprefix("./")
        if ".." in Path(path).parts:
            raise AutoloopError(f"{source}: {quoted(name)} leads out of {self.directory.name}/")
        exact = self.directory / path
        found = [exact] if exact.exists() else sorted(self.directory.glob(path))
        kept = [path for path in found if path.is_dir() or not self._is_ignored(path)]
        if not kept:
            raise AutoloopError(f"{source}: there is no {quoted(name)} in {self.directory}")
        return kept

    def placed(self, path: Path, target: str) -> list[Placed]:
        """The file, or a directory's content, at its target."""
        if not path.is_dir() or not self.ignored:
            return [Placed(source=self._named(path), target=target)]
        return [
            Placed(source=self._named(file), target=f"{target.rstrip('/')}/{file.relative_to(path)}")
            for file in files_below(path)
            if not self._is_ignored(file)
        ]

    def _named(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _is_ignored(self, path: Path) -> bool:
        """The last line that covers a path decides."""
        name, ignored = path.relative_to(self.directory).as_posix(), False
        for line in self.ignored:
            if matches(name, [line.removeprefix("!")]):
                ignored = not line.startswith("!")
        return ignored


def context_of(root: Path, directory: Path) -> Context:
    """The context of a task, with its .dockerignore if it has one."""
    file = directory / ".dockerignore"
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    kept = (line.strip() for line in lines)
    return Context(root, directory, tuple(line for line in kept if line and not line.startswith("#")))
