//! The bytes of `x86_64-linux.s`, which says what they do and why; a test assembles it and compares.

use super::StartUpSymbol::{Entry, Landmark};
use super::{StartUp, StartUpRelocation, at};
use crate::arch::x86_64::{CALL32, REL32};
use crate::program::Landmark::{
    ImageBase, LoadRelocationsEnd, LoadRelocationsStart, RelRoEnd, RelRoStart,
};

pub(super) static START_UP: StartUp = StartUp { code: CODE, relocations: RELOCATIONS };

#[rustfmt::skip]
static CODE: &[u8] = &[
    0x48, 0x8d, 0x3d, 0x00, 0x00, 0x00, 0x00, // lea rdi, [rip]
    0x48, 0x8d, 0x35, 0x00, 0x00, 0x00, 0x00, // lea rsi, [rip]
    0x48, 0x8d, 0x0d, 0x00, 0x00, 0x00, 0x00, // lea rcx, [rip]
    0x48, 0x39, 0xce,                         // cmp rsi, rcx
    0x73, 0x14,                               // jae 0x2e
    0x48, 0x8b, 0x06,                         // mov rax, qword ptr [rsi]
    0x48, 0x8b, 0x56, 0x10,                   // mov rdx, qword ptr [rsi + 16]
    0x48, 0x01, 0xfa,                         // add rdx, rdi
    0x48, 0x89, 0x14, 0x07,                   // mov qword ptr [rdi + rax], rdx
    0x48, 0x83, 0xc6, 0x18,                   // add rsi, 24
    0xeb, 0xe7,                               // jmp 0x15
    0x48, 0x8d, 0x3d, 0x00, 0x00, 0x00, 0x00, // lea rdi, [rip]
    0x48, 0x8d, 0x35, 0x00, 0x00, 0x00, 0x00, // lea rsi, [rip]
    0x48, 0x81, 0xe7, 0x00, 0xf0, 0xff, 0xff, // and rdi, -4096
    0x48, 0x29, 0xfe,                         // sub rsi, rdi
    0x76, 0x10,                               // jbe 0x58
    0xba, 0x01, 0x00, 0x00, 0x00,             // mov edx, 1
    0xb8, 0x0a, 0x00, 0x00, 0x00,             // mov eax, 10
    0x0f, 0x05,                               // syscall
    0x85, 0xc0,                               // test eax, eax
    0x75, 0x12,                               // jne 0x6a
    0x31, 0xc0,                               // xor eax, eax
    0x31, 0xc9,                               // xor ecx, ecx
    0x31, 0xd2,                               // xor edx, edx
    0x31, 0xf6,                               // xor esi, esi
    0x31, 0xff,                               // xor edi, edi
    0x45, 0x31, 0xdb,                         // xor r11d, r11d
    0xe9, 0x00, 0x00, 0x00, 0x00,             // jmp 0x6a
    0x0f, 0x0b,                               // ud2
];

static RELOCATIONS: &[StartUpRelocation] = &[
    at(0x03, REL32, Landmark(ImageBase), -4),
    at(0x0a, REL32, Landmark(LoadRelocationsStart), -4),
    at(0x11, REL32, Landmark(LoadRelocationsEnd), -4),
    at(0x31, REL32, Landmark(RelRoStart), -4),
    at(0x38, REL32, Landmark(RelRoEnd), -4),
    at(0x66, CALL32, Entry, -4),
];
