#!/bin/sh
# Compiles src into dist, which runs on plain Node 24 without the development packages:
# node dist/src/cli.js. The sql files, package.json and what browsers load go along, where the compiled
# code looks.
set -eu
cd "$(dirname "$0")/.."
rm -rf dist
node_modules/.bin/tsc -p scripts/tsconfig.build.json
cp -R sql package.json dist/
cp -R src/console/assets dist/src/console/
