"""Reading and writing files of the agent's tree, and nothing outside of it."""

from pathlib import Path

from autoloop.errors import AutoloopError


def inside(tree: Path, path: str) -> Path:
    """Where a path of the tree leads; refused when that is outside, also by way of a symlink."""
    target = (tree / path).resolve()
    if not target.is_relative_to(tree.resolve()):
        raise AutoloopError(f"{path} leads out of the tree")
    return target


def read(tree: Path, path: str) -> str:
    """A file's text with its line ends as they are; bytes that are not UTF-8 survive `write`."""
    target = inside(tree, path)
    if not target.is_file():  # a pipe would block for ever
        raise AutoloopError(f"{path} is not a file" if target.exists() else f"{path} does not exist")
    return target.read_bytes().decode(errors="surrogateescape")


def write(tree: Path, path: str, text: str) -> None:
    """Write a file of the tree, making its folders."""
    target = inside(tree, path)
    if target.exists() and not target.is_file():
        raise AutoloopError(f"{path} is not a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode(errors="surrogateescape"))


def delete(tree: Path, path: str) -> None:
    """Delete a file of the tree; a symlink goes itself, not what it leads to."""
    target = inside(tree, str(Path(path).parent)) / Path(path).name
    if not target.is_symlink() and not target.is_file():
        raise AutoloopError(f"{path} is not a file" if target.exists() else f"{path} does not exist")
    target.unlink()
