//! Draws where everything of a program lies, in the file and in memory: `cargo run --example layout -- TARGET`.
//!
//! No file is made: a layout is a product of its own, with the reason for every gap.

use std::fmt::Write;
use std::process::ExitCode;

use minild::format::layout::{Gap, Layout, Segment};
use minild::program::{Program, Section, SectionKind};
use minild::{Errors, Options, Size, Target, arch};

/// How wide the boxes are inside.
const WIDTH: usize = 44;

/// A program with a bit of everything.
pub(crate) fn program(target: Target) -> Program<'static> {
    let mut program = Program::new(target);
    let text = program.add_section(Section::new("text", SectionKind::ReadOnly, b"Hello, world!\n"));
    let text = program.define("text", text, 0, 14);
    let pointer = program.add_section(Section::new("pointer", SectionKind::ReadOnly, &[0; 8]));
    program.relocate(pointer, 0, arch::of(target.architecture).pointer(), text, 0);
    program.add_section(Section::new("counter", SectionKind::Data, &[1, 0, 0, 0]));
    program.add_section(Section::bss("buffer", Size(1 << 20)));
    let code = program.add_section(Section::new("start", SectionKind::Code, &[0; 40]));
    program.entry = Some(program.define("start", code, 0, 40));
    program
}

/// The drawing: a box a segment, memory to the left, the file to the right.
pub(crate) fn draw(program: &Program<'_>) -> Result<String, Errors> {
    let layout = minild::layout(program, &Options::default())?;
    let mut drawing = String::new();
    let entry = layout.entry.map_or(String::new(), |entry| format!(", entry at {entry}"));
    line(
        &mut drawing,
        format_args!(
            "{}: {} bytes of file, {} bytes of memory{entry}",
            layout.target,
            layout.file_size.0,
            layout.memory_size().0
        ),
    );
    for segment in &layout.segments {
        draw_segment(&mut drawing, program, &layout, segment);
    }
    Ok(drawing)
}

fn draw_segment(drawing: &mut String, program: &Program<'_>, layout: &Layout, segment: &Segment) {
    if let Some(first) = segment.sections.first() {
        gap(drawing, first.gap);
    }
    let title = if segment.mapped {
        format!(" {} {} ", segment.name, segment.permissions)
    } else {
        format!(" {} ", segment.name)
    };
    line(drawing, format_args!("{:>14} ┌{title:─<WIDTH$}┐", ""));
    for (index, section) in segment.sections.iter().enumerate() {
        if index > 0 {
            inner_gap(drawing, section.gap);
        }
        let address = if segment.mapped { section.address.to_string() } else { "-".into() };
        let offset = if section.file_size == Size::ZERO {
            "no bytes".into()
        } else {
            section.offset.to_string()
        };
        let what = format!(" {} ", section.name);
        let size = format!("{} ", section.size);
        row(drawing, &address, &what, &size, &offset);
        for piece in &section.pieces {
            let made = layout.made_name(piece.section);
            let name = made.unwrap_or_else(|| &program.section(piece.section).name);
            let what = format!("   + {} {name}", piece.offset);
            row(drawing, "", &what, &format!("{} ", piece.size), "");
        }
    }
    let end = if segment.mapped {
        segment.address.checked_add(segment.size).map_or(String::new(), |end| end.to_string())
    } else {
        String::new()
    };
    line(drawing, format_args!("{end:>14} └{:─<WIDTH$}┘", ""));
}

fn row(drawing: &mut String, address: &str, what: &str, size: &str, offset: &str) {
    let room = WIDTH.saturating_sub(size.chars().count());
    line(drawing, format_args!("{address:>14} │{what:<room$}{size}│ {offset}"));
}

fn gap(drawing: &mut String, gap: Gap) {
    if gap.size > Size::ZERO {
        line(drawing, format_args!("{:>14} ⋮ {} bytes: {}", "", gap.size, gap.reason));
    }
}

fn inner_gap(drawing: &mut String, gap: Gap) {
    if gap.size > Size::ZERO {
        row(drawing, "", &format!(" ⋮ {}", gap.reason), &format!("{} ", gap.size), "");
    }
}

fn line(drawing: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(drawing, "{}", text.to_string().trim_end()).expect("a string takes everything");
}

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_else(|| "x86_64-linux".into());
    let Ok(target) = name.parse() else {
        eprintln!("usage: layout TARGET");
        return ExitCode::from(2);
    };
    match draw(&program(target)) {
        Ok(drawing) => {
            print!("{drawing}");
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
}
