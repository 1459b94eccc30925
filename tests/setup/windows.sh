#!/bin/bash
# Prepares what runs Windows programs on Linux: wine for x86-64, and wine for arm64 under
# qemu-aarch64. Quick when all is there.
#
# usage: windows.sh [x86_64] [aarch64]      default: both
#
# Each architecture gets a folder windows-ARCH (see common.sh for where) with
#   wine, wineserver   start that architecture's wine
#   prefix             the wine prefix, used by nothing but the runners
#   ready              what the folder was made from; written last
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/common.sh"
. "$setup/wine.sh"

# Raise it when a folder made by an older version of this script would no longer do.
recipe=1

# Wine 10 hangs under qemu-aarch64 (7.2 and 10.0); Debian 12's wine 8 does not.
arm64_release=bookworm
# Without libfreetype6 on purpose: with it, explorer.exe starts itself over and over, hundreds of times.
arm64_packages=(wine64 libwine libc6 libgcc-s1 liblzma5 libunwind8)

# launcher FILE COMMAND…: writes a script that runs COMMAND with the arguments added.
launcher() {
    local file=$1
    shift
    { printf '#!/bin/sh\nexec'; printf ' %q' "$@"; printf ' "$@"\n'; } >"$file"
    chmod +x "$file"
}

install_x86_64() {
    local home=$1
    launcher "$home/wine" /usr/lib/wine/wine64
    launcher "$home/wineserver" /usr/lib/wine/wineserver64
}

# A package tree for arm64 beside the system's own. apt gets a state of its own, so that
# neither dpkg's foreign architectures nor the system's package lists change.
install_aarch64() {
    local home=$1 root=$1/root apt=$1/apt mirror
    # The mirror is the one that this machine's own Debian packages come from.
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null \
        | sed -n 's/^Debian //p' | grep -v security | head -n 1)
    [ -n "$mirror" ] \
        || die "needs an apt source of Debian $arm64_release (arm64): ${arm64_packages[*]}"
    mkdir -p "$apt"/{lists/partial,cache/archives/partial,packages} "$root"
    : >"$apt/status"
    echo "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $arm64_release main" \
        >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$apt/lists";
Dir::State::Status "$apt/status";
Dir::Cache "$apt/cache";
CONF
    say "downloading arm64 packages: ${arm64_packages[*]}"
    APT_CONFIG=$apt/apt.conf apt-get update --quiet --quiet >&2
    (cd "$apt/packages" && APT_CONFIG=$apt/apt.conf apt-get download --quiet --quiet "${arm64_packages[@]}" >&2)
    local package
    for package in "$apt"/packages/*.deb; do
        dpkg-deb --extract "$package" "$root"
    done
    rm -rf "$apt"

    local wine=$root/usr/lib/wine
    # Wine starts itself again for each new process. Without binfmt_misc the kernel cannot run an
    # arm64 file, so a script stands in its place; argv[0] (-0) tells wine where it is installed.
    # Libraries are found through -L; LD_LIBRARY_PATH would reach the programs.
    mv "$wine/wine64" "$wine/wine64.real"
    launcher "$wine/wine64" env WINELOADERNOEXEC=1 qemu-aarch64 -0 "$wine/wine64" -L "$root" \
        "$wine/wine64.real"
    launcher "$wine/wineserver" qemu-aarch64 -L "$root" "$wine/wineserver64"
    launcher "$home/wine" "$wine/wine64"
    launcher "$home/wineserver" "$wine/wineserver"
}

prepare() {
    local arch=$1 home=$runners/windows-$1 made_from
    case $arch in
        x86_64) packages wine64; made_from="recipe $recipe, wine $(dpkg-query -Wf '${Version}' wine64)" ;;
        aarch64) packages qemu-user; made_from="recipe $recipe, wine of $arm64_release, in $home" ;;
        *) die "unknown architecture '$arch': x86_64 or aarch64" ;;
    esac
    locked "$home.lock"
    if [ "$(cat "$home/ready" 2>/dev/null)" != "$made_from" ]; then
        end_wine "$home"
        rm -rf "$home"
        mkdir -p "$home"
        "install_$arch" "$home"
        say "making the $arch wine prefix"
        wine_environment "$home"
        # Wine's services outlive wineboot and would keep an inherited pipe, or the lock, open.
        if ! timeout --kill-after=5 120 "$home/wine" wineboot --init >"$home/wineboot.log" 2>&1 </dev/null 9>&-; then
            end_wine "$home"
            die "wineboot failed: $(cat "$home/wineboot.log")"
        fi
        # The registry is written when the server ends; until then the prefix is not whole.
        timeout 60 "$home/wineserver" --wait >/dev/null 2>&1 </dev/null 9>&- \
            || { end_wine "$home"; die "the $arch wineserver did not end"; }
        echo "$made_from" >"$home/ready"
    fi
    exec 9>&-
}

if [ $# -eq 0 ]; then
    set -- x86_64 aarch64
fi
for arch in "$@"; do
    prepare "$arch"
done
