//! The file is written: pieces with their relocations applied, and the format's tables between them.
//!
//! Takes the final layout; gives bytes, in the order of the file. Relocation values are checked against
//! what their fields can hold; whatever does not fit is told for all of them.

use std::borrow::Cow;
use std::ops::Range;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::arch::{self, Operand, ThreadPointer, Via};
use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::layout::{LaidOutSection, LoadRelocation, Piece};
use crate::format::output::{Output, cannot_write};
use crate::format::plan::Role;
use crate::format::{Format, Linked};
use crate::link::synthesize::{Synthesized, is_subtrahend};
use crate::program::{Contents, Relocation, Section, SectionId, SectionKind};
use crate::units::{Address, FileOffset};

/// The 4 KiB units that page-relative kinds count in, whatever the system's pages are.
const PAGE: i128 = 0x1000;

/// Writes everything but what depends on all other bytes.
///
/// # Errors
/// Values that their fields cannot hold; files that cannot be read; output that cannot be written.
///
/// # Panics
/// When what is in `linked` comes from the passes of another program.
#[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
pub fn write<F: Format>(
    synthesized: &Synthesized<'_>,
    linked: &Linked<'_, F>,
    output: &mut Output,
) -> Result<()> {
    let mut errors = Collector::default();
    output.reserve(linked.layout.file_size).map_err(|error| cannot_write(&error))?;
    let arch = arch::of(linked.layout.target.architecture);
    let mut writer = Writer {
        synthesized,
        linked,
        load_relocations: by_section(&linked.gathered.load_relocations),
        code_padding: arch.code_padding(),
        thread_pointer: arch.thread_pointer(),
        errors: &mut errors,
        output,
    };
    for section in linked.layout.sections() {
        if section.file_size.0 == 0 {
            continue;
        }
        writer.pad_to(section.offset, 0)?;
        match section.role {
            Role::Table(table) => {
                let bytes = F::write_table(linked, table);
                assert_eq!(bytes.len() as u64, section.file_size.0, "{} as sized", section.name);
                writer.append(&bytes)?;
            }
            _ => writer.write_pieces(section)?,
        }
    }
    writer.pad_to(FileOffset(linked.layout.file_size.0), 0)?;
    errors.into_result(())
}

/// For each section its load relocations: where they stand among all of them.
type BySection = IndexMap<SectionId, Range<usize>, FxBuildHasher>;

fn by_section(load_relocations: &[LoadRelocation]) -> BySection {
    let mut start = 0;
    load_relocations
        .chunk_by(|first, second| first.section == second.section)
        .map(|chunk| {
            let range = start..start + chunk.len();
            start = range.end;
            (chunk[0].section, range)
        })
        .collect()
}

struct Writer<'w, 'o, F: Format> {
    synthesized: &'w Synthesized<'w>,
    linked: &'w Linked<'w, F>,
    load_relocations: BySection,
    code_padding: u8,
    thread_pointer: ThreadPointer,
    errors: &'o mut Collector,
    output: &'o mut Output,
}

impl<F: Format> Writer<'_, '_, F> {
    fn pad_to(&mut self, offset: FileOffset, fill: u8) -> Result<()> {
        self.output.pad_to(offset, fill).map_err(|error| cannot_write(&error).into())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.append(bytes).map_err(|error| cannot_write(&error).into())
    }

    fn write_pieces(&mut self, section: &LaidOutSection) -> Result<()> {
        let is_code = matches!(section.role, Role::Kind(SectionKind::Code) | Role::Stubs);
        let fill = if is_code { self.code_padding } else { 0 };
        for piece in &section.pieces {
            self.pad_to(FileOffset(section.offset.0 + piece.offset.0), fill)?;
            self.write_piece(piece)?;
        }
        Ok(())
    }

    fn write_piece(&mut self, piece: &Piece) -> Result<()> {
        let section = self.synthesized.section(piece.section);
        match &section.contents {
            Contents::Bytes(bytes) if section.relocations.is_empty() => self.append(bytes),
            Contents::Bytes(bytes) => {
                let bytes = self.relocate(piece.section, section, bytes);
                self.append(&bytes)
            }
            Contents::Zeros(size) => {
                let start = self.output.position();
                self.pad_to(FileOffset(start.0 + size.0), 0)
            }
            Contents::File { path, offset, len } => {
                self.output.append_file(path, *offset, *len).map_err(|error| {
                    let message = format!("cannot copy {}: {error}", path.display());
                    let place = Place::Section { section: piece.section, offset: 0 };
                    Error::new(ErrorKind::File, message).at(place, "").into()
                })
            }
        }
    }

    fn relocate<'b>(
        &mut self,
        id: SectionId,
        section: &Section<'_>,
        bytes: &'b [u8],
    ) -> Cow<'b, [u8]> {
        let mut bytes = bytes.to_vec();
        let loaded = self.load_relocations.get(&id).cloned().unwrap_or_default();
        let mut relocations = section.relocations.iter().peekable();
        while let Some(relocation) = relocations.next() {
            let subtrahend = relocations.next_if(|next| is_subtrahend(relocation, next));
            let start =
                usize::try_from(relocation.offset).expect("synthesize has checked the field");
            let width = usize::try_from(relocation.kind.width()).expect("at most 8");
            let field = &mut bytes[start..start + width];
            if let Err(error) = self.apply(id, relocation, subtrahend, &loaded, field) {
                self.errors.push(error);
            }
        }
        bytes.into()
    }

    fn apply(
        &self,
        id: SectionId,
        relocation: &Relocation,
        subtrahend: Option<&Relocation>,
        loaded: &Range<usize>,
        field: &mut [u8],
    ) -> Result<(), Error> {
        let kind = relocation.kind;
        let error = |error_kind, what: String| {
            let section = &self.synthesized.section(id).name;
            let symbol = self.synthesized.symbol_name(relocation.symbol);
            let message = format!(
                "`{}` to `{symbol}` at {section}+{:#x}: {what}",
                kind.name(),
                relocation.offset
            );
            Error::new(error_kind, message)
                .at(Place::Section { section: id, offset: relocation.offset }, "")
        };

        let value = self.value(id, relocation, subtrahend);
        let granule = kind.granule(field).map_err(|wrong| {
            let what = format!("the instruction there is not {}", wrong.expected);
            error(ErrorKind::UnsupportedRelocation, what)
        })?;
        let interval = match subtrahend {
            // A difference may be below zero, or as large as the field.
            Some(subtrahend) => *subtrahend.kind.interval().start()..=*kind.interval().end(),
            None => kind.interval(),
        };
        if !interval.contains(&value) {
            let what = format!(
                "the value {} does not fit {}..={}",
                hex(value),
                hex(*interval.start()),
                hex(*interval.end())
            );
            return Err(error(ErrorKind::OutOfRange, what).value(value, interval));
        }
        // A power of two, as whatever fields count in; dividing 128 bits would take as long as all else here.
        if value & (i128::from(granule) - 1) != 0 {
            let what = format!("the value {} is no multiple of {granule}", hex(value));
            return Err(error(ErrorKind::Misaligned, what).value(value, interval));
        }
        kind.insert(field, self.value_in_file(relocation, loaded, value));
        Ok(())
    }

    /// What the file holds: the value, unless the loader will write there and wants something else. `loaded` are the
    /// load relocations of the section, by their indices.
    fn value_in_file(&self, relocation: &Relocation, loaded: &Range<usize>, value: i128) -> i128 {
        let of_section = &self.linked.gathered.load_relocations[loaded.clone()];
        match of_section.binary_search_by_key(&relocation.offset, |load| load.offset) {
            Ok(index) => {
                let address = u64::try_from(value).unwrap_or(0);
                F::load_value(self.linked, loaded.start + index, address).into()
            }
            Err(_) => value,
        }
    }

    /// What the field is to hold. S + A and P are below 2^65, so 128 bits hold every sum.
    fn value(
        &self,
        id: SectionId,
        relocation: &Relocation,
        subtrahend: Option<&Relocation>,
    ) -> i128 {
        let target = |relocation: &Relocation| {
            let symbol = match relocation.kind.via() {
                Via::Direct => self.linked.layout.symbol(relocation.symbol),
                Via::ThroughStub => match self.synthesized.stub(relocation.symbol) {
                    Some(stub) => self.place(stub),
                    None => self.linked.layout.symbol(relocation.symbol),
                },
                via => {
                    let slot = self.synthesized.slot(relocation.symbol, via);
                    self.place(slot.expect("each that is wanted was made"))
                }
            };
            i128::from(symbol.0) + i128::from(relocation.addend)
        };
        let target_address = target(relocation);
        let place = i128::from(self.linked.layout.section_address(id).0 + relocation.offset);
        match relocation.kind.operand() {
            Operand::Address => target_address - subtrahend.map_or(0, target),
            Operand::Relative => target_address - place,
            Operand::Page => (target_address & !(PAGE - 1)) - (place & !(PAGE - 1)),
            Operand::PageOffset => target_address & (PAGE - 1),
            Operand::ImageRelative => target_address - i128::from(self.linked.layout.image_base.0),
            Operand::ThreadPointer => {
                let template = self.linked.layout.template();
                let thread_pointer = self.thread_pointer;
                target_address
                    - template.map_or(0, |template| template.thread_pointer(thread_pointer))
            }
            Operand::Template => {
                let template = self.linked.layout.template();
                target_address - template.map_or(0, |template| template.start.0.into())
            }
            Operand::Subtract => unreachable!("synthesize refuses a subtraction on its own"),
        }
    }

    fn place(&self, (section, offset): (SectionId, u64)) -> Address {
        Address(self.linked.layout.section_address(section).0 + offset)
    }
}

fn hex(value: i128) -> String {
    if value < 0 { format!("-{:#x}", -value) } else { format!("{value:#x}") }
}
