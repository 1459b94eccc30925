//! The dynamic table as a loader finds it: by its program header, without section headers.
//!
//! System V ABI, "Dynamic Section"; the number of symbols stands in no tag and follows from the hash tables
//! (`DT_HASH`'s nchain, or the end of `DT_GNU_HASH`'s last chain).

use object::Endianness;
use object::StringTable;
use object::elf::{
    DT_GNU_HASH, DT_HASH, DT_NULL, DT_STRSZ, DT_STRTAB, DT_SYMTAB, Dyn64, DynamicTag, FileHeader64,
    PT_DYNAMIC, Sym64,
};
use object::pod::slice_from_bytes;
use object::read::elf::{Dyn, GnuHashTable, HashTable, ProgramHeader};

use super::super::{Damage, bytes_until};
use super::Elf;

/// The dynamic table.
#[derive(Clone, Debug, Default)]
pub struct Dynamic<'data> {
    /// Where it lies in the file.
    pub offset: u64,
    /// Its entries, to the one that ends it, which is not among them.
    pub entries: &'data [Dyn64<Endianness>],
    /// The names that its entries and symbols refer to.
    pub strings: StringTable<'data>,
}

impl<'data> Dynamic<'data> {
    /// Reads the table that `PT_DYNAMIC` names; `None` where there is none.
    ///
    /// # Errors
    /// When it is not in the file, or no entry ends it.
    pub fn of(elf: &Elf<'data>) -> Result<Option<Self>, Damage> {
        let endian = elf.endian;
        let is_it = |segment: &&super::ProgramHeader| segment.p_type(endian) == PT_DYNAMIC;
        let Some(segment) = elf.segments.iter().find(is_it) else { return Ok(None) };
        let (offset, size) = (segment.p_offset(endian), segment.p_filesz(endian));
        let structure = "dynamic table";
        let bytes = bytes_until(elf.data, offset, size);
        if (bytes.len() as u64) < size {
            let message = format!("{size:#x} bytes, of which not all are in the file");
            return Err(Damage::new(structure, offset, message));
        }
        let (all, _) = slice_from_bytes::<Dyn64<Endianness>>(
            bytes,
            bytes.len() / size_of::<Dyn64<Endianness>>(),
        )
        .map_err(|()| Damage::new(structure, offset, "it is cut off"))?;
        let Some(end) = all.iter().position(|entry| entry.tag(endian) == DT_NULL) else {
            return Err(Damage::new(structure, offset, "no DT_NULL ends it"));
        };
        let mut table = Self { offset, entries: &all[..end], strings: StringTable::default() };
        let (start, size) = (table.value(elf, DT_STRTAB), table.value(elf, DT_STRSZ));
        if let (Some(address), Some(size)) = (start, size)
            && let Some((start, _)) = elf.offset_of(address)
        {
            table.strings = StringTable::new(elf.data, start, start.saturating_add(size));
        }
        Ok(Some(table))
    }

    /// The value of the first entry with this tag.
    #[must_use]
    pub fn value(&self, elf: &Elf<'_>, tag: DynamicTag) -> Option<u64> {
        let found = self.entries.iter().find(|entry| entry.tag(elf.endian) == tag)?;
        Some(found.val(elf.endian))
    }

    /// The symbols, as many as the hash tables show that there are.
    #[must_use]
    pub fn symbols(&self, elf: &Elf<'data>) -> &'data [Sym64<Endianness>] {
        self.symbols_or_none(elf).unwrap_or_default()
    }

    fn symbols_or_none(&self, elf: &Elf<'data>) -> Option<&'data [Sym64<Endianness>]> {
        type Header = FileHeader64<Endianness>;
        let table = |tag| elf.bytes_from(self.value(elf, tag)?);
        let counted = table(DT_HASH).and_then(|bytes| {
            Some(HashTable::<Header>::parse(elf.endian, bytes).ok()?.symbol_table_length())
        });
        let count = counted.or_else(|| {
            let table = GnuHashTable::<Header>::parse(elf.endian, table(DT_GNU_HASH)?).ok()?;
            // Without exports the table says how many symbols it leaves out, and these are all there are.
            table.symbol_table_length(elf.endian).or(Some(table.symbol_base()))
        })?;
        let bytes = table(DT_SYMTAB)?;
        let count = (count as usize).min(bytes.len() / size_of::<Sym64<Endianness>>());
        slice_from_bytes(bytes, count).ok().map(|(symbols, _)| symbols)
    }
}
