//! What executes the guest's instructions: an [`Engine`] holds memory and registers, runs until something
//! needs the small macOS ([`Stop`]), and knows nothing of Mach-O, xnu or libSystem.

pub mod native;
pub mod unicorn;

use crate::arch::Arch;

/// Memory protection, with the bits of `vm_prot_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Protection(pub u32);

impl Protection {
    /// No access.
    pub const NONE: Protection = Protection(0);
    /// `VM_PROT_READ`
    pub const READ: Protection = Protection(1);
    /// `VM_PROT_WRITE`
    pub const WRITE: Protection = Protection(2);
    /// `VM_PROT_EXECUTE`
    pub const EXECUTE: Protection = Protection(4);
    /// Read and write.
    pub const READ_WRITE: Protection = Protection(3);
    /// Read and execute.
    pub const READ_EXECUTE: Protection = Protection(5);

    /// Whether every right of `other` is among these.
    #[must_use]
    pub fn contains(self, other: Protection) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::fmt::Display for Protection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (bit, letter) in [(1, 'r'), (2, 'w'), (4, 'x')] {
            write!(formatter, "{}", if self.0 & bit == 0 { '-' } else { letter })?;
        }
        Ok(())
    }
}

/// What the guest tried when it faulted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

impl Access {
    /// The right that the access needs.
    #[must_use]
    pub fn needs(self) -> Protection {
        match self {
            Access::Read => Protection::READ,
            Access::Write => Protection::WRITE,
            Access::Execute => Protection::EXECUTE,
        }
    }
}

/// Why [`Engine::run`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A system call instruction; the program counter is behind it.
    SystemCall,
    /// A memory access that the protections forbid, at this address.
    Memory(Access, u64),
    /// An instruction that is none, or is not for programs.
    Illegal,
    /// A breakpoint instruction (`int3`, `brk`).
    Breakpoint,
    /// An arithmetic trap (x86-64 division).
    Arithmetic,
    /// The time slice is over.
    Slice,
}

/// A processor state as the engine saved it, for a thread that waits.
pub enum Context {
    /// Of the emulator.
    Unicorn(unicorn_engine::Context),
    /// Of a native signal frame.
    Native(Box<native::Frame>),
}

/// Memory and one processor. Addresses and sizes given to `map`, `unmap` and `protect` are multiples of 4 KiB;
/// `read` and `write` ignore protections and want mapped memory, which [`crate::space::Space`] has checked.
pub trait Engine {
    /// The processor's architecture.
    fn arch(&self) -> Arch;
    /// Maps zeroed memory.
    ///
    /// # Errors
    /// When the host refuses, with the reason.
    fn map(&mut self, start: u64, size: u64, protection: Protection) -> Result<(), String>;
    /// Unmaps memory.
    ///
    /// # Errors
    /// When the host refuses, with the reason.
    fn unmap(&mut self, start: u64, size: u64) -> Result<(), String>;
    /// Changes the protection of mapped memory.
    ///
    /// # Errors
    /// When the host refuses, with the reason.
    fn protect(&mut self, start: u64, size: u64, protection: Protection) -> Result<(), String>;
    /// Reads mapped memory.
    fn read(&self, address: u64, buffer: &mut [u8]);
    /// Writes mapped memory.
    fn write(&mut self, address: u64, bytes: &[u8]);
    /// A general register, by the index that [`crate::arch`] gives it.
    fn general(&self, index: usize) -> u64;
    /// Sets a general register.
    fn set_general(&mut self, index: usize, value: u64);
    /// The low 128 bits of a vector register.
    fn vector(&self, index: usize) -> u128;
    /// Sets the low 128 bits of a vector register.
    fn set_vector(&mut self, index: usize, value: u128);
    /// The program counter.
    fn program_counter(&self) -> u64;
    /// Sets the program counter.
    fn set_program_counter(&mut self, address: u64);
    /// The flags (`rflags`, NZCV).
    fn flags(&self) -> u64;
    /// Sets the flags.
    fn set_flags(&mut self, value: u64);
    /// Takes the processor state.
    fn save(&self) -> Context;
    /// Puts a saved processor state back.
    fn restore(&mut self, context: &Context);
    /// Runs from the program counter until something happens.
    fn run(&mut self) -> Stop;
    /// Called in the child after the host process was forked.
    fn after_fork(&mut self) {}
}
