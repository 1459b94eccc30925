//! Files that commands look at, and specs: read whole, from a path or from standard input, and never without end.

use std::fmt::{self, Display};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use minild::view::reader::Name;
use minild::{Error, ErrorKind};

/// Bytes that are read of what has no size that could be asked for: a pipe.
const MOST_OF_A_PIPE: u64 = 1 << 30;

/// Whether standard input is meant.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// What the user calls the file at a path, `<stdin>` for `-`: for documents, and for [`shown`](super::report::shown).
pub(super) fn name(path: &Path) -> String {
    if is_stdin(path) { "<stdin>".to_owned() } else { path.display().to_string() }
}

/// The same as people read it: what is no text, or what a terminal would obey, is escaped.
pub(super) fn shown(path: &Path) -> String {
    if is_stdin(path) {
        return name(path);
    }
    Name::new(path.as_os_str().as_encoded_bytes()).to_string()
}

/// The error of a file that cannot be read, for a reason that is a sentence's end.
pub(super) fn cannot_read(path: &Path, reason: impl Display) -> Error {
    Error::new(ErrorKind::File, format!("cannot read {}: {reason}", shown(path)))
}

/// The bytes of the file at `path`, or of standard input for `-`.
///
/// # Errors
/// It cannot be read, or there is no end to wait for: it is a device, or a pipe that is not standard input.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = if is_stdin(path) { read_stdin() } else { read_path(path) };
    bytes.map_err(|error| cannot_read(path, error))
}

fn read_path(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: a pipe without a writer lets whoever opens it wait.
    if let Some(kind) = Special::of(&path.metadata()?) {
        let hint = match kind {
            Special::Pipe => "; `-` reads one from standard input",
            _ => "",
        };
        return Err(io::Error::other(format!("it is {kind}, not a file{hint}")));
    }
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    // A size that the system makes up must not end this process.
    bytes.try_reserve_exact(usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_stdin() -> io::Result<Vec<u8>> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        match Special::of(&file.metadata()?) {
            // Programs that start others give them sockets for pipes, too.
            None | Some(Special::Pipe | Special::Socket) => {}
            Some(kind) => return Err(io::Error::other(format!("it is {kind}, not a file"))),
        }
    }
    bounded(io::stdin().lock(), MOST_OF_A_PIPE)
}

/// The same of a spec. It may also come from a pipe, which a shell makes of a command (`minild check <(generate)`), or
/// be typed.
///
/// # Errors
/// It cannot be read, or is longer than anybody writes.
pub(super) fn read_spec(path: &Path) -> Result<Vec<u8>, Error> {
    let read = || {
        if is_stdin(path) {
            return bounded(io::stdin().lock(), MOST_OF_A_PIPE);
        }
        // Before it is opened: systems say in different ways that a folder is no file.
        if let Some(kind @ Special::Folder) = Special::of(&path.metadata()?) {
            return Err(io::Error::other(format!("it is {kind}, not a file")));
        }
        bounded(File::open(path)?, MOST_OF_A_PIPE)
    };
    read().map_err(|error| cannot_read(path, error))
}

/// All that there is to read, if it is no more than `most` bytes.
fn bounded(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let message = format!("it has more than {} MiB", most >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// What is read for ever, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "only Unix tells pipes and sockets from devices"))]
enum Special {
    Folder,
    Pipe,
    Socket,
    Device,
}

impl Special {
    /// `None` for a regular file.
    fn of(metadata: &Metadata) -> Option<Self> {
        let kind = metadata.file_type();
        if kind.is_file() {
            return None;
        }
        if kind.is_dir() {
            return Some(Self::Folder);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if kind.is_fifo() {
                return Some(Self::Pipe);
            }
            if kind.is_socket() {
                return Some(Self::Socket);
            }
        }
        Some(Self::Device)
    }
}

impl Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "a folder",
            Self::Pipe => "a pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
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
