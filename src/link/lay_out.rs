//! Every byte gets its address and its place in the file.
//!
//! Takes output sections and the sizes of the format's tables; gives the layout. From here on every
//! number is final.

use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::layout::{
    Body, Gap, Gathered, GatheredSegment, LaidOutSection, Layout, Member, OutputSection, Piece,
    Reason, Segment,
};
use crate::format::plan::{Placement, Role, Rules, SegmentRole, TableId};
use crate::format::{Format, Shape};
use crate::link::synthesize::Synthesized;
use crate::program::{Definition, Landmark, Program, SymbolId};
use crate::units::{Address, Align, FileOffset, Size};

/// Where the next segment may start.
#[derive(Clone, Copy)]
struct Cursor {
    address: Address,
    offset: FileOffset,
}

/// Places everything but the late tables.
///
/// # Errors
/// An image that spans more memory than the target has for it; an alignment that loading does not keep.
#[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
pub fn lay_out_body<F: Format>(
    synthesized: &Synthesized<'_>,
    gathered: &Gathered<'_>,
    tables: &F::Tables,
) -> Result<Body> {
    let rules = F::rules(gathered.program);
    check_alignments(gathered, &rules)?;
    let start = Cursor { address: rules.image_base, offset: FileOffset(0) };
    let early = gathered.segments.iter().filter(|segment| !segment.row.role.is_late());
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
#[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
pub fn lay_out_late<F: Format>(
    gathered: &Gathered<'_>,
    body: Body,
    tables: &F::LateTables,
) -> Result<Layout> {
    let rules = F::rules(gathered.program);
    let Body { mut layout, end } = body;
    let start = Cursor { address: end, offset: FileOffset(layout.file_size.0) };
    let late = gathered.segments.iter().filter(|segment| segment.row.role.is_late());
    let (segments, end) =
        place(late, |table| F::late_shape(tables, table), gathered, &rules, start)?;
    layout.segments.extend(segments);
    layout.file_size = Size(end.offset.0);
    Ok(layout)
}

fn check_alignments(gathered: &Gathered<'_>, rules: &Rules) -> Result<()> {
    let mut errors = Collector::default();
    let target = gathered.program.target;
    for section in gathered.sections() {
        let is_thread_local = matches!(section.role, Role::Kind(kind) if kind.is_thread_local());
        let greatest =
            if is_thread_local { rules.greatest_tls_align } else { rules.greatest_align };
        for member in &section.members {
            let wish = |key| Place::SectionWish { section: member.section, key };
            let align = member.align;
            if is_thread_local && member.at.is_some() {
                let message = "a thread-local variable lies at another address in every thread, at none that can be \
                               said";
                errors.push(Error::new(ErrorKind::Conflict, message).at(wish("at"), ""));
            }
            if align <= greatest {
                continue;
            }
            let message = if is_thread_local {
                format!(
                    "a thread-local variable cannot be aligned to {align} on {target}: a thread's copy lies at \
                     any multiple of {greatest}"
                )
            } else {
                format!(
                    "an alignment of {align} does not survive loading on {target}: the image may lie at any \
                     multiple of {greatest}"
                )
            };
            errors.push(
                Error::new(ErrorKind::Unsupported, message)
                    .at(wish("align"), "")
                    .value(align.get().into(), 1..=greatest.get().into()),
            );
        }
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
    let mut conflicts = Collector::default();
    for segment in gathered_segments {
        let placer = Placer { program: gathered.program, rules };
        segments.extend(placer.place_segment(segment, &shape, &mut cursor, &mut conflicts)?);
    }
    conflicts.into_result((segments, cursor))
}

/// What placing needs to know at every step.
#[derive(Clone, Copy)]
struct Placer<'p> {
    program: &'p Program<'p>,
    rules: &'p Rules,
}

impl Placer<'_> {
    /// Places a segment at the cursor; `None` for one that has nothing in it.
    fn place_segment(
        self,
        gathered: &GatheredSegment,
        shape: impl Fn(TableId) -> Option<Shape>,
        cursor: &mut Cursor,
        conflicts: &mut Collector,
    ) -> Result<Option<Segment>, Error> {
        let shaped: Vec<(&OutputSection, Option<Shape>)> = gathered
            .sections
            .iter()
            .filter_map(|section| match section.role {
                Role::Table(table) => Some((section, Some(shape(table)?))),
                _ => Some((section, None)),
            })
            .collect();
        let align_of = |(section, shape): &(&OutputSection, Option<Shape>)| {
            shape.map_or(section.align, |shape| shape.align)
        };
        let Some(first) = shaped.first() else { return Ok(None) };
        let past_64_bits = || self.too_large(first.0, 1 << 64);

        let row = gathered.row;
        let mapped = row.role.is_mapped();
        let relro = row.role == SegmentRole::RelRo;
        let greatest = shaped.iter().map(align_of).max().unwrap_or(Align::ONE);
        let align = if mapped { greatest.max(self.rules.page_size) } else { greatest };
        let (start, offset, reason) = if mapped {
            let place = self.start(*cursor, align_of(first), align);
            let (start, offset) = place.ok_or_else(past_64_bits)?;
            (start, offset, Reason::Page(self.rules.page_size))
        } else {
            // What is not mapped has file offsets only, and is counted as if it lay at address 0.
            let offset = cursor.offset.checked_align_up(align_of(first));
            let offset = offset.ok_or_else(past_64_bits)?;
            (Address(0), offset, Reason::Alignment(align_of(first)))
        };

        let mut end = start;
        let mut file_end = offset;
        let mut sections = Vec::with_capacity(shaped.len());
        for placed in &shaped {
            let (section, shape) = *placed;
            let align = align_of(placed);
            let address = end.checked_align_up(align).ok_or_else(past_64_bits)?;
            let (size, pieces) = match shape {
                Some(shape) => (shape.size, Vec::new()),
                None => self.place_members(section, address, conflicts)?,
            };
            let section_end = self.end(section, address, size)?;
            let gap = if !sections.is_empty() {
                gap(address.0 - end.0, Reason::Alignment(align))
            } else if mapped {
                gap(address.0 - cursor.address.0, reason)
            } else {
                gap(offset.0 - cursor.offset.0, reason)
            };
            let zeros = matches!(section.role, Role::Kind(kind) if kind.is_zeros());
            let section_offset =
                if zeros { file_end } else { FileOffset(offset.0 + (address.0 - start.0)) };
            let file_size = if zeros { Size::ZERO } else { size };
            end = section_end;
            file_end = FileOffset(section_offset.0 + file_size.0);
            sections.push(LaidOutSection {
                name: section.name.clone(),
                role: section.role,
                address: if mapped { address } else { Address(0) },
                offset: section_offset,
                size,
                file_size,
                align,
                gap,
                pieces,
            });
        }

        // What turns read-only must fill its last page: nothing else may be frozen with it, and a loader
        // that rounds the end down must not leave a part writable.
        if relro {
            end = end.checked_align_up(self.rules.page_size).ok_or_else(past_64_bits)?;
        }
        if let (true, Placement::Padded(file_align)) = (row.filled, self.rules.placement) {
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

    /// Where a segment starts whose first section is aligned to `first`, and all to `align`; `None` past
    /// 2^64 - 1.
    fn start(self, cursor: Cursor, first: Align, align: Align) -> Option<(Address, FileOffset)> {
        match self.rules.placement {
            Placement::Congruent => {
                let offset = cursor.offset.checked_align_up(first.min(align))?;
                Some((congruent(cursor.address, offset, self.rules.page_size, align)?, offset))
            }
            Placement::Padded(file_align) => {
                let address = cursor.address.checked_align_up(self.rules.page_size)?;
                Some((address, cursor.offset.checked_align_up(file_align)?))
            }
        }
    }

    /// Places the members of an output section from `start` on; gives its size, and the pieces.
    fn place_members(
        self,
        section: &OutputSection,
        start: Address,
        conflicts: &mut Collector,
    ) -> Result<(Size, Vec<Piece>), Error> {
        let mut end = start;
        let mut pieces: Vec<Piece> = Vec::with_capacity(section.members.len());
        for member in &section.members {
            let aligned = end.checked_align_up(member.align);
            let aligned = aligned.ok_or_else(|| self.too_large(section, 1 << 64))?;
            let (address, reason) = match member.at {
                Some(at) => match check_at(section, member, at, aligned, pieces.last()) {
                    Ok(()) => (at, Reason::At),
                    Err(conflict) => {
                        conflicts.push(conflict);
                        (aligned, Reason::Alignment(member.align))
                    }
                },
                None => (aligned, Reason::Alignment(member.align)),
            };
            let gap = gap(address.0 - end.0, reason);
            end = self.end(section, address, member.size)?;
            pieces.push(Piece {
                section: member.section,
                offset: Size(address.0 - start.0),
                size: member.size,
                align: member.align,
                gap,
            });
        }
        Ok((Size(end.0 - start.0), pieces))
    }

    /// Where what starts at `address` ends.
    fn end(self, section: &OutputSection, address: Address, size: Size) -> Result<Address, Error> {
        let end = u128::from(address.0) + u128::from(size.0);
        let limit = u128::from(self.rules.image_base.0) + u128::from(self.rules.memory_limit.0);
        if end > limit {
            return Err(self.too_large(section, end));
        }
        Ok(Address(u64::try_from(end).expect("the memory limit is below 2^64")))
    }

    /// That a section, with its largest member, ends where there is no memory left.
    fn too_large(self, section: &OutputSection, end: u128) -> Error {
        let limit = self.rules.memory_limit.0;
        let end = i128::try_from(end).unwrap_or(i128::MAX);
        let span = end - i128::from(self.rules.image_base.0);
        let error = Error::new(
            ErrorKind::TooLarge,
            format!(
                "with `{}` the program spans {span:#x} bytes of memory; {} has {limit:#x} for it",
                section.name, self.program.target
            ),
        )
        .value(span, 0..=limit.into());
        match section.members.iter().max_by_key(|member| member.size) {
            Some(largest) => {
                error.at(Place::Section { section: largest.section, offset: 0 }, "the largest part")
            }
            None => error,
        }
    }
}

/// That a member can lie where the program says, the first free address for it being `free`.
fn check_at(
    section: &OutputSection,
    member: &Member,
    at: Address,
    free: Address,
    before: Option<&Piece>,
) -> Result<(), Error> {
    let place = Place::SectionWish { section: member.section, key: "at" };
    if at.align_down(member.align) != at {
        let message =
            format!("it is to lie at {at}, which is no multiple of its alignment {}", member.align);
        return Err(Error::new(ErrorKind::Conflict, message).at(place, ""));
    }
    if at >= free {
        return Ok(());
    }
    let message =
        format!("it is to lie at {at}, and the first free address in `{}` is {free}", section.name);
    let error = Error::new(ErrorKind::Conflict, message)
        .at(place, "")
        .value(at.0.into(), free.0.into()..=u64::MAX.into());
    Err(match before {
        Some(before) => {
            error.at(Place::Section { section: before.section, offset: 0 }, "what lies before it")
        }
        None => error,
    })
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
        Landmark::TlsIndex => (Some(Role::TlsIndex), false),
        Landmark::TlsStart | Landmark::TlsDataEnd | Landmark::TlsEnd => {
            return layout.template().map_or(layout.image_base, |template| match landmark {
                Landmark::TlsStart => template.start,
                Landmark::TlsDataEnd => template.data_end,
                _ => template.end,
            });
        }
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
