//! `LC_DYLD_INFO`: what dyld writes into an image, told by programs of opcodes.
//!
//! `mach-o/loader.h` (`REBASE_OPCODE_…`, `BIND_OPCODE_…`). `object` carries out the opcodes; one of them can ask for
//! 2^64 places, so this ends where there are more than the file has room for.

use object::Endianness;
use object::macho::{DyldInfoCommand, LC_DYLD_INFO, LC_DYLD_INFO_ONLY};
use object::read::macho::{Bind, BindIterator, Rebase, RebaseIterator};

use super::super::{Budget, Damage};
use super::MachO;

/// The three programs that bind imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindTable {
    /// What is bound before the program starts.
    Bind,
    /// What all images together agree on.
    Weak,
    /// What is bound when it is first called.
    Lazy,
}

impl BindTable {
    /// All of them, in the order in which dyld carries them out.
    pub const ALL: [Self; 3] = [Self::Bind, Self::Weak, Self::Lazy];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Weak => "weak bind",
            Self::Lazy => "lazy bind",
        }
    }

    /// What it is called where it is damaged.
    const fn structure(self) -> &'static str {
        match self {
            Self::Bind => "bind opcodes",
            Self::Weak => "weak bind opcodes",
            Self::Lazy => "lazy bind opcodes",
        }
    }
}

/// A place that dyld writes to.
#[derive(Clone, Copy, Debug)]
pub struct DyldFixup<T> {
    /// Its address; `None` where it lies in no segment.
    pub address: Option<u64>,
    /// What is written there.
    pub fixup: T,
}

impl<'data> MachO<'data> {
    /// The command that names the opcodes; `None` where there is none.
    ///
    /// # Errors
    /// When the command is cut off.
    pub fn dyld_info(&self) -> Result<Option<&'data DyldInfoCommand<Endianness>>, Damage> {
        let is_it =
            |command: LoadCommand<'_>| [LC_DYLD_INFO, LC_DYLD_INFO_ONLY].contains(&command.cmd());
        let Some(command) = self.commands.iter().copied().find(|command| is_it(*command)) else {
            return Ok(None);
        };
        let wrong = |error| Damage::new("LC_DYLD_INFO", command.offset(), error);
        command.data().map(Some).map_err(wrong)
    }

    /// Every place that the opcodes rebase. Ends at the first damage.
    #[must_use]
    pub fn rebases(&self, info: &DyldInfoCommand<Endianness>) -> Rebases<'data, '_> {
        let offset = u64::from(info.rebase_off.get(self.endian));
        let rebases = info.rebases(self.endian, self.data, 8);
        Rebases::new(self, "rebase opcodes", offset, rebases)
    }

    /// Every place that the opcodes of a table bind. Ends at the first damage.
    #[must_use]
    pub fn binds(&self, info: &DyldInfoCommand<Endianness>, table: BindTable) -> Binds<'data, '_> {
        let (endian, data) = (self.endian, self.data);
        let (offset, binds) = match table {
            BindTable::Bind => (info.bind_off, info.binds(endian, data, 8)),
            BindTable::Weak => (info.weak_bind_off, info.weak_binds(endian, data, 8)),
            BindTable::Lazy => (info.lazy_bind_off, info.lazy_binds(endian, data, 8)),
        };
        Binds::new(self, table.structure(), offset.get(endian).into(), binds)
    }

    /// The address that opcodes name by segment and offset, where the segment has it.
    fn fixed_up(&self, segment: u8, offset: u64) -> Option<u64> {
        let command = self.segments.get(usize::from(segment))?.command;
        let inside = offset < command.vmsize.get(self.endian);
        inside.then(|| command.vmaddr.get(self.endian).wrapping_add(offset))
    }
}

type LoadCommand<'data> = object::read::macho::LoadCommandData<'data, Endianness>;

/// Carries out opcodes; see [`MachO::rebases`].
pub type Rebases<'data, 'image> = Places<'data, 'image, RebaseIterator<'data>>;

/// Carries out opcodes; see [`MachO::binds`].
pub type Binds<'data, 'image> = Places<'data, 'image, BindIterator<'data>>;

/// Carries out opcodes, as long as the file has room for what they ask for.
#[derive(Clone, Debug)]
pub struct Places<'data, 'image, I> {
    image: &'image MachO<'data>,
    structure: &'static str,
    offset: u64,
    inner: Result<I, Option<object::read::Error>>,
    budget: Budget,
}

impl<'data, 'image, I> Places<'data, 'image, I> {
    fn new(
        image: &'image MachO<'data>,
        structure: &'static str,
        offset: u64,
        places: object::read::Result<I>,
    ) -> Self {
        let budget = Budget::new(structure, image.data.len(), 4);
        Self { image, structure, offset, inner: places.map_err(Some), budget }
    }
}

/// What opcodes fix up, and where.
trait Place {
    fn segment_and_offset(&self) -> (u8, u64);
}

impl Place for Rebase {
    fn segment_and_offset(&self) -> (u8, u64) {
        (self.segment_index, self.segment_offset)
    }
}

impl Place for Bind<'_> {
    fn segment_and_offset(&self) -> (u8, u64) {
        (self.segment_index, self.segment_offset)
    }
}

impl<T: Place, I: Iterator<Item = object::read::Result<T>>> Iterator for Places<'_, '_, I> {
    type Item = Result<DyldFixup<T>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = match &mut self.inner {
            Ok(inner) => inner.next()?,
            Err(error) => Err(error.take()?),
        };
        let result = place
            .map_err(|error| Damage::new(self.structure, self.offset, error))
            .and_then(|fixup| {
                self.budget.take(1)?;
                let (segment, offset) = fixup.segment_and_offset();
                Ok(DyldFixup { address: self.image.fixed_up(segment, offset), fixup })
            });
        if result.is_err() {
            self.inner = Err(None);
        }
        Some(result)
    }
}
