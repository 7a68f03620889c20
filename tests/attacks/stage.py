"""Where attacks are carried out: `python -m tests.attacks.stage TIER`, one name and folder a line.

Each attack is carried out by a fork, so that none pays for the imports again and none can reach the test; what came
of it is a line of JSON. What outlives such a process comes to this one, where it is seen.
"""

import json
import os
import socket
import sys
import traceback
from pathlib import Path
from threading import Thread

from autoloop import api
from autoloop.host.signals import Signals
from autoloop.process import proctable, reaper
from tests.attacks import after
from tests.attacks.attack import Attack, all_attacks
from tests.attacks.watch import Watch
from tests.attacks.world import TOKEN, World

PATIENCE = 60
"""Seconds that one attack may take."""


def carry_out(attack: Attack, folder: Path, tier: str) -> str:
    """A run under attack, and what came of it."""
    places = {
        "HOME": "home",
        "AUTOLOOP_CACHE_DIR": "cache",
        "XDG_CACHE_HOME": "home/.cache",
        "XDG_CONFIG_HOME": "home/.config",
    }
    os.environ.update({name: str(folder / place) for name, place in places.items()})
    os.environ.update({"AUTOLOOP_SANDBOX": tier, "AWS_SECRET_ACCESS_KEY": f"{TOKEN}-env"})
    (folder / "home").mkdir()
    port = serve(folder)
    world = World(folder, attack, port)
    os.environ.update({name: value.replace("@PATH@", os.environ["PATH"]) for name, value in attack.environ.items()})
    watch = Watch(world)
    api.run(world.root, "p", api.RunOptions(seed=7), signals=Signals(), on_progress=watch)
    return after.report(api.results(world.root), after.broken(attack, world, watch))


def serve(folder: Path) -> int:
    """Servers that tell a secret to whoever comes, for as long as this process lives; the port of one."""
    servers = [socket.socket(socket.AF_INET), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    addresses = (("127.0.0.1", 0), str(folder / "docker.sock"), f"\0{folder.name}.bus")
    for server, address, kind in zip(servers, addresses, ("network", "socket", "bus"), strict=True):
        server.bind(address)
        server.listen()
        Thread(target=tell, args=(server, f"{TOKEN}-{kind}"), daemon=True).start()
    return int(servers[0].getsockname()[1])


def tell(server: socket.socket, secret: str) -> None:
    """Say it, again and again."""
    while True:
        client, _ = server.accept()
        with client:
            client.sendall(secret.encode())


def in_a_fork(attack: Attack, folder: Path, tier: str) -> str:
    """The report of a process of its own, or how it died."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        os.dup2(2, 1)  # what an attack prints there is no report
        try:
            os.write(writing, carry_out(attack, folder, tier).encode())
        except BaseException:
            os.write(writing, json.dumps({"reason": "", "broken": [traceback.format_exc()]}).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found = json.loads(said) if said else {"reason": "", "broken": [f"the loop died of {status}"]}
    found["broken"] += [f"process {pid} outlived the loop" for pid in left()]
    return json.dumps(found)


def left() -> list[int]:
    """What of the loop came to this process and is still alive; the dead are buried."""
    alive = [pid for pid in proctable.children() if not proctable.over(pid)]
    for pid in set(proctable.children()) - set(alive):
        os.waitpid(pid, 0)
    return alive


def main() -> None:
    """Carry out what is asked for, until nothing more is."""
    attacks = all_attacks()
    reaper._become_subreaper(os.getpid())
    for line in sys.stdin:
        name, _, folder = line.strip().rpartition(" ")
        print(in_a_fork(attacks[name][1], Path(folder), sys.argv[1]), flush=True)


if __name__ == "__main__":
    main()
