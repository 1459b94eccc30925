//! Chained fixups (`LC_DYLD_CHAINED_FIXUPS`): checks the header, the starts and the imports as `ChainedFixups::validLinkedit`,
//! and gives every link of every chain.

use super::bind::Import;
use super::image::Image;
use super::{Fixup, FixupKind};
use crate::bytes::{slice, string_at, u16_at, u32_at, u64_at};
use crate::macho::Segment;
use crate::rule::{Refusal, Rule};

/// `DYLD_CHAINED_PTR_64`: targets are unslid addresses.
const PTR_64: u16 = 2;
/// `DYLD_CHAINED_PTR_64_OFFSET`: targets are offsets from the header.
const PTR_64_OFFSET: u16 = 6;
/// `DYLD_CHAINED_PTR_START_NONE`
const START_NONE: u16 = 0xffff;
/// Distance that `next` counts in, for 64-bit pointers, in bytes.
const STRIDE: u64 = 4;
/// Page sizes that a chain may have.
const PAGE_SIZES: [u16; 2] = [0x1000, 0x4000];
/// Size of the header, in bytes, and of a segment's starts before the pages.
const HEADER_SIZE: u64 = 28;
const STARTS_SIZE: u64 = 22;

/// All fixups that the chains of an image hold, read from the file.
///
/// # Errors
/// The first rule broken.
pub fn fixups(image: &Image, blob: &[u8]) -> Result<Vec<Fixup>, Refusal> {
    let field = |index: u64| {
        u32_at(blob, index * 4)
            .map(u64::from)
            .ok_or_else(|| Rule::ChainedHeader.refuse("it does not fit"))
    };
    let (version, starts, imports_offset, names) = (field(0)?, field(1)?, field(2)?, field(3)?);
    let (count, format, names_format) = (field(4)?, field(5)?, field(6)?);
    Rule::ChainedHeader.require(version == 0, || format!("the version is {version}"))?;
    Rule::ChainedHeader
        .require(names_format == 0, || format!("symbols_format is {names_format}"))?;
    let in_order = HEADER_SIZE <= starts
        && starts < imports_offset
        && imports_offset <= names
        && names <= blob.len() as u64;
    Rule::ChainedHeader.require(in_order, || {
        format!("they are at {starts:#x}, {imports_offset:#x} and {names:#x} of {:#x}", blob.len())
    })?;
    let imports = imports(blob, imports_offset, names, count, format)?;

    let segment_count = u32_at(blob, starts).unwrap_or(0);
    Rule::ChainedSegments.require(segment_count as usize == image.segments.len(), || {
        format!("it is {segment_count}, there are {}", image.segments.len())
    })?;
    let mut fixups = Vec::new();
    let mut pointer_format = None;
    for (segment, index) in image.segments.iter().zip(1..) {
        let offset = u32_at(blob, starts + 4 * index)
            .ok_or_else(|| Rule::ChainedStarts.refuse("the offsets of the segments do not fit"))?;
        if offset != 0 {
            let chains = Chains::parse(image, segment, blob, starts + u64::from(offset))?;
            let same =
                *pointer_format.get_or_insert(chains.pointer_format) == chains.pointer_format;
            Rule::ChainedStarts.require(same, || {
                format!("{} has pointer format {}", segment.name, chains.pointer_format)
            })?;
            chains.walk(&imports, &mut fixups)?;
        }
    }
    Ok(fixups)
}

fn imports(
    blob: &[u8],
    offset: u64,
    names: u64,
    count: u64,
    format: u64,
) -> Result<Vec<Import>, Refusal> {
    let bad = |found: String| Rule::ChainedImports.refuse(found);
    let size = match format {
        1 => 4,
        2 => 8,
        3 => 16,
        _ if count == 0 => 0,
        _ => return Err(bad(format!("imports_format is {format}"))),
    };
    if offset + count * size > names {
        return Err(bad(format!("{count} imports do not fit before the names")));
    }
    (0..count)
        .map(|index| {
            let at = offset + index * size;
            let word = |at| u32_at(blob, at).unwrap_or(0);
            let wide = |at| u64_at(blob, at).unwrap_or(0);
            let (ordinal, weak, name, addend) = if format == 3 {
                let bits = wide(at);
                (
                    special(bits & 0xffff, 0xffff),
                    bits >> 16 & 1,
                    bits >> 32,
                    wide(at + 8).cast_signed(),
                )
            } else {
                let bits = u64::from(word(at));
                let addend = if format == 2 { i64::from(word(at + 4).cast_signed()) } else { 0 };
                (special(bits & 0xff, 0xff), bits >> 8 & 1, bits >> 9, addend)
            };
            let name = string_at(blob, names + name)
                .ok_or_else(|| bad(format!("import {index} has its name at {name:#x}")))?;
            Ok(Import { ordinal, name: name.to_owned(), weak: weak == 1, addend })
        })
        .collect()
}

/// The highest 15 ordinals of a field with `mask` are negative.
fn special(ordinal: u64, mask: u64) -> i64 {
    let ordinal = ordinal.cast_signed();
    let mask = mask.cast_signed();
    if ordinal > mask - 0xf { ordinal - mask - 1 } else { ordinal }
}

/// The starts of one segment's chains.
struct Chains<'data> {
    image: &'data Image,
    segment: &'data Segment,
    page_size: u64,
    pointer_format: u16,
    page_starts: Vec<u16>,
}

impl<'data> Chains<'data> {
    fn parse(
        image: &'data Image,
        segment: &'data Segment,
        blob: &[u8],
        at: u64,
    ) -> Result<Chains<'data>, Refusal> {
        let name = &segment.name;
        let bad = |found: String| Rule::ChainedStarts.refuse(format!("{name}: {found}"));
        let short = || bad(format!("the starts at {at:#x} do not fit"));
        let size = u32_at(blob, at).map(u64::from).ok_or_else(short)?;
        let starts = slice(blob, at, size).filter(|_| size >= STARTS_SIZE).ok_or_else(short)?;
        let half = |offset| u16_at(starts, offset).unwrap_or(0);
        let (page_size, pointer_format, page_count) = (half(4), half(6), half(20));
        let segment_offset = u64_at(starts, 8).unwrap_or(0);
        let maximum = u32_at(starts, 16).unwrap_or(0);

        if !PAGE_SIZES.contains(&page_size)
            || u64::from(page_size) > image.arch.page_size().max(0x4000)
        {
            return Err(bad(format!("the page size is {page_size:#x}")));
        }
        if pointer_format != PTR_64 && pointer_format != PTR_64_OFFSET {
            return Err(bad(format!("the pointer format is {pointer_format}")));
        }
        let wanted = segment.vm_address.wrapping_sub(image.preferred_address());
        if segment_offset != wanted {
            return Err(bad(format!(
                "the segment's offset is {segment_offset:#x}, not {wanted:#x}"
            )));
        }
        if maximum != 0 {
            return Err(bad(format!("max_valid_pointer is {maximum:#x}")));
        }
        if u64::from(page_count) > segment.vm_size.div_ceil(page_size.into())
            || STARTS_SIZE + 2 * u64::from(page_count) > size
        {
            return Err(bad(format!("there are {page_count} pages")));
        }
        let page_starts: Vec<u16> =
            (0..page_count).map(|page| half(STARTS_SIZE + 2 * u64::from(page))).collect();
        for (page, &start) in page_starts.iter().enumerate() {
            Rule::ChainedPageStart.require(start < page_size || start == START_NONE, || {
                format!("{name}, page {page}: {start:#x}")
            })?;
        }
        Ok(Chains { image, segment, page_size: page_size.into(), pointer_format, page_starts })
    }

    fn walk(&self, imports: &[Import], fixups: &mut Vec<Fixup>) -> Result<(), Refusal> {
        for (page, &start) in (0..).zip(&self.page_starts) {
            if start == START_NONE {
                continue;
            }
            let page_start = page * self.page_size;
            let mut offset = page_start + u64::from(start);
            loop {
                let (kind, next) = self.link(imports, offset)?;
                fixups.push(Fixup { address: self.segment.vm_address.wrapping_add(offset), kind });
                if next == 0 {
                    break;
                }
                offset += next * STRIDE;
                let inside =
                    offset < page_start + self.page_size && offset + 8 <= self.segment.vm_size;
                Rule::ChainLink.require(inside, || {
                    format!("{}: a link leads to {offset:#x} from page {page}", self.segment.name)
                })?;
            }
        }
        Ok(())
    }

    /// The link at an offset in the segment, and the distance to the next.
    fn link(&self, imports: &[Import], offset: u64) -> Result<(FixupKind, u64), Refusal> {
        let name = &self.segment.name;
        // The kernel maps whole pages, so a link may lie behind filesize, where zeros are: an ordinary last link.
        let bits = if offset + 8 <= self.segment.file_size {
            u64_at(&self.image.bytes, self.segment.file_offset + offset)
        } else {
            None
        };
        let bits = bits.ok_or_else(|| {
            Rule::ChainLink
                .refuse(format!("{name}: the link at {offset:#x} is behind the file's bytes"))
        })?;
        let next = bits >> 51 & 0xfff;
        if bits >> 63 == 1 {
            let (ordinal, addend) = (bits & 0xff_ffff, bits >> 24 & 0xff);
            let import = usize::try_from(ordinal)
                .ok()
                .and_then(|ordinal| imports.get(ordinal))
                .ok_or_else(|| {
                    Rule::ChainTarget.refuse(format!(
                        "{name}+{offset:#x} names import {ordinal} of {}",
                        imports.len()
                    ))
                })?;
            let mut import = import.clone();
            import.addend = import.addend.wrapping_add(addend.cast_signed());
            return Ok((FixupKind::Bind(import), next));
        }
        let (target, top_byte) = (bits & 0xf_ffff_ffff, bits >> 36 & 0xff);
        let base = self.image.preferred_address();
        let address =
            if self.pointer_format == PTR_64 { target } else { base.wrapping_add(target) };
        Rule::ChainTarget
            .require((base..=self.image.preferred_end()).contains(&address), || {
                format!("{name}+{offset:#x} points to {address:#x}")
            })?;
        Ok((FixupKind::Rebase { address, top_byte }, next))
    }
}
