//! The header and the commands that are not segments, as `exec_mach_imgact`, `grade_binary` and `parse_machfile` judge them.

use super::Entry;
use crate::arch::Arch;
use crate::bytes::slice;
use crate::engine::Protection;
use crate::macho::{
    HEADER_SIZE, Header, LoadCommand, MAGIC, MAGIC_SWAPPED, Segment, command, file_type, flag,
};
use crate::rule::{Refusal, Rule};

/// The only dynamic linker.
const DYLINKER: &str = "/usr/lib/dyld";

/// Checks the header.
pub(super) fn accept(bytes: &[u8]) -> Result<(Arch, Header), Refusal> {
    let header = Header::parse(bytes)
        .ok_or_else(|| Rule::NotAnImage.refuse("the file is shorter than a header"))?;
    Rule::ByteOrder.require(header.magic != MAGIC_SWAPPED, || "the magic is big-endian".into())?;
    Rule::NotAnImage
        .require(header.magic == MAGIC, || format!("the magic is {:#x}", header.magic))?;
    let subtype = header.cpu_subtype & 0x00ff_ffff;
    let arch = Arch::from_cpu_type(header.cpu_type)
        .filter(|arch| arch.info().cpu_subtypes.contains(&subtype))
        .ok_or_else(|| {
            Rule::CpuType.refuse(format!("cputype {:#x}, subtype {subtype}", header.cpu_type))
        })?;
    Rule::FileType.require(header.file_type == file_type::EXECUTE, || {
        format!("the filetype is {}", header.file_type)
    })?;
    let end = HEADER_SIZE + u64::from(header.commands_size);
    Rule::CommandsSize.require(end <= bytes.len() as u64, || {
        format!("they end at {end:#x} of {:#x}", bytes.len())
    })?;
    Ok((arch, header))
}

/// Checks the commands and finds the entry.
pub(super) fn accept_commands(
    arch: Arch,
    header: &Header,
    bytes: &[u8],
    commands: &[LoadCommand<'_>],
    segments: &[Segment],
) -> Result<Entry, Refusal> {
    let dynamic = header.has(flag::DYLDLINK);
    let lenient = arch.info().lenient;
    Rule::NoStatic.require(dynamic || lenient, || format!("the flags are {:#x}", header.flags))?;
    Rule::PositionIndependent.require(header.has(flag::PIE) || lenient, || {
        format!("the flags are {:#x}", header.flags)
    })?;

    let mut entry = None;
    let mut dylinkers = 0;
    let mut versions = 0;
    for load in commands {
        match load.command {
            command::MAIN | command::UNIXTHREAD => {
                Rule::OneEntry.require(entry.is_none(), || "there is a second".into())?;
                entry = Some(if load.command == command::MAIN {
                    accept_main(load)?
                } else {
                    accept_thread(arch, load, segments)?
                });
            }
            command::LOAD_DYLINKER => {
                dylinkers += 1;
                Rule::OneDylinker.require(dylinkers == 1, || "there is a second".into())?;
                let path = load.string();
                Rule::DylinkerPath
                    .require(path == Some(DYLINKER), || format!("it says {path:?}"))?;
            }
            command::UUID => {
                Rule::UuidSize.require(load.size() == 24, || format!("it has {}", load.size()))?;
            }
            command::BUILD_VERSION | command::VERSION_MIN_MACOSX => {
                versions += 1;
                let least = if load.command == command::BUILD_VERSION { 24 } else { 16 };
                Rule::OneVersion.require(versions == 1, || "there is a second".into())?;
                Rule::OneVersion
                    .require(load.size() >= least, || format!("its size is {}", load.size()))?;
            }
            command::CODE_SIGNATURE => {
                let (offset, size) = load.file_range(8);
                Rule::SignatureCommand
                    .require(load.size() == 16, || format!("its size is {}", load.size()))?;
                Rule::SignatureCommand.require(slice(bytes, offset, size).is_some(), || {
                    format!("it says {size:#x} bytes at {offset:#x}")
                })?;
            }
            _ => {}
        }
    }
    let entry = entry.ok_or_else(|| Rule::NoEntry.refuse("there is neither"))?;
    let needs_dyld = dynamic || matches!(entry, Entry::Main { .. });
    Rule::DylinkerMissing.require(dylinkers == 1 || !needs_dyld, || "there is none".into())?;
    Ok(entry)
}

fn accept_main(load: &LoadCommand<'_>) -> Result<Entry, Refusal> {
    Rule::MainSize.require(load.size() == 24, || format!("it has {}", load.size()))?;
    Ok(Entry::Main { offset: load.field_64(8), stack_size: load.field_64(16) })
}

fn accept_thread(
    arch: Arch,
    load: &LoadCommand<'_>,
    segments: &[Segment],
) -> Result<Entry, Refusal> {
    let state = &arch.info().thread_state;
    let (flavor, count) = (load.field(8), load.field(12));
    Rule::ThreadState.require(flavor == state.flavor && count == state.count, || {
        format!("flavor {flavor}, count {count}")
    })?;
    let size = 16 + u64::from(count) * 4;
    Rule::ThreadState
        .require(load.size() == size, || format!("the command's size is {}", load.size()))?;
    let words: Vec<u64> =
        (0..u64::from(count) / 2).map(|word| load.field_64(16 + word * 8)).collect();
    let entry = words[state.program_counter];
    let executable = segments.iter().any(|segment| {
        (segment.vm_address..segment.vm_end()).contains(&entry)
            && Protection(segment.initial_protection).contains(Protection::READ_EXECUTE)
    });
    Rule::EntryPoint.require(executable, || format!("it is {entry:#x}"))?;
    Ok(Entry::Thread(words))
}
