//! `inspect`: what an executable, a library or an object file consists of, in the words of its format.
//!
//! Takes the bytes of a file, gives an [`Inspection`]: an image for each architecture, with its headers, segments,
//! sections, symbols, imports, exports, relocations, signature and notes. What is damaged is named, and the rest shown.

mod elf;
#[cfg(feature = "dwarf")]
mod frames;
mod kind;
mod macho;
mod model;
mod pe;
mod words;

pub use kind::{FileKind, file_kind};
pub use model::{
    Counts, Export, Field, Identity, Image, Import, Inspection, Library, Part, Parts, Record,
    Relocation, Section, Segment, Symbol, Unwinding, Value,
};

use crate::error::{Error, ErrorKind};

use super::reader::{Damage, Name, macho::Slices};
use model::Found;

/// Damage is told so often; a file that is wrong from end to end is not told byte by byte.
const DAMAGES: usize = 64;

/// Reads a file.
///
/// Takes what [`Parts`] asks for; what of it is damaged is told in [`Image::damage`], and not an error.
///
/// ```
/// use minild::view::inspect::{Parts, inspect};
/// let error = inspect(b"!<arch>\nand so on", Parts::ALL).unwrap_err();
/// assert!(error.message.contains("archive"));
/// ```
///
/// # Errors
/// When it is none of the formats, or its first header cannot be read: one that says what the file seems to be.
pub fn inspect(data: &[u8], parts: Parts) -> Result<Inspection<'_>, Error> {
    let kind = file_kind(data);
    let mut damage = Vec::new();
    let mut headers = Vec::new();
    let images = match kind {
        FileKind::Elf64 => {
            vec![image(elf::read(data), data, 0, parts).map_err(|damage| unreadable(&damage))?]
        }
        FileKind::MachO64 => {
            vec![image(macho::read(data), data, 0, parts).map_err(|damage| unreadable(&damage))?]
        }
        FileKind::Pe32Plus => {
            vec![image(pe::read(data), data, 0, parts).map_err(|damage| unreadable(&damage))?]
        }
        FileKind::Coff => vec![
            image(pe::read_object(data), data, 0, parts).map_err(|damage| unreadable(&damage))?,
        ],
        FileKind::Universal => {
            let file = Slices::open(data).map_err(|damage| unreadable(&damage))?;
            headers.push(macho::universal_header(&file));
            damage = file.damage;
            let mut images = Vec::new();
            for slice in file.slices {
                let Some(bytes) = slice.bytes else { continue };
                match image(macho::read(bytes), bytes, slice.offset, parts) {
                    Ok(image) => images.push(image),
                    Err(error) => {
                        damage.push(Damage { offset: Some(slice.offset), ..error });
                    }
                }
                // An honest file has a handful, and they do not overlap.
                if images.len() > 8 {
                    damage.push(Damage::new(
                        "universal header",
                        4,
                        "more than 8 slices are not shown",
                    ));
                    break;
                }
            }
            images
        }
        FileKind::Other(what) => {
            let message = format!("it is {what}, neither ELF64 nor Mach-O nor PE32+");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    };
    damage.truncate(DAMAGES);
    Ok(Inspection { size: data.len() as u64, headers, images, damage })
}

fn unreadable(damage: &Damage) -> Error {
    Error::new(ErrorKind::Syntax, damage.to_string())
}

/// What was found, cut down to what was asked for.
fn image<'data>(
    found: Result<Found<'data>, Damage>,
    data: &'data [u8],
    offset: u64,
    parts: Parts,
) -> Result<Image<'data>, Damage> {
    let mut found = found?;
    if found.damage.len() > DAMAGES {
        let more = found.damage.len() - DAMAGES;
        found.damage.truncate(DAMAGES);
        found.damage.push(Damage::new("file", None, format!("{more} more are not shown")));
    }
    Ok(found.into_image(data, offset, parts))
}

/// A name without the zeros that fill its field.
fn padded(field: &[u8]) -> Name<'_> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    Name::new(&field[..end])
}
