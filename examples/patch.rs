//! Replaces a text in an executable of any system, whoever linked it, and makes it whole again:
//! `cargo run --example patch -- FILE OLD NEW OUTPUT`.
//!
//! A Mach-O file is signed anew, or its system kills it; a PE image gets its checksum; an ELF file needs nothing. The
//! identities (build-id, UUID, time stamp) stay: they say which build this was, and debuggers find its symbols by them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use minild::format::{macho, pe};
use object::FileKind;

/// Replaces every `old` in `file` by `new`, which is as long or shorter; says how many there were.
pub(crate) fn patch(file: &mut Vec<u8>, old: &[u8], new: &[u8]) -> Result<usize, String> {
    if old.is_empty() || new.len() > old.len() {
        return Err(
            "the new text is longer than the old one, and nothing can move in a linked file".into(),
        );
    }
    let kind = FileKind::parse(file.as_slice()).map_err(|error| error.to_string())?;
    let mut found = 0;
    let mut at = 0;
    while let Some(next) = file[at..].windows(old.len()).position(|bytes| bytes == old) {
        at += next;
        let place = &mut file[at..at + old.len()];
        place[..new.len()].copy_from_slice(new);
        place[new.len()..].fill(0);
        found += 1;
        at += old.len();
    }
    match kind {
        FileKind::MachO64 | FileKind::MachOFat32 => macho::sign(file, None),
        FileKind::Pe64 => pe::set_checksum(file),
        FileKind::Elf64 => Ok(()),
        other => return Err(format!("{other:?} is no executable that is known here")),
    }
    .map_err(|errors| errors.to_string())?;
    Ok(found)
}

/// Writes an executable whole or not at all, and always as a new file: a system may remember what it has seen of an
/// old one's bytes.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let mut file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [file, old, new, output] = &arguments[..] else {
        eprintln!("usage: patch FILE OLD NEW OUTPUT");
        return ExitCode::from(2);
    };
    let patched = (|| {
        let mut bytes = fs::read(file).map_err(|error| error.to_string())?;
        let found = patch(&mut bytes, old.as_bytes(), new.as_bytes())?;
        write(Path::new(output), &bytes).map_err(|error| error.to_string())?;
        Ok::<_, String>(found)
    })();
    match patched {
        Ok(found) => {
            println!("{found} replaced");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{file}: {problem}");
            ExitCode::FAILURE
        }
    }
}
