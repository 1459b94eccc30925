//! What a program asks of its system beside what it holds.
//!
//! A wish that the target cannot honour is an error of the link, never passed over.

use std::fmt;
use std::str::FromStr;

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

/// How the program is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Start {
    /// As the system does it, with what the system gives (docs/ABI.md).
    Raw,
    /// By a call `main(argc, argv, environment)`; the program ends when it returns, with what it returns.
    Main,
    /// By the C library, which sets itself up, runs initialisers, calls the entry as
    /// `main(argc, argv, environment)` and exits with what it returns.
    Libc,
}

impl Start {
    /// Every way, by its name in specs.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("raw", Self::Raw), ("main", Self::Main), ("libc", Self::Libc)];
}

/// Which C library loads the program and its libraries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Libc {
    /// The GNU C library.
    #[default]
    Glibc,
    /// musl.
    Musl,
}

impl Libc {
    /// Every C library, by its name in specs.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("glibc", Self::Glibc), ("musl", Self::Musl)];
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

/// A version of an operating system or a library, written `13`, `10.15` or `12.3.1`.
///
/// ```
/// use minild::program::SystemVersion;
/// let version: SystemVersion = "10.15".parse().unwrap();
/// assert_eq!(version, SystemVersion { major: 10, minor: 15, patch: 0 });
/// assert!("12.x".parse::<SystemVersion>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub struct SystemVersion {
    pub major: u16,
    pub minor: u8,
    pub patch: u8,
}

impl fmt::Display for SystemVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, patch } = self;
        match (minor, patch) {
            (0, 0) => write!(f, "{major}"),
            (_, 0) => write!(f, "{major}.{minor}"),
            _ => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

/// The text is no version: one to three numbers with dots between them, the first below 65,536, the
/// others below 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a version is one to three numbers with dots between them, such as 13 or 10.15.7: the first below 65536, the others below 256"
)]
pub struct InvalidVersion;

impl FromStr for SystemVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        // Numbers may have a sign, versions not.
        if text.contains('+') {
            return Err(InvalidVersion);
        }
        let mut parts = text.split('.');
        let major = parts.next().and_then(|part| part.parse().ok()).ok_or(InvalidVersion)?;
        let mut next = || match parts.next() {
            Some(part) => part.parse().map_err(|_| InvalidVersion),
            None => Ok(0),
        };
        let (minor, patch) = (next()?, next()?);
        if parts.next().is_some() {
            return Err(InvalidVersion);
        }
        Ok(Self { major, minor, patch })
    }
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
    /// The oldest version of the system that it is to run on; `None` for the target's usual.
    pub oldest_system: Option<SystemVersion>,
    /// Which version of the library this is; `None` for the target's usual.
    pub current_version: Option<SystemVersion>,
    /// The oldest version of it that programs may have been linked with and still run; `None` for the
    /// target's usual.
    pub compatibility_version: Option<SystemVersion>,
    /// How it is entered; `None` for what [`start_up::start`](crate::arch::start_up::start) makes of what
    /// else it asks for.
    pub start: Option<Start>,
    /// Whose C library and dynamic linker it is for, where there are several; `None` for the usual.
    pub libc: Option<Libc>,
    /// The main thread's stack.
    pub stack: MemoryWish,
    /// The process' heap.
    pub heap: MemoryWish,
}
