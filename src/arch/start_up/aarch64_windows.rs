//! The bytes of `aarch64-windows.s`, which says what they do and why; a test assembles it and compares.

use super::StartUpSymbol::{Entry, Import};
use super::{StartUp, at, in_memory};
use crate::arch::aarch64::{CALL26, GOTPAGE21, GOTPAGEOFF12};

pub(super) static LIBC_START: StartUp = StartUp {
    code: LIBC.as_flattened(),
    relocations: &[
        at(0x20, GOTPAGE21, Import("__getmainargs"), 0),
        at(0x24, GOTPAGEOFF12, Import("__getmainargs"), 0),
        at(0x38, CALL26, Entry, 0),
        at(0x3c, GOTPAGE21, Import("exit"), 0),
        at(0x40, GOTPAGEOFF12, Import("exit"), 0),
    ],
};

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static LIBC: [[u8; 4]; 19] = in_memory([
    0xa9bd7bfd, // stp x29, x30, [sp, #-0x30]!
    0x910003fd, // mov x29, sp
    0x910043e0, // add x0, sp, #0x10
    0x910063e1, // add x1, sp, #0x18
    0x910083e2, // add x2, sp, #0x20
    0x2a1f03e3, // mov w3, wzr
    0x9100a3e4, // add x4, sp, #0x28
    0xb900009f, // str wzr, [x4]
    0x90000008, // adrp x8, 0x0
    0xf9400108, // ldr x8, [x8]
    0xd63f0100, // blr x8
    0xb94013e0, // ldr w0, [sp, #0x10]
    0xf9400fe1, // ldr x1, [sp, #0x18]
    0xf94013e2, // ldr x2, [sp, #0x20]
    0x94000000, // bl 0x38
    0x90000008, // adrp x8, 0x0
    0xf9400108, // ldr x8, [x8]
    0xd63f0100, // blr x8
    0xd4200020, // brk #0x1
]);
