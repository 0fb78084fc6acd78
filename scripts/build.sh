#!/bin/sh
# Compiles src into dist, which runs on plain Node 24 without the development packages:
# node dist/src/cli.js. The sql files and package.json go along, where the compiled code looks.
set -eu
cd "$(dirname "$0")/.."
rm -rf dist
node_modules/.bin/tsc -p scripts/tsconfig.build.json
cp -R sql package.json dist/
