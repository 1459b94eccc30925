//! What a rule is: one row of a family's table, and who demands it of which files.

use std::fmt;

use super::elf::Elf;
use super::macho::MachO;
use super::pe::Pe;
use super::report::Report;
use crate::target::Architecture;

/// A demand that some loader makes of files.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rule {
    /// Its stable name: `<format>/<what>`.
    pub name: &'static str,
    /// What it demands of a file, as a sentence without its full stop.
    pub demand: &'static str,
    /// Who demands it, and how badly a file does without. At least one.
    pub by: &'static [Demand],
    /// What a user sees where it is broken.
    pub symptom: &'static str,
    /// What to change.
    pub cure: &'static str,
    /// The function of a loader, or the part of a specification, that has it.
    pub source: &'static str,
    pub(super) check: Check,
}

/// How a rule looks at a file: reports every place that breaks it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Check {
    Elf(fn(&Elf<'_>, &mut Report<'_>)),
    MachO(fn(&MachO<'_>, &mut Report<'_>)),
    Fat(fn(&super::macho::Fat<'_>, &mut Report<'_>)),
    Pe(fn(&Pe<'_>, &mut Report<'_>)),
}

/// How badly a file does without what a rule demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Only other loaders than the file's own mind.
    Note,
    /// The file starts, and something is worse than its author meant.
    Warning,
    /// The file does not start, or does something else than its author meant.
    Error,
}

impl Severity {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who reads a file to start it, or after it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Loader {
    /// Linux, with pages of 4 KiB.
    Linux,
    /// Linux on arm64, with pages of 16 or 64 KiB.
    LinuxLargePages,
    /// glibc's dynamic linker.
    Glibc,
    /// glibc's dynamic linker, started as a program with the file as its argument.
    GlibcAsProgram,
    /// musl's dynamic linker.
    Musl,
    /// The kernel of macOS.
    Xnu,
    /// The dynamic linker of macOS.
    Dyld,
    /// `dyld_info -validate`: what Apple takes for a whole file, started or not.
    DyldValidate,
    /// Windows: its kernel and `ntdll`.
    Windows,
    /// UEFI firmware, as EDK II has it.
    Uefi,
    /// UEFI firmware that protects memory by what sections say, as Microsoft's signing demands.
    UefiNx,
    /// Debuggers, profilers and binary tools.
    Tools,
}

impl Loader {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::LinuxLargePages => "linux-large-pages",
            Self::Glibc => "glibc",
            Self::GlibcAsProgram => "glibc-as-program",
            Self::Musl => "musl",
            Self::Xnu => "xnu",
            Self::Dyld => "dyld",
            Self::DyldValidate => "dyld-validate",
            Self::Windows => "windows",
            Self::Uefi => "uefi",
            Self::UefiNx => "uefi-nx",
            Self::Tools => "tools",
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::LinuxLargePages => "Linux with pages of 16 or 64 KiB",
            Self::Glibc => "glibc's ld.so",
            Self::GlibcAsProgram => "glibc's ld.so run as a program",
            Self::Musl => "musl's ld.so",
            Self::Xnu => "the kernel of macOS",
            Self::Dyld => "dyld",
            Self::DyldValidate => "dyld_info -validate",
            Self::Windows => "Windows",
            Self::Uefi => "UEFI firmware",
            Self::UefiNx => "UEFI firmware that protects memory",
            Self::Tools => "debuggers and binary tools",
        }
    }
}

impl fmt::Display for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// Whether a file is started or loaded into what was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A program.
    Program,
    /// A shared library.
    Library,
}

/// A version of an SDK as Mach-O has it: 16 bits major, 8 minor, 8 patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32);

impl Version {
    /// `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u8) -> Self {
        Self((major as u32) << 16 | (minor as u32) << 8)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 >> 16)?;
        match self.0 >> 8 & 0xff {
            0 => Ok(()),
            minor => write!(f, ".{minor}"),
        }
    }
}

/// One loader's demand: of which files, and how badly they do without.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Demand {
    /// Who demands it.
    pub loader: Loader,
    /// How badly a file does without.
    pub severity: Severity,
    /// Only of files for this architecture.
    pub architecture: Option<Architecture>,
    /// Only of these files.
    pub kind: Option<Kind>,
    /// Only of files that were linked against this SDK or a later one.
    pub sdk: Option<Version>,
}

/// A loader that does not start the file, or not as its author meant.
pub(super) const fn error(loader: Loader) -> Demand {
    Demand { loader, severity: Severity::Error, architecture: None, kind: None, sdk: None }
}

/// A loader that starts the file, with less than its author meant.
pub(super) const fn warning(loader: Loader) -> Demand {
    Demand { severity: Severity::Warning, ..error(loader) }
}

impl Demand {
    /// Only of files for this architecture.
    pub(super) const fn on(self, architecture: Architecture) -> Self {
        Self { architecture: Some(architecture), ..self }
    }

    /// Only of programs.
    pub(super) const fn programs(self) -> Self {
        Self { kind: Some(Kind::Program), ..self }
    }

    /// Only of shared libraries.
    pub(super) const fn libraries(self) -> Self {
        Self { kind: Some(Kind::Library), ..self }
    }

    /// Only of files that were linked against this SDK or a later one.
    pub(super) const fn since_sdk(self, major: u16, minor: u8) -> Self {
        Self { sdk: Some(Version::new(major, minor)), ..self }
    }

    /// Whether it is made of such a file, by whichever loader.
    pub(super) fn is_of(&self, file: &Subject) -> bool {
        self.architecture.is_none_or(|wanted| wanted == file.architecture)
            && self.kind.is_none_or(|wanted| wanted == file.kind)
            && self.sdk.is_none_or(|from| file.sdk.is_some_and(|sdk| sdk >= from))
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.loader)?;
        if let Some(kind) = self.kind {
            f.write_str(match kind {
                Kind::Program => ", programs",
                Kind::Library => ", libraries",
            })?;
        }
        if let Some(architecture) = self.architecture {
            write!(f, ", {architecture}")?;
        }
        if let Some(sdk) = self.sdk {
            write!(f, ", from SDK {sdk}")?;
        }
        Ok(())
    }
}

/// What decides which demands are made of a file.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// Those that start this file.
    pub(super) loaders: Vec<Loader>,
    /// Those that could load it too, though it was not made for them: they are told of in notes.
    pub(super) others: Vec<Loader>,
    pub(super) architecture: Architecture,
    pub(super) kind: Kind,
    pub(super) sdk: Option<Version>,
}
