//! The bytes of `aarch64-linux.s`, which says what they do and why; a test assembles it and compares.

use super::StartUpSymbol::{Entry, Landmark};
use super::{StartUp, StartUpRelocation, at, little_endian};
use crate::arch::aarch64::{JUMP26, PAGE21, PAGEOFF12};
use crate::program::Landmark::{
    ImageBase, LoadRelocationsEnd, LoadRelocationsStart, RelRoEnd, RelRoStart,
};

pub(super) static START_UP: StartUp =
    StartUp { code: CODE.as_flattened(), relocations: RELOCATIONS };

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
const WORDS: [u32; 45] = [
    0x90000000, // adrp x0, 0x0
    0x91000000, // add x0, x0, #0
    0x90000001, // adrp x1, 0x0
    0x91000021, // add x1, x1, #0
    0x90000002, // adrp x2, 0x0
    0x91000042, // add x2, x2, #0
    0xeb02003f, // cmp x1, x2
    0x540000e2, // b.hs 0x38
    0xf9400023, // ldr x3, [x1]
    0xf9400824, // ldr x4, [x1, #16]
    0x8b000084, // add x4, x4, x0
    0xf8236804, // str x4, [x0, x3]
    0x91006021, // add x1, x1, #24
    0x17fffff9, // b 0x18
    0x90000000, // adrp x0, 0x0
    0x91000000, // add x0, x0, #0
    0x90000001, // adrp x1, 0x0
    0x91000021, // add x1, x1, #0
    0xeb01001f, // cmp x0, x1
    0x54000222, // b.hs 0x90
    0xf94003e2, // ldr x2, [sp]
    0x910043e3, // add x3, sp, #16
    0x8b020c63, // add x3, x3, x2, lsl #3
    0xf8408464, // ldr x4, [x3], #8
    0xb5ffffe4, // cbnz x4, 0x5c
    0xa8c11464, // ldp x4, x5, [x3], #16
    0xb4000244, // cbz x4, 0xb0
    0xf100189f, // cmp x4, #6
    0x54ffffa1, // b.ne 0x64
    0xcb0503e5, // neg x5, x5
    0x8a050000, // and x0, x0, x5
    0xcb000021, // sub x1, x1, x0
    0xd2800022, // mov x2, #1
    0xd2801c48, // mov x8, #226
    0xd4000001, // svc #0
    0xb5000120, // cbnz x0, 0xb0
    0xaa1f03e0, // mov x0, xzr
    0xaa1f03e1, // mov x1, xzr
    0xaa1f03e2, // mov x2, xzr
    0xaa1f03e3, // mov x3, xzr
    0xaa1f03e4, // mov x4, xzr
    0xaa1f03e5, // mov x5, xzr
    0xaa1f03e8, // mov x8, xzr
    0x14000000, // b 0xac
    0xd4200020, // brk #0x1
];

static CODE: [[u8; 4]; 45] = little_endian(WORDS);

static RELOCATIONS: &[StartUpRelocation] = &[
    at(0x00, PAGE21, Landmark(ImageBase), 0),
    at(0x04, PAGEOFF12, Landmark(ImageBase), 0),
    at(0x08, PAGE21, Landmark(LoadRelocationsStart), 0),
    at(0x0c, PAGEOFF12, Landmark(LoadRelocationsStart), 0),
    at(0x10, PAGE21, Landmark(LoadRelocationsEnd), 0),
    at(0x14, PAGEOFF12, Landmark(LoadRelocationsEnd), 0),
    at(0x38, PAGE21, Landmark(RelRoStart), 0),
    at(0x3c, PAGEOFF12, Landmark(RelRoStart), 0),
    at(0x40, PAGE21, Landmark(RelRoEnd), 0),
    at(0x44, PAGEOFF12, Landmark(RelRoEnd), 0),
    at(0xac, JUMP26, Entry, 0),
];
