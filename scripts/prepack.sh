#!/bin/sh
# Makes what the npm package holds, before `npm pack`: the compiled program, the types of what may be imported
# from it, and its command.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh
node_modules/.bin/tsc -p scripts/tsconfig.types.json
cp scripts/bin.js dist/bin.js
chmod +x dist/bin.js
