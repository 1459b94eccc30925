//! A spec as the commands take it: read, its targets chosen, its programs linked, every error gathered.

use std::path::{Path, PathBuf};

use minild::input::spec::{self, Spec};
use minild::{Error, FileTarget, Options, Pending, Program, Target};

use super::linted::LintArguments;
use super::read_file::{is_stdin, name, read_spec, shown};
use super::report::{Finding, Report, Source};
use super::{Failure, TargetArguments};

/// A spec that was read.
#[derive(Debug)]
pub(super) struct SpecFile {
    /// Its text, under the name that the user gave.
    pub(super) source: Source,
    /// Where it lies; `None` for standard input.
    pub(super) path: Option<PathBuf>,
    /// The folder that its paths start at.
    pub(super) folder: PathBuf,
    /// What it says.
    pub(super) spec: Spec,
}

impl SpecFile {
    /// Reads the spec at `path`, or standard input for `-`.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let name = name(path);
        let is_stdin = is_stdin(path);
        let bytes =
            read_spec(path).map_err(|error| Failure::Report(Report::of_file(&name, error)))?;
        let folder = match path.parent() {
            Some(folder) if !is_stdin && folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        // An error's place in the text is that of the bytes: up to the first that is no UTF-8 they agree.
        let text = match str::from_utf8(&bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        let source = Source { name, text };
        match spec::read_bytes(&bytes, &folder) {
            Ok(spec) => {
                Ok(Self { source, path: (!is_stdin).then(|| path.to_owned()), folder, spec })
            }
            Err(errors) => {
                let findings = errors.into_iter().map(Finding::from).collect();
                Err(Failure::Report(Report::new(source, findings)))
            }
        }
    }

    /// What the program is called: as the spec says, else as the spec's own file, without its ending.
    pub(super) fn name(&self) -> Option<String> {
        let stem = || self.path.as_ref()?.file_stem()?.to_str().map(str::to_owned);
        self.spec.name().map(str::to_owned).or_else(stem)
    }

    /// The files that are asked for, all of the spec's where none is, in the spec's order; then those that it
    /// does not name and has the programs for.
    pub(super) fn files(&self, asked: &TargetArguments) -> Result<Vec<FileTarget>, Failure> {
        let (all, targets) = (self.spec.files(), self.spec.targets());
        let is_possible = |file: &FileTarget| file.slices().iter().all(|one| targets.contains(one));
        if let Some(other) = asked.targets.iter().find(|file| !is_possible(file)) {
            let names: Vec<_> = all.iter().map(|file| file.name()).collect();
            return Err(Failure::Usage(format!(
                "{} is not for {other}; it is for {}",
                self.source.shown(),
                names.join(", ")
            )));
        }
        if asked.targets.is_empty() {
            return Ok(all);
        }
        let listed = all.iter().filter(|file| asked.targets.contains(file));
        let mut files: Vec<_> = listed.copied().collect();
        for file in &asked.targets {
            if !files.contains(file) {
                files.push(*file);
            }
        }
        Ok(files)
    }

    /// The targets whose programs are in the files that are asked for, each once.
    pub(super) fn targets(&self, asked: &TargetArguments) -> Result<Vec<Target>, Failure> {
        let mut targets = Vec::new();
        for file in self.files(asked)? {
            for target in file.slices() {
                if !targets.contains(target) {
                    targets.push(*target);
                }
            }
        }
        Ok(targets)
    }

    /// Does `link` with the program of each target. Where any fails, there are all errors of all targets,
    /// each cause once.
    pub(super) fn link<T>(
        &self,
        targets: &[Target],
        mut link: impl FnMut(Target, &Program<'_>) -> minild::Result<T>,
    ) -> Result<Vec<T>, Failure> {
        let files: Vec<_> = targets.iter().map(|target| FileTarget::Single(*target)).collect();
        self.link_files(&files, |_, _| Ok(()), |_, programs| link(programs[0].target, &programs[0]))
    }

    /// Does `check` with each program of each file, and then `link` with all of the file's. What `link` finds
    /// wrong with one of several programs has no place: `check` finds that.
    pub(super) fn link_files<T>(
        &self,
        files: &[FileTarget],
        mut check: impl FnMut(FileTarget, &Program<'_>) -> minild::Result<()>,
        mut link: impl FnMut(FileTarget, &[Program<'_>]) -> minild::Result<T>,
    ) -> Result<Vec<T>, Failure> {
        let mut done = Vec::new();
        let mut findings: Vec<Finding> = Vec::new();
        for &file in files {
            let mut programs = Vec::new();
            let mut maps = Vec::new();
            for &target in file.slices() {
                let program = self.spec.program(target).and_then(|(mut program, map)| {
                    if let Some(name) = self.name() {
                        program.name = name.into();
                    }
                    let checked = check(file, &program);
                    checked.map_err(|errors| errors.map(|error| map.locate(error)))?;
                    maps.push(map);
                    Ok(program)
                });
                match program {
                    Ok(program) => programs.push(program),
                    Err(errors) => {
                        errors.into_iter().for_each(|error| add(&mut findings, error, target));
                    }
                }
            }
            if programs.len() < file.slices().len() {
                continue;
            }
            match link(file, &programs) {
                Ok(result) => done.push(result),
                Err(errors) => {
                    for error in errors {
                        let error = if let [map] = &maps[..] { map.locate(error) } else { error };
                        add(&mut findings, error, file.slices()[0]);
                    }
                }
            }
        }
        if findings.is_empty() {
            return Ok(done);
        }
        for finding in &mut findings {
            if finding.targets.len() == self.spec.targets().len() {
                finding.targets.clear();
            }
        }
        Err(Failure::Report(Report::new(self.source.clone(), findings)))
    }
}

/// Finds what is wrong with one of several programs of a file while it can be said where.
pub(super) fn check_slice(
    target: FileTarget,
    program: &Program<'_>,
    options: &Options,
) -> minild::Result<()> {
    match target {
        FileTarget::Single(_) => Ok(()),
        FileTarget::Universal(_) => minild::check(program, options),
    }
}

/// Links all programs of a file into a new one beside `path`.
pub(super) fn link_beside<'p>(
    target: FileTarget,
    programs: &[Program<'_>],
    options: &Options,
    path: &'p Path,
) -> minild::Result<Pending<'p>> {
    match target {
        FileTarget::Single(_) => minild::link_beside(&programs[0], options, path),
        FileTarget::Universal(_) => minild::link_universal_beside(programs, options, path),
    }
}

/// Links all programs of a file into the file at `path`, in a folder that the user does not know.
pub(super) fn link_to(
    target: FileTarget,
    programs: &[Program<'_>],
    options: &Options,
    lint: LintArguments,
    path: &Path,
) -> minild::Result<()> {
    let pending = link_beside(target, programs, options, path)?;
    let name = shown(path.file_name().map_or(path, Path::new));
    lint.check_file(&name, pending.temporary_path())?;
    pending.put_in_place().map(drop)
}

/// Takes note of an error of one target, which targets before it may have shown already.
fn add(findings: &mut Vec<Finding>, error: Error, target: Target) {
    let known = |finding: &Finding| {
        same_cause(&finding.error, &error) && !finding.targets.contains(&target)
    };
    if let Some(known) = findings.iter_mut().find(|finding| known(finding)) {
        known.targets.push(target);
    } else if !findings.iter().any(|finding| finding.error == error) {
        findings.push(Finding { error, targets: vec![target] });
    }
}

/// Whether two targets stumble over one thing: the same mistake at the same bytes of the text, though the
/// numbers may differ; without such bytes, the same words.
fn same_cause(one: &Error, other: &Error) -> bool {
    one.has_cause_of(other) || one == other
}
