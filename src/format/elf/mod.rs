//! ELF64 executables for Linux (System V ABI, gABI chapters 4 and 5; Linux `fs/binfmt_elf.c`).

mod checks;
mod dynamic;
mod plan;
mod seal;
mod tables;
mod write;

use std::io;

pub use tables::Tables;

use crate::error::Result;
use crate::format::layout::{Body, Gathered};
use crate::format::output::Output;
use crate::format::plan::{Loader, Rules, SegmentRow, TableId};
use crate::format::{Format, Linked, Options, Shape};
use crate::program::Program;

/// ELF64, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct Elf;

impl Format for Elf {
    type Tables = tables::Tables;

    type LateTables = ();

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn check(program: &Program<'_>) -> Result<()> {
        checks::check(program)
    }

    fn loader(program: &Program<'_>) -> Loader {
        plan::loader(program)
    }

    fn plan(program: &Program<'_>) -> &'static [SegmentRow] {
        plan::segments(program)
    }

    fn rules(program: &Program<'_>) -> Rules {
        plan::rules(program)
    }

    const LOAD_RELOCATIONS: Option<TableId> = Some(plan::RELA_DYN);

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn size_tables(gathered: &Gathered<'_>, options: &Options) -> Result<Self::Tables> {
        tables::size(gathered, options)
    }

    fn shape(tables: &Self::Tables, table: TableId) -> Option<Shape> {
        tables.shape(table)
    }

    fn size_late_tables(_: &Gathered<'_>, _: &Self::Tables, _: &Body) -> Result<()> {
        Ok(())
    }

    fn late_shape((): &(), _: TableId) -> Option<Shape> {
        None
    }

    // The kernel and `ld.so` take the value from the relocation (`DT_RELA` has addends); the word itself
    // is for people who look into the file.
    fn load_value(_: &Linked<'_, Self>, _: usize, address: u64) -> u64 {
        address
    }

    fn write_table(linked: &Linked<'_, Self>, table: TableId) -> Vec<u8> {
        write::table(linked, table)
    }

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn seal(linked: &Linked<'_, Self>, _: &Options, output: &mut Output) -> io::Result<()> {
        seal::seal(linked.layout, output)
    }
}
