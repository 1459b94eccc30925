//! Fixups by opcodes (`LC_DYLD_INFO`): runs the rebase and bind programs, as `RebaseOpcodes` and `BindOpcodes` of dyld.

use super::bind::Import;
use super::image::Image;
use super::{Fixup, FixupKind};
use crate::bytes::{Cursor, u64_at};
use crate::rule::{Refusal, Rule};

/// Size of what is fixed up, in bytes.
const POINTER: u64 = 8;
/// `REBASE_TYPE_POINTER` and `BIND_TYPE_POINTER`
const TYPE_POINTER: u8 = 1;

/// Which of the three bind programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindTable {
    /// Bound at launch.
    Regular,
    /// Bound at the first call by older systems; at launch today. `DONE` stands between its entries.
    Lazy,
    /// Definitions that all images share.
    Weak,
}

fn bad(found: impl Into<String>) -> Refusal {
    Rule::FixupOpcode.refuse(found)
}

/// A skip may be negative, so that running out of the segment does not end a run of pointers that is too long.
fn bounded(image: &Image, count: u64, at: usize) -> Result<(), Refusal> {
    let most = image.segments.iter().map(|segment| segment.vm_size).max().unwrap_or(0) / POINTER;
    Rule::FixupLocation
        .require(count <= most, || format!("the opcode at {at:#x} fixes {count} pointers"))
}

/// Where the program writes next.
struct Location<'data> {
    image: &'data Image,
    segment: Option<usize>,
    offset: u64,
}

impl<'data> Location<'data> {
    fn new(image: &'data Image) -> Location<'data> {
        Location { image, segment: None, offset: 0 }
    }

    fn set(&mut self, segment: u8, offset: u64) {
        self.segment = Some(segment.into());
        self.offset = offset;
    }

    fn advance(&mut self, distance: u64) {
        self.offset = self.offset.wrapping_add(distance);
    }

    /// The unslid address to write, and the pointer that stands there in the file.
    fn pointer(&self) -> Result<(u64, u64), Refusal> {
        let index =
            self.segment.ok_or_else(|| Rule::FixupLocation.refuse("no segment was said"))?;
        let segment = self.image.segments.get(index).ok_or_else(|| {
            Rule::FixupLocation.refuse(format!("segment {index} of {}", self.image.segments.len()))
        })?;
        let inside = self.offset.checked_add(POINTER).is_some_and(|end| end <= segment.vm_size);
        Rule::FixupLocation.require(inside, || format!("{}+{:#x}", segment.name, self.offset))?;
        let in_file = self.offset + POINTER <= segment.file_size;
        let value = if in_file {
            u64_at(&self.image.bytes, segment.file_offset + self.offset)
        } else {
            None
        };
        Ok((segment.vm_address.wrapping_add(self.offset), value.unwrap_or(0)))
    }
}

/// The fixups of a rebase program.
///
/// # Errors
/// The first rule broken.
pub fn rebases(image: &Image, program: &[u8]) -> Result<Vec<Fixup>, Refusal> {
    let mut cursor = Cursor::new(program, 0);
    let mut location = Location::new(image);
    let mut fixups = Vec::new();
    while !cursor.is_at_end() {
        let at = cursor.offset;
        let incomplete = || bad(format!("the rebase opcode at {at:#x} is incomplete"));
        let byte = cursor.byte().ok_or_else(incomplete)?;
        let immediate = byte & 0xf;
        let mut number = || cursor.uleb128().ok_or_else(incomplete);
        // How many pointers follow, and what is skipped behind each.
        let (count, skip) = match byte & 0xf0 {
            0x00 => break,
            0x10 if immediate == TYPE_POINTER => (0, 0),
            0x20 => {
                location.set(immediate, number()?);
                (0, 0)
            }
            0x30 => {
                location.advance(number()?);
                (0, 0)
            }
            0x40 => {
                location.advance(u64::from(immediate) * POINTER);
                (0, 0)
            }
            0x50 => (u64::from(immediate), 0),
            0x60 => (number()?, 0),
            0x70 => (1, number()?),
            0x80 => (number()?, number()?),
            _ => return Err(bad(format!("the rebase opcode {byte:#x} at {at:#x} is unknown"))),
        };
        bounded(image, count, at)?;
        for _ in 0..count {
            let (address, target) = location.pointer()?;
            fixups
                .push(Fixup { address, kind: FixupKind::Rebase { address: target, top_byte: 0 } });
            location.advance(POINTER.wrapping_add(skip));
        }
    }
    Ok(fixups)
}

/// The fixups of a bind program.
///
/// # Errors
/// The first rule broken.
pub fn binds(image: &Image, program: &[u8], table: BindTable) -> Result<Vec<Fixup>, Refusal> {
    let mut cursor = Cursor::new(program, 0);
    let mut location = Location::new(image);
    let mut fixups = Vec::new();
    let mut import: Option<(String, bool)> = None;
    let (mut ordinal, mut addend) = (0i64, 0i64);
    while !cursor.is_at_end() {
        let at = cursor.offset;
        let incomplete = || bad(format!("the bind opcode at {at:#x} is incomplete"));
        let byte = cursor.byte().ok_or_else(incomplete)?;
        let immediate = byte & 0xf;
        let (count, skip) = match byte & 0xf0 {
            0x00 if table == BindTable::Lazy => (0, 0),
            0x00 => break,
            0x10 => {
                ordinal = immediate.into();
                (0, 0)
            }
            0x20 => {
                ordinal = cursor
                    .uleb128()
                    .and_then(|ordinal| i64::try_from(ordinal).ok())
                    .ok_or_else(incomplete)?;
                (0, 0)
            }
            0x30 => {
                // The immediate is sign-extended: 0 is the image itself.
                ordinal = if immediate == 0 { 0 } else { i64::from(immediate) - 16 };
                (0, 0)
            }
            0x40 => {
                let name = cursor.string().ok_or_else(incomplete)?;
                import = Some((name.to_owned(), immediate & 1 != 0));
                (0, 0)
            }
            0x50 if immediate == TYPE_POINTER => (0, 0),
            0x60 => {
                addend = cursor.sleb128().ok_or_else(incomplete)?;
                (0, 0)
            }
            0x70 => {
                location.set(immediate, cursor.uleb128().ok_or_else(incomplete)?);
                (0, 0)
            }
            0x80 => {
                location.advance(cursor.uleb128().ok_or_else(incomplete)?);
                (0, 0)
            }
            0x90 => (1, 0),
            0xa0 => (1, cursor.uleb128().ok_or_else(incomplete)?),
            0xb0 => (1, u64::from(immediate) * POINTER),
            0xc0 => {
                (cursor.uleb128().ok_or_else(incomplete)?, cursor.uleb128().ok_or_else(incomplete)?)
            }
            _ => return Err(bad(format!("the bind opcode {byte:#x} at {at:#x} is unknown"))),
        };
        bounded(image, count, at)?;
        for _ in 0..count {
            let (name, weak) =
                import.clone().ok_or_else(|| bad(format!("the bind at {at:#x} has no symbol")))?;
            let (address, _) = location.pointer()?;
            let import = Import { ordinal, name, weak, addend };
            let kind = if table == BindTable::Weak {
                FixupKind::Coalesce(import)
            } else {
                FixupKind::Bind(import)
            };
            fixups.push(Fixup { address, kind });
            location.advance(POINTER.wrapping_add(skip));
        }
    }
    Ok(fixups)
}
