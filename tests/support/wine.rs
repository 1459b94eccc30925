//! wine, for tests that run Windows programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use libtest_mimic::Failed;

use crate::runners::minild;

/// wine, in the prefix that minild made for itself.
pub(crate) fn wine() -> Result<Command, Failed> {
    static MADE: OnceLock<Result<(), String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/hello.toml");
        let mut command = minild();
        command.args(["run", sample, "--target", "x86_64-windows"]);
        let output = command.output().map_err(|error| error.to_string())?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        (output.status.code() == Some(42)).then_some(()).ok_or_else(|| stderr.into_owned())
    });
    made.clone()?;
    let names = ["wine64", "/usr/lib/wine/wine64", "wine"];
    let found = names.iter().find(|name| Command::new(name).arg("--version").output().is_ok());
    let mut command = Command::new(found.ok_or("no wine")?);
    let folder = |variable| std::env::var_os(variable).filter(|value| !value.is_empty());
    let prefix = match (folder("WINEPREFIX"), folder("XDG_CACHE_HOME"), folder("HOME")) {
        (Some(chosen), ..) => PathBuf::from(chosen),
        (None, Some(cache), _) => Path::new(&cache).join("minild/wine"),
        (None, None, home) => Path::new(&home.ok_or("no HOME")?).join(".cache/minild/wine"),
    };
    command.env("WINEPREFIX", prefix).env("WINEDEBUG", "-all");
    command.env(
        "WINEDLLOVERRIDES",
        "mscoree=;mshtml=;winemenubuilder.exe=;explorer.exe=;winedbg.exe=",
    );
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    Ok(command)
}
