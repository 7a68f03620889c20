"""A folder that takes long to make: made once for a module, and put back as it was for each test that may change it."""

import os
import subprocess
from pathlib import Path

from autoloop.git.walk import remove


class Restored:
    """What a folder held when it was handed over; its place stays the same, so paths that are written in it hold."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._kept = folder, folder.with_name(f"{folder.name}-as-made")
        _copy(self.folder, self._kept)

    def restore(self) -> None:
        """Undo whatever was done in the folder since."""
        remove(os.fsencode(self.folder))
        _copy(self._kept, self.folder)


def _copy(source: Path, target: Path) -> None:
    """With times, links and modes."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
