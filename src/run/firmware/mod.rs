//! Firmware: runs UEFI images in an emulated machine that has nothing but firmware. Takes files; gives what
//! each printed on the console and how it ended.
//!
//! A boot takes some seconds, an image some milliseconds. So the machine boots an application of minild's
//! own (`boot.toml`, linked when it is needed), which starts one image after the other, says how each ended,
//! and switches the machine off.

mod console;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use minild::input::spec;
use minild::{Architecture, Options, Target};
use tempfile::TempDir;

use super::process::{Ending, Growing, Outcome, outlive_interruption, watched};
use super::{Job, NoRunner};
use console::{Console, Event};

/// The boot application.
const BOOT: &str = include_str!("boot.toml");

/// How long the firmware may take until the next image begins: a few seconds where nothing else runs.
const BOOT_LIMIT: Duration = Duration::from_mins(5);

/// How long a fault's report may take. The firmware then loops for ever.
const REPORT_TIME: Duration = Duration::from_secs(1);

/// What the firmwares say when an image faults (edk2 `CpuExceptionHandlerLib`, `DefaultExceptionHandlerLib`).
const FAULTS: [&[u8]; 2] = [b"Exception Type - ", b"Synchronous Exception at "];

/// A machine of one architecture.
#[derive(Debug)]
struct MachineRow {
    target: Target,
    /// The emulator.
    program: &'static str,
    package: &'static str,
    /// Which machine it is to emulate.
    arguments: &'static [&'static str],
    /// What the firmware starts from a volume (UEFI specification 3.5.1.1).
    boot_file: &'static str,
    /// What the firmware is called.
    firmware: &'static str,
    firmware_package: &'static str,
    /// Where systems keep its code, and the settings that it is delivered with.
    files: &'static [(&'static str, &'static str)],
}

// TCG everywhere: what runs does not depend on the machine that it is run on.
static MACHINES: &[MachineRow] = &[
    MachineRow {
        target: Target::X86_64_UEFI,
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
        arguments: &["-machine", "q35,accel=tcg"],
        boot_file: "BOOTX64.EFI",
        firmware: "OVMF",
        firmware_package: "ovmf",
        files: &[
            // Debian, Fedora, Arch
            ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
            ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
            ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
            ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
        ],
    },
    MachineRow {
        target: Target::AARCH64_UEFI,
        program: "qemu-system-aarch64",
        package: "qemu-system-arm",
        arguments: &["-machine", "virt,accel=tcg", "-cpu", "cortex-a57"],
        boot_file: "BOOTAA64.EFI",
        firmware: "AAVMF",
        firmware_package: "qemu-efi-aarch64",
        files: &[
            ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
            (
                "/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw",
                "/usr/share/edk2/aarch64/vars-template-pflash.raw",
            ),
            ("/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"),
        ],
    },
];

/// A machine that can be booted here.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    row: &'static MachineRow,
    emulator: PathBuf,
    code: &'static Path,
    settings: &'static Path,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.emulator.display(), self.row.firmware)
    }
}

impl Machine {
    /// The machine for images of `architecture`.
    pub(super) fn find(architecture: Architecture) -> Result<Self, NoRunner> {
        let row = MACHINES
            .iter()
            .find(|row| row.target.architecture == architecture)
            .expect("every architecture has a row in MACHINES");
        let emulator = which::which(row.program);
        let files = row
            .files
            .iter()
            .find(|(code, settings)| [code, settings].iter().all(|file| Path::new(file).is_file()));
        match (emulator, files) {
            (Ok(emulator), Some((code, settings))) => {
                Ok(Self { row, emulator, code: Path::new(code), settings: Path::new(settings) })
            }
            (emulator, files) => {
                let program = emulator.is_err().then_some((row.program, row.package));
                let firmware = files.is_none().then_some((row.firmware, row.firmware_package));
                Err(NoRunner::Missing { needed: program.into_iter().chain(firmware).collect() })
            }
        }
    }

    /// Runs an image; what it prints goes to standard output.
    pub(super) fn attached(&self, job: &Job<'_>) -> io::Result<Ending> {
        outlive_interruption();
        let mut stdout = io::stdout().lock();
        let endings = self.boot(&[(job, job.limit)], |_, text| {
            stdout.write_all(text)?;
            stdout.flush()
        })?;
        endings.into_iter().next().ok_or_else(|| io::Error::other("the image did not begin"))
    }

    /// Runs images, each after the one before it, and keeps what they print. Where one ends the machine, the
    /// rest gets another.
    pub(crate) fn captured(&self, jobs: &[(&Job<'_>, Duration)]) -> io::Result<Vec<Outcome>> {
        let jobs: Vec<_> = jobs.iter().map(|&(job, limit)| (job, Some(limit))).collect();
        let mut outcomes: Vec<Outcome> = Vec::new();
        while outcomes.len() < jobs.len() {
            let left = &jobs[outcomes.len()..];
            let mut texts = vec![Vec::new(); left.len()];
            let endings = self.boot(left, |index, text| {
                texts[index].extend_from_slice(text);
                Ok(())
            })?;
            let ended = endings.into_iter().zip(texts);
            outcomes.extend(ended.map(|(ending, stdout)| Outcome {
                ending,
                stdout,
                stderr: Vec::new(),
            }));
        }
        Ok(outcomes)
    }

    /// Boots the machine with these images, tells what each prints, and gives how they ended: all of them, or
    /// those up to one that the machine ended with.
    ///
    /// An error is that of starting the machine, or of it ending before the first image began.
    fn boot(
        &self,
        jobs: &[(&Job<'_>, Option<Duration>)],
        mut prints: impl FnMut(usize, &[u8]) -> io::Result<()>,
    ) -> io::Result<Vec<Ending>> {
        let volume = self.volume(jobs)?;
        let mut serial = Growing::new()?;
        let mut complaints = Growing::new()?;
        let mut command = self.command(volume.path(), serial.path());
        command.stdout(Stdio::null()).stderr(complaints.writer()?);

        let mut console = Console::default();
        let mut endings: Vec<Ending> = Vec::new();
        let mut image = Running::default();
        let mut everything = Vec::new();
        let ending = watched(&mut command, None, || {
            let bytes = serial.read_on()?;
            everything.extend_from_slice(&bytes);
            for event in console.read(&bytes) {
                match event {
                    Event::Begins => image = Running::default(),
                    Event::Prints(text) => {
                        image.look_for_fault(&text);
                        prints(endings.len(), &text)?;
                    }
                    Event::Ends(ending) => {
                        endings.push(ending);
                        image = Running::default();
                    }
                }
            }
            let limit = jobs.get(endings.len()).and_then(|(_, limit)| *limit);
            Ok(image
                .verdict(console.is_inside(), limit)
                .map_or(ControlFlow::Continue(()), ControlFlow::Break))
        })?;
        if console.is_inside() {
            prints(endings.len(), &console.rest())?;
            endings.push(match ending {
                Ending::Faulted | Ending::TimedOut(_) => ending,
                _ => Ending::MachineOff,
            });
        } else if endings.is_empty() {
            let complaints = complaints.read_on()?;
            let complaints = String::from_utf8_lossy(&complaints);
            let shown = String::from_utf8_lossy(&everything);
            return Err(io::Error::other(format!(
                "{} {ending} before the image began\n{complaints}{shown}",
                self.row.program
            )));
        }
        Ok(endings)
    }

    /// The volume that the machine boots from: the boot application, and the images by their numbers.
    fn volume(&self, jobs: &[(&Job<'_>, Option<Duration>)]) -> io::Result<TempDir> {
        let volume = tempfile::Builder::new().prefix("minild-").tempdir()?;
        let (boot, run) = (volume.path().join("EFI/BOOT"), volume.path().join("run"));
        fs::create_dir_all(&boot)?;
        fs::create_dir(&run)?;
        fs::write(boot.join(self.row.boot_file), boot_application(self.row.target))?;
        // The firmware writes its settings; each boot starts from those it was delivered with.
        fs::copy(self.settings, volume.path().join("settings"))?;
        for (number, (job, _)) in jobs.iter().enumerate() {
            fs::copy(job.file, run.join(format!("{number:03}.efi")))?;
            let options = load_options(job);
            fs::write(run.join(format!("{number:03}.opt")), options)?;
        }
        Ok(volume)
    }

    fn command(&self, volume: &Path, serial: &Path) -> Command {
        // In an option of qemu's a comma is written twice.
        let path = |path: &Path| path.display().to_string().replace(',', ",,");
        let mut command = Command::new(&self.emulator);
        command.args(self.row.arguments).args(["-m", "256", "-no-reboot", "-nodefaults"]);
        // Without a boot menu's time the arm64 firmware waits 5 s for a key.
        command.args(["-boot", "menu=on,splash-time=0", "-net", "none"]);
        command.args(["-display", "none", "-monitor", "none"]);
        command.args(["-chardev", &format!("file,id=console,path={}", path(serial))]);
        command.args(["-serial", "chardev:console"]);
        for drive in [
            format!("if=pflash,format=raw,unit=0,readonly=on,file={}", path(self.code)),
            format!("if=pflash,format=raw,unit=1,file={}", path(&volume.join("settings"))),
            format!("format=raw,file=fat:{},if=none,id=volume,readonly=on", path(volume)),
        ] {
            command.args(["-drive", &drive]);
        }
        command.args(["-device", "virtio-blk-pci,drive=volume,bootindex=0"]);
        command.stdin(Stdio::null());
        command
    }
}

/// An image that runs, or the time between two.
struct Running {
    since: Instant,
    /// The end of what it printed.
    tail: Vec<u8>,
    fault: Option<Instant>,
}

impl Default for Running {
    fn default() -> Self {
        Self { since: Instant::now(), tail: Vec::new(), fault: None }
    }
}

impl Running {
    fn look_for_fault(&mut self, text: &[u8]) {
        self.tail.extend_from_slice(text);
        let has = |fault: &&[u8]| self.tail.windows(fault.len()).any(|window| window == *fault);
        if self.fault.is_none() && FAULTS.iter().any(has) {
            self.fault = Some(Instant::now());
        }
        let longest = FAULTS.map(<[u8]>::len).into_iter().max().unwrap_or(0);
        self.tail.drain(..self.tail.len().saturating_sub(longest));
    }

    /// Whether it is at its end although it has not ended by itself.
    fn verdict(&self, is_image: bool, limit: Option<Duration>) -> Option<Ending> {
        if self.fault.is_some_and(|fault| fault.elapsed() >= REPORT_TIME) {
            return Some(Ending::Faulted);
        }
        let limit = if is_image { limit } else { Some(BOOT_LIMIT) };
        limit.filter(|limit| self.since.elapsed() >= *limit).map(Ending::TimedOut)
    }
}

/// The boot application for `target`.
fn boot_application(target: Target) -> Vec<u8> {
    let link = || -> minild::Result<Vec<u8>> {
        let spec = spec::read(BOOT, Path::new("."))?;
        let (program, _) = spec.program(target)?;
        Ok(minild::link(&program, &Options::default())?.bytes)
    };
    link().expect("the boot application is right: tests boot it")
}

/// What an image finds as its load options: a line as a shell would have it, its own name first, in UTF-16
/// with a zero behind it.
fn load_options(job: &Job<'_>) -> Vec<u8> {
    let name = job.file.file_name().unwrap_or_default().to_string_lossy();
    let arguments = job.arguments.iter().map(|argument| argument.to_string_lossy());
    let line: Vec<_> = std::iter::once(name).chain(arguments).collect();
    line.join(" ").encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_application_links_for_every_machine() {
        for row in MACHINES {
            let lint = minild::view::lint::lint(&boot_application(row.target)).expect("a PE file");
            assert!(lint.findings.is_empty(), "{}: {:?}", row.target, lint.findings);
        }
    }

    #[test]
    fn a_fault_is_seen_across_pieces_and_ends_a_while_later() {
        let mut image = Running::default();
        for piece in ["!!!! X64 Exception ", "Type - 06(#UD)"] {
            assert!(image.fault.is_none());
            image.look_for_fault(piece.as_bytes());
        }
        assert!(image.fault.is_some());
        assert_eq!(image.verdict(true, None), None);
        image.fault = Instant::now().checked_sub(REPORT_TIME);
        assert_eq!(image.verdict(true, None), Some(Ending::Faulted));
    }

    #[test]
    fn load_options_are_a_line_in_utf_16() {
        let arguments = vec!["one".into(), "two three".into()];
        let file = Path::new("folder/a.efi");
        let job = Job { file, arguments, environment: Vec::new(), folder: None, limit: None };
        let text = "a.efi one two three\0";
        let expected: Vec<u8> = text.bytes().flat_map(|byte| [byte, 0]).collect();
        assert_eq!(load_options(&job), expected);
    }
}
