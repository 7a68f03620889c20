"""A machine in small, and commands that run in it under Landlock."""

import os
import subprocess
import sys
from pathlib import Path

from autoloop.ports import Cell, Room
from autoloop.sandbox.landlock import LandlockSandbox
from autoloop.sandbox.places import HIDDEN, Places
from tests.real_git import make_repository, write

VERSION = LandlockSandbox.abi()
SECRET = "nobody may read this"
PRELUDE = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
"""


class Den:
    """A machine in small: a checkout, a home with tools and keys, and a cell in the cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home, self.cache = folder / "home", folder / "cache"
        self.root = make_repository(folder / "checkout", {"code.py": "x = 1\n"})
        self.tree, self.private = self.cache / "tree", self.cache / "private"
        self.victim = self.root / "victim/file"
        for place in (self.tree, self.private):
            place.mkdir(parents=True)
        write(self.home, {".keys": SECRET, ".tool/bin": "a tool", ".tool/token": SECRET, ".client/settings": "mine"})
        write(self.root, {"victim/file": SECRET, "data/set": "shared", "data/answers": SECRET})
        write(self.cache, {"sealed/measure.sh": "sealed", "sealed/holdout.sh": SECRET, "sample/result": ""})
        self.python = (Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve())

    @property
    def places(self) -> Places:
        return Places(
            root=self.root,
            objects=self.root / ".git/objects",
            shares=(self.root / "data",),
            home=self.home,
            tools=(self.home / ".tool", *self.python),
            secret=(self.home / ".tool/token", self.root / "data/answers"),
            hidden=(*(path for path in map(Path, HIDDEN) if path.is_dir()), self.folder),
        )

    def room(self, **more: object) -> Room:
        return LandlockSandbox(self.places).enter(Cell(tree=self.tree, home=self.private, **more))  # type: ignore[arg-type]

    def run(self, *command: str, **more: object) -> subprocess.CompletedProcess[str]:
        room = self.room(**more)
        env = {"PATH": os.environ["PATH"], **room.env}
        return subprocess.run([*room.prefix, *command], cwd=room.cwd, env=env, capture_output=True, text=True)

    def python_says(self, code: str, *arguments: object, **more: object) -> str:
        """What a Python in the cell prints; its errors included."""
        done = self.run(sys.executable, "-c", PRELUDE + code, *map(str, arguments), **more)
        return done.stdout + done.stderr

    def attempt(self, code: str, *arguments: object, **more: object) -> str:
        """`refused`, or whatever else came of it. Only the kernel's no counts: a broken attempt proves nothing."""
        body = "".join(f"    {line}\n" for line in code.splitlines())
        tried = f"try:\n{body}    print('done')\nexcept PermissionError: print('refused')\n"
        across = f"{tried}except OSError as error: print('refused' if error.errno == 18 else repr(error))\n"
        return self.python_says(across, *arguments, **more).strip()
