//! The files that are edited, built by minild once each.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use minild::Options;
use minild::input::spec;

use crate::edit::File;

/// What is built, by name.
const SPECS: &[(&str, &str)] = &[
    ("plain", PLAIN),
    ("fixed", FIXED),
    ("linked", LINKED),
    ("bare", BARE),
    ("musl", MUSL),
    ("library", LIBRARY),
    ("opcodes", OPCODES),
    ("universal", LINKED),
];

/// Constants, room to write tables into, addresses, variables, zeros.
macro_rules! contents {
    () => {
        r#"
name = "base"
[rodata]
scratch = { text = "SCRATCH!", size = 8192, align = 8 }
table.pointers = ["start", "variable"]
[data]
variable = { u64 = 1 }
room = { text = "ROOM....", size = 4096 }
[bss]
zeros = { size = 4096 }
"#
    };
}

/// Code that leaves, and uses nothing.
macro_rules! code {
    () => {
        "
[target.x86_64]
hex = 'start: 31 c0 c3 90 90 90 90 90 90 90 90 90 90 90 90 90'
[target.aarch64]
hex = 'start: d2800000 d65f03c0 d503201f d503201f'
[target.x86_64-linux]
[target.aarch64-linux]
[target.x86_64-macos]
[target.aarch64-macos]
[target.x86_64-windows]
[target.aarch64-windows]
[target.x86_64-uefi]
[target.aarch64-uefi]
"
    };
}

/// Code that calls what it imports.
macro_rules! calls {
    () => {
        r#"
[target.x86_64]
hex = 'start: e8 <call32 first> e8 <call32 second> c3'
[target.aarch64]
hex = 'start: 94000000 <call26 first> 94000000 <call26 second> d65f03c0'
[target.linux]
imports."libc.so.6" = [{ name = "memcpy@GLIBC_2.14", as = "first" }, { name = "puts@GLIBC_2.2.5", as = "second" }]
[target.windows]
imports."kernel32.dll" = [{ name = "ExitProcess", as = "first" }, { name = "GetStdHandle", as = "second" }]
[target.macos]
imports."/usr/lib/libSystem.B.dylib" = [{ name = "_puts", as = "first" }, { name = "_exit", as = "second" }]
[target.x86_64-linux]
[target.aarch64-linux]
imports."libc.so.6" = [{ name = "memcpy@GLIBC_2.17", as = "first" }, { name = "puts@GLIBC_2.17", as = "second" }]
[target.x86_64-macos]
[target.aarch64-macos]
[target.x86_64-windows]
[target.aarch64-windows]
"#
    };
}

const PLAIN: &str = concat!(contents!(), code!());
const FIXED: &str = concat!("position = 'fixed'\n", contents!(), code!());
/// Nothing but code: no address that would have to be fixed up.
const BARE: &str = "
name = 'base'
[target.aarch64-macos]
hex = 'start: d2800000 d65f03c0'
";
const LINKED: &str = concat!(contents!(), calls!());
const MUSL: &str = concat!(
    "libc = 'musl'\n",
    contents!(),
    "
[target.x86_64-linux]
imports.'libc.so' = [{ name = 'puts', as = 'first' }]
hex = 'start: e8 <call32 first> c3'
"
);
const OPCODES: &str = concat!("macos = '10.15'\n", contents!(), calls!());
const LIBRARY: &str = concat!(
    "kind = 'shared-library'\nexports = ['alpha', 'beta', 'gamma']\n",
    contents!(),
    "
[target.x86_64]
hex = 'start: alpha: 31 c0 c3 90 beta: 31 c0 c3 90 gamma: 31 c0 c3 90'
[target.aarch64]
hex = 'start: alpha: d65f03c0 beta: d65f03c0 gamma: d65f03c0'
[target.x86_64-linux]
[target.aarch64-linux]
[target.x86_64-macos]
[target.aarch64-macos]
[target.x86_64-windows]
[target.aarch64-windows]
"
);

/// Files by the names of their spec and target.
type Built = HashMap<(&'static str, &'static str), Vec<u8>>;

/// A file of a spec for a target; `universal` puts both macOS targets into one.
pub(crate) fn file(base: (&'static str, &'static str)) -> File {
    static BUILT: LazyLock<Mutex<Built>> = LazyLock::new(Mutex::default);
    let mut built = BUILT.lock().expect("a test that failed is told anyway");
    let bytes = built.entry(base).or_insert_with(|| build(base));
    File::new(bytes.clone())
}

fn build((name, target): (&str, &str)) -> Vec<u8> {
    let (_, text) = SPECS.iter().find(|(spec, _)| *spec == name).expect("a spec of this name");
    let spec = spec::read(text, Path::new(".")).unwrap_or_else(|error| panic!("{name}: {error}"));
    let program = |target: &str| {
        let target = target.parse().expect("a target");
        spec.program(target).unwrap_or_else(|error| panic!("{name}: {error}")).0
    };
    let options = Options::default();
    if name == "universal" {
        let programs = ["x86_64-macos", "aarch64-macos"].map(program);
        return minild::link_universal(&programs, &options).expect("a base is right");
    }
    let linked = minild::link(&program(target), &options);
    linked.unwrap_or_else(|error| panic!("{name} for {target}: {error}")).bytes
}
