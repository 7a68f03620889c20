#!/usr/bin/env bash
# The share of the suite's tasks that the solver does with this prompt. By hand, from the project's root:
#   bash programs/prompt-tuning/measure.sh
set -euo pipefail

program="${AUTOLOOP_PROGRAM_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}"

exec autoloop bench "$program/suite" --model solver --iterations 1 --seed "${AUTOLOOP_SEED:-0}" --reuse .results --keep none --min-free-gb 0.5 --json
