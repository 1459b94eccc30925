//! Where the bytes of a file go while it is made: memory, or a file on disk.
//!
//! Bytes are appended in the order of the file. What depends on all of them (an identity, a signature)
//! is patched in at the end, computed from what was really written.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::mem;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind};
use crate::units::{FileOffset, Size};

/// Bytes read back at a time; and a file of no more is gathered in memory, and written at once.
const CHUNK: usize = 1 << 20;

/// Bytes of a larger file that are written at a time.
const BUFFERED: usize = 1 << 16;

/// Bytes of padding written at a time.
const FILLED: usize = 512;

/// A file in the making.
#[derive(Debug)]
pub struct Output {
    sink: Sink,
    /// Where what is being written starts in the sink.
    start: u64,
    /// How much of it is written.
    position: u64,
}

#[derive(Debug)]
enum Sink {
    Memory(Vec<u8>),
    /// All bytes of a file that is small so far, and the file that they go to.
    Small(Vec<u8>, File),
    File(BufWriter<File>),
    Nothing,
}

impl Output {
    /// Gathers the file in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self { sink: Sink::Memory(Vec::new()), start: 0, position: 0 }
    }

    /// Writes to `file`, which is empty and open for reading and writing.
    #[must_use]
    pub fn file(file: File) -> Self {
        Self { sink: Sink::Small(Vec::new(), file), start: 0, position: 0 }
    }

    /// Keeps nothing: only what is wrong is of interest.
    #[must_use]
    pub fn nothing() -> Self {
        Self { sink: Sink::Nothing, start: 0, position: 0 }
    }

    /// Starts another file behind what is written, `offset` bytes from the start of the first: positions
    /// count from there now.
    pub(crate) fn begin_slice(&mut self, offset: FileOffset) -> io::Result<()> {
        self.pad_to(FileOffset(offset.0 - self.start), 0)?;
        self.start = offset.0;
        self.position = 0;
        Ok(())
    }

    /// Makes room for `size` more bytes at once, where they are gathered in memory.
    ///
    /// # Errors
    /// When there is not so much memory.
    pub(crate) fn reserve(&mut self, size: Size) -> io::Result<()> {
        self.expect(size.0)?;
        if let Sink::Memory(memory) | Sink::Small(memory, _) = &mut self.sink {
            memory.try_reserve_exact(len(size.0)?).map_err(|_| io::ErrorKind::OutOfMemory)?;
        }
        Ok(())
    }

    /// Before `more` bytes come: a file that is small no longer leaves memory.
    fn expect(&mut self, more: u64) -> io::Result<()> {
        let Sink::Small(memory, file) = &mut self.sink else { return Ok(()) };
        if (memory.len() as u64).saturating_add(more) <= CHUNK as u64 {
            return Ok(());
        }
        file.write_all(memory)?;
        if let Sink::Small(_, file) = mem::replace(&mut self.sink, Sink::Nothing) {
            self.sink = Sink::File(BufWriter::with_capacity(BUFFERED, file));
        }
        Ok(())
    }

    /// How long the file is so far.
    #[must_use]
    pub fn position(&self) -> FileOffset {
        FileOffset(self.position)
    }

    /// Appends `bytes`.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.expect(bytes.len() as u64)?;
        self.position += bytes.len() as u64;
        match &mut self.sink {
            Sink::Memory(memory) | Sink::Small(memory, _) => {
                memory.extend_from_slice(bytes);
                Ok(())
            }
            Sink::File(file) => file.write_all(bytes),
            Sink::Nothing => Ok(()),
        }
    }

    /// Appends `fill` until the file is `offset` long.
    ///
    /// # Panics
    /// When the file is longer already: the layout would overlap.
    pub(crate) fn pad_to(&mut self, offset: FileOffset, fill: u8) -> io::Result<()> {
        let missing = offset.0.checked_sub(self.position).expect("pieces ascend in the file");
        self.expect(missing)?;
        match &mut self.sink {
            Sink::Memory(memory) | Sink::Small(memory, _) => {
                memory.resize(memory.len() + len(missing)?, fill);
            }
            Sink::File(file) => {
                // `io::copy` would empty the buffer first, each time.
                let filled = [fill; FILLED];
                let mut missing = missing;
                while missing > 0 {
                    let count = missing.min(FILLED as u64);
                    file.write_all(&filled[..len(count)?])?;
                    missing -= count;
                }
            }
            Sink::Nothing => {}
        }
        self.position = offset.0;
        Ok(())
    }

    /// Appends `len` bytes of the file at `path` from `offset` on, a chunk at a time.
    ///
    /// # Errors
    /// When the file cannot be read, or has become shorter than that.
    pub(crate) fn append_file(&mut self, path: &Path, offset: u64, len: u64) -> io::Result<()> {
        let mut source = File::open(path)?;
        let held = source.metadata()?.len().saturating_sub(offset);
        source.seek(SeekFrom::Start(offset))?;
        self.expect(len)?;
        let mut source = source.take(len);
        let copied = match &mut self.sink {
            Sink::Memory(memory) | Sink::Small(memory, _) => source.read_to_end(memory)? as u64,
            Sink::File(file) => io::copy(&mut source, file)?,
            Sink::Nothing => held.min(len),
        };
        if copied < len {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it has {copied} bytes left where {len} were promised"),
            ));
        }
        self.position += len;
        Ok(())
    }

    /// Shows all bytes written so far to `reader`, in order, a chunk at a time; each but the last is of a
    /// whole number of pages.
    pub(crate) fn read_back(&mut self, mut reader: impl FnMut(&[u8])) -> io::Result<()> {
        match &mut self.sink {
            Sink::Memory(memory) | Sink::Small(memory, _) => {
                reader(&memory[memory.len() - len(self.position)?..]);
            }
            Sink::File(file) => {
                file.seek(SeekFrom::Start(self.start))?;
                let mut chunk = Vec::with_capacity(CHUNK);
                loop {
                    chunk.clear();
                    file.get_mut().take(CHUNK as u64).read_to_end(&mut chunk)?;
                    if chunk.is_empty() {
                        break;
                    }
                    reader(&chunk);
                }
            }
            Sink::Nothing => {}
        }
        Ok(())
    }

    /// Replaces bytes that were written before.
    pub(crate) fn patch(&mut self, offset: FileOffset, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Memory(memory) | Sink::Small(memory, _) => {
                let start = len(self.start + offset.0)?;
                memory[start..start + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
            Sink::File(file) => {
                file.seek(SeekFrom::Start(self.start + offset.0))?;
                file.write_all(bytes)?;
                file.seek(SeekFrom::End(0)).map(drop)
            }
            Sink::Nothing => Ok(()),
        }
    }

    /// Finishes: all bytes where they were gathered in memory, nothing where they are in a file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self.sink {
            Sink::Memory(memory) => Ok(memory),
            Sink::Small(memory, mut file) => {
                file.write_all(&memory)?;
                Ok(Vec::new())
            }
            Sink::File(mut file) => {
                file.flush()?;
                Ok(Vec::new())
            }
            Sink::Nothing => Ok(Vec::new()),
        }
    }
}

/// A length in memory.
fn len(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory.into())
}

/// A file that takes the place of another once it is whole: under a name of its own until then, removed
/// if it never becomes whole.
#[derive(Debug)]
pub(crate) struct Replacement<'p> {
    path: &'p Path,
    file: NamedTempFile,
}

impl<'p> Replacement<'p> {
    /// Starts a file in the folder of `path`, so that a rename can put it in place: always a new inode,
    /// since a system may remember the old one's contents (macOS keeps signatures by vnode).
    ///
    /// # Errors
    /// When `path` is something other than a file, or its folder cannot be written to.
    pub(crate) fn beside(path: &'p Path) -> Result<Self, Error> {
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            let message =
                format!("cannot write {}: it is there, and it is no file", path.display());
            return Err(Error::new(ErrorKind::File, message));
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".minild-");
        // The system takes away from these what the user's umask says.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let file = builder.tempfile_in(folder).map_err(|error| {
            // Its own words would name the file beside the path, which nobody asked for.
            let problem = match error.kind() {
                io::ErrorKind::NotFound => format!("there is no folder {}", folder.display()),
                kind => kind.to_string(),
            };
            let message = format!("cannot write {}: {problem}", path.display());
            Error::new(ErrorKind::File, message)
        })?;
        Ok(Self { path, file })
    }

    /// The file to write to.
    pub(crate) fn open(&self) -> Result<File, Error> {
        self.file.as_file().try_clone().map_err(|error| cannot_put(self.path, &error))
    }

    /// Where it is until then.
    pub(crate) fn temporary_path(&self) -> &Path {
        self.file.path()
    }

    /// Renames it, now that it is whole.
    pub(crate) fn put_in_place(self) -> Result<(), Error> {
        let path = self.path;
        self.file.persist(path).map(drop).map_err(|error| cannot_put(path, &error.error))
    }
}

fn cannot_put(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::File, format!("cannot write {}: {error}", path.display()))
}

/// The error of an output that is not named.
pub(crate) fn cannot_write(error: &io::Error) -> Error {
    Error::new(ErrorKind::File, format!("cannot write the output: {error}"))
}
