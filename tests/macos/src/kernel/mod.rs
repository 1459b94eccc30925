//! xnu's part: takes a Mach-O slice, refuses what `execve` refuses, maps its segments into an address space, makes the
//! first stack and says where the process begins ([`Program`]). `mach_loader.c` and `kern_exec.c` of xnu-11417.

pub mod header;
pub mod segments;
pub mod stack;

use crate::arch::Arch;
use crate::fat::Slice;
use crate::macho::{Header, LoadCommand, Segment, flag, load_commands};
use crate::rule::{Refusal, Rule};
use crate::signature;
use crate::space::Space;

/// Where a program asks to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// `LC_MAIN`: file offset of the function, and the wish for a stack of so many bytes (0: none).
    Main {
        /// Offset from the Mach-O header.
        offset: u64,
        /// Bytes.
        stack_size: u64,
    },
    /// `LC_UNIXTHREAD`: the registers' 64-bit words as they stand in the state.
    Thread(Vec<u64>),
}

/// What the kernel knows of a program once it has accepted the file.
#[derive(Debug)]
pub struct Program<'data> {
    /// The slice of the file.
    pub slice: Slice<'data>,
    /// Its architecture.
    pub arch: Arch,
    /// Its header.
    pub header: Header,
    /// Its load commands.
    pub commands: Vec<LoadCommand<'data>>,
    /// Its segments, in the order of the commands.
    pub segments: Vec<Segment>,
    /// Where it begins.
    pub entry: Entry,
}

impl<'data> Program<'data> {
    /// Checks everything that `parse_machfile` checks before it maps, and the signature.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn accept(slice: Slice<'data>) -> Result<Program<'data>, Refusal> {
        let (arch, header) = header::accept(slice.bytes)?;
        let commands = load_commands(slice.bytes, &header).map_err(|offset| {
            Rule::CommandSize.refuse(format!("the command at {offset:#x} does not fit"))
        })?;
        let segments = segments::accept(arch, &slice, &commands)?;
        let entry = header::accept_commands(arch, &header, slice.bytes, &commands, &segments)?;
        signature::accept(arch, slice.bytes, &commands, &segments)?;
        Ok(Program { slice, arch, header, commands, segments, entry })
    }

    /// Whether dyld must start the program.
    #[must_use]
    pub fn needs_dyld(&self) -> bool {
        self.header.has(flag::DYLDLINK) || matches!(self.entry, Entry::Main { .. })
    }

    /// The slide that the kernel would apply when it chose `wanted`: none unless the program is position-independent.
    #[must_use]
    pub fn slide(&self, wanted: u64) -> u64 {
        if self.header.has(flag::PIE) { wanted } else { 0 }
    }

    /// Maps the segments at `slide`.
    ///
    /// # Errors
    /// Overlapping segments.
    pub fn map(&self, space: &mut Space, slide: u64) -> Result<(), Refusal> {
        let page_zero = self
            .segments
            .iter()
            .filter(|segment| segment.is_page_zero())
            .map(|segment| self.arch.page_up(segment.vm_size))
            .max();
        space.floor = page_zero.unwrap_or(0).saturating_add(slide);
        segments::map(space, &self.slice, &self.segments, slide, "")
    }

    /// The unslid address of the Mach-O header.
    #[must_use]
    pub fn header_address(&self) -> u64 {
        self.segments
            .iter()
            .find(|segment| segment.file_offset == 0 && segment.file_size > 0)
            .map_or(0, |segment| segment.vm_address)
    }
}
