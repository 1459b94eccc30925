//! wine: runs Windows programs of this machine's own architecture. Takes the program; gives the command that
//! starts it, in a wine prefix that is made first where there is none.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::{Ending, watched};

/// What wine is called. Where both exist, the second also runs 32-bit programs and is slower to start;
/// Debian's package for 64-bit programs alone puts nothing on the path.
const NAMES: &[&str] = &["wine64", "/usr/lib/wine/wine64", "wine"];

/// No .NET, no browser, no entries in the desktop's menus, no desktop; and a crash ends the program at once,
/// where the debugger would first take seconds over it.
const OVERRIDES: &str = "mscoree=;mshtml=;winemenubuilder.exe=;explorer.exe=;winedbg.exe=";

/// How long making a prefix may take: 10 to 20 seconds where nothing else runs.
const PREPARATION_LIMIT: Duration = Duration::from_mins(5);

/// wine, if it is here.
pub(super) fn find() -> Option<PathBuf> {
    NAMES.iter().find_map(|name| which::which(name).ok())
}

/// The command that runs Windows programs; the file and its arguments are to be added.
pub(super) fn command(wine: &Path) -> io::Result<Command> {
    let prefix = prefix()?;
    prepare(wine, &prefix)?;
    Ok(bare(wine, &prefix))
}

fn bare(wine: &Path, prefix: &Path) -> Command {
    let mut command = Command::new(wine);
    command.env("WINEPREFIX", prefix).env("WINEDLLOVERRIDES", OVERRIDES);
    // Wine's own complaints would mix with the program's.
    if std::env::var_os("WINEDEBUG").is_none() {
        command.env("WINEDEBUG", "-all");
    }
    // A program with a window would wait for somebody.
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command
}

/// The folder of wine's registry and drives: the user's choice, or one that nothing but minild uses.
fn prefix() -> io::Result<PathBuf> {
    let folder = |variable| std::env::var_os(variable).filter(|value| !value.is_empty());
    if let Some(chosen) = folder("WINEPREFIX") {
        return std::path::absolute(chosen);
    }
    let cache = folder("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(folder("HOME")?).join(".cache")));
    let cache = cache.ok_or_else(|| {
        io::Error::other("there is no home folder to keep wine's files in: set WINEPREFIX")
    })?;
    Ok(cache.join("minild/wine"))
}

/// Makes the prefix, once: it is whole as soon as its registry is written.
fn prepare(wine: &Path, prefix: &Path) -> io::Result<()> {
    let registry = prefix.join("system.reg");
    if registry.exists() {
        return Ok(());
    }
    fs::create_dir_all(prefix)?;
    let lock = File::create(prefix.with_added_extension("lock"))?;
    lock.lock()?;
    if registry.exists() {
        return Ok(());
    }
    let started = Instant::now();
    let mut command = bare(wine, prefix);
    command.args(["wineboot", "--init"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let ending =
        watched(&mut command, Some(PREPARATION_LIMIT), || Ok(std::ops::ControlFlow::Continue(())))?;
    // The server writes it when its last client is gone, some seconds later.
    while ending == Ending::Exit(0) && started.elapsed() < PREPARATION_LIMIT {
        if registry.exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let message = format!("wineboot, which is to make {}, {ending}", prefix.display());
    Err(io::Error::other(message))
}
