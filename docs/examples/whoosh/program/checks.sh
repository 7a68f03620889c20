#!/usr/bin/env bash
# Does it still find the same, and do its own tests pass? By hand: bash programs/index-docs/checks.sh
set -euo pipefail

program="${AUTOLOOP_PROGRAM_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
unset PYTHONDONTWRITEBYTECODE

# What the release found, score by score.
python3 -E -s "$program/worker.py" "$scratch/index" "$scratch/found.json"
cmp "$scratch/found.json" "$program/expected.json"

# Its own tests; their settings come from nowhere in the tree, and their files go where nobody else's are.
TMPDIR="$scratch" PYTHONPATH=src python3 -W ignore -m pytest -q --no-header --tb=line -x -p no:cacheprovider -c /dev/null --rootdir . \
    tests/test_analysis.py tests/test_codecs.py tests/test_columns.py tests/test_indexing.py tests/test_matching.py \
    tests/test_postings.py tests/test_queries.py tests/test_reading.py tests/test_searching.py tests/test_tables.py \
    tests/test_writing.py >&2
