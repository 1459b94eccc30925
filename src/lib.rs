//! Turns machine code and data into executables.

pub mod arch;
pub mod error;
pub mod format;
pub mod input;
mod link;
pub mod program;
pub mod target;
pub mod units;

use std::path::Path;

pub use error::{Error, ErrorKind, Errors, Note, Place, Result};
pub use format::Options;
pub use format::layout::Layout;
pub use program::Program;
pub use target::{Architecture, OperatingSystem, Target};
pub use units::{Address, Align, FileOffset, Size};

use format::elf::Elf;
use format::macho::MachO;
use format::macho::universal::{self, Universal};
use format::output::{Output, Replacement, cannot_write};
use format::pe::Pe;
use format::{Format, Linked};

/// A linked program in memory.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file, byte for byte.
    pub bytes: Vec<u8>,
    /// Where everything lies in it.
    pub layout: Layout,
}

/// Links a program in memory.
///
/// # Errors
/// Everything that is wrong with the program, at once.
pub fn link(program: &Program<'_>, options: &Options) -> Result<Image> {
    let mut output = Output::memory();
    let layout = run(program, options, Some(&mut output))?;
    let bytes = output.finish().map_err(|error| cannot_write(&error))?;
    Ok(Image { bytes, layout })
}

/// Links a program into the file at `path`, which appears whole or not at all.
///
/// The bytes are written beside it under another name, made executable, and then renamed: a program that
/// runs from the old file keeps it, and an old file survives every error.
///
/// # Errors
/// Everything that is wrong with the program, at once; a folder that cannot be written to.
pub fn link_to(program: &Program<'_>, options: &Options, path: &Path) -> Result<Layout> {
    link_beside(program, options, path)?.put_in_place()
}

/// Links a program into a new file in the folder of `path`, which does not take that name yet: for who has
/// several files to write and wants all of them or none.
///
/// # Errors
/// As for [`link_to`].
pub fn link_beside<'p>(
    program: &Program<'_>,
    options: &Options,
    path: &'p Path,
) -> Result<Pending<'p>> {
    let replacement = Replacement::beside(path)?;
    let mut output = Output::file(replacement.open()?);
    let layout = run(program, options, Some(&mut output))?;
    output.finish().map_err(|error| cannot_write(&error))?;
    Ok(Pending { replacement, layout })
}

/// A linked program in a file that waits beside its place; dropped, it is as if it had never been.
#[derive(Debug)]
pub struct Pending<'p> {
    replacement: Replacement<'p>,
    layout: Layout,
}

impl Pending<'_> {
    /// Gives the file its name, in place of an old one.
    ///
    /// # Errors
    /// When the system does not let it be renamed.
    pub fn put_in_place(self) -> Result<Layout> {
        self.replacement.put_in_place()?;
        Ok(self.layout)
    }
}

/// Links programs for macOS, one an architecture, into one universal file in memory.
///
/// # Errors
/// None or two programs of one architecture, or one for another system; everything that is wrong with the
/// first program that has anything wrong with it: [`check()`] each first to know which.
pub fn link_universal(programs: &[Program<'_>], options: &Options) -> Result<Vec<u8>> {
    let mut output = Output::memory();
    run_universal(programs, options, &mut output)?;
    Ok(output.finish().map_err(|error| cannot_write(&error))?)
}

/// Links programs for macOS, one an architecture, into the universal file at `path`, which appears whole
/// or not at all, as with [`link_to`].
///
/// # Errors
/// As [`link_universal`]; a folder that cannot be written to.
pub fn link_universal_to(
    programs: &[Program<'_>],
    options: &Options,
    path: &Path,
) -> Result<Vec<Layout>> {
    let replacement = Replacement::beside(path)?;
    let mut output = Output::file(replacement.open()?);
    let layouts = run_universal(programs, options, &mut output)?;
    output.finish().map_err(|error| cannot_write(&error))?;
    replacement.put_in_place()?;
    Ok(layouts)
}

fn run_universal(
    programs: &[Program<'_>],
    options: &Options,
    output: &mut Output,
) -> Result<Vec<Layout>> {
    universal::check(programs)?;
    let layouts: Vec<_> =
        programs.iter().map(|program| layout(program, options)).collect::<Result<_>>()?;
    let universal = Universal::new(&layouts)?;
    output.append(&universal.header).map_err(|error| cannot_write(&error))?;
    for (program, offset) in programs.iter().zip(universal.offsets) {
        output.begin_slice(offset).map_err(|error| cannot_write(&error))?;
        run(program, options, Some(output))?;
    }
    Ok(layouts)
}

/// Lays a program out without writing it.
///
/// # Errors
/// Everything that is wrong with the program but values that do not fit their fields.
pub fn layout(program: &Program<'_>, options: &Options) -> Result<Layout> {
    run(program, options, None)
}

/// Does all that [`link()`] does, and keeps nothing of it.
///
/// # Errors
/// Everything that is wrong with the program, at once.
pub fn check(program: &Program<'_>, options: &Options) -> Result<()> {
    run(program, options, Some(&mut Output::nothing())).map(drop)
}

/// Links with the format that the program's target wants.
fn run(program: &Program<'_>, options: &Options, output: Option<&mut Output>) -> Result<Layout> {
    match program.target.operating_system {
        OperatingSystem::Linux => link_as::<Elf>(program, options, output),
        OperatingSystem::MacOs => link_as::<MachO>(program, options, output),
        OperatingSystem::Windows | OperatingSystem::Uefi => link_as::<Pe>(program, options, output),
    }
}

/// The whole linker, one line a pass. Without `output` it ends where the layout is known.
fn link_as<F: Format>(
    program: &Program<'_>,
    options: &Options,
    output: Option<&mut Output>,
) -> Result<Layout> {
    // Names meet first, since everything after asks what a name stands for; what the target cannot honour
    // is said with it, before anything is built on either. From here on every symbol has one definition.
    let resolved = error::both(F::check(program), link::resolve(program, F::loader(program)))?;

    // Every relocation is looked at once: it may want a slot, a place that turns read-only after loading,
    // or start-up code. From here on no section is added, and every load relocation is known.
    let synthesized = link::synthesize(&resolved, F::loader(program))?;

    // Sections meet in output sections, these in segments, as the format's loader wants them.
    // From here on the order in memory is final.
    let gathered = link::gather(&synthesized, F::plan(program))?;

    // Headers, symbols, strings: what they hold needs addresses, how large they are does not.
    let tables = F::size_tables(&gathered, options)?;

    // From here on every address is final: what is still missing comes last in memory.
    let body = link::lay_out_body::<F>(&synthesized, &gathered, &tables)?;

    // Base relocations, fixup chains: how large they are depends on where everything before them lies.
    // From here on every file offset is final too.
    let late = F::size_late_tables(&gathered, &tables, &body)?;
    let layout = link::lay_out_late::<F>(&gathered, body, &late)?;
    let Some(output) = output else { return Ok(layout) };

    // The file is written from its first byte to its last, relocations applied on the way.
    let linked = Linked::<F> { gathered: &gathered, tables: &tables, late: &late, layout: &layout };
    link::write(&synthesized, &linked, output)?;

    // What depends on all other bytes comes last: identity, signature.
    F::seal(&linked, options, output).map_err(|error| cannot_write(&error))?;
    Ok(layout)
}

/// The examples of README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
