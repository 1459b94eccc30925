//! `minild inspect` and the views behind it: what other tools say of files of other tools, hostile files, the schema.

mod agrees;
mod command;
mod disassembly;
mod files;
mod golden;
mod hostile;
mod memory;
mod schema;
mod tool;

/// Counts what each test allocates.
#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;
