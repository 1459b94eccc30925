//! Runners: what executes a target's files on this machine.
//!
//! Takes a target; gives a way to start a file of it, or the reason why there is none. What differs by
//! target stands in one row of [`RUNNERS`]; `MINILD_RUNNER_<TARGET>` in the environment goes before it.

mod process;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use minild::Target;

pub(crate) use process::{Ending, Outcome, attached, captured};

/// How a target's files are run where they are not this machine's own.
struct RunnerRow {
    target: Target,
    /// The program and its arguments; the file and its arguments follow.
    command: &'static [&'static str],
    /// What Debian and its descendants call the package that has the program.
    package: &'static str,
}

static RUNNERS: &[RunnerRow] = &[
    RunnerRow { target: Target::X86_64_LINUX, command: &["qemu-x86_64"], package: "qemu-user" },
    RunnerRow { target: Target::AARCH64_LINUX, command: &["qemu-aarch64"], package: "qemu-user" },
];

/// What starts a target's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// This machine's own loader.
    Native,
    /// A program that is given the file.
    Program {
        /// The program, found.
        path: PathBuf,
        /// What it is given before the file.
        arguments: Vec<String>,
    },
}

impl Runner {
    /// What starts files of `target` here.
    pub(crate) fn find(target: Target) -> Result<Self, NoRunner> {
        let variable = variable(target);
        if let Some(wish) = std::env::var_os(&variable).filter(|wish| !wish.is_empty()) {
            return overridden(&wish)
                .map_err(|problem| NoRunner::WrongOverride { variable, problem });
        }
        if Target::host() == Some(target) {
            return Ok(Self::Native);
        }
        let row = RUNNERS.iter().find(|row| row.target == target);
        let Some((row, (program, arguments))) =
            row.and_then(|row| Some((row, row.command.split_first()?)))
        else {
            return Err(NoRunner::Unknown { target });
        };
        match which::which(program) {
            Ok(path) => Ok(Self::Program {
                path,
                arguments: arguments.iter().map(ToString::to_string).collect(),
            }),
            Err(_) => Err(NoRunner::Missing { program, package: row.package }),
        }
    }

    /// The command that starts `file`; its arguments are to be added.
    pub(crate) fn command(&self, file: &Path) -> Command {
        match self {
            Self::Native => Command::new(file),
            Self::Program { path, arguments } => {
                let mut command = Command::new(path);
                command.args(arguments).arg(file);
                command
            }
        }
    }
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("native"),
            Self::Program { path, arguments } => {
                write!(f, "{}", path.display())?;
                arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
            }
        }
    }
}

/// Why nothing here runs a target's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoRunner {
    /// The program that would is not installed.
    Missing {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// No program is known that could.
    Unknown {
        /// The target.
        target: Target,
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
            Self::Missing { program, package } => {
                write!(f, "needs {program}: apt install {package}")
            }
            Self::Unknown { target } => {
                write!(f, "needs a runner: set {}", variable(*target))
            }
            Self::WrongOverride { variable, problem } => write!(f, "{variable} {problem}"),
        }
    }
}

/// The environment variable that names another runner: `MINILD_RUNNER_AARCH64_LINUX`.
fn variable(target: Target) -> String {
    format!("MINILD_RUNNER_{}", target.name().to_uppercase().replace('-', "_"))
}

fn overridden(wish: &OsString) -> Result<Runner, String> {
    let words = wish.to_str().ok_or("is not UTF-8")?;
    let words = shlex::split(words).ok_or("has a quote that nothing closes")?;
    let mut words = words.into_iter();
    let program = words.next().ok_or("names no program")?;
    let path = which::which(&program)
        .map_err(|_| format!("names `{program}`, which is no program of this machine"))?;
    Ok(Runner::Program { path, arguments: words.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_is_split_as_a_shell_does() {
        let runner = overridden(&"sh -c 'a b' \"\"".into()).expect("sh is everywhere");
        let Runner::Program { arguments, .. } = runner else { panic!("{runner}") };
        assert_eq!(arguments, ["-c", "a b", ""]);
        assert!(overridden(&"sh 'a".into()).unwrap_err().contains("quote"));
        assert!(overridden(&"  ".into()).unwrap_err().contains("no program"));
        assert!(overridden(&"no-such-program-here".into()).unwrap_err().contains("no-such"));
    }
}
