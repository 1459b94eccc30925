//! The command.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;
use std::time::Duration;

use small_macos::dyld::Strictness;
use small_macos::dyld::policy::Version;
use small_macos::host;
use small_macos::process::Ending;
use small_macos::run::{EngineKind, Options, run};

const USAGE: &str = "\
Usage: small-macos [OPTIONS] FILE [ARGUMENT]…

Runs a Mach-O program as xnu and dyld would, or says why they would not.

  --slide N           moves a position-independent program by N bytes (decimal or 0x…)
  --engine NAME       unicorn (the default) or native (x86-64, by this processor)
  --arch NAME         x86_64 or arm64: which slice of a fat file
  --sdk-os VERSION    holds the policies of this SDK against every image, not its own's
  --validate          holds the rules of `dyld_info -validate` against every image as well
  --limit SECONDS     how long the program may run (60)
  --list-rules        prints every rule with its demand and source
  --list-symbols      prints what libSystem has

Exit status: the program's; a signal that ends the program ends this one. 123: something
is missing here. 124: stopped, too long. 125: wrong usage. 126: refused, by the rule named on stderr.
";

/// Exit statuses of its own.
const UNSUPPORTED: u8 = 123;
const STOPPED: u8 = 124;
const WRONG_USAGE: u8 = 125;
const REFUSED: u8 = 126;

/// What the command line asks for.
enum Request {
    Help,
    Rules,
    Symbols,
    Run(Box<Options>),
}

fn main() -> ExitCode {
    match parse(std::env::args_os().skip(1)) {
        Ok(Request::Help) => print!("{USAGE}"),
        Ok(Request::Rules) => {
            for rule in small_macos::rule::Rule::ALL {
                let info = rule.info();
                println!("{:36} {:8?} {} ({})", info.name, info.stage, info.demand, info.source);
            }
        }
        Ok(Request::Symbols) => println!("{}", small_macos::system::symbols().join("\n")),
        Ok(Request::Run(options)) if options.engine == EngineKind::Native => {
            return supervise(&options);
        }
        Ok(Request::Run(options)) => return report(run(&options)),
        Err(problem) => {
            eprintln!("small-macos: {problem}\n\n{USAGE}");
            return ExitCode::from(WRONG_USAGE);
        }
    }
    ExitCode::SUCCESS
}

/// Runs a native guest in a child, because the guest could write to the memory of the process that it is in.
fn supervise(options: &Options) -> ExitCode {
    /// What the child gets beyond the limit that it keeps itself.
    const GRACE: Duration = Duration::from_secs(5);
    match host::fork_guest() {
        Ok(None) => {
            host::die_after(options.limit + GRACE);
            report(run(options))
        }
        Ok(Some(child)) => match host::wait(child) {
            host::Status::Exited(status) => ExitCode::from(status),
            host::Status::TimedOut => report(Ending::Stopped("it did not stop by itself".into())),
            host::Status::Killed(signal) => host::die_by(signal),
        },
        Err(error) => report(Ending::Unsupported(format!("fork: {error}"))),
    }
}

fn report(ending: Ending) -> ExitCode {
    match ending {
        Ending::Exit(status) => ExitCode::from(status),
        Ending::Refused(refusal) => {
            eprintln!("refused: {refusal}");
            ExitCode::from(REFUSED)
        }
        Ending::Signal(signal, what) => {
            if !what.is_empty() {
                eprintln!("killed: {signal:?}: {what}");
            }
            host::die_by(signal)
        }
        Ending::Stopped(why) => {
            eprintln!("stopped: {why}");
            ExitCode::from(STOPPED)
        }
        Ending::Unsupported(what) => {
            eprintln!("unsupported: {what}");
            ExitCode::from(UNSUPPORTED)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Request, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value =
                arguments.next().ok_or_else(|| format!("{} wants a value", argument.display()))?;
            value.into_string().map_err(|value| {
                format!("{} is not a value of {}", value.display(), argument.display())
            })
        };
        match argument.to_str() {
            Some("--help" | "-h") => return Ok(Request::Help),
            Some("--list-rules") => return Ok(Request::Rules),
            Some("--list-symbols") => return Ok(Request::Symbols),
            Some("--validate") => options.strictness.validate = true,
            Some("--slide") => options.slide = number(&value()?)?,
            Some("--limit") => options.limit = Duration::from_secs(number(&value()?)?),
            Some("--engine") => {
                options.engine = match value()?.as_str() {
                    "unicorn" => EngineKind::Unicorn,
                    "native" => EngineKind::Native,
                    other => {
                        return Err(format!(
                            "there is no engine {other}; there are unicorn and native"
                        ));
                    }
                }
            }
            Some("--arch") => {
                let name = value()?;
                let arch =
                    small_macos::arch::Arch::ALL.into_iter().find(|arch| arch.info().name == name);
                options.arch = Some(arch.ok_or_else(|| {
                    format!("there is no architecture {name}; there are x86_64 and arm64")
                })?);
            }
            Some("--sdk-os") => {
                let text = value()?;
                let version =
                    Version::parse(&text).ok_or_else(|| format!("{text} is not a version"))?;
                options.strictness = Strictness { sdk: Some(version), ..options.strictness };
            }
            Some(option) if option.starts_with("--") => {
                return Err(format!("there is no option {option}"));
            }
            _ => {
                options.file = argument.clone().into();
                options.arguments =
                    std::iter::once(argument).chain(arguments).map(OsStringExt::into_vec).collect();
                options.environment = std::env::vars_os()
                    .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat())
                    .collect();
                return Ok(Request::Run(Box::new(options)));
            }
        }
    }
    Err("no file is named".into())
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{text}: {error}"))
}
