//! In one boot: `minild test` starts many images in one machine, by a boot application that minild links itself, and
//! tells each one's end from the next one's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use minild::Target;

use crate::case::{Variant, all};
use crate::{Checked, minild, needing, no_runner};

/// Machines, and the emulator of each.
const MACHINES: &[(Target, &str)] =
    &[(Target::X86_64_UEFI, "qemu-system-x86_64"), (Target::AARCH64_UEFI, "qemu-system-aarch64")];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |&(target, emulator): &'static (Target, &str)| {
        let name = format!("one_boot::{target}");
        needing(no_runner(target), name, move || all_images_share_a_boot(target, emulator))
    };
    MACHINES.iter().map(trial).collect()
}

fn all_images_share_a_boot(target: Target, emulator: &str) -> Checked {
    let cases = all().into_iter();
    let is_here =
        |case: &crate::case::Case| case.target == target && case.variant == Variant::Default;
    let specs: Vec<_> = cases.filter(is_here).map(|case| case.path).collect();
    if specs.len() < 5 {
        return Err(format!("only {} specs are for {target}", specs.len()).into());
    }

    // In the emulator's place, a script that counts how often it is started.
    let folder = tempfile::tempdir()?;
    let path = std::env::var("PATH")?;
    let real = std::env::split_paths(&path).map(|folder| folder.join(emulator));
    let real = real.into_iter().find(|path| path.is_file()).ok_or("no emulator")?;
    let boots = folder.path().join("boots");
    let script = folder.path().join(emulator);
    let text =
        format!("#!/bin/sh\necho boot >>'{}'\nexec '{}' \"$@\"\n", boots.display(), real.display());
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;

    let tested = with_path(folder.path(), &path)
        .args(["test", "--format", "json", "--no-skip", "--target", target.name()])
        .args(&specs)
        .output()?;
    let json: serde_json::Value = serde_json::from_slice(&tested.stdout)
        .map_err(|_| String::from_utf8_lossy(&tested.stderr).into_owned())?;
    let count = |key: &str| json[key].as_u64().unwrap_or_default();
    let (passed, others) = (count("passed"), count("failed") + count("skipped"));
    if others > 0 || passed < specs.len() as u64 {
        return Err(format!("{passed} passed, {others} did not: {json:#}").into());
    }
    match fs::read_to_string(&boots)?.lines().count() {
        1 => Ok(()),
        boots => Err(format!("{boots} boots for {passed} images").into()),
    }
}

fn with_path(folder: &Path, path: &str) -> Command {
    let mut command = minild();
    command.env("PATH", format!("{}:{path}", folder.display()));
    command
}
