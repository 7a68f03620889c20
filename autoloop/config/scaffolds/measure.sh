#!/usr/bin/env bash
# Measures @WHAT@, and prints it as one JSON line.
#
# autoloop runs this several times with the tree under test as working directory, from a sealed copy.
# Try it by hand from the repository's root: bash @DIRECTORY@/measure.sh
#
# What makes a good measurement:
# - The same code gives nearly the same number. A sample of one to a few seconds, made of repeated
#   runs, varies far less than a single short one.
# - It depends on the files that may be changed, and fails when they are broken.
# - Nothing that is measured can print the number: its output goes to /dev/null.
# - Anything but a result is a non-zero exit.
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE # without cached bytecode, every run would compile its imports again
@SETUP@
# TODO: put the command here whose time matters to you, and in RUNS how often one sample runs it.
COMMAND=(@COMMAND@)
RUNS=@RUNS@

# -I: the clock runs apart from the tree, so that no file in it can take its place.
@PYTHON@ -I - "$RUNS" "${COMMAND[@]}" <<'PYTHON'
import json
import subprocess
import sys
import time

runs, command = int(sys.argv[1]), sys.argv[2:]


def milliseconds():
    began = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    took = 1000 * (time.perf_counter() - began)
    if done.returncode != 0:
        sys.exit(f"{command} ended with {done.returncode}")
    return took


milliseconds()  # thrown away: it fills caches
# The fastest run: whatever else the machine does only ever adds time.
print(json.dumps({"@METRIC@": round(min(milliseconds() for _ in range(runs)), 3)}))
PYTHON
