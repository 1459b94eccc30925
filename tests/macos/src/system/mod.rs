//! libSystem and the BSD system calls: tables of functions that run on the host, on the guest's memory and registers.
//! A function of libSystem has an address where nothing is mapped; the guest's jump to it is the call.

pub mod arguments;
pub mod format;
pub mod heap;
pub mod memory;
pub mod posix;
pub mod process;
pub mod signals;
pub mod stdio;
pub mod strings;
pub mod syscalls;
pub mod threads;
pub mod tlv;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::engine::Protection;
use crate::process::{Flow, Process, Trap};
use crate::space::{Fault, MapError, Space};

/// Where functions of libSystem seem to be.
const STUBS: u64 = 0x1000_0000_0000;
/// Distance of two functions, in bytes.
const STUB_SIZE: u64 = 16;
/// Where a function that the system entered returns to.
pub const RETURN_STUB: u64 = STUBS;
/// Where libSystem's data is.
const DATA: u64 = 0x1000_1000_0000;
/// Where the heap begins.
const HEAP: u64 = 0x1100_0000_0000;
/// Where `mmap` begins to look for room.
pub const MMAP: u64 = 0x1200_0000_0000;
/// Where dyld loads libraries.
pub const LIBRARIES: u64 = 0x1300_0000_0000;
/// Where the stacks of further threads are.
pub const STACKS: u64 = 0x1400_0000_0000;

/// The install name by which programs link libSystem.
pub const INSTALL_NAME: &str = "/usr/lib/libSystem.B.dylib";

/// A function of libSystem: takes the first six integer arguments.
pub type Function = fn(&mut Process, [u64; 6]) -> Result<Flow, Trap>;
/// A row of a table of functions: the symbol and what it does.
pub type Row = (&'static str, Function);

/// What the libSystem of one process knows.
pub struct System {
    /// The heap.
    pub heap: heap::Heap,
    /// Streams of stdio.
    pub streams: stdio::Streams,
    /// Functions for `exit`, the last registered last.
    pub at_exit: Vec<process::ExitHandler>,
    /// Signal handlers.
    pub signals: signals::Handlers,
    /// Result of the [`Process::call`] that just returned.
    pub call_result: Option<u64>,
    /// State of `strtok`.
    pub strtok: u64,
    /// Path of the program.
    pub path: String,
}

impl System {
    /// A fresh libSystem for a program at `path`.
    #[must_use]
    pub fn new(path: &str) -> System {
        System {
            heap: heap::Heap::new(HEAP),
            streams: stdio::Streams::default(),
            at_exit: Vec::new(),
            signals: signals::Handlers::default(),
            call_result: None,
            strtok: 0,
            path: path.to_owned(),
        }
    }
}

/// All functions: what is behind each stub, in the order of the stubs.
static FUNCTIONS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    [
        memory::FUNCTIONS,
        process::FUNCTIONS,
        signals::FUNCTIONS,
        stdio::FUNCTIONS,
        strings::FUNCTIONS,
        threads::FUNCTIONS,
        tlv::FUNCTIONS,
        posix::FUNCTIONS,
    ]
    .concat()
});

/// The number of each symbol's stub; 0 is the return stub.
static STUB_NUMBERS: LazyLock<HashMap<&'static str, u64>> = LazyLock::new(|| {
    FUNCTIONS.iter().zip(1..).map(|((name, _), number)| (*name, number)).collect()
});

/// Data symbols of libSystem: offset in its data. Pointers to themselves and the like are written by [`map_data`].
const DATA_SYMBOLS: [(&str, u64); 7] = [
    ("___stack_chk_guard", 0),
    ("___stdinp", 8),
    ("___stdoutp", 16),
    ("___stderrp", 24),
    ("_environ", 32),
    ("_mach_task_self_", 40),
    ("_vm_page_size", 48),
];
/// Where the opaque `FILE`s are in libSystem's data; [`stdio`] knows them by these addresses.
pub const FILES: [u64; 3] = [DATA + 0x100, DATA + 0x180, DATA + 0x200];
/// Address of the variable `environ`.
pub const ENVIRON: u64 = DATA + 32;

/// Maps libSystem's data.
///
/// # Errors
/// When there is no room.
pub fn map_data(space: &mut Space, environment: u64) -> Result<(), MapError> {
    let page = space.arch().page_size();
    space.map(DATA, page, Protection::READ_WRITE, Protection::READ_WRITE, "libSystem data")?;
    let values = [0x00c0_ffee_5eed_1234, FILES[0], FILES[1], FILES[2], environment, 0x103, page];
    let write = |space: &mut Space| -> Result<(), Fault> {
        for ((_, offset), value) in DATA_SYMBOLS.iter().zip(values) {
            space.write_u64(DATA + offset, value)?;
        }
        Ok(())
    };
    write(space).map_err(|_| MapError::Range)
}

/// The address of a symbol of libSystem.
#[must_use]
pub fn symbol(name: &str) -> Option<u64> {
    if let Some((_, offset)) = DATA_SYMBOLS.iter().find(|(symbol, _)| *symbol == name) {
        return Some(DATA + offset);
    }
    STUB_NUMBERS.get(name).map(|number| STUBS + number * STUB_SIZE)
}

/// The symbols that libSystem has, for lists.
#[must_use]
pub fn symbols() -> Vec<&'static str> {
    let data = DATA_SYMBOLS.iter().map(|(name, _)| *name);
    let mut all: Vec<_> = FUNCTIONS.iter().map(|(name, _)| *name).chain(data).collect();
    all.sort_unstable();
    all
}

/// Whether an address is a function of libSystem.
#[must_use]
pub fn is_stub(address: u64) -> bool {
    address.checked_sub(STUBS).is_some_and(|offset| {
        offset / STUB_SIZE <= FUNCTIONS.len() as u64 && offset.is_multiple_of(STUB_SIZE)
    })
}

fn row(address: u64) -> Option<&'static Row> {
    let number = address.checked_sub(STUBS)? / STUB_SIZE;
    FUNCTIONS.get(usize::try_from(number.checked_sub(1)?).ok()?)
}

/// The symbol of a function's address.
#[must_use]
pub fn stub_name(address: u64) -> Option<&'static str> {
    row(address).map(|(name, _)| *name)
}

/// Performs the function at `address` for the guest.
///
/// # Errors
/// What ends the process, or its fault.
pub fn call(process: &mut Process, address: u64) -> Result<Flow, Trap> {
    let (_, function) =
        row(address).ok_or_else(|| Trap::unsupported("a call between functions of libSystem"))?;
    let arguments = std::array::from_fn(|index| process.argument(index));
    function(process, arguments)
}
