//! What a file is made for: an architecture and an operating system.
//!
//! One row of [`TARGETS`] is one target. Whatever differs by target and is known to more than one
//! part of the linker stands in this table; the formats' own numbers stand in theirs.

use std::fmt;
use std::str::FromStr;

/// A processor's instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// AMD64, Intel 64.
    X86_64,
    /// Arm's 64-bit instruction set, little-endian.
    Aarch64,
}

impl Architecture {
    /// Every architecture, in the order in which they are listed.
    pub const ALL: &'static [Self] = &[Self::X86_64, Self::Aarch64];

    /// Its name in targets and specs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The system whose loader reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OperatingSystem {
    /// Linux 2.6.39 and later.
    Linux,
    /// macOS 10.9 and later; macOS 11 on arm64.
    MacOs,
    /// Windows 7 and later; Windows 10 on arm64.
    Windows,
    /// The firmware that a computer starts with, UEFI 2.0 and later.
    Uefi,
}

impl OperatingSystem {
    /// Every operating system, in the order in which they are listed.
    pub const ALL: &'static [Self] = &[Self::Linux, Self::MacOs, Self::Windows, Self::Uefi];

    /// Its name in targets and specs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::MacOs => "macos",
            Self::Windows => "windows",
            Self::Uefi => "uefi",
        }
    }

    /// The format of the files that its loader reads.
    #[must_use]
    pub const fn format(self) -> &'static str {
        match self {
            Self::Linux => "ELF64",
            Self::MacOs => "Mach-O",
            Self::Windows | Self::Uefi => "PE32+",
        }
    }
}

impl fmt::Display for OperatingSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An architecture and an operating system, written `x86_64-linux`.
///
/// ```
/// use minild::Target;
/// let target: Target = "aarch64-unknown-linux-gnu".parse().unwrap();
/// assert_eq!(target.to_string(), "aarch64-linux");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The instruction set.
    pub architecture: Architecture,
    /// The operating system.
    pub operating_system: OperatingSystem,
}

/// What is known of one target.
#[derive(Debug)]
pub struct TargetRow {
    /// The target.
    pub target: Target,
    /// Its name: `<arch>-<os>`.
    pub name: &'static str,
    /// Other names for it: the triples of other tools.
    pub triples: &'static [&'static str],
    /// What an executable's file name ends with, the dot included.
    pub executable_suffix: &'static str,
    /// What a shared library's file name ends with, the dot included; `None` where there are none.
    pub library_suffix: Option<&'static str>,
}

/// All targets, in the order in which they are listed and built.
pub static TARGETS: &[TargetRow] = &[
    TargetRow {
        target: Target::X86_64_LINUX,
        name: "x86_64-linux",
        triples: &["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl", "x86_64-linux-gnu"],
        executable_suffix: "",
        library_suffix: Some(".so"),
    },
    TargetRow {
        target: Target::AARCH64_LINUX,
        name: "aarch64-linux",
        triples: &["aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl", "aarch64-linux-gnu"],
        executable_suffix: "",
        library_suffix: Some(".so"),
    },
    TargetRow {
        target: Target::X86_64_MACOS,
        name: "x86_64-macos",
        triples: &["x86_64-apple-darwin", "x86_64-apple-macos", "x86_64-apple-macosx"],
        executable_suffix: "",
        library_suffix: Some(".dylib"),
    },
    TargetRow {
        target: Target::AARCH64_MACOS,
        name: "aarch64-macos",
        triples: &["aarch64-apple-darwin", "arm64-apple-macos", "arm64-apple-macosx"],
        executable_suffix: "",
        library_suffix: Some(".dylib"),
    },
    TargetRow {
        target: Target::X86_64_WINDOWS,
        name: "x86_64-windows",
        triples: &["x86_64-pc-windows-msvc", "x86_64-pc-windows-gnu", "x86_64-w64-mingw32"],
        executable_suffix: ".exe",
        library_suffix: Some(".dll"),
    },
    TargetRow {
        target: Target::AARCH64_WINDOWS,
        name: "aarch64-windows",
        triples: &["aarch64-pc-windows-msvc", "aarch64-pc-windows-gnullvm", "aarch64-w64-mingw32"],
        executable_suffix: ".exe",
        library_suffix: Some(".dll"),
    },
    TargetRow {
        target: Target::X86_64_UEFI,
        name: "x86_64-uefi",
        triples: &["x86_64-unknown-uefi"],
        executable_suffix: ".efi",
        library_suffix: None,
    },
    TargetRow {
        target: Target::AARCH64_UEFI,
        name: "aarch64-uefi",
        triples: &["aarch64-unknown-uefi"],
        executable_suffix: ".efi",
        library_suffix: None,
    },
];

/// Programs for several architectures of one system in one file, of which the system takes its own.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct UniversalRow {
    /// What such a file is called among targets: `universal-<os>`.
    pub name: &'static str,
    /// Whose programs are in it, in their order in the file.
    pub slices: &'static [Target],
}

/// All universal files, listed behind [`TARGETS`].
pub static UNIVERSAL: &[UniversalRow] = &[UniversalRow {
    name: "universal-macos",
    slices: &[Target::X86_64_MACOS, Target::AARCH64_MACOS],
}];

/// What one file is made for: one target, or several in a universal file.
///
/// ```
/// use minild::target::{FileTarget, Target};
/// let universal: FileTarget = "universal-macos".parse().unwrap();
/// assert_eq!(universal.slices(), [Target::X86_64_MACOS, Target::AARCH64_MACOS]);
/// let single: FileTarget = "x86_64-apple-darwin".parse().unwrap();
/// assert_eq!(single, FileTarget::Single(Target::X86_64_MACOS));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileTarget {
    /// One program.
    Single(Target),
    /// A program for each of these.
    Universal(&'static UniversalRow),
}

impl FileTarget {
    /// Its name among targets.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Single(target) => target.name(),
            Self::Universal(row) => row.name,
        }
    }

    /// The targets whose programs are in the file, in their order there; at least one.
    #[must_use]
    pub fn slices(&self) -> &[Target] {
        match self {
            Self::Single(target) => std::slice::from_ref(target),
            Self::Universal(row) => row.slices,
        }
    }

    /// The system whose loader reads the file.
    #[must_use]
    pub fn operating_system(&self) -> OperatingSystem {
        self.slices()[0].operating_system
    }
}

impl From<Target> for FileTarget {
    fn from(target: Target) -> Self {
        Self::Single(target)
    }
}

impl fmt::Display for FileTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FileTarget {
    type Err = UnknownTarget;

    fn from_str(name: &str) -> Result<Self, UnknownTarget> {
        match UNIVERSAL.iter().find(|row| row.name == name) {
            Some(row) => Ok(Self::Universal(row)),
            None => name.parse().map(Self::Single),
        }
    }
}

impl Target {
    /// Linux on x86-64.
    pub const X86_64_LINUX: Self = Self::new(Architecture::X86_64, OperatingSystem::Linux);
    /// Linux on arm64.
    pub const AARCH64_LINUX: Self = Self::new(Architecture::Aarch64, OperatingSystem::Linux);

    /// macOS on x86-64.
    pub const X86_64_MACOS: Self = Self::new(Architecture::X86_64, OperatingSystem::MacOs);
    /// macOS on arm64.
    pub const AARCH64_MACOS: Self = Self::new(Architecture::Aarch64, OperatingSystem::MacOs);
    /// Windows on x86-64.
    pub const X86_64_WINDOWS: Self = Self::new(Architecture::X86_64, OperatingSystem::Windows);
    /// Windows on arm64.
    pub const AARCH64_WINDOWS: Self = Self::new(Architecture::Aarch64, OperatingSystem::Windows);
    /// UEFI firmware on x86-64.
    pub const X86_64_UEFI: Self = Self::new(Architecture::X86_64, OperatingSystem::Uefi);
    /// UEFI firmware on arm64.
    pub const AARCH64_UEFI: Self = Self::new(Architecture::Aarch64, OperatingSystem::Uefi);

    const fn new(architecture: Architecture, operating_system: OperatingSystem) -> Self {
        Self { architecture, operating_system }
    }

    /// What is known of this target.
    ///
    /// # Panics
    /// Never for a target of [`TARGETS`]; a pair that no row names cannot be written by a user of the
    /// crate, as both enums are listed there in full.
    #[must_use]
    pub fn row(self) -> &'static TargetRow {
        TARGETS.iter().find(|row| row.target == self).expect("every target has a row in TARGETS")
    }

    /// Its name: `<arch>-<os>`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The target that this very program was built for; `None` where minild cannot write for it.
    #[must_use]
    pub fn host() -> Option<Self> {
        let name = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        TARGETS.iter().find(|row| row.name == name).map(|row| row.target)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No target has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no target is called `{name}`")]
pub struct UnknownTarget {
    /// The name that was asked for.
    pub name: String,
}

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(name: &str) -> Result<Self, UnknownTarget> {
        let unknown = || UnknownTarget { name: name.to_owned() };
        if name == "host" {
            return Self::host().ok_or_else(unknown);
        }
        TARGETS
            .iter()
            .find(|row| row.name == name || row.triples.contains(&name))
            .map(|row| row.target)
            .ok_or_else(unknown)
    }
}
