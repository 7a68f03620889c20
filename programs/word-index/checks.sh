#!/usr/bin/env bash
# Is the index still right? By hand, from the project's root:  bash programs/word-index/checks.sh
set -euo pipefail

program="${AUTOLOOP_PROGRAM_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}"

exec python3 -E -s -S -B "$program/checks.py"
