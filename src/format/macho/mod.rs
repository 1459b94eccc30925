//! Mach-O 64 executables for macOS (xnu `bsd/kern/mach_loader.c`; dyld `mach_o/Policy.cpp`, which says by
//! SDK what is enforced; Apple's `mach-o/loader.h`).

mod checks;
mod commands;
mod fixups;
mod linkedit;
mod opcodes;
mod plan;
mod seal;
mod sign;
mod signature;
mod symbols;
mod tables;
mod trie;
pub(crate) mod universal;
mod write;

use std::io;

pub use linkedit::LinkEdit;
pub use sign::sign;
pub use tables::Tables;

use crate::error::Result;
use crate::format::layout::{Body, Gathered};
use crate::format::output::Output;
use crate::format::plan::{Loader, Rules, SegmentRow, TableId};
use crate::format::{Format, Linked, Options, Shape};
use crate::program::Program;

/// Mach-O 64, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct MachO;

impl Format for MachO {
    type Tables = tables::Tables;
    type LateTables = linkedit::LinkEdit;

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn check(program: &Program<'_>) -> Result<()> {
        checks::check(program)
    }

    fn loader(program: &Program<'_>) -> Loader {
        plan::loader(program)
    }

    fn plan(program: &Program<'_>) -> &'static [SegmentRow] {
        plan::segments(program.wishes.position)
    }

    fn rules(program: &Program<'_>) -> Rules {
        plan::rules(program)
    }

    // dyld finds its fixups by a load command; no code of the program looks for them.
    const LOAD_RELOCATIONS: Option<TableId> = None;

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn size_tables(gathered: &Gathered<'_>, options: &Options) -> Result<Self::Tables> {
        Ok(tables::size(gathered, options))
    }

    fn shape(tables: &Self::Tables, table: TableId) -> Option<Shape> {
        debug_assert_eq!(table, plan::HEADERS);
        Some(tables.headers_shape())
    }

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn size_late_tables(
        gathered: &Gathered<'_>,
        tables: &Self::Tables,
        body: &Body,
    ) -> Result<Self::LateTables> {
        linkedit::LinkEdit::new(gathered, tables, body)
    }

    fn late_shape(tables: &Self::LateTables, table: TableId) -> Option<Shape> {
        tables.shape(table)
    }

    fn load_value(linked: &Linked<'_, Self>, index: usize, _: u64) -> u64 {
        linked.late.load_values[index]
    }

    fn write_table(linked: &Linked<'_, Self>, table: TableId) -> Vec<u8> {
        write::table(linked, table)
    }

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn seal(linked: &Linked<'_, Self>, options: &Options, output: &mut Output) -> io::Result<()> {
        seal::seal(linked, options.threads, output)
    }
}
