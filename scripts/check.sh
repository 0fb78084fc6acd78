#!/bin/sh
# Format and lint, types, tests. `.ci/run` runs the same, and the tests that take long.
#
# Runs all three whatever the first says, names those that failed, and ends non-zero on any.
# Arguments go to tap: scripts/check.sh src/config/config.test.ts
set -u
cd "$(dirname "$0")/.."
scripts/setup || exit 1
PATH=$PWD/node_modules/.bin:$PATH
failed=

step() {
  name=$1
  shift
  echo "== $name" >&2
  "$@" || failed="$failed $name"
}

step lint biome ci
step types tsc
step tests npm test -- "$@"

if [ -n "$failed" ]; then
  echo "check failed:$failed" >&2
  exit 1
fi
