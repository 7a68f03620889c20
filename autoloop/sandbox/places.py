"""What a command in a sandbox finds of this machine: what is let through, what is hidden, what is secret.

A home directory is hidden as a whole, and only the tools in it are let through: nobody can list every
place where a key may lie, but the places where toolchains live are few.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HIDDEN = ("/home", "/root", "/tmp", "/var/tmp", "/run", "/var/run")
"""Homes, and directories that hold other people's files and sockets."""
SECRET = (
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssl/private",
    "/etc/kubernetes",
    "/etc/rancher",
    "/var/lib/docker",
    "/var/lib/containers",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/spool/cron",
    "/var/backups",
    "/etc/letsencrypt",
    "/etc/wireguard",
    "/etc/NetworkManager/system-connections",
    "/etc/krb5.keytab",
    "/var/lib/cloud",
    "/var/lib/incus",
    "/var/lib/lxd",
    "/var/lib/mysql",
    "/var/lib/postgresql",
    "/var/snap",
)
_SYSTEM = ("/", "/usr", "/usr/local", "/usr/src", "/opt", "/var", "/var/lib", "/etc", "/dev", "/proc", "/sys", "/nix")
"""Directories that hold more than people's projects."""
HOST_KEYS = "/etc/ssh"
TOOLS_AT_HOME = (
    ".asdf",
    ".bun",
    ".cabal",
    ".cache/Cypress",
    ".cache/huggingface",
    ".cache/ms-playwright",
    ".cache/torch",
    ".cargo",
    ".conda",
    ".deno",
    ".dotnet",
    ".ghcup",
    ".gradle",
    ".julia",
    ".juliaup",
    ".keras",
    ".local/bin",
    ".local/lib",
    ".local/pipx",
    ".local/share/fnm",
    ".local/share/mise",
    ".local/share/pipx",
    ".local/share/pnpm",
    ".local/share/uv",
    ".m2/repository",
    ".m2/wrapper",
    ".nix-profile",
    ".npm-global",
    ".nuget/packages",
    ".nvm",
    ".opam",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".sdkman",
    ".stack",
    ".swiftly",
    ".volta",
    "anaconda3",
    "go",
    "mambaforge",
    "miniconda3",
    "miniforge3",
    "nltk_data",
)
"""Toolchains, and caches of models and packages that are dear to fetch anew."""
SECRET_AT_HOME = (
    ".cache/huggingface/stored_tokens",
    ".cache/huggingface/token",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gradle/gradle.properties",
    ".stack/config.yaml",
)
"""What shows as an empty file: none of these must be well-formed."""
TOOLCHAINS = (
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYENV_ROOT",
    "JAVA_HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "GOPATH",
    "GOROOT",
    "NVM_DIR",
)
"""Variables that name the directory of a toolchain."""
RESOLVER = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime")
"""Files of the system that may be links into what is hidden."""


@dataclass(frozen=True)
class Places:
    """The directories of this machine that a sandbox is built from. All exist."""

    root: Path
    """The user's checkout."""
    objects: Path | None
    """The repository's object store, which the git of a tree borrows from; None where no command needs it."""
    shares: tuple[Path, ...]
    """`share_paths` in the checkout; the last part may be a symlink."""
    home: Path
    tools: tuple[Path, ...]
    """What lies in a hidden place and is let through, to be read. The last part may be a symlink."""
    secret: tuple[Path, ...]
    """Files that nobody may read although what is around them can be read."""
    hidden: tuple[Path, ...]
    """Directories of which only what is named elsewhere can be seen. The checkout and the cache are among them."""

    def is_hidden(self, path: Path) -> bool:
        """Whether a path lies where nothing can be seen."""
        return any(path.is_relative_to(place) for place in self.hidden)


def survey(
    root: Path,
    objects: Path | None,
    cache: Path,
    environ: Mapping[str, str],
    *,
    share_paths: Sequence[str] = (),
    read_paths: Sequence[str] = (),
    secret_paths: Sequence[Path] = (),
    in_trees: Callable[[Path], bool] = lambda path: False,
) -> Places:
    """The places of this machine. `read_paths` are let through and `secret_paths` withheld, wherever they lie.

    `in_trees` says whether trees have a path of the checkout of their own, which then counts and not the user's.
    """
    home, real, cache = Path(environ.get("HOME") or Path.home()).resolve(), root.resolve(), cache.resolve()
    hidden = _existing(path for path in (*map(Path, HIDDEN), home, cache, root) if path != Path(path.anchor))
    chosen = [chosen_path(root, home, path) for path in read_paths]
    borrowed = _borrowed(objects) if objects else ()
    found = (*map(_placed, _tools(home, environ)), *map(_placed, chosen), *map(_placed, borrowed))
    tools = _outermost(
        path
        for path in found
        if any(path.is_relative_to(place) for place in hidden)
        and not (path.is_relative_to(real) and in_trees(path.relative_to(real)))
    )
    host_keys = Path(HOST_KEYS).glob("*_key") if os.access(HOST_KEYS, os.R_OK) else ()
    known = {*map(Path, SECRET), *host_keys, *(home / name for name in SECRET_AT_HOME)} - set(chosen)
    # What is withheld may also show through a link: its name as given, and where it really lies.
    secret = _outermost([*_existing([*sorted(known), *secret_paths]), *secret_paths])
    return Places(
        root=real,
        objects=objects.resolve() if objects else None,
        shares=_outermost(_placed(root / path) for path in share_paths),
        home=home,
        # What contains these would show all that is hidden in them.
        tools=tuple(path for path in tools if not any(place.is_relative_to(path) for place in (real, home, cache))),
        secret=secret,
        hidden=tuple(sorted(hidden)),
    )


def chosen_path(root: Path, home: Path, path: str) -> Path:
    """A path of the settings: `~` is the user's home, and what is not absolute counts from the checkout."""
    if path == "~" or path.startswith("~/"):
        return home / path[2:]
    return root / path


def _tools(home: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Toolchains at home, those that variables name, and what PATH leads to."""
    yield from (home / name for name in TOOLS_AT_HOME)
    yield from (Path(environ[name]) for name in TOOLCHAINS if environ.get(name, "").startswith("/"))
    for entry in environ.get("PATH", "").split(os.pathsep):
        if entry.startswith("/"):
            yield from _around(Path(entry))
    yield from map(Path, RESOLVER)


def _borrowed(objects: Path) -> Iterator[Path]:
    """Object stores that this one borrows from, as a clone with `--shared` does."""
    alternates = objects / "info/alternates"
    for line in alternates.read_text(errors="surrogateescape").splitlines() if alternates.is_file() else ():
        if line and not line.startswith("#"):
            yield objects / line


def _around(entry: Path) -> Iterator[Path]:
    """A directory of programs, with the environment that it belongs to and the Python behind that."""
    above = entry.parent
    if os.path.isdir(above / "conda-meta"):
        yield above
        return
    settings = above / "pyvenv.cfg"
    if not os.access(settings, os.R_OK):
        yield entry
        return
    yield above
    for line in settings.read_text(errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "home" and value.strip().startswith("/"):
            yield Path(value.strip()).parent


def _existing(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The real paths of those that exist, each once, without those that lie in another of them."""
    return _outermost(path.resolve() for path in paths)


def _placed(path: Path) -> Path:
    """A path whose directory is real; its last part may be a link out of what is hidden."""
    return path.parent.resolve() / path.name


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    found = dict.fromkeys(path for path in paths if os.path.exists(path))  # what may not be looked at is not there
    return tuple(path for path in found if not any(path.is_relative_to(other) for other in found if other != path))
