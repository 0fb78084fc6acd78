#!/bin/sh
# Installs what scripts/test-programs.txt lists and the machine does not have. For Debian, as root.
set -eu
cd "$(dirname "$0")"
missing=
better=
while read -r program package or other; do
  case $program in '' | '#'*) continue ;; esac
  command -v "$program" >/dev/null && continue
  if [ "$or" = or ] && command -v "$other" >/dev/null; then
    better="$better $package"
  else
    missing="$missing $package"
  fi
done <test-programs.txt

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}
[ -z "$missing$better" ] && exit
apt-get update -qq || [ -z "$missing" ]
# shellcheck disable=SC2086 # one word a package
[ -z "$missing" ] || install $missing
# shellcheck disable=SC2086
[ -z "$better" ] || install $better || echo "without$better the tests take longer" >&2
