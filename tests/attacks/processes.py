"""Processes that want to outlive whoever started them, as agents and as candidates, and processes that attack others."""

from tests.attacks.attack import WITHOUT, Attack

HIDING = {
    "a daemon in a session of its own": """
        setsid sh -c 'trap "" TERM INT HUP; while :; do sleep 1; done' > /dev/null 2>&1 &
        sleep 0.05
    """,
    "a daemon that holds the standard output": "setsid sleep 600 & sleep 0.05\n",
    "a daemon that forks twice": "(setsid sh -c 'sleep 600 & sleep 600 &' &)\nsleep 0.05\n",
    "a daemon with another name and without an environment": """
        cat > hide.py <<'PYTHON'
        import ctypes, os, signal, time
        for number in range(1, 32):
            if number not in (9, 17, 19):
                signal.signal(number, signal.SIG_IGN)
        if os.fork(): os._exit(0)
        os.setsid()
        if os.fork(): os._exit(0)
        os.chdir("/")
        os.closerange(0, 100)
        ctypes.CDLL(None).prctl(15, b"kworker/0:1")
        os.execve("/bin/sleep", ["kworker/0:1", "600"], {})
        PYTHON
        python3 hide.py
        rm hide.py
        sleep 0.1
    """,
    "a chain of processes, each in a new session": """
        cat > chain.py <<'PYTHON'
        import os, time
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if os.fork(): os._exit(0)
            os.setsid()
        PYTHON
        python3 chain.py > /dev/null 2>&1 &
        sleep 0.1
        rm chain.py
    """,
    "a small fork bomb": """
        cat > bomb.sh <<'BOMB'
        trap "" TERM
        test $1 -gt 0 && for i in 1 2; do setsid sh bomb.sh $(($1 - 1)) > /dev/null 2>&1 & done
        sleep 600
        BOMB
        sh bomb.sh 6 > /dev/null 2>&1 &
        sleep 0.2
        rm bomb.sh
    """,
    "a process that adopts orphans and is stopped": """
        cat > adopt.py <<'PYTHON'
        import ctypes, os, signal, time
        if os.fork(): os._exit(0)
        os.setsid()
        ctypes.CDLL(None).prctl(36, 1)
        if not os.fork():
            os.setsid()
            if os.fork(): os._exit(0)
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(600)
        PYTHON
        python3 adopt.py > /dev/null 2>&1
        rm adopt.py
        sleep 0.05
    """,
    "a process in namespaces of its own": """
        setsid unshare -Urpf sh -c 'sleep 600 & sleep 600' > /dev/null 2>&1 &
        sleep 0.1
    """,
}


def hiding(name: str, script: str) -> list[Attack]:
    """The same, left by an agent and left by what is measured."""
    return [
        Attack(
            f"an agent leaves {name}", "to work on during the measurement", script, quick=name.startswith("a daemon")
        ),
        Attack(f"a candidate leaves {name}", "to work on during the next one", code=script, comes="within_noise"),
    ]


FIND_LOOP = """\
        for p in /proc/[0-9]*; do
            grep -q tests.attacks.stage $p/cmdline 2>/dev/null && test ${p#/proc/} != $$ && echo ${p#/proc/}
        done
"""
KILL = f"for p in $({FIND_LOOP}); do kill -STOP $p; kill -KILL $p; done 2>/dev/null\ntrue"
SIGNALS = "Landlock keeps signals in from version 6 on"

ATTACKS = (
    *(attack for name, script in HIDING.items() for attack in hiding(name, script)),
    Attack(
        "the loop is killed",
        "to end the run before it judges",
        KILL,
        comes=("no_candidate", "agent_failed"),
        open={"none": WITHOUT, "landlock<6": SIGNALS},
    ),
    Attack(
        "the loop is killed by a candidate",
        "to end the run before it judges",
        code=KILL,
        comes=("within_noise", "measurement_failed"),
        open={"none": WITHOUT, "landlock<6": SIGNALS},
    ),
    Attack(
        "the sandbox is killed",
        "to be left alone without it",
        "kill -STOP $PPID; kill -KILL $PPID; kill -HUP -- -$$; setsid sleep 600 &\ntrue",
        comes=("no_candidate", "agent_failed"),
        open={"none": WITHOUT, "landlock<6": SIGNALS},
    ),
    Attack(
        "the loop is traced",
        "to change its memory",
        f"""
        for p in $({FIND_LOOP}); do
            python3 -c 'import ctypes, sys; c = ctypes.CDLL(None); c.ptrace(16, int(sys.argv[1]), 0, 0) or open("traced", "w")' $p
            dd if=/dev/zero of=/proc/$p/mem bs=1 count=0 2>/dev/null && touch traced
            cat /proc/$p/maps > read 2>/dev/null && test -s read && mv read traced
        done
        rm -f read
        """,
        open={"none": WITHOUT},
    ),
    Attack(
        "the loop is limited",
        "to keep it from writing its journal",
        f"for p in $({FIND_LOOP}); do prlimit --pid $p --fsize=0 --nofile=1; done 2>/dev/null\ntrue",
        open={"none": WITHOUT, "landlock": "limits of the user's other processes are not of its rules"},
        needs=("prlimit",),
    ),
)
