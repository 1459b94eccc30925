//! A small macOS for the tests: executes Mach-O programs of both architectures, and refuses what xnu and dyld refuse.
//!
//! No macOS is to be had where minild is tested, so the tests carry one. It is written from the loaders' sources (named
//! at each rule in [`rule`]) and shares no code with minild's writer, so that one mistake is not made twice.
//!
//! | module | part |
//! |---|---|
//! | [`fat`], [`macho`], [`bytes`] | reading files; judging nothing |
//! | [`kernel`], [`signature`] | xnu: what `execve` accepts, the mappings, the first stack |
//! | [`dyld`] | dyld: structure, policies by SDK, libraries, fixups, initialisers, thread-local variables |
//! | [`system`] | libSystem as a table of functions, and the BSD system calls |
//! | [`engine`] | the processor: unicorn for both architectures, or this machine's own |
//! | [`space`], [`process`], [`mod@run`] | the address space, the process's loop, one run from file to end |
//!
//! # What it does not model
//!
//! * AMFI is closed: that arm64 code must be signed is enforced, its requirements and entitlements are not.
//!   A signature that is there must be right on Intel too, where xnu would only mark the process. SHA-1 pages are not recomputed.
//! * Gatekeeper, quarantine, library validation, the sandbox, Rosetta (static or 4 KiB-aligned Intel files on Apple silicon), arm64e and its authenticated pointers.
//! * `SIGKILL` against an `errno`: xnu kills when it finds a fault after it began to build the process; here both are a refusal.
//! * That `initprot` must be within `maxprot` is unconfirmed for `execve`; it is enforced.
//! * The program's slide and all addresses are fixed, where macOS chooses at random; `apple[]` has fixed random values.
//! * dyld's shared cache: libSystem is the only library of the system; nothing of frameworks, Objective-C, Swift, C++ exceptions or
//!   unwinding, interposing, resolvers, `dlopen`, `LC_ROUTINES`, finalisers by section, upward links as such.
//! * Threads take turns on one processor. Signals have no alternate stack, mask or machine context. Shared memory is not shared after `fork`.
//! * stdio has the three standard streams; locales, files as streams and wide characters are absent. A system call or a
//!   function that is not in the tables ends the run as unsupported, never as a refusal.
//! * The cache of instructions: code may be written and run at once, as on Intel.

#![deny(unsafe_code)]

pub mod arch;
pub mod bytes;
pub mod dyld;
pub mod engine;
pub mod fat;
pub mod host;
pub mod kernel;
pub mod macho;
pub mod process;
pub mod rule;
pub mod run;
pub mod signature;
pub mod space;
pub mod system;
