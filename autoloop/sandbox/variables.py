"""Variables of a suite for the commands in a room, and for nothing else.

A room is made by a program of this machine that runs outside of it. A variable can lead its loader to any code
(`LD_PRELOAD`) or it to another service (`DOCKER_HOST`), so it finds those of a suite under other names.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from autoloop.ports import Room

CARRIED = "INTO_THE_ROOM_"
"""Before the name of a variable on its way into a room."""
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def furnished(room: Room, variables: Mapping[str, str]) -> Room:
    """The room with more variables; those of the room itself come first."""
    said = {name: value for name, value in variables.items() if name not in room.env}
    if not room.prefix or not said:
        return replace(room, env={**said, **room.env})
    carried = {name: value for name, value in said.items() if _NAME.fullmatch(name)}
    rest = {name: value for name, value in said.items() if name not in carried}  # no loader and no shell knows these
    given = " ".join(f'{name}="${CARRIED}{name}"' for name in carried)
    line = f'export {given}; unset {" ".join(f"{CARRIED}{name}" for name in carried)}; exec "$@"'
    return replace(
        room,
        prefix=(*room.prefix, *(("sh", "-c", line, "sh") if carried else ())),
        env={**rest, **{f"{CARRIED}{name}": value for name, value in carried.items()}, **room.env},
    )
