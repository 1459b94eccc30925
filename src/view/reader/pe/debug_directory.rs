//! The debug directory: which build this is, and where its debug information lies.
//!
//! PE format specification, ".debug Section".

use std::fmt::Write;

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DEBUG_TYPE_CODEVIEW, IMAGE_DEBUG_TYPE_EX_DLLCHARACTERISTICS, IMAGE_DEBUG_TYPE_REPRO,
    IMAGE_DIRECTORY_ENTRY_DEBUG, ImageDebugDirectory,
};
use object::pod::slice_from_bytes;

use super::super::{Damage, Name, bytes_at};
use super::Pe;

/// An entry of the directory, and what it points at.
#[derive(Clone, Debug)]
pub struct DebugEntry<'data> {
    /// Where the entry lies in the file.
    pub offset: u64,
    /// The entry.
    pub entry: &'data ImageDebugDirectory,
    /// What it points at.
    pub data: DebugData<'data>,
}

/// What a debug entry points at.
#[derive(Clone, Debug)]
pub enum DebugData<'data> {
    /// The PDB that belongs to the image.
    CodeView(CodeView<'data>),
    /// The build is reproducible: a hash of its inputs or of the file; empty where only that is said.
    Repro(&'data [u8]),
    /// More DLL characteristics (`IMAGE_DLLCHARACTERISTICS_EX_…`).
    ExtendedCharacteristics(u32),
    /// Bytes whose meaning is not read here.
    Other(&'data [u8]),
    /// The file does not have all of them.
    Damaged(Damage),
}

/// `RSDS`: the identity of a PDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeView<'data> {
    /// As it lies in the file: three little-endian fields, then eight bytes.
    pub guid: [u8; 16],
    /// How often the PDB was written since.
    pub age: u32,
    /// Where the PDB was.
    pub path: Name<'data>,
}

impl CodeView<'_> {
    /// The GUID as Windows prints it, in upper case, without braces.
    #[must_use]
    pub fn guid_text(&self) -> String {
        // Three of its fields are numbers, little-endian.
        const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        let mut text = String::with_capacity(36);
        for (place, byte) in ORDER.iter().enumerate() {
            if [4, 6, 8, 10].contains(&place) {
                text.push('-');
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "{:02X}", self.guid[*byte]);
        }
        text
    }
}

/// Every entry of the debug directory.
///
/// # Errors
/// When the file does not have the directory.
pub fn debug_entries<'data>(pe: &Pe<'data>) -> Result<Vec<DebugEntry<'data>>, Damage> {
    let structure = "debug directory";
    let index = IMAGE_DIRECTORY_ENTRY_DEBUG;
    let Some(bytes) = pe.directory_bytes(index, structure)? else { return Ok(Vec::new()) };
    let rva = pe.directory(index).map_or(0, |directory| directory.virtual_address.get(LE));
    let start = pe.offset_of(rva).map_or(0, |(offset, _)| offset);
    let count = bytes.len() / size_of::<ImageDebugDirectory>();
    let (entries, _) = slice_from_bytes::<ImageDebugDirectory>(bytes, count)
        .map_err(|()| Damage::new(structure, start, "it is cut off"))?;
    let each = |(index, entry): (usize, &'data ImageDebugDirectory)| {
        let offset = start + (index * size_of::<ImageDebugDirectory>()) as u64;
        DebugEntry { offset, entry, data: data(pe, entry, offset) }
    };
    Ok(entries.iter().enumerate().map(each).collect())
}

fn data<'data>(pe: &Pe<'data>, entry: &ImageDebugDirectory, offset: u64) -> DebugData<'data> {
    let (start, size) = (entry.pointer_to_raw_data.get(LE), entry.size_of_data.get(LE));
    let Some(bytes) = bytes_at(pe.data, start.into(), size.into()) else {
        let message = format!("{size:#x} bytes at {start:#x}, of which not all are in the file");
        return DebugData::Damaged(Damage::new("debug directory entry", offset, message));
    };
    let word = |at: usize| bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    match entry.typ.get(LE) {
        IMAGE_DEBUG_TYPE_CODEVIEW => match code_view(bytes) {
            Some(code_view) => DebugData::CodeView(code_view),
            None => DebugData::Other(bytes),
        },
        // A length and as many bytes, or nothing at all.
        IMAGE_DEBUG_TYPE_REPRO => {
            let length = word(0).map_or(0, u32::from_le_bytes);
            DebugData::Repro(bytes_at(bytes, 4, length.into()).unwrap_or(bytes))
        }
        IMAGE_DEBUG_TYPE_EX_DLLCHARACTERISTICS if bytes.len() >= 4 => {
            DebugData::ExtendedCharacteristics(word(0).map_or(0, u32::from_le_bytes))
        }
        _ => DebugData::Other(bytes),
    }
}

fn code_view(bytes: &[u8]) -> Option<CodeView<'_>> {
    let rest = bytes.strip_prefix(b"RSDS")?;
    let (guid, rest) = rest.split_first_chunk::<16>()?;
    let (age, path) = rest.split_first_chunk::<4>()?;
    let end = path.iter().position(|byte| *byte == 0)?;
    Some(CodeView { guid: *guid, age: u32::from_le_bytes(*age), path: Name::new(&path[..end]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_printed_as_windows_does() {
        let bytes: Vec<u8> = (0..16).collect();
        let guid = bytes.try_into().unwrap();
        let code_view = CodeView { guid, age: 1, path: Name::default() };
        assert_eq!(code_view.guid_text(), "03020100-0504-0706-0809-0A0B0C0D0E0F");
    }
}
