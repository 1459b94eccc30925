//! The example `patch`: what it changed runs, and shows the change.

use std::path::Path;

use libtest_mimic::Trial;
use minild::input::spec;
use minild::target::TARGETS;
use minild::{OperatingSystem, Options, Target};

use crate::executed;
use crate::linted;
use crate::patch::patch;
use crate::run::Ending;
use crate::trials::Checked;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![Trial::test("patch::what_is_longer_is_refused", longer)];
    for target in TARGETS.iter().map(|row| row.target) {
        trials.push(executed::trial(format!("patch::shows::{target}"), target, move || {
            let mut file = hello(target)?;
            let (old, new, expected) = match target.operating_system {
                OperatingSystem::Uefi => (utf16("Hello"), utf16("Howdy"), "Howdy, world!\r\n"),
                _ => (b"Hello".to_vec(), b"Howdy".to_vec(), "Howdy, world!\n"),
            };
            let found = patch(&mut file, &old, &new)?;
            if found != 1 {
                return Err(format!("{found} were found").into());
            }
            executed::shows(target, &file, b"", expected.as_bytes())
        }));
        // That the signature is what makes it run: without, the system ends it.
        if target.operating_system == OperatingSystem::MacOs {
            trials.push(executed::trial(format!("patch::unsigned::{target}"), target, move || {
                let mut file = hello(target)?;
                let at = file.windows(5).position(|bytes| bytes == b"Hello").ok_or("no text")?;
                file[at..at + 5].copy_from_slice(b"Howdy");
                let outcome = executed::run(target, &file, b"")?;
                match outcome.ending {
                    Ending::Exit(42) => Err("it ran with a wrong signature".into()),
                    _ => Ok(()),
                }
            }));
        }
    }
    trials
}

fn longer() -> Checked {
    let mut file = hello(Target::X86_64_LINUX)?;
    let before = file.clone();
    if patch(&mut file, b"Hello", b"Hello, hello").is_ok() || file != before {
        return Err("it was taken, or the file was changed".into());
    }
    Ok(())
}

/// The sample `hello`, linked.
fn hello(target: Target) -> Result<Vec<u8>, minild::Errors> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let text = std::fs::read_to_string(samples.join("hello.toml")).expect("a sample");
    let spec = spec::read(&text, &samples)?;
    let (program, _) = spec.program(target)?;
    Ok(linted::link(&program, &Options::default())?.bytes)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
