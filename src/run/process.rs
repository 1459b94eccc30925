//! Starting a process and seeing how it ends: with this one's own input and output, or with given input
//! and recorded output.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::ops::ControlFlow;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
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
    /// By itself, with an error of the firmware's: an EFI status.
    FirmwareError(u64),
    /// The firmware did not start it: an EFI status.
    Refused(u64),
    /// By an exception that the firmware reported; the machine was switched off.
    Faulted,
    /// The machine went off before it had ended.
    MachineOff,
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

    /// The exit status by which a process that stands for this one tells it, as shells and `timeout` do.
    pub(crate) fn exit_status(self) -> u8 {
        match self {
            // A parent sees eight bits of it (POSIX, wait).
            Self::Exit(code) => code.to_le_bytes()[0],
            Self::Signal(number) => number.to_le_bytes()[0].saturating_add(128),
            Self::TimedOut(_) => 124,
            Self::Refused(_) => 126,
            Self::Faulted => 128 + 11,
            Self::FirmwareError(_) | Self::MachineOff => 1,
        }
    }
}

/// What is said of the program: "ended with exit status 1".
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "ended with exit status {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "was ended by signal {number} ({name})"),
                None => write!(f, "was ended by signal {number}"),
            },
            Self::TimedOut(limit) => write!(f, "was killed after {limit:?}"),
            Self::FirmwareError(status) => write!(f, "ended with {}", efi_status(*status)),
            Self::Refused(status) => {
                write!(f, "was refused by the firmware with {}", efi_status(*status))
            }
            Self::Faulted => f.write_str("was ended by an exception"),
            Self::MachineOff => f.write_str("was cut short: the machine went off"),
        }
    }
}

fn efi_status(status: u64) -> String {
    let name = efi_error(status).map_or_else(String::new, |name| format!(" ({name})"));
    format!("EFI status {status:#x}{name}")
}

/// The error that an EFI status is (UEFI specification, appendix D), of those that starting and running an
/// image brings.
fn efi_error(status: u64) -> Option<&'static str> {
    const NAMES: [&str; 9] = [
        "EFI_LOAD_ERROR",
        "EFI_INVALID_PARAMETER",
        "EFI_UNSUPPORTED",
        "EFI_BAD_BUFFER_SIZE",
        "EFI_BUFFER_TOO_SMALL",
        "EFI_NOT_READY",
        "EFI_DEVICE_ERROR",
        "EFI_WRITE_PROTECTED",
        "EFI_OUT_OF_RESOURCES",
    ];
    match status.checked_sub(1 << 63)? {
        14 => Some("EFI_NOT_FOUND"),
        15 => Some("EFI_ACCESS_DENIED"),
        21 => Some("EFI_ABORTED"),
        26 => Some("EFI_SECURITY_VIOLATION"),
        number => NAMES.get(usize::try_from(number.checked_sub(1)?).ok()?).copied(),
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

/// Leaves interruption by the terminal to the process that is run: this one has the other's end to report
/// and its file to remove, so it goes on. (A handler, unlike ignoring the signal, is not inherited.)
pub(crate) fn outlive_interruption() {
    // Without a handler interruption ends both at once, which is no reason not to run.
    let _ = ctrlc::set_handler(|| {});
}

/// Runs a command with this process' own input, output and errors; after `limit` it is killed.
pub(crate) fn attached(command: &mut Command, limit: Option<Duration>) -> io::Result<Ending> {
    outlive_interruption();
    watched(command, limit, || Ok(ControlFlow::Continue(())))
}

/// Runs a command with this process' own input, and passes on what it writes; after `limit` it is killed.
///
/// For what starts services that outlive it: they hold what they inherit open, and whoever reads this
/// process' output by a pipe would wait for them. So the command writes to files.
pub(crate) fn passed_on(command: &mut Command, limit: Option<Duration>) -> io::Result<Ending> {
    outlive_interruption();
    let mut stdout = Growing::new()?;
    let mut stderr = Growing::new()?;
    command.stdout(stdout.writer()?).stderr(stderr.writer()?);
    watched(command, limit, || {
        stdout.pass_on(&mut io::stdout().lock())?;
        stderr.pass_on(&mut io::stderr().lock())?;
        Ok(ControlFlow::Continue(()))
    })
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
    let mut stdout = Growing::new()?;
    let mut stderr = Growing::new()?;
    command.stdin(input).stdout(stdout.writer()?).stderr(stderr.writer()?);
    let ending = watched(command, Some(limit), || Ok(ControlFlow::Continue(())))?;
    Ok(Outcome { ending, stdout: stdout.read_on()?, stderr: stderr.read_on()? })
}

/// Runs a command to its end, until `limit` has passed, or until `look` says that it has ended as good as
/// that. `look` is called every now and then and once after the end.
///
/// Whatever the reason, the process is gone when this returns.
pub(crate) fn watched(
    command: &mut Command,
    limit: Option<Duration>,
    mut look: impl FnMut() -> io::Result<ControlFlow<Ending>>,
) -> io::Result<Ending> {
    /// How long what was written stays unseen at most.
    const PERIOD: Duration = Duration::from_millis(20);
    struct Killed(Child);
    impl Drop for Killed {
        fn drop(&mut self) {
            // It may have ended by itself just now.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let started = Instant::now();
    let mut child = Killed(command.spawn()?);
    loop {
        let left = limit.map_or(PERIOD, |limit| limit.saturating_sub(started.elapsed()));
        let ended = child.0.wait_timeout(left.min(PERIOD))?;
        let flow = look()?;
        if let Some(status) = ended {
            return Ok(Ending::of(status));
        }
        if let Some(limit) = limit.filter(|limit| started.elapsed() >= *limit) {
            drop(child);
            let _ = look()?;
            return Ok(Ending::TimedOut(limit));
        }
        if let ControlFlow::Break(ending) = flow {
            return Ok(ending);
        }
    }
}

/// A file that a process appends to while this one reads it.
pub(crate) struct Growing {
    file: NamedTempFile,
    reader: File,
}

impl Growing {
    pub(crate) fn new() -> io::Result<Self> {
        let file = NamedTempFile::new()?;
        let reader = file.reopen()?;
        Ok(Self { file, reader })
    }

    /// What the process writes to.
    pub(crate) fn writer(&self) -> io::Result<File> {
        self.file.as_file().try_clone()
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.file.path()
    }

    /// What was written since the last call.
    pub(crate) fn read_on(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn pass_on(&mut self, to: &mut impl Write) -> io::Result<()> {
        if io::copy(&mut self.reader, to)? > 0 {
            to.flush()?;
        }
        Ok(())
    }
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

    #[test]
    fn what_is_written_is_seen_before_the_end() {
        let mut growing = Growing::new().expect("a temporary file");
        let mut command = Command::new("sh");
        command.args(["-c", "echo early; exec sleep 60"]);
        command.stdout(growing.writer().expect("the file is open"));
        let mut seen = Vec::new();
        let ending = watched(&mut command, None, || {
            seen.extend(growing.read_on()?);
            let is_enough = !seen.is_empty();
            Ok(if is_enough {
                ControlFlow::Break(Ending::Exit(7))
            } else {
                ControlFlow::Continue(())
            })
        });
        assert_eq!(ending.expect("sh runs"), Ending::Exit(7));
        assert_eq!(seen, b"early\n");
    }

    #[test]
    fn errors_of_firmware_have_names() {
        let error = |number: u64| efi_status(1 << 63 | number);
        assert_eq!(error(1), "EFI status 0x8000000000000001 (EFI_LOAD_ERROR)");
        assert_eq!(error(9), "EFI status 0x8000000000000009 (EFI_OUT_OF_RESOURCES)");
        assert_eq!(error(14), "EFI status 0x800000000000000e (EFI_NOT_FOUND)");
        assert_eq!(error(0x1000), "EFI status 0x8000000000001000");
        assert_eq!(efi_status(3), "EFI status 0x3");
    }
}
