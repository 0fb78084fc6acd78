#!/bin/sh
# Measures what docs/explanation/performance.md and docs/explanation/scaling.md state, one program after the other: a file of JSON lines each.
#
#     scripts/bench/measure-docs.sh [folder] [folder of another system, as peers.ts takes it]
#     BEFORE=<commit> measures the cost of a synchronous standby at that commit as well
#
# On a machine that does nothing else, for about two hours. The server is Debian's where it is installed; each line
# says which it was.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-figures-$(git rev-parse --short HEAD)}
peer=${2:-}
scripts/setup
node=$PWD/node_modules/.bin/node
mkdir -p "$out"

measure() {
  name=$1
  program=$2
  shift 2
  echo "$name: $program $*" >&2
  "$node" "scripts/bench/$program" "$@" >"$out/$name.jsonl"
}

if [ -n "$peer" ]; then
  measure peers peers.ts --peers "$peer" --rounds 2 --trials throughput,latency,slow --events 6000 --seconds 12
fi
measure load latency.ts --rates 50,100,200,400,800,1600 --seconds 6 --svg "$out/load"
measure throughput throughput.ts --events 4000
measure scaling scaling.ts --runners 1,2,4 --concurrency 10 --events 10000
measure batch batch.ts
measure slow-receivers slow-receivers.ts
if [ -n "${BEFORE:-}" ]; then
  measure standby standby.ts "$BEFORE" --rounds 2
fi
measure neighbour neighbour.ts
measure filters filters.ts
measure console console.ts
measure backlog-endpoints backlog.ts --scale 0.1
measure backlog backlog.ts --scale 1 --events 10000 --rounds 2 --cases empty,stored,scheduled
measure memory memory.ts --minutes 10 --rate 300
