//! What the passes hand to a format: the program gathered into output sections, then laid out.
//!
//! [`Gathered`] knows order and sizes, [`Layout`] addresses and file offsets with the reason for every
//! gap. A [`Layout`] is public: it can be asked for without writing a file.
//!
//! ```
//! use minild::program::{Program, Section, SectionKind};
//! use minild::{Options, Size, Target};
//!
//! let mut program = Program::new(Target::AARCH64_LINUX);
//! let buffer = program.add_section(Section::bss("buffer", Size(1 << 30)));
//! let code = program.add_section(Section::new("start", SectionKind::Code, &[0; 4]));
//! program.entry = Some(program.define("start", code, 0, 4));
//!
//! let layout = minild::layout(&program, &Options::default())?;
//! for segment in &layout.segments {
//!     for section in &segment.sections {
//!         println!("{} {} {} {}", section.address, section.offset, section.name, section.gap.reason);
//!     }
//! }
//! assert!(layout.memory_size() > Size(1 << 30) && layout.file_size < Size(1 << 12));
//! assert!(layout.section_address(buffer) > layout.section_address(code));
//! # Ok::<(), minild::Errors>(())
//! ```

use std::borrow::Cow;
use std::collections::HashMap;

use super::plan::{Permissions, Role, SegmentRow};
use crate::arch::ThreadPointer;
use crate::program::{Binding, ImportId, Program, SectionId, SectionKind, SymbolId, SymbolType};
use crate::target::Target;
use crate::units::{Address, Align, FileOffset, Size};

/// A section of the program on its way into an output section.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Member {
    /// Which section; those that the link made itself follow the program's.
    pub section: SectionId,
    /// Bytes of memory.
    pub size: Size,
    /// What its address is a multiple of.
    pub align: Align,
    /// Where it must lie, if the program says so.
    pub at: Option<Address>,
}

/// A section of the program at its place in an output section.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Piece {
    /// Which section; those that the link made itself follow the program's.
    pub section: SectionId,
    /// Bytes from the start of the output section.
    pub offset: Size,
    /// Bytes of memory.
    pub size: Size,
    /// What its address is a multiple of.
    pub align: Align,
    /// What lies between the end of the piece before it and its start.
    pub gap: Gap,
}

/// Sections of one purpose, one behind the other, before they have an address.
#[derive(Debug)]
#[non_exhaustive]
pub struct OutputSection {
    /// Its name in the format.
    pub name: Cow<'static, str>,
    /// What it is made of.
    pub role: Role,
    /// The greatest alignment of its members.
    pub align: Align,
    /// What it is made of; empty for a format's own table.
    pub members: Vec<Member>,
}

impl OutputSection {
    /// Whether the program has no byte for it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.iter().all(|member| member.size == Size::ZERO)
    }
}

/// A segment of the plan with the output sections that this program has.
#[derive(Debug)]
#[non_exhaustive]
pub struct GatheredSegment {
    /// Its row of the plan.
    pub row: &'static SegmentRow,
    /// Its output sections.
    pub sections: Vec<OutputSection>,
}

/// What the loader writes into a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadValue {
    /// The symbol's address.
    #[default]
    Address,
    /// How far the thread-local variable lies from the thread pointer.
    ThreadOffset,
    /// The number of the file that has the thread-local variable.
    Module,
    /// Where in that file's thread-locals the variable lies.
    ModuleOffset,
    /// A function that gives the address of a thread's variable, and in the next word what it finds it by.
    Descriptor,
}

/// A word that the loader, or start-up code in its place, writes when the program is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadRelocation {
    /// The section that the word lies in.
    pub section: SectionId,
    /// Bytes from that section's start.
    pub offset: u64,
    /// The symbol that it depends on.
    pub symbol: SymbolId,
    /// What is added to what is written.
    pub addend: i64,
    /// The import that the symbol is, if it is one.
    pub import: Option<ImportId>,
    /// What of the symbol is written.
    pub value: LoadValue,
}

impl LoadRelocation {
    /// Whether it only follows the image's place.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        self.import.is_none() && self.value == LoadValue::Address
    }
}

/// An import that something refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptImport {
    /// Which import.
    pub import: ImportId,
    /// The symbol that stands for it.
    pub symbol: SymbolId,
    /// The section and offset of its slot; `None` where only pointers in data refer to it.
    pub slot: Option<(SectionId, u64)>,
    /// The section and offset of its stub; `None` where nothing calls it.
    pub stub: Option<(SectionId, u64)>,
    /// Whether it is a thread-local variable.
    pub is_thread_local: bool,
}

/// A symbol for the file's symbol table.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NamedSymbol<'p> {
    /// Which symbol.
    pub id: SymbolId,
    /// Its name.
    pub name: &'p str,
    /// Who sees it.
    pub binding: Binding,
    /// What it names, never unspecified where its section says it.
    pub symbol_type: SymbolType,
    /// Bytes that belong to it.
    pub size: u64,
    /// The section that it lies in; `None` for a number.
    pub section: Option<SectionId>,
}

/// The program in output sections: order and sizes are final, addresses are not known yet.
#[derive(Debug)]
pub struct Gathered<'p> {
    /// The program.
    pub program: &'p Program<'p>,
    /// Where it starts; a library may have no such place.
    pub entry: Option<SymbolId>,
    /// The segments with something in them; output sections that are tables are listed whether the format
    /// will have them or not.
    pub segments: Vec<GatheredSegment>,
    /// What goes into the symbol table, in the program's order.
    pub symbols: Vec<NamedSymbol<'p>>,
    /// The words to be written at load time, ascending in memory.
    pub load_relocations: Vec<LoadRelocation>,
    /// The imports that are kept, each with its symbol and its slot if it has one: by library, then in
    /// the program's order.
    pub imports: Vec<KeptImport>,
    pub(crate) kept_indices: HashMap<ImportId, usize>,
    pub(crate) variables: HashMap<SymbolId, SymbolId>,
    pub(crate) winners: &'p [SymbolId],
    pub(crate) outputs: Vec<usize>,
}

impl Gathered<'_> {
    /// The output section that a section lies in: its index among all of them, in order.
    ///
    /// # Panics
    /// When `section` is not of the program that was gathered.
    #[must_use]
    pub fn output_of(&self, section: SectionId) -> usize {
        self.outputs[section.index()]
    }

    /// What is known of an import; `None` for one that nothing refers to.
    #[must_use]
    pub fn kept(&self, import: ImportId) -> Option<&KeptImport> {
        self.kept_indices.get(&import).map(|index| &self.imports[*index])
    }

    /// The symbol that defines the name of `symbol`.
    ///
    /// # Panics
    /// When `symbol` is not of the program that was gathered.
    #[must_use]
    pub fn winner(&self, symbol: SymbolId) -> SymbolId {
        self.winners[symbol.index()]
    }

    /// What stands for a symbol where others look it up: what describes it, if it is a thread-local variable
    /// that something describes; if not, itself.
    ///
    /// # Panics
    /// When `symbol` is not of the program that was gathered.
    #[must_use]
    pub fn public_symbol(&self, symbol: SymbolId) -> SymbolId {
        self.variables.get(&self.winner(symbol)).copied().unwrap_or(symbol)
    }

    /// Every output section, in order.
    pub fn sections(&self) -> impl Iterator<Item = &OutputSection> {
        self.segments.iter().flat_map(|segment| &segment.sections)
    }

    /// Whether the program has an output section of this role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.sections().any(|section| section.role == role)
    }
}

/// Why there is a gap before something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is none, or nothing to explain.
    None,
    /// Its address is a multiple of its alignment.
    Alignment(Align),
    /// The program says where it lies.
    At,
    /// Its permissions are not those of the segment before it: it starts on a page of its own.
    Page(Align),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Alignment(align) => write!(f, "aligned to {align}"),
            Self::At => f.write_str("placed by `at`"),
            Self::Page(align) => write!(f, "a page of its own ({} KiB)", align.get() / 1024),
        }
    }
}

/// Bytes that nothing lies in, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// How many bytes of memory.
    pub size: Size,
    /// Why.
    pub reason: Reason,
}

/// An output section at its final place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LaidOutSection {
    /// Its name in the format.
    pub name: Cow<'static, str>,
    /// What it is made of.
    pub role: Role,
    /// Its first byte in memory; 0 in a segment that is not mapped.
    pub address: Address,
    /// Its first byte in the file.
    pub offset: FileOffset,
    /// Bytes of memory.
    pub size: Size,
    /// Bytes of the file: 0 for zeros.
    pub file_size: Size,
    /// What its address is a multiple of.
    pub align: Align,
    /// What lies before it.
    pub gap: Gap,
    /// What it is made of; empty for a format's own table.
    pub pieces: Vec<Piece>,
}

/// A segment at its final place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Segment {
    /// Its name, in the format or for people.
    pub name: &'static str,
    /// What its pages may be used for.
    pub permissions: Permissions,
    /// Whether it lies in memory at all.
    pub mapped: bool,
    /// Whether it turns read-only once the program is relocated.
    pub relro: bool,
    /// Its first byte in memory; 0 where it is not mapped.
    pub address: Address,
    /// Its first byte in the file.
    pub offset: FileOffset,
    /// Bytes of memory.
    pub size: Size,
    /// Bytes of the file.
    pub file_size: Size,
    /// The greatest alignment in it, at least the page size.
    pub align: Align,
    /// Its output sections, in order.
    pub sections: Vec<LaidOutSection>,
}

/// Where the template lies that each thread's variables are copied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Template {
    /// Its first byte, at a multiple of its alignment.
    pub start: Address,
    /// The byte behind what of it has bytes: from there on it is zeros.
    pub data_end: Address,
    /// The byte behind it.
    pub end: Address,
    /// What every copy's address is a multiple of.
    pub align: Align,
}

impl Template {
    /// Where the thread pointer would point if the template itself were a thread's copy.
    #[must_use]
    pub fn thread_pointer(&self, thread_pointer: ThreadPointer) -> i128 {
        let round_up = |number: u64| i128::from(number.next_multiple_of(self.align.get()));
        match thread_pointer {
            ThreadPointer::BehindBlock => round_up(self.end.0),
            ThreadPointer::BeforeBlock { head } => i128::from(self.start.0) - round_up(head),
        }
    }
}

/// A layout in which the late tables are still missing.
#[derive(Debug)]
pub struct Body {
    pub(crate) layout: Layout,
    /// The end of what is placed, in memory.
    pub(crate) end: Address,
}

impl Body {
    /// What is placed so far.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// Where everything lies, in memory and in the file: every number is final.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Layout {
    /// What it was laid out for.
    pub target: Target,
    /// The address of the image's first byte.
    pub image_base: Address,
    /// Segments of different permissions do not share a page of this size.
    pub page_size: Align,
    /// Where the loader, or the dynamic linker, jumps to; a library may have no such place.
    pub entry: Option<Address>,
    /// The segments, in order.
    pub segments: Vec<Segment>,
    /// Bytes of the whole file.
    pub file_size: Size,
    pub(crate) symbols: Vec<Address>,
    pub(crate) section_addresses: Vec<Address>,
    pub(crate) made_names: Vec<&'static str>,
}

impl Layout {
    /// Every output section, in order.
    pub fn sections(&self) -> impl Iterator<Item = &LaidOutSection> {
        self.segments.iter().flat_map(|segment| &segment.sections)
    }

    /// The output section of this role, if the program has one.
    #[must_use]
    pub fn section(&self, role: Role) -> Option<&LaidOutSection> {
        self.sections().find(|section| section.role == role)
    }

    /// The thread-local template, if the program has thread-local variables.
    #[must_use]
    pub fn template(&self) -> Option<Template> {
        let data = self.section(Role::Kind(SectionKind::TlsData));
        let zeros = self.section(Role::Kind(SectionKind::TlsBss));
        let first = data.or(zeros)?;
        let end = |section: &LaidOutSection| Address(section.address.0 + section.size.0);
        Some(Template {
            start: first.address,
            data_end: data.map_or(first.address, end),
            end: end(zeros.unwrap_or(first)),
            align: first.align,
        })
    }

    /// Where a symbol lies: its address, or its number if it is absolute.
    ///
    /// # Panics
    /// When `id` is not of the program that was laid out.
    #[must_use]
    pub fn symbol(&self, id: SymbolId) -> Address {
        self.symbols[id.index()]
    }

    /// Where a section lies.
    ///
    /// # Panics
    /// When `id` is not of the program that was laid out.
    #[must_use]
    pub fn section_address(&self, id: SectionId) -> Address {
        self.section_addresses[id.index()]
    }

    /// The name of a section that the link made itself; `None` for the program's own.
    #[must_use]
    pub fn made_name(&self, id: SectionId) -> Option<&'static str> {
        let own = self.section_addresses.len() - self.made_names.len();
        id.index().checked_sub(own).map(|index| self.made_names[index])
    }

    /// Bytes from the image's first byte to the last one that is mapped.
    #[must_use]
    pub fn memory_size(&self) -> Size {
        let end = self
            .segments
            .iter()
            .filter(|segment| segment.mapped)
            .map(|segment| segment.address.0 + segment.size.0)
            .max();
        Size(end.unwrap_or(self.image_base.0) - self.image_base.0)
    }
}
