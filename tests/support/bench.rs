//! Where files are made and run: a folder for each trial, minild, other tools, and each target's runner.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use minild::{Architecture, OperatingSystem, Target};
use tempfile::TempDir;

use crate::runners::minild;
use crate::trials::Checked;
use crate::wine::wine;

/// Where the specs and the sources in C lie.
pub(crate) const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dynamic/fixtures");

/// The text of a spec among the fixtures.
pub(crate) fn fixture(name: &str) -> String {
    fs::read_to_string(Path::new(FIXTURES).join(name)).expect("the fixture is part of the package")
}

/// A folder in which files for one target are made and run.
pub(crate) struct Bench {
    pub(crate) target: Target,
    folder: TempDir,
}

/// What a run showed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The exit status, or 128 and the number of the signal that ended it.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Shown {
    /// Fails where the program ended otherwise, or wrote something else. Windows ends lines with two bytes.
    pub(crate) fn is(&self, status: i32, stdout: &str) -> Checked {
        if self.status == status && self.stdout.replace("\r\n", "\n") == stdout {
            Ok(())
        } else {
            Err(format!("not status {status} and {stdout:?}, but {self:#?}").into())
        }
    }

    /// Fails where it did not end with `status`, or did not write `part` as an error.
    pub(crate) fn complains(&self, status: i32, part: &str) -> Checked {
        if self.status == status && self.stderr.contains(part) {
            Ok(())
        } else {
            Err(format!("not status {status} and an error with {part:?}, but {self:#?}").into())
        }
    }
}

impl Bench {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Has minild build `spec` into the file `name`, and two readers read it.
    pub(crate) fn build(&self, spec: &str, name: &str) -> Result<PathBuf, Failed> {
        self.build_with(spec, name, &[])
    }

    /// The same, with more options.
    pub(crate) fn build_with(
        &self,
        spec: &str,
        name: &str,
        options: &[&str],
    ) -> Result<PathBuf, Failed> {
        let (path, source) = (self.path(name), self.path(&format!("{name}.toml")));
        fs::write(&source, spec)?;
        let mut command = minild();
        command.arg("build").arg(&source).args(["--target", self.target.name(), "-o"]).arg(&path);
        tool(command.args(options))?;
        self.reads_cleanly(&path)?;
        Ok(path)
    }

    /// Fails where a reader of files that nobody here wrote has anything to complain of.
    fn reads_cleanly(&self, path: &Path) -> Checked {
        let readers: &[(&str, &[&str])] = match self.target.operating_system {
            OperatingSystem::Linux => {
                &[("llvm-readobj", &["--all"]), ("readelf", &["--all", "--wide"])]
            }
            OperatingSystem::MacOs => &[
                ("llvm-readobj", &["--all"]),
                ("llvm-objdump", &["--macho", "--all-headers", "--exports-trie", "--bind"]),
            ],
            _ => &[("llvm-readobj", &["--all", "--coff-exports", "--coff-imports"])],
        };
        for (reader, arguments) in readers {
            let said = tool(Command::new(reader).args(*arguments).arg(path))?;
            let complaint = |line: &&str| {
                let line = line.to_lowercase();
                ["warning", "error", "corrupt", "<unknown", "invalid"]
                    .iter()
                    .any(|word| line.contains(word))
            };
            if let Some(line) = said.lines().find(complaint) {
                return Err(format!("{reader} says of {}: {line}", path.display()).into());
            }
        }
        let bytes = fs::read(path)?;
        goblin::Object::parse(&bytes)?;
        object::File::parse(&*bytes)?;
        Ok(())
    }

    /// Runs a file of the folder as its target's system does, in the folder.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Result<Shown, Failed> {
        self.run_in(&[], name, arguments)
    }

    /// The same, with more in the environment.
    pub(crate) fn run_in(
        &self,
        environment: &[(&str, &str)],
        name: &str,
        arguments: &[&str],
    ) -> Result<Shown, Failed> {
        let mut command = runner(self.target)?;
        command.arg(self.path(name)).args(arguments);
        self.show(command.envs(environment.iter().copied()))
    }

    /// Runs a command in the folder and keeps what it writes.
    pub(crate) fn show(&self, command: &mut Command) -> Result<Shown, Failed> {
        // To files: what wine leaves behind would hold a pipe open.
        let (stdout, stderr) = (self.path(".stdout"), self.path(".stderr"));
        let status = command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .status()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let status = status.code().or(status.signal().map(|signal| 128 + signal));
        let text = |path| Ok::<_, Failed>(String::from_utf8_lossy(&fs::read(path)?).into_owned());
        Ok(Shown { status: status.unwrap_or(-1), stdout: text(stdout)?, stderr: text(stderr)? })
    }
}

/// Runs a tool, which must succeed and say nothing on standard error; gives what it writes.
pub(crate) fn tool(command: &mut Command) -> Result<String, Failed> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.success() && stderr.is_empty() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}: {stderr}", output.status).into())
    }
}

/// What the environment names as the runner of a target.
pub(crate) fn named_runner(target: Target) -> Option<String> {
    let variable = format!("MINILD_RUNNER_{}", target.name().to_uppercase().replace('-', "_"));
    std::env::var(variable).ok()
}

/// The command that runs files of a target; the file is to be added.
fn runner(target: Target) -> Result<Command, Failed> {
    if let Some(named) = named_runner(target) {
        return Ok(Command::new(named));
    }
    Ok(match (target.architecture, target.operating_system) {
        (Architecture::X86_64, OperatingSystem::Linux) => {
            // `env` does nothing but run it.
            Command::new("env")
        }
        (Architecture::Aarch64, OperatingSystem::Linux) => {
            let mut command = Command::new("qemu-aarch64");
            command.args(["-L", "/usr/aarch64-linux-gnu"]);
            command
        }
        (_, OperatingSystem::Windows) => wine()?,
        _ => return Err(format!("nothing runs files of {target}").into()),
    })
}
