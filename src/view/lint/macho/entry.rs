//! Where a program begins, and who brings it there.

use object::LittleEndian as LE;
use object::macho;

use super::{Command, EXECUTE, HEADER_SIZE, Header, MachO, READ};
use crate::target::Architecture::{self, Aarch64};
use crate::view::lint::bytes::{field, text};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Dyld, Xnu};
use crate::view::lint::rule::{Check, Kind, Rule, error};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/position-independent",
        demand: "a program for arm64 that dyld loads has MH_PIE",
        by: &[error(Xnu).on(Aarch64).programs()],
        symptom: "`Bad executable (or shared library)` (EBADEXEC, 85), or `Killed: 9`",
        cure: "set MH_PIE (0x200000), and write fixups for addresses",
        source: "xnu bsd/kern/mach_loader.c, parse_machfile",
        check: Check::MachO(position_independent),
    },
    Rule {
        name: "macho/static",
        demand: "a program for arm64 is loaded by dyld (MH_DYLDLINK)",
        by: &[error(Xnu).on(Aarch64).programs()],
        symptom: "`Bad executable (or shared library)` (EBADEXEC, 85), or `Killed: 9`",
        cure: "link libSystem and let dyld start the program (LC_MAIN, LC_LOAD_DYLINKER)",
        source: "xnu bsd/kern/mach_loader.c, parse_machfile",
        check: Check::MachO(static_program),
    },
    Rule {
        name: "macho/entry-missing",
        demand: "a program has an LC_MAIN or an LC_UNIXTHREAD",
        by: &[error(Xnu).programs()],
        symptom: "`Bad executable (or shared library)` (EBADEXEC, 85), or `Killed: 9`",
        cure: "add LC_MAIN, for a static program LC_UNIXTHREAD",
        source: "xnu bsd/kern/mach_loader.c, parse_machfile (thread_count)",
        check: Check::MachO(missing),
    },
    Rule {
        name: "macho/entry-twice",
        demand: "there is one LC_MAIN or LC_UNIXTHREAD, not both",
        by: &[error(Xnu).programs()],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`",
        cure: "keep one",
        source: "xnu bsd/kern/mach_loader.c, load_main, load_unixthread",
        check: Check::MachO(twice),
    },
    Rule {
        name: "macho/main-offset",
        demand: "LC_MAIN's entryoff lies in an executable segment",
        by: &[error(Dyld).programs()],
        symptom: "dyld: `LC_MAIN entryoff is out of range` or `not executable`, and abort (SIGABRT)",
        cure: "write the distance of the entry from the header",
        source: "dyld mach_o/UnsafeHeader.cpp, validSemanticsMain, getEntry",
        check: Check::MachO(main_offset),
    },
    Rule {
        name: "macho/stack-size",
        demand: "LC_MAIN's stacksize is 0, for the usual one, or 64 KiB to 64 TiB",
        by: &[error(Xnu).programs()],
        symptom: "`Cannot allocate memory` or `Killed: 9`: arguments, environment and dyld's own calls find no room, or no address space is so large",
        cure: "write 0 where the usual 8 MiB do",
        source: "xnu bsd/kern/mach_loader.c, load_main; bsd/kern/kern_exec.c, create_unix_stack, exec_copyout_strings",
        check: Check::MachO(stack_size),
    },
    Rule {
        name: "macho/thread-state",
        demand: "LC_UNIXTHREAD holds the thread state of its architecture, whole",
        by: &[error(Xnu).programs()],
        symptom: "`Bad executable (or shared library)` (EBADEXEC, 85), or `Killed: 9`",
        cure: "write flavor 4 with 42 words on x86-64, flavor 6 with 68 on arm64",
        source: "xnu bsd/kern/mach_loader.c, load_threadstate; osfmk/mach/machine/thread_status.h",
        check: Check::MachO(thread_state),
    },
    Rule {
        name: "macho/thread-entry",
        demand: "LC_UNIXTHREAD's program counter lies in a readable and executable segment",
        by: &[error(Xnu).programs()],
        symptom: "`Bad executable (or shared library)` (EBADEXEC, 85), or `Killed: 9`",
        cure: "write the address of the entry",
        source: "xnu bsd/kern/mach_loader.c, parse_machfile (validentry)",
        check: Check::MachO(thread_entry),
    },
    Rule {
        name: "macho/thread-with-dyld",
        demand: "a program for arm64 that dyld loads begins with LC_MAIN",
        by: &[error(Dyld).on(Aarch64).programs()],
        symptom: "dyld: `missing LC_MAIN`, and abort (SIGABRT)",
        cure: "replace LC_UNIXTHREAD by LC_MAIN",
        source: "dyld dyld/dyldMain.cpp, prepare (`main executable is missing LC_MAIN`)",
        check: Check::MachO(thread_with_dyld),
    },
    Rule {
        name: "macho/dylinker-missing",
        demand: "a program with MH_DYLDLINK or LC_MAIN has an LC_LOAD_DYLINKER",
        by: &[error(Xnu).programs()],
        symptom: "`Bad executable (or shared library)` (EBADEXEC, 85), or `Killed: 9`",
        cure: "add LC_LOAD_DYLINKER with /usr/lib/dyld",
        source: "xnu bsd/kern/mach_loader.c, load_machfile, parse_machfile",
        check: Check::MachO(dylinker_missing),
    },
    Rule {
        name: "macho/dylinker-path",
        demand: "LC_LOAD_DYLINKER says /usr/lib/dyld",
        by: &[error(Xnu).programs()],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`",
        cure: "write /usr/lib/dyld",
        source: "xnu bsd/kern/mach_loader.c, load_dylinker (DEFAULT_DYLD_PATH)",
        check: Check::MachO(dylinker_path),
    },
    Rule {
        name: "macho/dylinker-twice",
        demand: "there is at most one LC_LOAD_DYLINKER",
        by: &[error(Xnu).programs()],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`",
        cure: "keep one",
        source: "xnu bsd/kern/mach_loader.c, parse_machfile",
        check: Check::MachO(dylinker_twice),
    },
];

fn position_independent(macho: &MachO<'_>, report: &mut Report<'_>) {
    if macho.is_dynamic() && !macho.has(macho::MH_PIE) {
        let message = format!("flags are {:#x}", macho.header.flags.get(LE).0);
        report.add(MachO::field(field!(Header, flags)), message);
    }
}

fn static_program(macho: &MachO<'_>, report: &mut Report<'_>) {
    if !macho.is_dynamic() {
        let message = format!("flags are {:#x}", macho.header.flags.get(LE).0);
        report.add(MachO::field(field!(Header, flags)), message);
    }
}

fn entries<'m>(macho: &'m MachO<'_>) -> impl Iterator<Item = &'m Command> {
    let kinds = [macho::LC_MAIN, macho::LC_UNIXTHREAD];
    macho.commands.iter().filter(move |command| kinds.contains(&command.kind))
}

fn is_program(macho: &MachO<'_>) -> bool {
    macho.kind == Kind::Program && macho.header.filetype.get(LE) == macho::MH_EXECUTE
}

fn missing(macho: &MachO<'_>, report: &mut Report<'_>) {
    if is_program(macho) && entries(macho).next().is_none() {
        let place = Place::new(HEADER_SIZE, 0, "load commands");
        report.add(place, "there is neither LC_MAIN nor LC_UNIXTHREAD");
    }
}

fn twice(macho: &MachO<'_>, report: &mut Report<'_>) {
    if let Some(second) = entries(macho).nth(1) {
        report.add(second.whole(), format!("there is a second entry, {}", second.name()));
    }
}

fn main_offset(macho: &MachO<'_>, report: &mut Report<'_>) {
    type Main = macho::EntryPointCommand<LE>;
    for command in macho.all(macho::LC_MAIN) {
        let Some(main) = macho.read::<Main>(command) else { continue };
        let offset = main.entryoff.get(LE);
        let is_code = macho.segments.iter().any(|segment| {
            (segment.offset..segment.file_end()).contains(&offset) && segment.initial & EXECUTE != 0
        });
        let commands = HEADER_SIZE + u64::from(macho.header.sizeofcmds.get(LE));
        if is_code && offset < commands {
            let message = format!("file offset {offset:#x} is among the load commands");
            report.add(command.place(field!(Main, entryoff)), message);
        }
        if !is_code {
            let message = format!("no executable segment has file offset {offset:#x}");
            report.add(command.place(field!(Main, entryoff)), message);
        }
    }
}

/// Bytes that a stack may have: more than any program's arguments need, and less than there are addresses.
const STACK_SIZES: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 40;

fn stack_size(macho: &MachO<'_>, report: &mut Report<'_>) {
    type Main = macho::EntryPointCommand<LE>;
    for command in macho.all(macho::LC_MAIN) {
        let Some(main) = macho.read::<Main>(command) else { continue };
        let size = main.stacksize.get(LE);
        if size != 0 && !STACK_SIZES.contains(&size) {
            let message = format!("stacksize is {size:#x}");
            report.add(command.place(field!(Main, stacksize)), message);
        }
    }
}

/// Thread states that the kernel takes: flavor, words, and where the program counter is among 64-bit ones.
fn state(architecture: Architecture) -> (u32, u32, u64) {
    match architecture {
        Architecture::X86_64 => (4, 42, 16),
        Architecture::Aarch64 => (6, 68, 32),
    }
}

/// The program counter of a thread state that is whole.
fn program_counter(macho: &MachO<'_>, command: &Command) -> Option<u64> {
    let (flavor, count, index) = state(macho.architecture);
    let is_whole = macho.data.u32(command.offset + 8) == Some(flavor)
        && macho.data.u32(command.offset + 12) == Some(count)
        && command.size >= 16 + u64::from(count) * 4;
    is_whole.then(|| macho.data.u64(command.offset + 16 + index * 8))?
}

fn thread_state(macho: &MachO<'_>, report: &mut Report<'_>) {
    for command in macho.all(macho::LC_UNIXTHREAD) {
        if program_counter(macho, command).is_none() {
            let word = |at| macho.data.u32(command.offset + at).unwrap_or_default();
            let message = format!(
                "flavor {} with {} words in a command of {} bytes",
                word(8),
                word(12),
                command.size
            );
            report.add(command.whole(), message);
        }
    }
}

fn thread_entry(macho: &MachO<'_>, report: &mut Report<'_>) {
    for command in macho.all(macho::LC_UNIXTHREAD) {
        let Some(entry) = program_counter(macho, command) else { continue };
        let is_code = macho
            .segment_at(entry)
            .is_some_and(|segment| segment.initial & (READ | EXECUTE) == READ | EXECUTE);
        if !is_code {
            report.add(command.whole(), format!("no executable segment has {entry:#x}"));
        }
    }
}

fn thread_with_dyld(macho: &MachO<'_>, report: &mut Report<'_>) {
    if let Some(command) = macho.first(macho::LC_UNIXTHREAD).filter(|_| macho.is_dynamic()) {
        report.add(command.whole(), "the program begins with LC_UNIXTHREAD");
    }
}

fn dylinker_missing(macho: &MachO<'_>, report: &mut Report<'_>) {
    let needs = macho.is_dynamic() || macho.first(macho::LC_MAIN).is_some();
    if is_program(macho) && needs && macho.first(macho::LC_LOAD_DYLINKER).is_none() {
        let place = Place::new(HEADER_SIZE, 0, "load commands");
        report.add(place, "there is no LC_LOAD_DYLINKER");
    }
}

fn dylinker_path(macho: &MachO<'_>, report: &mut Report<'_>) {
    for command in macho.all(macho::LC_LOAD_DYLINKER) {
        if let Some(path) = macho.string(command).filter(|path| *path != b"/usr/lib/dyld") {
            report.add(command.whole(), format!("the dynamic linker is `{}`", text(path)));
        }
    }
}

fn dylinker_twice(macho: &MachO<'_>, report: &mut Report<'_>) {
    if let Some(second) = macho.all(macho::LC_LOAD_DYLINKER).nth(1) {
        report.add(second.whole(), "there is a second LC_LOAD_DYLINKER");
    }
}
