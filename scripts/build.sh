#!/bin/sh
# Compiles src into dist, which runs on plain Node 24 without the development packages:
# node dist/src/cli.js. The sql files, package.json and what browsers load go along, where the compiled
# code looks. Types are not checked again: `npm run check` does that, in ten times as long.
set -eu
cd "$(dirname "$0")/.."
rm -rf dist
node_modules/.bin/tsc -p scripts/tsconfig.build.json
cp -R sql package.json dist/
cp -R src/console/assets dist/src/console/
mkdir dist/src/http/viewer
cp node_modules/@scalar/api-reference/dist/browser/standalone.js dist/src/http/viewer/viewer.js
cp node_modules/@scalar/api-reference/dist/style.css dist/src/http/viewer/viewer.css
echo 'viewer.js and viewer.css are from @scalar/api-reference, MIT License, https://github.com/scalar/scalar' >dist/src/http/viewer/NOTICE
