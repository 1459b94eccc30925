//! The code that minild puts before a program's own, where nobody else does what it does.
//!
//! The kernel enters a program without a dynamic linker as it lies in the file: no relocation is applied,
//! and nothing is called like a function. The pieces here do that, each running into the next: relocate
//! and protect, take the arguments, move to another stack, set up thread-locals, call. A program that needs a piece gets it in
//! front of its entry. All pieces of a target are written in one file of assembly beside their bytes; a
//! test assembles it and compares.

mod aarch64_linux;
mod aarch64_windows;
mod x86_64_linux;
mod x86_64_windows;

use crate::program::{
    Definition, Import, Landmark, Libc, OutputKind, Program, RelocationKind, SectionKind, Start,
};
use crate::target::Target;

/// The pieces of start-up code for a target, in the order in which they follow one another.
#[derive(Debug)]
pub struct StartUps {
    /// Applies the relocations that are left for load time, and protects what is constant from then on.
    /// Leaves the stack as it was.
    pub relocate: StartUp,
    /// Enters the program with registers and stack as the system gave them.
    pub enter: StartUp,
    /// Takes the arguments and the environment from where the system put them.
    pub arguments: StartUp,
    /// Moves to a stack of the size that the program asks for.
    pub stack: StartUp,
    /// Gives the first thread its thread-local variables.
    pub tls: StartUp,
    /// Calls every initialiser, the first one first.
    pub init: StartUp,
    /// Calls the program as `main(argc, argv, environment)`.
    pub call: StartUp,
    /// Calls every finaliser, the last one first.
    pub fini: StartUp,
    /// Exits with what the program returned.
    pub exit: StartUp,
}

impl StartUps {
    /// Every piece with the name of its section in the assembly, `.text.` left out.
    #[must_use]
    pub fn pieces(&self) -> [(&'static str, &StartUp); 9] {
        let Self { relocate, enter, arguments, stack, tls, init, call, fini, exit } = self;
        [
            ("relocate", relocate),
            ("enter", enter),
            ("arguments", arguments),
            ("stack", stack),
            ("tls", tls),
            ("init", init),
            ("call", call),
            ("fini", fini),
            ("exit", exit),
        ]
    }
}

/// Code with relocations of its own against what only the link knows.
#[derive(Debug)]
pub struct StartUp {
    /// The instructions.
    pub code: &'static [u8],
    /// Which of their bytes depend on what.
    pub relocations: &'static [StartUpRelocation],
}

/// A relocation in start-up code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartUpRelocation {
    /// Where its field starts, in bytes from the start of the code.
    pub offset: u64,
    /// How its bytes depend on the symbol.
    pub kind: RelocationKind,
    /// What it depends on.
    pub symbol: StartUpSymbol,
    /// What is added to that address.
    pub addend: i64,
}

/// What start-up code refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartUpSymbol {
    /// The program's own entry.
    Entry,
    /// A place of the layout.
    Landmark(Landmark),
    /// The number of bytes that the stack takes, [`STACK_GUARD`] included.
    StackSize,
    /// What the thread-local template and each copy of it are aligned to, 16 at least.
    TlsAlign,
    /// Something that the C library has; the program must import it under this name.
    Import(&'static str),
}

/// Bytes below the stack that nobody can use, so that a program which runs out of it is stopped: a whole
/// number of pages on every system.
pub const STACK_GUARD: u64 = 0x1_0000;

/// How a program starts by the C library: the code that hands it over, and what that code imports.
#[derive(Debug)]
pub struct LibcStart {
    /// Calls the C library, which calls the program as main.
    pub start_up: &'static StartUp,
    /// What it takes of which library, by whose C library it is.
    pub imports: &'static [LibcImport],
    /// The code that runs initialisers and finalisers as well, and what it takes beside; `None` where the C
    /// library runs them.
    pub with_lists: Option<(&'static StartUp, &'static [LibcImport])>,
}

impl LibcStart {
    /// The code that hands `program` over.
    #[must_use]
    pub fn start_up_of(&self, program: &Program<'_>) -> &'static StartUp {
        self.lists_of(program).map_or(self.start_up, |(start_up, _)| start_up)
    }

    /// What that code takes of libraries.
    pub fn imports_of(&self, program: &Program<'_>) -> impl Iterator<Item = &'static LibcImport> {
        let of_lists = self.lists_of(program).map_or(&[][..], |(_, imports)| imports);
        self.imports.iter().chain(of_lists)
    }

    fn lists_of(&self, program: &Program<'_>) -> Option<(&'static StartUp, &'static [LibcImport])> {
        let has_lists = program.has(SectionKind::Init) || program.has(SectionKind::Fini);
        self.with_lists.filter(|_| has_lists)
    }
}

/// Something that start-up code takes of the C library.
#[derive(Clone, Copy, Debug)]
pub struct LibcImport {
    /// Its name.
    pub name: &'static str,
    /// The library that has it.
    pub library: fn(Libc) -> &'static str,
    /// The version of it that a program wants.
    pub version: fn(&Program<'_>) -> Option<&'static str>,
}

/// Lets the C library start `program`: says so in its wishes, and imports what the code needs that hands the
/// program over. On systems that call `main` by themselves nothing is imported.
///
/// Set [`Wishes::libc`](crate::program::Wishes::libc) and the lists of initialisers and finalisers first: they
/// decide which code it is, and which library and which version of its functions.
pub fn start_by_libc(program: &mut Program<'_>) {
    program.wishes.start = Some(Start::Libc);
    let libc = program.wishes.libc.unwrap_or_default();
    let start = libc_start(program.target);
    let wanted: Vec<_> = start.map(|start| start.imports_of(program).collect()).unwrap_or_default();
    for wanted in wanted {
        let known = program.global(wanted.name).map(|symbol| program.symbol(symbol).definition);
        if matches!(known, Some(Definition::Import(_))) {
            continue;
        }
        let library = program.library((wanted.library)(libc));
        let version = (wanted.version)(program).map(Into::into);
        program.import(wanted.name, Import { version, ..Import::by_name(library, wanted.name) });
    }
}

/// Imports what the system's thread-local variables need, if `program` has any and does not import it yet.
/// Where it turns out not to be needed the link leaves it out.
pub fn import_thread_locals(program: &mut Program<'_>) {
    let wanted = thread_local_import(program.target).filter(|_| program.has_thread_locals());
    let Some(wanted) = wanted.filter(|wanted| program.global(wanted.name).is_none()) else {
        return;
    };
    let library = program.library((wanted.library)(program.wishes.libc.unwrap_or_default()));
    program.import(wanted.name, Import::by_name(library, wanted.name));
}

/// What programs for `target` import that have thread-local variables: the function that a description of a
/// variable names until the loader has prepared it. `None` where there are no such descriptions.
#[must_use]
pub fn thread_local_import(target: Target) -> Option<&'static LibcImport> {
    THREAD_LOCAL_IMPORTS.iter().find(|(of, _)| *of == target).map(|(_, import)| import)
}

static THREAD_LOCAL_IMPORTS: &[(Target, LibcImport)] =
    &[(Target::X86_64_MACOS, TLV_BOOTSTRAP), (Target::AARCH64_MACOS, TLV_BOOTSTRAP)];

const TLV_BOOTSTRAP: LibcImport = LibcImport {
    name: "__tlv_bootstrap",
    library: |_| "/usr/lib/libSystem.B.dylib",
    version: |_| None,
};

/// How `program` is entered: as it asks; where it does not, raw, unless only start-up code runs its
/// initialisers and finalisers, gives it the stack that it asks for, or its first thread its variables.
#[must_use]
pub fn start(program: &Program<'_>) -> Start {
    let needs_start_up = program.kind == OutputKind::Executable
        && of(program.target).is_some()
        && (program.has(SectionKind::Init)
            || program.has(SectionKind::Fini)
            || program.wishes.stack.size.is_some()
            || program.has_thread_locals() && !program.is_dynamic());
    let usual = if needs_start_up { Start::Main } else { Start::Raw };
    program.wishes.start.unwrap_or(usual)
}

/// Whether the C library had better start `program`, which does not say how it starts: start-up code would run
/// its initialisers and finalisers, and it takes something from the C library, which on its way out writes what
/// it still holds. A program that asks for a stack of its own gets that, which the C library does not give.
#[must_use]
pub fn is_for_libc(program: &Program<'_>) -> bool {
    let wishes = &program.wishes;
    if wishes.start.is_some() || wishes.stack.size.is_some() || start(program) != Start::Main {
        return false;
    }
    let libc = wishes.libc.unwrap_or_default();
    let wanted = libc_start(program.target).into_iter().flat_map(|start| start.imports);
    let mut names = wanted.map(|import| (import.library)(libc));
    // musl takes itself for every library of such a name (ldso/dynlink.c, load_library).
    let is_musl = |name: &str| libc == Libc::Musl && name.starts_with("libc.");
    names.any(|name| {
        program.libraries().iter().any(|library| library.name == name || is_musl(&library.name))
    })
}

/// How programs for `target` start by the C library; `None` where they do so by themselves, or not at all.
#[must_use]
pub fn libc_start(target: Target) -> Option<&'static LibcStart> {
    LIBC_STARTS.iter().find(|(of, _)| *of == target).map(|(_, start)| start)
}

static LIBC_STARTS: &[(Target, LibcStart)] = &[
    (
        Target::X86_64_LINUX,
        LibcStart {
            start_up: &x86_64_linux::LIBC_START,
            imports: &[libc_start_main(|program| glibc_version(program, "GLIBC_2.2.5"))],
            with_lists: None,
        },
    ),
    (
        Target::AARCH64_LINUX,
        LibcStart {
            start_up: &aarch64_linux::LIBC_START,
            imports: &[libc_start_main(|program| glibc_version(program, "GLIBC_2.17"))],
            with_lists: None,
        },
    ),
    (
        Target::X86_64_WINDOWS,
        windows(&x86_64_windows::LIBC_START, &x86_64_windows::LIBC_START_WITH_LISTS),
    ),
    (
        Target::AARCH64_WINDOWS,
        windows(&aarch64_windows::LIBC_START, &aarch64_windows::LIBC_START_WITH_LISTS),
    ),
];

const fn windows(start_up: &'static StartUp, with_lists: &'static StartUp) -> LibcStart {
    let with_lists = Some((with_lists, WINDOWS_LISTS));
    LibcStart { start_up, imports: WINDOWS_LIBC, with_lists }
}

const fn libc_start_main(version: fn(&Program<'_>) -> Option<&'static str>) -> LibcImport {
    LibcImport {
        name: "__libc_start_main",
        library: |libc| match libc {
            Libc::Glibc => "libc.so.6",
            Libc::Musl => "libc.so",
        },
        version,
    }
}

/// Which version of `__libc_start_main` a program wants; `oldest` is the architecture's first.
///
/// From 2.34 on, glibc runs the program's list of initialisers itself where the start-up code passes no
/// function that does, in whatever version it is called (`csu/libc-start.c`, `call_init`). Older ones pass
/// the list over, so a program that has one asks for 2.34: they refuse it, instead of running half of it. A
/// program without runs on all. musl has no versions, and has always run the list.
fn glibc_version(program: &Program<'_>, oldest: &'static str) -> Option<&'static str> {
    match program.wishes.libc.unwrap_or_default() {
        Libc::Musl => None,
        Libc::Glibc if program.has(SectionKind::Init) => Some("GLIBC_2.34"),
        Libc::Glibc => Some(oldest),
    }
}

/// The C library that every Windows has.
static WINDOWS_LIBC: &[LibcImport] = &[msvcrt("__getmainargs"), msvcrt("exit")];

static WINDOWS_LISTS: &[LibcImport] = &[msvcrt("_onexit")];

const fn msvcrt(name: &'static str) -> LibcImport {
    LibcImport { name, library: |_| "msvcrt.dll", version: |_| None }
}

/// The function that `target`'s loader calls as (image, reason, 0), if it calls one to run initialisers (reason
/// 1) and finalisers (reason 0).
#[must_use]
pub fn callback(target: Target) -> Option<&'static StartUp> {
    CALLBACKS.iter().find(|(of, _)| *of == target).map(|(_, callback)| *callback)
}

static CALLBACKS: &[(Target, &StartUp)] = &[
    (Target::X86_64_WINDOWS, &x86_64_windows::CALLBACK),
    (Target::AARCH64_WINDOWS, &aarch64_windows::CALLBACK),
];

/// The start-up code for `target`; `None` where none was written.
#[must_use]
pub fn of(target: Target) -> Option<&'static StartUps> {
    START_UPS.iter().find(|(of, _)| *of == target).map(|(_, start_ups)| *start_ups)
}

static START_UPS: &[(Target, &StartUps)] = &[
    (Target::X86_64_LINUX, &x86_64_linux::START_UPS),
    (Target::AARCH64_LINUX, &aarch64_linux::START_UPS),
];

const fn at(
    offset: u64,
    kind: RelocationKind,
    symbol: StartUpSymbol,
    addend: i64,
) -> StartUpRelocation {
    StartUpRelocation { offset, kind, symbol, addend }
}

/// Instruction words as they lie in memory.
const fn in_memory<const N: usize>(words: [u32; N]) -> [[u8; 4]; N] {
    let mut bytes = [[0; 4]; N];
    let mut index = 0;
    while index < N {
        bytes[index] = words[index].to_le_bytes();
        index += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Size;

    #[test]
    fn start_up_code_is_there_for_what_only_it_does() {
        let mut program = Program::new(Target::X86_64_LINUX);
        assert_eq!(start(&program), Start::Raw);
        program.wishes.stack.size = Some(Size(1 << 20));
        assert_eq!(start(&program), Start::Main);
        program.wishes.start = Some(Start::Raw);
        assert_eq!(start(&program), Start::Raw, "what is asked for goes first");

        let mut program = Program::new(Target::AARCH64_LINUX);
        let leave = program.reference("leave");
        program.fini.push(leave);
        assert_eq!(start(&program), Start::Main);
        program.kind = OutputKind::SharedLibrary;
        assert_eq!(start(&program), Start::Raw, "who loads a library runs its finalisers");

        let mut program = Program::new(Target::X86_64_WINDOWS);
        program.wishes.stack.size = Some(Size(1 << 20));
        assert_eq!(start(&program), Start::Raw, "the file's header asks for the stack");
    }
}
