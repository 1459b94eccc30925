//! A spec, a target and a variant: what the other checks are run for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libtest_mimic::Arguments;
use minild::arch::start_up;
use minild::input::spec::{self, Spec};
use minild::program::{OutputKind, Position, Start};
use minild::{Architecture, Image, OperatingSystem, Options, Program, Target};

use crate::{Checked, linted};

/// The package's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder of the package that end in `.toml`, in order.
pub(crate) fn specs(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder is part of the package");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} holds specs");
    paths
}

/// How a spec is linked beside what it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// As it is.
    Default,
    /// With `position = "fixed"`.
    Fixed,
    /// Without symbols.
    Stripped,
    /// For a macOS of the time before chained fixups.
    OldMacOs,
    /// With symbols where files usually have none.
    Symbols,
}

impl Variant {
    const ALL: [Self; 5] =
        [Self::Default, Self::Fixed, Self::Stripped, Self::OldMacOs, Self::Symbols];

    /// Firmware loads images where it has room, arm64 systems other than Linux want to place programs
    /// themselves, a program at a fixed position has no libraries on macOS, and libraries
    /// lie where there is room.
    fn is_for(self, spec: &Spec, target: Target) -> bool {
        let is_intel = target.architecture == Architecture::X86_64;
        // Assembling takes its time, and every test of a process of its own comes by here.
        let program = || spec.program(target).expect("specs are right").0;
        match (self, target.operating_system) {
            (Self::Fixed, _) if spec.kind(target) == OutputKind::SharedLibrary => false,
            (Self::Default | Self::Stripped, _)
            | (Self::Fixed, OperatingSystem::Linux)
            | (Self::Symbols, OperatingSystem::Windows | OperatingSystem::Uefi) => true,
            (Self::Fixed, OperatingSystem::Windows) => is_intel,
            (Self::Fixed, OperatingSystem::MacOs) if is_intel => {
                let program = program();
                program.libraries().is_empty() && start_up::start(&program) == Start::Raw
            }
            (Self::OldMacOs, OperatingSystem::MacOs) => {
                let wishes = program().wishes;
                wishes.oldest_system.is_none() && wishes.position == Position::Independent
            }
            _ => false,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Fixed => "fixed",
            Self::Stripped => "stripped",
            Self::OldMacOs => "old_macos",
            Self::Symbols => "symbols",
        }
    }
}

/// One file that is to be made and looked at.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) path: PathBuf,
    pub(crate) target: Target,
    pub(crate) variant: Variant,
}

/// What `minild new` writes. They run as they are.
const TEMPLATES: &str = "src/cli/templates";

/// Every case.
///
/// The runner of tests starts a process for each test, which comes by here to find its own: specs are read
/// once, and where one test is asked for by its whole name, only the spec that is in it.
pub(crate) fn all() -> Vec<Case> {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(find).clone()
}

/// Kinds of tests that are about many specs at once.
const ABOUT_ALL: &[&str] = &["one_boot::", "universal::there_are_enough"];

fn find() -> Vec<Case> {
    let Arguments { filter, exact, .. } = Arguments::from_args();
    let mut paths: Vec<_> =
        ["samples", TEMPLATES, "tests/programs"].into_iter().flat_map(specs).collect();
    if let Some(name) = filter.filter(|_| exact) {
        let is_in_name = |path: &PathBuf| {
            let stem = path.file_stem().expect("a spec's file has a name").to_string_lossy();
            name.contains(&format!("::{stem}::")) || name.contains(&format!("::new_{stem}::"))
        };
        if !ABOUT_ALL.iter().any(|kind| name.starts_with(kind)) {
            paths.retain(is_in_name);
        }
    }
    let mut cases = Vec::new();
    for path in paths {
        let spec = read(&path);
        for target in spec.targets() {
            for variant in Variant::ALL.into_iter().filter(|variant| variant.is_for(&spec, target))
            {
                cases.push(Case { path: path.clone(), target, variant });
            }
        }
    }
    cases
}

/// Reads a spec that is right.
pub(crate) fn read(path: &Path) -> Spec {
    let text = fs::read(path).expect("specs can be read");
    let folder = path.parent().expect("specs lie in a folder");
    spec::read_bytes(&text, folder).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Case {
    /// What its spec is called: its file, and that `minild new` writes it, if so.
    pub(crate) fn name(&self) -> String {
        let name = self.path.file_stem().expect("a spec's file has a name").display();
        let is_template = self.path.starts_with(root().join(TEMPLATES));
        if is_template { format!("new_{name}") } else { name.to_string() }
    }

    /// What the test of this kind is called.
    pub(crate) fn test_name(&self, kind: &str) -> String {
        format!("{kind}::{}::{}::{}", self.name(), self.target, self.variant.name())
    }

    /// The text of the spec in this variant.
    pub(crate) fn text(&self) -> String {
        let text = fs::read_to_string(&self.path).expect("specs can be read");
        match self.variant {
            // Keys of the document stand before its tables.
            Variant::Fixed => format!("position = \"fixed\"\n{text}"),
            // The first that has every demand of its architecture, before chains.
            Variant::OldMacOs => match self.target.architecture {
                Architecture::X86_64 => format!("macos = \"10.13\"\n{text}"),
                _ => format!("macos = \"11\"\n{text}"),
            },
            Variant::Default | Variant::Stripped | Variant::Symbols => text,
        }
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options::default();
        options.strip = self.variant == Variant::Stripped;
        options.symbols = self.variant == Variant::Symbols;
        options
    }

    /// Links the case, and shows the program and what became of it.
    pub(crate) fn link(&self, look: impl FnOnce(&Program<'_>, &Image) -> Checked) -> Checked {
        let folder = self.path.parent().expect("specs lie in a folder");
        let spec = spec::read(&self.text(), folder)?;
        let (program, _) = spec.program(self.target)?;
        let image = linted::link(&program, &self.options())?;
        look(&program, &image)
    }
}
