//! Chained fixups: what dyld writes into an image, told by chains that run through the places themselves.
//!
//! `mach-o/fixup-chains.h`, dyld's `mach_o/ChainedFixups.cpp`: a table of imports, and for each page of each segment
//! where its first fixup lies; each fixup then says how far the next is. The structures are `object`'s; this walks
//! all chains of an image, and ends where they would go on for longer than the file is.

use object::Endianness;
use object::macho::LC_DYLD_CHAINED_FIXUPS;
use object::read::macho::{
    DyldChainedFixupIterator, DyldChainedFixups, DyldChainedImport, DyldChainedSegment,
    DyldChainedSegmentIterator, Fixup,
};

use super::super::{Budget, Damage};
use super::MachO;

/// The chained fixups of an image.
#[derive(Clone, Debug)]
pub struct ChainedFixups<'data> {
    /// Where the tables lie in the file.
    pub offset: u64,
    /// How many bytes they have.
    pub size: u64,
    /// The tables, as `object` reads them.
    pub tables: DyldChainedFixups<'data, Endianness>,
    /// The imports that fixups name by their place here; up to the first that is damaged.
    pub imports: Vec<DyldChainedImport<'data>>,
    /// What could not be read of the imports.
    pub damage: Option<Damage>,
}

/// A place that dyld writes to.
#[derive(Clone, Copy, Debug)]
pub struct ChainedFixup {
    /// The segment, by its place among [`MachO::segments`].
    pub segment: usize,
    /// Bytes from the start of the segment.
    pub offset: u64,
    /// The address.
    pub address: u64,
    /// What is written there.
    pub fixup: Fixup,
}

impl<'data> ChainedFixups<'data> {
    /// Reads the tables; `None` where the image has none.
    ///
    /// # Errors
    /// When the tables are not in the file, or of another version.
    pub fn of(image: &MachO<'data>) -> Result<Option<Self>, Damage> {
        let Some((command, bytes)) = image.linkedit(LC_DYLD_CHAINED_FIXUPS, "chained fixups")?
        else {
            return Ok(None);
        };
        let offset = u64::from(command.dataoff.get(image.endian));
        let wrong = |error| Damage::new("chained fixups", offset, error);
        let tables = DyldChainedFixups::parse(image.endian, bytes).map_err(wrong)?;
        let (mut imports, mut damage) = (Vec::new(), None);
        let mut budget = Budget::new("imports of chained fixups", bytes.len(), 4);
        match tables.imports(image.endian) {
            Ok(found) => {
                for import in found {
                    let import = import.map_err(wrong).and_then(|import| {
                        budget.take(1)?;
                        Ok(import)
                    });
                    match import {
                        Ok(import) => imports.push(import),
                        Err(error) => damage = Some(error),
                    }
                }
            }
            Err(error) => damage = Some(wrong(error)),
        }
        Ok(Some(Self { offset, size: bytes.len() as u64, tables, imports, damage }))
    }

    /// The starts of chains of each segment that has some, up to the first that is damaged.
    pub fn segments(
        &self,
        image: &MachO<'data>,
    ) -> impl Iterator<Item = Result<DyldChainedSegment<'data, Endianness>, Damage>> + use<'data>
    {
        let offset = self.offset;
        let wrong = move |error| Damage::new("starts of fixup chains", offset, error);
        let (segments, error) = match self.tables.segments(image.endian) {
            Ok(segments) => (Some(segments), None),
            Err(error) => (None, Some(Err(wrong(error)))),
        };
        let mut broken = false;
        let all = segments.into_iter().flatten().map(move |segment| segment.map_err(wrong));
        error
            .into_iter()
            .chain(all)
            .take_while(move |result| !std::mem::replace(&mut broken, result.is_err()))
    }

    /// Every fixup of the image, segment by segment, page by page. Ends at the first damage.
    #[must_use]
    pub fn fixups<'image>(&self, image: &'image MachO<'data>) -> Fixups<'data, 'image> {
        let (segments, damage) = match self.tables.segments(image.endian) {
            Ok(segments) => (Some(segments), None),
            Err(error) => (None, Some(Damage::new("starts of fixup chains", self.offset, error))),
        };
        Fixups {
            image,
            offset: self.offset,
            segments,
            chains: None,
            budget: Budget::new("fixup chains", image.data.len(), 4),
            damage,
        }
    }
}

/// Walks the chains; see [`ChainedFixups::fixups`].
#[derive(Clone, Debug)]
pub struct Fixups<'data, 'image> {
    image: &'image MachO<'data>,
    offset: u64,
    segments: Option<DyldChainedSegmentIterator<'data, Endianness>>,
    chains: Option<Chains<'data>>,
    budget: Budget,
    damage: Option<Damage>,
}

#[derive(Clone, Debug)]
struct Chains<'data> {
    segment: usize,
    address: u64,
    file_offset: u64,
    fixups: DyldChainedFixupIterator<'data, Endianness>,
}

impl<'data> Fixups<'data, '_> {
    fn step(&mut self) -> Result<Option<ChainedFixup>, Damage> {
        if let Some(damage) = self.damage.take() {
            return Err(damage);
        }
        loop {
            if let Some(chains) = &mut self.chains {
                let wrong = |error| Damage::new("fixup chains", chains.file_offset, error);
                if let Some((offset, fixup)) = chains.fixups.next().map_err(wrong)? {
                    self.budget.take(1)?;
                    let (segment, address) = (chains.segment, chains.address.wrapping_add(offset));
                    return Ok(Some(ChainedFixup { segment, offset, address, fixup }));
                }
                self.chains = None;
            }
            let Some(segments) = &mut self.segments else { return Ok(None) };
            let wrong = |error| Damage::new("starts of fixup chains", self.offset, error);
            match segments.next().map_err(wrong)? {
                Some(segment) => self.chains = Some(self.chains(&segment)?),
                None => return Ok(None),
            }
        }
    }

    fn chains(
        &mut self,
        starts: &DyldChainedSegment<'data, Endianness>,
    ) -> Result<Chains<'data>, Damage> {
        let endian = self.image.endian;
        let index = starts.index() as usize;
        let segment = self.image.segments.get(index).ok_or_else(|| {
            let message = format!("segment {index} of {} has fixups", self.image.segments.len());
            Damage::new("starts of fixup chains", self.offset, message)
        })?;
        // A page without fixups costs two bytes of the table, whatever segment it is read for.
        self.budget.take(u64::from(starts.header().page_count.get(endian)) / 2)?;
        let fixups = starts.fixups(endian, self.image.base(), segment.bytes);
        let address = segment.command.vmaddr.get(endian);
        Ok(Chains {
            segment: index,
            address,
            file_offset: segment.command.fileoff.get(endian),
            fixups,
        })
    }
}

impl Iterator for Fixups<'_, '_> {
    type Item = Result<ChainedFixup, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.step();
        if result.is_err() {
            (self.segments, self.chains) = (None, None);
        }
        result.transpose()
    }
}
