//! Assembled: the assembly beside every line of hex, and that of the start-up code, gives those very bytes.
//!
//! In specs the comment behind a line of code is its assembly, up to ` ; `; llvm-mc assembles them all,
//! labels between them. A field that lies in the same text is compared with what the link wrote; one that
//! depends on another section, with the relocation that the assembler asks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use minild::arch::start_up::{self, StartUp, StartUpSymbol, StartUps};
use minild::arch::{aarch64, x86_64};
use minild::program::{Contents, Definition, Landmark, RelocationKind, SectionKind};
use minild::target::TARGETS;
use minild::{Architecture, Image, Program, Target};
use object::read::elf::ElfFile64;
use object::{
    Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionIndex,
    SymbolKind, elf,
};

use crate::case::{Case, Variant, all, root};
use crate::{Checked, missing, needing};

pub(crate) fn trials() -> Vec<Trial> {
    let specs = all().into_iter().filter(|case| case.variant == Variant::Default);
    let specs = specs.filter_map(|case| Some((hex(&case)?, case))).map(|(hex, case)| {
        let name = case.test_name("comments_assemble");
        needing(missing("llvm-mc", "llvm"), name, move || comments_are_the_code(&case, &hex))
    });
    let targets = TARGETS.iter().map(|row| row.target);
    let pieces = targets.flat_map(|target| {
        let libc = start_up::libc_start(target);
        let lists = libc.and_then(|start| start.with_lists).map(|(code, _)| ("libc_lists", code));
        let libc = libc.map(|start| ("libc", start.start_up));
        let callback = start_up::callback(target).map(|code| ("callback", code));
        let pieces = start_up::of(target).map(StartUps::pieces).into_iter().flatten();
        pieces
            .chain(libc)
            .chain(lists)
            .chain(callback)
            .map(move |(name, piece)| (target, name, piece))
    });
    let start_ups = pieces.map(|(target, piece, start_up)| {
        let name = format!("start_up_assembles::{target}::{piece}");
        needing(missing("clang", "clang"), name, move || {
            start_up_is_its_source(target, piece, start_up)
        })
    });
    specs.chain(start_ups).collect()
}

/// How the tools call an architecture.
fn triple(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64-linux-gnu",
        Architecture::Aarch64 => "aarch64-linux-gnu",
        other => panic!("{other} has no triple here"),
    }
}

/// A relocation as the assembler asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    offset: u64,
    kind: &'static str,
    symbol: String,
    addend: i64,
}

/// What an assembler made: the bytes of `.text`, and the relocations in them.
struct Assembled {
    bytes: Vec<u8>,
    relocations: BTreeSet<Wanted>,
}

impl Assembled {
    fn read(object: &Path, section: &str) -> Result<Self, Failed> {
        let bytes = fs::read(object)?;
        let file = ElfFile64::<object::Endianness>::parse(&*bytes)?;
        let text = file.section_by_name(section).ok_or_else(|| format!("no {section}"))?;
        let mut relocations = BTreeSet::new();
        for (offset, relocation) in text.relocations() {
            let RelocationTarget::Symbol(symbol) = relocation.target() else {
                return Err("a relocation without a symbol".into());
            };
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                return Err("a relocation of another format".into());
            };
            let symbol = file.symbol_by_index(symbol)?;
            let (symbol, addend) = match (symbol.kind(), u64::try_from(relocation.addend())) {
                // The assembler counts from the start of the text; people name the label there.
                (SymbolKind::Section, Ok(offset)) => (label_at(&file, text.index(), offset)?, 0),
                _ => (symbol.name()?.to_owned(), relocation.addend()),
            };
            let machine = file.elf_header().e_machine.get(object::Endianness::Little);
            relocations.insert(Wanted {
                offset,
                kind: kind(machine, r_type)?.name(),
                symbol,
                addend,
            });
        }
        Ok(Self { bytes: text.data()?.to_vec(), relocations })
    }
}

/// The name that a section has for a byte of it.
fn label_at(
    file: &ElfFile64<'_, object::Endianness>,
    section: SectionIndex,
    offset: u64,
) -> Result<String, Failed> {
    let mut labels = file.symbols().filter(|symbol| {
        symbol.section_index() == Some(section)
            && symbol.address() == offset
            && symbol.kind() != SymbolKind::Section
    });
    let label = labels.find(|symbol| symbol.name().is_ok_and(|name| !name.is_empty()));
    let label = label.ok_or_else(|| format!("no label at {offset:#x}"))?;
    Ok(label.name()?.to_owned())
}

/// The kind that an assembler's relocation is, by the numbers of the psABIs.
fn kind(machine: elf::Machine, number: elf::RelocationType) -> Result<RelocationKind, Failed> {
    let rows: &[(elf::RelocationType, RelocationKind)] = match machine {
        elf::EM_X86_64 => &[
            (elf::R_X86_64_PC32, x86_64::REL32),
            (elf::R_X86_64_PLT32, x86_64::CALL32),
            (elf::R_X86_64_64, x86_64::ABS64),
            (elf::R_X86_64_GOTPCREL, x86_64::GOT32),
            (elf::R_X86_64_GOTPCRELX, x86_64::GOT32),
            (elf::R_X86_64_TPOFF32, x86_64::TPOFF32),
            (elf::R_X86_64_GOTTPOFF, x86_64::GOTTPOFF32),
            (elf::R_X86_64_GOTPC32_TLSDESC, x86_64::TLSDESC32),
            (elf::R_X86_64_TLSGD, x86_64::TLSGD32),
        ],
        _ => &[
            (elf::R_AARCH64_ADR_PREL_LO21, aarch64::ADR21),
            (elf::R_AARCH64_ADR_PREL_PG_HI21, aarch64::PAGE21),
            (elf::R_AARCH64_ADD_ABS_LO12_NC, aarch64::PAGEOFF12),
            (elf::R_AARCH64_LDST8_ABS_LO12_NC, aarch64::PAGEOFF12),
            (elf::R_AARCH64_LDST32_ABS_LO12_NC, aarch64::PAGEOFF12),
            (elf::R_AARCH64_LDST64_ABS_LO12_NC, aarch64::PAGEOFF12),
            (elf::R_AARCH64_JUMP26, aarch64::JUMP26),
            (elf::R_AARCH64_CALL26, aarch64::CALL26),
            (elf::R_AARCH64_ADR_GOT_PAGE, aarch64::GOTPAGE21),
            (elf::R_AARCH64_LD64_GOT_LO12_NC, aarch64::GOTPAGEOFF12),
            (elf::R_AARCH64_ABS64, aarch64::ABS64),
            (elf::R_AARCH64_TLSLE_ADD_TPREL_HI12, aarch64::TPREL_HI12),
            (elf::R_AARCH64_TLSLE_ADD_TPREL_LO12_NC, aarch64::TPREL_LO12),
            (elf::R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC, aarch64::TPREL_LO12),
            (elf::R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21, aarch64::GOTTPREL_PAGE21),
            (elf::R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC, aarch64::GOTTPREL_LO12),
            (elf::R_AARCH64_TLSDESC_ADR_PAGE21, aarch64::TLSDESC_PAGE21),
            (elf::R_AARCH64_TLSDESC_LD64_LO12, aarch64::TLSDESC_LO12),
            (elf::R_AARCH64_TLSDESC_ADD_LO12, aarch64::TLSDESC_LO12),
        ],
    };
    let row = rows.iter().find(|(known, _)| *known == number);
    row.map(|(_, kind)| *kind).ok_or_else(|| format!("no kind for {number:?}").into())
}

/// The hex text of a case that is all its code; other specs have code in assembly, which is compared with
/// llvm-mc elsewhere.
fn hex(case: &Case) -> Option<String> {
    let spec: toml::Table = case.text().parse().expect("the spec is right");
    let Target { architecture, operating_system } = case.target;
    let tables = spec.get("target").and_then(toml::Value::as_table);
    // The more special one wins.
    let names =
        [case.target.name().to_owned(), operating_system.to_string(), architecture.to_string()];
    let special = names.iter().filter_map(|name| tables?.get(name)?.as_table());
    let mut layers = special.chain([&spec]);
    let layer =
        layers.find(|layer| ["asm", "hex", "file"].iter().any(|key| layer.contains_key(*key)));
    Some(layer?.get("hex")?.as_str().expect("hex is text").to_owned())
}

fn comments_are_the_code(case: &Case, hex: &str) -> Checked {
    let architecture = case.target.architecture;
    let mut source = String::new();
    if architecture == Architecture::X86_64 {
        source.push_str(".intel_syntax noprefix\n");
    }
    let instructions = add_comments(hex, &mut source);
    if instructions == 0 {
        return Err("no line of code has its assembly beside it".into());
    }
    let folder = tempfile::tempdir()?;
    let object = folder.path().join("code.o");
    let source_path = folder.path().join("code.s");
    fs::write(&source_path, &source)?;
    let output = Command::new("llvm-mc")
        .args(["-filetype=obj", "-triple", triple(architecture), "-o"])
        .args([&object, &source_path])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let assembled = Assembled::read(&object, ".text")?;
    case.link(|program, image| compare(program, image, &assembled, &source))
}

/// Adds the labels and the comments of code, and counts the comments.
fn add_comments(hex: &str, source: &mut String) -> usize {
    let mut instructions = 0;
    for line in hex.lines() {
        let (code, comment) = line.split_once('#').unwrap_or((line, ""));
        if code.trim_end().ends_with(':') {
            source.push_str(code);
        } else if !code.trim().is_empty() {
            source.push_str(comment.split(" ; ").next().unwrap_or_default());
            instructions += 1;
        }
        source.push('\n');
    }
    instructions
}

fn compare(program: &Program<'_>, image: &Image, assembled: &Assembled, source: &str) -> Checked {
    let (id, section) = program
        .sections_with_ids()
        .find(|(_, section)| section.kind == SectionKind::Code)
        .ok_or("no code")?;
    let Contents::Bytes(bytes) = &section.contents else { return Err("no bytes".into()) };
    let mut bytes = bytes.to_vec();
    let offset = file_offset(image, image.layout.section_address(id).0)?;

    let mut relocations = BTreeSet::new();
    for relocation in &section.relocations {
        let symbol = program.symbol(relocation.symbol);
        let is_known_here = match symbol.definition {
            // Across a page border only the link can count, though it be in the same text.
            Definition::Section { section, .. } => {
                let is_left =
                    assembled.relocations.iter().any(|wanted| wanted.offset == relocation.offset);
                section == id && !is_left
            }
            Definition::Absolute(_) => true,
            _ => false,
        };
        if is_known_here {
            let field = usize::try_from(relocation.offset)?;
            let width = usize::try_from(relocation.kind.width())?;
            bytes[field..field + width]
                .copy_from_slice(&image.bytes[offset + field..offset + field + width]);
        } else {
            relocations.insert(Wanted {
                offset: relocation.offset,
                kind: relocation.kind.name(),
                symbol: symbol.name.to_string(),
                addend: relocation.addend,
            });
        }
    }
    if bytes != assembled.bytes {
        let at = bytes.iter().zip(&assembled.bytes).take_while(|(one, other)| one == other).count();
        return Err(format!("other code from {at:#x} on; assembled:\n{source}").into());
    }
    if relocations != assembled.relocations {
        let Assembled { relocations: wanted, .. } = assembled;
        return Err(format!("the hex says {relocations:#?}\nthe assembly {wanted:#?}").into());
    }
    Ok(())
}

fn file_offset(image: &Image, address: u64) -> Result<usize, Failed> {
    let segment = image
        .layout
        .segments
        .iter()
        .find(|segment| {
            (segment.address.0..).contains(&address) && address - segment.address.0 < segment.size.0
        })
        .ok_or("the code is in no segment")?;
    Ok(usize::try_from(address - segment.address.0 + segment.offset.0)?)
}

fn start_up_is_its_source(target: Target, piece: &str, start_up: &StartUp) -> Checked {
    let folder = tempfile::tempdir()?;
    let object = folder.path().join("start_up.o");
    let source = root().join(format!("src/arch/start_up/{target}.s"));
    let output = Command::new("clang")
        .args(["-target", triple(target.architecture), "-c", "-o"].map(std::ffi::OsStr::new))
        .arg(&object)
        .arg(&source)
        .output();
    let output = output?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let assembled = Assembled::read(&object, &format!(".text.{piece}"))?;
    if start_up.code != assembled.bytes {
        let bytes = start_up.code;
        return Err(format!("bytes are {bytes:02x?}, not {:02x?}", assembled.bytes).into());
    }
    let name = |symbol| match symbol {
        StartUpSymbol::Entry => "entry",
        StartUpSymbol::StackSize => "stack_size",
        StartUpSymbol::TlsAlign => "tls_align",
        StartUpSymbol::Import(name) => name,
        StartUpSymbol::Landmark(Landmark::Start(SectionKind::Init)) => "init_start",
        StartUpSymbol::Landmark(Landmark::End(SectionKind::Init)) => "init_end",
        StartUpSymbol::Landmark(Landmark::Start(SectionKind::Fini)) => "fini_start",
        StartUpSymbol::Landmark(Landmark::End(SectionKind::Fini)) => "fini_end",
        StartUpSymbol::Landmark(Landmark::TlsStart) => "tls_start",
        StartUpSymbol::Landmark(Landmark::TlsDataEnd) => "tls_data_end",
        StartUpSymbol::Landmark(Landmark::TlsEnd) => "tls_end",
        StartUpSymbol::Landmark(Landmark::ImageBase) => "image_base",
        StartUpSymbol::Landmark(Landmark::LoadRelocationsStart) => "load_relocations_start",
        StartUpSymbol::Landmark(Landmark::LoadRelocationsEnd) => "load_relocations_end",
        StartUpSymbol::Landmark(Landmark::RelRoStart) => "relro_start",
        StartUpSymbol::Landmark(Landmark::RelRoEnd) => "relro_end",
        StartUpSymbol::Landmark(other) => panic!("{other:?} has no name in the source"),
    };
    let relocations: BTreeSet<_> = start_up
        .relocations
        .iter()
        .map(|relocation| Wanted {
            offset: relocation.offset,
            kind: relocation.kind.name(),
            symbol: name(relocation.symbol).to_owned(),
            addend: relocation.addend,
        })
        .collect();
    if relocations != assembled.relocations {
        let Assembled { relocations: wanted, .. } = &assembled;
        return Err(format!("the table says {relocations:#?}\nthe source {wanted:#?}").into());
    }
    Ok(())
}
