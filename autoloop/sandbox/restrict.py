"""Starts a command that Landlock keeps in bounds: `main(["RULE", ..., "--", "COMMAND", "ARGUMENT", ...])`.

Runs in an interpreter of its own before each command of a cell, so it imports little and nothing of the package.
A rule is one of `RIGHTS` and an absolute path, or `untraced`. When bounds cannot be set, the command is not started.
"""

import ctypes
import os
import struct
import sys

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
TRUNCATE, IOCTL_DEV, RESOLVE_UNIX = 1 << 14, 1 << 15, 1 << 16
HANDLED = (0, 13, 14, 15, 15, 16, 16, 16, 16, 17)
"""How many rights each version of Landlock knows, by the version; they were added in the order of their bits
(LANDLOCK_ACCESS_FS_* in include/uapi/linux/landlock.h). A kernel refuses rulesets with rights that it does not know."""
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV | RESOLVE_UNIX
RIGHTS = {
    "r": EXECUTE | READ_FILE | READ_DIR,
    "w": ((1 << 17) - 1) & ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV),
    "d": WRITE_FILE | READ_FILE | READ_DIR | TRUNCATE | IOCTL_DEV,
    "l": READ_DIR,
    "s": RESOLVE_UNIX,
}
"""Reading, writing, using a device, listing directories, connecting to a socket. Nobody may make a device."""
ABSTRACT_SOCKETS_AND_SIGNALS = 3
SCOPED_SINCE = 6
UNTRACED = "untraced"
"""The word among the rules that stands for: no process may trace another."""
FOREIGN_PROCESSES: dict[str, dict[int, tuple[int, ...]]] = {
    "x86_64": {
        0xC000003E: (101, 310, 311, 438, 248, 249, 250, *(0x40000000 + n for n in (521, 539, 540, 438, 248, 249, 250))),
        0x40000003: (26, 347, 348, 438, 286, 287, 288),
    },
    "aarch64": {0xC00000B7: (117, 270, 271, 438, 217, 218, 219), 0x40000028: (26, 376, 377, 438, 309, 310, 311)},
}
"""By machine and kind of program (AUDIT_ARCH_* in include/uapi/linux/audit.h), since 32-bit programs have other numbers
for system calls; those from 0x40000000 on are of x32, which has the kind of x86-64 (seccomp(2)). They are ptrace,
process_vm_readv, process_vm_writev, pidfd_getfd; and add_key, request_key, keyctl, since keyrings outlive a process."""
CAPABILITIES = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 10))
"""What root keeps: owners and modes of files (0, 1, 3, 4), its own processes and users (5, 6, 7), low ports (10)."""

# The C library has no wrappers for Landlock (landlock_create_ruleset(2)), so its system calls go by their numbers.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
# PR_SET_NO_NEW_PRIVS, without which only root may set rules or a filter (landlock(7), seccomp(2)), and PR_SET_SECCOMP.
_NO_NEW_PRIVS = 38
_SECCOMP = 22
# _LINUX_CAPABILITY_VERSION_3, and 0 for this process (capget(2)).
_CAPABILITY_HEADER = (0x20080522).to_bytes(4, sys.byteorder) + bytes(4)
_IGNORED_BY_PYTHON = (13, 25)
"""Signals that Python sets to be ignored (SIGPIPE, SIGXFSZ); the command gets their default again."""
_EINVAL = 22
_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The version of Landlock here; 0 where there is none."""
    if sys.platform != "linux" or os.uname().machine.startswith(("alpha", "mips")):  # other numbers for system calls
        return 0
    version: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return max(0, version)


def main(words: list[str]) -> None:
    """Set the bounds, then become the command. 126 and 127 are as the shell has them."""
    end = words.index("--")
    command = words[end + 1 :]
    environ = _given_environment()
    try:
        enforce(words[:end], abi())
    except OSError as error:
        _give_up(126, f"the sandbox cannot be set up: {error.strerror}")
    for number in _IGNORED_BY_PYTHON:
        _libc.signal(number, None)
    failure = _become(command, environ)
    _give_up(127 if isinstance(failure, FileNotFoundError) else 126, f"{command[0]}: {failure.strerror}")


def enforce(rules: list[str], version: int) -> None:
    """Restrict this process and all that it starts, as this version of Landlock can; OSError when that fails."""
    if not version:
        raise OSError(0, "this kernel has no Landlock")
    handled = (1 << HANDLED[min(version, len(HANDLED) - 1)]) - 1
    scoped = ABSTRACT_SOCKETS_AND_SIGNALS if version >= SCOPED_SINCE else 0
    # struct landlock_ruleset_attr: rights of files, of the network, scopes. An older kernel, whose struct is shorter,
    # takes it as long as the rest is 0. Nothing is said of the network: its rules know TCP alone (landlock(7)).
    bounds = b"".join(number.to_bytes(8, sys.byteorder) for number in (handled, 0, scoped))
    ruleset = _call(_CREATE_RULESET, bounds, ctypes.c_size_t(len(bounds)), 0)
    for rule in (rule for rule in rules if rule != UNTRACED):
        _allow(ruleset, rule[1:], RIGHTS[rule[0]] & handled)
    _drop_capabilities()
    _checked(_libc.prctl(_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))))
    _call(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    if UNTRACED in rules and (program := filter_of_tracing()):
        array = ctypes.create_string_buffer(program, len(program))
        told = struct.pack("@HP", len(program) // 8, ctypes.addressof(array))
        _checked(_libc.prctl(_SECCOMP, ctypes.c_ulong(2), told, 0, 0))


def filter_of_tracing() -> bytes:
    """A program for seccomp that refuses to reach into other processes; nothing where the numbers are unknown."""
    load, equal, give, allow, refuse = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050001
    # Instructions of classic BPF over struct seccomp_data: the kind of program at 4 comes before the number at 0, which
    # means another call for another kind (seccomp(2)). What is refused fails with EPERM.
    steps: list[tuple[int, int, int, int]] = []
    for kind, numbers in FOREIGN_PROCESSES.get(os.uname().machine, {}).items():
        count = len(numbers)
        steps += [(load, 0, 0, 4), (equal, 0, count + 3, kind), (load, 0, 0, 0)]
        steps += [(equal, count - place, 0, number) for place, number in enumerate(numbers)]
        steps += [(give, 0, 0, allow), (give, 0, 0, refuse)]
    return b"".join(struct.pack("=HBBI", *step) for step in (*steps, (give, 0, 0, allow))) if steps else b""


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Add one rule to the ruleset. A path that is missing, or closed to us, needs none."""
    try:
        place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for allowed in (rights, rights & OF_FILES):
            if not allowed:
                return
            rule = allowed.to_bytes(8, sys.byteorder) + place.to_bytes(4, sys.byteorder)
            if _libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0) == 0:
                return
            if ctypes.get_errno() != _EINVAL:  # rights of directories for a file (landlock_add_rule(2)): again without
                break
        _checked(-1)
    finally:
        os.close(place)


def _drop_capabilities() -> None:
    """Drop root's capabilities that reach past files: modules, raw disks, clocks, other processes."""
    held = ctypes.create_string_buffer(24)  # effective, permitted and inheritable, of the first 32 and of the rest
    _checked(_libc.capget(_CAPABILITY_HEADER, held))
    low = [int.from_bytes(held.raw[at : at + 4], sys.byteorder) & CAPABILITIES for at in (0, 4, 8)]
    kept = b"".join(number.to_bytes(4, sys.byteorder) for number in (*low, 0, 0, 0))
    if kept != held.raw:
        _checked(_libc.capset(_CAPABILITY_HEADER, kept))


def _become(command: list[str], environ: dict[bytes, bytes]) -> OSError:
    """Become the command; why that failed, if it did. A directory that has no such file is passed over."""
    name = command[0]
    path = os.fsdecode(environ.get(b"PATH", os.fsencode(os.defpath)))
    found: OSError | None = None
    for place in [""] if "/" in name else path.split(os.pathsep):
        try:
            os.execve(os.path.join(place, name), command, environ)
        except (FileNotFoundError, NotADirectoryError) as error:
            missing = FileNotFoundError(error.errno, error.strerror)
        except OSError as error:
            found = found or error
    return found or missing


def _given_environment() -> dict[bytes, bytes]:
    """The environment as it was before this interpreter set LC_CTYPE in it (PEP 538)."""
    with open("/proc/self/environ", "rb") as block:
        entries = (entry.partition(b"=") for entry in block.read().split(b"\0"))
        return {name: value for name, equals, value in entries if equals}


def _call(number: int, *arguments: object) -> int:
    return _checked(_libc.syscall(number, *arguments))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _give_up(code: int, why: str) -> None:
    os.write(2, f"{why}\n".encode(errors="surrogateescape"))
    os._exit(code)
