//! `minild layout`: where everything goes in memory and in the file, and why there are gaps.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use minild::format::layout::{Gap, LaidOutSection, Piece, Segment};
use minild::program::SectionId;
use minild::view::reader::Name;
use minild::{Layout, Program};
use serde::Serialize;

use super::spec_file::SpecFile;
use super::table::{Side, Table};
use super::{Failure, Format, LinkArguments, PrintArguments, TargetArguments, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The spec; `-` reads it from standard input
    spec: PathBuf,
    #[command(flatten)]
    targets: TargetArguments,
    #[command(flatten)]
    link: LinkArguments,
    #[command(flatten)]
    pub(super) print: PrintArguments,
}

/// A layout as it is shown. Addresses, offsets and sizes are bytes.
#[derive(Serialize)]
struct Shown {
    target: &'static str,
    image_base: u64,
    page_size: u64,
    entry: Option<u64>,
    file_size: u64,
    memory_size: u64,
    segments: Vec<ShownSegment>,
}

#[derive(Serialize)]
struct ShownSegment {
    name: &'static str,
    permissions: String,
    mapped: bool,
    /// Whether it turns read-only once the program is relocated.
    relro: bool,
    address: u64,
    offset: u64,
    size: u64,
    file_size: u64,
    align: u64,
    sections: Vec<ShownSection>,
}

#[derive(Serialize)]
struct ShownSection {
    name: String,
    /// Absent where it is not in memory.
    address: Option<u64>,
    offset: u64,
    size: u64,
    file_size: u64,
    align: u64,
    gap: ShownGap,
    pieces: Vec<ShownPiece>,
}

#[derive(Serialize)]
struct ShownPiece {
    name: String,
    /// Whether the link made it.
    made: bool,
    address: u64,
    /// Absent where it takes no bytes of the file.
    offset: Option<u64>,
    size: u64,
    align: u64,
    gap: ShownGap,
}

/// What lies before something.
#[derive(Serialize)]
struct ShownGap {
    size: u64,
    /// Empty where there is none.
    reason: String,
}

impl ShownGap {
    fn new(gap: Gap) -> Self {
        Self { size: gap.size.0, reason: gap.reason.to_string() }
    }

    /// For a column of text.
    fn text(&self) -> String {
        if self.size == 0 { String::new() } else { format!("{:#x}: {}", self.size, self.reason) }
    }
}

pub(super) fn layout(arguments: &Arguments) -> Result<ExitCode, Failure> {
    #[derive(Serialize)]
    struct Document {
        layouts: Vec<Shown>,
    }
    let file = SpecFile::read(&arguments.spec)?;
    let targets = file.targets(&arguments.targets)?;
    let options = arguments.link.options();
    let layouts = file.link(&targets, |_, program| {
        let layout = minild::layout(program, &options)?;
        Ok(shown(program, &layout))
    })?;
    match arguments.print.format {
        Format::Json => print::json(&Document { layouts })?,
        Format::Text => {
            let texts: Vec<_> =
                layouts.iter().map(|layout| text(&file.source.shown(), layout)).collect();
            print::text(&texts.join("\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(program: &Program<'_>, layout: &Layout) -> Shown {
    Shown {
        target: layout.target.name(),
        image_base: layout.image_base.0,
        page_size: layout.page_size.get(),
        entry: layout.entry.map(|entry| entry.0),
        file_size: layout.file_size.0,
        memory_size: layout.memory_size().0,
        segments: layout
            .segments
            .iter()
            .map(|segment| shown_segment(program, layout, segment))
            .collect(),
    }
}

fn shown_segment(program: &Program<'_>, layout: &Layout, segment: &Segment) -> ShownSegment {
    let shown = |section: &LaidOutSection| ShownSection {
        name: section.name.to_string(),
        address: segment.mapped.then_some(section.address.0),
        offset: section.offset.0,
        size: section.size.0,
        file_size: section.file_size.0,
        align: section.align.get(),
        gap: ShownGap::new(section.gap),
        pieces: section
            .pieces
            .iter()
            .map(|piece| shown_piece(program, layout, section, piece))
            .collect(),
    };
    ShownSegment {
        name: segment.name,
        permissions: segment.permissions.to_string(),
        mapped: segment.mapped,
        relro: segment.relro,
        address: segment.address.0,
        offset: segment.offset.0,
        size: segment.size.0,
        file_size: segment.file_size.0,
        align: segment.align.get(),
        sections: segment.sections.iter().map(shown).collect(),
    }
}

fn shown_piece(
    program: &Program<'_>,
    layout: &Layout,
    section: &LaidOutSection,
    piece: &Piece,
) -> ShownPiece {
    ShownPiece {
        name: piece_name(program, layout, piece.section),
        made: layout.made_name(piece.section).is_some(),
        address: section.address.0 + piece.offset.0,
        offset: (section.file_size.0 > 0).then_some(section.offset.0 + piece.offset.0),
        size: piece.size.0,
        align: piece.align.get(),
        gap: ShownGap::new(piece.gap),
    }
}

fn piece_name(program: &Program<'_>, layout: &Layout, section: SectionId) -> String {
    match layout.made_name(section) {
        Some(name) => name.to_owned(),
        None => program.section(section).name.to_string(),
    }
}

fn text(name: &Name<'_>, layout: &Shown) -> String {
    let mut text = format!(
        "{name} for {}: {} bytes of file, {} bytes of memory in pages of {} KiB, {}\n\n",
        layout.target,
        print::grouped(layout.file_size),
        print::grouped(layout.memory_size),
        layout.page_size / 1024,
        layout.entry.map_or("no entry".to_owned(), |entry| format!("entry at {entry:#x}")),
    );
    let mut table = Table::new([
        ("address", Side::Right),
        ("offset", Side::Right),
        ("size", Side::Right),
        ("what", Side::Left),
        ("gap before it", Side::Left),
    ]);
    let hex = |number: u64| format!("{number:#x}");
    let optional = |number: Option<u64>| number.map_or("-".to_owned(), hex);
    for segment in &layout.segments {
        let mut title = segment.name.to_owned();
        // Writing to a string cannot fail.
        let _ = match (segment.mapped, segment.relro) {
            (true, true) => write!(title, " ({}, r-- once relocated)", segment.permissions),
            (true, false) => write!(title, " ({})", segment.permissions),
            (false, _) => Ok(()),
        };
        table.row([
            optional(segment.mapped.then_some(segment.address)),
            hex(segment.offset),
            hex(segment.size),
            title,
            String::new(),
        ]);
        for section in &segment.sections {
            table.row([
                optional(section.address),
                optional((section.file_size > 0).then_some(section.offset)),
                hex(section.size),
                format!("  {}", section.name),
                section.gap.text(),
            ]);
            for piece in &section.pieces {
                let made = if piece.made { " (made by the link)" } else { "" };
                table.row([
                    hex(piece.address),
                    optional(piece.offset),
                    hex(piece.size),
                    format!("    {}{made}", piece.name),
                    piece.gap.text(),
                ]);
            }
        }
    }
    text.push_str(&table.render());
    text
}
