#!/bin/bash
# Prepares what runs UEFI applications on Linux: qemu with Debian's firmware (OVMF for x86-64,
# AAVMF for arm64), and the boot application that starts images one after the other.
# Quick when all is there.
#
# usage: uefi.sh [x86_64] [aarch64]      default: both
#
# Makes boot-ARCH.efi in the folder uefi (see common.sh for where) from boot.toml.
#   MINILD   the minild that builds it (default: this checkout's, by way of cargo run)
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/common.sh"

prepare() {
    local arch=$1 boot=$runners/uefi/boot-$1.efi
    case $arch in
        x86_64) packages qemu-system-x86 ovmf ;;
        aarch64) packages qemu-system-arm qemu-efi-aarch64 ;;
        *) die "unknown architecture '$arch': x86_64 or aarch64" ;;
    esac
    locked "$runners/uefi.lock"
    if [ "$setup/boot.toml" -nt "$boot" ]; then
        mkdir -p "$runners/uefi"
        say "building ${boot##*/}"
        "${minild[@]}" build "$setup/boot.toml" --target "$arch-uefi" -o "$boot" >&2 9>&- \
            || die "could not build the boot application"
    fi
    exec 9>&-
}

if [ -n "${MINILD:-}" ]; then
    minild=("$MINILD")
else
    minild=(cargo run --quiet --manifest-path "$checkout/Cargo.toml" --)
fi
if [ $# -eq 0 ]; then
    set -- x86_64 aarch64
fi
for arch in "$@"; do
    prepare "$arch"
done
