//! How a format wants a program arranged, as tables that the passes read.
//!
//! A plan is a list of segments in the order in which the format's loader wants them, each a list of
//! output sections. The passes skip what a program does not have.

use crate::arch::{Operand, Via};
use crate::program::{RelocationKind, SectionKind};
use crate::units::{Address, Align, Size};

/// What the loader allows a segment's pages to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Permissions {
    pub read: bool,
    pub write: bool,
    pub execute: bool,
}

impl Permissions {
    /// Constants.
    pub const READ: Self = Self { read: true, write: false, execute: false };
    /// Variables.
    pub const READ_WRITE: Self = Self { read: true, write: true, execute: false };
    /// Instructions.
    pub const READ_EXECUTE: Self = Self { read: true, write: false, execute: true };
    /// Nothing: not mapped, or a guard.
    pub const NONE: Self = Self { read: false, write: false, execute: false };
}

impl std::fmt::Display for Permissions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letter = |allowed, letter| if allowed { letter } else { '-' };
        let letters = [(self.read, 'r'), (self.write, 'w'), (self.execute, 'x')];
        letters.into_iter().try_for_each(|(allowed, name)| write!(f, "{}", letter(allowed, name)))
    }
}

/// A table that a format writes itself: headers, symbols, strings. The numbers are the format's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableId(pub(crate) u8);

/// What an output section is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The program's sections of one kind.
    Kind(SectionKind),
    /// The global offset table that the link made.
    Slots,
    /// Slots of imports, where a loader wants them apart from others.
    ImportSlots,
    /// The stubs that jump to imports.
    Stubs,
    /// Where initialisers lie, in 32 bits from the image base.
    InitOffsets,
    /// What describes each thread-local variable, on systems that describe each.
    Variables,
    /// Where the loader writes the number of the program's thread-locals.
    TlsIndex,
    /// What tells the loader where the thread-local template is.
    TlsDirectory,
    /// A table of the format's own.
    Table(TableId),
}

/// One output section of a plan.
#[derive(Debug)]
pub struct SectionRow {
    /// Its name in the format.
    pub name: &'static str,
    /// What it is made of.
    pub role: Role,
}

/// What is special about a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SegmentRole {
    /// Nothing: it lies in memory as it is.
    Plain,
    /// It turns read-only once the program is relocated: nothing else may share its pages.
    RelRo,
    /// The sizes of its tables depend on the addresses of everything before it.
    Late,
    /// It is in the file only.
    NotMapped,
    /// Both of the last.
    LateNotMapped,
}

impl SegmentRole {
    /// Whether it waits until everything else has its address.
    pub(crate) fn is_late(self) -> bool {
        matches!(self, Self::Late | Self::LateNotMapped)
    }

    /// Whether it lies in memory.
    pub(crate) fn is_mapped(self) -> bool {
        !matches!(self, Self::NotMapped | Self::LateNotMapped)
    }
}

/// One segment of a plan.
#[derive(Debug)]
pub struct SegmentRow {
    /// Its name, in the format or for people.
    pub name: &'static str,
    /// What its pages may be used for.
    pub permissions: Permissions,
    /// What is special about it.
    pub role: SegmentRole,
    /// Whether its bytes in the file are filled up to a whole multiple of what a padded placement asks.
    pub filled: bool,
    /// Its output sections, in order; those without bytes in the file last.
    pub sections: &'static [SectionRow],
}

/// How file offsets follow addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// A segment's file offset equals its address modulo the page size, so segments follow each other in
    /// the file without padding.
    Congruent,
    /// A segment starts on the first page behind the one before it, and its bytes at a multiple of this
    /// in the file, which is filled up with zeros.
    Padded(Align),
}

/// Where slots of imports lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportSlots {
    /// Among the other slots.
    AmongOthers,
    /// In a table of their own, by library, each library's followed by a zero.
    ByLibrary,
}

/// How initialisers are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitList {
    /// Pointers to them.
    Pointers,
    /// Their distances from the image base, 32 bits each.
    Offsets,
}

/// How code gets at thread-local variables.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ThreadLocals {
    /// Not at all: the system knows none.
    None,
    /// By their distance from the thread pointer.
    ThreadPointer {
        /// Whether that is known when the program is linked; if not, the dynamic linker writes it into slots.
        is_known: bool,
    },
    /// By calling what describes each variable.
    Variables {
        /// The function that a description names until the loader has prepared it.
        bootstrap: &'static str,
    },
    /// By the number that the loader gives to the program's thread-locals: it finds the template by a
    /// directory.
    Index(&'static TlsDirectory),
}

impl ThreadLocals {
    /// Whether code can get at variables by relocations of this kind.
    #[must_use]
    pub fn takes(self, kind: RelocationKind) -> bool {
        let is_offset = kind.operand() == Operand::Template;
        match self {
            Self::None => false,
            Self::ThreadPointer { is_known } => match kind.operand() {
                Operand::ThreadPointer => is_known,
                _ => is_offset || (kind.via().is_thread_local() && kind.via() != Via::VariableSlot),
            },
            Self::Variables { .. } => kind.via() == Via::VariableSlot,
            Self::Index(_) => is_offset,
        }
    }
}

/// What tells a loader where the thread-local template is: where in it its fields lie, 8 bytes each but for the
/// last.
#[derive(Debug)]
pub struct TlsDirectory {
    /// Bytes of all.
    pub size: u64,
    /// The address of the template.
    pub template_start: u64,
    /// The address behind it.
    pub template_end: u64,
    /// The address of the number that the loader writes.
    pub index: u64,
    /// The address of a list of functions, ended by a zero, that the loader calls when the program and each
    /// thread begins and ends.
    pub callbacks: u64,
    /// The template's alignment, 4 bytes.
    pub align: u64,
    /// How that is said.
    pub encode_align: fn(Align) -> u32,
}

/// How an image can pass on what it imports: an export that is another library's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forwards {
    /// Not at all: every export is a place of the image.
    Never,
    /// As an import that others look up: it is kept, and its library is loaded with the image.
    AsImport,
    /// By the names of the library and of what it has: the library is loaded once somebody looks.
    ByName,
}

/// What the system does when it loads a program, as far as it decides what the link has to add.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a question that a system answers by itself
#[non_exhaustive]
pub struct Loader {
    /// Whether it applies the relocations that are left for load time; if not, the program must.
    pub relocates: bool,
    /// Whether it calls the entry as `main(argc, argv, environment)`; if not, and the program wants that,
    /// start-up code must.
    pub calls_main: bool,
    /// Whether it can write an import's address into any pointer, or into slots only.
    pub import_pointers: bool,
    /// Where slots of imports lie.
    pub import_slots: ImportSlots,
    /// How initialisers are listed.
    pub init_list: InitList,
    /// How an export can be another library's.
    pub forwards: Forwards,
    /// Whether it, or the C library, runs initialisers and finalisers; if not, start-up code must.
    pub runs_lists: bool,
    /// How code gets at thread-local variables.
    pub thread_locals: ThreadLocals,
}

/// The numbers of a layout.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// Where the first byte of the image lies.
    pub image_base: Address,
    /// Segments of different permissions never share a page of this size.
    pub page_size: Align,
    /// How file offsets follow addresses.
    pub placement: Placement,
    /// How many bytes the image may span in memory.
    pub memory_limit: Size,
    /// The greatest alignment that still holds after loading; the loader keeps no greater one.
    pub greatest_align: Align,
    /// The greatest alignment that each thread's copy of a variable keeps.
    pub greatest_tls_align: Align,
}
