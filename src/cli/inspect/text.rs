//! The view as text for people: each number with what it means.

use std::fmt::Write as _;
use std::io::{self, Write};

use minild::view::demangle::demangle;
use minild::view::disassemble::{Disassembly, Line};
use minild::view::inspect::{Field, Image, Inspection, Record, Value};
use minild::view::reader::{Damage, Name};

use crate::cli::print;
use crate::cli::table::{Side, stream};

/// A longer text is cut: names of files need not have an end.
const LONGEST: usize = 1000;
/// Nor may one in the midst of a line push all others away.
const COLUMN: usize = 80;
/// More bytes of a field are counted, not shown.
const BYTES: usize = 32;

/// Writes what was asked for, image by image, of the file that people read `name` for.
pub(super) fn write(
    out: &mut dyn Write,
    name: &str,
    file: &Inspection<'_>,
    is_overview: bool,
    code: &[Disassembly<'_>],
) -> io::Result<()> {
    if !file.headers.is_empty() {
        let images = match file.images.len() {
            1 => "1 image".to_owned(),
            count => format!("{count} images"),
        };
        writeln!(out, "{name}: universal Mach-O file of {images}, {}", bytes(file.size))?;
        fields(out, &file.headers)?;
        damage(out, &file.damage)?;
        writeln!(out)?;
    }
    for (index, image) in file.images.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        self::image(out, name, image, is_overview)?;
    }
    for code in code {
        disassembly(out, code)?;
    }
    Ok(())
}

fn image(out: &mut dyn Write, name: &str, image: &Image<'_>, is_overview: bool) -> io::Result<()> {
    let at = if image.offset == 0 { String::new() } else { format!(" at {:#x}", image.offset) };
    writeln!(
        out,
        "{name}: {} {} for {}{at}, {}",
        image.format,
        image.kind,
        image.architecture,
        bytes(image.size)
    )?;
    summary(out, image)?;
    let empty = if is_overview { Empty::Nothing } else { Empty::None };
    records(out, "headers", image.headers.as_deref(), empty)?;
    segments(out, image, empty)?;
    sections(out, image, empty)?;
    symbols(out, image, empty)?;
    libraries(out, image, empty)?;
    imports(out, image, empty)?;
    exports(out, image, empty)?;
    relocations(out, image, empty)?;
    records(out, "signature", image.signature.as_deref(), empty)?;
    records(out, "notes", image.notes.as_deref(), empty)?;
    records(out, "thread-local storage", image.tls.as_deref(), empty)?;
    unwind(out, image, empty)?;
    if is_overview {
        rest(out, image)?;
    }
    damage(out, &image.damage)
}

/// What stands for a part of which there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    /// An overview shows what there is.
    Nothing,
    /// Who asked for it is told: `exports: none`.
    None,
}

/// The entries of a part under its title, if it is shown and has any.
fn part<'p, T>(
    out: &mut dyn Write,
    title: &str,
    part: Option<&'p [T]>,
    empty: Empty,
) -> io::Result<Option<&'p [T]>> {
    match part {
        None => Ok(None),
        Some([]) => {
            if empty == Empty::None {
                writeln!(out, "\n{title}: none")?;
            }
            Ok(None)
        }
        Some(entries) => {
            writeln!(out, "\n{title}")?;
            Ok(Some(entries))
        }
    }
}

/// What there is once of each.
fn summary(out: &mut dyn Write, image: &Image<'_>) -> io::Result<()> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String, meaning: &str| {
        rows.push([format!("  {name}"), value, meaning.to_owned()]);
    };
    if let Some(system) = &image.system {
        row("system", system.to_string(), "");
    }
    for field in &image.versions {
        row(&field.name, value(&field.value), &field.meaning);
    }
    if let Some(entry) = image.entry {
        row("entry", format!("{entry:#x}"), "");
    }
    if let Some(base) = image.base {
        row("base", format!("{base:#x}"), "");
    }
    if let Some(interpreter) = &image.interpreter {
        row("loaded by", cut(interpreter, COLUMN), "");
    }
    for identity in &image.identity {
        row(identity.kind, cut(&identity.value, COLUMN), "");
    }
    plain(out, &rows)
}

/// How much there is of what an overview leaves out.
fn rest(out: &mut dyn Write, image: &Image<'_>) -> io::Result<()> {
    let counts = image.counts;
    let parts = [
        (counts.symbols, "symbols"),
        (counts.imports, "imports"),
        (counts.exports, "exports"),
        (counts.relocations, "relocations"),
        (counts.notes, "notes"),
        (counts.unwind, "unwind"),
    ];
    let there: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, part)| format!("{} (--{part})", print::grouped(*count as u64)))
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nmore: {}", there.join(", "))
}

fn segments(out: &mut dyn Write, image: &Image<'_>, empty: Empty) -> io::Result<()> {
    let Some(segments) = part(out, "segments", image.segments.as_deref(), empty)? else {
        return Ok(());
    };
    let columns = [
        ("  name", Side::Left),
        ("access", Side::Left),
        ("address", Side::Right),
        ("memory", Side::Right),
        ("offset", Side::Right),
        ("file", Side::Right),
        ("align", Side::Right),
        ("what", Side::Left),
    ];
    stream(out, columns, || {
        segments.iter().map(|segment| {
            let greatest = segment.greatest.filter(|greatest| *greatest != segment.permissions);
            let greatest = greatest.map_or_else(String::new, |most| format!(", at most {most}"));
            let flags = if segment.flags.is_empty() {
                String::new()
            } else {
                format!(" ({})", segment.flags)
            };
            [
                format!("  {}", cut(&segment.name, COLUMN)),
                segment.permissions.to_string(),
                hex(segment.address),
                hex(segment.size),
                hex(segment.offset),
                hex(segment.file_size),
                segment.align.map_or_else(|| "-".to_owned(), hex),
                format!("{}{flags}{greatest}", segment.meaning),
            ]
        })
    })
}

fn sections(out: &mut dyn Write, image: &Image<'_>, empty: Empty) -> io::Result<()> {
    let Some(sections) = part(out, "sections", image.sections.as_deref(), empty)? else {
        return Ok(());
    };
    let columns = [
        ("  #", Side::Right),
        ("name", Side::Left),
        ("type", Side::Left),
        ("address", Side::Right),
        ("size", Side::Right),
        ("offset", Side::Right),
        ("file", Side::Right),
        ("align", Side::Right),
        ("flags", Side::Left),
    ];
    stream(out, columns, || {
        sections.iter().map(|section| {
            let segment = section.segment.as_ref();
            let name = segment.map_or_else(
                || cut(&section.name, COLUMN),
                |segment| format!("{},{}", cut(segment, COLUMN), cut(&section.name, COLUMN)),
            );
            [
                format!("  {}", section.index),
                name,
                section.kind.clone(),
                hex(section.address),
                hex(section.size),
                section.offset.map_or_else(|| "-".to_owned(), hex),
                hex(section.file_size),
                section.align.to_string(),
                section.flags.clone(),
            ]
        })
    })
}

fn symbols(out: &mut dyn Write, image: &Image<'_>, empty: Empty) -> io::Result<()> {
    let Some(symbols) = part(out, "symbols", image.symbols.as_deref(), empty)? else {
        return Ok(());
    };
    let columns = [
        ("  table", Side::Left),
        ("#", Side::Right),
        ("value", Side::Right),
        ("size", Side::Right),
        ("kind", Side::Left),
        ("binding", Side::Left),
        ("in", Side::Left),
        ("name", Side::Left),
    ];
    stream(out, columns, || {
        symbols.iter().map(|symbol| {
            let mut binding = symbol.binding.to_string();
            if !["", "default"].contains(&&*symbol.visibility) {
                let _ = write!(binding, " {}", symbol.visibility);
            }
            let place = match symbol.section {
                Some(section) => format!("#{section}"),
                None => symbol.place.to_string(),
            };
            let mut name = source_name(&symbol.name);
            if let Some(version) = &symbol.version {
                let _ = write!(name, "@{}", cut(version, COLUMN));
            }
            [
                format!("  {}", symbol.table),
                symbol.index.to_string(),
                hex(symbol.value),
                hex(symbol.size),
                symbol.kind.to_string(),
                binding,
                place,
                name,
            ]
        })
    })
}

fn libraries(out: &mut dyn Write, image: &Image<'_>, empty: Empty) -> io::Result<()> {
    let all = image.libraries.as_deref();
    let Some(libraries) = part(out, "libraries", all, empty)? else { return Ok(()) };
    let columns = [("  how", Side::Left), ("name", Side::Left), ("version", Side::Left)];
    stream(out, columns, || {
        libraries.iter().map(|library| {
            let version = cut(&library.version, COLUMN);
            [format!("  {}", library.kind), cut(&library.name, COLUMN), version]
        })
    })
}

fn imports(out: &mut dyn Write, image: &Image<'_>, empty: Empty) -> io::Result<()> {
    let Some(imports) = part(out, "imports", image.imports.as_deref(), empty)? else {
        return Ok(());
    };
    let columns = [("  slot", Side::Right), ("library", Side::Left), ("name", Side::Left)];
    stream(out, columns, || {
        imports.iter().map(|import| {
            let mut name = match import.ordinal {
                Some(ordinal) => format!("#{ordinal}"),
                None => source_name(&import.name),
            };
            if let Some(version) = &import.version {
                let _ = write!(name, "@{}", cut(version, COLUMN));
            }
            if import.weak {
                name.push_str(" (weak)");
            }
            let library =
                import.library.as_ref().map_or_else(|| "-".to_owned(), |name| cut(name, COLUMN));
            [format!("  {}", import.slot.map_or_else(|| "-".to_owned(), hex)), library, name]
        })
    })
}

fn exports(out: &mut dyn Write, image: &Image<'_>, empty: Empty) -> io::Result<()> {
    let Some(exports) = part(out, "exports", image.exports.as_deref(), empty)? else {
        return Ok(());
    };
    let columns = [("  address", Side::Right), ("#", Side::Right), ("name", Side::Left)];
    stream(out, columns, || {
        exports.iter().map(|export| {
            let mut name = source_name(&export.name);
            if let Some(version) = &export.version {
                let _ = write!(name, "@{}", cut(version, COLUMN));
            }
            if let Some(forward) = &export.forward {
                let _ = write!(name, " → {}", cut(forward, LONGEST));
            }
            if !export.flags.is_empty() {
                let _ = write!(name, " ({})", export.flags);
            }
            [
                format!("  {}", export.address.map_or_else(|| "-".to_owned(), hex)),
                export.ordinal.map_or_else(String::new, |ordinal| ordinal.to_string()),
                name,
            ]
        })
    })
}

fn relocations(out: &mut dyn Write, image: &Image<'_>, empty: Empty) -> io::Result<()> {
    let all = image.relocations.as_deref();
    let Some(relocations) = part(out, "relocations", all, empty)? else { return Ok(()) };
    let columns = [
        ("  table", Side::Left),
        ("place", Side::Right),
        ("kind", Side::Left),
        ("value", Side::Left),
    ];
    stream(out, columns, || {
        relocations.iter().map(|relocation| {
            let symbol = relocation.symbol.as_ref().map(source_name);
            let mut value = match (symbol, relocation.addend) {
                (Some(symbol), None | Some(0)) => symbol,
                (Some(symbol), Some(addend)) if addend < 0 => {
                    format!("{symbol}-{:#x}", addend.unsigned_abs())
                }
                (Some(symbol), Some(addend)) => format!("{symbol}+{addend:#x}"),
                (None, Some(addend)) => format!("{addend:#x}"),
                (None, None) => String::new(),
            };
            if let Some(library) = &relocation.library {
                let _ = write!(value, " of {}", cut(library, COLUMN));
            }
            let table = cut(&relocation.table, COLUMN);
            [format!("  {table}"), hex(relocation.place), relocation.kind.to_string(), value]
        })
    })
}

fn unwind(out: &mut dyn Write, image: &Image<'_>, empty: Empty) -> io::Result<()> {
    let all = image.unwind.as_deref();
    let Some(functions) = part(out, "unwind", all, empty)? else { return Ok(()) };
    let columns = [
        ("  start", Side::Right),
        ("end", Side::Right),
        ("description", Side::Right),
        ("what", Side::Left),
    ];
    let optional = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), hex);
    stream(out, columns, || {
        functions.iter().map(|function| {
            [
                format!("  {:#x}", function.start),
                optional(function.end),
                optional(function.description),
                function.summary.clone(),
            ]
        })
    })
}

/// Structures, field by field.
fn records(
    out: &mut dyn Write,
    title: &str,
    all: Option<&[Record<'_>]>,
    empty: Empty,
) -> io::Result<()> {
    let Some(records) = part(out, title, all, empty)? else { return Ok(()) };
    fields(out, records)
}

fn fields(out: &mut dyn Write, records: &[Record<'_>]) -> io::Result<()> {
    for record in records {
        match record.offset {
            Some(offset) => writeln!(out, "  {} at {offset:#x}", record.name)?,
            None => writeln!(out, "  {}", record.name)?,
        }
        let row = |field: &Field<'_>| {
            let name = cut(&Name::new(field.name.as_bytes()), COLUMN);
            let meaning = cut(&Name::new(field.meaning.as_bytes()), LONGEST);
            [format!("    {name}"), value(&field.value), meaning]
        };
        let rows: Vec<_> = record.fields.iter().map(row).collect();
        plain(out, &rows)?;
    }
    Ok(())
}

fn damage(out: &mut dyn Write, damage: &[Damage]) -> io::Result<()> {
    if damage.is_empty() {
        return Ok(());
    }
    writeln!(out, "\ndamage")?;
    for damage in damage {
        writeln!(out, "  {}", cut(&Name::new(damage.to_string().as_bytes()), LONGEST))?;
    }
    Ok(())
}

fn disassembly(out: &mut dyn Write, code: &Disassembly<'_>) -> io::Result<()> {
    let mut lines = code.lines().peekable();
    if lines.peek().is_none() {
        return writeln!(out, "\ncode: none");
    }
    for line in lines {
        match line {
            Line::Section { name, address } => {
                writeln!(out, "\ncode of {} at {address:#x}", cut(&name, COLUMN))?;
            }
            Line::Label { name, .. } => writeln!(out, "{}:", source_name(&name))?,
            Line::Instruction { address, bytes, text, target } => {
                let line = format!("  {address:>8x}  {bytes:<20}  {text}");
                if target.is_empty() {
                    writeln!(out, "{line}")?;
                } else {
                    writeln!(out, "{line:<64}  ; {}", cut(&Name::new(target.as_bytes()), LONGEST))?;
                }
            }
        }
    }
    Ok(())
}

/// Rows without a heading: words, not numbers, so each column from its left.
fn plain<const N: usize>(out: &mut dyn Write, rows: &[[String; N]]) -> io::Result<()> {
    let mut widths = [0; N];
    for row in rows {
        for (width, text) in widths.iter_mut().zip(row) {
            // A long one does not push all others away.
            *width = (*width).max(text.chars().count().min(40));
        }
    }
    for row in rows {
        let mut line = String::new();
        for (text, &width) in row.iter().zip(&widths) {
            let _ = write!(line, "{text:<width$}  ");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn bytes(count: u64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{} bytes", print::grouped(count)) }
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

fn value(value: &Value<'_>) -> String {
    match value {
        Value::Hex(number) => hex(*number),
        Value::Count(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Text(text) => cut(text, LONGEST),
        Value::Bytes(bytes) => {
            let mut text = String::new();
            for byte in bytes.iter().take(BYTES) {
                let _ = write!(text, "{byte:02x}");
            }
            if bytes.len() > BYTES {
                let _ = write!(text, "… ({} bytes)", bytes.len());
            }
            text
        }
    }
}

/// A name as it stood in the source, where that is known.
fn source_name(name: &Name<'_>) -> String {
    match demangle(name.bytes()) {
        Some(source) => cut(&Name::from(source), LONGEST),
        None => cut(name, LONGEST),
    }
}

/// A name, or its start if it is overlong.
fn cut(name: &Name<'_>, longest: usize) -> String {
    let bytes = name.bytes();
    if bytes.len() <= longest {
        return name.to_string();
    }
    let start = Name::new(&bytes[..longest]);
    format!("{start}… ({} bytes)", bytes.len())
}
