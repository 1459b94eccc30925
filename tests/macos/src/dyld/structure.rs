//! What dyld demands of every image, whatever its SDK: `validStructureLoadCommands`, `validSegment`, `validSemantics…`
//! of dyld's `mach_o/UnsafeHeader.cpp`.

use super::image::Image;
use crate::bytes::slice;
use crate::engine::Protection;
use crate::macho::{HEADER_SIZE, LoadCommand, SECTION_SIZE, SEGMENT_SIZE, Segment, command, flag};
use crate::rule::{Refusal, Rule};

/// Platform `macOS` of `LC_BUILD_VERSION`.
const PLATFORM_MACOS: u32 = 1;

/// The exact size of a command in bytes, where dyld wants one.
fn exact_size(load: &LoadCommand<'_>) -> Option<u64> {
    Some(match load.command {
        command::SYMTAB | command::UUID | command::MAIN => 24,
        command::DYSYMTAB => 80,
        command::DYLD_INFO | command::DYLD_INFO_ONLY => 48,
        command::CODE_SIGNATURE
        | command::SEGMENT_SPLIT_INFO
        | command::FUNCTION_STARTS
        | command::DATA_IN_CODE
        | command::DYLD_EXPORTS_TRIE
        | command::DYLD_CHAINED_FIXUPS
        | command::SOURCE_VERSION
        | command::VERSION_MIN_MACOSX => 16,
        command::BUILD_VERSION => 24 + 8 * u64::from(load.field(20)),
        command::SEGMENT_64 => SEGMENT_SIZE + SECTION_SIZE * u64::from(load.field(64)),
        _ => return None,
    })
}

/// Commands that hold a string.
const WITH_STRING: [u32; 7] = [
    command::LOAD_DYLIB,
    command::LOAD_WEAK_DYLIB,
    command::REEXPORT_DYLIB,
    command::LOAD_UPWARD_DYLIB,
    command::ID_DYLIB,
    command::LOAD_DYLINKER,
    command::RPATH,
];

/// Checks an image.
///
/// # Errors
/// The first rule broken.
pub fn check(image: &Image) -> Result<(), Refusal> {
    let commands = image.commands();
    check_commands(&commands)?;
    check_identity(image, &commands)?;
    for segment in &image.segments {
        check_segment(image, segment)?;
    }
    check_segments(image)?;
    if image.is_main { check_main(image, &commands) } else { Ok(()) }
}

fn check_commands(commands: &[LoadCommand<'_>]) -> Result<(), Refusal> {
    for load in commands {
        if let Some(exact) = exact_size(load) {
            Rule::DyldCommandSize.require(load.size() == exact, || {
                format!("command {:#x} has {} of {exact}", load.command, load.size())
            })?;
        } else if WITH_STRING.contains(&load.command) {
            Rule::DyldString.require(load.string().is_some(), || {
                format!("command {:#x} has its string at {:#x}", load.command, load.field(8))
            })?;
        } else {
            Rule::UnknownCommand.require(load.command & command::REQUIRED_BY_DYLD == 0, || {
                format!("there is command {:#x}", load.command)
            })?;
        }
    }
    Ok(())
}

fn check_identity(image: &Image, commands: &[LoadCommand<'_>]) -> Result<(), Refusal> {
    let count = |kind| commands.iter().filter(|load| load.command == kind).count();
    Rule::OneUuid
        .require(count(command::UUID) <= 1, || format!("there are {}", count(command::UUID)))?;
    let wanted = usize::from(!image.is_main);
    Rule::IdDylib.require(count(command::ID_DYLIB) == wanted, || {
        format!("there are {}", count(command::ID_DYLIB))
    })?;
    for load in commands.iter().filter(|load| load.command == command::BUILD_VERSION) {
        Rule::Platform
            .require(load.field(8) == PLATFORM_MACOS, || format!("it is {}", load.field(8)))?;
    }
    Ok(())
}

fn check_segment(image: &Image, segment: &Segment) -> Result<(), Refusal> {
    let name = &segment.name;
    Rule::DyldSegmentFileRange
        .require(slice(&image.bytes, segment.file_offset, segment.file_size).is_some(), || {
            format!("{name} has {:#x}+{:#x}", segment.file_offset, segment.file_size)
        })?;
    let unmapped = segment.vm_size == 0 && segment.initial_protection == 0;
    Rule::SegmentSize.require(segment.file_size <= segment.vm_size || unmapped, || {
        format!("{name} has {:#x} and {:#x}", segment.file_size, segment.vm_size)
    })?;
    Rule::SegmentProtection.require(segment.initial_protection <= 7, || {
        format!("{name} has {:#x}", segment.initial_protection)
    })?;
    Rule::SegmentWrap.require(segment.vm_address.checked_add(segment.vm_size).is_some(), || {
        format!("{name} has {:#x}+{:#x}", segment.vm_address, segment.vm_size)
    })?;
    for section in &segment.sections {
        Rule::SectionStart.require(section.address >= segment.vm_address, || {
            format!("{},{} is at {:#x}", name, section.name, section.address)
        })?;
    }
    Ok(())
}

fn check_segments(image: &Image) -> Result<(), Refusal> {
    for (index, first) in image.segments.iter().enumerate() {
        for second in &image.segments[index + 1..] {
            let apart = |(first, first_size): (u64, u64), (second, second_size): (u64, u64)| {
                first_size == 0
                    || second_size == 0
                    || first + first_size <= second
                    || second + second_size <= first
            };
            let in_memory =
                apart((first.vm_address, first.vm_size), (second.vm_address, second.vm_size));
            let in_file =
                apart((first.file_offset, first.file_size), (second.file_offset, second.file_size));
            Rule::DyldSegmentOverlap.require(in_memory && in_file, || {
                format!("{} and {} do", first.name, second.name)
            })?;
        }
    }
    if image.header.has(flag::DYLDLINK) {
        let end = HEADER_SIZE + u64::from(image.header.commands_size);
        let text = image
            .segment("__TEXT")
            .is_some_and(|text| text.file_offset == 0 && text.file_size >= end);
        Rule::TextSegment.require(text, || format!("the commands end at {end:#x}"))?;
    }
    Ok(())
}

fn check_main(image: &Image, commands: &[LoadCommand<'_>]) -> Result<(), Refusal> {
    // That there is one LC_MAIN or LC_UNIXTHREAD, the kernel has checked already (xnu/one-entry, xnu/no-entry).
    if let Some(entry) = commands.iter().find(|load| load.command == command::MAIN) {
        let offset = entry.field_64(8);
        let inside = image.segments.iter().any(|segment| {
            let executable = Protection(segment.initial_protection).contains(Protection::EXECUTE);
            executable
                && (segment.file_offset..segment.file_offset + segment.file_size).contains(&offset)
        });
        Rule::MainOffset.require(inside, || format!("it is {offset:#x}"))?;
    }
    Ok(())
}
