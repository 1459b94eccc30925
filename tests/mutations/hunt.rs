//! Changes one field of a file, runs it, and holds what happens against what lint says.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use minild::view::lint::{self, Severity};

use crate::trials::Checked;

/// A field of a file: its name, where it lies, how many bytes it has.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// `PT_LOAD[1].p_vaddr`: the structure, which one of its kind, the field.
    pub(crate) name: String,
    pub(crate) at: usize,
    pub(crate) size: usize,
}

impl Field {
    /// The name without its numbers: what a table of exceptions is about.
    fn class(&self) -> String {
        let mut class = String::new();
        let mut parts = self.name.split(['[', ']']);
        while let Some(part) = parts.next() {
            class.push_str(part);
            _ = parts.next();
        }
        class
    }
}

/// A file that works, and the fields of it that were named so far.
pub(crate) struct Named<'b> {
    pub(crate) bytes: &'b [u8],
    pub(crate) fields: Vec<Field>,
}

impl<'b> Named<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, fields: Vec::new() }
    }

    pub(crate) fn number(&self, at: usize, size: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&self.bytes[at..at + size]);
        u64::from_le_bytes(bytes)
    }

    /// A number that counts bytes of the file.
    pub(crate) fn size(&self, at: usize, size: usize) -> usize {
        usize::try_from(self.number(at, size)).expect("files are small")
    }

    /// Adds the fields of a structure: their names, offsets and sizes.
    pub(crate) fn add(&mut self, structure: &str, at: usize, fields: &[(&str, usize, usize)]) {
        for (name, offset, size) in fields {
            let name = if structure.is_empty() {
                (*name).to_owned()
            } else {
                format!("{structure}.{name}")
            };
            self.fields.push(Field { name, at: at + offset, size: *size });
        }
    }
}

/// A field that gets another value.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    field: Field,
    value: u64,
    old: u64,
}

impl Change {
    fn name(&self) -> String {
        format!("{} {:#x} -> {:#x}", self.field.name, self.old, self.value)
    }

    fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        let Field { at, size, .. } = self.field;
        changed[at..at + size].copy_from_slice(&self.value.to_le_bytes()[..size]);
        changed
    }
}

/// What a field is set to: bounds, neighbours, what is far away.
fn values(old: u64, size: usize) -> impl Iterator<Item = u64> {
    let all = if size == 8 { u64::MAX } else { (1 << (size * 8)) - 1 };
    let near = [1, 8, 0x1000, 1 << 30]
        .into_iter()
        .flat_map(move |step: u64| [old.wrapping_add(step) & all, old.wrapping_sub(step) & all]);
    let mut values: Vec<_> =
        [0, 1, 3, all, all / 2 + 1].into_iter().chain(near).filter(|value| *value != old).collect();
    values.sort_unstable();
    values.dedup();
    values.into_iter()
}

/// Every change of every field.
fn changes(bytes: &[u8], fields: Vec<Field>) -> Vec<Change> {
    let mut changes = Vec::new();
    for field in fields {
        let mut old = [0; 8];
        old[..field.size].copy_from_slice(&bytes[field.at..field.at + field.size]);
        let old = u64::from_le_bytes(old);
        for value in values(old, field.size) {
            changes.push(Change { field: field.clone(), value, old });
        }
    }
    changes
}

/// Fields and rules that are no loader's affair, or not this one's: the field's class or the rule's name, and why.
pub(crate) type Exceptions = &'static [(&'static str, &'static str)];

/// A file that works, and how it is run.
pub(crate) struct Subject {
    /// What is changed.
    pub(crate) bytes: Vec<u8>,
    pub(crate) fields: Vec<Field>,
    /// Where it is written to, to be run.
    pub(crate) path: PathBuf,
    /// What runs it.
    pub(crate) command: Vec<OsString>,
    /// What else stands in the environment then.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// Makes a changed file whole again, of which this is the original: what covers all bytes is not what is tried.
    pub(crate) seal: fn(&[u8], &mut [u8]),
    /// What it shows when it works.
    pub(crate) stdout: &'static str,
    /// Whether what runs it is content with less than the loader that it stands for: that a changed file works
    /// says nothing then.
    pub(crate) forgives: bool,
    /// Of how many changes one is tried, where not all are.
    pub(crate) sample: u64,
    /// Fields whose change nobody but the program notices.
    pub(crate) silent: Exceptions,
    /// Parts of what is shown where the cause is in no file that was changed.
    pub(crate) elsewhere: Exceptions,
    /// Rules that hold for more than this one run shows.
    pub(crate) strict: Exceptions,
}

/// How a program that works ends.
const WORKS: i32 = 42;
/// Time for a program that ends in some milliseconds; and for one that is looked at again.
const PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

impl Subject {
    /// Runs the file with these bytes; how it ended.
    fn run(&self, bytes: &[u8], patience: Duration) -> Result<String, String> {
        // A new file each time: one that still runs cannot be written to.
        _ = fs::remove_file(&self.path);
        let mut file = fs::File::create(&self.path).map_err(|error| error.to_string())?;
        file.write_all(bytes).map_err(|error| error.to_string())?;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&self.path, mode).map_err(|error| error.to_string())?;
        drop(file);
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).envs(self.environment.iter().cloned());
        let folder = self.path.parent().expect("a folder");
        // To files: what wine leaves behind would hold a pipe open.
        let said = [".stdout", ".stderr"].map(|name| folder.join(name));
        let write = |path| fs::File::create(path).map_err(|error| error.to_string());
        command.current_dir(folder).stdin(Stdio::null());
        command.stdout(write(&said[0])?).stderr(write(&said[1])?);
        let start = Instant::now();
        let mut child = loop {
            match command.spawn() {
                // Another thread was about to run something else while the file was open.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error.to_string()),
                Ok(child) => break child,
            }
        };
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if start.elapsed() > patience => {
                    _ = child.kill();
                    _ = child.wait();
                    return Err("it does not end".to_owned());
                }
                None => thread::sleep(Duration::from_micros(200)),
            }
        };
        let text = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let [stdout, stderr] = said.map(|path| text(path).unwrap_or_default());
        if status.code() == Some(WORKS) && stdout == self.stdout {
            return Ok(stdout);
        }
        let ending = match (status.code(), status.signal()) {
            (Some(code), _) => format!("status {code}"),
            (_, Some(signal)) => format!("signal {signal}"),
            _ => "nothing".to_owned(),
        };
        let last = stderr.lines().last().unwrap_or_default();
        Err(format!("{ending} {:?} {last}", stdout.lines().next().unwrap_or_default()))
    }

    /// Tries the changes, and says which surprise.
    pub(crate) fn hunt(&self) -> Checked {
        self.run(&self.bytes, PATIENCE[1]).map_err(|end| format!("the file as it is: {end}"))?;
        let said = Said::of(&self.bytes);
        if said.is_found {
            return Err(format!("the file as it is works, and lint: {}", said.text).into());
        }
        let is_whole = std::env::var("MINILD_TESTS").is_ok_and(|tests| tests == "all");
        let mut surprises: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let (mut tried, mut failed) = (0, 0);
        for (number, change) in (0_u64..).zip(changes(&self.bytes, self.fields.clone())) {
            // Knuth's multiplicative hash: neighbours are not picked together.
            let is_picked = (number.wrapping_mul(2_654_435_761) >> 16).is_multiple_of(self.sample);
            if !is_whole && !is_picked {
                continue;
            }
            tried += 1;
            let mut bytes = change.apply(&self.bytes);
            (self.seal)(&self.bytes, &mut bytes);
            let said = Said::of(&bytes);
            let mut ended = self.run(&bytes, PATIENCE[0]);
            let is_surprise = ended.is_ok() && said.is_error && !self.forgives
                || ended.is_err() && !said.is_found;
            if is_surprise {
                // A busy machine is no surprise.
                ended = self.run(&bytes, PATIENCE[1]);
            }
            failed += usize::from(ended.is_err());
            let class = change.field.class();
            match ended {
                Err(end) if !said.is_found => {
                    let is_known = self.silent.iter().any(|(known, _)| matches(known, &class))
                        || self.elsewhere.iter().any(|(part, _)| end.contains(part));
                    if !is_known {
                        let told = format!("{}: {end}; lint: {}", change.name(), said.text);
                        surprises.entry(format!("fails silently: {class}")).or_default().push(told);
                    }
                }
                Ok(_) if self.forgives => {}
                Ok(_) => {
                    for rule in said
                        .errors
                        .iter()
                        .filter(|rule| !self.strict.iter().any(|(known, _)| matches(known, rule)))
                    {
                        let told = format!("{}: {}", change.name(), said.text);
                        surprises
                            .entry(format!("works with an error: {rule}"))
                            .or_default()
                            .push(told);
                    }
                }
                Err(_) => {}
            }
        }
        println!("{}: {tried} changes, {failed} fail", self.path.display());
        if failed == 0 {
            return Err("no change breaks anything: nothing was tried".into());
        }
        if surprises.is_empty() {
            return Ok(());
        }
        let mut text = format!("{tried} changes, {failed} fail:\n");
        for (class, told) in surprises {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{class} ({})\n  {}", told.len(), told.join("\n  "));
        }
        Err(text.into())
    }
}

/// Whether a class or a rule is what an exception names; `*` at its end stands for any rest.
fn matches(known: &str, class: &str) -> bool {
    known.strip_suffix('*').map_or(known == class, |start| class.starts_with(start))
}

/// What lint says of a file.
struct Said {
    is_error: bool,
    /// Whether there is anything that the file's own loaders mind, be it little.
    is_found: bool,
    /// The rules that the file's own loaders mind.
    errors: Vec<&'static str>,
    text: String,
}

impl Said {
    fn of(bytes: &[u8]) -> Self {
        let lint = match lint::lint(bytes) {
            Ok(lint) => lint,
            Err(error) => {
                let errors = vec!["unsupported"];
                return Self { is_error: true, is_found: true, errors, text: error.message };
            }
        };
        let is_error = |finding: &&lint::Finding| finding.severity == Severity::Error;
        let mut errors: Vec<_> =
            lint.findings.iter().filter(is_error).map(|finding| finding.rule.name).collect();
        errors.dedup();
        let texts: Vec<_> = lint
            .findings
            .iter()
            .map(|finding| {
                format!("{} {}: {}", finding.severity, finding.rule.name, finding.message)
            })
            .collect();
        let text = if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ") };
        let is_found = lint.worst() > Some(Severity::Note);
        Self { is_error: !errors.is_empty(), is_found, errors, text }
    }
}
