//! Every byte gets its address and its place in the file.
//!
//! Takes output sections and the sizes of the format's tables; gives the layout. From here on every
//! number is final.

use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::layout::{
    Body, Gap, Gathered, GatheredSegment, LaidOutSection, Layout, OutputSection, Reason, Segment,
};
use crate::format::plan::{Placement, Role, Rules, SegmentRole, TableId};
use crate::format::{Format, Shape};
use crate::link::synthesize::Synthesized;
use crate::program::{Definition, Landmark, SectionId, SymbolId};
use crate::units::{Address, Align, FileOffset, Size};

/// Where the next segment may start.
#[derive(Clone, Copy)]
struct Cursor {
    address: Address,
    offset: FileOffset,
}

/// What the layout has no numbers for: the piece or table that crossed the limit.
struct Overflow {
    section: Option<SectionId>,
    name: String,
    end: u128,
}

/// Places everything but the late tables.
///
/// # Errors
/// An image that spans more memory than the target has for it; an alignment that loading does not keep.
pub(crate) fn lay_out_body<F: Format>(
    synthesized: &Synthesized<'_>,
    gathered: &Gathered<'_>,
    tables: &F::Tables,
) -> Result<Body> {
    let rules = F::rules(gathered.program);
    check_alignments(gathered, &rules)?;
    let start = Cursor { address: rules.image_base, offset: FileOffset(0) };
    let early = gathered.segments.iter().filter(|segment| segment.row.role != SegmentRole::Late);
    let (segments, end) = place(early, |table| F::shape(tables, table), gathered, &rules, start)?;

    let mut section_addresses = vec![Address(0); gathered.outputs.len()];
    for section in segments.iter().flat_map(|segment| &segment.sections) {
        for piece in &section.pieces {
            section_addresses[piece.section.index()] = Address(section.address.0 + piece.offset.0);
        }
    }

    let mut layout = Layout {
        target: gathered.program.target,
        image_base: rules.image_base,
        page_size: rules.page_size,
        entry: None,
        segments,
        file_size: Size(end.offset.0),
        symbols: Vec::new(),
        section_addresses,
        made_names: synthesized.made_names().collect(),
    };
    layout.symbols = (0..synthesized.symbol_count())
        .map(|index| {
            let definition = synthesized.definition(SymbolId::new(index));
            symbol_address::<F>(&layout, definition)
        })
        .collect();
    layout.entry = gathered.entry.map(|entry| layout.symbol(entry));
    Ok(Body { layout, end: end.address })
}

/// Places the late tables behind the body.
///
/// # Errors
/// An image that spans more memory than the target has for it.
pub(crate) fn lay_out_late<F: Format>(
    gathered: &Gathered<'_>,
    body: Body,
    tables: &F::LateTables,
) -> Result<Layout> {
    let rules = F::rules(gathered.program);
    let Body { mut layout, end } = body;
    let start = Cursor { address: end, offset: FileOffset(layout.file_size.0) };
    let late = gathered.segments.iter().filter(|segment| segment.row.role == SegmentRole::Late);
    let (segments, end) =
        place(late, |table| F::late_shape(tables, table), gathered, &rules, start)?;
    layout.segments.extend(segments);
    layout.file_size = Size(end.offset.0);
    Ok(layout)
}

fn check_alignments(gathered: &Gathered<'_>, rules: &Rules) -> Result<()> {
    let mut errors = Collector::default();
    let pieces = gathered.sections().flat_map(|section| &section.pieces);
    for piece in pieces.filter(|piece| piece.align > rules.greatest_align) {
        errors.push(
            Error::new(
                ErrorKind::Unsupported,
                format!(
                    "an alignment of {} does not survive loading on {}: the image may lie at any \
                     multiple of {}",
                    piece.align, gathered.program.target, rules.greatest_align
                ),
            )
            .at(Place::Section { section: piece.section, offset: 0 }, "")
            .value(piece.align.get().into(), 1..=rules.greatest_align.get().into()),
        );
    }
    errors.into_result(())
}

/// Places segments one behind the other; gives them, and where the next would start.
fn place<'g>(
    gathered_segments: impl Iterator<Item = &'g GatheredSegment>,
    shape: impl Fn(TableId) -> Option<Shape>,
    gathered: &Gathered<'_>,
    rules: &Rules,
    mut cursor: Cursor,
) -> Result<(Vec<Segment>, Cursor)> {
    let mut segments = Vec::new();
    for segment in gathered_segments {
        let laid_out = place_segment(segment, &shape, rules, &mut cursor)
            .map_err(|overflow| too_large(&overflow, gathered, rules))?;
        segments.extend(laid_out);
    }
    Ok((segments, cursor))
}

/// Places a segment at the cursor; `None` for one that has nothing in it.
fn place_segment(
    gathered: &GatheredSegment,
    shape: impl Fn(TableId) -> Option<Shape>,
    rules: &Rules,
    cursor: &mut Cursor,
) -> Result<Option<Segment>, Overflow> {
    let shaped: Vec<(&OutputSection, Shape)> = gathered
        .sections
        .iter()
        .filter_map(|section| {
            let shape = match section.role {
                Role::Table(table) => shape(table)?,
                _ => Shape { size: section.size, align: section.align },
            };
            Some((section, shape))
        })
        .collect();
    let Some(&(first_section, first)) = shaped.first() else { return Ok(None) };
    let past_64_bits = || crossed(first_section, 1 << 64);

    let row = gathered.row;
    let mapped = row.role != SegmentRole::NotMapped;
    let relro = row.role == SegmentRole::RelRo;
    let greatest = shaped.iter().map(|(_, shape)| shape.align).max().unwrap_or(Align::ONE);
    let align = if mapped { greatest.max(rules.page_size) } else { greatest };
    let (start, offset, reason) = if mapped {
        let place = match rules.placement {
            Placement::Congruent => {
                cursor.offset.checked_align_up(first.align.min(align)).and_then(|offset| {
                    Some((congruent(cursor.address, offset, rules.page_size, align)?, offset))
                })
            }
            Placement::Padded(file_align) => {
                let address = cursor.address.checked_align_up(rules.page_size);
                address.zip(cursor.offset.checked_align_up(file_align))
            }
        };
        let (start, offset) = place.ok_or_else(past_64_bits)?;
        (start, offset, Reason::Page(rules.page_size))
    } else {
        let offset = cursor.offset.checked_align_up(first.align).ok_or_else(past_64_bits)?;
        (Address(0), offset, Reason::Alignment(first.align))
    };

    // What is not mapped has file offsets only, and is counted as if it lay at address 0.
    let limit = u128::from(rules.image_base.0) + u128::from(rules.memory_limit.0);
    let mut end = start;
    let mut file_end = offset;
    let mut sections = Vec::with_capacity(shaped.len());
    for (section, shape) in shaped {
        let in_memory = u128::from(end.0).next_multiple_of(shape.align.get().into());
        let memory_end = in_memory + u128::from(shape.size.0);
        if memory_end > limit {
            return Err(crossed(section, memory_end));
        }
        let address = Address(to_u64(in_memory));
        let gap = if !sections.is_empty() {
            gap(address.0 - end.0, Reason::Alignment(shape.align))
        } else if mapped {
            gap(address.0 - cursor.address.0, reason)
        } else {
            gap(offset.0 - cursor.offset.0, reason)
        };
        let zeros = matches!(section.role, Role::Kind(kind) if kind.is_zeros());
        let section_offset =
            if zeros { file_end } else { FileOffset(offset.0 + (address.0 - start.0)) };
        let file_size = if zeros { Size::ZERO } else { shape.size };
        end = Address(to_u64(memory_end));
        file_end = FileOffset(section_offset.0 + file_size.0);
        sections.push(LaidOutSection {
            name: section.name.clone(),
            role: section.role,
            address: if mapped { address } else { Address(0) },
            offset: section_offset,
            size: shape.size,
            file_size,
            align: shape.align,
            gap,
            pieces: section.pieces.clone(),
        });
    }

    // What turns read-only must fill its last page: nothing else may be frozen with it, and a loader
    // that rounds the end down must not leave a part writable.
    if relro {
        end = end.checked_align_up(rules.page_size).ok_or_else(past_64_bits)?;
    }
    if let (true, Placement::Padded(file_align)) = (row.filled, rules.placement) {
        file_end = file_end.checked_align_up(file_align).ok_or_else(past_64_bits)?;
    }
    if mapped {
        cursor.address = end;
    }
    cursor.offset = file_end;
    Ok(Some(Segment {
        name: row.name,
        permissions: row.permissions,
        mapped,
        relro,
        address: start,
        offset,
        size: Size(end.0 - start.0),
        file_size: Size(file_end.0 - offset.0),
        align,
        sections,
    }))
}

/// That a section, with its largest piece, ends where there is no memory left.
fn crossed(section: &OutputSection, end: u128) -> Overflow {
    let largest = section.pieces.iter().max_by_key(|piece| piece.size);
    Overflow { section: largest.map(|piece| piece.section), name: section.name.to_string(), end }
}

fn gap(size: u64, reason: Reason) -> Gap {
    Gap { size: Size(size), reason: if size == 0 { Reason::None } else { reason } }
}

/// The first address on a page behind `end` that equals `offset` modulo `align`, so that the loader can
/// map the file there without padding in the file.
fn congruent(end: Address, offset: FileOffset, page: Align, align: Align) -> Option<Address> {
    let page_start = end.checked_align_up(page)?;
    let remainder = Size(offset.0 % align.get());
    let candidate = page_start.align_down(align).checked_add(remainder)?;
    if candidate < page_start { candidate.checked_add(Size(align.get())) } else { Some(candidate) }
}

/// # Panics
/// Never: the caller has compared with a limit of at most 2^64.
fn to_u64(number: u128) -> u64 {
    u64::try_from(number).expect("below the memory limit")
}

fn symbol_address<F: Format>(layout: &Layout, definition: Definition) -> Address {
    match definition {
        Definition::Section { section, offset } => {
            Address(layout.section_address(section).0 + offset)
        }
        Definition::Absolute(number) => Address(number),
        Definition::Landmark(landmark) => landmark_address::<F>(layout, landmark),
        // Only its slot and its stub have an address; synthesize lets nothing ask for its own.
        Definition::Import(_) => Address(0),
        Definition::Undefined | Definition::Common { .. } => {
            unreachable!("resolve and synthesize leave neither")
        }
    }
}

/// Where a landmark lies. What the program does not have starts and ends at the image base, so that it
/// is empty.
fn landmark_address<F: Format>(layout: &Layout, landmark: Landmark) -> Address {
    let (role, is_end) = match landmark {
        Landmark::ImageBase => return layout.image_base,
        Landmark::Start(kind) => (Some(Role::Kind(kind)), false),
        Landmark::End(kind) => (Some(Role::Kind(kind)), true),
        Landmark::LoadRelocationsStart => (F::LOAD_RELOCATIONS.map(Role::Table), false),
        Landmark::LoadRelocationsEnd => (F::LOAD_RELOCATIONS.map(Role::Table), true),
        Landmark::RelRoStart | Landmark::RelRoEnd => {
            let relro = layout.segments.iter().find(|segment| segment.relro);
            let size =
                if landmark == Landmark::RelRoEnd { relro.map_or(0, |s| s.size.0) } else { 0 };
            return Address(relro.map_or(layout.image_base, |segment| segment.address).0 + size);
        }
    };
    match role.and_then(|role| layout.section(role)) {
        Some(section) => Address(section.address.0 + if is_end { section.size.0 } else { 0 }),
        None => layout.image_base,
    }
}

fn too_large(overflow: &Overflow, gathered: &Gathered<'_>, rules: &Rules) -> Error {
    let limit = rules.memory_limit.0;
    let span = i128::try_from(overflow.end).unwrap_or(i128::MAX) - i128::from(rules.image_base.0);
    let error = Error::new(
        ErrorKind::TooLarge,
        format!(
            "with `{}` the program spans {span:#x} bytes of memory; {} has {limit:#x} for it",
            overflow.name, gathered.program.target
        ),
    )
    .value(span, 0..=limit.into());
    match overflow.section {
        Some(section) => error.at(Place::Section { section, offset: 0 }, "the largest part"),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn congruent_addresses_start_a_page_and_follow_the_offset() {
        const PAGE: Align = Align::of(0x1000);
        for (end, offset, align, expected) in [
            (0x0, 0x0, 0x1000, 0x0),
            (0x1f8, 0x1f8, 0x1000, 0x11f8),
            (0x1000, 0x208, 0x1000, 0x1208),
            (0x1001, 0x208, 0x10000, 0x10208),
            (0x2000, 0x3000, 0x1000, 0x2000),
        ] {
            let address = congruent(Address(end), FileOffset(offset), PAGE, Align::of(align));
            assert_eq!(address, Some(Address(expected)), "{end:#x} {offset:#x} {align:#x}");
        }
        assert_eq!(congruent(Address(u64::MAX), FileOffset(0), PAGE, PAGE), None);
    }
}
