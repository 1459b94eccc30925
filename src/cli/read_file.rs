//! Files that commands look at, whoever wrote them: read whole, from a path or from standard input, and never without end.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use minild::view::reader::Name;

/// Standard input that is a pipe is read so far: what is longer is no executable that anybody pipes.
const MOST_OF_A_PIPE: u64 = 1 << 30;

/// The path as text: what a terminal would obey is escaped.
pub(super) fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        return "<stdin>".to_owned();
    }
    Name::new(path.as_os_str().as_encoded_bytes()).to_string()
}

/// The bytes of the file at `path`, or of standard input for `-`.
///
/// # Errors
/// A sentence that names the file: it cannot be read, or it is none: a folder, a device or a pipe has no end to wait for.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let is_stdin = path == Path::new("-");
    let read = || -> io::Result<Vec<u8>> { if is_stdin { read_stdin() } else { read_path(path) } };
    read().map_err(|error| format!("cannot read {}: {error}", shown(path)))
}

fn read_path(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: a pipe without a writer lets whoever opens it wait.
    if let Some(what) = what_has_no_end(&path.metadata()?) {
        let hint = if what == "a pipe" { "; `-` reads one from standard input" } else { "" };
        return Err(io::Error::other(format!("it is {what}, not a file{hint}")));
    }
    let mut file = File::open(path)?;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size)?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_stdin() -> io::Result<Vec<u8>> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        if let Some(what) = what_has_no_end(&file.metadata()?).filter(|what| *what != "a pipe") {
            return Err(io::Error::other(format!("it is {what}, not a file")));
        }
    }
    let mut bytes = Vec::new();
    io::stdin().lock().take(MOST_OF_A_PIPE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_OF_A_PIPE {
        return Err(io::Error::other("it has more than 1 GiB"));
    }
    Ok(bytes)
}

/// What is read for ever, or not at all.
fn what_has_no_end(metadata: &Metadata) -> Option<&'static str> {
    if metadata.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    None
}
