//! The header and the load commands: their sizes, their texts, and which may be there.

use object::LittleEndian as LE;
use object::macho;

use super::{HEADER_SIZE, Header, LEAST_COMMAND, MachO, SegmentCommand};
use crate::target::Architecture;
use crate::view::lint::bytes::field;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Dyld, Xnu};
use crate::view::lint::rule::{Check, Kind, Rule, error, warning};

/// What is looked at in every file; the other rules only where these hold.
pub(super) const EARLY: &[Rule] = &[
    Rule {
        name: "macho/truncated",
        demand: "the file holds its header and all load commands",
        by: &[error(Xnu), error(Dyld)],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88); dyld: `load commands exceed length of file`",
        cure: "write or copy the file again: it ends too early; or correct sizeofcmds",
        source: "xnu bsd/kern/mach_loader.c, parse_machfile",
        check: Check::MachO(truncated),
    },
    Rule {
        name: "macho/command-size",
        demand: "each load command has 8 bytes or more and ends inside sizeofcmds",
        by: &[error(Xnu), error(Dyld)],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`",
        cure: "correct cmdsize, ncmds or sizeofcmds",
        source: "xnu bsd/kern/mach_loader.c, parse_machfile; dyld mach_o/UnsafeHeader.cpp, validStructureLoadCommands",
        check: Check::MachO(command_size),
    },
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/file-type",
        demand: "the file is a program, a library, a bundle or a dynamic linker",
        by: &[error(Xnu), error(Dyld)],
        symptom: "`cannot execute binary file`; dyld: `not a dylib`",
        cure: "link object files into a program (MH_EXECUTE)",
        source: "xnu bsd/kern/kern_exec.c, exec_mach_imgact; EXTERNAL_HEADERS/mach-o/loader.h",
        check: Check::MachO(file_type),
    },
    Rule {
        name: "macho/cpu-subtype",
        demand: "cpusubtype is one that processors run: 3 or 8 (Haswell) on x86-64, 0, 1 or 2 (arm64e) on arm64",
        by: &[error(Xnu), error(Dyld)],
        symptom: "`Bad CPU type in executable` (EBADARCH, 86), for a processor that is the right one",
        cure: "take CPU_SUBTYPE_X86_64_ALL (3) or CPU_SUBTYPE_ARM64_ALL (0)",
        source: "xnu bsd/dev/i386/kern_machdep.c and bsd/dev/arm/kern_machdep.c, grade_binary; dyld mach_o/GradedArchitectures.cpp",
        check: Check::MachO(cpu_subtype),
    },
    Rule {
        name: "macho/command-exact-size",
        demand: "known load commands have exactly the size of their structure",
        by: &[error(Dyld)],
        symptom: "dyld: `load command size wrong`, and abort (SIGABRT)",
        cure: "set cmdsize to the size of the structure",
        source: "dyld mach_o/UnsafeHeader.cpp, validStructureLoadCommands",
        check: Check::MachO(exact_size),
    },
    Rule {
        name: "macho/segment-32",
        demand: "there is no LC_SEGMENT, which is for 32 bits",
        by: &[error(Xnu)],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`",
        cure: "use LC_SEGMENT_64",
        source: "xnu bsd/kern/mach_loader.c, parse_machfile",
        check: Check::MachO(segment_32),
    },
    Rule {
        name: "macho/string",
        demand: "texts of load commands end with a NUL inside their command",
        by: &[error(Dyld), error(Xnu)],
        symptom: "dyld: `string extends beyond end of load command`; a dynamic linker's path: `Malformed Mach-o file`",
        cure: "let cmdsize count the text, its NUL, and padding to 8 bytes",
        source: "dyld mach_o/UnsafeHeader.cpp, validStructureLoadCommands; xnu bsd/kern/mach_loader.c, load_dylinker",
        check: Check::MachO(strings),
    },
    Rule {
        name: "macho/required-command",
        demand: "load commands with the bit LC_REQ_DYLD are ones that dyld knows",
        by: &[error(Dyld)],
        symptom: "dyld: `unknown required load command`, and abort (SIGABRT)",
        cure: "clear the bit 0x80000000, or do not write the command for systems that do not know it",
        source: "dyld mach_o/UnsafeHeader.cpp, validStructureLoadCommands",
        check: Check::MachO(required),
    },
    Rule {
        name: "macho/uuid-twice",
        demand: "there is at most one LC_UUID",
        by: &[error(Dyld)],
        symptom: "dyld: `too many LC_UUID`, and abort (SIGABRT)",
        cure: "keep one",
        source: "dyld mach_o/UnsafeHeader.cpp, validSemanticsUUID",
        check: Check::MachO(uuid_twice),
    },
    Rule {
        name: "macho/version-twice",
        demand: "at most one load command says the platform's version",
        by: &[error(Xnu).programs()],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`",
        cure: "keep LC_BUILD_VERSION and drop LC_VERSION_MIN_MACOSX",
        source: "xnu bsd/kern/mach_loader.c, load_version",
        check: Check::MachO(version_twice),
    },
    Rule {
        name: "macho/platform",
        demand: "LC_BUILD_VERSION says a platform that exists",
        by: &[error(Dyld)],
        symptom: "dyld: `unknown platform`, and abort (SIGABRT)",
        cure: "take 1 for macOS",
        source: "dyld mach_o/UnsafeHeader.cpp, validSemanticsPlatform",
        check: Check::MachO(platform),
    },
    Rule {
        name: "macho/version-missing",
        demand: "LC_BUILD_VERSION or LC_VERSION_MIN_MACOSX is there",
        by: &[warning(Dyld)],
        symptom: "dyld takes the program for one of macOS 10.5, on arm64 of 11.0, and behaves as it did then",
        cure: "write LC_BUILD_VERSION",
        source: "dyld mach_o/UnsafeHeader.cpp, platformAndVersions; mach_o/Policy.cpp",
        check: Check::MachO(version_missing),
    },
    Rule {
        name: "macho/sdk-zero",
        demand: "LC_BUILD_VERSION says which SDK it was linked against",
        by: &[warning(Dyld)],
        symptom: "0 is taken for an SDK of the far future: every check of dyld is on, those that do not exist yet too",
        cure: "write the version whose checks the file passes",
        source: "dyld mach_o/Platform.cpp, PlatformInfo_macOS::yearForVersion",
        check: Check::MachO(sdk_zero),
    },
    Rule {
        name: "macho/library-name",
        demand: "a library has one LC_ID_DYLIB, a program none",
        by: &[error(Dyld)],
        symptom: "dyld: `found LC_ID_DYLIB found in non-MH_DYLIB` or `MH_DYLIB is missing LC_ID_DYLIB`, and abort (SIGABRT)",
        cure: "add LC_ID_DYLIB to libraries, remove it from programs",
        source: "dyld mach_o/UnsafeHeader.cpp, validSemanticsInstallName",
        check: Check::MachO(library_name),
    },
];

/// A load command that dyld knows.
pub(super) struct Known {
    pub(super) kind: macho::LoadCommandType,
    pub(super) name: &'static str,
    size: Size,
}

/// What is known of a command's size.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Exact(u64),
    /// A structure, and so many bytes for each of the number that stands at this offset of it.
    Counted(u64, u64, u64),
    /// A text, whose offset stands at 8.
    Text,
    Any,
}

const fn known(kind: macho::LoadCommandType, name: &'static str, size: Size) -> Known {
    Known { kind, name, size }
}

pub(super) const KNOWN: &[Known] = &[
    known(macho::LC_SEGMENT_64, "LC_SEGMENT_64", Size::Counted(72, 64, 80)),
    known(macho::LC_BUILD_VERSION, "LC_BUILD_VERSION", Size::Counted(24, 20, 8)),
    known(macho::LC_SYMTAB, "LC_SYMTAB", Size::Exact(24)),
    known(macho::LC_DYSYMTAB, "LC_DYSYMTAB", Size::Exact(80)),
    known(macho::LC_UUID, "LC_UUID", Size::Exact(24)),
    known(macho::LC_MAIN, "LC_MAIN", Size::Exact(24)),
    known(macho::LC_VERSION_MIN_MACOSX, "LC_VERSION_MIN_MACOSX", Size::Exact(16)),
    known(macho::LC_SOURCE_VERSION, "LC_SOURCE_VERSION", Size::Exact(16)),
    known(macho::LC_DYLD_INFO, "LC_DYLD_INFO", Size::Exact(48)),
    known(macho::LC_DYLD_INFO_ONLY, "LC_DYLD_INFO_ONLY", Size::Exact(48)),
    known(macho::LC_DYLD_CHAINED_FIXUPS, "LC_DYLD_CHAINED_FIXUPS", Size::Exact(16)),
    known(macho::LC_DYLD_EXPORTS_TRIE, "LC_DYLD_EXPORTS_TRIE", Size::Exact(16)),
    known(macho::LC_FUNCTION_STARTS, "LC_FUNCTION_STARTS", Size::Exact(16)),
    known(macho::LC_DATA_IN_CODE, "LC_DATA_IN_CODE", Size::Exact(16)),
    known(macho::LC_CODE_SIGNATURE, "LC_CODE_SIGNATURE", Size::Exact(16)),
    known(macho::LC_SEGMENT_SPLIT_INFO, "LC_SEGMENT_SPLIT_INFO", Size::Exact(16)),
    known(macho::LC_LOAD_DYLIB, "LC_LOAD_DYLIB", Size::Text),
    known(macho::LC_LOAD_WEAK_DYLIB, "LC_LOAD_WEAK_DYLIB", Size::Text),
    known(macho::LC_REEXPORT_DYLIB, "LC_REEXPORT_DYLIB", Size::Text),
    known(macho::LC_LOAD_UPWARD_DYLIB, "LC_LOAD_UPWARD_DYLIB", Size::Text),
    known(macho::LC_ID_DYLIB, "LC_ID_DYLIB", Size::Text),
    known(macho::LC_LOAD_DYLINKER, "LC_LOAD_DYLINKER", Size::Text),
    known(macho::LC_ID_DYLINKER, "LC_ID_DYLINKER", Size::Text),
    known(macho::LC_RPATH, "LC_RPATH", Size::Text),
    known(macho::LC_UNIXTHREAD, "LC_UNIXTHREAD", Size::Any),
    known(macho::LC_SEGMENT, "LC_SEGMENT", Size::Any),
    known(macho::LC_FILESET_ENTRY, "LC_FILESET_ENTRY", Size::Any),
];

fn truncated(macho: &MachO<'_>, report: &mut Report<'_>) {
    let length = macho.data.len();
    if length < HEADER_SIZE {
        let message = format!("the file has {length} bytes, its header {HEADER_SIZE}");
        report.add(Place::new(0, length, "Mach-O header"), message);
        return;
    }
    let end = HEADER_SIZE + u64::from(macho.header.sizeofcmds.get(LE));
    if end > length {
        let message = format!("the load commands end at {end:#x}, the file at {length:#x}");
        report.add(MachO::field(field!(Header, sizeofcmds)), message);
    }
}

fn command_size(macho: &MachO<'_>, report: &mut Report<'_>) {
    let end = HEADER_SIZE + u64::from(macho.header.sizeofcmds.get(LE));
    // A file that ends too early is a rule of its own.
    if end > macho.data.len() || macho.are_commands_whole {
        return;
    }
    let at = macho.commands_end;
    let size = macho.data.u32(at + 4).unwrap_or_default();
    let message = format!(
        "load command {} of {} at {at:#x} has {size} bytes, the commands end at {end:#x}",
        macho.commands.len() + 1,
        macho.header.ncmds.get(LE)
    );
    report.add(Place::new(at, LEAST_COMMAND, "load command, cmdsize"), message);
}

fn file_type(macho: &MachO<'_>, report: &mut Report<'_>) {
    let known = [macho::MH_EXECUTE, macho::MH_DYLIB, macho::MH_BUNDLE, macho::MH_DYLINKER];
    let kind = macho.header.filetype.get(LE);
    if !known.contains(&kind) {
        let message = format!("filetype is {}", kind.0);
        report.add(MachO::field(field!(Header, filetype)), message);
    }
}

fn cpu_subtype(macho: &MachO<'_>, report: &mut Report<'_>) {
    let known: &[u32] = match macho.architecture {
        Architecture::X86_64 => &[3, 8],
        Architecture::Aarch64 => &[0, 1, 2],
    };
    // The highest byte has capabilities.
    let subtype = macho.header.cpusubtype.get(LE).0 & !macho::CPU_SUBTYPE_MASK;
    if !known.contains(&subtype) {
        let message = format!("cpusubtype is {subtype}");
        report.add(MachO::field(field!(Header, cpusubtype)), message);
    }
}

fn exact_size(macho: &MachO<'_>, report: &mut Report<'_>) {
    for command in &macho.commands {
        let known = KNOWN.iter().find(|known| known.kind == command.kind);
        let wanted = match known.map(|known| known.size) {
            Some(Size::Exact(size)) => size,
            Some(Size::Counted(size, count_at, each)) => {
                let count = macho.data.u32(command.offset + count_at).unwrap_or_default();
                size + each * u64::from(count)
            }
            _ => continue,
        };
        if command.size != wanted {
            let message = format!("{} has {} bytes, not {wanted}", command.name(), command.size);
            let place = command.place(field!(macho::LoadCommand<LE>, cmdsize));
            report.add(place, message);
        }
    }
}

fn segment_32(macho: &MachO<'_>, report: &mut Report<'_>) {
    for command in macho.all(macho::LC_SEGMENT) {
        report.add(command.whole(), "there is an LC_SEGMENT in a 64-bit file");
    }
}

fn strings(macho: &MachO<'_>, report: &mut Report<'_>) {
    for command in &macho.commands {
        let has_text =
            KNOWN.iter().any(|known| known.kind == command.kind && known.size == Size::Text);
        if has_text && macho.string(command).is_none() {
            let message = format!("the text of {} does not end inside it", command.name());
            report.add(command.whole(), message);
        }
    }
}

fn required(macho: &MachO<'_>, report: &mut Report<'_>) {
    for command in &macho.commands {
        let is_known = KNOWN.iter().any(|known| known.kind == command.kind);
        if command.kind.0 & macho::LC_REQ_DYLD != 0 && !is_known {
            let message = format!("load command {:#x} is not known", command.kind.0);
            report.add(command.place(field!(macho::LoadCommand<LE>, cmd)), message);
        }
    }
}

fn uuid_twice(macho: &MachO<'_>, report: &mut Report<'_>) {
    if let Some(second) = macho.all(macho::LC_UUID).nth(1) {
        report.add(second.whole(), "there is a second LC_UUID");
    }
}

fn version_twice(macho: &MachO<'_>, report: &mut Report<'_>) {
    const KINDS: [macho::LoadCommandType; 5] = [
        macho::LC_BUILD_VERSION,
        macho::LC_VERSION_MIN_MACOSX,
        macho::LC_VERSION_MIN_IPHONEOS,
        macho::LC_VERSION_MIN_TVOS,
        macho::LC_VERSION_MIN_WATCHOS,
    ];
    let mut versions = macho.commands.iter().filter(|command| KINDS.contains(&command.kind));
    if let Some(second) = versions.nth(1) {
        report.add(second.whole(), "there is a second command with a version");
    }
}

fn platform(macho: &MachO<'_>, report: &mut Report<'_>) {
    // From macOS, 1, to the simulator of visionOS, 12, and what was added since.
    if let Some((command, platform, _)) = macho.version()
        && !(1..=24).contains(&platform.0)
    {
        let place = command.place(field!(macho::BuildVersionCommand<LE>, platform));
        report.add(place, format!("the platform is {}", platform.0));
    }
}

fn version_missing(macho: &MachO<'_>, report: &mut Report<'_>) {
    let any = |command: &super::Command| {
        [macho::LC_VERSION_MIN_IPHONEOS, macho::LC_VERSION_MIN_TVOS, macho::LC_VERSION_MIN_WATCHOS]
            .contains(&command.kind)
    };
    if macho.version().is_none() && !macho.commands.iter().any(any) {
        let place = Place::new(HEADER_SIZE, 0, "load commands");
        report.add(place, "there is neither LC_BUILD_VERSION nor LC_VERSION_MIN_MACOSX");
    }
}

fn sdk_zero(macho: &MachO<'_>, report: &mut Report<'_>) {
    if let Some((command, _, 0)) = macho.version() {
        report.add(command.whole(), "sdk is 0");
    }
}

fn library_name(macho: &MachO<'_>, report: &mut Report<'_>) {
    let mut names = macho.all(macho::LC_ID_DYLIB);
    let is_dylib = macho.header.filetype.get(LE) == macho::MH_DYLIB;
    match (is_dylib, names.next(), names.next()) {
        (true, None, _) => {
            report.add(Place::new(HEADER_SIZE, 0, "load commands"), "there is no LC_ID_DYLIB");
        }
        (true, _, Some(second)) => report.add(second.whole(), "there is a second LC_ID_DYLIB"),
        (false, Some(name), _) if macho.kind == Kind::Program => {
            report.add(name.whole(), "there is an LC_ID_DYLIB in a program");
        }
        _ => {}
    }
}

const _: () = assert!(size_of::<SegmentCommand>() == 72, "as the table of known commands has it");
