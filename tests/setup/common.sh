# What the setup scripts and the runners share: where things are kept, how packages get
# installed, how messages look. Sourced by bash, never run.
#
#   MINILD_RUNNERS   folder that everything not from a Debian package is kept in
#                    (default: runners/ in cargo's target folder, so `cargo clean` removes it)
# shellcheck shell=bash

setup=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
checkout=$(readlink -f "$setup/../..")
runners=${MINILD_RUNNERS:-${CARGO_TARGET_DIR:-$checkout/target}/runners}
self=${0##*/}

say() {
    printf '%s: %s\n' "$self" "$*" >&2
}

# Status 125 is "the runner itself failed", as timeout(1) and env(1) use it: no program was run.
die() {
    say "$@"
    exit 125
}

# packages NAME…: installs those Debian packages that are missing, or says which they are.
packages() {
    local package missing=()
    for package in "$@"; do
        dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed \
            || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null \
        || die "needs what Debian calls ${missing[*]}: install it with this system's package manager"
    [ "$(id -u)" -eq 0 ] \
        || die "as root: apt-get install --no-install-recommends ${missing[*]}"
    say "installing ${missing[*]}"
    # Recommended packages of qemu conflict on some images, and nothing here wants them.
    local install=(apt-get install --yes --quiet --no-install-recommends)
    export DEBIAN_FRONTEND=noninteractive
    "${install[@]}" "${missing[@]}" >&2 </dev/null && return
    # The index may be missing, or name versions that the mirror has no more.
    apt-get update --quiet >&2 </dev/null || say "apt-get update had errors, going on"
    "${install[@]}" "${missing[@]}" >&2 </dev/null || die "could not install ${missing[*]}"
}

# locked FILE: keeps a second setup of the same folder waiting until this one has ended.
locked() {
    mkdir -p "$(dirname "$1")"
    exec 9>"$1"
    flock 9
}

# wine_environment: where the wine for arm64 is (windows.sh), and the environment that it runs in, the same when
# its prefix is made and when it is used.
wine_environment() {
    wine_home=$runners/windows-aarch64
    export WINEPREFIX=$wine_home/prefix WINESERVER=$wine_home/wineserver
    # Wine's own complaints on stderr would mix with the program's.
    export WINEDEBUG=${WINEDEBUG--all}
    # No .NET, no browser, no entries in the desktop's menus, no desktop (explorer.exe); and a
    # crash ends the program at once, where the debugger would first take seconds over it.
    export WINEDLLOVERRIDES='mscoree=;mshtml=;winemenubuilder.exe=;explorer.exe=;winedbg.exe='
    unset DISPLAY WAYLAND_DISPLAY WINEARCH WINELOADER WINEDLLPATH
}
