//! The last segment: what dyld, the kernel and debuggers read and the program does not.
//!
//! Takes the layout of everything before it; gives the finished bytes of every table but the signature,
//! of which only the size is known, and what words hold that dyld will write.

use object::macho;

use super::commands::number;
use super::fixups::{
    ChainedImport, ChainedSegment, STRIDE, TARGET_BITS, Target, chains, is_chainable,
};
use super::opcodes::{Bind, Word, binds, push_uleb, rebases};
use super::plan::{
    BINDS, EXPORTS, FIXUPS, FUNCTION_STARTS, INDIRECT_SYMBOLS, PAGE, SIGNATURE, STRINGS, SYMBOLS,
    has_chained_fixups, is_dynamic,
};
use super::symbols::{HEADER_SYMBOL, Symbols, function_starts, import_name};
use super::tables::{Tables, encoder};
use super::trie::{self, Export, Found};
use super::{commands::Command, signature};
use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::Shape;
use crate::format::layout::{Body, Gathered, KeptImport, LoadRelocation};
use crate::format::plan::{Role, TableId};
use crate::program::{Binding, Definition, OutputKind};
use crate::units::{Align, Size};

/// File offsets have 32 bits.
const FILE_LIMIT: u64 = 1 << 32;

/// The tables of the last segment.
pub struct LinkEdit {
    /// In the order of the plan, the signature excepted.
    tables: Vec<(TableId, Align, Vec<u8>)>,
    pub(super) signature_size: u64,
    pub(super) symbols: Symbols,
    /// Where the stubs' part of the indirect symbols starts.
    pub(super) indirect_stubs: u32,
    /// Where the slots' part of them starts.
    pub(super) indirect_slots: u32,
    /// What each word holds in the file that dyld will write.
    pub(super) load_values: Vec<u64>,
}

impl LinkEdit {
    /// # Errors
    /// A pointer that dyld's chains cannot reach; a file of 4 GiB or more.
    pub(super) fn new(gathered: &Gathered<'_>, tables: &Tables, body: &Body) -> Result<Self> {
        check_file_size(body)?;
        let symbols = Symbols::new(gathered, tables, body);
        let words = words(gathered, tables, body)?;
        let mut link_edit = Self {
            tables: Vec::new(),
            signature_size: 0,
            symbols,
            indirect_stubs: 0,
            indirect_slots: 0,
            load_values: Vec::new(),
        };
        if tables.has_chains {
            let segments = chained_segments(gathered, tables, body);
            let (payload, values) = chains(&segments, &words);
            link_edit.add(FIXUPS, Align::WORD, payload);
            link_edit.load_values = values;
        } else if is_dynamic(gathered.program) {
            link_edit.add_opcodes(gathered, body, &words);
        }
        if is_dynamic(gathered.program) {
            link_edit.add(
                EXPORTS,
                Align::WORD,
                padded(trie::encode(&exports(gathered, tables, body))),
            );
        }
        link_edit.add(
            FUNCTION_STARTS,
            Align::WORD,
            encode_starts(&function_starts(gathered, body)),
        );
        let symbol_table = std::mem::take(&mut link_edit.symbols.bytes);
        link_edit.add(SYMBOLS, Align::WORD, symbol_table);
        link_edit.add_indirect_symbols(gathered, body);
        let strings = std::mem::take(&mut link_edit.symbols.strings);
        link_edit.add(STRINGS, Align::WORD, strings);

        let start = body.layout.file_size.0.next_multiple_of(PAGE.get());
        let end = link_edit.tables.iter().fold(start, |end, (_, align, bytes)| {
            end.next_multiple_of(align.get()) + bytes.len() as u64
        });
        let signature = end.next_multiple_of(signature::SIGNATURE_ALIGN.get());
        link_edit.signature_size = signature::signature_size(&gathered.program.name, signature);
        Ok(link_edit)
    }

    pub(super) fn shape(&self, table: TableId) -> Option<Shape> {
        if table == SIGNATURE {
            let align = signature::SIGNATURE_ALIGN;
            return Some(Shape { size: Size(self.signature_size), align });
        }
        let (_, align, bytes) = self.tables.iter().find(|(id, ..)| *id == table)?;
        Some(Shape { size: Size::of(bytes), align: *align })
    }

    /// The bytes of a table; of the signature only that there will be some.
    pub(super) fn bytes(&self, table: TableId) -> Vec<u8> {
        match self.tables.iter().find(|(id, ..)| *id == table) {
            Some((_, _, bytes)) => bytes.clone(),
            None => vec![0; number(self.signature_size) as usize],
        }
    }

    /// Adds a table, if there is anything in it.
    fn add(&mut self, table: TableId, align: Align, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.tables.push((table, align, bytes));
        }
    }

    fn add_opcodes(&mut self, gathered: &Gathered<'_>, body: &Body, words: &[(Word, Target<'_>)]) {
        let base = body.layout.image_base.0;
        let slid: Vec<Word> = words
            .iter()
            .filter(|(_, target)| matches!(target, Target::Image(_)))
            .map(|(word, _)| *word)
            .collect();
        let bound: Vec<Bind<'_>> = words
            .iter()
            .filter_map(|&(word, target)| match target {
                Target::Image(_) => None,
                Target::Import(ChainedImport { name, ordinal, weak }, addend) => {
                    Some(Bind { word, ordinal, name, weak, addend })
                }
            })
            .collect();
        self.add(FIXUPS, Align::WORD, padded(rebases(&slid)));
        self.add(BINDS, Align::WORD, padded(binds(&bound)));
        self.load_values = words
            .iter()
            .map(|(_, target)| match target {
                Target::Image(offset) => base.wrapping_add(*offset),
                Target::Import(..) => 0,
            })
            .collect();
        debug_assert_eq!(self.load_values.len(), gathered.load_relocations.len());
    }

    /// For each stub and then each slot the symbol that it is for.
    fn add_indirect_symbols(&mut self, gathered: &Gathered<'_>, body: &Body) {
        let by_place = |place: fn(&KeptImport) -> Option<u64>| {
            let mut imports: Vec<_> = gathered
                .imports
                .iter()
                .filter_map(|kept| Some((place(kept)?, kept.import)))
                .collect();
            imports.sort_unstable();
            imports
        };
        let mut bytes = Vec::new();
        let encoder = encoder();
        let stubs = by_place(|kept| kept.stub.map(|(_, offset)| offset));
        for (_, import) in &stubs {
            encoder
                .indirect_symbol(&mut bytes, macho::IndirectSymbol(self.symbols.imports[import]));
        }
        self.indirect_slots = super::tables::count(stubs.len());
        let of_imports = by_place(|kept| kept.slot.map(|(_, offset)| offset));
        let slots = body.layout.section(Role::Slots).map_or(0, |slots| slots.size.0 / 8);
        for slot in 0..slots {
            let import = of_imports.binary_search_by_key(&(slot * 8), |(offset, _)| *offset);
            let symbol = match import {
                Ok(index) => macho::IndirectSymbol(self.symbols.imports[&of_imports[index].1]),
                Err(_) => macho::INDIRECT_SYMBOL_LOCAL,
            };
            encoder.indirect_symbol(&mut bytes, symbol);
        }
        self.add(INDIRECT_SYMBOLS, Align::WORD, bytes);
    }
}

/// What others can look up: what the program exports, and an executable's header.
fn exports(gathered: &Gathered<'_>, tables: &Tables, body: &Body) -> Vec<Export> {
    let program = gathered.program;
    let header = Export { name: HEADER_SYMBOL.to_owned(), found: Found::Offset(0) };
    let header = (program.kind == OutputKind::Executable).then_some(header);
    let own = program.exports.iter().map(|export| {
        let symbol = gathered.winner(export.symbol);
        let public = gathered.public_symbol(symbol);
        let offset = body.layout.symbol(public).0.wrapping_sub(body.layout.image_base.0);
        let found = match program.symbol(symbol).definition {
            Definition::Import(import) => {
                let kept = gathered.kept(import).expect("an import that is exported is kept");
                let name = import_name(gathered, kept).to_owned();
                Found::Reexport { ordinal: tables.ordinal(program, kept), name }
            }
            _ if public != symbol => Found::ThreadLocal(offset),
            _ => Found::Offset(offset),
        };
        Export { name: export.name.to_string(), found }
    });
    header.into_iter().chain(own).collect()
}

fn check_file_size(body: &Body) -> Result<()> {
    let size = body.layout.file_size.0;
    // The signature adds 32 bytes for every 4 KiB, symbols and fixups are smaller than what they are for.
    let limit = FILE_LIMIT / 16 * 15;
    if size < limit {
        return Ok(());
    }
    let message = format!(
        "the file has {size:#x} bytes, and {limit:#x} are what 32-bit offsets leave beside the signature"
    );
    Err(Error::new(ErrorKind::TooLarge, message).value(size.into(), 0..=limit.into()).into())
}

/// Every word that dyld writes, ascending in memory.
fn words<'g>(
    gathered: &Gathered<'g>,
    tables: &Tables,
    body: &Body,
) -> Result<Vec<(Word, Target<'g>)>> {
    let mut errors = Collector::default();
    let mut words = Vec::new();
    for relocation in &gathered.load_relocations {
        let word = word(gathered, tables, body, relocation);
        match target(gathered, tables, body, relocation).and_then(|target| {
            check_word(gathered, relocation, word)?;
            Ok(target)
        }) {
            Ok(target) => words.push((word, target)),
            Err(error) => errors.push(error),
        }
    }
    errors.into_result(words)
}

/// The segment and offset of a word.
///
/// # Panics
/// Never: load relocations lie in sections that are laid out.
fn word(
    gathered: &Gathered<'_>,
    tables: &Tables,
    body: &Body,
    relocation: &LoadRelocation,
) -> Word {
    let address = body.layout.section_address(relocation.section).0 + relocation.offset;
    let segment = body
        .layout
        .segments
        .iter()
        .find(|segment| (segment.address.0..segment.address.0 + segment.size.0).contains(&address))
        .expect("the word lies in a segment");
    let number = tables
        .commands
        .iter()
        .position(|command| match command {
            Command::Segment(index) => gathered.segments[*index].row.name == segment.name,
            _ => false,
        })
        .expect("the segment has a load command");
    let number = u8::try_from(number).expect("a plan has few segments");
    Word { segment: number, offset: address - segment.address.0 }
}

fn target<'g>(
    gathered: &Gathered<'g>,
    tables: &Tables,
    body: &Body,
    relocation: &LoadRelocation,
) -> Result<Target<'g>, Error> {
    if let Some(import) = relocation.import {
        let kept = gathered.kept(import).expect("an import that a relocation names is kept");
        let import = ChainedImport {
            name: import_name(gathered, kept),
            ordinal: tables.ordinal(gathered.program, kept),
            weak: gathered.program.symbol(kept.symbol).binding == Binding::Weak,
        };
        return Ok(Target::Import(import, relocation.addend));
    }
    let address = body.layout.symbol(relocation.symbol).0.wrapping_add_signed(relocation.addend);
    let offset = address.wrapping_sub(body.layout.image_base.0);
    let limit = 1 << TARGET_BITS;
    if tables.has_chains && offset >= limit {
        let offset = i128::from(address) - i128::from(body.layout.image_base.0);
        let name = &gathered.program.symbol(relocation.symbol).name;
        let message = format!(
            "the pointer to `{name}` points {offset:#x} bytes from the start of the image, and a chained \
             pointer holds 0..{limit:#x}"
        );
        let place = Place::Section { section: relocation.section, offset: relocation.offset };
        return Err(Error::new(ErrorKind::OutOfRange, message)
            .at(place, "")
            .value(offset, 0..=i128::from(limit) - 1));
    }
    Ok(Target::Image(offset))
}

fn check_word(
    gathered: &Gathered<'_>,
    relocation: &LoadRelocation,
    word: Word,
) -> Result<(), Error> {
    let place = Place::Section { section: relocation.section, offset: relocation.offset };
    if !has_chained_fixups(gathered.program) {
        return Ok(());
    }
    if !is_chainable(word) {
        let message = format!(
            "a pointer at offset {:#x} cannot be chained: dyld wants it at a multiple of {STRIDE}, in one \
             page",
            word.offset
        );
        return Err(Error::new(ErrorKind::Misaligned, message).at(place, ""));
    }
    let pages = u64::from(u16::MAX);
    if word.offset / PAGE.get() >= pages {
        let message = format!(
            "a pointer lies on page {} of its segment, and chains reach the first {pages} pages of {:#x} bytes",
            word.offset / PAGE.get(),
            PAGE.get()
        );
        return Err(Error::new(ErrorKind::TooLarge, message)
            .at(place, "")
            .value((word.offset / PAGE.get()).into(), 0..=i128::from(pages) - 1));
    }
    Ok(())
}

/// Every segment that has a load command, page zero and the last one included: the number of a segment
/// is its index among them.
fn chained_segments(gathered: &Gathered<'_>, tables: &Tables, body: &Body) -> Vec<ChainedSegment> {
    let mut segments = Vec::new();
    for command in &tables.commands {
        match command {
            Command::PageZero => segments.push(ChainedSegment { offset: 0, size: 0 }),
            Command::Segment(index) => {
                let name = gathered.segments[*index].row.name;
                let laid_out = body.layout.segments.iter().find(|segment| segment.name == name);
                segments.push(ChainedSegment {
                    offset: laid_out.map_or(0, |s| s.address.0 - body.layout.image_base.0),
                    size: laid_out.map_or(0, |segment| segment.size.0),
                });
            }
            _ => {}
        }
    }
    segments
}

/// Distances from each function to the next, the first from the Mach header, ended by a zero.
fn encode_starts(starts: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut before = 0;
    for start in starts {
        push_uleb(&mut bytes, start - before);
        before = *start;
    }
    bytes.push(0);
    padded(bytes)
}

/// Filled up to a whole number of words.
fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}
