//! The bytes of `aarch64-windows.s`, which says what they do and why; a test assembles it and compares.

use super::StartUpSymbol::{Entry, Import, Landmark};
use super::{StartUp, at, in_memory};
use crate::arch::aarch64::{CALL26, GOTPAGE21, GOTPAGEOFF12, PAGE21, PAGEOFF12};
use crate::program::Landmark::{End, Start};
use crate::program::SectionKind;

pub(super) static CALLBACK: StartUp = StartUp {
    code: CALLBACK_CODE.as_flattened(),
    relocations: &[
        at(0x18, PAGE21, Landmark(End(SectionKind::Fini)), 0),
        at(0x1c, PAGEOFF12, Landmark(End(SectionKind::Fini)), 0),
        at(0x20, PAGE21, Landmark(Start(SectionKind::Fini)), 0),
        at(0x24, PAGEOFF12, Landmark(Start(SectionKind::Fini)), 0),
        at(0x3c, PAGE21, Landmark(Start(SectionKind::Init)), 0),
        at(0x40, PAGEOFF12, Landmark(Start(SectionKind::Init)), 0),
        at(0x44, PAGE21, Landmark(End(SectionKind::Init)), 0),
        at(0x48, PAGEOFF12, Landmark(End(SectionKind::Init)), 0),
    ],
};

pub(super) static LIBC_START_WITH_LISTS: StartUp = StartUp {
    code: LIBC_LISTS.as_flattened(),
    relocations: &[
        at(0x20, GOTPAGE21, Import("__getmainargs"), 0),
        at(0x24, GOTPAGEOFF12, Import("__getmainargs"), 0),
        at(0x30, GOTPAGE21, Import("_onexit"), 0),
        at(0x34, GOTPAGEOFF12, Import("_onexit"), 0),
        at(0x3c, PAGE21, Landmark(Start(SectionKind::Init)), 0),
        at(0x40, PAGEOFF12, Landmark(Start(SectionKind::Init)), 0),
        at(0x44, PAGE21, Landmark(End(SectionKind::Init)), 0),
        at(0x48, PAGEOFF12, Landmark(End(SectionKind::Init)), 0),
        at(0x78, CALL26, Entry, 0),
        at(0x7c, GOTPAGE21, Import("exit"), 0),
        at(0x80, GOTPAGEOFF12, Import("exit"), 0),
        at(0x98, PAGE21, Landmark(End(SectionKind::Fini)), 0),
        at(0x9c, PAGEOFF12, Landmark(End(SectionKind::Fini)), 0),
        at(0xa0, PAGE21, Landmark(Start(SectionKind::Fini)), 0),
        at(0xa4, PAGEOFF12, Landmark(Start(SectionKind::Fini)), 0),
    ],
};

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

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static CALLBACK_CODE: [[u8; 4]; 30] = in_memory([
    0xa9be7bfd, // stp x29, x30, [sp, #-0x20]!
    0xa90153f3, // stp x19, x20, [sp, #0x10]
    0x910003fd, // mov x29, sp
    0x7100043f, // cmp w1, #0x1
    0x54000160, // b.eq 0x3c
    0x350002c1, // cbnz w1, 0x6c
    0x90000013, // adrp x19, 0x0
    0x91000273, // add x19, x19, #0x0
    0x90000014, // adrp x20, 0x0
    0x91000294, // add x20, x20, #0x0
    0xeb14027f, // cmp x19, x20
    0x54000209, // b.ls 0x6c
    0xf85f8e68, // ldr x8, [x19, #-0x8]!
    0xd63f0100, // blr x8
    0x17fffffc, // b 0x28
    0x90000013, // adrp x19, 0x0
    0x91000273, // add x19, x19, #0x0
    0x90000014, // adrp x20, 0x0
    0x91000294, // add x20, x20, #0x0
    0xeb14027f, // cmp x19, x20
    0x540000e2, // b.hs 0x6c
    0x2a1f03e0, // mov w0, wzr
    0xaa1f03e1, // mov x1, xzr
    0xaa1f03e2, // mov x2, xzr
    0xf8408668, // ldr x8, [x19], #0x8
    0xd63f0100, // blr x8
    0x17fffff9, // b 0x4c
    0xa94153f3, // ldp x19, x20, [sp, #0x10]
    0xa8c27bfd, // ldp x29, x30, [sp], #0x20
    0xd65f03c0, // ret
]);

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static LIBC_LISTS: [[u8; 4]; 51] = in_memory([
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
    0x10000300, // adr x0, #0x60
    0x90000008, // adrp x8, 0x0
    0xf9400108, // ldr x8, [x8]
    0xd63f0100, // blr x8
    0x90000013, // adrp x19, 0x0
    0x91000273, // add x19, x19, #0x0
    0x90000014, // adrp x20, 0x0
    0x91000294, // add x20, x20, #0x0
    0xeb14027f, // cmp x19, x20
    0x540000e2, // b.hs 0x6c
    0xb94013e0, // ldr w0, [sp, #0x10]
    0xf9400fe1, // ldr x1, [sp, #0x18]
    0xf94013e2, // ldr x2, [sp, #0x20]
    0xf8408668, // ldr x8, [x19], #0x8
    0xd63f0100, // blr x8
    0x17fffff9, // b 0x4c
    0xb94013e0, // ldr w0, [sp, #0x10]
    0xf9400fe1, // ldr x1, [sp, #0x18]
    0xf94013e2, // ldr x2, [sp, #0x20]
    0x94000000, // bl 0x78
    0x90000008, // adrp x8, 0x0
    0xf9400108, // ldr x8, [x8]
    0xd63f0100, // blr x8
    0xd4200020, // brk #0x1
    0xa9be7bfd, // stp x29, x30, [sp, #-0x20]!
    0xa90153f3, // stp x19, x20, [sp, #0x10]
    0x910003fd, // mov x29, sp
    0x90000013, // adrp x19, 0x0
    0x91000273, // add x19, x19, #0x0
    0x90000014, // adrp x20, 0x0
    0x91000294, // add x20, x20, #0x0
    0xeb14027f, // cmp x19, x20
    0x54000089, // b.ls 0xbc
    0xf85f8e68, // ldr x8, [x19, #-0x8]!
    0xd63f0100, // blr x8
    0x17fffffc, // b 0xa8
    0x2a1f03e0, // mov w0, wzr
    0xa94153f3, // ldp x19, x20, [sp, #0x10]
    0xa8c27bfd, // ldp x29, x30, [sp], #0x20
    0xd65f03c0, // ret
]);
