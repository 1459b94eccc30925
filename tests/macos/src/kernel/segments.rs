//! Segments as `load_segment` and `map_segment` judge and map them: by whole pages, without clearing the tail of the
//! last file page, with zero pages behind.

use crate::arch::Arch;
use crate::engine::Protection;
use crate::fat::Slice;
use crate::macho::{LoadCommand, SG_READ_ONLY, Segment, command};
use crate::rule::{Refusal, Rule};
use crate::space::{MapError, Space};

/// Reads and checks the segments.
pub(super) fn accept(
    arch: Arch,
    slice: &Slice<'_>,
    commands: &[LoadCommand<'_>],
) -> Result<Vec<Segment>, Refusal> {
    let mut segments = Vec::new();
    for load in commands {
        Rule::Segment32.require(load.command != command::SEGMENT, || "there is one".into())?;
        if load.command == command::SEGMENT_64 {
            let segment = Segment::parse(load).ok_or_else(|| {
                Rule::SegmentCommandSize.refuse(format!(
                    "cmdsize {} for {} sections",
                    load.size(),
                    load.field(64)
                ))
            })?;
            accept_segment(arch, slice, &segment)?;
            segments.push(segment);
        }
    }
    accept_page_zero(arch, &segments)?;
    let headers: Vec<_> = segments
        .iter()
        .filter(|segment| segment.file_offset == 0 && segment.file_size > 0)
        .collect();
    Rule::HeaderSegment.require(headers.len() == 1, || {
        format!("{} segments begin at file offset 0", headers.len())
    })?;
    let protection = Protection(headers[0].initial_protection);
    Rule::HeaderSegment.require(protection.contains(Protection::READ_EXECUTE), || {
        format!("{} is {protection}", headers[0].name)
    })?;
    let read_only = segments.iter().filter(|segment| segment.flags & SG_READ_ONLY != 0).count();
    Rule::OneReadOnlySegment.require(read_only <= 1, || format!("{read_only} have"))?;
    Ok(segments)
}

/// Checks one segment of a program, or of a library that dyld maps by the same means.
pub(crate) fn accept_segment(
    arch: Arch,
    slice: &Slice<'_>,
    segment: &Segment,
) -> Result<(), Refusal> {
    let name = &segment.name;
    let page = arch.page_size();
    Rule::FatAlignment.require(slice.offset.is_multiple_of(page), || {
        format!("it begins at {:#x}", slice.offset)
    })?;
    Rule::SegmentFileOffset.require(segment.file_offset.is_multiple_of(page), || {
        format!("{name} has {:#x}", segment.file_offset)
    })?;
    let end = segment.file_offset.checked_add(segment.file_size);
    Rule::SegmentFileRange
        .require(end.is_some_and(|end| end <= slice.bytes.len() as u64), || {
            format!("{name} has {:#x}+{:#x}", segment.file_offset, segment.file_size)
        })?;
    let (initial, maximum) =
        (Protection(segment.initial_protection), Protection(segment.maximum_protection));
    let both = Protection(Protection::WRITE.0 | Protection::EXECUTE.0);
    Rule::WritableExecutable.require(arch.info().lenient || !initial.contains(both), || {
        format!("{name} is {initial}")
    })?;
    Rule::MaximumProtection
        .require(maximum.contains(initial), || format!("{name} has {initial} and {maximum}"))
}

fn accept_page_zero(arch: Arch, segments: &[Segment]) -> Result<(), Refusal> {
    let end = segments
        .iter()
        .filter(|segment| segment.is_page_zero())
        .map(|segment| arch.page_up(segment.vm_size))
        .max()
        .unwrap_or(0);
    Rule::PageZero.require(end >= arch.info().least_page_zero, || format!("it ends at {end:#x}"))
}

/// Maps segments, `slide` above their addresses; `owner` is put before their names (`"libfoo.dylib "`).
pub(crate) fn map(
    space: &mut Space,
    slice: &Slice<'_>,
    segments: &[Segment],
    slide: u64,
    owner: &str,
) -> Result<(), Refusal> {
    for segment in segments.iter().filter(|segment| segment.vm_size > 0 && !segment.is_page_zero())
    {
        map_segment(space, slice, segment, slide, owner)?;
    }
    Ok(())
}

fn map_segment(
    space: &mut Space,
    slice: &Slice<'_>,
    segment: &Segment,
    slide: u64,
    owner: &str,
) -> Result<(), Refusal> {
    let arch = space.arch();
    let label = format!("{owner}{}", segment.name);
    let address = segment.vm_address.wrapping_add(slide);
    let (start, end) =
        (arch.page_down(address), arch.page_up(address.wrapping_add(segment.vm_size)));
    let (initial, maximum) =
        (Protection(segment.initial_protection), Protection(segment.maximum_protection));
    space.map(start, end.wrapping_sub(start), initial, maximum, &label).map_err(
        |error| match error {
            MapError::Overlap(region) => Rule::SegmentOverlap.refuse(format!(
                "{label} at {start:#x}-{end:#x} meets {} at {:#x}-{:#x}",
                region.label, region.start, region.end
            )),
            other => {
                Rule::SegmentOverlap.refuse(format!("{label} at {start:#x}-{end:#x}: {other}"))
            }
        },
    )?;
    // Whole pages of the file: what follows filesize in the last page becomes visible; behind the file's end there are zeros.
    let size = arch
        .page_up(segment.file_size)
        .min(end - start)
        .min(slice.bytes.len() as u64 - segment.file_offset);
    let bytes = crate::bytes::slice(slice.bytes, segment.file_offset, size)
        .expect("accepted segments lie inside the file");
    space.fill(start, bytes).expect("just mapped");
    Ok(())
}
