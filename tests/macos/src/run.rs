//! One run from file to end: the kernel's part, dyld's if the program wants it, and the process.

use std::path::PathBuf;
use std::time::Duration;

use crate::arch::Arch;
use crate::dyld::{self, Strictness};
use crate::engine::Engine;
use crate::engine::native::NativeEngine;
use crate::engine::unicorn::UnicornEngine;
use crate::fat;
use crate::kernel::{Entry, Program, stack};
use crate::process::{Ending, Process, Trap};
use crate::rule::{Refusal, Rule};
use crate::space::Space;
use crate::system::{self, System};

/// Which engine executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineKind {
    /// The emulator, for both architectures.
    #[default]
    Unicorn,
    /// This machine's processor, for x86-64.
    Native,
}

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file.
    pub file: PathBuf,
    /// `argv`, with the program's name first.
    pub arguments: Vec<Vec<u8>>,
    /// `envp`, as `NAME=value`.
    pub environment: Vec<Vec<u8>>,
    /// How far the program is moved, in bytes: a multiple of the page size.
    pub slide: u64,
    /// Which slice of a fat file.
    pub arch: Option<Arch>,
    /// Which engine.
    pub engine: EngineKind,
    /// How strictly dyld judges.
    pub strictness: Strictness,
    /// How long the program may run.
    pub limit: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            file: PathBuf::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            slide: 0,
            arch: None,
            engine: EngineKind::default(),
            strictness: Strictness::default(),
            limit: Duration::from_mins(1),
        }
    }
}

/// Runs a file to its end. The process that calls this becomes the guest: a fork of the guest forks it.
#[must_use]
pub fn run(options: &Options) -> Ending {
    match prepare(options) {
        Ok(mut process) => process.run(),
        Err(Trap::End(ending)) => ending,
        Err(Trap::Fault(fault)) => {
            Ending::Unsupported(format!("{fault:?} while the program was loaded"))
        }
    }
}

/// Reads a file as the kernel and dyld do, without running it.
///
/// # Errors
/// The first rule broken.
pub fn judge(options: &Options) -> Result<(), Ending> {
    match prepare(options) {
        Ok(_) => Ok(()),
        Err(Trap::End(ending)) => Err(ending),
        Err(Trap::Fault(fault)) => {
            Err(Ending::Unsupported(format!("{fault:?} while the program was loaded")))
        }
    }
}

fn engine(kind: EngineKind, arch: Arch) -> Result<Box<dyn Engine>, String> {
    match kind {
        EngineKind::Unicorn => Ok(Box::new(UnicornEngine::new(arch)?)),
        EngineKind::Native if arch == Arch::X86_64 => Ok(Box::new(NativeEngine::new()?)),
        EngineKind::Native => Err("native execution of arm64".into()),
    }
}

fn prepare(options: &Options) -> Result<Process, Trap> {
    let file = std::fs::read(&options.file)
        .map_err(|error| Trap::unsupported(format!("{}: {error}", options.file.display())))?;
    let slice = fat::choose(&file, options.arch)?;
    let program = Program::accept(slice)?;
    let right_arch = options.arch.is_none_or(|arch| arch == program.arch);
    Rule::CpuType
        .require(right_arch, || format!("the file is for {}", program.arch.info().name))?;
    if !options.slide.is_multiple_of(program.arch.page_size()) {
        return Err(Trap::unsupported(format!(
            "the slide {:#x}, which is no multiple of a page",
            options.slide
        )));
    }

    let slide = program.slide(options.slide);
    let mut space = Space::new(engine(options.engine, program.arch).map_err(Trap::unsupported)?);
    program.map(&mut space, slide)?;
    let path = options
        .file
        .canonicalize()
        .unwrap_or_else(|_| options.file.clone())
        .to_string_lossy()
        .into_owned();
    let no_stack =
        |error| -> Refusal { Rule::MainSize.refuse(format!("no stack can be made: {error}")) };
    let vectors =
        stack::create(&mut space, &program.entry, &path, &options.arguments, &options.environment)
            .map_err(no_stack)?;

    let mut process = Process::new(space, vectors, System::new(&path), options.limit);
    match &program.entry {
        Entry::Thread(words) if !program.needs_dyld() => {
            stack::enter_thread(process.engine(), words, slide, vectors.stack_pointer);
        }
        _ => {
            system::map_data(&mut process.space, vectors.envp)
                .map_err(|error| Trap::unsupported(error.to_string()))?;
            dyld::launch(&mut process, &program, &path, slide, options.strictness)?;
        }
    }
    Ok(process)
}
