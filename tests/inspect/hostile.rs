//! Hostile files: cut off, bits turned over, counts and offsets that lie, tables that lead back to themselves. An
//! error or a view that names the damage, never a panic, and memory that is a small multiple of the file.

use std::sync::LazyLock;

use minild::view::demangle::demangle;
use minild::view::disassemble::Disassembly;
use minild::view::inspect::{Inspection, Parts, inspect};
use proptest::prelude::*;

use crate::files::{File, WRITTEN, built, built_by_gnu};
use crate::memory::most;

/// Times the file, and what a file of no size may take: ELF has room for 2^15 versions.
const TIMES: usize = 40;
const AT_LEAST: usize = 2 << 20;

/// The disassemblers' own tables, which are made once.
static TABLES: LazyLock<()> = LazyLock::new(|| {
    for file in &*WRITTEN {
        let found = inspect(&file.bytes, Parts::ALL).expect("it is whole");
        for image in &found.images {
            let code = Disassembly::new(image, &file.bytes, None).expect("a known architecture");
            assert!(code.lines().count() > 0, "{} has code", file.name);
        }
    }
});

/// Looks at all parts, and at all code.
fn look(bytes: &[u8]) -> Option<Inspection<'_>> {
    LazyLock::force(&TABLES);
    let (found, memory) = most(|| inspect(bytes, Parts::ALL).ok());
    let counts: Vec<_> = found.iter().flat_map(|found| &found.images).collect();
    let counts: Vec<_> = counts.iter().map(|image| (image.format, image.counts)).collect();
    let enough = bytes.len() * TIMES + AT_LEAST;
    assert!(memory <= enough, "{memory} bytes for {}: {counts:?}", bytes.len());
    for image in found.iter().flat_map(|found| &found.images) {
        let (lines, memory) = most(|| {
            let code = Disassembly::new(image, bytes, None).ok()?;
            Some(code.lines().count())
        });
        assert!(memory <= bytes.len() * TIMES + AT_LEAST, "{memory} bytes for code");
        assert!(lines.unwrap_or_default() <= bytes.len() * 4, "{lines:?} lines of code");
        for symbol in image.symbols.iter().flatten() {
            let (_, memory) = most(|| demangle(symbol.name.bytes()));
            assert!(memory <= bytes.len() * TIMES + AT_LEAST, "{memory} bytes for {}", symbol.name);
        }
    }
    found
}

fn is_damaged(found: &Inspection<'_>) -> bool {
    !found.damage.is_empty() || found.images.iter().any(|image| !image.damage.is_empty())
}

/// A few files that have all structures together: other samples only have more of the same.
fn one_a_target() -> impl Iterator<Item = &'static File> {
    let is_one = |name: &str| name.starts_with("puts") || name == "pointers-x86_64-uefi";
    WRITTEN.iter().filter(move |file| is_one(&file.name))
}

/// An object file whose code refers to one symbol so many times.
fn object_of(symbol: &str, references: u64) -> Vec<u8> {
    use object::write::{Object, Relocation, StandardSection, Symbol, SymbolSection};
    use object::{
        Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope, elf,
    };

    let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let code = file.section_id(StandardSection::Text);
    let symbol = file.add_symbol(Symbol {
        name: symbol.as_bytes().to_vec(),
        value: 0,
        size: 0,
        kind: SymbolKind::Text,
        scope: SymbolScope::Unknown,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    });
    for _ in 0..references {
        // call
        let offset = file.append_section_data(code, b"\xe8\0\0\0\0", 1) + 1;
        let flags = object::RelocationFlags::Elf { r_type: elf::R_X86_64_PLT32 };
        let relocation = Relocation { offset, symbol, addend: -4, flags };
        file.add_relocation(code, relocation).expect("ELF knows it");
    }
    file.write().expect("an object file")
}

#[test]
fn a_long_name_that_is_called_often_is_there_once() {
    let found = object_of(&"n".repeat(100_000), 1000);
    assert!(look(&found).is_some_and(|found| !is_damaged(&found)));
}

/// Each function's parameters are nine of the function before.
#[test]
fn a_name_that_multiplies_is_not_read() {
    let functions = ('0'..='8').map(|digit| format!("P6AX{}@Z", String::from(digit).repeat(9)));
    let name = format!("?f@@YAXPAX{}@Z", functions.collect::<Vec<_>>().concat());
    let file = object_of(&name, 1);
    assert!(look(&file).is_some_and(|found| !is_damaged(&found)));
}

#[test]
fn what_is_whole_is_not_damaged() {
    for file in &*WRITTEN {
        let found = look(&file.bytes).unwrap_or_else(|| panic!("{} cannot be read", file.name));
        for image in &found.images {
            assert_eq!(image.damage, [], "{}", file.name);
        }
    }
}

#[test]
fn a_file_that_is_cut_off_is_damaged_wherever_it_is_cut() {
    for file in one_a_target() {
        for length in (0..file.bytes.len()).step_by(16) {
            if let Some(found) = look(&file.bytes[..length]) {
                assert!(is_damaged(&found), "{} cut at {length:#x}", file.name);
            }
        }
    }
}

/// Files of others may end in bytes that nothing names.
#[test]
fn a_file_of_others_may_be_cut_off_anywhere() {
    let paths = [built(), built_by_gnu()].into_iter().flatten().flat_map(|built| &built.paths);
    let mut looks = 0;
    for path in paths {
        let bytes = std::fs::read(path).expect("it was built");
        // Of larger ones, what every file has more of is left out: code, symbols, debug sections.
        let large = bytes.len() > LARGE;
        for length in (0..bytes.len()).step_by(16) {
            let is_there = length < LARGE / 2 || bytes.len() - length < LARGE / 2;
            if !large || is_there {
                look(&bytes[..length]);
                looks += 1;
            }
        }
    }
    println!("{looks} files that are cut off");
}

/// Files up to this size are cut off, and lied about, everywhere.
const LARGE: usize = 0x5000;

/// Words that programs trip over.
const WORDS: [u64; 5] = [0, 1, u64::MAX, i64::MAX as u64, 0xffff];

/// Every length, count and offset of every structure is a word of the file, so each word is one in turn.
#[test]
fn whatever_word_lies() {
    let mut looks = 0;
    for file in one_a_target() {
        let size = file.bytes.len();
        for at in (0..size).step_by(4) {
            // Zeros between pages are no structure.
            let around = &file.bytes[at.saturating_sub(32)..(at + 40).min(size)];
            if around.iter().all(|byte| *byte == 0) {
                continue;
            }
            // What headers say decides about all else.
            let words = if at < 0x480 { &WORDS[..] } else { &WORDS[2..3] };
            for word in words {
                for width in [4, 8] {
                    let mut bytes = file.bytes.clone();
                    let Some(field) = bytes.get_mut(at..at + width) else { continue };
                    field.copy_from_slice(&word.to_le_bytes()[..width]);
                    look(&bytes);
                    looks += 1;
                }
            }
        }
    }
    assert!(looks > 10_000, "{looks}");
}

/// The same of files that have what minild's do not: frame descriptions, opcodes, unwind codes, debug directories.
#[test]
fn whatever_word_of_others_lies() {
    let Some(built) = built() else { return };
    for name in
        ["linux-x86_64.so", "linux-arm64.o", "library-x86_64.dll", "opcodes-arm64", "app-x86_64.o"]
    {
        let whole = std::fs::read(built.path(name)).expect("it was built");
        for at in (0..whole.len().min(LARGE)).step_by(4) {
            let around = &whole[at.saturating_sub(32)..(at + 40).min(whole.len())];
            if around.iter().all(|byte| *byte == 0) {
                continue;
            }
            let mut bytes = whole.clone();
            let end = (at + 8).min(bytes.len());
            bytes[at..end].fill(0xff);
            look(&bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn bits_turned_over(
        which in any::<prop::sample::Index>(),
        bits in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..12),
    ) {
        let files: Vec<_> = WRITTEN.iter().collect();
        let mut bytes = which.get(&files).bytes.clone();
        for (at, bit) in bits {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        look(&bytes);
    }

    #[test]
    fn bits_turned_over_in_files_of_others(
        which in any::<prop::sample::Index>(),
        bits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
    ) {
        if let Some(built) = built() {
            let path = which.get(&built.paths);
            let mut bytes = std::fs::read(path).expect("it was built");
            for (at, value) in bits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            look(&bytes);
        }
    }

    #[test]
    fn noise_behind_a_magic_number(
        magic in prop::sample::select(vec![
            &b"\x7fELF\x02\x01\x01"[..], b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe\0\0\0\x02",
            b"\xca\xfe\xba\xbf\0\0\0\x02", b"MZ", b"\x64\x86\x02\0", b"\0\0\xff\xff\x02\0",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        look(&[magic, &noise].concat());
    }
}

fn written(name: &str) -> Vec<u8> {
    let file = WRITTEN.iter().find(|file| file.name == name);
    file.unwrap_or_else(|| panic!("{name} is among the samples")).bytes.clone()
}

#[test]
fn ten_million_sections_are_not_believed() {
    let mut elf = written("hello-x86_64-linux");
    // e_shnum 0 means that section 0 has the number.
    elf[60..62].fill(0);
    let table = usize::try_from(u64::from_le_bytes(elf[40..48].try_into().unwrap())).unwrap();
    elf[table + 32..table + 40].copy_from_slice(&10_000_000_u64.to_le_bytes());
    let found = look(&elf).expect("the header is whole");
    assert!(found.images[0].damage.iter().any(|damage| damage.structure == "section headers"));
    assert!(!found.images[0].segments.as_ref().unwrap().is_empty(), "the rest is shown");

    let mut pe = written("hello-x86_64-windows");
    let at = u32::from_le_bytes(pe[60..64].try_into().unwrap()) as usize;
    pe[at + 6..at + 8].fill(0xff);
    let found = look(&pe).expect("the header is whole");
    assert!(found.images[0].damage.iter().any(|damage| damage.structure == "section headers"));
}

#[test]
fn ten_million_sections_of_a_segment_are_not_believed() {
    let mut macho = written("hello-x86_64-macos");
    let segment = macho.windows(6).position(|name| name == b"__TEXT").expect("it has that segment");
    // nsects behind the name, four numbers of 64 bits and two of 32.
    let at = segment + 16 + 32 + 8;
    macho[at..at + 4].copy_from_slice(&10_000_000_u32.to_le_bytes());
    let found = look(&macho).expect("the header is whole");
    assert!(is_damaged(&found));
}

/// A node of the trie that is its own child.
#[test]
fn an_exports_trie_that_leads_back_to_itself_ends() {
    let Some(built) = built() else { return };
    for arch in ["x86_64", "arm64"] {
        let mut bytes =
            std::fs::read(built.path(&format!("chained-{arch}"))).expect("it was built");
        // LC_DYLD_EXPORTS_TRIE: dataoff behind cmd and cmdsize.
        let command = [0x33, 0, 0, 0x80, 16, 0, 0, 0];
        let at = bytes.windows(8).position(|window| window == command).expect("it has a trie");
        let offset = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        // The root: nothing ends there, a number of children, the first one's letters, where it lies.
        assert_eq!(bytes[offset], 0);
        let end = bytes[offset + 2..].iter().position(|byte| *byte == 0).expect("letters end");
        bytes[offset + 2 + end + 1] = 0;
        let found = look(&bytes).expect("the header is whole");
        let damage = &found.images[0].damage;
        assert!(damage.iter().any(|damage| damage.structure == "exports trie"), "{damage:?}");
    }
}

/// Unwind information that goes on with itself.
#[test]
fn unwind_information_that_is_chained_to_itself_ends() {
    let Some(built) = built() else { return };
    let mut bytes = std::fs::read(built.path("windows-x86_64.exe")).expect("it was built");
    let whole = look(&bytes).expect("it is whole");
    let image = &whole.images[0];
    let base = image.base.expect("an image has a base");
    let sections = image.sections.clone().expect("all parts");
    let offset = |address: u64| {
        let section = sections
            .iter()
            .find(|section| (section.address..section.address + section.size).contains(&address));
        let section = section.expect("it is in a section");
        usize::try_from(address - section.address + section.offset.unwrap()).unwrap()
    };
    let function = image.unwind.as_ref().unwrap()[0].clone();
    let rva = u32::try_from(function.description.unwrap() - base).unwrap();
    let at = offset(function.description.unwrap());
    // Version 1, UNW_FLAG_CHAININFO, no codes; then the entry itself.
    bytes[at..at + 4].copy_from_slice(&[0x21, 0, 0, 0]);
    let entry = [function.start - base, function.end.unwrap() - base, rva.into()];
    for (index, word) in entry.iter().enumerate() {
        let word = u32::try_from(*word).unwrap().to_le_bytes();
        bytes[at + 4 + index * 4..at + 8 + index * 4].copy_from_slice(&word);
    }
    let found = look(&bytes).expect("the header is whole");
    assert!(found.images[0].unwind.as_ref().unwrap()[0].summary.contains("another's"));
}

/// As many frame descriptions as fit: what is kept of each is a small multiple of its bytes.
#[test]
fn frame_descriptions_take_no_more_than_a_multiple_of_their_bytes() {
    let Some(built) = built() else { return };
    let mut bytes = std::fs::read(built.path("linux-x86_64.so")).expect("it was built");
    let whole = look(&bytes).expect("it is whole");
    let sections = whole.images[0].sections.clone().expect("all parts");
    let section = sections.iter().find(|section| section.name.bytes() == b".eh_frame").unwrap();
    let index = section.index as usize;
    let start = bytes.len().next_multiple_of(8);
    bytes.resize(start, 0);
    // A CIE that says nothing, and entries of it.
    bytes.extend([12_u32, 0, 0x0178_0001, 0x0000_0010].map(u32::to_le_bytes).concat());
    for entry in 0..50_000_u32 {
        bytes.extend([20, 16 + entry * 24 + 4, 1, 0, 16, 0].map(u32::to_le_bytes).concat());
    }
    let table = usize::try_from(u64::from_le_bytes(bytes[40..48].try_into().unwrap())).unwrap();
    let header = table + index * 64;
    let size = bytes.len() - start;
    bytes[header + 24..header + 32].copy_from_slice(&(start as u64).to_le_bytes());
    bytes[header + 32..header + 40].copy_from_slice(&(size as u64).to_le_bytes());
    let found = look(&bytes).expect("the header is whole");
    assert_eq!(found.images[0].counts.unwind, 50_000, "{:?}", found.images[0].damage);
}

#[test]
fn a_universal_file_of_itself_ends() {
    let mut fat = b"\xca\xfe\xba\xbe\0\0\0\x28".to_vec();
    for _ in 0..40 {
        fat.extend([1, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0]);
    }
    fat.resize(0x400, 0);
    let found = look(&fat).expect("the header is whole");
    assert!(found.images.is_empty() && !found.damage.is_empty());
}

#[test]
fn slices_that_all_are_the_same_file_are_read_a_few_times() {
    let Some(built) = built() else { return };
    let slice = std::fs::read(built.path("chained-x86_64")).expect("it was built");
    let size = u32::try_from(slice.len()).unwrap();
    let mut fat = b"\xca\xfe\xba\xbe\0\0\0\x28".to_vec();
    for _ in 0..40 {
        fat.extend([1, 0, 0, 7, 0, 0, 0, 3]);
        fat.extend([0x1000_u32, size, 12].map(u32::to_be_bytes).concat());
    }
    fat.resize(0x1000, 0);
    fat.extend(&slice);
    let found = look(&fat).expect("the header is whole");
    assert!(found.images.len() < 10);
    assert!(found.damage.iter().any(|damage| damage.message.contains("not shown")));
}

/// What asks for more places than there are bytes, by opcodes, in a program of opcodes.
#[test]
fn one_opcode_that_asks_for_a_billion_places_is_stopped() {
    let Some(built) = built() else { return };
    let mut bytes = std::fs::read(built.path("opcodes-x86_64")).expect("it was built");
    // LC_DYLD_INFO_ONLY: rebase_off behind cmd and cmdsize.
    let at = bytes
        .windows(8)
        .position(|window| window == [0x22, 0, 0, 0x80, 48, 0, 0, 0])
        .expect("it has LC_DYLD_INFO_ONLY");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (offset, size) = (word(at + 8), word(at + 12));
    // Type, segment and offset as they are; then DO_REBASE_ULEB_TIMES 2^56.
    assert!(size >= 12, "there is room for it");
    let program = [0x11, 0x22, 0, 0x60, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    bytes[offset..offset + 12].copy_from_slice(&program[..12]);
    let found = look(&bytes).expect("the header is whole");
    let damage = &found.images[0].damage;
    let told = damage.iter().find(|damage| damage.structure == "rebase opcodes");
    assert!(told.is_some(), "{damage:?}");
}

#[test]
fn fixup_chains_that_never_end_are_stopped() {
    let Some(built) = built() else { return };
    for arch in ["x86_64", "arm64"] {
        let bytes = std::fs::read(built.path(&format!("chained-{arch}"))).expect("it was built");
        let whole = look(&bytes).expect("it is whole");
        let relocations = whole.images[0].relocations.clone().expect("all parts");
        assert!(relocations.len() > 5);
        for relocation in relocations {
            let segments = whole.images[0].segments.as_ref().unwrap();
            let segment = segments.iter().find(|segment| {
                (segment.address..segment.address + segment.size).contains(&relocation.place)
            });
            let segment = segment.expect("fixups lie in segments");
            let at = usize::try_from(relocation.place - segment.address + segment.offset).unwrap();
            let mut broken = bytes.clone();
            // The longest step to the next.
            broken[at + 6] = 0xf8;
            broken[at + 7] |= 0x7f;
            look(&broken);
        }
    }
}
