//! Views agree with `llvm-readobj`, `llvm-objdump`, `llvm-dwarfdump`, `readelf` and `goblin` on files that other tools wrote.

mod elf;
mod macho;
mod pe;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use minild::view::inspect::{Image, Parts, inspect};

use crate::files::{built, built_by_gnu, picked, root};
use crate::tool::{ask, blocks, number};

#[track_caller]
fn same<T: PartialEq + Debug>(path: &Path, what: &str, ours: &[T], theirs: &[T]) {
    if ours == theirs {
        return;
    }
    let pair = ours.iter().zip(theirs).enumerate().find(|(_, (one, other))| one != other);
    let (count, other) = (ours.len(), theirs.len());
    panic!("{}: {what}: {count} and {other}, first difference {pair:#?}", path.display());
}

/// Looks at a file, which has to be whole, and hands its images on.
fn with_images(path: &Path, look: impl FnOnce(&[Image<'_>])) {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let found = inspect(&bytes, Parts::ALL);
    let found = found.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(found.damage, [], "{}", path.display());
    for image in &found.images {
        assert_eq!(image.damage, [], "{}", path.display());
    }
    look(&found.images);
}

fn part<T>(part: Option<&Vec<T>>) -> &[T] {
    part.expect("all parts were asked for")
}

/// A section as all tools see it: name, address, offset, size.
type Place = (String, u64, u64, u64);

/// Relocations of an object file, by section, as COFF and Mach-O have them.
fn object_relocations(path: &Path, image: &Image<'_>) {
    let text = ask("llvm-readobj", &["--relocations"], path);
    let mut theirs: Vec<_> = blocks(&text, "Section ")
        .iter()
        .flat_map(|block| &block.lines)
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let kind = words.iter().find(|word| word.contains("_REL")).copied();
            (number(words[0]), kind.unwrap_or_default().to_owned())
        })
        .collect();
    let mut ours: Vec<_> = part(image.relocations.as_ref())
        .iter()
        .map(|relocation| {
            let kind = relocation.kind.split(',').next().unwrap_or_default();
            (relocation.place, kind.to_owned())
        })
        .collect();
    ours.sort();
    theirs.sort();
    same(path, "relocations", &ours, &theirs);
}

/// Files of one format that were compared.
struct Compared {
    look: fn(&Path),
    /// How many of each origin.
    counts: BTreeMap<&'static str, usize>,
}

impl Compared {
    fn new(look: fn(&Path)) -> Self {
        Self { look, counts: BTreeMap::new() }
    }

    fn all(&mut self, origin: &'static str, paths: &[PathBuf]) {
        for path in paths {
            (self.look)(path);
        }
        *self.counts.entry(origin).or_default() += paths.len();
    }

    /// Fails where fewer files were there than a machine has on which tests/run.sh installed everything.
    fn check(&self, format: &str, least: usize) {
        let total: usize = self.counts.values().sum();
        println!("{format}: {total} files compared: {:?}", self.counts);
        let is_complete = total >= least || std::env::var_os("CI").is_none();
        assert!(total > 0 && is_complete, "only {total} {format} files: {:?}", self.counts);
    }
}

fn is_elf64(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF\x02"))
}

/// A folder of the libraries for arm64 that tests/setup/windows.sh unpacks.
fn arm64(folder: &str) -> String {
    let libraries = root().join("target/runners/windows-aarch64/root/usr/lib/aarch64-linux-gnu");
    libraries.join(folder).to_string_lossy().into_owned()
}

#[test]
fn views_of_elf_agree_with_other_tools() {
    let mut compared = Compared::new(elf::compare);
    let only_elf64 = |paths: Vec<PathBuf>, count| -> Vec<_> {
        paths.into_iter().filter(|path| is_elf64(path)).take(count).collect()
    };
    let programs = picked("/usr/bin", |_| true, 60);
    compared.all("programs", &only_elf64(programs, 14));
    let is_library = |name: &str| name.contains(".so");
    let libraries = picked("/usr/lib/x86_64-linux-gnu", is_library, 12);
    compared.all("libraries", &only_elf64(libraries, 12));
    let of_arm64 = ["libc.so.6", "libm.so.6", "ld-linux-aarch64.so.1", "libresolv.so.2"];
    let of_arm64 = of_arm64.map(|name| Path::new("/usr/aarch64-linux-gnu/lib").join(name));
    compared.all("libraries of arm64", &of_arm64);
    compared.all("libraries of arm64", &picked(&arm64(""), is_library, 4));
    if let Some(built) = built() {
        let built: Vec<_> = built.paths.iter().filter(|path| is_elf64(path)).cloned().collect();
        compared.all("clang and ld.lld", &built);
    }
    compared.check("ELF", 30);
}

#[test]
fn views_of_pe_agree_with_other_tools() {
    let mut compared = Compared::new(pe::compare);
    let is_image = |name: &str| [".dll", ".exe"].iter().any(|end| name.ends_with(end));
    let wine = "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows";
    compared.all("wine", &picked(wine, is_image, 10));
    // The libraries that forward, and that have names twice.
    let forwarding = ["kernel32.dll", "kernelbase.dll", "msvcrt.dll", "winmm.dll"];
    compared.all("wine", &forwarding.map(|name| Path::new(wine).join(name)));
    compared.all("wine for arm64", &picked(&arm64("wine/aarch64-windows"), is_image, 6));
    compared.all("mingw", &picked("/usr/lib/gcc/x86_64-w64-mingw32/12-win32", is_image, 6));
    compared.all("mingw", &picked("/usr/x86_64-w64-mingw32/lib", is_image, 1));
    let is_firmware = |name: &str| name.contains(".efi");
    for (folder, count) in
        [("/usr/lib/systemd/boot/efi", 1), ("/usr/lib/shim", 5), ("/usr/libexec/fwupd/efi", 1)]
    {
        compared.all("firmware", &picked(folder, is_firmware, count));
    }
    if let Some(built) = built() {
        let is_pe = |path: &&PathBuf| {
            let end = path.extension().unwrap_or_default();
            ["obj", "exe", "dll", "efi"].iter().any(|pe| end == *pe)
        };
        let built: Vec<_> = built.paths.iter().filter(is_pe).cloned().collect();
        compared.all("clang and lld-link", &built);
    }
    if let Some(built) = built_by_gnu() {
        compared.all("clang, mingw and GNU ld", &built.paths);
    }
    compared.check("PE", 40);
}

#[test]
fn views_of_macho_agree_with_other_tools() {
    let mut compared = Compared::new(macho::compare);
    if let Some(built) = built() {
        let is_macho = |path: &&PathBuf| path.extension().is_none_or(|end| end == "o");
        let apple = built.paths.iter().filter(is_macho).filter(|path| !is_elf64(path));
        compared.all("clang and ld64.lld", &apple.cloned().collect::<Vec<_>>());
        compared.check("Mach-O", 9);
    }
}
