# The environment that wine runs in, the same when a prefix is made and when it is used.
# Sourced by bash, never run.

# wine_environment HOME: for the wine whose folder (see windows.sh) is HOME.
wine_environment() {
    export WINEPREFIX=$1/prefix WINESERVER=$1/wineserver
    # Wine's own complaints on stderr would mix with the program's.
    export WINEDEBUG=${WINEDEBUG--all}
    # No .NET, no browser, no entries in the desktop's menus; and a crash ends the program at
    # once, where the debugger would first take seconds to say where it was.
    export WINEDLLOVERRIDES='mscoree=;mshtml=;winemenubuilder.exe=;winedbg.exe='
    unset DISPLAY WAYLAND_DISPLAY WINEARCH WINELOADER WINEDLLPATH
}
