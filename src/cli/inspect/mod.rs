//! `minild inspect`: what an executable, a library or an object file consists of, whoever wrote it.

mod json;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use minild::view::disassemble::Disassembly;
use minild::view::inspect::{Inspection, Part, Parts, inspect};

use super::read_file::{name, read_file, shown};
use super::report::Report;
use super::{Failure, Format, PrintArguments, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file; `-` reads it from standard input, up to 1 GiB
    file: PathBuf,
    #[command(flatten)]
    parts: PartArguments,
    /// The machine code as text; of one symbol, if one is named
    #[arg(long, value_name = "SYMBOL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    disassemble: Option<String>,
    #[command(flatten)]
    pub(super) print: PrintArguments,
}

/// Which parts are shown.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct PartArguments {
    /// Headers and tables of the loader, field by field
    #[arg(long)]
    headers: bool,
    /// What is mapped, and with which protection
    #[arg(long)]
    segments: bool,
    /// What the file is divided into
    #[arg(long)]
    sections: bool,
    /// The symbol tables
    #[arg(long)]
    symbols: bool,
    /// Libraries, and what is taken from them
    #[arg(long)]
    imports: bool,
    /// What is offered to others
    #[arg(long)]
    exports: bool,
    /// What a linker or a loader writes into the file: relocations, fixups, binds
    #[arg(long)]
    relocations: bool,
    /// Signatures, and whether the pages fit
    #[arg(long)]
    signature: bool,
    /// Notes, build identity, the debug directory
    #[arg(long)]
    notes: bool,
    /// Thread-local storage
    #[arg(long)]
    tls: bool,
    /// How each function's frame is unwound
    #[arg(long)]
    unwind: bool,
    /// All of these
    #[arg(long)]
    all: bool,
}

impl PartArguments {
    /// The parts that were asked for; none where none was.
    fn parts(&self) -> Parts {
        if self.all {
            return Parts::ALL;
        }
        let asked = [
            self.headers,
            self.segments,
            self.sections,
            self.symbols,
            self.imports,
            self.exports,
            self.relocations,
            self.signature,
            self.notes,
            self.tls,
            self.unwind,
        ];
        let asked = Part::ALL.into_iter().zip(asked).filter(|(_, asked)| *asked);
        asked.fold(Parts::default(), |parts, (part, _)| parts.with(part))
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let name = name(&arguments.file);
    let asked = arguments.parts.parts();
    let is_overview = asked.is_empty() && arguments.disassemble.is_none();
    let parts = if is_overview { Parts::OVERVIEW } else { asked };
    let wrong = |error: minild::Error| Failure::Report(Report::of_file(&name, error));
    let data = read_file(&arguments.file).map_err(wrong)?;
    let inspection = inspect(&data, parts).map_err(wrong)?;
    let whole = match arguments.disassemble {
        Some(_) => Some(inspect(&data, Disassembly::PARTS).map_err(wrong)?),
        None => None,
    };
    let only = arguments.disassemble.as_deref().filter(|only| !only.is_empty());
    let code = disassemblies(whole.as_ref(), &data, only).map_err(wrong)?;
    match arguments.print.format {
        Format::Json => {
            print::json(&json::Document::new(
                &name,
                &inspection,
                whole.is_some().then_some(&code),
            ))?;
        }
        Format::Text => print::lines(|out| {
            text::write(out, &shown(&arguments.file), &inspection, is_overview, &code)
        })?,
    }
    let is_whole = inspection.damage.is_empty()
        && inspection.images.iter().all(|image| image.damage.is_empty());
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The code of each image; where one symbol is asked for, of those that have it.
fn disassemblies<'i>(
    whole: Option<&'i Inspection<'_>>,
    data: &'i [u8],
    only: Option<&str>,
) -> Result<Vec<Disassembly<'i>>, minild::Error> {
    let images = whole.map_or(&[][..], |whole| &whole.images);
    let mut found = Vec::new();
    let mut first = None;
    for image in images {
        match Disassembly::new(image, data, only) {
            Ok(code) => found.push(code),
            Err(error) => _ = first.get_or_insert(error),
        }
    }
    match first {
        Some(error) if found.is_empty() || only.is_none() => Err(error),
        _ => Ok(found),
    }
}
