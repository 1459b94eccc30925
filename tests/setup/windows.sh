#!/bin/bash
# Prepares what runs Windows programs for arm64 on Linux for x86-64, where no package does it: Debian's wine
# for arm64 under qemu-aarch64. Quick when all is there. (What wine runs without that, minild finds itself.)
#
# Makes a folder windows-aarch64 (see common.sh for where) with
#   wine, wineserver   start it
#   prefix             the wine prefix, used by nothing but the runner, run-windows-aarch64
#   ready              what the folder was made from; written last
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"

# Raise it when a folder made by an older version of this script would no longer do.
recipe=1

# Wine 10 hangs under qemu-aarch64 (7.2 and 10.0); Debian 12's wine 8 does not.
release=bookworm
# Without libfreetype6 on purpose: with it, explorer.exe starts itself over and over, hundreds of times.
packages_of_wine=(wine64 libwine libc6 libgcc-s1 liblzma5 libunwind8)

# launcher FILE COMMAND…: writes a script that runs COMMAND with the arguments added.
launcher() {
    local file=$1
    shift
    { printf '#!/bin/sh\nexec'; printf ' %q' "$@"; printf ' "$@"\n'; } >"$file"
    chmod +x "$file"
}

# A package tree for arm64 beside the system's own. apt gets a state of its own, so that
# neither dpkg's foreign architectures nor the system's package lists change.
install_wine() {
    local root=$wine_home/root apt=$wine_home/apt mirror
    # The mirror is the one that this machine's own Debian packages come from.
    # shellcheck disable=SC2016 # apt puts these in
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null \
        | sed -n 's/^Debian //p' | grep -v security | head -n 1)
    [ -n "$mirror" ] \
        || die "needs an apt source of Debian $release (arm64): ${packages_of_wine[*]}"
    mkdir -p "$apt"/{lists/partial,cache/archives/partial,packages} "$root"
    : >"$apt/status"
    echo "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" \
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
    say "downloading arm64 packages: ${packages_of_wine[*]}"
    APT_CONFIG=$apt/apt.conf apt-get update --quiet --quiet >&2
    (cd "$apt/packages" && APT_CONFIG=$apt/apt.conf apt-get download --quiet --quiet "${packages_of_wine[@]}" >&2)
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
    launcher "$wine_home/wine" "$wine/wine64"
    launcher "$wine_home/wineserver" "$wine/wineserver"
}

# Ends whatever runs in the prefix, even where the server is gone or hangs.
end_wine() {
    local process
    for process in /proc/[0-9]*; do
        if grep -qszxF "WINEPREFIX=$WINEPREFIX" "$process/environ"; then
            kill -9 "${process##*/}" 2>/dev/null || true
        fi
    done
}

wine_environment
packages qemu-user
made_from="recipe $recipe, wine of $release, in $wine_home"
locked "$wine_home.lock"
[ "$(cat "$wine_home/ready" 2>/dev/null)" != "$made_from" ] || exit 0
end_wine
rm -rf "$wine_home"
mkdir -p "$wine_home"
install_wine
say "making the wine prefix"
# Wine's services outlive wineboot and would keep an inherited pipe, or the lock, open.
if ! timeout --kill-after=5 300 "$wine_home/wine" wineboot --init >"$wine_home/wineboot.log" 2>&1 </dev/null 9>&-; then
    end_wine
    die "wineboot failed: $(cat "$wine_home/wineboot.log")"
fi
# The registry is written when the server ends; until then the prefix is not whole.
timeout 60 "$wine_home/wineserver" --wait >/dev/null 2>&1 </dev/null 9>&- \
    || { end_wine; die "the wineserver did not end"; }
echo "$made_from" >"$wine_home/ready"
