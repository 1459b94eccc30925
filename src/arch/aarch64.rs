//! arm64: its relocation kinds (ELF for the Arm 64-bit Architecture, IHI 0056; the names of fields and
//! encodings are those of the Arm Architecture Reference Manual, DDI 0487, chapter C4.1).
//!
//! Most fields are immediates inside a 32-bit instruction word. Each kind looks at the word first: a
//! branch's relocation on an `add` is an error, not a broken program.

use super::Operand::{
    Address, ImageRelative, Page, PageOffset, Relative, Subtract, Template, ThreadPointer,
};
use super::Via::{DescriptorSlots, Direct, Slot, ThreadOffsetSlot, ThroughStub, VariableSlot};
use super::{
    Arch, Notation, Operand, RelocationRow, Stub, StubRelocation, Via, WrongInstruction, number,
    relocation_kinds, signed, unsigned,
};
use crate::target::Architecture;

pub(super) static ARCH: Arch = Arch {
    architecture: Architecture::Aarch64,
    notation: Notation::Words,
    relocations: RELOCATIONS,
    pointer: ABS64,
    image_relative: RVA32,
    thread_offset: TPREL64,
    template_offset: DTPREL64,
    thread_pointer: super::ThreadPointer::BeforeBlock { head: 16 },
    code_padding: 0, // udf #0
    stub: Stub {
        code: &[
            0x10, 0x00, 0x00, 0x90, // adrp x16, page of the slot
            0x10, 0x02, 0x40, 0xf9, // ldr x16, [x16, offset of the slot in it]
            0x00, 0x02, 0x1f, 0xd6, // br x16
        ],
        relocations: &[
            StubRelocation { offset: 0, kind: GOTPAGE21, addend: 0 },
            StubRelocation { offset: 4, kind: GOTPAGEOFF12, addend: 0 },
        ],
    },
};

relocation_kinds! {
    Architecture::Aarch64;

    /// `abs64`: the address, 8 bytes (`R_AARCH64_ABS64`).
    ABS64 = number("abs64", Address, Direct, 8, (i64::MIN as i128, u64::MAX as i128));
    /// `abs32`: the address, 4 bytes without a sign (`R_AARCH64_ABS32`).
    ABS32 = number("abs32", Address, Direct, 4, unsigned(32));
    /// `rel64`: distance from the field, 8 bytes (`R_AARCH64_PREL64`).
    REL64 = number("rel64", Relative, Direct, 8, signed(64));
    /// `rel32`: distance from the field, 4 bytes (`R_AARCH64_PREL32`).
    REL32 = number("rel32", Relative, Direct, 4, signed(32));
    /// `call26`: `bl` to the function, or to a stub where it is imported (`R_AARCH64_CALL26`).
    CALL26 = immediate("call26", Relative, ThroughStub, &BL);
    /// `jump26`: `b` to the function, or to a stub where it is imported (`R_AARCH64_JUMP26`).
    JUMP26 = immediate("jump26", Relative, ThroughStub, &B);
    /// `branch19`: `b.cond`, `cbz`, `cbnz` (`R_AARCH64_CONDBR19`).
    BRANCH19 = immediate("branch19", Relative, Direct, &BRANCH_19);
    /// `branch14`: `tbz`, `tbnz` (`R_AARCH64_TSTBR14`).
    BRANCH14 = immediate("branch14", Relative, Direct, &BRANCH_14);
    /// `literal19`: `ldr` from an address near the instruction (`R_AARCH64_LD_PREL_LO19`).
    LITERAL19 = immediate("literal19", Relative, Direct, &LITERAL);
    /// `adr21`: `adr`, within 1 MiB (`R_AARCH64_ADR_PREL_LO21`).
    ADR21 = immediate("adr21", Relative, Direct, &ADR);
    /// `page21`: `adrp`, the symbol's 4 KiB page, within 4 GiB (`R_AARCH64_ADR_PREL_PG_HI21`).
    PAGE21 = immediate("page21", Page, Direct, &ADRP);
    /// `pageoff12`: the low 12 bits of the address in `add`, or in a load or store, where they count in
    /// units of what is loaded (`R_AARCH64_ADD_ABS_LO12_NC`, `R_AARCH64_LDST64_ABS_LO12_NC` and its
    /// sisters).
    PAGEOFF12 = immediate("pageoff12", PageOffset, Direct, &LOW_12);
    /// `gotpage21`: `adrp`, the page of the slot that holds the symbol's address
    /// (`R_AARCH64_ADR_GOT_PAGE`).
    GOTPAGE21 = immediate("gotpage21", Page, Slot, &ADRP);
    /// `gotpageoff12`: the low 12 bits of that slot's address in `ldr` (`R_AARCH64_LD64_GOT_LO12_NC`).
    GOTPAGEOFF12 = immediate("gotpageoff12", PageOffset, Slot, &LOW_12);
    /// `imm16`: a number below 2^16 in `mov`, `movz` or `movk` (`R_AARCH64_MOVW_UABS_G0`).
    IMM16 = immediate("imm16", Address, Direct, &MOVE_16);
    /// `imm12`: a number below 2^12 in `add`, `sub` or `cmp` (`R_AARCH64_ADD_ABS_LO12_NC`, checked).
    IMM12 = immediate("imm12", Address, Direct, &ADD_12);
    /// `tprel_hi12`: bits 12 to 23 of a thread-local variable's distance from the thread pointer, in `add`
    /// with its number shifted by 12 (`R_AARCH64_TLSLE_ADD_TPREL_HI12`).
    TPREL_HI12 = immediate("tprel_hi12", ThreadPointer, Direct, &HIGH_12);
    /// `tprel_lo12`: bits 0 to 11 of it, in `add`, or in a load or store, where they count in units of what
    /// is loaded (`R_AARCH64_TLSLE_ADD_TPREL_LO12_NC`, `R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC` and its
    /// sisters).
    TPREL_LO12 = immediate("tprel_lo12", ThreadPointer, Direct, &LOW_12_OF_24);
    /// `tprel64`: all of it, 8 bytes (`R_AARCH64_TLS_TPREL64`).
    TPREL64 = number("tprel64", ThreadPointer, Direct, 8, signed(64));
    /// `gottprel_page21`: `adrp`, the page of the slot that holds the variable's distance from the thread
    /// pointer (`R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21`).
    GOTTPREL_PAGE21 = immediate("gottprel_page21", Page, ThreadOffsetSlot, &ADRP);
    /// `gottprel_lo12`: the low 12 bits of that slot's address in `ldr`
    /// (`R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC`).
    GOTTPREL_LO12 = immediate("gottprel_lo12", PageOffset, ThreadOffsetSlot, &LOW_12);
    /// `tlsdesc_page21`: `adrp`, the page of the variable's descriptor (`R_AARCH64_TLSDESC_ADR_PAGE21`).
    TLSDESC_PAGE21 = immediate("tlsdesc_page21", Page, DescriptorSlots, &ADRP);
    /// `tlsdesc_lo12`: the low 12 bits of the descriptor's address in `ldr` and `add`
    /// (`R_AARCH64_TLSDESC_LD64_LO12`, `R_AARCH64_TLSDESC_ADD_LO12`).
    TLSDESC_LO12 = immediate("tlsdesc_lo12", PageOffset, DescriptorSlots, &LOW_12);
    /// `tlvp_page21`: `adrp`, the page of the slot that holds the address of what describes the variable
    /// (`ARM64_RELOC_TLVP_LOAD_PAGE21`).
    TLVP_PAGE21 = immediate("tlvp_page21", Page, VariableSlot, &ADRP);
    /// `tlvp_pageoff12`: the low 12 bits of that slot's address in `ldr` (`ARM64_RELOC_TLVP_LOAD_PAGEOFF12`).
    TLVP_PAGEOFF12 = immediate("tlvp_pageoff12", PageOffset, VariableSlot, &LOW_12);
    /// `secrel_hi12`: bits 12 to 23 of where a thread-local variable lies in a thread's copy, in `add` with
    /// its number shifted by 12 (`IMAGE_REL_ARM64_SECREL_HIGH12A`).
    SECREL_HI12 = immediate("secrel_hi12", Template, Direct, &HIGH_12);
    /// `secrel_lo12`: bits 0 to 11 of it, in `add`, or in a load or store (`IMAGE_REL_ARM64_SECREL_LOW12A`,
    /// `IMAGE_REL_ARM64_SECREL_LOW12L`).
    SECREL_LO12 = immediate("secrel_lo12", Template, Direct, &LOW_12_OF_24);
    /// `secrel32`: all of it, 4 bytes (`IMAGE_REL_ARM64_SECREL`).
    SECREL32 = number("secrel32", Template, Direct, 4, (0, i32::MAX as i128));
    /// `dtprel64`: all of it, 8 bytes (`R_AARCH64_TLS_DTPREL64`).
    DTPREL64 = number("dtprel64", Template, Direct, 8, (0, i64::MAX as i128));
    /// `rva32`: distance from the image base, 4 bytes.
    RVA32 = number("rva32", ImageRelative, Direct, 4, unsigned(32));
    /// `sub64`: makes the `abs64` before it a difference of two symbols.
    SUB64 = number("sub64", Subtract, Direct, 8, signed(64));
    /// `sub32`: makes the `abs32` before it a difference of two symbols.
    SUB32 = number("sub32", Subtract, Direct, 4, signed(32));
}

/// An immediate inside an instruction word.
struct Immediate {
    interval: (i128, i128),
    granule: fn(&[u8]) -> Result<u64, WrongInstruction>,
    insert: fn(&mut [u8], i128),
    extract: fn(&[u8]) -> i64,
}

const fn immediate(
    name: &'static str,
    operand: Operand,
    via: Via,
    immediate: &Immediate,
) -> RelocationRow {
    RelocationRow {
        name,
        width: 4,
        in_instruction: true,
        operand,
        via,
        interval: immediate.interval,
        granule: immediate.granule,
        insert: immediate.insert,
        extract: immediate.extract,
    }
}

const B: Immediate = Immediate {
    interval: signed(28),
    granule: |field| opcode(field, 0xfc00_0000, &[0x1400_0000], 4, "`b`"),
    insert: |field, value| set_bits(field, 0, 26, value >> 2),
    extract: |field| signed_bits(field, 0, 26) << 2,
};

const BL: Immediate = Immediate {
    interval: signed(28),
    granule: |field| opcode(field, 0xfc00_0000, &[0x9400_0000], 4, "`bl`"),
    insert: |field, value| set_bits(field, 0, 26, value >> 2),
    extract: |field| signed_bits(field, 0, 26) << 2,
};

const BRANCH_19: Immediate = Immediate {
    interval: signed(21),
    granule: |field| {
        opcode(field, 0xff00_0000, &[0x5400_0000], 4, "")
            .or_else(|_| opcode(field, 0x7e00_0000, &[0x3400_0000], 4, "`b.cond`, `cbz` or `cbnz`"))
    },
    insert: |field, value| set_bits(field, 5, 19, value >> 2),
    extract: |field| signed_bits(field, 5, 19) << 2,
};

const BRANCH_14: Immediate = Immediate {
    interval: signed(16),
    granule: |field| opcode(field, 0x7e00_0000, &[0x3600_0000], 4, "`tbz` or `tbnz`"),
    insert: |field, value| set_bits(field, 5, 14, value >> 2),
    extract: |field| signed_bits(field, 5, 14) << 2,
};

const LITERAL: Immediate = Immediate {
    interval: signed(21),
    granule: |field| opcode(field, 0x3b00_0000, &[0x1800_0000], 4, "`ldr` of a literal"),
    insert: |field, value| set_bits(field, 5, 19, value >> 2),
    extract: |field| signed_bits(field, 5, 19) << 2,
};

const ADR: Immediate = Immediate {
    interval: signed(21),
    granule: |field| opcode(field, 0x9f00_0000, &[0x1000_0000], 1, "`adr`"),
    insert: |field, value| {
        set_bits(field, 29, 2, value);
        set_bits(field, 5, 19, value >> 2);
    },
    extract: |field| signed_bits(field, 5, 19) << 2 | bits(field, 29, 2),
};

const ADRP: Immediate = Immediate {
    interval: signed(33),
    granule: |field| opcode(field, 0x9f00_0000, &[0x9000_0000], 0x1000, "`adrp`"),
    insert: |field, value| {
        set_bits(field, 29, 2, value >> 12);
        set_bits(field, 5, 19, value >> 14);
    },
    extract: |field| signed_bits(field, 5, 19) << 14 | bits(field, 29, 2) << 12,
};

const MOVE_16: Immediate = Immediate {
    interval: unsigned(16),
    granule: |field| {
        // Not `movn`: what it moves is the complement of its field.
        opcode(field, 0x5f80_0000, &[0x5280_0000], 1, "`mov`, `movz` or `movk`")
    },
    insert: |field, value| set_bits(field, 5, 16, value),
    extract: |field| bits(field, 5, 16),
};

const ADD_12: Immediate = Immediate {
    interval: unsigned(12),
    granule: |field| opcode(field, 0x1f80_0000, &[0x1100_0000], 1, "`add`, `sub`, `cmp` or `cmn`"),
    insert: |field, value| set_bits(field, 10, 12, value),
    extract: |field| bits(field, 10, 12),
};

const LOW_12: Immediate = Immediate {
    interval: unsigned(12),
    granule: low_12_unit,
    insert: |field, value| {
        // The kind was accepted by `low_12_unit`, so the unit is known here.
        let unit = low_12_unit(field).unwrap_or(1);
        set_bits(field, 10, 12, value / i128::from(unit));
    },
    extract: scaled_low_12,
};

/// The high half of 24 bits; the low half stands in another instruction.
const HIGH_12: Immediate = Immediate {
    interval: unsigned(24),
    granule: |field| opcode(field, 0x7fc0_0000, &[0x1140_0000], 1, "`add` with `lsl #12`"),
    insert: |field, value| set_bits(field, 10, 12, value >> 12),
    extract: |field| bits(field, 10, 12) << 12,
};

/// The low half. Only what is below a unit of a load must be zero.
const LOW_12_OF_24: Immediate = Immediate {
    interval: unsigned(24),
    granule: low_12_unit,
    insert: |field, value| {
        let unit = low_12_unit(field).unwrap_or(1);
        set_bits(field, 10, 12, (value & 0xfff) / i128::from(unit));
    },
    extract: scaled_low_12,
};

/// What the 12-bit immediate of `add`, or of a load or store with an unsigned offset, counts in: 1, or
/// the bytes that are loaded ("Load/store register (unsigned immediate)": size in bits 30 and 31; V, bit
/// 26, with opc<1>, bit 23, makes it 16).
fn low_12_unit(field: &[u8]) -> Result<u64, WrongInstruction> {
    let word = word(field);
    if word & 0x7fc0_0000 == 0x1100_0000 {
        return Ok(1);
    }
    if word & 0x3b00_0000 == 0x3900_0000 {
        let is_quad = word & 0x0480_0000 == 0x0480_0000 && word >> 30 == 0;
        return Ok(if is_quad { 16 } else { 1 << (word >> 30) });
    }
    Err(WrongInstruction { expected: "`add` or a load or store with an immediate offset" })
}

/// The 12-bit immediate in bytes.
fn scaled_low_12(field: &[u8]) -> i64 {
    let unit = low_12_unit(field).unwrap_or(1);
    bits(field, 10, 12) * i64::try_from(unit).expect("at most 16")
}

/// `unit`, if the word under `mask` is one of `patterns`.
fn opcode(
    field: &[u8],
    mask: u32,
    patterns: &[u32],
    unit: u64,
    expected: &'static str,
) -> Result<u64, WrongInstruction> {
    if patterns.contains(&(word(field) & mask)) {
        Ok(unit)
    } else {
        Err(WrongInstruction { expected })
    }
}

fn word(field: &[u8]) -> u32 {
    field.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// Replaces `count` bits from bit `start` on by the low bits of `value`.
fn set_bits(field: &mut [u8], start: u32, count: u32, value: i128) {
    let mask = ((1u32 << count) - 1) << start;
    // Truncation is meant: the caller has shifted the wanted bits to the bottom.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let bits = (value as u32) << start;
    let word = word(field) & !mask | bits & mask;
    field.copy_from_slice(&word.to_le_bytes());
}

/// `count` bits from bit `start` on.
fn bits(field: &[u8], start: u32, count: u32) -> i64 {
    i64::from(word(field) >> start & ((1 << count) - 1))
}

/// `count` bits from bit `start` on, the highest of which is a sign.
fn signed_bits(field: &[u8], start: u32, count: u32) -> i64 {
    bits(field, start, count) << (64 - count) >> (64 - count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::RelocationKind;

    fn apply(kind: RelocationKind, word: u32, value: i128) -> u32 {
        let mut field = word.to_le_bytes();
        kind.granule(&field).expect("the instruction has this field");
        kind.insert(&mut field, value);
        u32::from_le_bytes(field)
    }

    /// Words as `llvm-mc -triple=aarch64 -show-encoding` prints them.
    #[test]
    fn immediates_land_where_llvm_puts_them() {
        for (kind, word, value, expected) in [
            (CALL26, 0x9400_0000, -4, 0x97ff_ffff),            // bl #-4
            (JUMP26, 0x1400_0000, 0x7ff_fffc, 0x15ff_ffff),    // b #134217724
            (BRANCH19, 0x5400_0001, -0x10_0000, 0x5480_0001),  // b.ne #-1048576
            (BRANCH19, 0xb400_0003, 8, 0xb400_0043),           // cbz x3, #8
            (BRANCH14, 0x3708_0000, 0x7ffc, 0x370b_ffe0),      // tbnz w0, #1, #32764
            (LITERAL19, 0x5800_0000, 16, 0x5800_0080),         // ldr x0, #16
            (ADR21, 0x1000_0001, -3, 0x30ff_ffe1),             // adr x1, #-3
            (PAGE21, 0x9000_0002, 0x1000, 0xb000_0002),        // adrp x2, #4096
            (PAGEOFF12, 0x9100_0021, 0xff8, 0x913f_e021),      // add x1, x1, #4088
            (PAGEOFF12, 0xf940_0021, 0xff8, 0xf947_fc21),      // ldr x1, [x1, #4088]
            (PAGEOFF12, 0x3940_0021, 0xfff, 0x397f_fc21),      // ldrb w1, [x1, #4095]
            (PAGEOFF12, 0x3dc0_0020, 0xff0, 0x3dc3_fc20),      // ldr q0, [x1, #4080]
            (TPREL_HI12, 0x9140_0000, 0xab_cef0, 0x916a_f000), // add x0, x0, #2748, lsl #12
            (TPREL_LO12, 0x9100_0000, 0xab_cef0, 0x913b_c000), // add x0, x0, #3824
            (SECREL_LO12, 0xf940_0000, 0x1ff8, 0xf947_fc00),   // ldr x0, [x0, #4088]
            (IMM16, 0xd280_0002, 0xfffe, 0xd29f_ffc2),         // mov x2, #65534
            (IMM16, 0x72a0_0003, 0x8001, 0x72b0_0023),         // movk w3, #32769, lsl #16
            (IMM12, 0xf100_003f, 0xffe, 0xf13f_f83f),          // cmp x1, #4094
            (IMM12, 0x5100_0021, 1, 0x5100_0421),              // sub w1, w1, #1
        ] {
            let applied = apply(kind, word, value);
            assert_eq!(applied, expected, "{} {value:#x}", kind.name());
            // Two instructions share what is wider than 12 bits.
            let in_field = match kind {
                TPREL_HI12 => value & !0xfff,
                TPREL_LO12 | SECREL_LO12 => value & 0xfff,
                _ => value,
            };
            let extracted = kind.extract(&applied.to_le_bytes());
            assert_eq!(extracted.map(i128::from), Some(in_field), "{} {value:#x}", kind.name());
        }
    }

    #[test]
    fn a_relocation_on_another_instruction_is_refused() {
        const ADD: [u8; 4] = 0x9100_0021u32.to_le_bytes();
        for kind in [CALL26, JUMP26, BRANCH19, BRANCH14, LITERAL19, ADR21, PAGE21, GOTPAGE21] {
            assert!(kind.granule(&ADD).is_err(), "{}", kind.name());
        }
        assert!(IMM16.granule(&ADD).is_err());
        assert!(IMM16.granule(&0x9280_0002_u32.to_le_bytes()).is_err(), "movn");
        assert!(IMM12.granule(&0xd280_0002_u32.to_le_bytes()).is_err());
        assert!(PAGEOFF12.granule(&0x9400_0000u32.to_le_bytes()).is_err());
    }
}
