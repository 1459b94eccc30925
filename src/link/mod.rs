//! The passes, in the order in which they run. Each reads the products of those before it and gives a
//! type of its own, so that they cannot run in another order.
//!
//! [`link`](crate::link()) runs them all, and is the whole linker in one function. Who wants to look between them runs
//! them one by one, with the format of the program's target:
//!
//! ```
//! use minild::format::output::Output;
//! use minild::format::{Format, Linked, elf::Elf};
//! use minild::{Options, Program, Target, arch::Via, link};
//! # use minild::{arch::x86_64, program::{Section, SectionKind}};
//! # let mut program = Program::new(Target::X86_64_LINUX);
//! # let code = program.add_section(Section::new("start", SectionKind::Code, b"\xff\x25\0\0\0\0"));
//! # let start = program.define("start", code, 0, 6);
//! # program.relocate(code, 2, x86_64::GOT32, start, -4);
//! # program.entry = Some(start);
//! # let options = Options::default();
//!
//! // Ids name something; names meet: every symbol has one definition now.
//! link::check_ids(&program)?;
//! Elf::check(&program)?;
//! let resolved = link::resolve(&program, Elf::loader(&program))?;
//! assert_eq!(resolved.entry(), Some(start));
//!
//! // Slots, stubs and start-up code are made, and it is known what is left for load time.
//! let synthesized = link::synthesize(&resolved, Elf::loader(&program))?;
//! assert!(synthesized.slot(start, Via::Slot).is_some());
//! assert_eq!(synthesized.load_relocations().len(), 1);
//!
//! // Sections meet in output sections, in the order of the format's plan.
//! let gathered = link::gather(&synthesized, Elf::plan(&program))?;
//!
//! // Sizes, then addresses: of everything but what depends on addresses, and then of that.
//! let tables = Elf::size_tables(&gathered, &options)?;
//! let body = link::lay_out_body::<Elf>(&synthesized, &gathered, &tables)?;
//! let late = Elf::size_late_tables(&gathered, &tables, &body)?;
//! let layout = link::lay_out_late::<Elf>(&gathered, body, &late)?;
//!
//! // Bytes, with relocations applied; at last what depends on all of them.
//! let linked = Linked::<Elf> { gathered: &gathered, tables: &tables, late: &late, layout: &layout };
//! let mut output = Output::memory();
//! link::write(&synthesized, &linked, &mut output)?;
//! Elf::seal(&linked, &options, &mut output)?;
//! let file = output.finish()?;
//! assert_eq!(file, minild::link(&program, &options)?.bytes);
//! # assert!(minild::view::lint::lint(&file)?.findings.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod gather;
mod ids;
mod lay_out;
mod relocate;
mod resolve;
mod synthesize;

pub use gather::gather;
pub use ids::check_ids;
pub use lay_out::{lay_out_body, lay_out_late};
pub use relocate::write;
pub use resolve::{Resolved, resolve};
pub use synthesize::{Synthesized, synthesize};
