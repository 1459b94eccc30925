//! The engine for x86-64 on this machine's own processor. The guest's memory is this process's, below
//! `GUEST_END`; Linux's Syscall User Dispatch turns every `syscall` instruction there into a signal, so that none
//! reaches Linux. Entering and leaving the guest are signals too: their handler exchanges the interrupted registers.
//!
//! This is one of two modules with unsafe code (the other is [`crate::host`]): a signal frame can only be reached
//! through the pointer that the kernel passes. Guest memory is read and written through `/proc/self/mem`, which checks
//! addresses, so that no pointer to it is ever made.

#![expect(unsafe_code, reason = "signal frames and mappings are the kernel's interface")]

use std::cell::UnsafeCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::ptr;

use nix::libc::{self, c_int, c_void, siginfo_t, ucontext_t};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use super::{Access, Context, Engine, Protection, Stop};
use crate::arch::Arch;

/// First address that is not the guest's: Linux places programs, libraries and stacks above it.
const GUEST_END: u64 = 0x5000_0000_0000;
/// End of the user's addresses.
const USER_END: u64 = 0x7fff_ffff_f000;
/// The signal that enters the guest.
const ENTER: Signal = Signal::SIGUSR2;
/// The signals that leave it: system calls, faults, and the end of a slice.
const LEAVE: [Signal; 7] = [
    Signal::SIGSYS,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGFPE,
    Signal::SIGVTALRM,
];
/// A slice of time, in microseconds of the guest's own.
const SLICE: i64 = 10_000;
/// Bytes for the vector state; the rest of a larger one is not the guest's to change.
const VECTOR_STATE: usize = 4096;
/// Where the vector registers' low halves are in it (`FXSAVE`), and the fields that the kernel adds (`_fpx_sw_bytes`).
const XMM: usize = 160;
const EXTENDED_MAGIC: usize = 464;
const EXTENDED_SIZE: usize = 480;
const LEGACY_SIZE: usize = 512;
/// `XSTATE_BV`, in the header behind: which parts are not in their first state. Bit 1 is for the vector registers.
const FEATURES: usize = 512;
const SSE: u8 = 2;
/// `FP_XSTATE_MAGIC1`
const MAGIC: u32 = 0x4650_5853;
/// Flags of a fresh process: interrupts on.
const FRESH_FLAGS: i64 = 0x202;

/// The place of a register in a signal frame.
#[expect(clippy::cast_sign_loss, reason = "libc's indices are not negative")]
const fn place(register: c_int) -> usize {
    register as usize
}

/// The general registers' places, in the order of [`crate::arch::x86`].
const GENERAL: [usize; 16] = [
    place(libc::REG_RAX),
    place(libc::REG_RBX),
    place(libc::REG_RCX),
    place(libc::REG_RDX),
    place(libc::REG_RDI),
    place(libc::REG_RSI),
    place(libc::REG_RBP),
    place(libc::REG_RSP),
    place(libc::REG_R8),
    place(libc::REG_R9),
    place(libc::REG_R10),
    place(libc::REG_R11),
    place(libc::REG_R12),
    place(libc::REG_R13),
    place(libc::REG_R14),
    place(libc::REG_R15),
];

/// Registers as a signal frame has them.
#[derive(Clone)]
pub struct Frame {
    general: [i64; 23],
    vector: [u8; VECTOR_STATE],
    vector_size: usize,
}

impl Frame {
    const EMPTY: Frame = Frame { general: [0; 23], vector: [0; VECTOR_STATE], vector_size: 0 };

    /// Takes the registers out of a signal frame.
    ///
    /// # Safety
    /// `context` is the frame that the kernel passed to a running handler.
    unsafe fn save(&mut self, context: *const ucontext_t) {
        // SAFETY: as the caller promises; fpregs points into the same frame, and is as large as its own fields say.
        unsafe {
            let machine = &raw const (*context).uc_mcontext;
            self.general = (*machine).gregs;
            let state = (*machine).fpregs.cast::<u8>();
            let extended = ptr::read_unaligned(state.add(EXTENDED_MAGIC).cast::<u32>()) == MAGIC;
            let size = if extended {
                ptr::read_unaligned(state.add(EXTENDED_SIZE).cast::<u32>()) as usize
            } else {
                LEGACY_SIZE
            };
            self.vector_size = size.min(VECTOR_STATE);
            ptr::copy_nonoverlapping(state, self.vector.as_mut_ptr(), self.vector_size);
        }
    }

    /// Puts the registers into a signal frame, from which the kernel will load them.
    ///
    /// # Safety
    /// As for [`Frame::save`].
    unsafe fn load(&self, context: *mut ucontext_t) {
        // SAFETY: as in `save`; all frames of a process have one size.
        unsafe {
            let machine = &raw mut (*context).uc_mcontext;
            (*machine).gregs = self.general;
            ptr::copy_nonoverlapping(
                self.vector.as_ptr(),
                (*machine).fpregs.cast::<u8>(),
                self.vector_size,
            );
        }
    }
}

/// What the handler exchanges.
struct Exchange {
    guest: Frame,
    host: Frame,
    in_guest: bool,
    signal: c_int,
    address: u64,
}

/// The one exchange of the process, which only its one thread and that thread's handler touch.
struct Shared(UnsafeCell<Exchange>);

// SAFETY: the process that runs a guest natively has one thread; the handler runs on it, while `run` is inside `raise`,
// or the guest is running.
unsafe impl Sync for Shared {}

static EXCHANGE: Shared = Shared(UnsafeCell::new(Exchange {
    guest: Frame::EMPTY,
    host: Frame::EMPTY,
    in_guest: false,
    signal: 0,
    address: 0,
}));

extern "C" fn handler(signal: c_int, information: *mut siginfo_t, context: *mut c_void) {
    let context = context.cast::<ucontext_t>();
    // SAFETY: the kernel passes a valid frame; no other reference to the exchange lives while signals can arrive (see `Shared`).
    unsafe {
        let exchange = &mut *EXCHANGE.0.get();
        if signal == ENTER as c_int {
            exchange.host.save(context);
            if exchange.guest.vector_size == 0 {
                // The first time only shows what a frame looks like.
                exchange.guest = exchange.host.clone();
                return;
            }
            exchange.guest.load(context);
            exchange.in_guest = true;
        } else if exchange.in_guest {
            exchange.guest.save(context);
            exchange.host.load(context);
            exchange.in_guest = false;
            exchange.signal = signal;
            exchange.address = (*information).si_addr() as u64;
        } else if signal != Signal::SIGVTALRM as c_int {
            // A fault of the host's own: without the handler it happens again, and ends the process.
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// This machine's processor.
pub struct NativeEngine {
    memory: File,
}

fn memory() -> Result<File, String> {
    File::options()
        .read(true)
        .write(true)
        .open("/proc/self/mem")
        .map_err(|error| format!("/proc/self/mem: {error}"))
}

impl NativeEngine {
    /// The engine; a process can have one, and one thread.
    ///
    /// # Errors
    /// When Linux lacks something.
    pub fn new() -> Result<NativeEngine, String> {
        const STACK: usize = 1 << 16;
        let stack = Box::leak(vec![0u8; STACK].into_boxed_slice());
        let alternate =
            libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK };
        // SAFETY: the stack is leaked, so that it outlives every signal.
        if unsafe { libc::sigaltstack(&raw const alternate, ptr::null_mut()) } != 0 {
            return Err(format!("sigaltstack: {}", std::io::Error::last_os_error()));
        }
        let action = SigAction::new(
            SigHandler::SigAction(handler),
            SaFlags::SA_ONSTACK | SaFlags::SA_RESTART,
            SigSet::all(),
        );
        for signal in LEAVE.into_iter().chain([ENTER]) {
            // SAFETY: the handler touches only the exchange and the frame.
            unsafe { sigaction(signal, &action) }.map_err(|error| format!("sigaction: {error}"))?;
        }
        raise(ENTER).map_err(|error| format!("raise: {error}"))?;
        let mut engine = NativeEngine { memory: memory()? };
        let guest = engine.guest_mut();
        for register in GENERAL {
            guest.general[register] = 0;
        }
        guest.general[place(libc::REG_EFL)] = FRESH_FLAGS;
        arm()?;
        Ok(engine)
    }

    #[expect(
        clippy::unused_self,
        reason = "the engine stands for the exchange: borrowing it borrows that"
    )]
    fn guest(&self) -> &Frame {
        // SAFETY: the guest does not run, so the handler leaves its frame alone.
        unsafe { &(*EXCHANGE.0.get()).guest }
    }

    #[expect(clippy::unused_self, reason = "as in guest")]
    fn guest_mut(&mut self) -> &mut Frame {
        // SAFETY: as in `guest`, and the engine is borrowed mutably.
        unsafe { &mut (*EXCHANGE.0.get()).guest }
    }
}

/// Turns on Syscall User Dispatch and the timer, neither of which a forked child inherits.
fn arm() -> Result<(), String> {
    const SET_SYSCALL_USER_DISPATCH: c_int = 59;
    const ON: libc::c_ulong = 1;
    // SAFETY: prctl reads its arguments only; system calls from GUEST_END up stay ordinary, among them the handler's return.
    let dispatch =
        unsafe { libc::prctl(SET_SYSCALL_USER_DISPATCH, ON, GUEST_END, USER_END - GUEST_END, 0) };
    let interval = libc::timeval { tv_sec: 0, tv_usec: SLICE };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: setitimer reads the structure.
    let timed = unsafe { libc::setitimer(libc::ITIMER_VIRTUAL, &raw const timer, ptr::null_mut()) };
    if dispatch != 0 || timed != 0 {
        return Err(format!(
            "Syscall User Dispatch or its timer: {}",
            std::io::Error::last_os_error()
        ));
    }
    Ok(())
}

fn host_protection(protection: Protection) -> c_int {
    [
        (Protection::READ, libc::PROT_READ),
        (Protection::WRITE, libc::PROT_WRITE),
        (Protection::EXECUTE, libc::PROT_EXEC),
    ]
    .into_iter()
    .filter(|(right, _)| protection.contains(*right))
    .fold(libc::PROT_NONE, |all, (_, host)| all | host)
}

fn checked(start: u64, size: u64, result: bool) -> Result<(), String> {
    if result {
        Ok(())
    } else {
        Err(format!("{start:#x}+{size:#x}: {}", std::io::Error::last_os_error()))
    }
}

fn length(size: u64) -> usize {
    usize::try_from(size).expect("the host has 64 bits")
}

impl Engine for NativeEngine {
    fn arch(&self) -> Arch {
        Arch::X86_64
    }

    fn map(&mut self, start: u64, size: u64, protection: Protection) -> Result<(), String> {
        if start + size > GUEST_END {
            return Err(format!("{start:#x}+{size:#x} is where the host is"));
        }
        let flags = libc::MAP_PRIVATE
            | libc::MAP_ANONYMOUS
            | libc::MAP_FIXED_NOREPLACE
            | libc::MAP_NORESERVE;
        let address = ptr::with_exposed_provenance_mut::<c_void>(length(start));
        // SAFETY: NOREPLACE leaves whatever the host has there alone.
        let mapped =
            unsafe { libc::mmap(address, length(size), host_protection(protection), flags, -1, 0) };
        checked(start, size, mapped == address)
    }

    fn unmap(&mut self, start: u64, size: u64) -> Result<(), String> {
        // SAFETY: the address space only unmaps what `map` has mapped, below GUEST_END.
        checked(
            start,
            size,
            unsafe { libc::munmap(ptr::with_exposed_provenance_mut(length(start)), length(size)) }
                == 0,
        )
    }

    fn protect(&mut self, start: u64, size: u64, protection: Protection) -> Result<(), String> {
        let address = ptr::with_exposed_provenance_mut(length(start));
        // SAFETY: as in `unmap`.
        checked(
            start,
            size,
            unsafe { libc::mprotect(address, length(size), host_protection(protection)) } == 0,
        )
    }

    fn read(&self, address: u64, buffer: &mut [u8]) {
        self.memory
            .read_exact_at(buffer, address)
            .expect("the address space has checked the range");
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
        self.memory.write_all_at(bytes, address).expect("the address space has checked the range");
    }

    fn general(&self, index: usize) -> u64 {
        self.guest().general[GENERAL[index]].cast_unsigned()
    }

    fn set_general(&mut self, index: usize, value: u64) {
        self.guest_mut().general[GENERAL[index]] = value.cast_signed();
    }

    fn vector(&self, index: usize) -> u128 {
        let at = XMM + index * 16;
        let guest = self.guest();
        // A part in its first state is zero, whatever the bytes say.
        if guest.vector_size > LEGACY_SIZE && guest.vector[FEATURES] & SSE == 0 {
            return 0;
        }
        u128::from_le_bytes(guest.vector[at..at + 16].try_into().expect("16 bytes"))
    }

    fn set_vector(&mut self, index: usize, value: u128) {
        let at = XMM + index * 16;
        let guest = self.guest_mut();
        if guest.vector_size > LEGACY_SIZE && guest.vector[FEATURES] & SSE == 0 {
            guest.vector[XMM..XMM + 16 * 16].fill(0);
            guest.vector[FEATURES] |= SSE;
        }
        guest.vector[at..at + 16].copy_from_slice(&value.to_le_bytes());
    }

    fn program_counter(&self) -> u64 {
        self.guest().general[place(libc::REG_RIP)].cast_unsigned()
    }

    fn set_program_counter(&mut self, address: u64) {
        self.guest_mut().general[place(libc::REG_RIP)] = address.cast_signed();
    }

    fn flags(&self) -> u64 {
        self.guest().general[place(libc::REG_EFL)].cast_unsigned()
    }

    fn set_flags(&mut self, value: u64) {
        self.guest_mut().general[place(libc::REG_EFL)] = value.cast_signed();
    }

    fn save(&self) -> Context {
        Context::Native(Box::new(self.guest().clone()))
    }

    fn restore(&mut self, context: &Context) {
        match context {
            Context::Native(frame) => *self.guest_mut() = (**frame).clone(),
            Context::Unicorn(_) => unreachable!("a process has one engine"),
        }
    }

    fn run(&mut self) -> Stop {
        /// Bits of a page fault's error code, and the number of a general protection fault.
        const WRITE: i64 = 2;
        const FETCH: i64 = 16;
        const GENERAL_PROTECTION: i64 = 13;
        raise(ENTER).expect("the handler is installed");
        // SAFETY: the guest has stopped.
        let (signal, address) =
            unsafe { ((*EXCHANGE.0.get()).signal, (*EXCHANGE.0.get()).address) };
        let guest = self.guest();
        let (error, trap) =
            (guest.general[place(libc::REG_ERR)], guest.general[place(libc::REG_TRAPNO)]);
        match Signal::try_from(signal) {
            Ok(Signal::SIGSYS) => Stop::SystemCall,
            Ok(Signal::SIGVTALRM) => Stop::Slice,
            Ok(Signal::SIGTRAP) => Stop::Breakpoint,
            Ok(Signal::SIGFPE) => Stop::Arithmetic,
            Ok(Signal::SIGSEGV | Signal::SIGBUS) if trap == GENERAL_PROTECTION => {
                Stop::Memory(Access::Read, 0)
            }
            Ok(Signal::SIGSEGV | Signal::SIGBUS) if error & FETCH != 0 => {
                Stop::Memory(Access::Execute, address)
            }
            Ok(Signal::SIGSEGV | Signal::SIGBUS) if error & WRITE != 0 => {
                Stop::Memory(Access::Write, address)
            }
            Ok(Signal::SIGSEGV | Signal::SIGBUS) => Stop::Memory(Access::Read, address),
            _ => Stop::Illegal,
        }
    }

    fn after_fork(&mut self) {
        self.memory = memory().expect("the parent had it as well");
        arm().expect("the parent had it as well");
    }
}
