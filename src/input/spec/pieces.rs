//! Pieces: items with their bytes, for one target.

use std::borrow::Cow;
use std::path::PathBuf;

#[cfg(feature = "asm")]
use super::asm;
use super::block::Block;
use super::data::Contents;
use super::document::list;
use super::hex::{Purpose, assemble};
use super::item::{Group, View, fill_up};
use super::names::Names;
use crate::arch::Arch;
use crate::error::{Collector, Error, ErrorKind, Place};
use crate::program::SectionKind;
use crate::units::Align;

/// How many bytes minild fills in memory for one item. More is no file that anybody wants, and would not
/// be a mistake that a machine can bear.
pub(super) const MOST_FILLED: u64 = 1 << 28;

/// An item with its bytes.
pub(super) struct Piece<'s> {
    /// Its key in its group's table.
    pub(super) item: &'s str,
    /// What its symbol is called, if it has one.
    pub(super) name: &'s str,
    pub(super) group: &'static Group,
    pub(super) view: View<'s>,
    pub(super) body: Body<'s>,
}

/// The bytes of an item.
pub(super) enum Body<'s> {
    Block(Cow<'s, Block>),
    File { path: PathBuf, len: u64 },
    Zeros(u64),
}

impl Body<'_> {
    /// How many bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Block(block) => block.len(),
            Self::File { len, .. } | Self::Zeros(len) => *len,
        }
    }

    /// What it holds in memory.
    pub(super) fn block(&self) -> Option<&Block> {
        match self {
            Self::Block(block) => Some(block),
            _ => None,
        }
    }
}

impl Piece<'_> {
    /// Whether its name is a symbol. Code is named by its labels; a file has none.
    pub(super) fn is_symbol(&self) -> bool {
        self.group.kind != SectionKind::Code || matches!(self.body, Body::File { .. })
    }

    /// What it is for: of thread-local variables, those that start as zeros are apart.
    pub(super) fn kind(&self) -> SectionKind {
        match (self.group.kind, &self.body) {
            (SectionKind::TlsData, Body::Zeros(_)) => SectionKind::TlsBss,
            (kind, _) => kind,
        }
    }

    /// What its address is a multiple of.
    pub(super) fn align(&self) -> Align {
        let said = self.view.align.map_or(Align::WORD, |align| align.value);
        let needed = self.body.block().and_then(|block| block.align);
        needed.map_or(said, |needed| needed.max(said))
    }
}

/// Gives items their bytes.
pub(super) struct Bodies<'e> {
    pub(super) arch: &'static Arch,
    /// The numbers that assembler text can use.
    #[cfg_attr(not(feature = "asm"), expect(dead_code))]
    pub(super) names: &'e Names,
    pub(super) errors: &'e mut Collector,
}

impl Bodies<'_> {
    /// What `view` says that the item `name` of `group` holds.
    pub(super) fn item<'s>(
        &mut self,
        name: &str,
        group: &Group,
        view: &View<'s>,
    ) -> Option<Body<'s>> {
        if view.contents.is_none() && view.size.is_none() {
            if view.is_wrong {
                return None;
            }
            let message = format!("`{}.{name}` does not say what it holds", group.name);
            let keys = list(group.contents_keys());
            self.errors.push(
                Error::new(ErrorKind::Missing, message)
                    .at(Place::Text(view.span.clone()), "")
                    .help(format!("it can have {keys}")),
            );
            return None;
        }
        let purpose = match group.kind {
            SectionKind::Code => Purpose::Code,
            _ => Purpose::Data,
        };
        self.body(view, purpose)
    }

    fn body<'s>(&mut self, view: &View<'s>, purpose: Purpose) -> Option<Body<'s>> {
        let contents = match view.contents {
            None => None,
            // What is wrong with it was told when it was read.
            Some(said) => Some((said, said.value.as_ref()?)),
        };
        let fill = view.fill.map_or(0, |fill| fill.value);
        let Some(size) = view.size else {
            if let Some(fill) = view.fill.filter(|_| !view.is_wrong) {
                self.errors.push(
                    Error::new(ErrorKind::Missing, "`fill` without `size` fills nothing")
                        .at(Place::Text(fill.span.clone()), ""),
                );
            }
            return Some(self.contents(contents?.1, purpose));
        };
        let mut block = match contents {
            None if fill == 0 => return Some(Body::Zeros(size.value)),
            None => Block::default(),
            Some((said, contents)) => match self.contents(contents, purpose) {
                Body::Block(block) => block.into_owned(),
                Body::File { .. } | Body::Zeros(_) => {
                    let error =
                        Error::new(ErrorKind::Conflict, "the size of a `file` is the file's")
                            .at(Place::Text(size.span.clone()), "")
                            .at(Place::Text(said.key_span.clone()), "the file");
                    self.errors.push(error);
                    return None;
                }
            },
        };
        if block.len() > size.value {
            let message = format!("{} bytes do not fit a size of {}", block.len(), size.value);
            let mut error =
                Error::new(ErrorKind::OutOfRange, message).at(Place::Text(size.span.clone()), "");
            if let Some((said, _)) = contents {
                error = error.at(Place::Text(said.span.clone()), "these bytes");
            }
            self.errors.push(error.value(size.value.into(), block.len().into()..=u64::MAX.into()));
        } else if size.value > MOST_FILLED {
            let message =
                format!("{} bytes are too many to be filled: at most {MOST_FILLED}", size.value);
            let error = Error::new(ErrorKind::TooLarge, message)
                .at(Place::Text(size.span.clone()), "")
                .value(size.value.into(), 0..=MOST_FILLED.into());
            self.errors.push(error.help("zeros cost nothing in `bss`"));
        } else {
            fill_up(&mut block, size.value, fill);
        }
        Some(Body::Block(Cow::Owned(block)))
    }

    fn contents<'s>(&mut self, contents: &'s Contents, purpose: Purpose) -> Body<'s> {
        match contents {
            Contents::Block(block) => Body::Block(Cow::Borrowed(block)),
            Contents::Hex(hex) => {
                Body::Block(Cow::Owned(assemble(hex, self.arch, purpose, self.errors)))
            }
            #[cfg(feature = "asm")]
            Contents::Asm(asm) => {
                Body::Block(Cow::Owned(asm::assemble(asm, self.arch, self.names, self.errors)))
            }
            Contents::File { path, len } => Body::File { path: path.clone(), len: *len },
            Contents::Fields(fields) => {
                let mut all = Block::default();
                for field in fields {
                    self.append_field(&mut all, &field.view(), purpose);
                }
                Body::Block(Cow::Owned(all))
            }
        }
    }

    fn append_field(&mut self, all: &mut Block, field: &View<'_>, purpose: Purpose) {
        if field.contents.is_none() && field.size.is_none() {
            if field.is_wrong {
                return;
            }
            let error = Error::new(ErrorKind::Missing, "this field holds nothing")
                .at(Place::Text(field.span.clone()), "");
            return self.errors.push(error.help("write it like { u32 = 1 }"));
        }
        match self.body(field, purpose) {
            Some(Body::Block(block)) => all.append(block.into_owned()),
            Some(Body::Zeros(size)) if size <= MOST_FILLED => {
                let end = all.len() + size;
                fill_up(all, end, 0);
            }
            Some(Body::Zeros(size)) => {
                let message =
                    format!("{size} bytes are too many to be filled: at most {MOST_FILLED}");
                let error = Error::new(ErrorKind::TooLarge, message)
                    .at(Place::Text(field.span.clone()), "")
                    .value(size.into(), 0..=MOST_FILLED.into());
                self.errors.push(error);
            }
            Some(Body::File { .. }) => unreachable!("`file` is no key of a field"),
            None => {}
        }
    }
}
