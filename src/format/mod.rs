//! The file formats: for each the plan of its segments, its own tables, and its identity.
//!
//! Every format is a folder with the same rooms under the same names: `plan` (which sections, which
//! protection, in which order, and why), `tables` (what is sized before addresses are known), `write`
//! (the bytes of those tables) and `seal` (what depends on all other bytes). The passes drive them
//! through `Format` and know none by name.

mod checks;
pub mod elf;
pub mod layout;
pub mod macho;
pub mod output;
pub mod pe;
pub mod plan;

use std::io;

use crate::error::Result;
use crate::program::Program;
use crate::units::{Align, Size};

use layout::{Body, Gathered, Layout};
use output::Output;
use plan::{Loader, Rules, SegmentRow, TableId};

/// What is asked of a link beside the program itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Leave the symbol table out.
    pub strip: bool,
    /// Write a symbol table even where files of the target usually have none: Windows and UEFI.
    pub symbols: bool,
    /// How many threads may hash a large file; 0 and 1 mean the caller's own,
    /// [`ALL_THREADS`](Self::ALL_THREADS) as many as the machine runs at once.
    pub threads: usize,
}

impl Options {
    /// As many threads as the machine runs at once; it is asked only where a file is large enough for several.
    pub const ALL_THREADS: usize = usize::MAX;
}

/// How large a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of the file, and of memory where it is mapped.
    pub size: Size,
    /// What its place is a multiple of.
    pub align: Align,
}

/// Everything that the bytes of a table may depend on: the products of one program's passes.
pub struct Linked<'l, F: Format> {
    /// Order and sizes.
    pub gathered: &'l Gathered<'l>,
    /// The tables whose sizes are known before addresses are.
    pub tables: &'l F::Tables,
    /// The others.
    pub late: &'l F::LateTables,
    /// Where everything lies.
    pub layout: &'l Layout,
}

/// Keeps [`Format`] to the formats of this crate, so that a pass may ask them more one day.
mod sealed {
    pub trait Sealed {}
    impl Sealed for super::elf::Elf {}
    impl Sealed for super::macho::MachO {}
    impl Sealed for super::pe::Pe {}
}

/// What the passes ask of a file format.
pub trait Format: sealed::Sealed {
    /// The tables whose sizes are known before addresses are.
    type Tables;

    /// The tables whose sizes depend on the addresses of everything before them.
    type LateTables;

    /// Looks at what the program asks of its system.
    ///
    /// # Errors
    /// A wish that the target cannot honour.
    fn check(program: &Program<'_>) -> Result<()>;

    /// What the system does when it loads the program.
    fn loader(program: &Program<'_>) -> Loader;

    /// The segments, in order.
    fn plan(program: &Program<'_>) -> &'static [SegmentRow];

    /// The numbers of the layout.
    fn rules(program: &Program<'_>) -> Rules;

    /// The table of relocations that are left for load time, where the format has one in memory.
    const LOAD_RELOCATIONS: Option<TableId>;

    /// Sizes every table whose size does not depend on addresses.
    ///
    /// # Errors
    /// More of something than the format can count.
    fn size_tables(gathered: &Gathered<'_>, options: &Options) -> Result<Self::Tables>;

    /// How large such a table is; `None` where this program does not have it.
    fn shape(tables: &Self::Tables, table: TableId) -> Option<Shape>;

    /// Sizes the others, everything before them being placed.
    ///
    /// # Errors
    /// What the format cannot say of these addresses; a file that is too large for it.
    fn size_late_tables(
        gathered: &Gathered<'_>,
        tables: &Self::Tables,
        body: &Body,
    ) -> Result<Self::LateTables>;

    /// How large such a table is; `None` where this program does not have it.
    fn late_shape(tables: &Self::LateTables, table: TableId) -> Option<Shape>;

    /// What the file holds where the loader will write: the `index`-th load relocation. `address` is
    /// what it would be without a slide, 0 for an import.
    fn load_value(linked: &Linked<'_, Self>, index: usize, address: u64) -> u64
    where
        Self: Sized;

    /// The bytes of a table, as many as its shape says.
    fn write_table(linked: &Linked<'_, Self>, table: TableId) -> Vec<u8>
    where
        Self: Sized;

    /// Patches in what depends on all other bytes.
    ///
    /// # Errors
    /// When the output cannot be read back or written.
    fn seal(linked: &Linked<'_, Self>, options: &Options, output: &mut Output) -> io::Result<()>
    where
        Self: Sized;
}
