//! The small macOS's fixtures, as clang and ld64.lld make them: what a program of another linker looks like that
//! has all that dyld does, and is known to run.

use std::fs;
use std::path::Path;
use std::process::Command;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/macos/tests/fixtures");
const LINKER: &str = "ld64.lld-19";

/// What the library of the fixtures is called by those that need it.
const LIBRARY: &str = "@executable_path/libgreet.dylib";

/// Ways to write what dyld fixes up, and the options that choose them.
pub(crate) const ENCODINGS: [(&str, &str); 2] =
    [("chained", "-fixup_chains"), ("opcodes", "-no_fixup_chains")];

/// Makes `libgreet.dylib` and the program `rich`, which needs it, in a folder.
///
/// # Errors
/// When a tool is missing, or fails.
pub(crate) fn build(folder: &Path, architecture: &str, encoding: &str) -> Result<(), String> {
    let run = |tool: &str, arguments: &[&str]| {
        let output = Command::new(tool).current_dir(folder).args(arguments).output();
        let output = output.map_err(|error| format!("{tool}: {error}"))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{tool} {arguments:?}: {stderr}"))
        }
    };
    let target = format!("{architecture}-apple-macos13");
    let compile = ["-target", &target, "-O1", "-ffreestanding", "-fno-stack-protector"];
    let quiet = ["-Wno-main-return-type", "-c"];
    let sources = ["greet.c", "rich.c"].map(|name| format!("{SOURCES}/{name}"));
    run("clang", &[&compile[..], &quiet, &[&sources[0], &sources[1]]].concat())?;
    // What they ask for and do not have of each other is libSystem's.
    let asked =
        run("llvm-nm-19", &["--undefined-only", "--format=just-symbols", "greet.o", "rich.o"])?;
    let of_library = ["_greet", "_greetings", "_table", "_not_there", "_per_thread"];
    let asked = asked.lines().filter(|name| name.starts_with('_') && !of_library.contains(name));
    let symbols: Vec<_> = asked.chain(["dyld_stub_binder", "__tlv_bootstrap"]).collect();
    stand_in(folder, "libSystem.tbd", "/usr/lib/libSystem.B.dylib", &symbols.join(", "), "")?;
    let (functions, thread_locals) = (of_library[..4].join(", "), of_library[4]);
    stand_in(folder, "libgreet.tbd", LIBRARY, &functions, thread_locals)?;
    let base = ["-arch", architecture, "-platform_version", "macos", "13.0", "13.0"];
    let link = [&base[..], &["-adhoc_codesign", encoding, "libSystem.tbd", "-o"]].concat();
    let library = ["libgreet.dylib", "greet.o", "-dylib", "-install_name", LIBRARY];
    run(LINKER, &[&link[..], &library].concat())?;
    run(LINKER, &[&link[..], &["rich", "rich.o", "libgreet.tbd"]].concat())?;
    Ok(())
}

/// A library for the linker's eyes only: an install name and symbols.
fn stand_in(
    folder: &Path,
    file: &str,
    install_name: &str,
    symbols: &str,
    thread_locals: &str,
) -> Result<(), String> {
    let text = format!(
        "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\ninstall-name: '{install_name}'\n\
         exports:\n  - targets: [ x86_64-macos, arm64-macos ]\n    symbols: [ {symbols} ]\n    \
         thread-local-symbols: [ {thread_locals} ]\n...\n"
    );
    fs::write(folder.join(file), text).map_err(|error| format!("{file}: {error}"))
}
