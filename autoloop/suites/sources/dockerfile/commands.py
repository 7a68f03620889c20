"""Commands of a Dockerfile's RUN that only arrange files, and images that programs of this machine can stand in for."""

import re
import shlex

from autoloop.suites.sources.assemble import Has

HARMLESS = frozenset({
    "mkdir", "touch", "chmod", "chown", "echo", "printf", "cp", "mv", "ln", "rm", "rmdir", "cat", "cd", "true", ":",
    "set", "test", "[", "sed", "tr", "seq", "head", "tail", "sort", "uniq", "cut", "tee", "truncate", "git", "tar",
    "gzip", "gunzip", "install", "export",
})  # fmt: skip
INSTALLERS = frozenset({
    "apt-get", "apt", "apk", "yum", "dnf", "microdnf", "zypper", "pacman", "pip", "pip3", "pipx", "uv", "conda",
    "mamba", "npm", "npx", "yarn", "pnpm", "cargo", "go", "gem", "bundle", "curl", "wget", "add-apt-repository",
    "rustup", "nvm",
})  # fmt: skip
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/boot", "/run")
"""Places that belong to the machine: a trial sees this machine's, and cannot change them."""
OWN = ("/tests", "/logs", "/solution")
"""Places that a trial needs for itself."""
_MKDIR = re.compile(r"(?P<before>(?:^|&&|\|\||;)\s*)mkdir(?P<options>(?:\s+-\S+)*)(?P<paths>(?:\s+[^\s;&|]+)+)")
_REMOTE = frozenset({"clone", "fetch", "pull", "submodule", "lfs", "remote", "push"})
_SEPARATORS = frozenset({"&&", "||", ";", "|", "&", "(", ")", "{", "}", ";;"})
_DEVICES = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/zero", "/dev/urandom"})


def within(path: str, places: tuple[str, ...]) -> str:
    """Which of the places a path lies in; empty for none."""
    return next((place for place in places if path == place or path.startswith(f"{place}/")), "")


def leaving_own(command: str) -> str:
    """The line without making the directories that a trial makes itself, as `mkdir -p /logs/verifier`."""
    return _MKDIR.sub(lambda match: match["before"] + _fewer(match["options"], match["paths"].split()), command)


def _fewer(options: str, paths: list[str]) -> str:
    left = [path for path in paths if not within(path, OWN)]
    return f"mkdir{options} {' '.join(left)}" if left else "true"


def why_not(command: str) -> str:
    """Why a line of RUN cannot be run without a container; empty when it only arranges files."""
    if re.search(r"`|\$\(", command):
        return "its Dockerfile runs a command inside another"
    try:
        words = _words(command)
    except ValueError:
        return "its Dockerfile runs what cannot be read"
    return next((why for why in map(_why_not_one, _split(words)) if why), "")


def _words(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)


def _split(words: list[str]) -> list[list[str]]:
    """The simple commands of a line."""
    commands: list[list[str]] = [[]]
    for word in words:
        if word in _SEPARATORS:
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def _why_not_one(words: list[str]) -> str:
    while words and re.fullmatch(r"\w+=.*", words[0], re.DOTALL):
        words = words[1:]
    if not words:
        return ""
    name, arguments = words[0].rsplit("/", 1)[-1], words[1:]
    if name in INSTALLERS or (name == "git" and _REMOTE & set(arguments)):
        return f"its Dockerfile installs or fetches something ({name})"
    if name not in HARMLESS:
        return f"its Dockerfile runs {name}"
    touched = next((place for word in arguments if (place := _machine_place(word))), "")
    return f"its Dockerfile touches {touched}, which belongs to the machine" if touched else ""


def _machine_place(word: str) -> str:
    return "" if word in _DEVICES else within(word, (*SYSTEM, *OWN))


BASES: dict[str, tuple[str, ...]] = {
    "ubuntu": (), "debian": (), "alpine": (), "busybox": (), "bash": (), "scratch": (),
    "python": ("python3",), "node": ("node",), "golang": ("go",), "rust": ("cargo",), "gcc": ("gcc", "make"),
    "buildpack-deps": ("gcc", "make"),
    "ruby": ("ruby",), "perl": ("perl",), "php": ("php",), "openjdk": ("java",), "eclipse-temurin": ("java",),
}  # fmt: skip
"""By the name of an official image; versions are not compared."""
_TERMINAL_BENCH = re.compile(r"ghcr\.io/(?:laude-institute|harbor-framework)/t-bench/(ubuntu|python)[\w.-]*")
_OFFICIAL = re.compile(r"(?:(?:docker\.io/)?library/|docker\.io/)?([\w.-]+)")


def without_it(image: str, has: Has) -> str:
    """Why a task on this image cannot be tried without the image; empty when it can."""
    name = re.sub(r"(:[\w.-]+)?(@[\w:]+)?$", "", image)
    match = _TERMINAL_BENCH.fullmatch(name) or _OFFICIAL.fullmatch(name)
    if match is None or match[1] not in BASES:
        return f"what its image {image} holds is not known"
    lacking = [program for program in BASES[match[1]] if not has(program)]
    return f"its image {image} brings {', '.join(lacking)}, which is not here" if lacking else ""
