//! What whole texts become: jumps, labels and what refers to other symbols, as `llvm-mc` has it in an
//! object file.

use object::elf;
use object::read::elf::ElfFile64;
use object::{
    LittleEndian, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget,
};

use super::generator::Random;
use super::{llvm, try_assemble};
use crate::input::spec::block::{Block, Field};
use crate::input::spec::expression::TermValue;
use crate::target::Architecture;

/// What ELF calls our kinds.
const KINDS: &[(&str, &[elf::RelocationType])] = &[
    ("rel8", &[elf::R_X86_64_PC8]),
    ("rel32", &[elf::R_X86_64_PC32]),
    // Older LLVM asks for a stub only where a call is.
    ("call32", &[elf::R_X86_64_PLT32, elf::R_X86_64_PC32]),
    ("got32", &[elf::R_X86_64_GOTPCREL, elf::R_X86_64_GOTPCRELX, elf::R_X86_64_REX_GOTPCRELX]),
    ("abs64", &[elf::R_X86_64_64, elf::R_AARCH64_ABS64]),
    ("call26", &[elf::R_AARCH64_CALL26]),
    ("jump26", &[elf::R_AARCH64_JUMP26]),
    ("branch19", &[elf::R_AARCH64_CONDBR19]),
    ("branch14", &[elf::R_AARCH64_TSTBR14]),
    ("literal19", &[elf::R_AARCH64_LD_PREL_LO19]),
    ("adr21", &[elf::R_AARCH64_ADR_PREL_LO21]),
    ("page21", &[elf::R_AARCH64_ADR_PREL_PG_HI21]),
    (
        "pageoff12",
        &[
            elf::R_AARCH64_ADD_ABS_LO12_NC,
            elf::R_AARCH64_LDST8_ABS_LO12_NC,
            elf::R_AARCH64_LDST16_ABS_LO12_NC,
            elf::R_AARCH64_LDST32_ABS_LO12_NC,
            elf::R_AARCH64_LDST64_ABS_LO12_NC,
        ],
    ),
    ("gotpage21", &[elf::R_AARCH64_ADR_GOT_PAGE]),
    ("gotpageoff12", &[elf::R_AARCH64_LD64_GOT_LO12_NC]),
];

/// Offset, kind, symbol, addend.
type Relocation = (u64, String, String, i64);

fn ours(block: &Block) -> Vec<Relocation> {
    let fixups = block.fixups.iter().map(|fixup| {
        let Field::Relocation { kind, bias } = fixup.field else { panic!("{fixup:?}") };
        let (mut name, mut addend) = (String::new(), bias);
        for term in &fixup.expression.terms {
            match &term.value {
                TermValue::Name(symbol) => name.clone_from(symbol),
                TermValue::Number(number) => {
                    let number = i64::try_from(*number).expect("addends are small here");
                    addend += if term.is_negative { -number } else { number };
                }
            }
        }
        (fixup.offset, kind.name().to_owned(), name, addend)
    });
    fixups.collect()
}

fn theirs(object: &[u8]) -> (Vec<u8>, Vec<Relocation>) {
    let file = ElfFile64::<LittleEndian>::parse(object).expect("llvm-mc writes ELF");
    let section = file.section_by_name(".text").expect("there is code");
    let relocations = section.relocations().map(|(offset, relocation)| {
        let RelocationFlags::Elf { r_type } = relocation.flags() else { unreachable!("ELF") };
        let kind = KINDS.iter().find(|(_, types)| types.contains(&r_type));
        let kind = kind.map_or_else(|| format!("{r_type:?}"), |(kind, _)| (*kind).to_owned());
        let RelocationTarget::Symbol(symbol) = relocation.target() else { panic!("no symbol") };
        let symbol = file.symbol_by_index(symbol).expect("it is in the table");
        let name = symbol.name().expect("names are UTF-8").to_owned();
        (offset, kind, name, relocation.addend())
    });
    (section.data().expect("it is in the file").to_vec(), relocations.collect())
}

/// Checks bytes and relocations of a text.
#[track_caller]
fn check(architecture: Architecture, text: &str) {
    let block = try_assemble(text, architecture).unwrap_or_else(|errors| panic!("{errors}"));
    let (bytes, relocations) = theirs(&llvm::object(architecture, text));
    assert_eq!(ours(&block), relocations);
    let differs = block.bytes.iter().zip(&bytes).position(|(ours, theirs)| ours != theirs);
    assert!(block.bytes == bytes, "from byte {differs:?} on");
}

#[test]
fn references_of_x86_64() {
    check(
        Architecture::X86_64,
        "lea rsi, [rip + message]
        lea rsi, [rip + message + 8]
        mov rax, [rip + counter]
        mov qword ptr [rip + counter], 5
        cmp byte ptr [rip + flag], 1
        add dword ptr [rip + counter - 4], 0x12345
        mov word ptr [rip + counter], 0x1234
        call puts
        call puts@PLT
        call qword ptr [rip + puts@GOTPCREL]
        mov rax, [rip + puts@GOTPCREL]
        cmp qword ptr [rip + puts@GOTPCREL], 0
        jmp puts
        je done
        jne done+4
        loop done
        jrcxz done
        movabs rcx, offset message
        movabs r9, offset message+8
        imul eax, [rip + counter], 1000
        movss xmm0, [rip + counter]
        jmp qword ptr [rip + table]
        shl dword ptr [rip + counter], 3
        lock xadd dword ptr [rip + counter], eax
        test dword ptr [rip + counter], 0x100
        .quad message, message+8
        ",
    );
}

#[test]
fn references_of_arm64() {
    check(
        Architecture::Aarch64,
        "b next
        b next+8
        bl puts
        b.eq next
        beq next-4
        b.lo next
        b.hs next
        blo next
        cbz x0, next
        cbnz w0, next
        tbz x0, #40, next
        tbnz w0, #3, next
        adr x0, message
        adr x0, message+1
        adrp x0, message
        adrp x0, message+4096
        add x0, x0, :lo12:message
        add x0, x0, #:lo12:message+4
        ldr x0, [x0, :lo12:message]
        ldr w0, [x0, :lo12:message]
        ldrb w0, [x0, :lo12:message]
        ldrh w0, [x0, :lo12:message]
        str x0, [x0, #:lo12:counter]
        ldrsw x0, [x0, :lo12:message]
        ldr x0, message
        ldr w0, message
        ldrsw x0, message
        adrp x0, :got:puts
        ldr x0, [x0, :got_lo12:puts]
        .quad message, message+8
        ",
    );
}

#[test]
fn jumps_inside_the_text_of_x86_64() {
    check(
        Architecture::X86_64,
        "start: jmp .end
        .again: dec ecx
        jnz .again
        jmp start
        call .again
        lea rax, [rip + start]
        lea rax, [rip + .end + 4]
        jmp .far
        .zero 130
        .end: jmp start
        loop .end
        .far: ret
        ",
    );
}

#[test]
fn jumps_inside_the_text_of_arm64() {
    check(
        Architecture::Aarch64,
        "start: b .end
        .again: subs x0, x0, #1
        b.ne .again
        b.hs .again
        b.cc .end
        cbz x0, .end
        tbz w0, #3, start
        bl .again
        adr x0, .end
        adr x0, .end+1
        ldr x0, .number
        .end: ret
        .balign 8
        .number: .quad 42
        ",
    );
}

/// The widths of jumps depend on each other; all of them are the shortest that reach.
#[test]
fn many_jumps_of_x86_64() {
    let mut random = Random::new(7);
    for lines in [40, 400, 4000] {
        let mut text = String::new();
        for line in 0..lines {
            let near = |random: &mut Random| {
                let target = (line + random.below(60)).saturating_sub(30);
                target.min(lines - 1)
            };
            let jump = random.one_of(&["jmp", "je", "jne", "jg", "call"]).to_owned();
            let statement = match random.below(5) {
                0 | 1 => format!("{jump} .l{}", near(&mut random)),
                2 => format!(".zero {}", random.below(12)),
                3 if random.below(8) == 0 => ".balign 16, 0xcc".to_owned(),
                _ => random.one_of(&["nop", "mov eax, 5", "lea rax, [rip + 100]"]).to_owned(),
            };
            text.extend([".l", &line.to_string(), ": ", &statement, "\n"]);
        }
        check(Architecture::X86_64, &text);
    }
}
