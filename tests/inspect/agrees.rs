//! Views agree with `llvm-readobj`, `llvm-objdump` and `readelf` on files that other tools wrote.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use minild::view::inspect::{Image, Parts, inspect};

use crate::files::{built, picked, root};
use crate::tool::{Block, ask, blocks, number};

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

fn elf(path: &Path) {
    with_images(path, |images| {
        let [image] = images else { panic!("{}", path.display()) };
        let text = ask(
            "llvm-readobj",
            &[
                "--elf-output-style=LLVM",
                "--segments",
                "--sections",
                "--symbols",
                "--dyn-symbols",
                "--relocations",
                "--needed-libs",
                "--notes",
            ],
            path,
        );
        let segments: Vec<_> = part(image.segments.as_ref())
            .iter()
            .map(|segment| {
                (
                    segment.name.to_string(),
                    segment.offset,
                    segment.address,
                    segment.file_size,
                    segment.size,
                    segment.align.unwrap_or(0),
                )
            })
            .collect();
        let theirs: Vec<_> = blocks(&text, "ProgramHeader")
            .iter()
            .filter(|block| block.title == "ProgramHeader")
            .map(|block| {
                let number = |key| block.number(key);
                (
                    block.text("Type").to_owned(),
                    number("Offset"),
                    number("VirtualAddress"),
                    number("FileSize"),
                    number("MemSize"),
                    number("Alignment"),
                )
            })
            .collect();
        same(path, "segments", &segments, &theirs);

        let sections: Vec<_> = part(image.sections.as_ref())
            .iter()
            .map(|section| {
                // A type that only LLVM names is shown as a number.
                let kind = section.kind.to_uppercase().replace("0X6FFF4C03", "SHT_LLVM_ADDRSIG");
                (section.name.to_string(), kind, section.address, section.size, section.align)
            })
            .collect();
        let theirs: Vec<_> = blocks(&text, "Section")
            .iter()
            .filter(|block| block.title == "Section")
            .map(|block| {
                let number = |key| block.number(key);
                (
                    block.text("Name").to_owned(),
                    block.text("Type").to_uppercase(),
                    number("Address"),
                    number("Size"),
                    number("AddressAlignment"),
                )
            })
            .collect();
        same(path, "sections", &sections, &theirs);
        elf_symbols(path, image, &text);
        elf_relocations(path, image, &text);
        elf_counts(path, image);
    });
}

fn elf_symbols(path: &Path, image: &Image<'_>, text: &str) {
    // llvm-readobj shows a section's name for a symbol that stands for it, and `@` before versions.
    let named = |name: &str| name.replace("@@", "@");
    let mut ours: Vec<_> = part(image.symbols.as_ref())
        .iter()
        .filter(|symbol| symbol.kind != "section")
        .map(|symbol| {
            let version =
                symbol.version.as_ref().map_or_else(String::new, |version| format!("@{version}"));
            (
                format!("{}{version}", symbol.name),
                symbol.value,
                symbol.size,
                symbol.binding.to_lowercase(),
            )
        })
        .collect();
    let mut theirs: Vec<_> = blocks(text, "Symbol")
        .iter()
        .filter(|block| block.title == "Symbol" && block.text("Type") != "Section")
        .map(|block| {
            (
                named(block.text("Name")),
                block.number("Value"),
                block.number("Size"),
                block.text("Binding").to_lowercase(),
            )
        })
        // The first of each table is none.
        .filter(|symbol| *symbol != (String::new(), 0, 0, "local".to_owned()))
        .collect();
    ours.retain(|symbol| *symbol != (String::new(), 0, 0, "local".to_owned()));
    ours.sort();
    theirs.sort();
    same(path, "symbols", &ours, &theirs);
}

fn elf_relocations(path: &Path, image: &Image<'_>, text: &str) {
    let is_packed = |table: &str| table.starts_with(".relr");
    let mut ours: Vec<_> = part(image.relocations.as_ref())
        .iter()
        .filter(|relocation| !is_packed(&relocation.table.to_string()))
        .map(|relocation| {
            (relocation.place, relocation.kind.to_string(), relocation.addend.unwrap_or(0))
        })
        .collect();
    let mut theirs: Vec<_> = blocks(text, "Section (")
        .iter()
        .filter(|block| !block.title.contains(".relr"))
        .flat_map(|block| &block.lines)
        .map(|line| {
            // Place, kind, symbol, addend.
            let words: Vec<_> = line.split_whitespace().collect();
            let addend = words.last().map_or(0, |word| number(word).cast_signed());
            (number(words[0]), words[1].to_owned(), addend)
        })
        .collect();
    ours.sort();
    theirs.sort();
    same(path, "relocations", &ours, &theirs);
}

/// binutils reads it too.
fn elf_counts(path: &Path, image: &Image<'_>) {
    let text = ask(
        "readelf",
        &["--wide", "--syms", "--dyn-syms", "--dynamic", "--notes", "--relocs"],
        path,
    );
    for table in [".dynsym", ".symtab"] {
        let ours =
            part(image.symbols.as_ref()).iter().filter(|symbol| symbol.table == table).count();
        let title = format!("Symbol table '{table}' contains ");
        let theirs = text.split(&title).nth(1).map_or(0, |rest| {
            let count = rest.split(' ').next().and_then(|count| count.parse::<usize>().ok());
            count.expect("readelf says how many") - 1
        });
        assert_eq!(ours, theirs, "{}: {table}", path.display());
    }
    let needed: Vec<_> = text
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned()))
        .collect();
    let ours: Vec<_> =
        part(image.libraries.as_ref()).iter().map(|library| library.name.to_string()).collect();
    same(path, "needed libraries", &ours, &needed);
    let id = text.split("Build ID: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let id = id.map(str::to_owned);
    let ours = image.identity.iter().find(|identity| identity.kind == "build-id");
    assert_eq!(ours.map(|identity| identity.value.to_string()), id, "{}", path.display());
    let relocations: usize = text
        .lines()
        .filter(|line| line.starts_with("Relocation section") && !line.contains(".relr"))
        .filter_map(|line| line.split("contains ").nth(1)?.split(' ').next()?.parse::<usize>().ok())
        .sum();
    let is_packed = |table: &str| table.starts_with(".relr");
    let all = part(image.relocations.as_ref()).iter();
    let ours = all.filter(|relocation| !is_packed(&relocation.table.to_string())).count();
    assert_eq!(ours, relocations, "{}: relocations", path.display());
    if let Some(packed) = text.split("Relocation section '.relr.dyn'").nth(1) {
        // binutils counts what the packed words stand for: "contains 9 entries:\n  45 offsets".
        let offsets = packed.lines().nth(1).and_then(|line| line.trim().split(' ').next());
        let theirs = offsets.and_then(|count| count.parse::<usize>().ok());
        let all = part(image.relocations.as_ref()).iter();
        let ours = all.filter(|relocation| is_packed(&relocation.table.to_string())).count();
        assert_eq!(Some(ours), theirs, "{}: packed relocations", path.display());
    }
}

fn pe(path: &Path) {
    with_images(path, |images| {
        let [image] = images else { panic!("{}", path.display()) };
        let text = ask("llvm-readobj", &["--sections"], path);
        let base = image.base.unwrap_or_default();
        let is_object = image.base.is_none();
        let ours: Vec<Place> = part(image.sections.as_ref())
            .iter()
            .map(|section| {
                (
                    section.name.to_string(),
                    section.address - base,
                    section.offset.unwrap_or(0),
                    section.size,
                )
            })
            .collect();
        let theirs: Vec<Place> = blocks(&text, "Section")
            .iter()
            .filter(|block| block.title == "Section")
            .map(|block| {
                let size = if is_object { "RawDataSize" } else { "VirtualSize" };
                // A section without bytes in the file lies nowhere in it, whatever it says.
                let is_there = block.number("RawDataSize") > 0;
                let offset = if is_there { block.number("PointerToRawData") } else { 0 };
                (
                    block.text("Name").to_owned(),
                    block.number("VirtualAddress"),
                    offset,
                    block.number(size),
                )
            })
            .collect();
        same(path, "sections", &ours, &theirs);
        pe_symbols(path, image);
        if is_object {
            object_relocations(path, image);
            return;
        }
        pe_imports_and_exports(path, image, base);
        pe_tables(path, image, base);
    });
}

fn pe_symbols(path: &Path, image: &Image<'_>) {
    let text = ask("llvm-readobj", &["--symbols"], path);
    let is_symbol = |block: &&Block| block.title == "Symbol";
    let ours: Vec<_> = part(image.symbols.as_ref())
        .iter()
        .map(|symbol| {
            (
                if symbol.kind == "file" { ".file".to_owned() } else { symbol.name.to_string() },
                symbol.value,
            )
        })
        .collect();
    let theirs: Vec<_> = blocks(&text, "Symbol")
        .iter()
        .filter(is_symbol)
        .map(|block| (block.text("Name").to_owned(), block.number("Value")))
        .collect();
    same(path, "symbols", &ours, &theirs);
}

fn pe_imports_and_exports(path: &Path, image: &Image<'_>, base: u64) {
    let text = ask("llvm-readobj", &["--coff-imports", "--coff-exports"], path);
    let mut theirs = Vec::new();
    for block in blocks(&text, "Import").iter().chain(&blocks(&text, "DelayImport")) {
        for symbol in block.texts("Symbol") {
            let name = symbol.rsplit_once(" (").map_or(symbol, |(name, _)| name);
            theirs.push((block.text("Name").to_owned(), name.trim().to_owned()));
        }
    }
    let ours: Vec<_> = part(image.imports.as_ref())
        .iter()
        .map(|import| {
            let library = import.library.as_ref().map(ToString::to_string);
            (library.unwrap_or_default(), import.name.to_string())
        })
        .collect();
    let is_by_number = |pair: &(String, String)| pair.1.is_empty() || pair.1.starts_with('(');
    // The tool shows numbers as names of nothing.
    same(
        path,
        "imports",
        &ours.iter().filter(|pair| !is_by_number(pair)).cloned().collect::<Vec<_>>(),
        &theirs.iter().filter(|pair| !is_by_number(pair)).cloned().collect::<Vec<_>>(),
    );
    assert_eq!(ours.len(), theirs.len(), "{}: imports", path.display());

    let mut theirs: Vec<_> = blocks(&text, "Export")
        .iter()
        .filter(|block| block.title == "Export")
        .map(|block| {
            let address = block.texts("RVA").next().map(|rva| number(rva) + base);
            (block.number("Ordinal"), block.text("Name").to_owned(), address)
        })
        .filter(|(_, name, address)| {
            !name.is_empty() || address.is_none_or(|address| address != base)
        })
        .collect();
    let mut ours: Vec<_> = part(image.exports.as_ref())
        .iter()
        .map(|export| {
            (u64::from(export.ordinal.unwrap_or_default()), export.name.to_string(), export.address)
        })
        .collect();
    theirs.sort();
    ours.sort();
    // The tool gives one of several names of a number, as often as there are.
    let numbers = |all: &[(u64, String, Option<u64>)]| {
        all.iter().map(|(ordinal, _, address)| (*ordinal, *address)).collect::<BTreeSet<_>>()
    };
    let (ours_by_number, theirs_by_number) = (numbers(&ours), numbers(&theirs));
    same(
        path,
        "exports",
        &ours_by_number.iter().collect::<Vec<_>>(),
        &theirs_by_number.iter().collect::<Vec<_>>(),
    );
    let names = |all: &[(u64, String, Option<u64>)]| {
        all.iter().map(|(_, name, _)| name.clone()).collect::<BTreeSet<_>>()
    };
    assert!(names(&theirs).is_subset(&names(&ours)), "{}: names of exports", path.display());
}

fn pe_tables(path: &Path, image: &Image<'_>, base: u64) {
    let text = ask("llvm-readobj", &["--coff-basereloc"], path);
    let theirs: Vec<_> = blocks(&text, "Entry")
        .iter()
        .filter(|block| block.text("Type") != "ABSOLUTE")
        .map(|block| {
            (block.number("Address") + base, format!("IMAGE_REL_BASED_{}", block.text("Type")))
        })
        .collect();
    let ours: Vec<_> = part(image.relocations.as_ref())
        .iter()
        .map(|relocation| (relocation.place, relocation.kind.to_string()))
        .collect();
    // Behind a table that is empty, llvm-readobj reads on.
    if !ours.is_empty() {
        same(path, "base relocations", &ours, &theirs);
    }
    if image.architecture != "x86_64" {
        return;
    }
    let text = ask("llvm-readobj", &["--unwind"], path);
    let address = |block: &Block, key: &str| number(&block.inner(key).to_lowercase());
    let theirs: Vec<_> = blocks(&text, "RuntimeFunction")
        .iter()
        .map(|block| (address(block, "StartAddress"), Some(address(block, "EndAddress"))))
        .collect();
    let ours: Vec<_> =
        part(image.unwind.as_ref()).iter().map(|function| (function.start, function.end)).collect();
    same(path, "unwind", &ours, &theirs);
}

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

fn macho(path: &Path) {
    with_images(path, |images| {
        let text = ask("llvm-readobj", &["--sections", "--symbols", "--macho-segment"], path);
        let sections: Vec<Place> = images
            .iter()
            .flat_map(|image| part(image.sections.as_ref()))
            .map(|section| {
                (
                    section.name.to_string(),
                    section.address,
                    section.offset.unwrap_or(0),
                    section.size,
                )
            })
            .collect();
        let theirs: Vec<Place> = blocks(&text, "Section")
            .iter()
            .filter(|block| block.title == "Section")
            .map(|block| {
                let is_zeros = block.text("Type").contains("Zero");
                let offset = if is_zeros { 0 } else { block.number("Offset") };
                (
                    block.text("Name").to_owned(),
                    block.number("Address"),
                    offset,
                    block.number("Size"),
                )
            })
            .collect();
        same(path, "sections", &sections, &theirs);

        let segments: Vec<Place> = images
            .iter()
            .flat_map(|image| part(image.segments.as_ref()))
            .map(|segment| {
                (segment.name.to_string(), segment.address, segment.offset, segment.file_size)
            })
            .collect();
        let theirs: Vec<Place> = blocks(&text, "Segment")
            .iter()
            .filter(|block| block.title == "Segment")
            .map(|block| {
                let name = block.texts("Name").next().unwrap_or_default().to_owned();
                (name, block.number("vmaddr"), block.number("fileoff"), block.number("filesize"))
            })
            .collect();
        same(path, "segments", &segments, &theirs);

        let symbols: Vec<_> = images
            .iter()
            .flat_map(|image| part(image.symbols.as_ref()))
            .map(|symbol| (symbol.name.to_string(), symbol.value))
            .collect();
        let theirs: Vec<_> = blocks(&text, "Symbol")
            .iter()
            .filter(|block| block.title == "Symbol")
            .map(|block| (block.text("Name").to_owned(), block.number("Value")))
            .collect();
        same(path, "symbols", &symbols, &theirs);
        if let [image] = images {
            match &*image.kind {
                "object file" => object_relocations(path, image),
                _ => dyld_tables(path, image),
            }
        }
    });
}

/// A place that dyld writes to: its address, the symbol, the address that is written.
type Fixup = (u64, String, Option<u64>);

/// Fixups and exports as `llvm-objdump` prints them, of either encoding.
fn dyld_tables(path: &Path, image: &Image<'_>) {
    let is_chained = !path.to_string_lossy().contains("opcodes");
    let tables = if is_chained {
        &["--dyld-info"][..]
    } else {
        &["--rebase", "--bind", "--lazy-bind", "--weak-bind"]
    };
    // Older ones read no chained fixups.
    let arguments = [&["--macho", "--exports-trie"], tables].concat();
    let text = ask("llvm-objdump-19", &arguments, path);
    let (mut theirs, mut exports): (Vec<Fixup>, Vec<_>) = (Vec::new(), Vec::new());
    let mut table = "";
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let address = words.iter().find(|word| word.starts_with("0x"));
        match address.map(|word| number(&word.to_lowercase())) {
            None if line.ends_with(':') => table = line,
            None => {}
            Some(address) if table.starts_with("Exports") => {
                exports.push((address, words[1].to_owned()));
            }
            Some(address) => {
                let is_rebase = table.starts_with("Rebase") || words.contains(&"rebase");
                let last = words.last().copied().unwrap_or_default();
                // Opcodes leave what is written in the place itself.
                let target = (is_rebase && is_chained).then(|| number(&last.to_lowercase()));
                let symbol = if is_rebase { "" } else { last };
                theirs.push((address, symbol.to_owned(), target));
            }
        }
    }
    let mut ours: Vec<Fixup> = part(image.relocations.as_ref())
        .iter()
        .map(|relocation| {
            let symbol = relocation.symbol.as_ref().map(ToString::to_string);
            let target = relocation.addend.filter(|_| symbol.is_none() && is_chained);
            (relocation.place, symbol.unwrap_or_default(), target.map(i64::cast_unsigned))
        })
        .collect();
    ours.sort();
    theirs.sort();
    assert!(theirs.len() > 6, "{text}");
    same(path, "fixups", &ours, &theirs);
    let mut ours: Vec<_> = part(image.exports.as_ref())
        .iter()
        .map(|export| (export.address.unwrap_or_default(), export.name.to_string()))
        .collect();
    ours.sort();
    exports.sort();
    assert!(exports.len() > 3, "{text}");
    same(path, "exports", &ours, &exports);
}

/// Chained fixups say what opcodes do.
#[test]
fn both_encodings_of_fixups_say_the_same() {
    let Some(built) = built() else { return };
    for arch in ["x86_64", "arm64"] {
        let mut sides = Vec::new();
        for encoding in ["chained", "opcodes"] {
            with_images(&built.path(&format!("{encoding}-{arch}")), |images| {
                let relocations = part(images[0].relocations.as_ref());
                // A lazy stub has a pointer that is both rebased and bound.
                let binds = relocations.iter().filter_map(|relocation| relocation.symbol.as_ref());
                let names: BTreeSet<_> = binds
                    .map(ToString::to_string)
                    .filter(|name| name != "dyld_stub_binder")
                    .collect();
                let exports: BTreeSet<_> = part(images[0].exports.as_ref())
                    .iter()
                    .map(|export| export.name.to_string())
                    .collect();
                let symbols = part(images[0].symbols.as_ref());
                let at = |name: &str| {
                    let found = symbols.iter().find(|symbol| symbol.name.to_string() == name);
                    found.unwrap_or_else(|| panic!("no {name}")).value
                };
                let table = at("__ZN3app5namesE");
                let pointers = relocations
                    .iter()
                    .filter(|relocation| (table..table + 24).contains(&relocation.place))
                    .count();
                assert_eq!(pointers, 3, "{encoding}-{arch}");
                sides.push((names, exports));
            });
        }
        assert!(sides[0].0.contains("_printf"), "{sides:?}");
        assert_eq!(sides[0], sides[1], "{arch}");
    }
}

/// How many files were compared.
static COMPARED: AtomicUsize = AtomicUsize::new(0);

fn compare(paths: &[PathBuf], look: impl Fn(&Path)) {
    for path in paths {
        look(path);
        COMPARED.fetch_add(1, Ordering::Relaxed);
    }
}

fn is_elf64(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF\x02"))
}

/// One test, for it counts what it looked at.
#[test]
fn views_agree_with_other_tools_on_forty_files() {
    let programs: Vec<_> = picked("/usr/bin", |_| true, 60);
    let programs: Vec<_> = programs.into_iter().filter(|path| is_elf64(path)).take(14).collect();
    compare(&programs, elf);
    let libraries = picked("/usr/lib/x86_64-linux-gnu", |name| name.contains(".so"), 12);
    let libraries: Vec<_> = libraries.into_iter().filter(|path| is_elf64(path)).collect();
    compare(&libraries, elf);
    let arm64 = root().join("target/runners/windows-aarch64/root/usr/lib");
    let folder = |name: &str| arm64.join(name).to_string_lossy().into_owned();
    let libraries = picked(&folder("aarch64-linux-gnu"), |name| name.contains(".so"), 4);
    compare(&libraries, elf);

    let is_image = |name: &str| [".dll", ".exe"].iter().any(|end| name.ends_with(end));
    compare(&picked("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows", is_image, 10), pe);
    compare(&picked(&folder("aarch64-linux-gnu/wine/aarch64-windows"), is_image, 6), pe);
    compare(&picked("/usr/lib/systemd/boot/efi", |name| name.contains(".efi"), 2), pe);

    if let Some(built) = built() {
        let (linux, others): (Vec<_>, Vec<_>) =
            built.paths.iter().cloned().partition(|path| is_elf64(path));
        compare(&linux, elf);
        let is_pe = |path: &PathBuf| {
            path.extension()
                .is_some_and(|end| ["obj", "exe", "dll", "efi"].iter().any(|pe| end == *pe))
        };
        let (windows, apple): (Vec<_>, Vec<_>) = others.into_iter().partition(is_pe);
        compare(&windows, pe);
        compare(&apple, macho);
        let compared = COMPARED.load(Ordering::Relaxed);
        assert!(compared >= 40, "only {compared} files were there to compare");
    }
}
