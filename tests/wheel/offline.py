"""For an environment, by a line in a `.pth` file: whichever of its Pythons asks for the network is told that there is
none, and a line about it is written beside this file.
"""

import sys
from pathlib import Path

ASKED = Path(__file__).with_suffix(".asked")
_LOOKS_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_HERE = ("127.", "::1", "localhost")


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _LOOKS_UP:
        asked = arguments[0]
    elif event in _SENDS and isinstance(arguments[1], tuple):
        asked = arguments[1][0]
    else:
        return
    if asked and not str(asked).startswith(_HERE):
        with ASKED.open("a") as file:
            file.write(f"{event} {asked!r}: {sys.argv}\n")
        raise OSError(f"there is no network: {event} {asked!r}")


sys.addaudithook(refuse)
