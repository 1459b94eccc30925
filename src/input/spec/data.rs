//! What a data item can hold: text, numbers, addresses, hex, files, and mixtures of them.
//!
//! Each kind of contents is a key of the item's table. Its value becomes a [`Block`] at once where that
//! needs no target; hex text waits, as the names of its fixups are an architecture's.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::block::{Block, Field, Number};
use super::document::{Entry, Key, Located, Reader, integer_value};
use super::expression::{self, Expression};
use super::item::{self, Item};
use super::shape::{Shape, described};
use super::text_map::MappedText;
use crate::error::{Error, ErrorKind, Place};

/// What an item holds.
#[derive(Clone, Debug)]
pub(super) enum Contents {
    /// Bytes that are the same for every target.
    Block(Block),
    /// Hex text, to be read for a target.
    Hex(MappedText),
    /// Assembler text, to be read for a target once the sizes of all other items are known.
    #[cfg(feature = "asm")]
    Asm(MappedText),
    /// Several contents, one behind the other.
    Fields(Vec<Item>),
    /// A file, copied when the program is written.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
}

/// The key that names a kind of contents: `read` gives what it holds, if nothing is wrong.
macro_rules! contents {
    ($name:expr, $shape:expr, $about:literal, $read:expr) => {
        Key {
            name: $name,
            about: $about,
            shape: $shape,
            read: |item: &mut Item, reader, entry| {
                let contents = $read(reader, entry).into();
                item.say_contents(reader, entry, contents);
            },
        }
    };
}
pub(super) use contents;

/// The key that is called as a kind of number.
macro_rules! integers {
    ($number:expr, $about:literal) => {
        contents!($number.name, Shape::OneOrMany(&Shape::Number($number)), $about, integers)
    };
}

/// The contents that both items and the parts of `fields` can have.
pub(super) const CONTENTS: &[Key<Item>] = &[
    contents!("text", Shape::String, "A string, as UTF-8, and nothing behind it.", text),
    contents!("cstring", Shape::String, "A string, as UTF-8, and a zero byte.", cstring),
    contents!("utf16", Shape::String, "A string, as UTF-16, and nothing behind it.", utf16),
    contents!("hex", Shape::String, "Exact bytes, with labels and fixups: `c0 ff <u32 1>`.", hex),
    integers!(Number::U8, "Integers of 8 bits without a sign."),
    integers!(Number::U16, "Integers of 16 bits without a sign, the low byte first."),
    integers!(Number::U32, "Integers of 32 bits without a sign, the low byte first."),
    integers!(Number::U64, "Integers of 64 bits without a sign, the low byte first."),
    integers!(Number::I8, "Integers of 8 bits with a sign."),
    integers!(Number::I16, "Integers of 16 bits with a sign, the low byte first."),
    integers!(Number::I32, "Integers of 32 bits with a sign, the low byte first."),
    integers!(Number::I64, "Integers of 64 bits with a sign, the low byte first."),
    contents!("f32", FLOATS, "Floating-point numbers of 32 bits (IEEE 754).", floats::<F32>),
    contents!("f64", FLOATS, "Floating-point numbers of 64 bits (IEEE 754).", floats::<F64>),
    contents!(
        "pointers",
        Shape::OneOrMany(&Shape::Sum),
        "Addresses, 8 bytes each: `name`, `name+8`, `name-8`.",
        pointers
    ),
];

const FLOATS: Shape = Shape::OneOrMany(&Shape::Float);

/// The contents that only an item can have.
pub(super) const WHOLE_CONTENTS: &[Key<Item>] = &[
    contents!(
        "file",
        Shape::Path,
        "The path of a file, from the spec's folder; its bytes are copied when the program is written.",
        file
    ),
    contents!(
        "fields",
        Shape::Array(&Shape::Table("field", || {
            described(&[CONTENTS, FIELD_CONTENTS, item::ROOM])
        })),
        "A mixture: tables like `{ u32 = 1 }`, one behind the other.",
        fields
    ),
];

/// The contents that only a part of `fields` can have.
pub(super) const FIELD_CONTENTS: &[Key<Item>] = &[contents!(
    "pointer",
    Shape::Sum,
    "An address, 8 bytes: `name`, `name+8`, `name-8`.",
    pointer
)];

pub(super) fn text(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Contents> {
    reader.string(entry).map(|text| bytes(text.as_bytes().to_vec()))
}

fn cstring(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Contents> {
    let text = reader.string(entry)?;
    if let Some(offset) = text.find('\0') {
        let span = reader.text_map(entry).span(offset..offset + 1);
        let error =
            Error::new(ErrorKind::InvalidValue, "a NUL inside a `cstring` would end it early")
                .at(Place::Text(span), "")
                .help(
                    "`cstring` ends with a NUL by itself; where one is wanted inside, use `text`",
                );
        return reader.refuse(error);
    }
    Some(bytes(text.bytes().chain([0]).collect()))
}

fn utf16(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Contents> {
    let text = reader.string(entry)?;
    Some(bytes(text.encode_utf16().flat_map(u16::to_le_bytes).collect()))
}

pub(super) fn hex(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Contents> {
    let text = reader.string(entry)?;
    Some(Contents::Hex(MappedText { text: text.into_owned(), map: reader.text_map(entry) }))
}

#[cfg(feature = "asm")]
pub(super) fn asm(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Contents> {
    let text = reader.string(entry)?;
    Some(Contents::Asm(MappedText { text: text.into_owned(), map: reader.text_map(entry) }))
}

#[cfg(not(feature = "asm"))]
pub(super) fn asm(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Contents> {
    let message = "this minild was built without its assembler";
    let error = Error::new(ErrorKind::Unsupported, message)
        .at(Place::Text(entry.key_span.clone()), "")
        .help("build it with the feature `asm`, or use `hex` or `file`");
    reader.refuse(error)
}

fn bytes(bytes: Vec<u8>) -> Contents {
    Contents::Block(Block { bytes, ..Block::default() })
}

impl Reader<'_> {
    /// The entry as a string that holds an expression.
    fn expression(&mut self, entry: &Entry<'_>) -> Option<Expression> {
        let text = self.string(entry)?;
        let map = self.text_map(entry);
        match expression::parse(&text, |range| map.span(range)) {
            Ok(expression) => Some(expression),
            Err(error) => self.refuse(error),
        }
    }
}

/// Integers of the kind that the key is called.
fn integers(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Contents {
    let number = Number::named(entry.key).expect("integer keys are called as the kinds of numbers");
    let mut block = Block::default();
    for element in entry.one_or_many() {
        let offset = block.bytes.len();
        match element.value {
            DeValue::String(_) => match reader.expression(&element) {
                Some(expression) => {
                    let span = element.span.clone();
                    block.push_field(Field::Number(number), number.width.into(), expression, span);
                }
                None => block.bytes.resize(offset + usize::from(number.width), 0),
            },
            DeValue::Integer(_) => {
                let value = reader.integer(&element, number.interval()).unwrap_or_default();
                block.bytes.resize(offset + usize::from(number.width), 0);
                number.write(&mut block.bytes, offset, value);
            }
            _ => reader.errors.push(element.must_be_one_or_many("an integer", "integers")),
        }
    }
    Contents::Block(block)
}

/// A floating-point type of IEEE 754.
trait Float: Sized {
    /// Its number of bytes.
    const WIDTH: usize;
    /// Its greatest number.
    const GREATEST: &str;
    /// Up to which integer every one has a value of its own.
    const EXACT: u128;
    /// The nearest value, as its bytes; `None` where a finite number is none of the type's.
    fn bytes(text: &str) -> Option<Vec<u8>>;
}

struct F32;
struct F64;

impl Float for F32 {
    const WIDTH: usize = 4;
    const GREATEST: &str = "3.4028235e38";
    const EXACT: u128 = 1 << f32::MANTISSA_DIGITS;
    fn bytes(text: &str) -> Option<Vec<u8>> {
        let value: f32 = text.parse().ok()?;
        (value.is_finite() || !text.contains(|c: char| c.is_ascii_digit()))
            .then(|| value.to_le_bytes().to_vec())
    }
}

impl Float for F64 {
    const WIDTH: usize = 8;
    const GREATEST: &str = "1.7976931348623157e308";
    const EXACT: u128 = 1 << f64::MANTISSA_DIGITS;
    fn bytes(text: &str) -> Option<Vec<u8>> {
        let value: f64 = text.parse().ok()?;
        (value.is_finite() || !text.contains(|c: char| c.is_ascii_digit()))
            .then(|| value.to_le_bytes().to_vec())
    }
}

fn floats<F: Float>(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Contents {
    let mut all = Vec::new();
    for element in entry.one_or_many() {
        let text = match element.value {
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Integer(integer) => match integer_value(integer) {
                Some(value) if value.unsigned_abs() <= F::EXACT => value.to_string(),
                _ => {
                    let message =
                        format!("`{}` holds no integer beyond {} for sure", entry.key, F::EXACT);
                    let place = Place::Text(element.span.clone());
                    let error = Error::new(ErrorKind::OutOfRange, message).at(place, "");
                    reader
                        .errors
                        .push(error.help("write it as a float where the nearest one will do"));
                    continue;
                }
            },
            _ => {
                reader.errors.push(element.must_be_one_or_many("a number", "numbers"));
                continue;
            }
        };
        if let Some(bytes) = F::bytes(&text) {
            all.extend(bytes);
        } else {
            let greatest = F::GREATEST;
            let message =
                format!("`{}` cannot be {text}: it is from -{greatest} to {greatest}", entry.key);
            let place = Place::Text(element.span.clone());
            reader.errors.push(Error::new(ErrorKind::OutOfRange, message).at(place, ""));
            all.extend([0; 8].iter().take(F::WIDTH));
        }
    }
    bytes(all)
}

fn pointers(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Contents {
    let mut block = Block::default();
    for element in entry.one_or_many() {
        push_pointer(reader, &element, &mut block);
    }
    Contents::Block(block)
}

fn pointer(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Contents {
    let mut block = Block::default();
    push_pointer(reader, entry, &mut block);
    Contents::Block(block)
}

fn push_pointer(reader: &mut Reader<'_>, entry: &Entry<'_>, block: &mut Block) {
    if !entry.value.is_str() {
        reader.errors.push(entry.must_be("a string like \"name+8\""));
    } else if let Some(expression) = reader.expression(entry) {
        block.push_field(Field::Pointer, 8, expression, entry.span.clone());
    }
}

fn fields(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Contents> {
    let fields = reader.array(entry, "an array of tables like { u32 = 1 }")?;
    let mut parts = Vec::new();
    for field in fields {
        let DeValue::Table(table) = field.value else {
            reader.errors.push(field.must_be("a table like { u32 = 1 }"));
            continue;
        };
        let mut part = Item::new(field.span.clone());
        let keys = &[CONTENTS, FIELD_CONTENTS, item::ROOM];
        part.is_wrong = !reader.walk(table, "a field", keys, &mut part);
        parts.push(part);
    }
    Some(Contents::Fields(parts))
}

/// The bytes of the file that the entry names.
pub(super) fn file(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Contents> {
    let (path, len) = file_path(reader, entry)?;
    Some(Contents::File { path, len })
}

/// The path of the file that the entry names, from the spec's folder, and how many bytes it has.
pub(super) fn file_path(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<(PathBuf, u64)> {
    let Located { value: name, span } = reader.located_string(entry)?;
    if name.is_empty() {
        let message = format!("`{}` is the path of a file, and this is empty", entry.key);
        let error = Error::new(ErrorKind::InvalidValue, message);
        return reader.refuse(error.at(Place::Text(span), ""));
    }
    let path = reader.folder.join(&name);
    let problem = match std::fs::metadata(&path) {
        Err(error) => format!("`{name}` cannot be read: {}", in_words(&error)),
        Ok(metadata) if metadata.is_dir() => format!("`{name}` is a folder, not a file"),
        Ok(metadata) if !metadata.is_file() => format!("`{name}` is no regular file"),
        Ok(metadata) => match std::fs::File::open(&path) {
            Ok(_) => return Some((path, metadata.len())),
            Err(error) => format!("`{name}` cannot be read: {}", in_words(&error)),
        },
    };
    let error = Error::new(ErrorKind::File, problem).at(Place::Text(span), "");
    let is_elsewhere = path.is_file() || Path::new(&name).is_absolute();
    reader.refuse(if is_elsewhere { error } else { error.help("paths start at the spec's folder") })
}

/// What went wrong, in the same words on every system where that can be.
fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
