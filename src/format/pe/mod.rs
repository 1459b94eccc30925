//! PE32+ images for Windows and UEFI (Microsoft PE format specification; NT's `MiCreateImageFileMap`, as
//! far as React OS' `PeFmtCreateSection` and wine's tests on Windows tell of it; edk2 `BasePeCoff.c`).

mod base_relocations;
mod checks;
mod checksum;
mod exports;
mod imports;
mod plan;
mod seal;
mod symbols;
mod tables;
mod write;

use std::io;

pub use base_relocations::BaseRelocations;
pub use checksum::{checksum, set_checksum};
pub use tables::Tables;

use crate::error::Result;
use crate::format::layout::{Body, Gathered};
use crate::format::output::Output;
use crate::format::plan::{Loader, Rules, SegmentRow, TableId};
use crate::format::{Format, Linked, Options, Shape};
use crate::program::Program;
use symbols::Symbols;

/// PE32+.
#[derive(Clone, Copy, Debug)]
pub struct Pe;

/// The tables that depend on addresses.
pub struct LateTables {
    base_relocations: BaseRelocations,
    symbols: Symbols,
}

impl Format for Pe {
    type Tables = tables::Tables;
    type LateTables = LateTables;

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn check(program: &Program<'_>) -> Result<()> {
        checks::check(program)
    }

    fn loader(program: &Program<'_>) -> Loader {
        plan::loader(program)
    }

    fn plan(_: &Program<'_>) -> &'static [SegmentRow] {
        plan::SEGMENTS
    }

    fn rules(program: &Program<'_>) -> Rules {
        plan::rules(program)
    }

    // The loader finds its relocations by a directory; no code of the program looks for them.
    const LOAD_RELOCATIONS: Option<TableId> = None;

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn size_tables(gathered: &Gathered<'_>, options: &Options) -> Result<Self::Tables> {
        Ok(tables::size(gathered, options))
    }

    fn shape(tables: &Self::Tables, table: TableId) -> Option<Shape> {
        tables.shape(table)
    }

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn size_late_tables(
        gathered: &Gathered<'_>,
        tables: &Self::Tables,
        body: &Body,
    ) -> Result<Self::LateTables> {
        Ok(LateTables {
            base_relocations: BaseRelocations::new(gathered, tables, body),
            symbols: Symbols::new(gathered, tables, body),
        })
    }

    fn late_shape(tables: &Self::LateTables, table: TableId) -> Option<Shape> {
        match table {
            plan::SYMBOLS => tables.symbols.shape(),
            _ => tables.base_relocations.shape(),
        }
    }

    fn load_value(linked: &Linked<'_, Self>, index: usize, address: u64) -> u64 {
        match linked.gathered.load_relocations[index].import {
            Some(import) => imports::lookup(linked, import),
            None => address,
        }
    }

    fn write_table(linked: &Linked<'_, Self>, table: TableId) -> Vec<u8> {
        write::table(linked, table)
    }

    #[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
    fn seal(linked: &Linked<'_, Self>, _: &Options, output: &mut Output) -> io::Result<()> {
        seal::seal(linked.layout, output)
    }
}
