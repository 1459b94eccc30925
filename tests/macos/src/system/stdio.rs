//! stdio: the three standard streams, with the buffering of a program whose output is no terminal: `stdout` is written
//! at exit, at `fflush` and when its buffer is full, so that a crash loses what a real one loses.

use super::arguments::Variadic;
use super::format::format;
use super::strings::low_i32;
use super::{FILES, Row};
use crate::process::{Flow, Process, Trap};

/// Bytes that `stdout` keeps before it writes.
const BUFFER_SIZE: usize = 4096;

/// The buffer of `stdout`; `stderr` has none.
#[derive(Debug, Default)]
pub struct Streams {
    buffer: Vec<u8>,
}

/// `printf`, `puts` and their like.
pub const FUNCTIONS: &[Row] = &[
    ("_printf", |process, [text, ..]| {
        let arguments = Variadic::of_call(process, 1);
        print(process, FILES[1], text, arguments)
    }),
    ("_fprintf", |process, [file, text, ..]| {
        let arguments = Variadic::of_call(process, 2);
        print(process, file, text, arguments)
    }),
    ("_vprintf", |process, [text, list, ..]| {
        let arguments = Variadic::of_list(process, list)?;
        print(process, FILES[1], text, arguments)
    }),
    ("_vfprintf", |process, [file, text, list, ..]| {
        let arguments = Variadic::of_list(process, list)?;
        print(process, file, text, arguments)
    }),
    ("_sprintf", |process, [buffer, text, ..]| {
        let arguments = Variadic::of_call(process, 2);
        print_to_memory(process, buffer, u64::MAX, text, arguments)
    }),
    ("_snprintf", |process, [buffer, size, text, ..]| {
        let arguments = Variadic::of_call(process, 3);
        print_to_memory(process, buffer, size, text, arguments)
    }),
    ("_vsnprintf", |process, [buffer, size, text, list, ..]| {
        let arguments = Variadic::of_list(process, list)?;
        print_to_memory(process, buffer, size, text, arguments)
    }),
    ("___sprintf_chk", |process, [buffer, _, size, text, ..]| {
        let arguments = Variadic::of_call(process, 4);
        print_to_memory(process, buffer, size, text, arguments)
    }),
    ("___snprintf_chk", |process, [buffer, size, _, _, text, ..]| {
        let arguments = Variadic::of_call(process, 5);
        print_to_memory(process, buffer, size, text, arguments)
    }),
    ("_dprintf", |process, [fd, text, ..]| {
        let mut arguments = Variadic::of_call(process, 2);
        let text = process.space.read_string(text)?;
        let output = format(process, &text, &mut arguments)?;
        write_all(low_i32(fd), &output);
        Ok(Flow::Return(output.len() as u64))
    }),
    ("_puts", |process, [string, ..]| {
        let mut line = process.space.read_string(string)?;
        line.push(b'\n');
        put(process, FILES[1], &line)?;
        Ok(Flow::Return(10))
    }),
    ("_fputs", |process, [string, file, ..]| {
        let text = process.space.read_string(string)?;
        put(process, file, &text)?;
        Ok(Flow::Return(0))
    }),
    ("_putchar", |process, [byte, ..]| {
        put(process, FILES[1], &[byte.to_le_bytes()[0]])?;
        Ok(Flow::Return(byte & 0xff))
    }),
    ("_putc", put_byte),
    ("_fputc", put_byte),
    ("_fwrite", |process, [address, size, count, file, ..]| {
        let bytes = process.space.read(address, size.saturating_mul(count))?;
        put(process, file, &bytes)?;
        Ok(Flow::Return(count))
    }),
    ("_fflush", |process, _| {
        flush_all(process)?;
        Ok(Flow::Return(0))
    }),
    ("_perror", |process, [prefix, ..]| {
        let address = super::process::errno_address(process)?;
        let errno = process.space.read_u32(address)?;
        let prefix = process.space.read_string(prefix)?;
        let line = [prefix.as_slice(), b": ", error_text(errno).as_bytes(), b"\n"].concat();
        put(process, FILES[2], &line)?;
        Ok(Flow::Return(0))
    }),
    ("_strerror", |process, [errno, ..]| {
        let mut text = error_text(u32::try_from(errno & 0xffff_ffff).unwrap_or(0)).into_bytes();
        text.push(0);
        let address = super::memory::allocate_zeroed(process, text.len() as u64)?;
        process.space.write(address, &text)?;
        Ok(Flow::Return(address))
    }),
];

/// Texts of the errors that the small macOS gives.
const ERROR_TEXTS: [(u32, &str); 17] = [
    (0, "Undefined error: 0"),
    (1, "Operation not permitted"),
    (2, "No such file or directory"),
    (3, "No such process"),
    (4, "Interrupted system call"),
    (5, "Input/output error"),
    (9, "Bad file descriptor"),
    (10, "No child processes"),
    (11, "Resource deadlock avoided"),
    (12, "Cannot allocate memory"),
    (13, "Permission denied"),
    (14, "Bad address"),
    (17, "File exists"),
    (22, "Invalid argument"),
    (25, "Inappropriate ioctl for device"),
    (32, "Broken pipe"),
    (35, "Resource temporarily unavailable"),
];

fn error_text(errno: u32) -> String {
    ERROR_TEXTS
        .iter()
        .find(|(number, _)| *number == errno)
        .map_or_else(|| format!("Unknown error: {errno}"), |(_, text)| (*text).to_owned())
}

fn print(
    process: &mut Process,
    file: u64,
    text: u64,
    mut arguments: Variadic,
) -> Result<Flow, Trap> {
    let text = process.space.read_string(text)?;
    let output = format(process, &text, &mut arguments)?;
    put(process, file, &output)?;
    Ok(Flow::Return(output.len() as u64))
}

fn print_to_memory(
    process: &mut Process,
    buffer: u64,
    size: u64,
    text: u64,
    mut arguments: Variadic,
) -> Result<Flow, Trap> {
    let text = process.space.read_string(text)?;
    let mut output = format(process, &text, &mut arguments)?;
    let length = output.len() as u64;
    if size > 0 {
        output.truncate(usize::try_from(size - 1).unwrap_or(usize::MAX));
        output.push(0);
        process.space.write(buffer, &output)?;
    }
    Ok(Flow::Return(length))
}

fn put_byte(process: &mut Process, [byte, file, ..]: [u64; 6]) -> Result<Flow, Trap> {
    put(process, file, &[byte.to_le_bytes()[0]])?;
    Ok(Flow::Return(byte & 0xff))
}

/// Writes to a stream.
fn put(process: &mut Process, file: u64, bytes: &[u8]) -> Result<(), Trap> {
    if file == FILES[2] {
        write_all(2, bytes);
    } else if file == FILES[1] {
        process.system.streams.buffer.extend_from_slice(bytes);
        if process.system.streams.buffer.len() > BUFFER_SIZE {
            flush_all(process)?;
        }
    } else {
        return Err(Trap::unsupported(format!("the stream at {file:#x}")));
    }
    Ok(())
}

/// Writes what `stdout` holds.
///
/// # Errors
/// None today; streams on files would have some.
pub fn flush_all(process: &mut Process) -> Result<(), Trap> {
    let buffer = std::mem::take(&mut process.system.streams.buffer);
    write_all(1, &buffer);
    Ok(())
}

/// Writes to one of the host's descriptors; as in a program that ignores `printf`'s result, errors are lost.
fn write_all(fd: i32, bytes: &[u8]) {
    use std::io::Write;
    let _ = match fd {
        1 => std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush()),
        _ => std::io::stderr().write_all(bytes),
    };
}
