//! The few host services whose interfaces cannot be safe, or want translation: forking the process that runs the guest,
//! naming descriptors by number, and the differences between Linux's and macOS's numbers for errors and signals.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal as HostSignal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::system::signals::Signal;

/// Forks the process with the guest in it; the child's id in the parent.
///
/// # Errors
/// The host's error.
#[expect(unsafe_code, reason = "fork has no safe interface")]
pub fn fork_guest() -> Result<Option<i32>, Errno> {
    // SAFETY: the process has one thread (the guest's threads are contexts that it switches between), so the child
    // finds no lock held.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Some(child.as_raw())),
        ForkResult::Child => Ok(None),
    }
}

/// Makes one system call with a descriptor that the guest names by number.
///
/// # Errors
/// The call's, or `EBADF`.
#[expect(unsafe_code, reason = "the guest names descriptors by number")]
pub fn with_descriptor<T>(
    fd: i32,
    call: impl FnOnce(BorrowedFd<'_>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: the descriptor is only handed to one system call, for which a closed one is an error (EBADF); nothing
    // here owns it.
    call(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Lets the host end this process after a while, whatever it does then.
pub fn die_after(time: Duration) {
    nix::unistd::alarm::set(u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1));
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// With this status.
    Exited(u8),
    /// By a signal.
    Killed(Signal),
    /// By [`die_after`].
    TimedOut,
}

/// Waits for a child.
#[must_use]
pub fn wait(child: i32) -> Status {
    loop {
        match waitpid(Pid::from_raw(child), None) {
            Ok(WaitStatus::Exited(_, status)) => return Status::Exited(status.to_le_bytes()[0]),
            Ok(WaitStatus::Signaled(_, HostSignal::SIGALRM, _)) => return Status::TimedOut,
            Ok(WaitStatus::Signaled(_, signal, _)) => return Status::Killed(macos_signal(signal)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Status::Killed(Signal::Kill),
        }
    }
}

/// macOS's number for a host error; the two agree up to 34, but for `EAGAIN`.
#[must_use]
pub fn macos_errno(errno: Errno) -> u32 {
    match errno {
        Errno::EAGAIN => 35,
        Errno::ENAMETOOLONG => 63,
        Errno::ENOSYS => 78,
        Errno::ENOTEMPTY => 66,
        Errno::ELOOP => 62,
        other => u32::try_from(other as i32).ok().filter(|number| *number <= 34).unwrap_or(5),
    }
}

/// Signals whose numbers the two systems may not share.
const SIGNALS: [(Signal, HostSignal); 13] = [
    (Signal::Hup, HostSignal::SIGHUP),
    (Signal::Int, HostSignal::SIGINT),
    (Signal::Quit, HostSignal::SIGQUIT),
    (Signal::Ill, HostSignal::SIGILL),
    (Signal::Trap, HostSignal::SIGTRAP),
    (Signal::Abrt, HostSignal::SIGABRT),
    (Signal::Fpe, HostSignal::SIGFPE),
    (Signal::Kill, HostSignal::SIGKILL),
    (Signal::Bus, HostSignal::SIGBUS),
    (Signal::Segv, HostSignal::SIGSEGV),
    (Signal::Pipe, HostSignal::SIGPIPE),
    (Signal::Term, HostSignal::SIGTERM),
    (Signal::Usr1, HostSignal::SIGUSR1),
];

/// The host's signal for a macOS one.
#[must_use]
pub fn host_signal(signal: Signal) -> HostSignal {
    SIGNALS.iter().find(|(own, _)| *own == signal).map_or(HostSignal::SIGKILL, |(_, host)| *host)
}

/// The macOS signal for a host's.
#[must_use]
pub fn macos_signal(signal: HostSignal) -> Signal {
    SIGNALS.iter().find(|(_, host)| *host == signal).map_or(Signal::Kill, |(own, _)| *own)
}

/// Ends this process by the signal that ended the guest, as its parent should see it; without a core file.
pub fn die_by(signal: Signal) -> ! {
    use nix::sys::resource::{Resource, setrlimit};
    use nix::sys::signal::{SigHandler, SigSet, raise};
    let host = host_signal(signal);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = reset_handler(host, SigHandler::SigDfl);
    let _ = SigSet::from(host).thread_unblock();
    let _ = raise(host);
    // A signal that the host would not deliver: the shell's convention says it as well.
    std::process::exit(128 + host as i32)
}

#[expect(unsafe_code, reason = "installing a handler has no safe interface")]
fn reset_handler(signal: HostSignal, handler: nix::sys::signal::SigHandler) -> Result<(), Errno> {
    // SAFETY: the default action runs no code of ours.
    unsafe { nix::sys::signal::signal(signal, handler) }.map(drop)
}
