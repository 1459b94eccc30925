//! Mach-O: segments, sections, symbols, fixups of both encodings, exports.

use std::collections::BTreeSet;
use std::path::Path;

use minild::view::inspect::Image;

use super::{Place, object_relocations, part, same, with_images};
use crate::files::built;
use crate::tool::{ask, blocks, number};

pub(super) fn compare(path: &Path) {
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
