//! The bytes of `x86_64-windows.s`, which says what they do and why; a test assembles it and compares.

use super::StartUpSymbol::{Entry, Import, Landmark};
use super::{StartUp, at};
use crate::arch::x86_64::{CALL32, GOT32, REL32};
use crate::program::Landmark::{End, Start};
use crate::program::SectionKind;

pub(super) static CALLBACK: StartUp = StartUp {
    code: CALLBACK_CODE,
    relocations: &[
        at(0x12, REL32, Landmark(End(SectionKind::Fini)), -4),
        at(0x19, REL32, Landmark(Start(SectionKind::Fini)), -4),
        at(0x2d, REL32, Landmark(Start(SectionKind::Init)), -4),
        at(0x34, REL32, Landmark(End(SectionKind::Init)), -4),
    ],
};

pub(super) static LIBC_START: StartUp = StartUp {
    code: LIBC,
    relocations: &[
        at(0x2a, GOT32, Import("__getmainargs"), -4),
        at(0x3d, CALL32, Entry, -4),
        at(0x45, GOT32, Import("exit"), -4),
    ],
};

#[rustfmt::skip]
static LIBC: &[u8] = &[
    0x48, 0x83, 0xec, 0x58,                         // sub rsp, 0x58
    0xc7, 0x44, 0x24, 0x30, 0x00, 0x00, 0x00, 0x00, // mov dword ptr [rsp + 0x30], 0x0
    0x48, 0x8d, 0x44, 0x24, 0x30,                   // lea rax, [rsp + 0x30]
    0x48, 0x89, 0x44, 0x24, 0x20,                   // mov qword ptr [rsp + 0x20], rax
    0x48, 0x8d, 0x4c, 0x24, 0x38,                   // lea rcx, [rsp + 0x38]
    0x48, 0x8d, 0x54, 0x24, 0x40,                   // lea rdx, [rsp + 0x40]
    0x4c, 0x8d, 0x44, 0x24, 0x48,                   // lea r8, [rsp + 0x48]
    0x45, 0x31, 0xc9,                               // xor r9d, r9d
    0xff, 0x15, 0x00, 0x00, 0x00, 0x00,             // call qword ptr [rip]
    0x8b, 0x4c, 0x24, 0x38,                         // mov ecx, dword ptr [rsp + 0x38]
    0x48, 0x8b, 0x54, 0x24, 0x40,                   // mov rdx, qword ptr [rsp + 0x40]
    0x4c, 0x8b, 0x44, 0x24, 0x48,                   // mov r8, qword ptr [rsp + 0x48]
    0xe8, 0x00, 0x00, 0x00, 0x00,                   // call 0x41
    0x89, 0xc1,                                     // mov ecx, eax
    0xff, 0x15, 0x00, 0x00, 0x00, 0x00,             // call qword ptr [rip]
    0x0f, 0x0b,                                     // ud2
];

#[rustfmt::skip]
static CALLBACK_CODE: &[u8] = &[
    0x53,                                      // push rbx
    0x56,                                      // push rsi
    0x48, 0x83, 0xec, 0x28,                    // sub rsp, 0x28
    0x83, 0xfa, 0x01,                          // cmp edx, 0x1
    0x74, 0x1f,                                // je 0x2a
    0x85, 0xd2,                                // test edx, edx
    0x75, 0x3d,                                // jne 0x4c
    0x48, 0x8d, 0x1d, 0x00, 0x00, 0x00, 0x00, // lea rbx, [rip]
    0x48, 0x8d, 0x35, 0x00, 0x00, 0x00, 0x00, // lea rsi, [rip]
    0x48, 0x39, 0xf3,                          // cmp rbx, rsi
    0x76, 0x2a,                                // jbe 0x4c
    0x48, 0x83, 0xeb, 0x08,                    // sub rbx, 0x8
    0xff, 0x13,                                // call qword ptr [rbx]
    0xeb, 0xf3,                                // jmp 0x1d
    0x48, 0x8d, 0x1d, 0x00, 0x00, 0x00, 0x00, // lea rbx, [rip]
    0x48, 0x8d, 0x35, 0x00, 0x00, 0x00, 0x00, // lea rsi, [rip]
    0x48, 0x39, 0xf3,                          // cmp rbx, rsi
    0x73, 0x0f,                                // jae 0x4c
    0x31, 0xc9,                                // xor ecx, ecx
    0x31, 0xd2,                                // xor edx, edx
    0x45, 0x31, 0xc0,                          // xor r8d, r8d
    0xff, 0x13,                                // call qword ptr [rbx]
    0x48, 0x83, 0xc3, 0x08,                    // add rbx, 0x8
    0xeb, 0xec,                                // jmp 0x38
    0x48, 0x83, 0xc4, 0x28,                    // add rsp, 0x28
    0x5e,                                      // pop rsi
    0x5b,                                      // pop rbx
    0xc3,                                      // ret
];
