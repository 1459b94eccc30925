//! ELF64 executables for Linux (System V ABI, gABI chapters 4 and 5; Linux `fs/binfmt_elf.c`).

mod plan;
mod seal;
mod tables;
mod write;

use std::io;

use crate::error::Result;
use crate::format::layout::{Gathered, Layout};
use crate::format::output::Output;
use crate::format::plan::{Rules, SegmentRow, TableId};
use crate::format::{Format, Linked, Options, Shape};
use crate::program::{Position, Program};
use crate::target::Target;

/// ELF64, little-endian.
pub(crate) struct Elf;

impl Format for Elf {
    type Tables = tables::Tables;

    // The kernel applies no relocations, and a program without a dynamic linker has nobody else.
    fn relocates_itself(_: &Program<'_>) -> bool {
        true
    }

    fn plan(position: Position) -> &'static [SegmentRow] {
        plan::segments(position)
    }

    fn rules(target: Target, position: Position) -> Rules {
        plan::rules(target, position)
    }

    const LOAD_RELOCATIONS: Option<TableId> = Some(plan::RELA_DYN);

    fn size_tables(gathered: &Gathered<'_>, options: &Options) -> Result<Self::Tables> {
        tables::size(gathered, options)
    }

    fn shape(tables: &Self::Tables, table: TableId) -> Option<Shape> {
        tables.shape(table)
    }

    fn write_table(linked: &Linked<'_, Self>, table: TableId) -> Vec<u8> {
        write::table(linked, table)
    }

    fn seal(layout: &Layout, output: &mut Output) -> io::Result<()> {
        seal::seal(layout, output)
    }
}
