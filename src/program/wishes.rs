//! What a program asks of its system beside what it holds.
//!
//! A wish that the target cannot honour is an error of the link, never passed over.

use crate::units::{Address, Size};

/// Whether the loader may choose where the program lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Position {
    /// Anywhere: addresses in data are relocated when it is loaded.
    #[default]
    Independent,
    /// At the addresses that it was linked for, and nowhere else.
    Fixed,
}

/// What surrounds the program while it runs, for systems whose files say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subsystem {
    /// A terminal.
    Console,
    /// Windows of its own; no terminal is opened for it.
    Graphical,
    /// Firmware: unloaded when it returns.
    EfiApplication,
    /// Firmware: stays until an operating system takes over.
    EfiBootServiceDriver,
    /// Firmware: stays while an operating system runs.
    EfiRuntimeDriver,
}

impl Subsystem {
    /// Every subsystem.
    pub const ALL: &'static [Self] = &[
        Self::Console,
        Self::Graphical,
        Self::EfiApplication,
        Self::EfiBootServiceDriver,
        Self::EfiRuntimeDriver,
    ];

    /// Its name in specs and errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Graphical => "graphical",
            Self::EfiApplication => "efi-application",
            Self::EfiBootServiceDriver => "efi-boot-service-driver",
            Self::EfiRuntimeDriver => "efi-runtime-driver",
        }
    }
}

/// How much memory a stack or heap may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemoryWish {
    /// Bytes of addresses to keep free for it; `None` for the system's own choice.
    pub size: Option<Size>,
    /// Bytes that are there from the start; `None` for the system's own choice.
    pub commit: Option<Size>,
}

/// Everything that a program asks of its system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wishes {
    /// Whether the loader may place the program.
    pub position: Position,
    /// The address of the image's first byte, where the system's own choice will not do.
    pub base: Option<Address>,
    /// What surrounds the program; `None` for the target's usual.
    pub subsystem: Option<Subsystem>,
    /// The main thread's stack.
    pub stack: MemoryWish,
    /// The process' heap.
    pub heap: MemoryWish,
}
