"""What one sample leaves for the next: caches, scratch, memory and other channels that outlive a command."""

from tests.attacks.attack import Attack

STEPS = """\
read -r _ _ x < code.py
steps=$(sh run.sh 2>/dev/null | grep -c step)
echo METRIC ms=$((x + steps))
"""
"""Counts the work that the code says it does: 300 steps."""
WORK = "i=0; while [ $i -lt 300 ]; do echo step; i=$((i+1)); done"
LANDLOCK = "it is of no file, and Landlock's rules are of files"


def warming(place: str, known: str, remember: str, **fields: object) -> Attack:
    """Work that is done once, so that the second sample finds it done."""
    settings: dict[str, object] = {"warmup": 1}
    return Attack(
        f"a cache in {place}",
        "the first sample does the work of those that follow",
        f"cat > run.sh <<'RUN'\n{known} && exit\n{WORK}\n{remember}\nRUN\n",
        measure=STEPS,
        files={"run.sh": f"{WORK}\n"},
        baseline=400,
        later=(("within_noise", 400), ("improved", 390)),
        **{"comes": "within_noise", "config": settings, **fields},  # type: ignore[arg-type]
    )


ATTACKS = (
    warming("the tree", "test -f warm.log", "touch warm.log", quick=True),
    warming("a tracked file", "grep -q warm lib/part.txt", "echo warm > lib/part.txt"),
    warming("the git directory", "git config warm.up", "git config warm.up yes"),
    warming(
        "the home",
        "test -f ~/warm",
        "touch ~/warm",
        open={"none": "the home of a measurement is the user's own"},
        shown=True,
    ),
    warming("/tmp", "test -f /tmp/@MARK@.warm", "touch /tmp/@MARK@.warm", open={"none": "/tmp is everybody's"}),
    warming(
        "shared memory",
        "test -f /dev/shm/@MARK@.warm",
        "touch /dev/shm/@MARK@.warm",
        open={"none": "/dev/shm is everybody's", "landlock": "semaphores need /dev/shm, which is everybody's"},
    ),
    warming(
        "a kept cache",
        "test -f cache/warm",
        "mkdir -p cache; touch cache/warm",
        config={"warmup": 1, "cache_paths": ["cache"]},
        quick=True,
    ),
    warming(
        "the place beside the tree",
        "test -f ../warm",
        "touch ../warm",
        open={"none": "what is the user's can be written"},
        shown=True,
    ),
    warming(
        "the place beside the sample",
        'test -f "$AUTOLOOP_SAMPLE_DIR/../warm"',
        'touch "$AUTOLOOP_SAMPLE_DIR/../warm"',
        open={"none": "what is the user's can be written"},
        shown=True,
    ),
    warming(
        "attributes of the tree's directories",
        'python3 -c \'import os; os.getxattr(".", "user.warm")\'',
        'for place in . lib golden; do python3 -c \'import os, sys; os.setxattr(sys.argv[1], "user.warm", b"yes")\' $place; done',
    ),
    warming("the time of a directory", "test $(stat -c %Y lib) = 77", "touch -d @77 lib golden .", quick=True),
    warming("attributes of a tracked file", "test $(stat -c %Y lib/part.txt) = 77", "touch -d @77 lib/part.txt"),
    warming(
        "a process that listens",
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"\\0@MARK@\")'",
        "setsid python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.bind(\"\\0@MARK@\"); s.listen(); time.sleep(99)' > /dev/null &\nsleep 0.1",
    ),
    warming(
        "a message queue",
        "ipcs -q | grep -q 0x0000a770",
        "python3 -c 'import ctypes; ctypes.CDLL(None).msgget(0xa770, 0o1666)'",
        open={"none": "queues of System V are everybody's", "landlock": LANDLOCK},
        needs=("ipcs",),
    ),
    warming(
        "a keyring of the kernel",
        "grep -q @MARK@ /proc/keys",
        'python3 -c \'import ctypes; ctypes.CDLL(None).syscall(248, b"user", b"@MARK@", b"x", 1, -4)\'',
        open={"none": "keyrings are everybody's"},
    ),
)
