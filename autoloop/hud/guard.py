"""Who may look: a page elsewhere must not read what this one shows, and no trick with names may make it look the same.

A browser says in `Host` which name it believes to talk to. A name that an attacker owns can be led to this machine
(DNS rebinding), a number or `localhost` cannot. In `Origin` it says whose page opens a connection; programs that are
no browsers say nothing there.
"""

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit


def why_refused(bound: str, host: str | None, origin: str | None) -> str | None:
    """Why a request is refused, when it is; `bound` is the address that the server listens on."""
    if host is None or not _is_ours(bound, host):
        return f"this server does not answer to the name {host!r}; open it by its address"
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return f"a page of {origin} may not look"
    return None


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    if address == "localhost":
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _is_ours(bound: str, host: str) -> bool:
    name = _name(host)
    if is_loopback(name):
        return True
    if is_loopback(bound):
        return False
    return _is_number(name) or name in (bound.lower(), socket.gethostname().lower(), socket.getfqdn().lower())


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
