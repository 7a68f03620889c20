"""Which of two checkouts takes less processor time: one sample of each in turn, in an order that a coin decides.

python3 interleave.py CHECKOUT OTHER PAIRS
"""

import json
import random
import statistics
import subprocess
import sys

one, other, pairs = sys.argv[1], sys.argv[2], int(sys.argv[3])
chance = random.Random(0)


def sample(checkout: str) -> float:
    """Processor time in milliseconds, by the program's own measurement."""
    command = ["bash", "programs/index-docs/measure.sh"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["cpu_ms"])


taken: dict[str, list[float]] = {one: [], other: []}
for checkout in (one, other):
    sample(checkout)  # thrown away: it compiles the package
for _ in range(pairs):
    for checkout in chance.sample([one, other], 2):
        taken[checkout].append(sample(checkout))

gains = [1 - after / before for before, after in zip(taken[one], taken[other], strict=True)]
error = statistics.stdev(gains) / pairs**0.5
print(
    f"medians {statistics.median(taken[one]):.1f} and {statistics.median(taken[other]):.1f} ms;"
    f" gain {statistics.mean(gains):+.2%}, standard error {error:.2%},"
    f" {pairs} pairs, {sum(gain > 0 for gain in gains)} of them positive"
)
