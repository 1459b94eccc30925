//! The file formats: for each the plan of its segments, its own tables, and its identity.
//!
//! Every format is a folder with the same rooms under the same names: `plan` (which sections, which
//! protection, in which order, and why), `tables` (what is sized before addresses are known), `write`
//! (the bytes of those tables) and `seal` (what depends on all other bytes). The passes drive them
//! through [`Format`] and know none by name.

pub mod elf;
pub mod layout;
pub(crate) mod output;
pub mod plan;

use std::io;

use crate::error::Result;
use crate::program::{Position, Program};
use crate::target::Target;
use crate::units::{Align, Size};

use layout::{Gathered, Layout};
use output::Output;
use plan::{Rules, SegmentRow, TableId};

/// What is asked of a link beside the program itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Leave the symbol table out.
    pub strip: bool,
}

/// How large a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) size: Size,
    pub(crate) align: Align,
}

/// Everything that the bytes of a table may depend on.
pub(crate) struct Linked<'l, F: Format> {
    pub(crate) gathered: &'l Gathered<'l>,
    pub(crate) tables: &'l F::Tables,
    pub(crate) layout: &'l Layout,
}

/// What the passes ask of a file format.
pub(crate) trait Format {
    /// The tables whose sizes are known before addresses are.
    type Tables;

    /// Whether nobody but the program itself applies the relocations that are left for load time.
    fn relocates_itself(program: &Program<'_>) -> bool;

    /// The segments, in order.
    fn plan(position: Position) -> &'static [SegmentRow];

    /// The numbers of the layout.
    fn rules(target: Target, position: Position) -> Rules;

    /// The table of relocations that are left for load time, where the format has one in memory.
    const LOAD_RELOCATIONS: Option<TableId>;

    /// Sizes every table.
    fn size_tables(gathered: &Gathered<'_>, options: &Options) -> Result<Self::Tables>;

    /// How large the table is; `None` where this program does not have it.
    fn shape(tables: &Self::Tables, table: TableId) -> Option<Shape>;

    /// The bytes of a table, as many as its shape says.
    fn write_table(linked: &Linked<'_, Self>, table: TableId) -> Vec<u8>
    where
        Self: Sized;

    /// Patches in what depends on all other bytes.
    fn seal(layout: &Layout, output: &mut Output) -> io::Result<()>;
}
