//! Signals: faults become the signals that macOS makes of them, and handlers of the guest run on the stack of the thread
//! that faulted. Handlers get the signal's number and a `siginfo_t` with number and address; the machine context is not given.

use std::collections::HashMap;

use super::Row;
use super::posix::{EINVAL, Failure, with_errno};
use super::strings::low_i32;
use crate::engine::{Access, Stop};
use crate::kernel::stack::STACK_GUARD;
use crate::process::{Ending, Flow, Process, Trap};

macro_rules! signals {
    ($($name:ident $number:literal)*) => {
        /// A signal, by macOS's numbers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names are the signals' own")]
        pub enum Signal { $($name = $number),* }

        impl Signal {
            /// The signal with a number.
            #[must_use]
            pub fn from_number(number: i32) -> Option<Signal> {
                match number {
                    $($number => Some(Signal::$name),)*
                    _ => None,
                }
            }
        }
    };
}

signals! { Hup 1 Int 2 Quit 3 Ill 4 Trap 5 Abrt 6 Fpe 8 Kill 9 Bus 10 Segv 11 Pipe 13 Term 15 Usr1 30 }

impl Signal {
    /// The number.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }
}

/// `SIG_DFL`, `SIG_IGN`
const DEFAULT: u64 = 0;
const IGNORE: u64 = 1;
/// `SA_RESETHAND` and `SA_NODEFER`
const RESET_HANDLER: u32 = 4;
const NO_DEFER: u32 = 0x10;

/// What `sigaction` was told.
#[derive(Debug, Clone, Copy, Default)]
struct Action {
    handler: u64,
    mask: u32,
    flags: u32,
}

/// The handlers of a process.
#[derive(Debug, Default)]
pub struct Handlers {
    actions: HashMap<Signal, Action>,
    /// Signals whose handlers run now.
    running: Vec<Signal>,
}

/// `signal`, `sigaction`, `raise`.
pub const FUNCTIONS: &[Row] = &[
    ("_signal", |process, [number, handler, ..]| {
        let Some(signal) = catchable(number) else {
            return with_errno(process, Err(Failure::Errno(EINVAL)));
        };
        let old =
            process.system.signals.actions.insert(signal, Action { handler, ..Action::default() });
        Ok(Flow::Return(old.unwrap_or_default().handler))
    }),
    ("_sigaction", |process, [number, new, old, ..]| {
        let Some(signal) = catchable(number) else {
            return with_errno(process, Err(Failure::Errno(EINVAL)));
        };
        let before = process.system.signals.actions.get(&signal).copied().unwrap_or_default();
        if old != 0 {
            process.space.write_u64(old, before.handler)?;
            process.space.write_u32(old + 8, before.mask)?;
            process.space.write_u32(old + 12, before.flags)?;
        }
        if new != 0 {
            let space = &process.space;
            let action = Action {
                handler: space.read_u64(new)?,
                mask: space.read_u32(new + 8)?,
                flags: space.read_u32(new + 12)?,
            };
            process.system.signals.actions.insert(signal, action);
        }
        Ok(Flow::Return(0))
    }),
    ("_raise", |process, [number, ..]| {
        let Some(signal) = Signal::from_number(low_i32(number)) else {
            return with_errno(process, Err(Failure::Errno(EINVAL)));
        };
        // The result of raise, for when the handler has returned.
        let result = process.arch().info().result;
        process.engine().set_general(result, 0);
        let before = process.engine().program_counter();
        raise(process, signal, &format!("the program raised {signal:?}"))?;
        Ok(if process.engine().program_counter() == before {
            Flow::Return(0)
        } else {
            Flow::Resume
        })
    }),
    ("_sigprocmask", |_, _| Ok(Flow::Return(0))),
    ("_pthread_sigmask", |_, _| Ok(Flow::Return(0))),
    ("_sigemptyset", |process, [set, ..]| {
        process.space.write_u32(set, 0)?;
        Ok(Flow::Return(0))
    }),
];

fn catchable(number: u64) -> Option<Signal> {
    Signal::from_number(low_i32(number)).filter(|signal| *signal != Signal::Kill)
}

/// What a stop of the processor becomes: `ux_exception` makes `SIGBUS` of what a protection forbids, `SIGSEGV` of what is
/// not mapped, and `handle_ux_exception` of a full stack.
///
/// # Errors
/// The end of the process, unless the guest handles the signal.
pub fn raise_fault(process: &mut Process, stop: Stop) -> Result<(), Trap> {
    let counter = process.engine().program_counter();
    let place = describe(process, counter);
    let (signal, what, address) = match stop {
        Stop::Memory(access, address) => {
            let region = process.space.region_at(address);
            let signal = if region.is_some_and(|region| region.label != STACK_GUARD) {
                Signal::Bus
            } else {
                Signal::Segv
            };
            let verb = match access {
                Access::Read => "read from",
                Access::Write => "write to",
                Access::Execute => "execution of",
            };
            (signal, format!("{verb} {}", describe(process, address)), address)
        }
        Stop::Breakpoint => (Signal::Trap, "breakpoint".to_owned(), counter),
        Stop::Arithmetic => (Signal::Fpe, "division".to_owned(), counter),
        Stop::Illegal | Stop::SystemCall | Stop::Slice => {
            (Signal::Ill, "illegal instruction".to_owned(), counter)
        }
    };
    deliver(process, signal, address, &format!("{what}, by the instruction at {place}"))
}

/// Where an address is: `0x100004000 (__DATA+0x0, rw-)`.
fn describe(process: &Process, address: u64) -> String {
    match process.space.region_at(address) {
        Some(region) => format!(
            "{address:#x} ({}+{:#x}, {})",
            region.label,
            address - region.start,
            region.protection
        ),
        None if address < process.space.floor => format!("{address:#x} (page zero)"),
        None => format!("{address:#x} (not mapped)"),
    }
}

/// Sends the process a signal. When a handler takes it, the registers are set for the handler.
///
/// # Errors
/// The end of the process, when nobody handles it.
pub fn raise(process: &mut Process, signal: Signal, report: &str) -> Result<(), Trap> {
    deliver(process, signal, 0, report)
}

fn deliver(process: &mut Process, signal: Signal, address: u64, report: &str) -> Result<(), Trap> {
    let action = process.system.signals.actions.get(&signal).copied().unwrap_or_default();
    let blocked = process.system.signals.running.contains(&signal) && action.flags & NO_DEFER == 0;
    if action.handler == IGNORE {
        return Ok(());
    }
    if action.handler == DEFAULT || blocked {
        return Err(Trap::End(Ending::Signal(signal, report.to_owned())));
    }
    if action.flags & RESET_HANDLER != 0 {
        process.system.signals.actions.remove(&signal);
    }
    process.system.signals.running.push(signal);
    let context = process.save();

    // siginfo_t: si_signo, si_errno, si_code, si_pid, si_uid, si_status, si_addr at 24.
    let information = super::memory::allocate_zeroed(process, 104)?;
    process.space.write_u32(information, signal.number())?;
    process.space.write_u64(information + 24, address)?;
    let arguments = [u64::from(signal.number()), information, 0];
    process.enter(
        action.handler,
        &arguments,
        Box::new(move |process, _| {
            process.system.signals.running.pop();
            process.system.heap.release(information);
            process.engine().restore(&context);
            Ok(Flow::Resume)
        }),
    )?;
    Ok(())
}
