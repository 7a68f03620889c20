#!/usr/bin/env bash
# A third of the suite, tasks that fail with the kept prompt first: enough to see that a prompt is no better.
# measure.sh finds the results in .results, so no task is tried twice with the same seed.
set -euo pipefail

program="${AUTOLOOP_PROGRAM_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}"

exec autoloop bench "$program/suite" --model solver --iterations 1 --seed "${AUTOLOOP_SEED:-0}" --reuse .results --keep none --min-free-gb 0.5 --limit 6 ${AUTOLOOP_CASES:+--failing-first "$AUTOLOOP_CASES"} --json
