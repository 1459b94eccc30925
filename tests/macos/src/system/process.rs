//! libSystem's process functions: ending, environment, errors, and what a program asks about the machine.

use super::posix::{self, Failure};
use super::signals::Signal;
use super::strings::low_i32;
use super::{ENVIRON, Row, stdio};
use crate::dyld::image::Image;
use crate::process::{Ending, Flow, Process, Trap};

/// A function to call at exit, with its argument (for `__cxa_atexit`).
#[derive(Debug, Clone, Copy)]
pub struct ExitHandler {
    function: u64,
    argument: u64,
}

/// `exit` and its like.
pub const FUNCTIONS: &[Row] = &[
    ("_exit", |process, [status, ..]| exit(process, status)),
    ("__Exit", |_, [status, ..]| Err(Trap::End(Ending::Exit(status.to_le_bytes()[0])))),
    ("_atexit", |process, [function, ..]| {
        process.system.at_exit.push(ExitHandler { function, argument: 0 });
        Ok(Flow::Return(0))
    }),
    ("___cxa_atexit", |process, [function, argument, ..]| {
        process.system.at_exit.push(ExitHandler { function, argument });
        Ok(Flow::Return(0))
    }),
    ("_abort", |process, _| {
        super::signals::raise(process, Signal::Abrt, "the program called abort")?;
        Ok(Flow::Resume)
    }),
    ("___assert_rtn", |process, [function, file, line, expression, ..]| {
        let text = |address| -> Result<String, Trap> {
            Ok(if address == 0 {
                String::new()
            } else {
                String::from_utf8_lossy(&process.space.read_string(address)?).into_owned()
            })
        };
        Err(abort(&format!(
            "Assertion failed: ({}), function {}, file {}, line {line}",
            text(expression)?,
            text(function)?,
            text(file)?
        )))
    }),
    ("___stack_chk_fail", |_, _| Err(abort("stack buffer overflow"))),
    ("_getenv", |process, [name, ..]| {
        let mut wanted = process.space.read_string(name)?;
        wanted.push(b'=');
        let mut entry = process.space.read_u64(ENVIRON)?;
        loop {
            let string = process.space.read_u64(entry)?;
            if string == 0 || process.space.read_string(string)?.starts_with(&wanted) {
                return Ok(Flow::Return(if string == 0 {
                    0
                } else {
                    string + wanted.len() as u64
                }));
            }
            entry += 8;
        }
    }),
    ("__NSGetEnviron", |_, _| Ok(Flow::Return(ENVIRON))),
    ("__NSGetArgc", |process, _| Ok(Flow::Return(process.vectors.stack_pointer))),
    ("__NSGetArgv", |process, _| pointer_to(process, |process| process.vectors.argv)),
    ("__NSGetExecutablePath", |process, [buffer, size, ..]| {
        let mut path = process.system.path.clone().into_bytes();
        path.push(0);
        let room = process.space.read_u32(size)?;
        process.space.write_u32(size, u32::try_from(path.len()).unwrap_or(u32::MAX))?;
        if path.len() as u64 > u64::from(room) {
            return Ok(Flow::Return(u64::MAX));
        }
        process.space.write(buffer, &path)?;
        Ok(Flow::Return(0))
    }),
    // Image 0 is the program; then come its libraries, of which libSystem has no file here.
    ("__dyld_get_image_header", |process, [index, ..]| {
        let image = usize::try_from(index & 0xffff_ffff).ok();
        let image = image.and_then(|index| process.images.get(index));
        Ok(Flow::Return(image.map_or(0, Image::address)))
    }),
    ("__dyld_get_image_vmaddr_slide", |process, [index, ..]| {
        let image = usize::try_from(index & 0xffff_ffff).ok();
        let image = image.and_then(|index| process.images.get(index));
        Ok(Flow::Return(image.map_or(0, |image| image.slide)))
    }),
    ("___error", |process, _| errno_address(process).map(Flow::Return)),
    ("_getpagesize", |process, _| Ok(Flow::Return(process.arch().page_size()))),
    ("_sysconf", |process, [name, ..]| {
        /// `_SC_PAGESIZE`, `_SC_NPROCESSORS_CONF` and `_SC_NPROCESSORS_ONLN` of macOS.
        const PAGE_SIZE: i32 = 29;
        const PROCESSORS: [i32; 2] = [57, 58];
        match low_i32(name) {
            PAGE_SIZE => Ok(Flow::Return(process.arch().page_size())),
            name if PROCESSORS.contains(&name) => Ok(Flow::Return(1)),
            name => Err(Trap::unsupported(format!("sysconf({name})"))),
        }
    }),
    ("_waitpid", |process, [pid, status, options, ..]| {
        let call = posix::CALLS
            .iter()
            .find(|row| row.symbol == "_wait4")
            .expect("wait4 is in the table")
            .call;
        let result = call(process, [pid, status, options, 0, 0, 0]);
        posix::with_errno(process, result)
    }),
    ("_wait", |process, [status, ..]| {
        let call = posix::CALLS
            .iter()
            .find(|row| row.symbol == "_wait4")
            .expect("wait4 is in the table")
            .call;
        let result = call(process, [u64::MAX, status, 0, 0, 0, 0]);
        posix::with_errno(process, result)
    }),
    ("_time", |process, [result, ..]| {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        if result != 0 {
            process.space.write_u64(result, now)?;
        }
        Ok(Flow::Return(now))
    }),
    ("_mach_absolute_time", |_, _| {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        Ok(Flow::Return(u64::try_from(now).unwrap_or(u64::MAX)))
    }),
    ("_usleep", |_, [microseconds, ..]| {
        std::thread::sleep(std::time::Duration::from_micros(microseconds.min(1_000_000)));
        Ok(Flow::Return(0))
    }),
    ("_isatty", |process, _| posix::with_errno(process, Err(Failure::Errno(25)))),
    ("dyld_stub_binder", |_, _| {
        Err(Trap::unsupported(
            "dyld_stub_binder: lazy pointers are bound before the program starts",
        ))
    }),
];

/// `exit`: the registered functions in reverse, then the streams, then the end.
///
/// # Errors
/// The end of the process.
pub fn exit(process: &mut Process, status: u64) -> Result<Flow, Trap> {
    if let Some(handler) = process.system.at_exit.pop() {
        return process.enter(
            handler.function,
            &[handler.argument],
            Box::new(move |process, _| exit(process, status)),
        );
    }
    stdio::flush_all(process)?;
    Err(Trap::End(Ending::Exit(status.to_le_bytes()[0])))
}

/// The end by `SIGABRT`, with what Apple's function would print.
#[must_use]
pub fn abort(why: &str) -> Trap {
    Trap::End(Ending::Signal(Signal::Abrt, format!("abort: {why}")))
}

/// Where the current thread's `errno` is.
///
/// # Errors
/// When there is no memory for it.
pub fn errno_address(process: &mut Process) -> Result<u64, Trap> {
    if process.threads.current().errno == 0 {
        let address = super::memory::allocate_zeroed(process, 16)?;
        process.threads.current_mut().errno = address;
    }
    Ok(process.threads.current().errno)
}

/// A fresh variable with a value of the process, for functions that return a variable's address.
fn pointer_to(process: &mut Process, value: fn(&Process) -> u64) -> Result<Flow, Trap> {
    let address = super::memory::allocate_zeroed(process, 16)?;
    let value = value(process);
    process.space.write_u64(address, value)?;
    Ok(Flow::Return(address))
}
