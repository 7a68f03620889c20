"""The user's world in small: a home with keys, a checkout with a program, the cache of another run, a remote."""

import hashlib
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.attacks.attack import Attack
from tests.real_git import commit_all, git, write
from tests.real_run import Checkout

TOKEN = f"secret-{secrets.token_hex(6)}"
"""Part of everything that nobody may read."""
AGENT = """\
case $AUTOLOOP_EXPERIMENT in
1)
{attack}
;;
2) echo "# nothing" >> code.py ;;
3) sed -i "1s/.*/x = 90/" code.py ;;
esac
test "$AUTOLOOP_EXPERIMENT" = 1 || printf '<notes>{{"hypothesis": "idea"}}</notes>\\n'
"""
HONEST = {
    "code.py": "x = 100\na = 1\nb = 2\nc = 3\nd = 4\n",
    "run.sh": ":\n",
    "lib/part.txt": "part\n",
    "golden/answer.txt": "42\n",
    "tests/test_part.py": "".join(f"def test_{n}():\n    assert {n} == {n}\n\n\n" for n in range(5)),
    ".gitignore": "*.log\n__pycache__/\ncache/\n",
    "programs/p/helper.sh": 'report() { echo "{\\"ms\\": $1}"; }\n',
    "programs/p/answer.txt": "42\n",
}
HOLDOUT = {
    "holdout.sh": (
        "read -r _ _ x < code.py\ntest -f lib/by_heart.txt && x=$((x * 2))\n"
        'HOLDOUT="$AUTOLOOP_PROGRAM_DIR/holdout" sh run.sh > /dev/null\necho "METRIC ms=$x"\n'
    ),
    "holdout/answers.txt": f"{TOKEN}-holdout\n",
}
LARGE = 10**8
"""Bytes of a file that is not read."""
PROFILE = '[profiles.mine]\nagent = "command"\ncommand = "sh agent.sh"\n'
SETTINGS = {
    "protected": ["golden/**", "**/conftest.py", "agent.sh"],
    "measurement_timeout": 8000,
    "agent_timeout": 20000,
}


class Target(Checkout):
    """A checkout whose agent is a committed script: a sandbox hides what lies at home."""

    def agent(self, script: str) -> None:
        write(self.root, {"agent.sh": script, "autoloop.toml": PROFILE})


class World:
    """Everything that an attack can reach for."""

    def __init__(self, folder: Path, attack: Attack, port: int) -> None:
        self.port = port
        self.folder, self.home, self.cache = folder, folder / "home", folder / "cache"
        self.remote = folder / "remote.git"
        self.target = Target(folder / "checkout", self.cache)
        self.root = self.target.root
        self._fill_checkout(attack)
        self._plant_secrets()
        self.before = self.look()

    def _fill_checkout(self, attack: Attack) -> None:
        target = self.target
        write(self.root, {**HONEST, "programs/p/measure.sh": attack.measure, **attack.files})
        target.agent(self.filled(AGENT.format(attack=attack.script)))
        target.configure(**{**SETTINGS, **attack.config})
        git(self.folder, "init", "--quiet", "--bare", str(self.remote))
        git(self.root, "remote", "add", "origin", str(self.remote))
        commit_all(self.root, "as it was")
        git(self.root, "push", "--quiet", "origin", "HEAD:main")
        write(self.root, {"lib/part.txt": "edited, not committed\n", "mine.txt": "untracked\n"})

    def _plant_secrets(self) -> None:
        write(self.home, {".ssh/id_rsa": f"{TOKEN}-ssh\n", ".aws/credentials": f"{TOKEN}-aws\n", "letter": "dear\n"})
        git(self.home, "init", "--quiet", "project")
        write(self.cache, {"20200101-000000-000aa/t/0/key.txt": f"{TOKEN}-cache\n"})
        write(self.target.program, HOLDOUT)

    def filled(self, script: str) -> str:
        """A script with the places in it."""
        places = {"HOME": self.home, "CHECKOUT": self.root, "CACHE": self.cache, "WORK": self.folder}
        words = {**places, "RUN": f"{self.root}/.autoloop/runs/p/[0-9]*", "MARK": self.folder.name, "PORT": self.port}
        for name, value in words.items():
            script = script.replace(f"@{name}@", str(value))
        return script

    def look(self) -> dict[str, object]:
        """All that is the user's; what a run may add is left out."""
        added = [f".git/{name}" for name in ("objects", "refs", "logs/refs", "info/exclude")]
        own = {str(self.cache), *(f"{self.root}/{name}" for name in (*added, ".autoloop"))}
        found: dict[str, object] = {path: about(path) for path in walk(str(self.folder), own)}
        refs = git(self.root, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        exclude = (self.root / ".git/info/exclude").read_text().replace("/.autoloop/runs/\n", "")
        remote = git(self.remote, "for-each-ref")
        return {**found, "refs": [ref for ref in refs if "autoloop/" not in ref], "exclude": exclude, "remote": remote}


def walk(top: str, without: Collection[str] = ()) -> Iterator[str]:
    """Everything below a directory, links not followed, as deep as a path may be."""
    folders = [top]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.path in without:
                    continue
                yield entry.path
                if entry.is_dir(follow_symlinks=False) and len(entry.path) < 3000:
                    folders.append(entry.path)


def about(path: str) -> tuple[object, ...]:
    """Kind, mode, content and time of a file; kind and mode of a directory."""
    info = os.lstat(path)
    if stat.S_ISREG(info.st_mode):
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest() if info.st_size < LARGE else "large"
        return oct(info.st_mode), info.st_nlink, info.st_mtime_ns, digest
    return oct(info.st_mode), os.readlink(path) if stat.S_ISLNK(info.st_mode) else ""
