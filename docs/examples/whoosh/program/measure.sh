#!/usr/bin/env bash
# Processor time of indexing and searching Whoosh's own manual. By hand, from the repository's root:
#   bash programs/index-docs/measure.sh
set -euo pipefail

program="${AUTOLOOP_PROGRAM_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}"
unset PYTHONDONTWRITEBYTECODE

# Isolated from the tree: a json.py in it cannot take the place of the real one.
exec python3 -I -B "$program/measure.py"
