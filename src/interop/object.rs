//! The crate `object`: its kinds of sections, symbols and relocations.
//!
//! What means the same on both sides converts with `From`; what one side alone can say, with `TryFrom`, and
//! [`NoEquivalent`] names it. Relocations of object files count from different places and have their addends in
//! different ones; [`read_relocation`] knows both, and [`relocation`] is for who has the number of one alone.
//!
//! ```
//! use minild::interop::object::{object, relocation};
//! use minild::program::SectionKind;
//! use minild::{Architecture, arch::x86_64};
//!
//! assert_eq!(SectionKind::try_from(object::SectionKind::Text), Ok(SectionKind::Code));
//! assert!(SectionKind::try_from(object::SectionKind::Debug).is_err());
//!
//! // `call f` in a COFF file: counted from the end of the field, here from its start.
//! let flags = object::RelocationFlags::Coff { typ: object::pe::IMAGE_REL_AMD64_REL32 };
//! let call = relocation(Architecture::X86_64, flags).unwrap();
//! assert_eq!((call.kind, call.addend), (x86_64::CALL32, -4));
//! ```

use std::fmt;

use object::{
    BinaryFormat, RelocationEncoding, RelocationFlags, SymbolKind, SymbolScope, elf, macho, pe,
};

use crate::arch::{Operand, aarch64, x86_64};
use crate::program::{Binding, RelocationKind, SectionKind, SymbolType};
use crate::target::{Architecture, OperatingSystem, Target};

/// The crate itself, in the version that these conversions are for.
pub use object;

/// One side has it, the other does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("minild has nothing that means {0}")]
pub struct NoEquivalent(String);

impl NoEquivalent {
    fn of(what: impl fmt::Debug) -> Self {
        Self(format!("{what:?}"))
    }
}

impl From<Architecture> for object::Architecture {
    fn from(architecture: Architecture) -> Self {
        match architecture {
            Architecture::X86_64 => Self::X86_64,
            Architecture::Aarch64 => Self::Aarch64,
        }
    }
}

impl TryFrom<object::Architecture> for Architecture {
    type Error = NoEquivalent;

    fn try_from(architecture: object::Architecture) -> Result<Self, NoEquivalent> {
        let known = Self::ALL.iter().copied();
        let mut known = known.filter(|known| object::Architecture::from(*known) == architecture);
        known.next().ok_or_else(|| NoEquivalent::of(architecture))
    }
}

/// The format of object files that compilers for a target write.
impl From<Target> for BinaryFormat {
    fn from(target: Target) -> Self {
        match target.operating_system {
            OperatingSystem::Linux => Self::Elf,
            OperatingSystem::MacOs => Self::MachO,
            OperatingSystem::Windows | OperatingSystem::Uefi => Self::Coff,
        }
    }
}

/// Lists of functions are data with addresses in it, as far as `object` tells.
impl From<SectionKind> for object::SectionKind {
    fn from(kind: SectionKind) -> Self {
        match kind {
            SectionKind::Code => Self::Text,
            SectionKind::ReadOnly | SectionKind::Unwind | SectionKind::UnwindRecords => {
                Self::ReadOnlyData
            }
            SectionKind::RelRo | SectionKind::Init | SectionKind::Fini => Self::ReadOnlyDataWithRel,
            SectionKind::Data => Self::Data,
            SectionKind::Bss => Self::UninitializedData,
            SectionKind::TlsData => Self::Tls,
            SectionKind::TlsBss => Self::UninitializedTls,
        }
    }
}

/// Sections that only debuggers and linkers read have no equivalent: they are no part of the program.
impl TryFrom<object::SectionKind> for SectionKind {
    type Error = NoEquivalent;

    fn try_from(kind: object::SectionKind) -> Result<Self, NoEquivalent> {
        match kind {
            object::SectionKind::Text => Ok(Self::Code),
            object::SectionKind::ReadOnlyData | object::SectionKind::ReadOnlyString => {
                Ok(Self::ReadOnly)
            }
            object::SectionKind::ReadOnlyDataWithRel => Ok(Self::RelRo),
            object::SectionKind::Data => Ok(Self::Data),
            object::SectionKind::UninitializedData => Ok(Self::Bss),
            object::SectionKind::Tls => Ok(Self::TlsData),
            object::SectionKind::UninitializedTls => Ok(Self::TlsBss),
            _ => Err(NoEquivalent::of(kind)),
        }
    }
}

impl From<SymbolType> for SymbolKind {
    fn from(symbol_type: SymbolType) -> Self {
        match symbol_type {
            SymbolType::Unspecified => Self::Unknown,
            SymbolType::Function => Self::Text,
            SymbolType::Object => Self::Data,
            SymbolType::ThreadLocal => Self::Tls,
        }
    }
}

/// Symbols of sections and files name no place of the program's own.
impl TryFrom<SymbolKind> for SymbolType {
    type Error = NoEquivalent;

    fn try_from(kind: SymbolKind) -> Result<Self, NoEquivalent> {
        match kind {
            SymbolKind::Unknown | SymbolKind::Label => Ok(Self::Unspecified),
            SymbolKind::Text => Ok(Self::Function),
            SymbolKind::Data => Ok(Self::Object),
            SymbolKind::Tls => Ok(Self::ThreadLocal),
            _ => Err(NoEquivalent::of(kind)),
        }
    }
}

/// What is exported is a list of its own here, so that no binding says `Dynamic`; and weakness is a flag there.
impl From<Binding> for SymbolScope {
    fn from(binding: Binding) -> Self {
        match binding {
            Binding::Local => Self::Compilation,
            Binding::Global | Binding::Weak => Self::Linkage,
        }
    }
}

impl TryFrom<SymbolScope> for Binding {
    type Error = NoEquivalent;

    fn try_from(scope: SymbolScope) -> Result<Self, NoEquivalent> {
        match scope {
            SymbolScope::Compilation => Ok(Self::Local),
            SymbolScope::Linkage | SymbolScope::Dynamic => Ok(Self::Global),
            SymbolScope::Unknown => Err(NoEquivalent::of(scope)),
        }
    }
}

/// What a relocation of an object file is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relocated {
    /// Its kind.
    pub kind: RelocationKind,
    /// Of [`read_relocation`], the addend. Of [`relocation`], what is to be added to the one that the object file
    /// says: the distance between the place that it counts from and the field's first byte.
    pub addend: i64,
}

/// A relocation as `object` reads it from a file, with its addend, wherever the file has that.
///
/// `field` is the section's bytes from the relocation's offset on, as many as there are. ELF files have addends in a
/// table, COFF files in the bytes, Mach-O files in the bytes of data and of x86-64 code, and in a relocation of their own
/// for arm64 code. `object` counts some of what is here counted into `Relocation::addend`: take this one instead of it.
///
/// What only the caller knows is its symbol. Where [`target`](object::Relocation::target) is a section, a Mach-O file's
/// addend is an address in the object file, from which the section's own is to be subtracted; where it counts from the
/// field (`r_pcrel`), it is the distance to that address, and the address of the field's end is to be added. Where there
/// is a [`subtractor`](object::Relocation::subtractor), that is a second relocation at the same offset, of the kind `sub64` or
/// `sub32`, as wide as this one.
///
/// ```
/// use minild::interop::object::object::{self, Object, ObjectSection, RelocationTarget};
/// use minild::interop::object::read_relocation;
/// use minild::Architecture;
///
/// /// What a section's relocations mean: offset, name of the kind, symbol, addend.
/// fn relocations(
///     file: &object::File<'_>,
///     section: &object::Section<'_, '_>,
/// ) -> Result<Vec<(u64, &'static str, object::SymbolIndex, i64)>, Box<dyn std::error::Error>> {
///     let architecture = Architecture::try_from(file.architecture())?;
///     let data = section.data()?;
///     let mut relocations = Vec::new();
///     for (offset, relocation) in section.relocations() {
///         let field = data.get(usize::try_from(offset)?..).unwrap_or_default();
///         let read = read_relocation(architecture, &relocation, field)?;
///         let RelocationTarget::Symbol(symbol) = relocation.target() else { continue };
///         relocations.push((offset, read.kind.name(), symbol, read.addend));
///     }
///     Ok(relocations)
/// }
/// ```
///
/// # Errors
/// [`NoEquivalent`], as [`relocation`].
pub fn read_relocation(
    architecture: Architecture,
    relocation: &object::Relocation,
    field: &[u8],
) -> Result<Relocated, NoEquivalent> {
    let flags = relocation.flags();
    let Relocated { kind, addend } = self::relocation(architecture, flags)?;
    // Of a field that does not lie in its section the link tells.
    // COFF and Mach-O have one number for both, and the instruction says which it is.
    let word = usize::try_from(kind.width()).ok().and_then(|width| field.get(..width));
    let is_jump = |word| aarch64::JUMP26.granule(word).is_ok();
    let kind =
        if kind == aarch64::CALL26 && word.is_some_and(is_jump) { aarch64::JUMP26 } else { kind };
    let in_field = || kind.extract(field).unwrap_or(0);
    let said = match flags {
        // In `adrp` stand bytes, though what it will hold are pages (lld/COFF/Chunks.cpp, `applyArm64Addr`).
        RelocationFlags::Coff { .. } if kind.operand() == Operand::Page => in_field() >> 12,
        // `ARM64_RELOC_ADDEND`; the bytes of arm64 instructions say nothing (lld/MachO/Arch/ARM64Common.cpp,
        // `getEmbeddedAddend`).
        RelocationFlags::MachO { .. } if kind.is_in_instruction() => relocation.addend(),
        RelocationFlags::Coff { .. } | RelocationFlags::MachO { .. } => in_field(),
        _ => relocation.addend(),
    };
    Ok(Relocated { kind, addend: said.wrapping_add(addend) })
}

/// The relocation that these flags ask for.
///
/// The addend of an ELF file stands in its table and counts as it does here. For COFF and Mach-O files, whose addends
/// stand in several places, [`read_relocation`] reads it.
///
/// # Errors
/// [`NoEquivalent`]: one that links nothing (`R_X86_64_NONE`), or that wants what minild does not make.
pub fn relocation(
    architecture: Architecture,
    flags: RelocationFlags,
) -> Result<Relocated, NoEquivalent> {
    let found = match (architecture, flags) {
        (_, RelocationFlags::Generic { kind, encoding, size }) => {
            generic(architecture, kind, encoding, size)
        }
        (Architecture::X86_64, RelocationFlags::Elf { r_type }) => row(ELF_X86_64, r_type),
        (Architecture::Aarch64, RelocationFlags::Elf { r_type }) => row(ELF_AARCH64, r_type),
        (Architecture::X86_64, RelocationFlags::Coff { typ }) => row(COFF_X86_64, typ),
        (Architecture::Aarch64, RelocationFlags::Coff { typ }) => row(COFF_AARCH64, typ),
        (Architecture::X86_64, RelocationFlags::MachO { r_type, r_length, .. }) => {
            row(MACHO_X86_64, (r_type, r_length))
        }
        (Architecture::Aarch64, RelocationFlags::MachO { r_type, r_length, .. }) => {
            row(MACHO_AARCH64, (r_type, r_length))
        }
        _ => None,
    };
    found.ok_or_else(|| NoEquivalent::of(flags))
}

type Row<T> = (T, RelocationKind, i64);

fn row<T: PartialEq + Copy>(rows: &[Row<T>], wanted: T) -> Option<Relocated> {
    let row = rows.iter().find(|(name, ..)| *name == wanted);
    row.map(|&(_, kind, addend)| Relocated { kind, addend })
}

/// What `object` says without naming a format: it counts as ELF does.
fn generic(
    architecture: Architecture,
    kind: object::RelocationKind,
    encoding: RelocationEncoding,
    size: u8,
) -> Option<Relocated> {
    use object::RelocationEncoding as E;
    use object::RelocationKind as K;
    let kind = match (architecture, kind, encoding, size) {
        (Architecture::X86_64, K::Absolute, E::Generic, 64) => x86_64::ABS64,
        (Architecture::X86_64, K::Absolute, E::Generic, 32) => x86_64::ABS32,
        (Architecture::X86_64, K::Absolute, E::X86Signed, 32) => x86_64::ABS32S,
        (Architecture::X86_64, K::Relative | K::PltRelative, E::X86Branch, 32)
        | (Architecture::X86_64, K::PltRelative, E::Generic, 32) => x86_64::CALL32,
        (Architecture::X86_64, K::Relative, E::Generic, 64) => x86_64::REL64,
        (Architecture::X86_64, K::Relative, E::Generic | E::X86RipRelative, 32) => x86_64::REL32,
        (Architecture::X86_64, K::Relative, E::Generic, 8) => x86_64::REL8,
        (
            Architecture::X86_64,
            K::GotRelative,
            E::Generic | E::X86RipRelative | E::X86RipRelativeMovq,
            32,
        ) => x86_64::GOT32,
        (Architecture::X86_64, K::ImageOffset, E::Generic, 32) => x86_64::RVA32,
        (Architecture::Aarch64, K::Absolute, E::Generic, 64) => aarch64::ABS64,
        (Architecture::Aarch64, K::Absolute, E::Generic, 32) => aarch64::ABS32,
        (Architecture::Aarch64, K::Relative, E::Generic, 64) => aarch64::REL64,
        (Architecture::Aarch64, K::Relative, E::Generic, 32) => aarch64::REL32,
        (Architecture::Aarch64, K::Relative | K::PltRelative, E::AArch64Call, 26) => {
            aarch64::CALL26
        }
        (Architecture::Aarch64, K::ImageOffset, E::Generic, 32) => aarch64::RVA32,
        _ => return None,
    };
    Some(Relocated { kind, addend: 0 })
}

/// System V ABI, AMD64 supplement, section 4.4.
const ELF_X86_64: &[Row<elf::RelocationType>] = &[
    (elf::R_X86_64_64, x86_64::ABS64, 0),
    (elf::R_X86_64_32, x86_64::ABS32, 0),
    (elf::R_X86_64_32S, x86_64::ABS32S, 0),
    (elf::R_X86_64_PC64, x86_64::REL64, 0),
    (elf::R_X86_64_PC32, x86_64::REL32, 0),
    (elf::R_X86_64_PC8, x86_64::REL8, 0),
    (elf::R_X86_64_PLT32, x86_64::CALL32, 0),
    (elf::R_X86_64_GOTPCREL, x86_64::GOT32, 0),
    // These two allow the linker to change the instruction; none has to.
    (elf::R_X86_64_GOTPCRELX, x86_64::GOT32, 0),
    (elf::R_X86_64_REX_GOTPCRELX, x86_64::GOT32, 0),
    (elf::R_X86_64_TPOFF32, x86_64::TPOFF32, 0),
    (elf::R_X86_64_TPOFF64, x86_64::TPOFF64, 0),
    (elf::R_X86_64_GOTTPOFF, x86_64::GOTTPOFF32, 0),
    (elf::R_X86_64_GOTPC32_TLSDESC, x86_64::TLSDESC32, 0),
    (elf::R_X86_64_TLSGD, x86_64::TLSGD32, 0),
    (elf::R_X86_64_DTPOFF32, x86_64::SECREL32, 0),
    (elf::R_X86_64_DTPOFF64, x86_64::DTPOFF64, 0),
];

/// ELF for the Arm 64-bit Architecture, IHI 0056, section 5.7.
const ELF_AARCH64: &[Row<elf::RelocationType>] = &[
    (elf::R_AARCH64_ABS64, aarch64::ABS64, 0),
    (elf::R_AARCH64_ABS32, aarch64::ABS32, 0),
    (elf::R_AARCH64_PREL64, aarch64::REL64, 0),
    (elf::R_AARCH64_PREL32, aarch64::REL32, 0),
    (elf::R_AARCH64_CALL26, aarch64::CALL26, 0),
    (elf::R_AARCH64_JUMP26, aarch64::JUMP26, 0),
    (elf::R_AARCH64_CONDBR19, aarch64::BRANCH19, 0),
    (elf::R_AARCH64_TSTBR14, aarch64::BRANCH14, 0),
    (elf::R_AARCH64_LD_PREL_LO19, aarch64::LITERAL19, 0),
    (elf::R_AARCH64_ADR_PREL_LO21, aarch64::ADR21, 0),
    (elf::R_AARCH64_ADR_PREL_PG_HI21, aarch64::PAGE21, 0),
    (elf::R_AARCH64_ADD_ABS_LO12_NC, aarch64::PAGEOFF12, 0),
    (elf::R_AARCH64_LDST8_ABS_LO12_NC, aarch64::PAGEOFF12, 0),
    (elf::R_AARCH64_LDST16_ABS_LO12_NC, aarch64::PAGEOFF12, 0),
    (elf::R_AARCH64_LDST32_ABS_LO12_NC, aarch64::PAGEOFF12, 0),
    (elf::R_AARCH64_LDST64_ABS_LO12_NC, aarch64::PAGEOFF12, 0),
    (elf::R_AARCH64_LDST128_ABS_LO12_NC, aarch64::PAGEOFF12, 0),
    (elf::R_AARCH64_ADR_GOT_PAGE, aarch64::GOTPAGE21, 0),
    (elf::R_AARCH64_LD64_GOT_LO12_NC, aarch64::GOTPAGEOFF12, 0),
    (elf::R_AARCH64_TLSLE_ADD_TPREL_HI12, aarch64::TPREL_HI12, 0),
    (elf::R_AARCH64_TLSLE_ADD_TPREL_LO12_NC, aarch64::TPREL_LO12, 0),
    (elf::R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC, aarch64::TPREL_LO12, 0),
    (elf::R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC, aarch64::TPREL_LO12, 0),
    (elf::R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC, aarch64::TPREL_LO12, 0),
    (elf::R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC, aarch64::TPREL_LO12, 0),
    (elf::R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21, aarch64::GOTTPREL_PAGE21, 0),
    (elf::R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC, aarch64::GOTTPREL_LO12, 0),
    (elf::R_AARCH64_TLSDESC_ADR_PAGE21, aarch64::TLSDESC_PAGE21, 0),
    (elf::R_AARCH64_TLSDESC_LD64_LO12, aarch64::TLSDESC_LO12, 0),
    (elf::R_AARCH64_TLSDESC_ADD_LO12, aarch64::TLSDESC_LO12, 0),
];

/// Microsoft PE format, "Type Indicators", x64: relative ones count from the field's end, and from as many bytes
/// further on as their name says.
const COFF_X86_64: &[Row<pe::RelocationType>] = &[
    (pe::IMAGE_REL_AMD64_ADDR64, x86_64::ABS64, 0),
    (pe::IMAGE_REL_AMD64_ADDR32, x86_64::ABS32, 0),
    (pe::IMAGE_REL_AMD64_ADDR32NB, x86_64::RVA32, 0),
    // There is no other for calls, and an import's variable is read through its slot: `__imp_` names that.
    (pe::IMAGE_REL_AMD64_REL32, x86_64::CALL32, -4),
    (pe::IMAGE_REL_AMD64_REL32_1, x86_64::REL32, -5),
    (pe::IMAGE_REL_AMD64_REL32_2, x86_64::REL32, -6),
    (pe::IMAGE_REL_AMD64_REL32_3, x86_64::REL32, -7),
    (pe::IMAGE_REL_AMD64_REL32_4, x86_64::REL32, -8),
    (pe::IMAGE_REL_AMD64_REL32_5, x86_64::REL32, -9),
    (pe::IMAGE_REL_AMD64_SECREL, x86_64::SECREL32, 0),
];

/// Microsoft PE format, "Type Indicators", ARM64: `REL32` counts from the field's end, instructions from themselves.
const COFF_AARCH64: &[Row<pe::RelocationType>] = &[
    (pe::IMAGE_REL_ARM64_ADDR64, aarch64::ABS64, 0),
    (pe::IMAGE_REL_ARM64_ADDR32, aarch64::ABS32, 0),
    (pe::IMAGE_REL_ARM64_ADDR32NB, aarch64::RVA32, 0),
    (pe::IMAGE_REL_ARM64_REL32, aarch64::REL32, -4),
    (pe::IMAGE_REL_ARM64_BRANCH26, aarch64::CALL26, 0),
    (pe::IMAGE_REL_ARM64_BRANCH19, aarch64::BRANCH19, 0),
    (pe::IMAGE_REL_ARM64_BRANCH14, aarch64::BRANCH14, 0),
    (pe::IMAGE_REL_ARM64_REL21, aarch64::ADR21, 0),
    (pe::IMAGE_REL_ARM64_PAGEBASE_REL21, aarch64::PAGE21, 0),
    (pe::IMAGE_REL_ARM64_PAGEOFFSET_12A, aarch64::PAGEOFF12, 0),
    (pe::IMAGE_REL_ARM64_PAGEOFFSET_12L, aarch64::PAGEOFF12, 0),
    (pe::IMAGE_REL_ARM64_SECREL, aarch64::SECREL32, 0),
    (pe::IMAGE_REL_ARM64_SECREL_HIGH12A, aarch64::SECREL_HI12, 0),
    (pe::IMAGE_REL_ARM64_SECREL_LOW12A, aarch64::SECREL_LO12, 0),
    (pe::IMAGE_REL_ARM64_SECREL_LOW12L, aarch64::SECREL_LO12, 0),
];

/// Apple's `mach-o/x86_64/reloc.h`, by type and length. What `SIGNED_1` and its sisters add for an immediate behind the
/// field, the field's bytes take away again.
const MACHO_X86_64: &[Row<(macho::RelocationType, u8)>] = &[
    ((macho::X86_64_RELOC_UNSIGNED, 3), x86_64::ABS64, 0),
    ((macho::X86_64_RELOC_UNSIGNED, 2), x86_64::ABS32, 0),
    ((macho::X86_64_RELOC_SIGNED, 2), x86_64::REL32, -4),
    ((macho::X86_64_RELOC_SIGNED_1, 2), x86_64::REL32, -4),
    ((macho::X86_64_RELOC_SIGNED_2, 2), x86_64::REL32, -4),
    ((macho::X86_64_RELOC_SIGNED_4, 2), x86_64::REL32, -4),
    ((macho::X86_64_RELOC_BRANCH, 2), x86_64::CALL32, -4),
    ((macho::X86_64_RELOC_GOT_LOAD, 2), x86_64::GOT32, -4),
    ((macho::X86_64_RELOC_GOT, 2), x86_64::GOT32, -4),
    ((macho::X86_64_RELOC_TLV, 2), x86_64::TLVP32, -4),
    ((macho::X86_64_RELOC_SUBTRACTOR, 3), x86_64::SUB64, 0),
    ((macho::X86_64_RELOC_SUBTRACTOR, 2), x86_64::SUB32, 0),
];

/// Apple's `mach-o/arm64/reloc.h`, by type and length.
const MACHO_AARCH64: &[Row<(macho::RelocationType, u8)>] = &[
    ((macho::ARM64_RELOC_UNSIGNED, 3), aarch64::ABS64, 0),
    ((macho::ARM64_RELOC_UNSIGNED, 2), aarch64::ABS32, 0),
    ((macho::ARM64_RELOC_SUBTRACTOR, 3), aarch64::SUB64, 0),
    ((macho::ARM64_RELOC_SUBTRACTOR, 2), aarch64::SUB32, 0),
    ((macho::ARM64_RELOC_BRANCH26, 2), aarch64::CALL26, 0),
    ((macho::ARM64_RELOC_PAGE21, 2), aarch64::PAGE21, 0),
    ((macho::ARM64_RELOC_PAGEOFF12, 2), aarch64::PAGEOFF12, 0),
    ((macho::ARM64_RELOC_GOT_LOAD_PAGE21, 2), aarch64::GOTPAGE21, 0),
    ((macho::ARM64_RELOC_GOT_LOAD_PAGEOFF12, 2), aarch64::GOTPAGEOFF12, 0),
    ((macho::ARM64_RELOC_TLVP_LOAD_PAGE21, 2), aarch64::TLVP_PAGE21, 0),
    ((macho::ARM64_RELOC_TLVP_LOAD_PAGEOFF12, 2), aarch64::TLVP_PAGEOFF12, 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_converts_converts_back() {
        for &architecture in Architecture::ALL {
            assert_eq!(object::Architecture::from(architecture).try_into(), Ok(architecture));
        }
        for kind in
            [SectionKind::Code, SectionKind::ReadOnly, SectionKind::RelRo, SectionKind::TlsBss]
        {
            assert_eq!(object::SectionKind::from(kind).try_into(), Ok(kind));
        }
        for symbol_type in [SymbolType::Unspecified, SymbolType::Function, SymbolType::Object] {
            assert_eq!(SymbolKind::from(symbol_type).try_into(), Ok(symbol_type));
        }
        assert_eq!(SymbolScope::from(Binding::Local).try_into(), Ok(Binding::Local));
    }

    /// Kind and addend of a relocation with these flags on these bytes, written into an object file and read from it.
    fn read(
        format: BinaryFormat,
        architecture: Architecture,
        flags: RelocationFlags,
        field: &[u8],
    ) -> (&'static str, i64) {
        use object::write::{Object, Relocation, SymbolSection};
        use object::{Object as _, ObjectSection as _};

        let mut file = Object::new(format, architecture.into(), object::Endianness::Little);
        let section =
            file.add_section(b"__DATA".to_vec(), b"s".to_vec(), object::SectionKind::Data);
        file.append_section_data(section, field, 8);
        let symbol = file.add_symbol(object::write::Symbol {
            name: b"g".to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Data,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Undefined,
            flags: object::SymbolFlags::None,
        });
        // What the writer adds for the distance to the field's end is not to change the field's bytes.
        let addend = match flags {
            RelocationFlags::Coff { typ: pe::IMAGE_REL_ARM64_REL32 }
            | RelocationFlags::MachO {
                r_type: macho::X86_64_RELOC_BRANCH, r_pcrel: true, ..
            } if architecture == Architecture::X86_64 || format == BinaryFormat::Coff => -4,
            RelocationFlags::MachO { r_type: macho::X86_64_RELOC_SIGNED_1, .. }
                if architecture == Architecture::X86_64 =>
            {
                -5
            }
            _ => 0,
        };
        let relocation = Relocation { offset: 0, symbol, addend, flags };
        file.add_relocation(section, relocation).expect("known to the writer");
        let bytes = file.write().expect("an object file");

        let file = object::File::parse(&*bytes).expect("an object file");
        let section = file.sections().next().expect("the one section");
        let (_, relocation) = section.relocations().next().expect("the one relocation");
        let data = section.data().expect("its bytes");
        assert_eq!(data, field);
        let read = read_relocation(architecture, &relocation, data).expect("known");
        (read.kind.name(), read.addend)
    }

    /// Words as `llvm-mc -triple=aarch64-windows -filetype=obj` wrote them.
    #[test]
    fn addends_of_arm64_coff_stand_in_its_bytes() {
        for (typ, word, expected) in [
            (pe::IMAGE_REL_ARM64_PAGEBASE_REL21, 0xf000_0900, ("page21", 0x123)), // adrp x0, g+0x123
            (pe::IMAGE_REL_ARM64_PAGEBASE_REL21, 0xf0ff_ffe0, ("page21", -1)),    // adrp x0, g-1
            (pe::IMAGE_REL_ARM64_PAGEOFFSET_12A, 0x9104_8c00, ("pageoff12", 0x123)), // add x0, x0, :lo12:g+0x123
            (pe::IMAGE_REL_ARM64_PAGEOFFSET_12L, 0xf940_0c01, ("pageoff12", 0x18)), // ldr x1, [x0, :lo12:g+0x18]
            (pe::IMAGE_REL_ARM64_PAGEOFFSET_12L, 0x3940_1401, ("pageoff12", 5)), // ldrb w1, [x0, :lo12:g+5]
            (pe::IMAGE_REL_ARM64_PAGEOFFSET_12L, 0x3dc0_0801, ("pageoff12", 0x20)), // ldr q1, [x0, :lo12:g+0x20]
            (pe::IMAGE_REL_ARM64_REL21, 0x7000_0000, ("adr21", 3)),                 // adr x0, g+3
            (pe::IMAGE_REL_ARM64_BRANCH26, 0x9400_0002, ("call26", 8)),             // bl g+8
            (pe::IMAGE_REL_ARM64_BRANCH26, 0x17ff_ffff, ("jump26", -4)),            // b g-4
            (pe::IMAGE_REL_ARM64_BRANCH19, 0x5400_0040, ("branch19", 8)),           // b.eq g+8
            (pe::IMAGE_REL_ARM64_BRANCH14, 0x3608_0020, ("branch14", 4)), // tbz x0, #1, g+4
            (pe::IMAGE_REL_ARM64_SECREL_LOW12A, 0x9100_2000, ("secrel_lo12", 8)), // add x0, x0, :secrel_lo12:g+8
            (pe::IMAGE_REL_ARM64_ADDR32, 6, ("abs32", 6)),                        // .word g+6
            (pe::IMAGE_REL_ARM64_REL32, 4, ("rel32", 0)),                         // .word g-.
            (pe::IMAGE_REL_ARM64_ADDR32NB, 7, ("rva32", 7)),                      // .rva g+7
        ] {
            let flags = RelocationFlags::Coff { typ };
            let field = u32::to_le_bytes(word);
            let read = read(BinaryFormat::Coff, Architecture::Aarch64, flags, &field);
            assert_eq!(read, expected, "{word:#010x}");
        }
        let flags = RelocationFlags::Coff { typ: pe::IMAGE_REL_ARM64_ADDR64 };
        let pointer = i64::to_le_bytes(-5);
        let read = read(BinaryFormat::Coff, Architecture::Aarch64, flags, &pointer);
        assert_eq!(read, ("abs64", -5));
    }

    /// Bytes as `llvm-mc -triple=x86_64-apple-macos -filetype=obj` wrote them.
    #[test]
    fn addends_of_macho_stand_in_the_bytes_of_x86_64_and_of_data() {
        let flags =
            |r_type, r_pcrel, r_length| RelocationFlags::MachO { r_type, r_pcrel, r_length };
        let call = flags(macho::X86_64_RELOC_BRANCH, true, 2);
        // call _g+3; cmpb $5, _g(%rip), where the instruction ends a byte behind its field
        let compare = flags(macho::X86_64_RELOC_SIGNED_1, true, 2);
        for (flags, field, expected) in [(call, 3, ("call32", -1)), (compare, -1, ("rel32", -5))] {
            let field = i32::to_le_bytes(field);
            assert_eq!(read(BinaryFormat::MachO, Architecture::X86_64, flags, &field), expected);
        }
        for (architecture, r_type) in [
            (Architecture::X86_64, macho::X86_64_RELOC_UNSIGNED),
            (Architecture::Aarch64, macho::ARM64_RELOC_UNSIGNED),
        ] {
            let field = 9u64.to_le_bytes();
            let read = read(BinaryFormat::MachO, architecture, flags(r_type, false, 3), &field);
            assert_eq!(read, ("abs64", 9));
        }
        // Of arm64 code the bytes say nothing.
        let page = flags(macho::ARM64_RELOC_PAGE21, true, 2);
        let field = 0xf000_0900_u32.to_le_bytes();
        let read = read(BinaryFormat::MachO, Architecture::Aarch64, page, &field);
        assert_eq!(read, ("page21", 0));
    }

    #[test]
    fn what_means_nothing_here_is_named() {
        let none = RelocationFlags::Elf { r_type: elf::R_X86_64_NONE };
        let error = relocation(Architecture::X86_64, none).expect_err("it links nothing");
        assert!(error.to_string().contains("Elf"), "{error}");
        // The number is a relocation of the other architecture.
        let other = RelocationFlags::Elf { r_type: elf::R_AARCH64_CALL26 };
        relocation(Architecture::X86_64, other).expect_err("another architecture's");
    }
}
