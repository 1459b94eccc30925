#!/bin/sh
# Installs what the small macOS needs from Debian: cmake, pkg-config and libclang for the crate unicorn-engine (which
# builds unicorn's C), clang, lld 19 and llvm for its tests. Lld 19, because older ones write no chained fixups for Intel.
set -eu

packages='cmake make g++ pkg-config libclang-dev clang llvm lld-19'

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests/macos/setup.sh: please install:$missing (names of Debian's packages)" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
    apt-get update >/dev/null
    apt-get install -y --no-install-recommends $missing
}
