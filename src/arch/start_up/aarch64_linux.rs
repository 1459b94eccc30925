//! The bytes of `aarch64-linux.s`, which says what they do and why; a test assembles it and compares.

use super::StartUpSymbol::{Entry, Import, Landmark, StackSize, TlsAlign};
use super::{StartUp, StartUps, at, in_memory};
use crate::arch::aarch64::{
    ABS64, CALL26, GOTPAGE21, GOTPAGEOFF12, JUMP26, PAGE21, PAGEOFF12, TPREL_HI12, TPREL_LO12,
};
use crate::program::Landmark::{
    End, ImageBase, LoadRelocationsEnd, LoadRelocationsStart, RelRoEnd, RelRoStart, Start,
    TlsDataEnd, TlsEnd, TlsStart,
};
use crate::program::SectionKind;

pub(super) static START_UPS: StartUps = StartUps {
    relocate: StartUp {
        code: RELOCATE.as_flattened(),
        relocations: &[
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
        ],
    },
    enter: StartUp { code: ENTER.as_flattened(), relocations: &[at(0x1c, JUMP26, Entry, 0)] },
    arguments: StartUp { code: ARGUMENTS.as_flattened(), relocations: &[] },
    stack: StartUp { code: STACK.as_flattened(), relocations: &[at(0x50, ABS64, StackSize, 0)] },
    tls: StartUp {
        code: TLS.as_flattened(),
        relocations: &[
            at(0x04, PAGE21, Landmark(TlsStart), 0),
            at(0x08, PAGEOFF12, Landmark(TlsStart), 0),
            at(0x0c, PAGE21, Landmark(TlsEnd), 0),
            at(0x10, PAGEOFF12, Landmark(TlsEnd), 0),
            at(0x50, TPREL_HI12, Landmark(TlsStart), 0),
            at(0x54, TPREL_LO12, Landmark(TlsStart), 0),
            at(0x58, PAGE21, Landmark(TlsDataEnd), 0),
            at(0x5c, PAGEOFF12, Landmark(TlsDataEnd), 0),
            at(0x78, ABS64, TlsAlign, 0),
        ],
    },
    init: StartUp {
        code: INIT.as_flattened(),
        relocations: &[
            at(0x00, PAGE21, Landmark(Start(SectionKind::Init)), 0),
            at(0x04, PAGEOFF12, Landmark(Start(SectionKind::Init)), 0),
            at(0x08, PAGE21, Landmark(End(SectionKind::Init)), 0),
            at(0x0c, PAGEOFF12, Landmark(End(SectionKind::Init)), 0),
        ],
    },
    call: StartUp { code: CALL.as_flattened(), relocations: &[at(0x0c, CALL26, Entry, 0)] },
    fini: StartUp {
        code: FINI.as_flattened(),
        relocations: &[
            at(0x00, PAGE21, Landmark(Start(SectionKind::Fini)), 0),
            at(0x04, PAGEOFF12, Landmark(Start(SectionKind::Fini)), 0),
            at(0x08, PAGE21, Landmark(End(SectionKind::Fini)), 0),
            at(0x0c, PAGEOFF12, Landmark(End(SectionKind::Fini)), 0),
        ],
    },
    exit: StartUp { code: EXIT.as_flattened(), relocations: &[] },
};

pub(super) static LIBC_START: StartUp = StartUp {
    code: LIBC.as_flattened(),
    relocations: &[
        at(0x18, PAGE21, Entry, 0),
        at(0x1c, PAGEOFF12, Entry, 0),
        at(0x28, GOTPAGE21, Import("__libc_start_main"), 0),
        at(0x2c, GOTPAGEOFF12, Import("__libc_start_main"), 0),
    ],
};

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static RELOCATE: [[u8; 4]; 37] = in_memory([
    0x90000000, // adrp x0, 0x0
    0x91000000, // add x0, x0, #0x0
    0x90000001, // adrp x1, 0x0
    0x91000021, // add x1, x1, #0x0
    0x90000002, // adrp x2, 0x0
    0x91000042, // add x2, x2, #0x0
    0xeb02003f, // cmp x1, x2
    0x540000e2, // b.hs 0x38
    0xf9400023, // ldr x3, [x1]
    0xf9400824, // ldr x4, [x1, #0x10]
    0x8b000084, // add x4, x4, x0
    0xf8236804, // str x4, [x0, x3]
    0x91006021, // add x1, x1, #0x18
    0x17fffff9, // b 0x18
    0x90000000, // adrp x0, 0x0
    0x91000000, // add x0, x0, #0x0
    0x90000001, // adrp x1, 0x0
    0x91000021, // add x1, x1, #0x0
    0xeb01001f, // cmp x0, x1
    0x54000242, // b.hs 0x94
    0xf94003e2, // ldr x2, [sp]
    0x910043e3, // add x3, sp, #0x10
    0x8b020c63, // add x3, x3, x2, lsl #3
    0xf8408464, // ldr x4, [x3], #0x8
    0xb5ffffe4, // cbnz x4, 0x5c
    0xa8c11464, // ldp x4, x5, [x3], #0x10
    0xb4000144, // cbz x4, 0x90
    0xf100189f, // cmp x4, #0x6
    0x54ffffa1, // b.ne 0x64
    0xcb0503e5, // neg x5, x5
    0x8a050000, // and x0, x0, x5
    0xcb000021, // sub x1, x1, x0
    0xd2800022, // mov x2, #0x1
    0xd2801c48, // mov x8, #0xe2
    0xd4000001, // svc #0
    0xb4000040, // cbz x0, 0x94
    0xd4200020, // brk #0x1
]);

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static ENTER: [[u8; 4]; 8] = in_memory([
    0xaa1f03e0, // mov x0, xzr
    0xaa1f03e1, // mov x1, xzr
    0xaa1f03e2, // mov x2, xzr
    0xaa1f03e3, // mov x3, xzr
    0xaa1f03e4, // mov x4, xzr
    0xaa1f03e5, // mov x5, xzr
    0xaa1f03e8, // mov x8, xzr
    0x14000000, // b 0x1c
]);

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static ARGUMENTS: [[u8; 4]; 6] = in_memory([
    0xf94003f3, // ldr x19, [sp]
    0x910023f4, // add x20, sp, #0x8
    0x8b130e95, // add x21, x20, x19, lsl #3
    0x910022b5, // add x21, x21, #0x8
    0xaa1f03fd, // mov x29, xzr
    0xaa1f03fe, // mov x30, xzr
]);

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static STACK: [[u8; 4]; 22] = in_memory([
    0xaa1f03e0, // mov x0, xzr
    0x58000261, // ldr x1, 0x50
    0xd2800062, // mov x2, #0x3
    0x52800443, // mov w3, #0x22
    0x72a00043, // movk w3, #0x2, lsl #16
    0x92800004, // mov x4, #-0x1
    0xaa1f03e5, // mov x5, xzr
    0xd2801bc8, // mov x8, #0xde
    0xd4000001, // svc #0
    0xb13ffc1f, // cmn x0, #0xfff
    0x54000122, // b.hs 0x4c
    0x58000121, // ldr x1, 0x50
    0x8b010002, // add x2, x0, x1
    0x9100005f, // mov sp, x2
    0xd2a00021, // mov x1, #0x10000
    0xaa1f03e2, // mov x2, xzr
    0xd2801c48, // mov x8, #0xe2
    0xd4000001, // svc #0
    0xb4000080, // cbz x0, 0x58
    0xd4200020, // brk #0x1
    0x00000000, // .word 0x00000000
    0x00000000, // .word 0x00000000
]);

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static TLS: [[u8; 4]; 32] = in_memory([
    0x580003d8, // ldr x24, 0x78
    0x90000019, // adrp x25, 0x0
    0x91000339, // add x25, x25, #0x0
    0x9000001a, // adrp x26, 0x0
    0x9100035a, // add x26, x26, #0x0
    0xcb190341, // sub x1, x26, x25
    0x8b180421, // add x1, x1, x24, lsl #1
    0xaa1f03e0, // mov x0, xzr
    0xd2800062, // mov x2, #0x3
    0x52800443, // mov w3, #0x22
    0x92800004, // mov x4, #-0x1
    0xaa1f03e5, // mov x5, xzr
    0xd2801bc8, // mov x8, #0xde
    0xd4000001, // svc #0
    0xb13ffc1f, // cmn x0, #0xfff
    0x540001c2, // b.hs 0x74
    0xd1000702, // sub x2, x24, #0x1
    0x8b020000, // add x0, x0, x2
    0x8a220000, // bic x0, x0, x2
    0xd51bd040, // msr TPIDR_EL0, x0
    0x91400000, // add x0, x0, #0x0, lsl #12
    0x91000000, // add x0, x0, #0x0
    0x9000001a, // adrp x26, 0x0
    0x9100035a, // add x26, x26, #0x0
    0xeb1a033f, // cmp x25, x26
    0x540000e2, // b.hs 0x80
    0x38401722, // ldrb w2, [x25], #0x1
    0x38001402, // strb w2, [x0], #0x1
    0x17fffffc, // b 0x60
    0xd4200020, // brk #0x1
    0x00000000, // .word 0x00000000
    0x00000000, // .word 0x00000000
]);

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static INIT: [[u8; 4]; 12] = in_memory([
    0x90000016, // adrp x22, 0x0
    0x910002d6, // add x22, x22, #0x0
    0x90000017, // adrp x23, 0x0
    0x910002f7, // add x23, x23, #0x0
    0xeb1702df, // cmp x22, x23
    0x540000e2, // b.hs 0x30
    0xaa1303e0, // mov x0, x19
    0xaa1403e1, // mov x1, x20
    0xaa1503e2, // mov x2, x21
    0xf84086c8, // ldr x8, [x22], #0x8
    0xd63f0100, // blr x8
    0x17fffff9, // b 0x10
]);

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static CALL: [[u8; 4]; 5] = in_memory([
    0xaa1303e0, // mov x0, x19
    0xaa1403e1, // mov x1, x20
    0xaa1503e2, // mov x2, x21
    0x94000000, // bl 0xc
    0x2a0003f3, // mov w19, w0
]);

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static FINI: [[u8; 4]; 9] = in_memory([
    0x90000016, // adrp x22, 0x0
    0x910002d6, // add x22, x22, #0x0
    0x90000017, // adrp x23, 0x0
    0x910002f7, // add x23, x23, #0x0
    0xeb1602ff, // cmp x23, x22
    0x54000089, // b.ls 0x24
    0xf85f8ee8, // ldr x8, [x23, #-0x8]!
    0xd63f0100, // blr x8
    0x17fffffc, // b 0x10
]);

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static EXIT: [[u8; 4]; 4] = in_memory([
    0x2a1303e0, // mov w0, w19
    0xd2800bc8, // mov x8, #0x5e
    0xd4000001, // svc #0
    0xd4200020, // brk #0x1
]);

// Instruction words stand as disassemblers print them.
#[allow(clippy::unreadable_literal)]
#[rustfmt::skip]
static LIBC: [[u8; 4]; 14] = in_memory([
    0xaa1f03fd, // mov x29, xzr
    0xaa1f03fe, // mov x30, xzr
    0xaa0003e5, // mov x5, x0
    0xf94003e1, // ldr x1, [sp]
    0x910023e2, // add x2, sp, #0x8
    0x910003e6, // mov x6, sp
    0x90000000, // adrp x0, 0x0
    0x91000000, // add x0, x0, #0x0
    0xaa1f03e3, // mov x3, xzr
    0xaa1f03e4, // mov x4, xzr
    0x90000008, // adrp x8, 0x0
    0xf9400108, // ldr x8, [x8]
    0xd63f0100, // blr x8
    0xd4200020, // brk #0x1
]);
