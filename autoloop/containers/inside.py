"""Run one command inside a container, as a process that can be told to end.

`python -I inside.py SETTINGS COMMAND...`, where SETTINGS is a JSON object. The variables of this process are those of
the command, but for what belongs to the machine; their values stand in no command line.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OF_THE_MACHINE = frozenset({
    "HOME", "PATH", "PWD", "OLDPWD", "SHLVL", "SHELL", "USER", "LOGNAME", "MAIL", "TMPDIR", "TMP", "TEMP", "LANG",
    "LANGUAGE", "TERM", "VIRTUAL_ENV", "_", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
})  # fmt: skip
_KINDS = ("LC_", "LD_", "DYLD_", "PYTHON", "PYENV_", "DOCKER_", "CONTAINER_", "BUILDKIT_", "XDG_", "SSH_", "CONDA_")
_BEGIN = 'echo "$$" > "$0"; exec "$@"'
"""Says in a file which process it is, so that it can be ended from outside."""


def main(words: list[str]) -> int:
    """The exit code of the command."""
    settings, *command = words
    given: dict[str, Any] = json.loads(settings)
    passed = [word for name in os.environ if is_passed_on(name) for word in ("--env", name)]
    passed += [word for name, value in given["env"].items() for word in ("--env", f"{name}={value}")]
    user = ["--user", given["user"]] if given["user"] else []
    start = [given["program"], "exec", "--workdir", given["workdir"], *user, *passed, given["name"]]
    environ = {**os.environ, **given["engine"]}
    child = subprocess.Popen([*start, "sh", "-c", _BEGIN, given["pid_file"], *command], env=environ)

    def pass_on(number: int, _: object) -> None:
        _signal(given, environ, number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    code = child.wait()
    return code if code >= 0 else 128 - code


def is_passed_on(name: str) -> bool:
    """Whether a variable says something inside of a container as well."""
    return name not in _OF_THE_MACHINE and not name.startswith(_KINDS)


def _signal(given: Mapping[str, Any], environ: Mapping[str, str], number: int) -> None:
    """Tell the command and its group."""
    try:
        process = int(Path(given["pid_file"]).read_text())
    except (OSError, ValueError):
        return
    line = f"kill -{number} -- -{process} 2>/dev/null || kill -{number} {process}"
    words = [given["program"], "exec", "--user", "0", given["name"], "sh", "-c", line]
    subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
