//! x86-64: its relocation kinds (System V ABI, AMD64 supplement, section 4.4).
//!
//! Fields are plain little-endian numbers, so nothing is known of the instruction around them. Where a
//! kind counts from the field, the processor counts from the end of the instruction: the addend carries
//! the difference, −4 for a 32-bit field that ends its instruction.

use super::Operand::{Address, ImageRelative, Relative, Subtract, Template, ThreadPointer};
use super::Via::{
    DescriptorSlots, Direct, ModuleSlots, Slot, ThreadOffsetSlot, ThroughStub, VariableSlot,
};
use super::{Arch, Notation, Stub, StubRelocation, number, relocation_kinds, signed, unsigned};
use crate::target::Architecture;

pub(super) static ARCH: Arch = Arch {
    architecture: Architecture::X86_64,
    notation: Notation::Bytes,
    relocations: RELOCATIONS,
    pointer: ABS64,
    image_relative: RVA32,
    thread_offset: TPOFF64,
    template_offset: DTPOFF64,
    thread_pointer: super::ThreadPointer::BehindBlock,
    code_padding: 0xcc, // int3
    stub: Stub {
        code: &[0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc], // jmp [rip + slot]; int3; int3
        relocations: &[StubRelocation { offset: 2, kind: GOT32, addend: -4 }],
    },
};

relocation_kinds! {
    Architecture::X86_64;

    /// `abs64`: the address, 8 bytes (`R_X86_64_64`).
    ABS64 = number("abs64", Address, Direct, 8, (i64::MIN as i128, u64::MAX as i128));
    /// `abs32`: the address, 4 bytes without a sign (`R_X86_64_32`).
    ABS32 = number("abs32", Address, Direct, 4, unsigned(32));
    /// `abs32s`: the address, 4 bytes that the processor sign-extends (`R_X86_64_32S`).
    ABS32S = number("abs32s", Address, Direct, 4, signed(32));
    /// `rel64`: distance from the field, 8 bytes (`R_X86_64_PC64`).
    REL64 = number("rel64", Relative, Direct, 8, signed(64));
    /// `rel32`: distance from the field, 4 bytes (`R_X86_64_PC32`).
    REL32 = number("rel32", Relative, Direct, 4, signed(32));
    /// `rel8`: distance from the field, 1 byte: short jumps (`R_X86_64_PC8`).
    REL8 = number("rel8", Relative, Direct, 1, signed(8));
    /// `call32`: distance from the field to the function, or to a stub where it is imported
    /// (`R_X86_64_PLT32`).
    CALL32 = number("call32", Relative, ThroughStub, 4, signed(32));
    /// `got32`: distance from the field to the slot that holds the symbol's address
    /// (`R_X86_64_GOTPCREL`).
    GOT32 = number("got32", Relative, Slot, 4, signed(32));
    /// `tpoff32`: distance of a thread-local variable from the thread pointer, 4 bytes that the processor
    /// sign-extends (`R_X86_64_TPOFF32`).
    TPOFF32 = number("tpoff32", ThreadPointer, Direct, 4, signed(32));
    /// `tpoff64`: the same, 8 bytes (`R_X86_64_TPOFF64`).
    TPOFF64 = number("tpoff64", ThreadPointer, Direct, 8, signed(64));
    /// `gottpoff32`: distance from the field to the slot that holds the variable's distance from the thread
    /// pointer (`R_X86_64_GOTTPOFF`).
    GOTTPOFF32 = number("gottpoff32", Relative, ThreadOffsetSlot, 4, signed(32));
    /// `tlsdesc32`: distance from the field to the variable's descriptor (`R_X86_64_GOTPC32_TLSDESC`).
    TLSDESC32 = number("tlsdesc32", Relative, DescriptorSlots, 4, signed(32));
    /// `tlsgd32`: distance from the field to the two slots that `__tls_get_addr` takes
    /// (`R_X86_64_TLSGD`).
    TLSGD32 = number("tlsgd32", Relative, ModuleSlots, 4, signed(32));
    /// `tlvp32`: distance from the field to the slot that holds the address of what describes the variable
    /// (`X86_64_RELOC_TLV`).
    TLVP32 = number("tlvp32", Relative, VariableSlot, 4, signed(32));
    /// `secrel32`: where a thread-local variable lies in a thread's copy, 4 bytes
    /// (`IMAGE_REL_AMD64_SECREL`, `R_X86_64_DTPOFF32`).
    SECREL32 = number("secrel32", Template, Direct, 4, (0, i32::MAX as i128));
    /// `dtpoff64`: the same, 8 bytes (`R_X86_64_DTPOFF64`).
    DTPOFF64 = number("dtpoff64", Template, Direct, 8, (0, i64::MAX as i128));
    /// `rva32`: distance from the image base, 4 bytes.
    RVA32 = number("rva32", ImageRelative, Direct, 4, unsigned(32));
    /// `sub64`: makes the `abs64` before it a difference of two symbols.
    SUB64 = number("sub64", Subtract, Direct, 8, signed(64));
    /// `sub32`: makes the `abs32` before it a difference of two symbols.
    SUB32 = number("sub32", Subtract, Direct, 4, signed(32));
}
