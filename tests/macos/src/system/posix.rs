//! Functions that are both BSD system calls and functions of libSystem: one table with the call's number and symbol.
//! They give a value or an `errno`; [`super::syscalls`] and libSystem's wrapper say it in their own ways.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, Whence};

use super::Row;
use super::strings::low_i32;
use crate::engine::Protection;
use crate::host;
use crate::kernel::stack::DEFAULT_STACK_SIZE;
use crate::process::{Ending, Flow, Process, Trap};
use crate::space::{Fault, MapError};

/// `ENOMEM`
pub const ENOMEM: u32 = 12;
const EACCES: u32 = 13;
const EFAULT: u32 = 14;
/// `EINVAL`
pub const EINVAL: u32 = 22;
/// `EDEADLK`, which pthreads give as well.
pub const EDEADLK: u32 = 11;
/// `ESRCH`
pub const ESRCH: u32 = 3;

/// Why a call has no value.
#[derive(Debug)]
pub enum Failure {
    /// The caller gets this `errno`.
    Errno(u32),
    /// The process is interrupted.
    Trap(Trap),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Errno(host::macos_errno(errno))
    }
}

/// The kernel copies in and out with checks: a bad pointer is an error, not a fault.
impl From<Fault> for Failure {
    fn from(_: Fault) -> Failure {
        Failure::Errno(EFAULT)
    }
}

impl From<MapError> for Failure {
    fn from(error: MapError) -> Failure {
        Failure::Errno(match error {
            MapError::Protection => EACCES,
            MapError::Range => EINVAL,
            MapError::Overlap(_) | MapError::Host(_) => ENOMEM,
        })
    }
}

/// A call's implementation.
pub type Call = fn(&mut Process, [u64; 6]) -> Result<u64, Failure>;

/// A row: BSD number, symbol of libSystem, implementation.
pub struct CallRow {
    /// Number without the class.
    pub number: u64,
    /// Symbol.
    pub symbol: &'static str,
    /// What it does.
    pub call: Call,
}

macro_rules! calls {
    ($($number:literal $symbol:literal $call:expr;)*) => {
        /// The system calls.
        pub const CALLS: &[CallRow] = &[$(CallRow { number: $number, symbol: $symbol, call: $call }),*];
        /// The same as functions of libSystem.
        pub const FUNCTIONS: &[Row] = &[$(($symbol, |process, arguments| {
            let call: Call = $call;
            let result = call(process, arguments);
            with_errno(process, result)
        })),*];
    };
}

calls! {
    1 "__exit" |_, [status, ..]| Err(Failure::Trap(Trap::End(Ending::Exit(status.to_le_bytes()[0]))));
    2 "_fork" |process, _| {
        let child = host::fork_guest()?;
        if child.is_none() {
            process.is_child = true;
            process.engine().after_fork();
        }
        Ok(child.map_or(0, |child| u64::from(child.unsigned_abs())))
    };
    3 "_read" |process, [fd, buffer, size, ..]| {
        process.space.check(buffer, size, crate::engine::Access::Write)?;
        let mut bytes = vec![0; usize::try_from(size.min(1 << 24)).unwrap_or(0)];
        let count = host::with_descriptor(low_i32(fd), |fd| nix::unistd::read(fd, &mut bytes))?;
        process.space.write(buffer, &bytes[..count])?;
        Ok(count as u64)
    };
    4 "_write" |process, [fd, buffer, size, ..]| {
        let bytes = process.space.read(buffer, size)?;
        Ok(host::with_descriptor(low_i32(fd), |fd| nix::unistd::write(fd, &bytes))? as u64)
    };
    5 "_open" open;
    6 "_close" |_, [fd, ..]| {
        nix::unistd::close(low_i32(fd))?;
        Ok(0)
    };
    7 "_wait4" wait;
    20 "_getpid" |_, _| Ok(u64::from(nix::unistd::getpid().as_raw().unsigned_abs()));
    24 "_getuid" |_, _| Ok(u64::from(nix::unistd::getuid().as_raw()));
    25 "_geteuid" |_, _| Ok(u64::from(nix::unistd::geteuid().as_raw()));
    37 "_kill" |process, [pid, signal, ..]| {
        let signal = super::signals::Signal::from_number(low_i32(signal)).ok_or(Failure::Errno(EINVAL))?;
        if low_i32(pid) == nix::unistd::getpid().as_raw() {
            super::signals::raise(process, signal, &format!("the program sent itself {signal:?}")).map_err(Failure::Trap)?;
            return Ok(0);
        }
        nix::sys::signal::kill(Pid::from_raw(low_i32(pid)), host::host_signal(signal))?;
        Ok(0)
    };
    39 "_getppid" |_, _| Ok(u64::from(nix::unistd::getppid().as_raw().unsigned_abs()));
    73 "_munmap" |process, [address, size, ..]| {
        let (start, size) = page_range(process, address, size)?;
        process.space.unmap(start, size)?;
        Ok(0)
    };
    74 "_mprotect" |process, [address, size, protection, ..]| {
        let (start, size) = page_range(process, address, size)?;
        let protection = protection_of(protection)?;
        deny_writable_code(process, protection, 0)?;
        process.space.protect(start, size, protection)?;
        Ok(0)
    };
    116 "_gettimeofday" |process, [result, ..]| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        if result != 0 {
            process.space.write_u64(result, now.as_secs())?;
            process.space.write_u32(result + 8, now.subsec_micros())?;
        }
        Ok(0)
    };
    194 "_getrlimit" |process, [resource, result, ..]| {
        /// `RLIMIT_STACK` and `RLIM_INFINITY` of macOS.
        const STACK: u64 = 3;
        const INFINITY: u64 = (1 << 63) - 1;
        let (soft, hard) = if resource & 0xfff == STACK { (DEFAULT_STACK_SIZE, 64 << 20) } else { (INFINITY, INFINITY) };
        process.space.write_u64(result, soft)?;
        process.space.write_u64(result + 8, hard)?;
        Ok(0)
    };
    197 "_mmap" map;
    199 "_lseek" |_, [fd, offset, whence, ..]| {
        let whence = match whence {
            0 => Whence::SeekSet,
            1 => Whence::SeekCur,
            2 => Whence::SeekEnd,
            _ => return Err(Failure::Errno(EINVAL)),
        };
        Ok(host::with_descriptor(low_i32(fd), |fd| nix::unistd::lseek(fd, offset.cast_signed(), whence))?.cast_unsigned())
    };
}

/// libSystem's way: -1 and `errno`.
pub(super) fn with_errno(
    process: &mut Process,
    result: Result<u64, Failure>,
) -> Result<Flow, Trap> {
    match result {
        Ok(value) => Ok(Flow::Return(value)),
        Err(Failure::Trap(trap)) => Err(trap),
        Err(Failure::Errno(errno)) => {
            let address = super::process::errno_address(process)?;
            process.space.write_u32(address, errno)?;
            Ok(Flow::Return(u64::MAX))
        }
    }
}

fn open(process: &mut Process, [path, flags, ..]: [u64; 6]) -> Result<u64, Failure> {
    /// `O_…` of macOS that differ from the host's.
    const FLAGS: [(u64, OFlag); 5] = [
        (0x4, OFlag::O_NONBLOCK),
        (0x8, OFlag::O_APPEND),
        (0x200, OFlag::O_CREAT),
        (0x400, OFlag::O_TRUNC),
        (0x800, OFlag::O_EXCL),
    ];
    let path = process.space.read_string(path)?;
    let access = [OFlag::O_RDONLY, OFlag::O_WRONLY, OFlag::O_RDWR]
        .get(usize::try_from(flags & 3).unwrap_or(3))
        .ok_or(Failure::Errno(EINVAL))?;
    let flags = FLAGS
        .iter()
        .filter(|(own, _)| flags & own != 0)
        .fold(*access, |all, (_, host)| all | *host);
    // The mode is the one variable argument of open; by both conventions an integer.
    let mode = if flags.contains(OFlag::O_CREAT) {
        super::arguments::Variadic::of_call(process, 2).integer(process)?
    } else {
        0
    };
    let mode = Mode::from_bits_truncate(u32::try_from(mode & 0o7777).unwrap_or(0));
    let fd = nix::fcntl::open(path.as_slice(), flags, mode)?;
    Ok(u64::from(std::os::fd::IntoRawFd::into_raw_fd(fd).unsigned_abs()))
}

fn wait(process: &mut Process, [pid, status, options, ..]: [u64; 6]) -> Result<u64, Failure> {
    let options = if options & 1 == 0 { None } else { Some(WaitPidFlag::WNOHANG) };
    let (child, word) = match waitpid(Pid::from_raw(low_i32(pid)), options)? {
        WaitStatus::Exited(child, code) => (child, (code.unsigned_abs() & 0xff) << 8),
        WaitStatus::Signaled(child, signal, _) => (child, host::macos_signal(signal).number()),
        _ => return Ok(0),
    };
    if status != 0 {
        process.space.write_u32(status, word)?;
    }
    Ok(u64::from(child.as_raw().unsigned_abs()))
}

/// The pages that hold a range: the address must be a multiple of the page size.
fn page_range(process: &Process, address: u64, size: u64) -> Result<(u64, u64), Failure> {
    let arch = process.arch();
    let end = address
        .checked_add(size)
        .filter(|_| size > 0 && address == arch.page_down(address))
        .ok_or(Failure::Errno(EINVAL))?;
    Ok((address, arch.page_up(end) - address))
}

fn protection_of(bits: u64) -> Result<Protection, Failure> {
    u32::try_from(bits).ok().filter(|bits| *bits <= 7).map(Protection).ok_or(Failure::Errno(EINVAL))
}

/// On arm64 no memory is writable and executable at once, unless mapped with `MAP_JIT`.
fn deny_writable_code(
    process: &Process,
    protection: Protection,
    flags: u64,
) -> Result<(), Failure> {
    const MAP_JIT: u64 = 0x800;
    let both = protection.contains(Protection(Protection::WRITE.0 | Protection::EXECUTE.0));
    if both && !process.arch().info().lenient && flags & MAP_JIT == 0 {
        return Err(Failure::Errno(EACCES));
    }
    Ok(())
}

fn map(
    process: &mut Process,
    [address, size, protection, flags, fd, offset]: [u64; 6],
) -> Result<u64, Failure> {
    const MAP_FIXED: u64 = 0x10;
    const MAP_ANON: u64 = 0x1000;
    let size = process.arch().page_up(size);
    if size == 0 || size > 1 << 40 {
        return Err(Failure::Errno(if size == 0 { EINVAL } else { ENOMEM }));
    }
    let protection = protection_of(protection)?;
    deny_writable_code(process, protection, flags)?;
    let start = if flags & MAP_FIXED != 0 {
        let (start, size) = page_range(process, address, size)?;
        process.space.unmap(start, size)?;
        start
    } else {
        process.space.free_range(super::MMAP, size)
    };
    process.space.map(start, size, protection, Protection(7), "mmap")?;
    if flags & MAP_ANON == 0 {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let mut filled = 0;
        while filled < bytes.len() {
            let at = i64::try_from(offset + filled as u64).map_err(|_| Failure::Errno(EINVAL))?;
            match host::with_descriptor(low_i32(fd), |fd| {
                nix::sys::uio::pread(fd, &mut bytes[filled..], at)
            })? {
                0 => break,
                count => filled += count,
            }
        }
        process.space.fill(start, &bytes);
    }
    Ok(start)
}
