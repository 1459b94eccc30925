//! The bytes of `x86_64-linux.s`, which says what they do and why; a test assembles it and compares.

use super::StartUpSymbol::{Entry, Import, Landmark, StackSize, TlsAlign};
use super::{StartUp, StartUps, at};
use crate::arch::x86_64::{ABS64, CALL32, GOT32, REL32, TPOFF32};
use crate::program::Landmark::{
    End, ImageBase, LoadRelocationsEnd, LoadRelocationsStart, RelRoEnd, RelRoStart, Start,
    TlsDataEnd, TlsStart,
};
use crate::program::SectionKind;

pub(super) static START_UPS: StartUps = StartUps {
    relocate: StartUp {
        code: RELOCATE,
        relocations: &[
            at(0x03, REL32, Landmark(ImageBase), -4),
            at(0x0a, REL32, Landmark(LoadRelocationsStart), -4),
            at(0x11, REL32, Landmark(LoadRelocationsEnd), -4),
            at(0x31, REL32, Landmark(RelRoStart), -4),
            at(0x38, REL32, Landmark(RelRoEnd), -4),
        ],
    },
    enter: StartUp { code: ENTER, relocations: &[at(0x0e, CALL32, Entry, -4)] },
    arguments: StartUp { code: ARGUMENTS, relocations: &[] },
    stack: StartUp { code: STACK, relocations: &[at(0x04, ABS64, StackSize, 0)] },
    tls: StartUp {
        code: TLS,
        relocations: &[
            at(0x02, ABS64, TlsAlign, 0),
            at(0x0f, TPOFF32, Landmark(TlsStart), 0),
            at(0x5b, REL32, Landmark(TlsStart), -4),
            at(0x62, REL32, Landmark(TlsDataEnd), -4),
        ],
    },
    init: StartUp {
        code: INIT,
        relocations: &[
            at(0x03, REL32, Landmark(Start(SectionKind::Init)), -4),
            at(0x0a, REL32, Landmark(End(SectionKind::Init)), -4),
        ],
    },
    call: StartUp { code: CALL, relocations: &[at(0x0a, CALL32, Entry, -4)] },
    fini: StartUp {
        code: FINI,
        relocations: &[
            at(0x03, REL32, Landmark(End(SectionKind::Fini)), -4),
            at(0x0a, REL32, Landmark(Start(SectionKind::Fini)), -4),
        ],
    },
    exit: StartUp { code: EXIT, relocations: &[] },
};

pub(super) static LIBC_START: StartUp = StartUp {
    code: LIBC,
    relocations: &[at(0x1c, REL32, Entry, -4), at(0x22, GOT32, Import("__libc_start_main"), -4)],
};

#[rustfmt::skip]
static RELOCATE: &[u8] = &[
    0x48, 0x8d, 0x3d, 0x00, 0x00, 0x00, 0x00, // lea rdi, [rip]
    0x48, 0x8d, 0x35, 0x00, 0x00, 0x00, 0x00, // lea rsi, [rip]
    0x48, 0x8d, 0x0d, 0x00, 0x00, 0x00, 0x00, // lea rcx, [rip]
    0x48, 0x39, 0xce,                         // cmp rsi, rcx
    0x73, 0x14,                               // jae 0x2e
    0x48, 0x8b, 0x06,                         // mov rax, qword ptr [rsi]
    0x48, 0x8b, 0x56, 0x10,                   // mov rdx, qword ptr [rsi + 0x10]
    0x48, 0x01, 0xfa,                         // add rdx, rdi
    0x48, 0x89, 0x14, 0x07,                   // mov qword ptr [rdi + rax], rdx
    0x48, 0x83, 0xc6, 0x18,                   // add rsi, 0x18
    0xeb, 0xe7,                               // jmp 0x15
    0x48, 0x8d, 0x3d, 0x00, 0x00, 0x00, 0x00, // lea rdi, [rip]
    0x48, 0x8d, 0x35, 0x00, 0x00, 0x00, 0x00, // lea rsi, [rip]
    0x48, 0x81, 0xe7, 0x00, 0xf0, 0xff, 0xff, // and rdi, -0x1000
    0x48, 0x29, 0xfe,                         // sub rsi, rdi
    0x76, 0x12,                               // jbe 0x5a
    0xba, 0x01, 0x00, 0x00, 0x00,             // mov edx, 0x1
    0xb8, 0x0a, 0x00, 0x00, 0x00,             // mov eax, 0xa
    0x0f, 0x05,                               // syscall
    0x85, 0xc0,                               // test eax, eax
    0x74, 0x02,                               // je 0x5a
    0x0f, 0x0b,                               // ud2
];

#[rustfmt::skip]
static ENTER: &[u8] = &[
    0x31, 0xc0,                   // xor eax, eax
    0x31, 0xc9,                   // xor ecx, ecx
    0x31, 0xd2,                   // xor edx, edx
    0x31, 0xf6,                   // xor esi, esi
    0x31, 0xff,                   // xor edi, edi
    0x45, 0x31, 0xdb,             // xor r11d, r11d
    0xe9, 0x00, 0x00, 0x00, 0x00, // jmp 0x12
];

#[rustfmt::skip]
static ARGUMENTS: &[u8] = &[
    0x4c, 0x8b, 0x24, 0x24,       // mov r12, qword ptr [rsp]
    0x4c, 0x8d, 0x6c, 0x24, 0x08, // lea r13, [rsp + 0x8]
    0x4f, 0x8d, 0x74, 0xe5, 0x08, // lea r14, [r13 + 8*r12 + 0x8]
    0x31, 0xed,                   // xor ebp, ebp
    0x48, 0x83, 0xe4, 0xf0,       // and rsp, -0x10
];

#[rustfmt::skip]
static STACK: &[u8] = &[
    0x31, 0xff,                                                 // xor edi, edi
    0x48, 0xbe, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // movabs rsi, 0x0
    0xba, 0x03, 0x00, 0x00, 0x00,                               // mov edx, 0x3
    0x41, 0xba, 0x22, 0x00, 0x02, 0x00,                         // mov r10d, 0x20022
    0x49, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff,                   // mov r8, -0x1
    0x45, 0x31, 0xc9,                                           // xor r9d, r9d
    0xb8, 0x09, 0x00, 0x00, 0x00,                               // mov eax, 0x9
    0x0f, 0x05,                                                 // syscall
    0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff,                         // cmp rax, -0x1000
    0x77, 0x19,                                                 // ja 0x49
    0x48, 0x8d, 0x24, 0x30,                                     // lea rsp, [rax + rsi]
    0x48, 0x89, 0xc7,                                           // mov rdi, rax
    0xbe, 0x00, 0x00, 0x01, 0x00,                               // mov esi, 0x10000
    0x31, 0xd2,                                                 // xor edx, edx
    0xb8, 0x0a, 0x00, 0x00, 0x00,                               // mov eax, 0xa
    0x0f, 0x05,                                                 // syscall
    0x85, 0xc0,                                                 // test eax, eax
    0x74, 0x02,                                                 // je 0x4b
    0x0f, 0x0b,                                                 // ud2
];

#[rustfmt::skip]
static TLS: &[u8] = &[
    0x48, 0xbb, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // movabs rbx, 0x0
    0x31, 0xc0,                                                  // xor eax, eax
    0x4c, 0x8d, 0xb8, 0x00, 0x00, 0x00, 0x00,                    // lea r15, [rax]
    0x31, 0xff,                                                  // xor edi, edi
    0x48, 0x8d, 0xb3, 0x00, 0x01, 0x00, 0x00,                    // lea rsi, [rbx + 0x100]
    0x4c, 0x29, 0xfe,                                            // sub rsi, r15
    0xba, 0x03, 0x00, 0x00, 0x00,                                // mov edx, 0x3
    0x41, 0xba, 0x22, 0x00, 0x00, 0x00,                          // mov r10d, 0x22
    0x49, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff,                    // mov r8, -0x1
    0x45, 0x31, 0xc9,                                            // xor r9d, r9d
    0xb8, 0x09, 0x00, 0x00, 0x00,                                // mov eax, 0x9
    0x0f, 0x05,                                                  // syscall
    0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff,                          // cmp rax, -0x1000
    0x77, 0x3b,                                                  // ja 0x7e
    0x4c, 0x29, 0xf8,                                            // sub rax, r15
    0x48, 0x8d, 0x44, 0x18, 0xff,                                // lea rax, [rax + rbx - 0x1]
    0x48, 0xf7, 0xdb,                                            // neg rbx
    0x48, 0x21, 0xd8,                                            // and rax, rbx
    0x48, 0x89, 0x00,                                            // mov qword ptr [rax], rax
    0x4a, 0x8d, 0x3c, 0x38,                                      // lea rdi, [rax + r15]
    0x48, 0x8d, 0x35, 0x00, 0x00, 0x00, 0x00,                    // lea rsi, [rip]
    0x48, 0x8d, 0x0d, 0x00, 0x00, 0x00, 0x00,                    // lea rcx, [rip]
    0x48, 0x29, 0xf1,                                            // sub rcx, rsi
    0xf3, 0xa4,                                                  // rep movsb byte ptr es:[rdi], byte ptr [rsi]
    0x48, 0x89, 0xc6,                                            // mov rsi, rax
    0xbf, 0x02, 0x10, 0x00, 0x00,                                // mov edi, 0x1002
    0xb8, 0x9e, 0x00, 0x00, 0x00,                                // mov eax, 0x9e
    0x0f, 0x05,                                                  // syscall
    0x85, 0xc0,                                                  // test eax, eax
    0x74, 0x02,                                                  // je 0x80
    0x0f, 0x0b,                                                  // ud2
];

#[rustfmt::skip]
static INIT: &[u8] = &[
    0x48, 0x8d, 0x1d, 0x00, 0x00, 0x00, 0x00, // lea rbx, [rip]
    0x48, 0x8d, 0x05, 0x00, 0x00, 0x00, 0x00, // lea rax, [rip]
    0x48, 0x39, 0xc3,                         // cmp rbx, rax
    0x73, 0x11,                               // jae 0x24
    0x4c, 0x89, 0xe7,                         // mov rdi, r12
    0x4c, 0x89, 0xee,                         // mov rsi, r13
    0x4c, 0x89, 0xf2,                         // mov rdx, r14
    0xff, 0x13,                               // call qword ptr [rbx]
    0x48, 0x83, 0xc3, 0x08,                   // add rbx, 0x8
    0xeb, 0xe3,                               // jmp 0x7
];

#[rustfmt::skip]
static CALL: &[u8] = &[
    0x4c, 0x89, 0xe7,             // mov rdi, r12
    0x4c, 0x89, 0xee,             // mov rsi, r13
    0x4c, 0x89, 0xf2,             // mov rdx, r14
    0xe8, 0x00, 0x00, 0x00, 0x00, // call 0xe
    0x41, 0x89, 0xc4,             // mov r12d, eax
];

#[rustfmt::skip]
static FINI: &[u8] = &[
    0x48, 0x8d, 0x1d, 0x00, 0x00, 0x00, 0x00, // lea rbx, [rip]
    0x48, 0x8d, 0x05, 0x00, 0x00, 0x00, 0x00, // lea rax, [rip]
    0x48, 0x39, 0xc3,                         // cmp rbx, rax
    0x76, 0x08,                               // jbe 0x1b
    0x48, 0x83, 0xeb, 0x08,                   // sub rbx, 0x8
    0xff, 0x13,                               // call qword ptr [rbx]
    0xeb, 0xec,                               // jmp 0x7
];

#[rustfmt::skip]
static EXIT: &[u8] = &[
    0x44, 0x89, 0xe7,             // mov edi, r12d
    0xb8, 0xe7, 0x00, 0x00, 0x00, // mov eax, 0xe7
    0x0f, 0x05,                   // syscall
    0x0f, 0x0b,                   // ud2
];

#[rustfmt::skip]
static LIBC: &[u8] = &[
    0x31, 0xed,                               // xor ebp, ebp
    0x49, 0x89, 0xd1,                         // mov r9, rdx
    0x48, 0x8b, 0x34, 0x24,                   // mov rsi, qword ptr [rsp]
    0x48, 0x8d, 0x54, 0x24, 0x08,             // lea rdx, [rsp + 0x8]
    0x48, 0x83, 0xe4, 0xf0,                   // and rsp, -0x10
    0x50,                                     // push rax
    0x54,                                     // push rsp
    0x45, 0x31, 0xc0,                         // xor r8d, r8d
    0x31, 0xc9,                               // xor ecx, ecx
    0x48, 0x8d, 0x3d, 0x00, 0x00, 0x00, 0x00, // lea rdi, [rip]
    0xff, 0x15, 0x00, 0x00, 0x00, 0x00,       // call qword ptr [rip]
    0x0f, 0x0b,                               // ud2
];
