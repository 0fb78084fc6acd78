#!/bin/sh
# Installs what scripts/test-programs.txt lists and the machine does not have. For Debian, as root.
set -eu
cd "$(dirname "$0")"
packages=
while read -r program package _; do
  case $program in '' | '#'*) continue ;; esac
  command -v "$program" >/dev/null || packages="$packages $package"
done <test-programs.txt
[ -z "$packages" ] && exit
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # one word a package
apt-get install -y -qq --no-install-recommends $packages
