//! ELF: sections, symbols, imports and exports with their versions, relocations, frame descriptions.

use std::collections::BTreeSet;
use std::path::Path;

use minild::view::inspect::Image;

use super::{part, same, with_images};
use crate::tool::{ask, blocks, number};

pub(super) fn compare(path: &Path) {
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
        symbols(path, image, &text);
        imports_and_exports(path, image, &text);
        relocations(path, image, &text);
        counts(path, image);
        frames(path, image);
    });
}

fn symbols(path: &Path, image: &Image<'_>, text: &str) {
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

fn relocations(path: &Path, image: &Image<'_>, text: &str) {
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
            // As arm64's ABI calls them now, without their width.
            let kind = words[1].replace("_TPREL64", "_TPREL").replace("_DTPREL64", "_DTPREL");
            let kind = kind.replace("_DTPMOD64", "_DTPMOD");
            let is_arm64 = kind.starts_with("R_AARCH64");
            (number(words[0]), if is_arm64 { kind } else { words[1].to_owned() }, addend)
        })
        .collect();
    ours.sort();
    theirs.sort();
    same(path, "relocations", &ours, &theirs);
}

/// binutils reads it too.
fn counts(path: &Path, image: &Image<'_>) {
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

/// What a symbol of another tool is called, and its version.
fn with_version(name: &str) -> (String, Option<String>) {
    match name.split_once('@') {
        Some((name, version)) => {
            (name.to_owned(), Some(version.trim_start_matches('@').to_owned()))
        }
        None => (name.to_owned(), None),
    }
}

fn imports_and_exports(path: &Path, image: &Image<'_>, text: &str) {
    // From which library each version is asked for.
    let text_of_versions = ask("llvm-readobj", &["--version-info"], path);
    let asked = text_of_versions.split("VersionRequirements [").nth(1).unwrap_or_default();
    let asked = asked.split("\n]").next().unwrap_or_default();
    let (mut file, mut versions) = ("", BTreeSet::new());
    for line in asked.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("FileName: ") {
            file = name;
        } else if let Some(name) = line.strip_prefix("Name: ") {
            versions.insert((file.to_owned(), name.to_owned()));
        }
    }
    let dynamic = text.split("DynamicSymbols [").nth(1).unwrap_or_default();
    let dynamic = dynamic.split("\n]").next().unwrap_or_default();
    let all = blocks(dynamic, "Symbol");
    let all = all.iter().filter(|block| block.title == "Symbol");
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for block in all.filter(|block| block.text("Binding") != "Local") {
        let (name, version) = with_version(block.text("Name"));
        if block.text("Section") == "Undefined" {
            imports.push((name, version, block.text("Binding") == "Weak"));
        } else {
            // A variable that was copied into the program has the version that its library gives it.
            let is_asked = versions.iter().any(|(_, asked)| Some(asked) == version.as_ref());
            let is_copy = is_asked && !text_of_versions.contains("Definition {");
            let is_hidden = block.text("Name").contains('@') && !block.text("Name").contains("@@");
            let is_default = is_copy || !is_hidden;
            exports.push((name, version, is_default, block.number("Value")));
        }
    }
    let optional = |name: &minild::view::reader::Name<'_>| name.to_string();
    let mut ours: Vec<_> = part(image.imports.as_ref())
        .iter()
        .map(|import| (import.name.to_string(), import.version.as_ref().map(optional), import.weak))
        .collect();
    ours.sort();
    imports.sort();
    same(path, "imports", &ours, &imports);
    let mut ours: Vec<_> = part(image.exports.as_ref())
        .iter()
        .map(|export| {
            let is_default = !export.flags.contains("not the default version");
            let address = export.address.unwrap_or_default();
            (export.name.to_string(), export.version.as_ref().map(optional), is_default, address)
        })
        .collect();
    ours.sort();
    exports.sort();
    same(path, "exports", &ours, &exports);

    let needed = text.split("NeededLibraries [").nth(1).unwrap_or_default();
    let needed = needed.split(']').next().unwrap_or_default();
    let needed: Vec<_> = needed.split_whitespace().map(str::to_owned).collect();
    let ours: Vec<_> =
        part(image.libraries.as_ref()).iter().map(|library| library.name.to_string()).collect();
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    same(path, "needed libraries", &sorted(ours), &sorted(needed));

    for import in part(image.imports.as_ref()) {
        let (Some(library), Some(version)) = (&import.library, &import.version) else { continue };
        let pair = (library.to_string(), version.to_string());
        assert!(versions.contains(&pair), "{}: {pair:?} is not asked for", path.display());
    }
}

/// A function of the frame descriptions: addresses, what handles exceptions, how many rows, the first of them.
type Frame = (u64, u64, Option<u64>, Option<u64>, usize, String);

fn frames(path: &Path, image: &Image<'_>) {
    let text = ask("llvm-dwarfdump-19", &["--eh-frame"], path);
    let mut theirs: Vec<Frame> = Vec::new();
    let (mut personalities, mut entry) = (std::collections::BTreeMap::new(), "");
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("hex");
    let text = text.split(".eh_frame contents:").nth(1).unwrap_or_default();
    for line in text.lines().map(str::trim) {
        if line.ends_with(" CIE") {
            entry = line.split(' ').next().unwrap_or_default();
        } else if let Some((_, rest)) = line.split_once(" FDE cie=") {
            entry = "";
            let (cie, addresses) = rest.split_once(" pc=").expect("an FDE has addresses");
            let (start, end) = addresses.split_once("...").expect("two of them");
            let personality = personalities.get(cie).copied();
            theirs.push((hex(start), hex(end), personality, None, 0, String::new()));
        } else if let Some(address) = line.strip_prefix("Personality Address: ") {
            personalities.insert(entry, hex(address));
        } else if let Some(address) = line.strip_prefix("LSDA Address: ") {
            let frame = theirs.last_mut().expect("it is of an FDE");
            frame.3 = Some(hex(address)).filter(|address| *address != 0);
        } else if let (true, Some((_, row)), "") =
            (line.starts_with("0x"), line.split_once(": CFA="), entry)
        {
            let frame = theirs.last_mut().expect("it is of an FDE");
            frame.4 += 1;
            if frame.4 == 1 {
                frame.5 = first_row(row);
            }
        }
    }
    let rows_of = |summary: &str| {
        let (first, rest) = summary.split_once("; ").expect("a first row, and a count");
        let count = rest.split(' ').next().and_then(|count| count.parse::<usize>().ok());
        // Expressions are printed there, and counted as one here.
        let is_expression = first.starts_with("cfa=expression");
        let first = if is_expression { "cfa=expression" } else { first };
        (first.to_owned(), count.expect("a count"))
    };
    let ours: Vec<Frame> = part(image.unwind.as_ref())
        .iter()
        .map(|function| {
            let (first, count) = rows_of(&function.summary);
            let (start, end) = (function.start, function.end.unwrap_or_default());
            (start, end, function.personality, function.lsda, count, first)
        })
        .collect();
    same(path, "frame descriptions", &ours, &theirs);
}

/// `RSP+8: RBX=[CFA-16], RIP=[CFA-8]` as it is written here: `cfa=rsp+0x8, rbx=[cfa-0x10], rip=[cfa-0x8]`.
fn first_row(row: &str) -> String {
    if row.starts_with("DW_OP") {
        return "cfa=expression".to_owned();
    }
    let row = row.to_lowercase().replace(": ", ", ").replace("undefined", "lost");
    let parts = row.split(", ").map(|part| {
        let at = part.rfind(['+', '-']);
        let number = at.and_then(|at| {
            let digits = part[at + 1..].trim_end_matches(']');
            Some((at, digits.parse::<u64>().ok()?, part.ends_with(']')))
        });
        match number {
            Some((at, 0, is_place)) => {
                format!("{}{}", &part[..at], if is_place { "]" } else { "" })
            }
            Some((at, number, is_place)) => {
                format!("{}{number:#x}{}", &part[..=at], if is_place { "]" } else { "" })
            }
            None => part.to_owned(),
        }
    });
    // It calls arm64's registers by their lower halves.
    let parts: Vec<_> = parts
        .map(|part| match part.strip_prefix('w') {
            Some("sp") => "sp".to_owned(),
            Some(rest) if rest.starts_with("sp") => rest.to_owned(),
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("x{rest}"),
            _ => part,
        })
        .collect();
    format!("cfa={}", parts.join(", "))
}
