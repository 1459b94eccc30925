# The environment that wine runs in, the same when a prefix is made and when it is used.
# Sourced by bash, never run.
# shellcheck shell=bash

# wine_environment HOME: for the wine whose folder (see windows.sh) is HOME.
wine_environment() {
    export WINEPREFIX=$1/prefix WINESERVER=$1/wineserver
    # Wine's own complaints on stderr would mix with the program's.
    export WINEDEBUG=${WINEDEBUG--all}
    # No .NET, no browser, no entries in the desktop's menus, no desktop (explorer.exe); and a
    # crash ends the program at once, where the debugger would first take seconds over it.
    export WINEDLLOVERRIDES='mscoree=;mshtml=;winemenubuilder.exe=;explorer.exe=;winedbg.exe='
    unset DISPLAY WAYLAND_DISPLAY WINEARCH WINELOADER WINEDLLPATH
}

# end_wine HOME: ends whatever runs in that prefix, even where the server is gone or hangs.
end_wine() {
    local process
    for process in /proc/[0-9]*; do
        if grep -qszxF "WINEPREFIX=$1/prefix" "$process/environ"; then
            kill -9 "${process##*/}" 2>/dev/null || true
        fi
    done
}
