//! Files that commands look into, whoever wrote them: regular ones, and standard input up to a bound.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::Failure;
use super::report::Report;

/// Bytes that are read of standard input: a pipe has no size that could be asked for.
pub(super) const STANDARD_INPUT: u64 = 1 << 30;

/// What the user calls the file at a path: `-` is standard input.
pub(super) fn name(path: &Path) -> String {
    if is_standard_input(path) { "<stdin>".to_owned() } else { path.display().to_string() }
}

/// Reads the file at `path`, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |reason: String| Failure::Report(Report::unreadable(&name(path), reason));
    if is_standard_input(path) {
        let bytes = bounded(io::stdin().lock(), STANDARD_INPUT);
        return bytes.map_err(|error| wrong(error.to_string()));
    }
    // Opening a pipe waits for who writes to it, so it is looked at first.
    let kind = fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if kind.is_dir() {
        return Err(wrong("it is a folder".to_owned()));
    }
    if !kind.is_file() {
        return Err(wrong("it is a device, a pipe or a socket, no regular file".to_owned()));
    }
    let bytes = File::open(path).and_then(|mut file| {
        let mut bytes = Vec::new();
        // A size that the system makes up must not end this process.
        bytes.try_reserve_exact(usize::try_from(kind.len()).unwrap_or(usize::MAX))?;
        file.read_to_end(&mut bytes).map(|_| bytes)
    });
    bytes.map_err(|error| wrong(error.to_string()))
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// All that there is to read, if it is no more than `most` bytes.
fn bounded(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let message = format!("it has more than {} MiB, which only a file may have", most >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_not_read_to_it() {
        assert_eq!(bounded(&b"four"[..], 4).unwrap(), b"four");
        let error = bounded(io::repeat(0), 1 << 20).unwrap_err();
        assert!(error.to_string().contains("more than 1 MiB"), "{error}");
    }
}
