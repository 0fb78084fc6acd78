#!/bin/sh
# `npm test`: the tests that scripts/test-groups.ts lists, most of which share a process, or the files that are given.
# Arguments are tap's.
#
# Its whole output stays in .tap/run.tap: from there scripts/not-run.ts tells afterwards what was skipped, and
# scripts/test-times.ts what took the time.
set -eu
cd "$(dirname "$0")/.."

while read -r program package is_needed; do
  if [ "$is_needed" = needed ] && ! command -v "$program" >/dev/null; then
    echo "npm test: $program is needed: apt-get install $package" >&2
    exit 1
  fi
done <scripts/test-programs.txt

PATH=$(scripts/test-path.sh)
# Without it each process compiles some 400 modules before it starts, which is half of what that takes.
export PATH NODE_COMPILE_CACHE="$PWD/.tap/compile-cache"

all=yes
for argument; do
  if [ -e "$argument" ]; then all=; fi
done
# shellcheck disable=SC2046 # one word a file
if [ "$all" ]; then set -- "$@" $(node scripts/test-groups.ts); fi
_TAPJS_PROCESSINFO_COVERAGE_=0 exec tap --output-file=.tap/run.tap "$@"
