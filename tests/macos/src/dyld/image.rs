//! An image that dyld has loaded: the file's bytes, what was read from them, and where it is in memory.

use std::collections::HashMap;

use super::trie::Export;
use crate::arch::Arch;
use crate::bytes::slice;
use crate::macho::{Header, LoadCommand, Segment, command, load_commands};
use crate::rule::{Refusal, Rule};

/// What stands behind a library ordinal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// libSystem.
    System,
    /// A loaded image, by its index.
    Image(usize),
    /// A library that may be missing, and is.
    Missing,
}

/// A command that links a library.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its install name.
    pub name: String,
    /// Whether it may be missing.
    pub weak: bool,
    /// Whether its exports are this image's too.
    pub reexport: bool,
    /// What it turned out to be.
    pub library: Library,
}

/// The initial values of an image's thread-local variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Address of the first.
    pub start: u64,
    /// Bytes that have values.
    pub regular_size: u64,
    /// All bytes, zeros included.
    pub size: u64,
}

/// An image.
#[derive(Debug)]
pub struct Image {
    /// Where the file is.
    pub path: String,
    /// The slice's bytes.
    pub bytes: Vec<u8>,
    /// Architecture.
    pub arch: Arch,
    /// Header.
    pub header: Header,
    /// Segments in the order of the commands.
    pub segments: Vec<Segment>,
    /// Added to every address of the file.
    pub slide: u64,
    /// Whether it is the program.
    pub is_main: bool,
    /// Linked libraries; ordinal 1 is the first.
    pub links: Vec<Link>,
    /// Exported symbols.
    pub exports: HashMap<String, Export>,
    /// Its thread-local variables, if it has some.
    pub thread_locals: Option<Template>,
}

impl Image {
    /// Reads an image from a slice. Nothing is judged but what cannot be read.
    ///
    /// # Errors
    /// Commands that do not fit.
    pub fn parse(path: &str, bytes: &[u8], arch: Arch, is_main: bool) -> Result<Image, Refusal> {
        let header = Header::parse(bytes)
            .ok_or_else(|| Rule::DyldCommandSize.refuse("the file is shorter than a header"))?;
        let commands = load_commands(bytes, &header).map_err(|offset| {
            Rule::DyldCommandSize.refuse(format!("the command at {offset:#x} does not fit"))
        })?;
        let segments = commands
            .iter()
            .filter(|load| load.command == command::SEGMENT_64)
            .map(|load| {
                Segment::parse(load).ok_or_else(|| {
                    Rule::DyldCommandSize.refuse("a segment's sections do not fit in its command")
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let links = commands.iter().filter_map(link).collect();
        Ok(Image {
            path: path.to_owned(),
            bytes: bytes.to_vec(),
            arch,
            header,
            segments,
            slide: 0,
            is_main,
            links,
            exports: HashMap::new(),
            thread_locals: None,
        })
    }

    /// Its load commands.
    ///
    /// # Panics
    /// Never: [`Image::parse`] has read them before.
    #[must_use]
    pub fn commands(&self) -> Vec<LoadCommand<'_>> {
        load_commands(&self.bytes, &self.header).expect("parse has read them")
    }

    /// The first command of a kind.
    #[must_use]
    pub fn command(&self, kind: u32) -> Option<LoadCommand<'_>> {
        self.commands().into_iter().find(|load| load.command == kind)
    }

    /// `dyld_info_command`, of either number.
    #[must_use]
    pub fn dyld_info(&self) -> Option<LoadCommand<'_>> {
        self.command(command::DYLD_INFO_ONLY).or_else(|| self.command(command::DYLD_INFO))
    }

    /// A range of the file that a command names in two fields at byte `offset`; empty if the size is 0.
    ///
    /// # Errors
    /// A range outside the file.
    pub fn linkedit(&self, load: &LoadCommand<'_>, offset: u64) -> Result<&[u8], Refusal> {
        let (start, size) = load.file_range(offset);
        if size == 0 {
            return Ok(&[]);
        }
        slice(&self.bytes, start, size).ok_or_else(|| {
            Rule::LinkeditRange.refuse(format!(
                "{size:#x} bytes at {start:#x} of {:#x} (command {:#x})",
                self.bytes.len(),
                load.command
            ))
        })
    }

    /// The unslid address of the header.
    #[must_use]
    pub fn preferred_address(&self) -> u64 {
        self.segments
            .iter()
            .find(|segment| segment.file_offset == 0 && segment.file_size > 0)
            .map_or(0, |segment| segment.vm_address)
    }

    /// The address of the header.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.preferred_address().wrapping_add(self.slide)
    }

    /// Unslid end of the highest segment.
    #[must_use]
    pub fn preferred_end(&self) -> u64 {
        self.segments.iter().map(Segment::vm_end).max().unwrap_or(0)
    }

    /// The segment with a name.
    #[must_use]
    pub fn segment(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == name)
    }

    /// The last part of its path, for reports.
    #[must_use]
    pub fn leaf_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

fn link(load: &LoadCommand<'_>) -> Option<Link> {
    let (weak, reexport) = match load.command {
        command::LOAD_DYLIB | command::LOAD_UPWARD_DYLIB => (false, false),
        command::LOAD_WEAK_DYLIB => (true, false),
        command::REEXPORT_DYLIB => (false, true),
        _ => return None,
    };
    Some(Link {
        name: load.string().unwrap_or("").to_owned(),
        weak,
        reexport,
        library: Library::Missing,
    })
}
