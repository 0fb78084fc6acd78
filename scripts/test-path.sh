#!/bin/sh
# Prints the PATH that tests run with: links to what is in every Debian, to Node and npm, and to what
# scripts/install-test-programs.sh installs. A test that starts anything else fails where it is written, instead
# of on the next bare machine. Elsewhere than on Debian it is the PATH as it is. The links are made in the
# given folder, or in .tap.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
list=$root/scripts/test-programs.txt

if ! command -v dpkg-query >/dev/null; then
  echo "$root/node_modules/.bin:$PATH"
  exit
fi

programs=${1:-$root/.tap/programs-$(cksum <"$list" | tr ' ' -)}
mkdir -p "$programs"
bare=$(dpkg-query --show --showformat '${Package} ${Essential}\n' | sed -n 's/ yes$//p')
# shellcheck disable=SC2086 # one word a package
dpkg-query --listfiles $bare passwd | grep -E '^(/usr)?/s?bin/[^/]+$' | xargs ln -sft "$programs"
for program in awk node npm npx $(sed '/^#/d; s/ .* or / /; t; s/ .*//' "$list"); do
  path=$(command -v "$program") || continue
  # Where the PATH leads here already, it is what was linked before.
  if [ ! "$path" -ef "$programs/$program" ]; then ln -sf "$path" "$programs"; fi
done
echo "$root/node_modules/.bin:$programs"
