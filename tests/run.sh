#!/bin/bash
# Runs all tests, and installs first what they need and is missing: as root on Debian and its descendants;
# elsewhere it says what to install. A test whose runner or reader is not there is then skipped by name;
# where CI is set it fails.
#
# usage: tests/run.sh [arguments for cargo nextest run, or for cargo test where there is no nextest]
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$(readlink -f "$0")")/setup/common.sh"
cd "$checkout"

# Commands and files that tests use, and the Debian packages that have them.
used='
    qemu-aarch64                   qemu-user
    qemu-x86_64                    qemu-user
    /usr/aarch64-linux-gnu/lib/libc.so.6  libc6-arm64-cross
    /usr/aarch64-linux-gnu/lib/Scrt1.o    libc6-dev-arm64-cross
    /usr/lib/wine/wine64           wine64
    qemu-system-x86_64             qemu-system-x86
    /usr/share/OVMF                ovmf
    qemu-system-aarch64            qemu-system-arm
    /usr/share/AAVMF               qemu-efi-aarch64
    clang                          clang
    llvm-mc                        llvm
    llvm-readobj                   llvm
    llvm-readobj-19                llvm-19
    readelf                        binutils
    lld-link-19                    lld-19
    /usr/lib/systemd/boot/efi      systemd-boot-efi
    musl-gcc                       musl-tools
    x86_64-w64-mingw32-ld          binutils-mingw-w64-x86-64
    /usr/x86_64-w64-mingw32/lib/crt2.o  mingw-w64-x86-64-dev
    /usr/lib/gcc/x86_64-w64-mingw32  gcc-mingw-w64-x86-64-win32-runtime
    /usr/lib/shim/shimx64.efi      shim-unsigned
    /usr/lib/shim/mmx64.efi.signed  shim-helpers-amd64-signed
    /usr/libexec/fwupd/efi         fwupd-unsigned
'
needed=()
while read -r name package; do
    [ -z "$name" ] || [ -e "$name" ] || command -v "$name" >/dev/null || needed+=("$package")
done <<<"$used"
if [ ${#needed[@]} -gt 0 ]; then
    # In a shell of its own: without root it says what to install, and tests go on without.
    (packages "${needed[@]}") || [ -z "${CI:-}" ]
fi

# part PACKAGE SCRIPT: adds a package's tests, if its script can prepare what they need.
parts=(--package minild)
part() {
    if "$2"; then
        parts+=(--package "$1")
    else
        say "left out: the tests of $1, which $2 could not prepare"
        [ -z "${CI:-}" ]
    fi
}
part small-macos tests/macos/setup.sh
if [[ " ${parts[*]} " == *' small-macos '* ]]; then
    # The macOS that the tests have, for programs of both architectures.
    cargo build --quiet --package small-macos
    small_macos=${CARGO_TARGET_DIR:-$checkout/target}/debug/small-macos
    export MINILD_RUNNER_X86_64_MACOS="$small_macos" MINILD_RUNNER_AARCH64_MACOS="$small_macos"
fi

# No package has a wine that runs Windows programs for arm64 here.
if "$setup/windows.sh"; then
    export MINILD_RUNNER_AARCH64_WINDOWS="$setup/run-windows-aarch64"
else
    [ -z "${CI:-}" ]
fi

if cargo nextest --version >/dev/null 2>&1; then
    # nextest leaves the examples in the documentation to cargo.
    cargo test --doc --package minild
    cargo nextest run --no-fail-fast "${parts[@]}" "$@"
else
    cargo test --no-fail-fast "${parts[@]}" "$@"
fi
