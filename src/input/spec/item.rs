//! Items: the named pieces of code and data that a program is made of.
//!
//! One table of the document says something of an item, not always all: a target's table may change one
//! key of what all targets share. What is missing is found out when the tables of a target meet.

use toml::de::DeValue;

use super::block::Block;
use super::data::{self, CONTENTS, Contents, WHOLE_CONTENTS, contents};
use super::document::{Entry, Key, Located, Reader, Span};
use super::expression::check_name;
use super::layer::BARE_CODE;
use super::quantity;
use super::shape::Shape;
#[cfg(feature = "schema")]
use super::shape::{Described, described};
use crate::error::{Error, ErrorKind, Place};
use crate::program::{SectionKind, SymbolType};
use crate::units::Align;

/// What one table says of an item.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Where its name stands.
    pub(super) span: Span,
    /// Whether its contents stand in a layer without a table of their own.
    pub(super) is_bare: bool,
    pub(super) contents: Option<Said<Contents>>,
    /// How many bytes it takes, contents and room behind them.
    pub(super) size: Option<Located<u64>>,
    /// What its room is filled with.
    pub(super) fill: Option<Located<u8>>,
    pub(super) align: Option<Located<Align>>,
    /// Whether something is wrong with what it says, and has been told.
    pub(super) is_wrong: bool,
}

/// What a key says; `value` is `None` where that is wrong and has been told.
#[derive(Clone, Debug)]
pub(super) struct Said<T> {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) span: Span,
    pub(super) value: Option<T>,
}

impl Item {
    pub(super) fn new(span: Span) -> Self {
        Self {
            span,
            is_bare: false,
            contents: None,
            size: None,
            fill: None,
            align: None,
            is_wrong: false,
        }
    }

    /// Takes what a key says of the contents; two keys of one table that do are an error.
    pub(super) fn say_contents(
        &mut self,
        reader: &mut Reader<'_>,
        entry: &Entry<'_>,
        value: Option<Contents>,
    ) {
        if let Some(first) = &self.contents {
            // One key twice is TOML's own error, but for code that is said without a table and with one.
            let is_same = first.key == entry.key;
            let message = if is_same {
                format!("what `code.{BARE_CODE}` holds is said twice")
            } else {
                format!("`{}` and `{}` both say what it holds", first.key, entry.key)
            };
            let error = Error::new(ErrorKind::Conflict, message)
                .at(Place::Text(entry.key_span.clone()), "")
                .at(Place::Text(first.key_span.clone()), "already said here");
            let help = "`fields` holds a mixture: fields = [{ text = \"…\" }, { u32 = 1 }]";
            let mixes = |key| CONTENTS.iter().any(|contents| contents.name == key);
            let is_mixture = !is_same && mixes(first.key.as_str()) && mixes(entry.key);
            return reader.errors.push(if is_mixture { error.help(help) } else { error });
        }
        self.contents = Some(Said {
            key: entry.key.to_owned(),
            key_span: entry.key_span.clone(),
            span: entry.span.clone(),
            value,
        });
    }

    /// What it says, to be merged with what other tables say.
    pub(super) fn view(&self) -> View<'_> {
        View {
            span: &self.span,
            is_bare: self.is_bare,
            contents: self.contents.as_ref(),
            size: self.size.as_ref(),
            fill: self.fill.as_ref(),
            align: self.align.as_ref(),
            is_wrong: self.is_wrong,
        }
    }
}

/// What all tables of a target together say of an item.
#[derive(Clone, Copy)]
pub(super) struct View<'s> {
    pub(super) span: &'s Span,
    pub(super) is_bare: bool,
    pub(super) contents: Option<&'s Said<Contents>>,
    pub(super) size: Option<&'s Located<u64>>,
    pub(super) fill: Option<&'s Located<u8>>,
    pub(super) align: Option<&'s Located<Align>>,
    pub(super) is_wrong: bool,
}

impl View<'_> {
    /// Takes over what a more special table says, key by key.
    pub(super) fn override_by(&mut self, special: Self) {
        self.span = special.span;
        if special.contents.is_some() {
            (self.contents, self.is_bare) = (special.contents, special.is_bare);
        }
        self.size = special.size.or(self.size);
        self.fill = special.fill.or(self.fill);
        self.align = special.align.or(self.align);
        self.is_wrong |= special.is_wrong;
    }
}

/// How much room an item takes, and what fills it.
pub(super) const ROOM: &[Key<Item>] = &[
    SIZE,
    Key {
        name: "fill",
        about: "The byte that fills what the contents leave of `size`: 0 if it is not said.",
        shape: Shape::Integer(0, 255),
        read: |item, reader, entry| {
            if let Some(value) = reader.integer(entry, (0, 255)) {
                let value = u8::try_from(value).unwrap_or_default();
                item.fill = Some(Located { value, span: entry.span.clone() });
            }
        },
    },
];

const SIZE: Key<Item> = Key {
    name: "size",
    about: "The bytes that the item takes; what its contents leave is filled.",
    shape: Shape::Size,
    read: |item, reader, entry| item.size = quantity::size(reader, entry).or(item.size.take()),
};

pub(super) const ALIGN: &[Key<Item>] = &[Key {
    name: "align",
    about: "What the item's address is a multiple of: a power of two, 8 if it is not said.",
    shape: Shape::Align,
    read: |item, reader, entry| item.align = quantity::align(reader, entry).or(item.align.take()),
}];

/// How code is said.
pub(super) const CODE_CONTENTS: &[Key<Item>] = &[
    contents!(
        "asm",
        Shape::String,
        "Instructions as assembler text, a statement on a line of its own.",
        data::asm
    ),
    contents!(
        "hex",
        Shape::String,
        "Instructions as exact bytes or words, with labels and fixups: `start: 48 8d 35 <rel32 message>`.",
        data::hex
    ),
    contents!(
        "file",
        Shape::Path,
        "The path of a file of instructions, from the spec's folder.",
        data::file
    ),
];

/// A table of items of one kind.
pub(super) struct Group {
    /// Its key in the document.
    pub(super) name: &'static str,
    pub(super) kind: SectionKind,
    /// What its items' symbols name.
    pub(super) symbol_type: SymbolType,
    /// The keys of an item.
    keys: &'static [&'static [Key<Item>]],
    /// What a string in the place of an item's table stands for.
    shorthand: Option<fn(&mut Reader<'_>, &Entry<'_>) -> Option<Contents>>,
}

/// All groups, in the order in which they are documented.
pub(super) static GROUPS: &[Group] = &[
    Group {
        name: "code",
        kind: SectionKind::Code,
        symbol_type: SymbolType::Function,
        keys: &[CODE_CONTENTS, ALIGN],
        shorthand: None,
    },
    Group {
        name: "rodata",
        kind: SectionKind::ReadOnly,
        symbol_type: SymbolType::Object,
        keys: &[CONTENTS, WHOLE_CONTENTS, ROOM, ALIGN],
        shorthand: Some(data::text),
    },
    Group {
        name: "data",
        kind: SectionKind::Data,
        symbol_type: SymbolType::Object,
        keys: &[CONTENTS, WHOLE_CONTENTS, ROOM, ALIGN],
        shorthand: Some(data::text),
    },
    Group {
        name: "bss",
        kind: SectionKind::Bss,
        symbol_type: SymbolType::Object,
        keys: &[&[SIZE], ALIGN],
        shorthand: None,
    },
    // What of it holds nothing is a part of the template that takes no room in the file.
    Group {
        name: "tls",
        kind: SectionKind::TlsData,
        symbol_type: SymbolType::ThreadLocal,
        keys: &[CONTENTS, WHOLE_CONTENTS, ROOM, ALIGN],
        shorthand: Some(data::text),
    },
    Group {
        name: "unwind",
        kind: SectionKind::Unwind,
        symbol_type: SymbolType::Object,
        keys: &[CONTENTS, WHOLE_CONTENTS, ALIGN],
        shorthand: None,
    },
    Group {
        name: "unwind-records",
        kind: SectionKind::UnwindRecords,
        symbol_type: SymbolType::Object,
        keys: &[CONTENTS, WHOLE_CONTENTS, ALIGN],
        shorthand: None,
    },
];

impl Group {
    /// The keys that say what an item of this group holds, with what fills its room.
    pub(super) fn contents_keys(&self) -> impl Iterator<Item = &'static str> + use<> {
        let keys = self.keys;
        keys.iter()
            .copied()
            .flatten()
            .map(|key| key.name)
            .filter(|&name| !matches!(name, "align" | "fill"))
    }

    /// The keys of an item, as the schema shows them, and whether a string can stand in its place.
    #[cfg(feature = "schema")]
    pub(super) fn described(&self) -> (Vec<Described>, bool) {
        (described(self.keys), self.shorthand.is_some())
    }

    /// The table that an item of the group could be in the place of such a value.
    fn example(&self, value: &DeValue<'_>) -> Option<&'static str> {
        let key = match value {
            DeValue::String(_) => "asm",
            DeValue::Integer(_) => "u64",
            DeValue::Float(_) => "f64",
            DeValue::Array(_) => "u8",
            _ => return None,
        };
        let has = |key: &str| self.keys.iter().copied().flatten().any(|known| known.name == key);
        match key {
            "asm" if has("asm") => Some("{ asm = \"…\" }"),
            "u64" if has("u64") => Some("{ u64 = 1 }"),
            "u64" if has("size") => Some("{ size = 8 }"),
            "f64" if has("f64") => Some("{ f64 = 0.5 }"),
            "u8" if has("u8") => Some("{ u8 = [1, 2] }"),
            _ => None,
        }
    }

    /// Reads what the table of one item of the group says into `item`.
    pub(super) fn read_item(&self, item: &mut Item, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        if let Err(problem) = check_name(entry.key) {
            let place = Place::Text(entry.key_span.clone());
            reader.errors.push(Error::new(ErrorKind::InvalidValue, problem).at(place, ""));
        }
        match (entry.value, self.shorthand) {
            (DeValue::Table(table), _) => {
                let what = format!("`{}.{}`", self.name, entry.key);
                item.is_wrong |= !reader.walk(table, &what, self.keys, item);
            }
            (DeValue::String(_), Some(read)) => {
                let contents = read(reader, entry);
                item.say_contents(reader, entry, contents);
            }
            (_, shorthand) => {
                let wanted = if shorthand.is_some() { "a table or a string" } else { "a table" };
                let error = entry.must_be(wanted);
                let is_key = self.keys.iter().copied().flatten().any(|key| key.name == entry.key);
                let help = if is_key {
                    Some(format!("an item has a name: [{}.NAME]", self.name))
                } else {
                    self.example(entry.value).map(|example| format!("write it like {example}"))
                };
                reader.errors.push(match help {
                    Some(help) => error.help(help),
                    None => error,
                });
                item.say_contents(reader, entry, None);
            }
        }
    }
}

/// The zeros or other bytes that bring `block` to the size that an item asks for.
pub(super) fn fill_up(block: &mut Block, size: u64, fill: u8) {
    if let Ok(size) = usize::try_from(size) {
        block.bytes.resize(size.max(block.bytes.len()), fill);
    }
}
