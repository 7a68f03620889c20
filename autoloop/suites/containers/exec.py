"""Run one command inside a container, as a process that can be told to end.

`docker exec` passes no signal on, and its command goes on when it is killed (moby/moby#9098). So the command writes its
number in the container to a file, and a second `exec` kills it there.

`python -I exec.py SETTINGS COMMAND...`, where SETTINGS is a JSON object. The variables of this process are those of
the command, but for what belongs to the machine; their values stand in no command line. What begins with `ENGINE` is
for the engine's program, which finds nothing else that could lead it elsewhere.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

ENGINE = "OF_THE_ENGINE_"
"""The prefix of variables for the engine's program."""
_OF_THE_MACHINE = frozenset({
    "HOME", "PATH", "PWD", "OLDPWD", "SHLVL", "SHELL", "USER", "LOGNAME", "MAIL", "TMPDIR", "TMP", "TEMP", "LANG",
    "LANGUAGE", "TERM", "TZ", "_", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS", "VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT", "PYENV_VERSION", "JAVA_HOME", "CARGO_HOME",
    "RUSTUP_HOME", "GOPATH", "GOROOT", "GOCACHE", "NVM_DIR", "CC", "CXX",
})  # fmt: skip
_KINDS = ("LC_", "LD_", "DYLD_", "DOCKER_", "CONTAINER_", "BUILDKIT_", "XDG_", "SSH_", ENGINE)
_TOLD = ".told"
"""The suffix of the file that says that a command was told to end."""
_BEGIN = f'echo "$$" > "$0"; [ ! -e "$0{_TOLD}" ] || exit 143; exec "$@"'
"""Says in a file which process it is, so that it can be ended from outside; one that is to end does not begin."""
_TELL = "kill -{number} -- -{process} 2>/dev/null || kill -{number} {process}"
_END = (
    "{tell}; n=0; while [ $n -lt 15 ] && kill -0 -- -{process} 2>/dev/null; do sleep 0.1; n=$((n+1)); done; "
    "kill -9 -- -{process}"
)
"""Within the two seconds after which this process is killed, and can end nothing any more."""
_PATIENCE = 0.2
"""Seconds for a command that has begun to say which process it is."""


def main(words: list[str]) -> int:
    """The exit code of the command."""
    settings, *command = words
    given: dict[str, Any] = json.loads(settings)
    environ, start = _environment(), _words(given)
    file = f"{given['notes']}/{os.getpid()}-{time.monotonic_ns()}.pid"  # one for each: several commands share a room
    telling: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _: object) -> None:
        with suppress(OSError):
            os.close(os.open(file + _TOLD, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        if process := _process(file):
            telling.append(_tell(given, environ, number, process))

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    # In a group of its own, or it would end at our signals before the command has heard of them.
    child = subprocess.Popen([*start, "sh", "-c", _BEGIN, file, *command], env=environ, start_new_session=True)
    code = child.wait()
    for told in telling:
        told.wait()
    for note in (file, file + _TOLD):
        with suppress(OSError):
            os.unlink(note)
    return code if code >= 0 else 128 - code


def _words(given: Mapping[str, Any]) -> list[str]:
    named = [word for name in filter(is_passed_on, os.environ) for word in ("--env", name)]
    named += [word for name, value in given["env"].items() for word in ("--env", f"{name}={value}")]
    user = ["--user", given["user"]] if given["user"] else []
    return [given["program"], "exec", "--workdir", given["workdir"], *user, *named, given["name"]]


def _environment() -> dict[str, str]:
    """Of the engine's program: what it passes on by name, and what finds its service."""
    passed = {name: value for name, value in os.environ.items() if is_passed_on(name)}
    own = {name.removeprefix(ENGINE): value for name, value in os.environ.items() if name.startswith(ENGINE)}
    return {**passed, **own}


def is_passed_on(name: str) -> bool:
    """Whether a variable says something inside of a container as well."""
    return name not in _OF_THE_MACHINE and not name.startswith(_KINDS)


def _process(file: str) -> int:
    """The command's number in its container; 0 where it does not say one. An agent can write the file."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        try:
            opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.02)
            continue
        with open(opened, "rb") as reading:
            text = (reading.read(20) or b"").strip()
        if text:
            return int(text) if text.isdigit() else 0
        time.sleep(0.02)
    return 0


def _tell(given: Mapping[str, Any], environ: Mapping[str, str], number: int, process: int) -> subprocess.Popen[bytes]:
    """Tell the command and its group; what does not listen to SIGTERM is killed."""
    line = _TELL.format(number=number, process=process)
    if number == signal.SIGTERM:
        line = _END.format(tell=line, process=process)
    words = [given["program"], "exec", "--detach", "--user", "0", given["name"], "sh", "-c", line]
    null = subprocess.DEVNULL
    return subprocess.Popen(words, env=environ, stdin=null, stdout=null, stderr=null, start_new_session=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
