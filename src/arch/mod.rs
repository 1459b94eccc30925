//! What is particular to an architecture: its relocation kinds, and the code that minild itself adds.
//!
//! Each architecture is one file with tables in it. The passes read the tables and have no branch of
//! their own by architecture; a new one is a new file and a row in [`of`].

pub mod aarch64;
#[cfg(feature = "asm")]
pub(crate) mod aarch64_decode;
pub mod start_up;
pub mod x86_64;

use std::ops::RangeInclusive;

use crate::program::RelocationKind;
use crate::target::Architecture;

pub use start_up::{LibcImport, LibcStart, StartUp, StartUpRelocation, StartUpSymbol, StartUps};

/// What an architecture brings: how its instructions are written down, and its relocation kinds.
#[derive(Debug)]
pub struct Arch {
    architecture: Architecture,
    notation: Notation,
    relocations: &'static [RelocationRow],
    pointer: RelocationKind,
    image_relative: RelocationKind,
    thread_offset: RelocationKind,
    template_offset: RelocationKind,
    thread_pointer: ThreadPointer,
    code_padding: u8,
    stub: Stub,
}

/// Where a thread's copy of the thread-local template lies, seen from its thread pointer (the two variants of
/// "ELF Handling For Thread-Local Storage", chapter 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThreadPointer {
    /// The thread pointer points at the copy's end, rounded up to its alignment: variant II.
    BehindBlock,
    /// The thread pointer points at some bytes of the system's, and the copy lies behind them, rounded up to its
    /// alignment: variant I.
    BeforeBlock {
        /// How many bytes are the system's.
        head: u64,
    },
}

/// Code that jumps to an import through the slot that holds its address.
#[derive(Debug)]
pub struct Stub {
    /// The instructions; they change no register that carries arguments.
    pub code: &'static [u8],
    /// Which of their bytes depend on the slot.
    pub relocations: &'static [StubRelocation],
}

/// A relocation in a stub, against the import that it jumps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StubRelocation {
    /// Where its field starts, in bytes from the start of the stub.
    pub offset: u64,
    /// How its bytes depend on the import's slot.
    pub kind: RelocationKind,
    /// What is added to the slot's address.
    pub addend: i64,
}

/// The tables of `architecture`.
#[must_use]
pub fn of(architecture: Architecture) -> &'static Arch {
    match architecture {
        Architecture::X86_64 => &x86_64::ARCH,
        Architecture::Aarch64 => &aarch64::ARCH,
    }
}

impl Arch {
    /// Whose tables these are.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// How its instructions are written as hex digits.
    #[must_use]
    pub fn notation(&self) -> Notation {
        self.notation
    }

    /// The relocation kind of this name.
    ///
    /// ```
    /// use minild::{Architecture, arch};
    /// assert_eq!(arch::of(Architecture::X86_64).kind("rel32"), Some(arch::x86_64::REL32));
    /// assert_eq!(arch::of(Architecture::Aarch64).kind("rel8"), None);
    /// ```
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<RelocationKind> {
        self.kinds().find(|kind| kind.name() == name)
    }

    /// The kind of a plain pointer in data.
    #[must_use]
    pub fn pointer(&self) -> RelocationKind {
        self.pointer
    }

    /// The kind of a distance from the image base in 32 bits.
    #[must_use]
    pub fn image_relative(&self) -> RelocationKind {
        self.image_relative
    }

    /// The kind of a 64-bit distance from the thread pointer.
    #[must_use]
    pub fn thread_offset(&self) -> RelocationKind {
        self.thread_offset
    }

    /// The kind of a 64-bit distance from the start of the thread-local template.
    #[must_use]
    pub fn template_offset(&self) -> RelocationKind {
        self.template_offset
    }

    /// Where a thread's variables lie, seen from its thread pointer.
    #[must_use]
    pub fn thread_pointer(&self) -> ThreadPointer {
        self.thread_pointer
    }

    /// The code that jumps to an import.
    #[must_use]
    pub fn stub(&self) -> &Stub {
        &self.stub
    }

    /// What lies between pieces of code: whoever runs into it must not go on.
    pub(crate) fn code_padding(&self) -> u8 {
        self.code_padding
    }

    /// Every relocation kind of this architecture.
    pub fn kinds(&self) -> impl Iterator<Item = RelocationKind> + use<> {
        let architecture = self.architecture;
        (0u8..)
            .take(self.relocations.len())
            .map(move |index| RelocationKind::new(architecture, index))
    }
}

/// How an architecture's instructions are written as hex digits, and what a relative field counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notation {
    /// Byte for byte, in the order of memory. The processor counts from the end of the instruction.
    Bytes,
    /// One number of eight digits for each 32-bit instruction word. The processor counts from the word.
    Words,
}

/// What a relocation's value is computed from. S is the symbol's address (or its slot's or stub's, see
/// [`Via`]), A the addend, P the address of the field, B the image base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operand {
    /// S + A: wants a relocation at load time where the image may move.
    Address,
    /// S + A − P.
    Relative,
    /// Page(S + A) − Page(P), pages of 4 KiB whatever the system's are.
    Page,
    /// (S + A) modulo 4 KiB.
    PageOffset,
    /// S + A − B.
    ImageRelative,
    /// S + A − T, T the thread pointer: the same for every thread.
    ThreadPointer,
    /// S + A − the start of the thread-local template: where the variable lies in a thread's copy.
    Template,
    /// −(S + A), added to the value of the [`Operand::Address`] before it at the same offset.
    Subtract,
}

/// What a relocation means by its symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Via {
    /// The symbol itself.
    Direct,
    /// The symbol itself, or a stub that jumps to it where it is imported.
    ThroughStub,
    /// The symbol's slot in the global offset table, made when one relocation asks for it.
    Slot,
    /// A slot that holds how far the thread-local variable lies from the thread pointer.
    ThreadOffsetSlot,
    /// Two slots: a function, and what it finds the thread's variable by ("TLS descriptor").
    DescriptorSlots,
    /// Two slots: which file's thread-locals are meant, and where in them the variable lies.
    ModuleSlots,
    /// A slot that holds the address of what describes the thread-local variable, on systems that describe each.
    VariableSlot,
}

impl Via {
    /// Whether it leads to a thread-local variable.
    #[must_use]
    pub const fn is_thread_local(self) -> bool {
        matches!(
            self,
            Self::ThreadOffsetSlot | Self::DescriptorSlots | Self::ModuleSlots | Self::VariableSlot
        )
    }
}

/// Why a relocation cannot be written into the bytes that it was put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongInstruction {
    /// What would have been right.
    pub expected: &'static str,
}

/// All that is known of one relocation kind.
#[derive(Debug)]
pub(crate) struct RelocationRow {
    /// Its name in specs and errors.
    pub(crate) name: &'static str,
    /// Bytes of the section that its field takes.
    pub(crate) width: u8,
    /// Whether the field is part of an instruction whose other bits the section's bytes hold.
    pub(crate) in_instruction: bool,
    pub(crate) operand: Operand,
    pub(crate) via: Via,
    /// Which values the field can hold.
    pub(crate) interval: (i128, i128),
    /// What the value must be a multiple of, a power of two, given the bytes in place; an error where they are no
    /// instruction that has such a field.
    pub(crate) granule: fn(&[u8]) -> Result<u64, WrongInstruction>,
    /// Writes the value, known to be in the interval and a multiple of the granule, into the field.
    pub(crate) insert: fn(&mut [u8], i128),
    /// The value that the field holds, as far as it holds it.
    pub(crate) extract: fn(&[u8]) -> i64,
}

impl RelocationKind {
    fn row(self) -> &'static RelocationRow {
        &of(self.architecture()).relocations[self.index()]
    }

    /// Its name in specs and errors: `rel32`, `call26`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// How many bytes of the section its field takes.
    #[must_use]
    pub fn width(self) -> u64 {
        self.row().width.into()
    }

    /// Whether its field is a part of an instruction that must be there already; if not, the field's
    /// bytes are all its own.
    #[must_use]
    pub fn is_in_instruction(self) -> bool {
        self.row().in_instruction
    }

    /// What its value is computed from.
    #[must_use]
    pub fn operand(self) -> Operand {
        self.row().operand
    }

    /// What it means by its symbol.
    #[must_use]
    pub fn via(self) -> Via {
        self.row().via
    }

    /// Which values its field can hold.
    #[must_use]
    pub fn interval(self) -> RangeInclusive<i128> {
        self.row().interval.0..=self.row().interval.1
    }

    /// Whether it is for thread-local variables, and for nothing else.
    #[must_use]
    pub fn is_thread_local(self) -> bool {
        matches!(self.operand(), Operand::ThreadPointer | Operand::Template)
            || self.via().is_thread_local()
    }

    /// Whether it is a plain 64-bit address: the only field that loaders can relocate.
    #[must_use]
    pub fn is_pointer(self) -> bool {
        self.operand() == Operand::Address && self.width() == 8
    }

    /// What the value must be a multiple of, given the field's bytes as they stand: a power of two.
    ///
    /// # Errors
    /// When the bytes are no instruction that has a field of this kind.
    pub fn granule(self, field: &[u8]) -> Result<u64, WrongInstruction> {
        (self.row().granule)(field)
    }

    /// Writes `value` into `field`, [`width`](Self::width) bytes that keep what does not belong to it.
    pub(crate) fn insert(self, field: &mut [u8], value: i128) {
        (self.row().insert)(field, value);
    }

    /// The value that the field at the start of `bytes` holds, with a sign: where object files have no table of addends,
    /// this is one. `None` where there are too few bytes.
    pub(crate) fn extract(self, bytes: &[u8]) -> Option<i64> {
        let row = self.row();
        bytes.get(..row.width.into()).map(row.extract)
    }
}

/// Declares an architecture's relocation kinds: for each a public constant, and all of them as one table
/// in the same order.
macro_rules! relocation_kinds {
    ($architecture:expr; $($(#[$doc:meta])* $name:ident = $row:expr;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Index { $($name),* }

        $(
            $(#[$doc])*
            pub const $name: $crate::program::RelocationKind =
                $crate::program::RelocationKind::new($architecture, Index::$name as u8);
        )*

        static RELOCATIONS: &[$crate::arch::RelocationRow] = &[$($row),*];
    };
}
use relocation_kinds;

/// The interval of a two's complement field.
const fn signed(bits: u32) -> (i128, i128) {
    (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}

/// The interval of a field of `bits` bits without a sign.
const fn unsigned(bits: u32) -> (i128, i128) {
    (0, (1 << bits) - 1)
}

/// A number as it stands in memory: whole bytes, the lowest first.
const fn number(
    name: &'static str,
    operand: Operand,
    via: Via,
    width: u8,
    interval: (i128, i128),
) -> RelocationRow {
    #[allow(clippy::unnecessary_wraps)] // it stands in a table beside kinds that can fail
    const fn any(_: &[u8]) -> Result<u64, WrongInstruction> {
        Ok(1)
    }
    fn little_endian(field: &mut [u8], value: i128) {
        let width = field.len();
        field.copy_from_slice(&value.to_le_bytes()[..width]);
    }
    fn sign_extended(field: &[u8]) -> i64 {
        let sign = if field.last().is_some_and(|byte| byte >> 7 == 1) { -1 } else { 0 };
        field.iter().rev().fold(sign, |value, &byte| value << 8 | i64::from(byte))
    }
    RelocationRow {
        name,
        width,
        in_instruction: false,
        operand,
        via,
        interval,
        granule: any,
        insert: little_endian,
        extract: sign_extended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_a_range() {
        for &architecture in Architecture::ALL {
            let kinds: Vec<_> = of(architecture).kinds().collect();
            for kind in &kinds {
                assert_eq!(of(architecture).kind(kind.name()), Some(*kind), "{}", kind.name());
                assert!(!kind.interval().is_empty());
                assert!((1..=8).contains(&kind.width()));
            }
        }
    }
}
