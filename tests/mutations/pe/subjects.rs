//! Programs and a library that work under wine, which minild links.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use minild::Target;

use super::fields::fields;
use crate::hunt::{Exceptions, Subject};
use crate::runners::{minild, no_runner};
use crate::trials::{Checked, needing};
use crate::wine::wine;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");

/// A program among the samples, which file is changed, and what it shows.
struct Linked {
    name: &'static str,
    /// The samples that are linked, the program first.
    samples: &'static [&'static str],
    changed: &'static str,
    stdout: &'static str,
}

const LINKED: &[Linked] = &[
    Linked {
        name: "program",
        samples: &["pointers"],
        changed: "pointers.exe",
        stdout: "image base: 0000000140000000\r\n\
                 table: first 0000000140003000, second+8 0000000140003010, third 0000000140003018, answer 000000014000\
                 10AF\r\nread and called through them: 42\r\n",
    },
    Linked {
        name: "thread_locals",
        samples: &["tls"],
        changed: "tls.exe",
        stdout: "the first thread counted 1003, the second 1050\r\n",
    },
    Linked {
        name: "library",
        samples: &["client", "library"],
        changed: "libtwice.dll",
        stdout: "Hello from a shared library\r\n",
    },
];

/// What the file means by itself, whatever it says: only its author could say that it is wrong.
const SILENT: Exceptions = &[
    ("AddressOfEntryPoint", "where in the code the program begins"),
    ("Characteristics", "whether it is a library, which nobody starts"),
    ("ImageBase", "which place the addresses in the file are for"),
    ("SizeOfStackReserve", "how much of the memory that there is"),
    ("TLS directory.AddressOfIndex", "which variable the index is written to"),
    ("TLS directory.EndAddressOfRawData", "how much is thread-local"),
    ("TLS directory.SizeOfZeroFill", "how much of the memory that there is"),
    ("TLS directory.StartAddressOfRawData", "where the thread-locals' first values are"),
    ("TLS table.VirtualAddress", "whether there are thread-locals"),
    ("export address", "which function is meant"),
    ("export directory.AddressOf*", "which functions and names are meant"),
    ("export directory.Base", "which number is meant"),
    ("export directory.NumberOf*", "how many exports there are"),
    ("export name pointer", "which name is meant"),
    ("export ordinal", "which function is meant"),
    ("export table.VirtualAddress", "where the exports are, if there are any"),
    ("import lookup", "which function is meant"),
    ("import table.VirtualAddress", "whether there are imports"),
    ("section.Characteristics", "whether it is code or variables"),
];

/// Ways to fail whose cause is not in the file.
const ELSEWHERE: Exceptions =
    &[("status 53 ", "wine's status where a library is not found: which one is meant")];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |linked: &'static Linked| {
        let missing = no_runner(Target::X86_64_WINDOWS);
        needing(missing, format!("pe::{}", linked.name), move || check(linked))
    };
    LINKED.iter().map(trial).collect()
}

fn check(linked: &Linked) -> Checked {
    let folder = tempfile::tempdir()?;
    for sample in linked.samples {
        let mut build = minild();
        build.arg("build").arg(Path::new(SAMPLES).join(format!("{sample}.toml")));
        build.args(["--target", "x86_64-windows", "--out-dir"]).arg(folder.path());
        let output = build.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
    }
    let program = folder.path().join(format!("{}.exe", linked.samples[0]));
    let path = folder.path().join(linked.changed);
    let bytes = fs::read(&path)?;
    let wine = wine()?;
    let variables = ["WINEPREFIX", "WINEDEBUG", "WINEDLLOVERRIDES"];
    let environment = wine.get_envs().filter_map(|(name, value)| {
        let name = variables.into_iter().find(|known| name == *known)?;
        Some((name, OsString::from(value?)))
    });
    let subject = Subject {
        fields: fields(&bytes),
        path,
        command: vec![PathBuf::from(wine.get_program()).into(), program.into()],
        environment: environment.collect(),
        seal: unsummed,
        stdout: linked.stdout,
        forgives: true,
        sample: 32,
        silent: SILENT,
        strict: &[],
        elsewhere: ELSEWHERE,
        bytes,
    };
    subject.hunt()
}

/// Takes the sum away, which covers all other bytes, unless it is what was changed.
fn unsummed(original: &[u8], changed: &mut [u8]) {
    let start = u32::from_le_bytes(original[0x3c..0x40].try_into().expect("four bytes"));
    let sum = start as usize + 24 + 64;
    if original[sum..sum + 4] == changed[sum..sum + 4] {
        changed[sum..sum + 4].fill(0);
    }
}
