#!/usr/bin/env bash
# Processor time of indexing eighty documents. By hand, from the project's root:
#   bash programs/word-index/measure.sh
set -euo pipefail

program="${AUTOLOOP_PROGRAM_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}"
unset PYTHONDONTWRITEBYTECODE

# Imports come from the script's own directory: a json.py in the tree cannot take the place of the real one.
exec python3 -E -s -S -B "$program/measure.py"
