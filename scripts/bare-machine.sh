#!/bin/sh
# Runs .ci/run, or a given command, in a root file system that has what a bare Debian 12 has, Node and npm, and nothing else.
#
#     scripts/bare-machine.sh [commit [command …]]
#     scripts/bare-machine.sh HEAD bash -c 'scripts/install-test-programs.sh && scripts/setup && npx tap src/ids.test.ts'
#
# For those who change what the tests need: a machine that already has a program hides that nobody installs it.
# By hand, as root, on a Debian with debootstrap; it takes as long as .ci/run, and some minutes and 4 GB for the
# system. Node and npm are this machine's, as is the way to the package registries. Everything is in a folder
# below /var/tmp that is removed at the end; KEEP=1 leaves it, and says where it is.
set -eu
cd "$(dirname "$0")/.."
commit=$(git rev-parse --verify "${1:-HEAD}^{commit}")
if [ $# -gt 1 ]; then shift; else set -- .ci/run; fi
# Where this machine's own packages come from.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)}
root=$(mktemp -d --tmpdir=/var/tmp)

finish() {
  # In the order in which they are below each other.
  for folder in dev/shm dev/pts dev sys proc; do
    if mountpoint -q "$root/$folder"; then umount -l "$root/$folder"; fi
  done
  if [ "${KEEP:-0}" = 1 ]; then echo "kept $root"; else rm -rf --one-file-system "$root"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

chmod 755 "$root"
debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "$mirror"

# Node and npm, wherever they are here, by the names that they have there.
node=$(readlink -f "$(command -v node)")
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
mkdir -p "$root/usr/local/lib/node_modules"
cp "$node" "$root/usr/local/bin/node"
cp -R "$npm" "$root/usr/local/lib/node_modules/npm"
for name in npm npx; do
  ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$root/usr/local/bin/$name"
done

# How this machine reaches the registries: proxies, certificates, apt's sources.
for file in /etc/resolv.conf /etc/hosts /etc/npmrc /usr/local/etc/npmrc "$HOME/.npmrc" /etc/pip.conf \
  /etc/apt/apt.conf.d /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/trusted.gpg.d \
  /usr/local/share/ca-certificates /etc/ssl/certs; do
  [ -e "$file" ] || continue
  mkdir -p "$root/$(dirname "$file")"
  cp -RL "$file" "$root/$(dirname "$file")/" 2>/dev/null || true
done

mkdir -p "$root/src"
git archive "$commit" | tar -x -C "$root/src"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"

status=0
env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
  ${no_proxy:+no_proxy="$no_proxy"} ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS"} \
  ${npm_config_registry:+npm_config_registry="$npm_config_registry"} \
  chroot "$root" sh -c 'cd /src && exec "$@"' sh "$@" </dev/null || status=$?
exit $status
