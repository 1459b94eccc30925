//! Starting a process and seeing how it ends: with this one's own input and output, or with given input
//! and recorded output.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use wait_timeout::ChildExt;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, with this status: 8 bits of it on Unix, 32 on Windows.
    Exit(u32),
    /// By this signal.
    Signal(i32),
    /// Not at all in this time: it was killed.
    TimedOut(Duration),
}

impl Ending {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), signal(status)) {
            (Some(code), _) => Self::Exit(code.cast_unsigned()),
            (None, Some(signal)) => Self::Signal(signal),
            // Systems without signals always have a code.
            (None, None) => Self::Exit(1),
        }
    }

    /// Whether this is the end by the signal of that name: `SIGSEGV`.
    pub(crate) fn is_signal(self, name: &str) -> bool {
        matches!(self, Self::Signal(number) if signal_name(number) == Some(name))
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit status {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal {number} ({name})"),
                None => write!(f, "signal {number}"),
            },
            Self::TimedOut(limit) => write!(f, "killed after {limit:?}"),
        }
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(unix)]
fn signal_name(number: i32) -> Option<&'static str> {
    nix::sys::signal::Signal::try_from(number).ok().map(nix::sys::signal::Signal::as_str)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

#[cfg(not(unix))]
fn signal_name(_: i32) -> Option<&'static str> {
    None
}

/// Runs a command with this process' own input, output and errors.
pub(crate) fn attached(command: &mut Command) -> io::Result<Ending> {
    // The terminal interrupts both processes; this one has the child's end to report and its file to
    // remove, so it goes on. (A handler, unlike ignoring the signal, is not inherited by the child.)
    // Without a handler interruption ends both at once, which is no reason not to run.
    let _ = ctrlc::set_handler(|| {});
    command.status().map(Ending::of)
}

/// What a process did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) ending: Ending,
    /// What it wrote to its standard output.
    pub(crate) stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub(crate) stderr: Vec<u8>,
}

/// Runs a command with `stdin` as its input and keeps what it writes; after `limit` it is killed.
///
/// Input and output are files, not pipes: what a killed runner leaves behind may hold a pipe open for
/// ever.
pub(crate) fn captured(
    command: &mut Command,
    stdin: &[u8],
    limit: Duration,
) -> io::Result<Outcome> {
    let mut input = tempfile::tempfile()?;
    input.write_all(stdin)?;
    input.rewind()?;
    let mut stdout = tempfile::tempfile()?;
    let mut stderr = tempfile::tempfile()?;
    let mut child =
        command.stdin(input).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?).spawn()?;
    let ending = if let Some(status) = child.wait_timeout(limit)? {
        Ending::of(status)
    } else {
        child.kill()?;
        child.wait()?;
        Ending::TimedOut(limit)
    };
    Ok(Outcome { ending, stdout: written(&mut stdout)?, stderr: written(&mut stderr)? })
}

fn written(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, stdin: &str, limit: Duration) -> Outcome {
        let mut command = Command::new("sh");
        captured(command.args(["-c", script]), stdin.as_bytes(), limit).expect("sh runs")
    }

    #[test]
    fn input_output_and_status_pass_through() {
        let outcome = shell("cat; echo no >&2; exit 42", "yes\n", Duration::from_secs(10));
        assert_eq!(outcome.ending, Ending::Exit(42));
        assert_eq!(outcome.stdout, b"yes\n");
        assert_eq!(outcome.stderr, b"no\n");
    }

    #[test]
    fn a_signal_is_told_by_name() {
        let outcome = shell("kill -SEGV $$", "", Duration::from_secs(10));
        assert!(outcome.ending.is_signal("SIGSEGV"), "{}", outcome.ending);
        assert!(!outcome.ending.is_signal("SIGBUS"));
    }

    #[test]
    fn what_takes_too_long_is_killed_and_its_output_kept() {
        let limit = Duration::from_millis(100);
        let outcome = shell("echo early; exec sleep 60", "", limit);
        assert_eq!(outcome.ending, Ending::TimedOut(limit));
        assert_eq!(outcome.stdout, b"early\n");
    }
}
