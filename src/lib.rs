//! A linker to call: machine code and data go in, files that Linux, macOS, Windows and UEFI run come out, for
//! x86-64 and arm64, on any host, without an SDK or another linker.
//!
//! # The whole path
//!
//! A code generator has bytes, names, and places in the bytes where an address of something else belongs. That is a
//! [`Program`]; the rest is one call:
//!
//! ```
//! use minild::program::{Import, Program, Section, SectionKind};
//! use minild::{Options, Target, arch::x86_64};
//!
//! // What it is for.
//! let mut program = Program::new(Target::X86_64_WINDOWS);
//!
//! // What it takes of the system's libraries.
//! let library = program.library("kernel32.dll");
//! let exit = program.import("exit", Import::by_name(library, "ExitProcess"));
//!
//! // Its sections: bytes, and a kind that decides protection, place and name in each format.
//! let status = program.add_section(Section::new("status", SectionKind::ReadOnly, &[42, 0, 0, 0]));
//! let code = program.add_section(Section::new(
//!     "start",
//!     SectionKind::Code,
//!     b"\x48\x83\xec\x28\x8b\x0d\0\0\0\0\xe8\0\0\0\0", // sub rsp, 40; mov ecx, [rip + status]; call exit
//! ));
//!
//! // Its names, and which bytes depend on them: both fields end their instruction, so both count from 4 further on.
//! let status = program.define("status", status, 0, 4);
//! program.relocate(code, 6, x86_64::REL32, status, -4);
//! program.relocate(code, 11, x86_64::CALL32, exit, -4);
//! program.entry = Some(program.define("start", code, 0, 15));
//!
//! // The file, as bytes; `link_to` writes one, `layout` says where everything will lie.
//! let image = minild::link(&program, &Options::default())?;
//! assert!(image.bytes.starts_with(b"MZ"));
//! # assert!(minild::view::lint::lint(&image.bytes)?.findings.is_empty());
//! # Ok::<(), minild::Errors>(())
//! ```
//!
//! # The pages of this book
//!
//! | page | says |
//! |---|---|
//! | [`program`] | what a program is made of: sections, symbols, relocations, imports, exports, wishes |
//! | [`target`] | what it can be linked for |
//! | [`arch`] | which relocations there are, and the code that minild adds |
//! | [`mod@link`] | what happens to a program, pass by pass |
//! | [`format::layout`] | where everything lies, and why there are gaps |
//! | [`format`](mod@format) | what is made of it, format by format; how a file that was changed is made whole again |
//! | [`error`] | what comes back where something is wrong |
//! | [`view`] | what a file is, whoever wrote it, read back |
//! | [`interop`] | what other crates' types are here |
#![cfg_attr(
    feature = "spec",
    doc = "| [`input::spec`] | programs as text: the language of `spec.toml` |"
)]
//!
//! # Three altitudes
//!
//! * **One call**: [`link()`] to bytes, [`link_into`] any [`Write`], [`link_to`] a file that appears whole or not at
//!   all, [`layout()`] and [`check()`] without a file, [`link_universal`] for macOS.
//! * **The passes one by one**: [`mod@link`] and [`format::Format`], for who wants to look at what is there
//!   between them: which slots and stubs were made, what is left for load time.
//! * **The formats' own pieces**: [`format::macho::sign`], [`format::pe::set_checksum`],
//!   [`RelocationKind`](program::RelocationKind)s that know their ranges.
//!
//! # What it promises
//!
//! * Equal programs give equal bytes: on every machine, at every time, with any number of threads.
//! * Wrong input is an error with its place, value and legal interval as data, never a panic; all errors come in
//!   one run. What panics is said under `Panics`: asking a program, a layout or a pass for what has the id of another
//!   program. Linking such a program is an error like others.
//! * Nothing is printed, no process is ended, nothing global is kept, and no thread is started that was not asked for
//!   ([`Options::threads`]). Everything here is `Send` and `Sync`.
//! * A program that an `x86_64` machine links for `aarch64-macos` is the one that a Mac would have linked.
//!
//! # Features
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `spec` | `input::spec`, the language of `spec.toml` | by `asm` and `cli` |
//! | `asm` | assembler text in specs | yes |
//! | `schema` | `input::spec::schema`, the JSON schema of specs | by `cli` |
//! | `disassemble`, `demangle`, `dwarf`, `serde` | machine code as text, names as their source had them, frame descriptions, and JSON, in [`view`] | by `cli` |
//! | `tracing` | a span of the crate `tracing` for each pass | by `cli` |
//! | `cli` | the command `minild` | yes |
//!
//! `default-features = false` is what a compiler wants: no TOML, no assembler, no command line.

#![forbid(unsafe_code)]

pub mod arch;
pub mod error;
pub mod format;
#[cfg(feature = "spec")]
pub mod input;
pub mod interop;
pub mod link;
pub mod program;
pub mod target;
pub mod units;
pub mod view;

use std::io::Write;
use std::path::Path;

pub use error::{Error, ErrorKind, Errors, Note, Place, Result};
pub use format::Options;
pub use format::layout::Layout;
pub use program::Program;
pub use target::{Architecture, FileTarget, OperatingSystem, Target};
pub use units::{Address, Align, FileOffset, Size};

use format::elf::Elf;
use format::macho::MachO;
use format::macho::universal;
use format::output::{Output, Replacement, cannot_write};
use format::pe::Pe;
use format::{Format, Linked};

/// A linked program in memory.
#[derive(Clone, Debug)]
#[non_exhaustive]
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

/// Links a program and writes the file to `writer`: a socket, a compressor, standard output.
///
/// The file is gathered in memory first, since its identity and its signature depend on all of its bytes; nothing is
/// written where anything is wrong. For very large files [`link_to`] needs no memory.
///
/// # Errors
/// Everything that is wrong with the program, at once; a writer that fails.
pub fn link_into<W: Write + ?Sized>(
    program: &Program<'_>,
    options: &Options,
    writer: &mut W,
) -> Result<Layout> {
    let image = link(program, options)?;
    writer.write_all(&image.bytes).map_err(|error| cannot_write(&error))?;
    Ok(image.layout)
}

/// Links a program into the file at `path`, which appears whole or not at all.
///
/// The bytes are written beside it under another name, made executable, and then renamed: a program that
/// runs from the old file keeps it, and an old file survives every error.
///
/// # Errors
/// Everything that is wrong with the program, at once; a folder that cannot be written to.
pub fn link_to(program: &Program<'_>, options: &Options, path: &Path) -> Result<Layout> {
    let mut layouts = link_beside(program, options, path)?.put_in_place()?;
    Ok(layouts.swap_remove(0))
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
    let file_size = layout.file_size;
    Ok(Pending { replacement, layouts: vec![layout], file_size })
}

/// A linked program in a file that waits beside its place; dropped, it is as if it had never been.
#[derive(Debug)]
pub struct Pending<'p> {
    replacement: Replacement<'p>,
    layouts: Vec<Layout>,
    file_size: Size,
}

impl Pending<'_> {
    /// Bytes of the whole file.
    #[must_use]
    pub fn file_size(&self) -> Size {
        self.file_size
    }

    /// Where it waits: for who looks at it, or signs it, before it has its name.
    #[must_use]
    pub fn temporary_path(&self) -> &Path {
        self.replacement.temporary_path()
    }

    /// Gives the file its name, in place of an old one; the layout of each program in it, in order.
    ///
    /// # Errors
    /// When the system does not let it be renamed.
    pub fn put_in_place(self) -> Result<Vec<Layout>> {
        self.replacement.put_in_place()?;
        Ok(self.layouts)
    }
}

/// Links programs for macOS, one an architecture, into one universal file in memory.
///
/// # Errors
/// None or two programs of one architecture, one for another system or of another kind; everything that is wrong with the
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
    link_universal_beside(programs, options, path)?.put_in_place()
}

/// Links programs for macOS into one new file in the folder of `path`, as [`link_beside`] does with one.
///
/// # Errors
/// As [`link_universal_to`].
pub fn link_universal_beside<'p>(
    programs: &[Program<'_>],
    options: &Options,
    path: &'p Path,
) -> Result<Pending<'p>> {
    let replacement = Replacement::beside(path)?;
    let mut output = Output::file(replacement.open()?);
    let (layouts, file_size) = run_universal(programs, options, &mut output)?;
    output.finish().map_err(|error| cannot_write(&error))?;
    Ok(Pending { replacement, layouts, file_size })
}

fn run_universal(
    programs: &[Program<'_>],
    options: &Options,
    output: &mut Output,
) -> Result<(Vec<Layout>, Size)> {
    universal::check(programs)?;
    let layouts: Vec<_> =
        programs.iter().map(|program| layout(program, options)).collect::<Result<_>>()?;
    let arrangement = universal::arrange_layouts(&layouts)?;
    output.append(&arrangement.table).map_err(|error| cannot_write(&error))?;
    for (program, offset) in programs.iter().zip(arrangement.offsets) {
        output.begin_slice(offset).map_err(|error| cannot_write(&error))?;
        run(program, options, Some(output))?;
    }
    Ok((layouts, arrangement.file_size))
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
    // Ids are indices, and whatever follows takes them for such. From here on each names something.
    link::check_ids(program)?;

    // Names meet, since everything after asks what a name stands for; what the target cannot honour
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
