//! Programs and libraries that work under the small macOS: what minild links, and what clang and ld64.lld make of
//! the small macOS's own fixtures.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use minild::Options;
use minild::Target;
use minild::input::spec;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::fields::{code_directory, fields};
use crate::fixtures_by_lld::{self, ENCODINGS};
use crate::hunt::{Exceptions, Subject};
use crate::trials::{Checked, missing, needing};

/// What the fixture `rich` writes, started with one argument.
const RICH: &str = "\
library begins
program begins
2 arguments, last argument, begun 12
good morning, 12 greetings, 12
3 4 2 0 7
thread-local 6 3 101
weak: missing, missing
environment here 1
aligned 0
program ends
";

/// What the file means by itself, whatever it says: only its author could say that it is wrong.
const SILENT: Exceptions = &[
    ("LC_BUILD_VERSION.platform", "which of Apple's systems it is for"),
    ("LC_DYLD_CHAINED_FIXUPS.cmd", "what is not there is not missed by who only reads"),
    ("LC_DYLD_INFO_ONLY*", "how many fixups there are: a table may be empty"),
    ("LC_ID_DYLIB.text", "what the library is called; the small macOS takes UTF-8 only"),
    ("LC_LOAD_DYLIB*", "which libraries are meant"),
    (
        "LC_SEGMENT_64.flags",
        "SG_READ_ONLY: what turns read-only once it is fixed up, which may be meant",
    ),
    (
        "LC_SEGMENT_64.initprot",
        "what may be written may be read too by the processors; the small macOS holds it to the letter",
    ),
    ("LC_MAIN.entryoff", "where in the code the program begins"),
    ("bind opcodes", "which pointer, symbol or distance is meant"),
    ("chain link", "which address or symbol is meant, and how many links there are"),
    ("chained import", "which symbol is meant, by the place of its name"),
    ("chained segment.page_count", "how many pages have fixups"),
    ("chained segment.page_start", "where a page's first fixup is"),
    ("chained starts.seg_info_offset", "which segments have fixups"),
    ("code directory.identOffset", "the bytes there are a text; the small macOS takes UTF-8 only"),
    ("code directory.teamOffset", "the bytes there are a text; the small macOS takes UTF-8 only"),
    ("exports trie", "which place of the image is meant"),
    ("lazy bind opcodes", "which pointer, symbol or distance is meant"),
    ("rebase opcodes", "which pointers are meant"),
    ("section.addr", "which pointers are initialisers, and what is thread-local"),
    ("section.flags", "which pointers are initialisers, and what is thread-local"),
    ("section.size", "how many pointers are initialisers, and how much is thread-local"),
];

/// Ways to fail whose cause is not in the file.
const ELSEWHERE: Exceptions = &[
    ("refused: dyld/symbol-missing", "which symbol is meant, and whether the library has it"),
    ("refused: dyld/library-missing", "which library is meant, and whether it is there"),
    ("unsupported: ", "what the small macOS does not have"),
];

/// Errors that one run gets away with, or that the small macOS does not look for.
const STRICT: Exceptions = &[
    ("macho/chained-page-start", "places that are not aligned: the processors forgive it"),
    ("macho/chained-too-new", "the small macOS is a new one"),
    ("macho/cpu-subtype", "the small macOS does not ask it of libraries"),
    (
        "macho/main-offset",
        "load commands that are only claimed hold the code: their count says where they end",
    ),
    (
        "macho/fixup-encodings",
        "the small macOS passes over relocations as long as nobody validates",
    ),
    ("macho/fixup-opcode", "what a lazy bind does not say is taken from the one before it"),
    ("macho/fixup-opcodes-cut", "the fixups that are cut off are not missed"),
    ("macho/linkedit-range", "the bytes are in the file, or nobody reads an empty table"),
    ("macho/segment-32", "the small macOS does not ask it of libraries"),
    ("macho/segment-address", "it is rounded down, and nobody counts from __LINKEDIT's address"),
    ("macho/signature-identifier", "there is some other text"),
    ("macho/version-twice", "the kernel does not ask it of libraries"),
    ("macho/zero-fill-junk", "nobody reads these zeros"),
];

const TARGETS: [(Target, &str); 2] =
    [(Target::X86_64_MACOS, "x86_64"), (Target::AARCH64_MACOS, "arm64")];

/// The small macOS, as the environment names it.
fn runner(target: Target) -> Option<OsString> {
    let variable = format!("MINILD_RUNNER_{}", target.name().to_uppercase().replace('-', "_"));
    std::env::var_os(variable)
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (target, architecture) in TARGETS {
        let no_runner = || {
            let says = || format!("nothing runs files of {target}: tests/run.sh builds what does");
            runner(target).is_none().then(says)
        };
        trials.push(needing(
            no_runner(),
            format!("macho::{architecture}::thread_locals"),
            move || check_linked(target),
        ));
        for (name, encoding) in ENCODINGS {
            for part in ["rich", "libgreet.dylib"] {
                let missing = no_runner().or_else(|| missing("ld64.lld-19", "lld-19"));
                let trial = format!("macho::{architecture}::{name}::{part}");
                trials.push(needing(missing, trial, move || {
                    let folder = tempfile::tempdir()?;
                    fixtures_by_lld::build(folder.path(), architecture, encoding)?;
                    let program = folder.path().join("rich");
                    hunt(target, &folder, folder.path().join(part), program, RICH)
                }));
            }
        }
    }
    trials
}

fn check_linked(target: Target) -> Checked {
    let folder = tempfile::tempdir()?;
    let text = include_str!("../../../samples/tls.toml");
    let spec = spec::read(text, Path::new("."))?;
    let (program, _) = spec.program(target)?;
    // Not linted: the hunt looks at it before it changes anything.
    let image = minild::link(&program, &Options::default())?;
    let path = folder.path().join("program");
    fs::write(&path, image.bytes)?;
    let stdout = "the first thread counted 1003, the second 1050\n";
    hunt(target, &folder, path.clone(), path, stdout)
}

fn hunt(
    target: Target,
    folder: &TempDir,
    path: PathBuf,
    program: PathBuf,
    stdout: &'static str,
) -> Checked {
    let bytes = fs::read(&path)?;
    let runner = runner(target).ok_or_else(|| Failed::from("no macOS"))?;
    let subject = Subject {
        fields: fields(&bytes),
        path,
        command: vec![runner, program.into(), "argument".into()],
        environment: vec![("FIXTURE", "here".into()), ("TMPDIR", folder.path().into())],
        seal: sign,
        stdout,
        forgives: false,
        sample: 48,
        silent: SILENT,
        strict: STRICT,
        elsewhere: ELSEWHERE,
        bytes,
    };
    subject.hunt()
}

/// Hashes anew the pages that were changed.
fn sign(original: &[u8], changed: &mut [u8]) {
    let Some(directory) = code_directory(original) else { return };
    let number = |at: usize| {
        u32::from_be_bytes(original[at..at + 4].try_into().expect("four bytes")) as usize
    };
    let (hashes, limit) = (directory + number(directory + 16), number(directory + 32));
    let size = 1 << original[directory + 39];
    for (index, start) in (0..limit).step_by(size).enumerate() {
        let page = start..limit.min(start + size);
        if original[page.clone()] != changed[page.clone()] {
            let hash = Sha256::digest(&changed[page]);
            changed[hashes + index * 32..][..32].copy_from_slice(&hash);
        }
    }
}
