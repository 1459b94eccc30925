//! `[[test]]`: what running a program must show.

use std::borrow::Cow;
use std::time::Duration;

use indexmap::IndexMap;

use super::document::{Entry, Key, Located, Reader, Span, all_of, entries};
use super::quantity;
use super::shape::{Names, Shape, described};
use super::targets::{self, Selector};
use crate::error::{Collector, Error, ErrorKind, Place, nearest_name};
use crate::target::{OperatingSystem, Target};

/// One run of a program, and what it must show.
#[derive(Clone, Debug)]
pub struct Test {
    span: Span,
    targets: Option<Vec<(Selector, Span)>>,
    args: Vec<String>,
    env: IndexMap<String, String>,
    stdin: String,
    stdout: Option<String>,
    stderr: Option<String>,
    contains: Vec<String>,
    exit: Option<Located<u32>>,
    signal: Option<Located<String>>,
    timeout: Option<Duration>,
    /// The keys that it has, each with the place where it stands.
    said: Vec<(String, Span)>,
}

/// How a run must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'t> {
    /// With this exit status.
    Exit(u32),
    /// By this signal, named as POSIX does: `SIGSEGV`.
    Signal(&'t str),
}

impl Test {
    /// Where it stands in the text, in bytes.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Whether it is meant for `target`.
    #[must_use]
    pub fn is_for(&self, target: Target) -> bool {
        self.targets
            .as_ref()
            .is_none_or(|selectors| selectors.iter().any(|(selector, _)| selector.selects(target)))
    }

    /// The arguments, without the program's own name.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// What is added to the environment, name and value.
    pub fn env(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What the program reads.
    #[must_use]
    pub fn stdin(&self) -> &str {
        &self.stdin
    }

    /// What it must write, exactly; `None` where that does not matter.
    #[must_use]
    pub fn stdout(&self) -> Option<&str> {
        self.stdout.as_deref()
    }

    /// What it must write as errors, exactly; `None` where that does not matter.
    #[must_use]
    pub fn stderr(&self) -> Option<&str> {
        self.stderr.as_deref()
    }

    /// What must be found somewhere in what it writes to stdout.
    #[must_use]
    pub fn contains(&self) -> &[String] {
        &self.contains
    }

    /// How it must end: with exit status 0, unless the test says otherwise.
    #[must_use]
    pub fn end(&self) -> End<'_> {
        match (&self.signal, &self.exit) {
            (Some(signal), _) => End::Signal(&signal.value),
            (None, exit) => End::Exit(exit.as_ref().map_or(0, |exit| exit.value)),
        }
    }

    /// After what time it has failed; `None` leaves that to the runner.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn new(span: Span) -> Self {
        Self {
            span,
            targets: None,
            args: Vec::new(),
            env: IndexMap::new(),
            stdin: String::new(),
            stdout: None,
            stderr: None,
            contains: Vec::new(),
            exit: None,
            signal: None,
            timeout: None,
            said: Vec::new(),
        }
    }

    /// What is wrong with it for a spec that is for `built`, and makes shared libraries for `libraries` of them.
    pub(super) fn check(&self, built: &[Target], libraries: &[Target], reader: &mut Reader<'_>) {
        if let Some(target) = libraries.iter().find(|target| self.is_for(**target)) {
            let message =
                format!("for `{target}` this is a shared library, and nothing runs one alone");
            reader.errors.push(
                Error::new(ErrorKind::Conflict, message)
                    .at(Place::Text(self.span.clone()), "")
                    .help("test a program that uses it: its `needs` builds both"),
            );
        }
        // Such a test would never run, and nobody would see.
        for (selector, span) in self.targets.iter().flatten().filter(|_| !reader.misses_names) {
            if !built.iter().any(|&target| selector.selects(target)) {
                let message = "this test is for a target that the spec is not for";
                let place = Place::Text(span.clone());
                reader.errors.push(Error::new(ErrorKind::Conflict, message).at(place, ""));
            }
        }
        self.check_system(built, &mut reader.errors);
        self.check_exit(built, &mut reader.errors);
    }

    /// That each system which the test is for has what it asks for.
    fn check_system(&self, built: &[Target], errors: &mut Collector) {
        for (key, span) in &self.said {
            let lacks = |target: &&Target| {
                self.is_for(**target)
                    && LACKING.iter().any(|row| row.lacks(target.operating_system, key))
            };
            let Some(target) = built.iter().find(lacks) else { continue };
            let row = LACKING.iter().find(|row| row.lacks(target.operating_system, key));
            let row = row.expect("the target lacks it");
            let message = format!("`{key}` means nothing on `{target}`: {}", row.why);
            errors.push(
                Error::new(ErrorKind::Unsupported, message)
                    .at(Place::Text(span.clone()), "")
                    .help(row.help),
            );
        }
    }

    fn check_exit(&self, built: &[Target], errors: &mut Collector) {
        let Some(exit) = &self.exit else { return };
        let limited = built.iter().filter(|&&target| self.is_for(target));
        let limited = limited.map(|target| (greatest_exit(target.operating_system), target));
        if let Some((greatest, target)) = limited.min_by_key(|(greatest, _)| *greatest)
            && exit.value > greatest
        {
            let message = format!(
                "on `{target}` the exit status cannot be {}: it is from 0 to {greatest}",
                exit.value
            );
            let error = Error::new(ErrorKind::OutOfRange, message);
            let error = error.at(Place::Text(exit.span.clone()), "");
            errors.push(error.value(exit.value.into(), 0..=greatest.into()));
        }
    }
}

/// A key that asks a system for what it does not have.
struct Lacking {
    system: OperatingSystem,
    keys: &'static [&'static str],
    why: &'static str,
    help: &'static str,
}

impl Lacking {
    fn lacks(&self, system: OperatingSystem, key: &str) -> bool {
        self.system == system && self.keys.contains(&key)
    }
}

const LACKING: &[Lacking] = &[
    Lacking {
        system: OperatingSystem::Windows,
        keys: &["signal"],
        why: "no program ends by a signal there",
        help: "`targets` says what the test is for; an exception that nobody handles ends a program with its own code: exit = 0xc0000005",
    },
    Lacking {
        system: OperatingSystem::Uefi,
        keys: &["signal"],
        why: "a fault stops the whole machine",
        help: "`targets` says what the test is for",
    },
    Lacking {
        system: OperatingSystem::Uefi,
        keys: &["env", "stdin", "stderr"],
        why: "an image has its arguments and the console, and no more",
        help: "`targets` says what the test is for",
    },
];

/// Systems whose exit status has more than the 8 bits that POSIX hands to a parent (wait(2),
/// `WEXITSTATUS`), and the greatest one there.
const WIDE_EXITS: &[(OperatingSystem, u32)] = &[(OperatingSystem::Windows, u32::MAX)];

fn greatest_exit(system: OperatingSystem) -> u32 {
    let wide = WIDE_EXITS.iter().find(|(known, _)| *known == system);
    wide.map_or(u8::MAX.into(), |&(_, greatest)| greatest)
}

/// Signals that a run can end by, as POSIX names them.
const SIGNALS: &[&str] = &[
    "SIGABRT", "SIGALRM", "SIGBUS", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGKILL", "SIGPIPE",
    "SIGQUIT", "SIGSEGV", "SIGSYS", "SIGTERM", "SIGTRAP", "SIGUSR1", "SIGUSR2", "SIGXCPU",
    "SIGXFSZ",
];

pub(super) const KEYS: &[Key<Test>] = &[
    Key {
        name: "targets",
        about: "The targets, architectures and operating systems that it is for: all of the spec's if it is not said.",
        shape: Shape::Array(&Shape::Words(targets::selector_names)),
        read: |test, reader, entry| {
            let elements = reader.array(entry, "an array of targets");
            if elements.as_ref().is_some_and(Vec::is_empty) {
                let message = "a test for no target tests nothing";
                let error = Error::new(ErrorKind::Missing, message);
                let error = error.at(Place::Text(entry.span.clone()), "");
                reader.errors.push(error.help("leave `targets` out for all targets of the spec"));
            }
            let elements = elements.unwrap_or_default();
            let mut selectors = Vec::new();
            for element in elements {
                let Some(name) = reader.string(&element) else { continue };
                let Some(selector) = Selector::read(reader, &name, &element.span) else { continue };
                let known = selectors.iter().find(|(known, _)| *known == selector);
                if let Some((_, first)) = known {
                    reader.errors.push(
                        Error::new(ErrorKind::Conflict, format!("`{name}` is listed twice"))
                            .at(Place::Text(element.span), "")
                            .at(Place::Text(Span::clone(first)), "first listed here"),
                    );
                    continue;
                }
                selectors.push((selector, element.span));
            }
            test.targets = Some(selectors);
        },
    },
    Key {
        name: "args",
        about: "The arguments behind the program's name.",
        shape: Shape::Array(&Shape::String),
        read: |test, reader, entry| test.args = process_strings(reader, entry),
    },
    Key {
        name: "env",
        about: "Environment variables that are added.",
        shape: Shape::Map(Names::Any, &Shape::String),
        read: read_env,
    },
    Key {
        name: "stdin",
        about: "What the program reads.",
        shape: Shape::String,
        read: |test, reader, entry| {
            test.stdin = reader.string(entry).unwrap_or_default().into_owned();
        },
    },
    Key {
        name: "stdout",
        about: "Exactly what it must write.",
        shape: Shape::String,
        read: |test, reader, entry| test.stdout = reader.string(entry).map(Cow::into_owned),
    },
    Key {
        name: "stderr",
        about: "Exactly what it must write to standard error.",
        shape: Shape::String,
        read: |test, reader, entry| test.stderr = reader.string(entry).map(Cow::into_owned),
    },
    Key {
        name: "contains",
        about: "What must be found in what it writes to stdout.",
        shape: Shape::OneOrMany(&Shape::String),
        read: |test, reader, entry| {
            let elements = entry.one_or_many();
            if elements.is_empty() {
                let message = "nothing is found in whatever the program writes";
                let error = Error::new(ErrorKind::Missing, message);
                let error = error.at(Place::Text(entry.span.clone()), "");
                reader.errors.push(error.help("say what must be found, or leave `contains` out"));
            }
            for element in elements {
                let Some(text) = reader.string(&element) else { continue };
                if text.is_empty() {
                    let message = "an empty text is found in whatever the program writes";
                    let place = Place::Text(element.span.clone());
                    reader.errors.push(Error::new(ErrorKind::InvalidValue, message).at(place, ""));
                }
                test.contains.push(text.into_owned());
            }
        },
    },
    Key {
        name: "exit",
        about: "The status that it must end with: 0 if it is not said.",
        shape: Shape::Integer(0, u32::MAX as i128),
        read: |test, reader, entry| {
            let status = reader.integer(entry, (0, u32::MAX.into()));
            let status = status.and_then(|status| u32::try_from(status).ok());
            test.exit = status.map(|value| Located { value, span: entry.span.clone() });
        },
    },
    Key {
        name: "signal",
        about: "The signal that must end it, by its POSIX name.",
        shape: Shape::Words(|| SIGNALS.to_vec()),
        read: |test, reader, entry| {
            let Some(name) = reader.string(entry) else { return };
            if !SIGNALS.contains(&name.as_ref()) {
                let error =
                    Error::new(ErrorKind::InvalidValue, format!("no signal is called `{name}`"))
                        .at(Place::Text(entry.span.clone()), "");
                // As shells and `kill -l` call them.
                let full = format!("SIG{name}");
                let meant = nearest_name(&name, SIGNALS.iter().copied());
                let meant = meant.or_else(|| nearest_name(&full, SIGNALS.iter().copied()));
                let help = match meant {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there are {}", all_of(SIGNALS.iter().copied())),
                };
                return reader.errors.push(error.help(help));
            }
            test.signal = Some(Located { value: name.into_owned(), span: entry.key_span.clone() });
        },
    },
    Key {
        name: "timeout",
        about: "After what time it has failed.",
        shape: Shape::Duration,
        read: |test, reader, entry| test.timeout = quantity::duration(reader, entry),
    },
];

fn read_env(test: &mut Test, reader: &mut Reader<'_>, entry: &Entry<'_>) {
    let Some(table) = reader.table(entry) else { return };
    for variable in entries(table) {
        if variable.key.is_empty() || variable.key.contains(['=', '\0']) {
            let message = format!("{:?} is no name of an environment variable", variable.key);
            let place = Place::Text(variable.key_span.clone());
            reader.errors.push(Error::new(ErrorKind::InvalidValue, message).at(place, ""));
        }
        if let Some(value) = process_string(reader, &variable) {
            test.env.insert(variable.key.to_owned(), value);
        }
    }
}

/// A string that a process can be given: systems end them with a NUL.
fn process_string(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<String> {
    let text = reader.string(entry)?;
    if text.contains('\0') {
        let message = format!("`{}` cannot hold a NUL: no process can be given one", entry.key);
        let place = Place::Text(entry.span.clone());
        return reader.refuse(Error::new(ErrorKind::InvalidValue, message).at(place, ""));
    }
    Some(text.into_owned())
}

fn process_strings(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Vec<String> {
    let elements = reader.array(entry, "an array of strings").unwrap_or_default();
    elements.iter().filter_map(|element| process_string(reader, element)).collect()
}

/// What `test` can be.
pub(super) const SHAPE: Shape = Shape::Array(&Shape::Table("test", || described(&[KEYS])));

/// Reads all `[[test]]`.
pub(super) fn read_tests(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Vec<Test> {
    let mut tests = Vec::new();
    for element in reader.array(entry, "an array of tables: [[test]]").unwrap_or_default() {
        let Some(table) = reader.table(&element) else { continue };
        let mut test = Test::new(element.span.clone());
        let said = entries(table).into_iter();
        test.said = said.map(|entry| (entry.key.to_owned(), entry.key_span)).collect();
        reader.walk(table, "`test`", &[KEYS], &mut test);
        if let (Some(exit), Some(signal)) = (&test.exit, &test.signal) {
            let error =
                Error::new(ErrorKind::Conflict, "a run ends by itself or by a signal, not by both")
                    .at(Place::Text(signal.span.clone()), "")
                    .at(Place::Text(exit.span.clone()), "an exit status is asked for here");
            reader.errors.push(error);
        }
        tests.push(test);
    }
    tests
}
