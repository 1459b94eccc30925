//! PE and COFF: sections, symbols, imports, exports with their numbers and forwarders, base relocations, unwind tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use minild::view::inspect::{Export, Image, Value};

use super::{Place, object_relocations, part, same, with_images};
use crate::tool::{Block, ask, blocks, number};

pub(super) fn compare(path: &Path) {
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
        symbols(path, image);
        if is_object {
            object_relocations(path, image);
            return;
        }
        imports_and_exports(path, image, base);
        tables(path, image, base);
    });
}

fn symbols(path: &Path, image: &Image<'_>) {
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

fn imports_and_exports(path: &Path, image: &Image<'_>, base: u64) {
    let text = ask("llvm-readobj-19", &["--coff-imports", "--coff-exports"], path);
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

    exports(path, image, base, &text);
}

/// By number as `llvm-readobj` prints them, which knows one of several names of a number; by name as `goblin` does.
fn exports(path: &Path, image: &Image<'_>, base: u64, text: &str) {
    let theirs: BTreeSet<_> = blocks(text, "Export")
        .iter()
        .filter(|block| block.title == "Export")
        .map(|block| {
            let address = block.texts("RVA").next().map(|rva| number(rva) + base);
            let forward = block.texts("ForwardedTo").next().map(str::to_owned);
            (block.number("Ordinal"), address, forward)
        })
        // A number between others that is free.
        .filter(|(_, address, _)| *address != Some(base))
        .collect();
    let all = part(image.exports.as_ref());
    let forward = |export: &Export<'_>| export.forward.as_ref().map(ToString::to_string);
    let ours: BTreeSet<_> = all
        .iter()
        .map(|export| {
            (u64::from(export.ordinal.unwrap_or_default()), export.address, forward(export))
        })
        .collect();
    let lists = (ours.iter().collect::<Vec<_>>(), theirs.iter().collect::<Vec<_>>());
    same(path, "exports by number", &lists.0, &lists.1);

    let bytes = fs::read(path).expect("it is there");
    let goblin = goblin::pe::PE::parse(&bytes);
    let goblin = goblin.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut theirs: Vec<_> = goblin
        .exports
        .iter()
        .filter_map(|export| {
            let address = base + export.rva as u64;
            let is_forward = export.reexport.is_some();
            Some((export.name?.to_owned(), (!is_forward).then_some(address)))
        })
        .collect();
    let named = all.iter().filter(|export| !export.name.is_empty());
    let mut ours: Vec<_> = named.map(|export| (export.name.to_string(), export.address)).collect();
    theirs.sort();
    ours.sort();
    same(path, "exports by name", &ours, &theirs);
}

fn tables(path: &Path, image: &Image<'_>, base: u64) {
    let text = ask("llvm-readobj", &["--coff-basereloc", "--file-headers"], path);
    let headers = blocks(&text, "DataDirectory");
    let size = headers.first().map_or(0, |table| table.number("BaseRelocationTableSize"));
    let mut theirs: Vec<_> = blocks(&text, "Entry")
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
    if size <= 8 {
        // One block's header without an entry: it reads on behind it.
        theirs.clear();
    }
    same(path, "base relocations", &ours, &theirs);
    thread_locals(path, image);
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

/// The directory of thread-locals, field by field.
fn thread_locals(path: &Path, image: &Image<'_>) {
    let text = ask("llvm-readobj-19", &["--coff-tls-directory"], path);
    let mut theirs = blocks(&text, "TLSDirectory");
    // Of what has none it prints an empty one.
    theirs.retain(|block| block.texts("AddressOfIndex").next().is_some());
    let records = part(image.tls.as_ref());
    let (Some(theirs), Some(record)) = (theirs.first(), records.first()) else {
        assert_eq!(records.len(), theirs.len(), "{}: thread-locals", path.display());
        return;
    };
    for field in
        ["StartAddressOfRawData", "EndAddressOfRawData", "AddressOfIndex", "AddressOfCallBacks"]
    {
        let ours = record.fields.iter().find(|ours| ours.name == field);
        let ours = ours.map(|ours| ours.value.clone());
        let theirs = number(&theirs.text(field).to_lowercase());
        assert_eq!(ours, Some(Value::Hex(theirs)), "{}: {field}", path.display());
    }
}
