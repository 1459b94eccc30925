//! What brings a program and its dynamic linker together: `PT_INTERP`, `PT_PHDR`, `PT_DYNAMIC`.

use object::LittleEndian as LE;
use object::elf;

use super::Elf;
use crate::target::Architecture;
use crate::view::lint::bytes::{field, text};
use crate::view::lint::report::Report;
use crate::view::lint::rule::Loader::{Glibc, Linux, Musl};
use crate::view::lint::rule::{Check, Kind, Rule, error};

type Header = elf::ProgramHeader64<LE>;

/// The longest path that the kernel takes, its NUL included.
const PATH_MAX: u64 = 4096;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/interpreter-string",
        demand: "PT_INTERP is a path of 2 to 4096 bytes, its NUL the last",
        by: &[error(Linux)],
        symptom: "`Exec format error` (ENOEXEC)",
        cure: "let p_filesz count the path and one NUL",
        source: "Linux fs/binfmt_elf.c, load_elf_binary (elf_interpreter)",
        check: Check::Elf(string),
    },
    Rule {
        name: "elf/interpreter-relative",
        demand: "the dynamic linker's path begins with a slash",
        by: &[error(Linux).programs()],
        symptom: "`No such file or directory` (ENOENT) in every folder but one, though the program is there",
        cure: "write the whole path: /lib64/ld-linux-x86-64.so.2, /lib/ld-linux-aarch64.so.1",
        source: "Linux fs/binfmt_elf.c, load_elf_binary (open_exec)",
        check: Check::Elf(relative),
    },
    Rule {
        name: "elf/interpreter-machine",
        demand: "the dynamic linker is one for the program's machine",
        by: &[error(Linux).programs()],
        symptom: "`No such file or directory` (ENOENT), though the program is there, or `Accessing a corrupted shared library` (ELIBBAD)",
        cure: "take the dynamic linker of the architecture's ABI",
        source: "Linux fs/binfmt_elf.c, load_elf_binary (elf_check_arch of the interpreter)",
        check: Check::Elf(machine),
    },
    Rule {
        name: "elf/interpreter-missing",
        demand: "a program that needs libraries has a PT_INTERP",
        by: &[error(Linux).programs()],
        symptom: "SIGSEGV at the first call of an imported function, or at the first pointer: no dynamic linker was there to write them",
        cure: "add a PT_INTERP with the path of the dynamic linker, or link the program statically",
        source: "Linux fs/binfmt_elf.c, load_elf_binary (elf_interpreter)",
        check: Check::Elf(missing),
    },
    Rule {
        name: "elf/interpreter-address",
        demand: "PT_INTERP's address is where its bytes are mapped: the kernel reads the path by its offset, ld.so by its address",
        by: &[error(Glibc).programs(), error(Musl).programs()],
        symptom: "SIGSEGV inside ld.so, or a dynamic linker that does not know its own name, and is loaded twice where a library needs it",
        cure: "set p_vaddr to the address of .interp",
        source: "glibc elf/rtld.c, rtld_setup_main_map (_dl_rtld_libname); musl ldso/dynlink.c, __dls3",
        check: Check::Elf(address),
    },
    Rule {
        name: "elf/phdr-missing",
        demand: "a position-independent program with a dynamic linker has a PT_PHDR",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV inside ld.so: it takes the program for one that was not moved",
        cure: "add a PT_PHDR that covers the program headers, as the first of them",
        source: "glibc elf/rtld.c, rtld_setup_main_map (l_addr); musl ldso/dynlink.c, __dls3",
        check: Check::Elf(phdr_missing),
    },
    Rule {
        name: "elf/phdr-not-first",
        demand: "PT_PHDR is the first program header of a position-independent program with a dynamic linker",
        by: &[error(Glibc)],
        symptom: "SIGSEGV inside ld.so: headers before it are read as if the program had not been moved",
        cure: "put PT_PHDR before all others",
        source: "glibc elf/rtld.c, rtld_setup_main_map",
        check: Check::Elf(phdr_not_first),
    },
    Rule {
        name: "elf/phdr-address",
        demand: "PT_PHDR's address is where the program headers are mapped",
        by: &[error(Glibc), error(Musl).programs()],
        symptom: "SIGSEGV inside ld.so: the program's place is computed from it; a library's headers are read there",
        cure: "set p_vaddr to where the load segment that holds e_phoff has it",
        source: "glibc elf/rtld.c, rtld_setup_main_map; elf/dl-load.c, _dl_map_object_from_fd (l_phdr); musl ldso/dynlink.c, __dls3",
        check: Check::Elf(phdr_address),
    },
    Rule {
        name: "elf/dynamic-missing",
        demand: "a program with a dynamic linker has a PT_DYNAMIC",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV inside ld.so",
        cure: "add the dynamic table, or leave PT_INTERP out of a static program",
        source: "glibc elf/rtld.c, dl_main (elf_get_dynamic_info); musl ldso/dynlink.c, decode_dyn",
        check: Check::Elf(dynamic_missing),
    },
    Rule {
        name: "elf/dynamic-outside",
        demand: "a load segment has bytes of the file at the address that PT_DYNAMIC says, and a library's PT_DYNAMIC has some",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV inside ld.so, or `object file has no dynamic section`",
        cure: "set p_vaddr of PT_DYNAMIC to the address of .dynamic",
        source: "glibc elf/get-dynamic-info.h; musl ldso/dynlink.c, decode_dyn",
        check: Check::Elf(dynamic_outside),
    },
    Rule {
        name: "elf/dynamic-unterminated",
        demand: "the dynamic table ends with DT_NULL",
        by: &[error(Glibc), error(Musl)],
        symptom: "what lies behind the table is read as entries of it: a crash, or libraries that nobody asked for",
        cure: "end the table with an entry of zeros",
        source: "System V gABI chapter 5, Dynamic Section; glibc elf/get-dynamic-info.h",
        check: Check::Elf(dynamic_unterminated),
    },
];

fn string(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(segment) = elf.first(elf::PT_INTERP) else { return };
    let Some((_, path)) = elf.interpreter() else {
        let (start, size) = (segment.offset, segment.file_size);
        let message = format!("the path is {size:#x} bytes at {start:#x}, outside the file");
        return report.add(segment.place(field!(Header, p_offset)), message);
    };
    let place = segment.place(field!(Header, p_filesz));
    if !(2..=PATH_MAX).contains(&segment.file_size) {
        report.add(place, format!("the path takes {} bytes", segment.file_size));
    } else if path.last() != Some(&0) {
        report.add(place, format!("`{}` ends without a NUL", text(path)));
    }
}

/// The path without its NUL, where it is one.
fn path<'d>(elf: &Elf<'d>) -> Option<&'d [u8]> {
    let (segment, path) = elf.interpreter()?;
    let path = path.strip_suffix(&[0])?;
    (segment.file_size <= PATH_MAX && !path.is_empty() && elf.kind == Kind::Program).then_some(path)
}

fn relative(elf: &Elf<'_>, report: &mut Report<'_>) {
    if let Some(path) = path(elf)
        && !path.starts_with(b"/")
        && let Some((segment, _)) = elf.interpreter()
    {
        let message = format!("the dynamic linker is `{}`", text(path));
        report.add(segment.place(field!(Header, p_offset)), message);
    }
}

fn machine(elf: &Elf<'_>, report: &mut Report<'_>) {
    /// Names that say their machine.
    const LINKERS: &[(&str, Option<Architecture>)] = &[
        ("ld-linux-x86-64.so.2", Some(Architecture::X86_64)),
        ("ld-musl-x86_64.so.1", Some(Architecture::X86_64)),
        ("ld-linux-aarch64.so.1", Some(Architecture::Aarch64)),
        ("ld-musl-aarch64.so.1", Some(Architecture::Aarch64)),
        ("ld-linux.so.2", None),
        ("ld-linux-x32.so.2", None),
        ("ld-linux-armhf.so.3", None),
        ("ld-musl-i386.so.1", None),
        ("ld-musl-armhf.so.1", None),
    ];
    let Some(path) = path(elf) else { return };
    let known = LINKERS.iter().find(|(name, _)| path.ends_with(name.as_bytes()));
    if let Some((_, machine)) = known
        && *machine != Some(elf.architecture)
        && let Some((segment, _)) = elf.interpreter()
    {
        let message = format!("`{}` is no dynamic linker for {}", text(path), elf.architecture);
        report.add(segment.place(field!(Header, p_offset)), message);
    }
}

fn missing(elf: &Elf<'_>, report: &mut Report<'_>) {
    if elf.kind != Kind::Program || elf.first(elf::PT_INTERP).is_some() {
        return;
    }
    let needed = elf.linking().and_then(|dynamic| dynamic.all(elf::DT_NEEDED).next());
    if let Some(entry) = needed {
        let name = elf.dynamic_string(entry.value).unwrap_or_default();
        let message = format!("it needs `{}`, and there is no PT_INTERP", text(name));
        report.add(entry.place("DT_NEEDED"), message);
    }
}

fn address(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some((segment, _)) = elf.interpreter() else { return };
    if elf.file_offset(segment.address, segment.file_size) != Some(segment.offset) {
        let message = format!(
            "no load segment has the path at {:#x} (offset {:#x})",
            segment.address, segment.offset
        );
        report.add(segment.place(field!(Header, p_vaddr)), message);
    }
}

/// Whether a dynamic linker has to find out where the program was moved to.
fn is_moved(elf: &Elf<'_>) -> bool {
    elf.is_position_independent() && elf.first(elf::PT_INTERP).is_some()
}

fn phdr_missing(elf: &Elf<'_>, report: &mut Report<'_>) {
    if is_moved(elf) && elf.first(elf::PT_PHDR).is_none() {
        let first = &elf.segments()[0];
        report.add(first.place(field!(Header, p_type)), "there is no PT_PHDR");
    }
}

fn phdr_not_first(elf: &Elf<'_>, report: &mut Report<'_>) {
    if is_moved(elf)
        && let Some(phdr) = elf.first(elf::PT_PHDR).filter(|phdr| phdr.index > 0)
    {
        let message = format!("PT_PHDR is program header {}", phdr.index);
        report.add(phdr.place(field!(Header, p_type)), message);
    }
}

fn phdr_address(elf: &Elf<'_>, report: &mut Report<'_>) {
    let start = elf.header.e_phoff.get(LE);
    for phdr in elf.of_kind(elf::PT_PHDR) {
        // Where the headers are mapped, if they are.
        let load = elf.loads().find(|load| {
            load.offset <= start && start < load.offset.saturating_add(load.file_size)
        });
        let Some(load) = load else { continue };
        let address = load.address.wrapping_add(start - load.offset);
        if phdr.address != address {
            let message = format!(
                "PT_PHDR is at {:#x}, the headers are at {address:#x} (offset {start:#x})",
                phdr.address
            );
            report.add(phdr.place(field!(Header, p_vaddr)), message);
        }
    }
}

fn dynamic_missing(elf: &Elf<'_>, report: &mut Report<'_>) {
    if let Some(interpreter) = elf.first(elf::PT_INTERP)
        && elf.dynamic.is_none()
    {
        let message = "there is a PT_INTERP and no PT_DYNAMIC";
        report.add(interpreter.place(field!(Header, p_type)), message);
    }
}

fn dynamic_outside(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(table) = elf.first(elf::PT_DYNAMIC) else { return };
    if table.file_size == 0 && elf.kind == Kind::Library {
        let message = "the dynamic table has no bytes, by p_filesz";
        report.add(table.place(field!(Header, p_filesz)), message);
    } else if elf.bytes_at(table.address).is_none() {
        let message = format!("no load segment has the dynamic table at {:#x}", table.address);
        report.add(table.place(field!(Header, p_vaddr)), message);
    }
}

fn dynamic_unterminated(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(table) = elf.first(elf::PT_DYNAMIC) else { return };
    if let Some(dynamic) = elf.dynamic.as_ref().filter(|dynamic| !dynamic.is_terminated)
        && elf.bytes_at(table.address).is_some()
    {
        let message = format!("{} entries, and none is DT_NULL", dynamic.entries.len());
        report.add(table.place(field!(Header, p_filesz)), message);
    }
}
