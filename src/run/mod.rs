//! Runners: what executes a target's files on this machine.
//!
//! Takes a target; gives a way to run a file of it, or the reason why there is none. What differs by
//! target stands in one row of [`RUNNERS`]; `MINILD_RUNNER_<TARGET>` in the environment goes before it.

mod firmware;
mod process;
mod wine;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use minild::{FileTarget, OperatingSystem, Target};

pub(crate) use firmware::Machine;
pub(crate) use process::{Ending, Outcome};

/// How a target's files are run where they are not this machine's own.
struct RunnerRow {
    target: Target,
    way: Way,
}

enum Way {
    /// A program and its arguments; the file and its arguments follow.
    Emulator { command: &'static [&'static str], package: &'static str },
    /// Real firmware in an emulated machine.
    Firmware,
    /// wine, where the target's architecture is this machine's: it emulates no processor.
    Wine,
    /// Something that no package has and the source tree makes.
    FromSource(&'static Made),
}

/// What runs files and is made from the source tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Made {
    what: &'static str,
    by: &'static str,
}

/// Wine for another architecture than this machine's.
static FOREIGN_WINE: Made =
    Made { what: "a wine for another processor", by: "`tests/setup/windows.sh`" };

/// A loader for programs of macOS that only tests are to rely on.
static SMALL_MACOS: Made = Made {
    what: "a macOS",
    by: "`tests/macos/setup.sh && cargo build -p small-macos` (for tests)",
};

static RUNNERS: &[RunnerRow] = &[
    RunnerRow {
        target: Target::X86_64_LINUX,
        way: Way::Emulator { command: &["qemu-x86_64"], package: "qemu-user" },
    },
    RunnerRow {
        target: Target::AARCH64_LINUX,
        way: Way::Emulator {
            command: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
            package: "qemu-user",
        },
    },
    RunnerRow { target: Target::X86_64_MACOS, way: Way::FromSource(&SMALL_MACOS) },
    RunnerRow { target: Target::AARCH64_MACOS, way: Way::FromSource(&SMALL_MACOS) },
    RunnerRow { target: Target::X86_64_WINDOWS, way: Way::Wine },
    RunnerRow { target: Target::AARCH64_WINDOWS, way: Way::Wine },
    RunnerRow { target: Target::X86_64_UEFI, way: Way::Firmware },
    RunnerRow { target: Target::AARCH64_UEFI, way: Way::Firmware },
];

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The file.
    pub(crate) file: &'a Path,
    /// What it is given.
    pub(crate) arguments: Vec<OsString>,
    /// Environment variables beside those of this process.
    pub(crate) environment: Vec<(&'a str, &'a str)>,
    /// The folder that it runs in, if not this process' own.
    pub(crate) folder: Option<&'a Path>,
    /// After this it is killed.
    pub(crate) limit: Option<Duration>,
}

/// What runs a target's files.
#[derive(Clone, Debug)]
pub(crate) enum Runner {
    /// This machine's own loader.
    Native,
    /// A program that is given the file.
    Program {
        /// The program, found.
        path: PathBuf,
        /// What it is given before the file.
        arguments: Vec<String>,
        /// Whether it starts services that outlive it: wine does, for whatever architecture.
        has_services: bool,
    },
    /// wine.
    Wine(PathBuf),
    /// A machine with nothing but firmware.
    Firmware(Machine),
}

impl Runner {
    /// What runs files for `target` here.
    pub(crate) fn find(target: FileTarget) -> Result<Self, NoRunner> {
        let variable = variable(target);
        if let Some(wish) = std::env::var_os(&variable).filter(|wish| !wish.is_empty()) {
            return overridden(&wish, target)
                .map_err(|problem| NoRunner::WrongOverride { variable, problem });
        }
        if Target::host().is_some_and(|host| target.slices().contains(&host)) {
            return Ok(Self::Native);
        }
        let unknown = NoRunner::Unknown { target };
        let first = target.slices()[0];
        let row = RUNNERS.iter().find(|row| row.target == first);
        match &row.ok_or(unknown.clone())?.way {
            Way::Emulator { command, package } => {
                let (program, arguments) = command.split_first().ok_or(unknown)?;
                let path = which::which(program)
                    .map_err(|_| NoRunner::Missing { needed: vec![(program, package)] })?;
                let arguments = arguments.iter().map(ToString::to_string).collect();
                Ok(Self::Program { path, arguments, has_services: false })
            }
            Way::Firmware => Ok(Self::Firmware(Machine::find(first.architecture)?)),
            Way::Wine if std::env::consts::ARCH != first.architecture.name() => {
                Err(NoRunner::NotMade { made: &FOREIGN_WINE, target })
            }
            Way::FromSource(made) => Err(NoRunner::NotMade { made, target }),
            Way::Wine => {
                let path = wine::find().ok_or(NoRunner::Missing { needed: vec![("wine", "wine")] });
                Ok(Self::Wine(path?))
            }
        }
    }

    /// Runs a file with this process' own input and output.
    pub(crate) fn attached(&self, job: &Job<'_>) -> io::Result<Ending> {
        match self {
            Self::Native | Self::Program { has_services: false, .. } => {
                process::attached(&mut self.command(job)?, job.limit)
            }
            Self::Wine(_) | Self::Program { .. } => {
                process::passed_on(&mut self.command(job)?, job.limit)
            }
            Self::Firmware(machine) => machine.attached(job),
        }
    }

    /// Runs a file with `stdin` as its input and keeps what it writes; after `limit` it is killed.
    pub(crate) fn captured(
        &self,
        job: &Job<'_>,
        stdin: &[u8],
        limit: Duration,
    ) -> io::Result<Outcome> {
        match self {
            Self::Firmware(machine) => {
                let mut outcomes = machine.captured(&[(job, limit)])?;
                outcomes.pop().ok_or_else(|| io::Error::other("the machine showed nothing"))
            }
            _ => process::captured(&mut self.command(job)?, stdin, limit),
        }
    }

    /// The command that runs a file.
    fn command(&self, job: &Job<'_>) -> io::Result<Command> {
        let mut command = match self {
            Self::Native => Command::new(job.file),
            Self::Program { path, arguments, .. } => {
                let mut command = Command::new(path);
                command.args(arguments).arg(job.file);
                command
            }
            Self::Wine(path) => {
                let mut command = wine::command(path)?;
                command.arg(job.file);
                command
            }
            Self::Firmware(_) => return Err(io::Error::other("a machine is no command")),
        };
        command.args(&job.arguments).envs(job.environment.iter().copied());
        if let Some(folder) = job.folder {
            command.current_dir(folder);
        }
        Ok(command)
    }
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("native"),
            Self::Program { path, arguments, .. } => {
                write!(f, "{}", path.display())?;
                arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
            }
            Self::Wine(path) => write!(f, "{}", path.display()),
            Self::Firmware(machine) => write!(f, "{machine}"),
        }
    }
}

/// Why nothing here runs a target's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoRunner {
    /// What it takes is not installed.
    Missing {
        /// Each thing, and the Debian package that has it.
        needed: Vec<(&'static str, &'static str)>,
    },
    /// No package has what it takes.
    NotMade {
        /// What it takes, and what makes it.
        made: &'static Made,
        /// The target.
        target: FileTarget,
    },
    /// No program is known that could.
    Unknown {
        /// The target.
        target: FileTarget,
    },
    /// The environment asks for one that cannot be.
    WrongOverride {
        /// The environment variable.
        variable: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl NoRunner {
    /// Whether somebody asked for a runner that cannot be: a mistake, not a lack.
    pub(crate) fn is_mistake(&self) -> bool {
        matches!(self, Self::WrongOverride { .. })
    }
}

impl fmt::Display for NoRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { needed } => {
                let names: Vec<_> = needed.iter().map(|(name, _)| *name).collect();
                let packages: Vec<_> = needed.iter().map(|(_, package)| *package).collect();
                write!(f, "needs {}: apt install {}", names.join(" and "), packages.join(" "))
            }
            Self::NotMade { made: Made { what, by }, target } => write!(
                f,
                "needs {what}, which no package has here: {by} of the source tree makes one; set {}",
                variable(*target)
            ),
            Self::Unknown { target } => {
                write!(f, "needs a runner: set {}", variable(*target))
            }
            Self::WrongOverride { variable, problem } => write!(f, "{variable} {problem}"),
        }
    }
}

/// The environment variable that names another runner: `MINILD_RUNNER_AARCH64_LINUX`.
fn variable(target: FileTarget) -> String {
    format!("MINILD_RUNNER_{}", target.name().to_uppercase().replace('-', "_"))
}

fn overridden(wish: &OsString, target: FileTarget) -> Result<Runner, String> {
    let words = wish.to_str().ok_or("is not UTF-8")?;
    let words = shlex::split(words).ok_or("has a quote that nothing closes")?;
    let mut words = words.into_iter();
    let program = words.next().ok_or("names no program")?;
    let path = which::which(&program)
        .map_err(|_| format!("names `{program}`, which is no program of this machine"))?;
    let has_services = target.operating_system() == OperatingSystem::Windows;
    Ok(Runner::Program { path, arguments: words.collect(), has_services })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overridden(wish: &str) -> Result<Runner, String> {
        super::overridden(&wish.into(), Target::AARCH64_LINUX.into())
    }

    #[test]
    fn an_override_is_split_as_a_shell_does() {
        let runner = overridden("sh -c 'a b' \"\"").expect("sh is everywhere");
        let Runner::Program { arguments, .. } = runner else { panic!("{runner}") };
        assert_eq!(arguments, ["-c", "a b", ""]);
        assert!(overridden("sh 'a").unwrap_err().contains("quote"));
        assert!(overridden("  ").unwrap_err().contains("no program"));
        assert!(overridden("no-such-program-here").unwrap_err().contains("no-such"));
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let needed = vec![("qemu-system-x86_64", "qemu-system-x86"), ("OVMF", "ovmf")];
        let reason = NoRunner::Missing { needed }.to_string();
        let expected = "needs qemu-system-x86_64 and OVMF: apt install qemu-system-x86 ovmf";
        assert_eq!(reason, expected);
        let target = Target::AARCH64_WINDOWS.into();
        let reason = NoRunner::NotMade { made: &FOREIGN_WINE, target }.to_string();
        assert!(reason.contains("tests/setup/windows.sh"), "{reason}");
        assert!(reason.contains("MINILD_RUNNER_AARCH64_WINDOWS"), "{reason}");
    }
}
