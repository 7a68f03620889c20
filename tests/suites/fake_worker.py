"""A worker in small, for the tests of the pool: does what the instruction of its task says."""

import json
import os
import signal
import sys
import threading
import time


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def beat() -> None:
    while True:
        say(kind="beat")
        time.sleep(0.2)


def result(**fields: object) -> None:
    now = time.time()
    say(kind="result", result={"outcome": "pass", "reward": 1.0, "started": now, "seconds": 0.0, **fields})


def main() -> None:
    threading.Thread(target=beat, daemon=True).start()
    say(kind="ready")
    for line in sys.stdin:
        order = json.loads(line)
        say(kind="phase", phase="agent", text=order["task"]["id"])
        if order["profile"] == "gone":
            result(outcome="error", reward=None, failure_mode="not_signed_in", detail="no key")
            continue
        match order["task"]["steps"][0]["instruction"].split():
            case ["fail"]:
                result(outcome="fail", reward=0.0, failure_mode="wrong_result")
            case ["error"]:
                result(outcome="error", reward=None, failure_mode="malformed", detail="it broke")
            case ["gone"]:
                result(outcome="error", reward=None, failure_mode="not_signed_in", detail="no key")
            case ["die", once] if not os.path.exists(once):
                open(once, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            case ["freeze", once] if not os.path.exists(once):
                open(once, "w").close()
                os.kill(os.getpid(), signal.SIGSTOP)
            case ["limited", once, seconds] if not os.path.exists(once):
                open(once, "w").close()
                back = time.time() + float(seconds)
                result(outcome="error", reward=None, failure_mode="rate_limited", detail="slow down", retry_at=back)
            case ["wait", seconds]:
                time.sleep(float(seconds))
                result()
            case ["paced", seconds]:
                say(kind="paced", seconds=float(seconds))
                say(kind="phase", phase="paced")
                time.sleep(1)
                result()
            case _:
                result()


if __name__ == "__main__":
    main()
