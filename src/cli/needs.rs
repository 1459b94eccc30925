//! `needs`: shared libraries that are built before a program runs, and put beside it.
//!
//! Takes the program's spec; gives the specs of its libraries, of theirs and so on, each once, and builds them
//! into the program's folder under the names that programs know them by.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use minild::program::OutputKind;
use minild::{Error, ErrorKind, FileTarget, Options, Place, Program, Target};

use super::Failure;
use super::linted::LintArguments;
use super::report::{Finding, Report};
use super::spec_file::{SpecFile, check_slice, link_to};

/// The specs of the libraries that a program needs.
#[derive(Debug)]
pub(super) struct Needs {
    libraries: Vec<SpecFile>,
}

impl Needs {
    /// Reads the specs of what `file` needs to run on `targets`.
    ///
    /// # Errors
    /// A spec that cannot be read, is wrong, is not for all of the targets or makes no library.
    pub(super) fn of(file: &SpecFile, targets: &[Target]) -> Result<Self, Failure> {
        let mut known: HashSet<PathBuf> = file.path.iter().map(|path| identity(path)).collect();
        let mut libraries: Vec<SpecFile> = Vec::new();
        let mut read = 0;
        add(file, targets, &mut known, &mut libraries)?;
        while read < libraries.len() {
            let mut more = Vec::new();
            add(&libraries[read], targets, &mut known, &mut more)?;
            libraries.append(&mut more);
            read += 1;
        }
        Ok(Self { libraries })
    }

    /// Builds all of them for `target` into `folder`, which has the program already.
    pub(super) fn build(
        &self,
        target: FileTarget,
        folder: &Path,
        options: &Options,
        lint: LintArguments,
    ) -> Result<(), Failure> {
        for library in &self.libraries {
            let check = |target, program: &Program<'_>| check_slice(target, program, options);
            library.link_files(&[target], check, |target, programs| {
                let name = programs[0].file_name();
                let path = folder.join(&name);
                if path.exists() {
                    let message = format!("two files for {target} are called `{name}`");
                    return Err(Error::new(ErrorKind::Conflict, message)
                        .at(Place::Wish("library-name"), "")
                        .help("`library-name` gives a library another")
                        .into());
                }
                link_to(target, programs, options, lint, &path)
            })?;
        }
        Ok(())
    }
}

/// What tells whether two paths are of one file.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Reads what `file` needs and is not `known` yet.
fn add(
    file: &SpecFile,
    targets: &[Target],
    known: &mut HashSet<PathBuf>,
    libraries: &mut Vec<SpecFile>,
) -> Result<(), Failure> {
    for need in file.spec.needs() {
        if !known.insert(identity(&need.path)) {
            continue;
        }
        let library = SpecFile::read(&need.path)?;
        let name = library.source.shown();
        let its_targets = library.spec.targets();
        let message = if let Some(other) =
            targets.iter().find(|target| !its_targets.contains(target))
        {
            let names: Vec<_> = its_targets.iter().map(|target| target.name()).collect();
            format!("{name} is not for {other}, only for {}", names.join(", "))
        } else if let Some(target) =
            targets.iter().find(|target| library.spec.kind(**target) != OutputKind::SharedLibrary)
        {
            format!("{name} makes no shared library for {target}, and nothing else can be needed")
        } else {
            libraries.push(library);
            continue;
        };
        let error = Error::new(ErrorKind::Conflict, message).at(Place::Text(need.span()), "");
        let finding = Finding::from(error);
        return Err(Failure::Report(Report::new(file.source.clone(), vec![finding])));
    }
    Ok(())
}
