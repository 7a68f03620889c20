#!/bin/sh
# Stands in for a coding agent: experiment N applies the Nth prepared patch and prints its notes.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
patch="$(ls "$here"/patches/*.patch | sed -n "${AUTOLOOP_EXPERIMENT}p")"
[ -n "$patch" ] || { echo "no patch for experiment $AUTOLOOP_EXPERIMENT"; exit 0; }
sed '/^diff --git/,$d' "$patch"
git apply -C1 "$patch"
