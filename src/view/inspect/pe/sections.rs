//! Section headers. What a segment is elsewhere is a section here.

use object::LittleEndian as LE;
use object::StringTable;
use object::pe::{
    IMAGE_SCN_CNT_CODE, IMAGE_SCN_CNT_INITIALIZED_DATA, IMAGE_SCN_CNT_UNINITIALIZED_DATA,
    IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_READ, IMAGE_SCN_MEM_WRITE, ImageSectionHeader,
    SectionFlags,
};

use super::super::super::reader::pe::Pe;
use super::super::super::reader::{Damage, Name};
use super::super::model::{Found, Section};
use super::super::padded;
use super::super::words::{flags, permissions};

pub(super) fn read<'data>(pe: &Pe<'data>, found: &mut Found<'data>) {
    let strings = pe.headers.file_header_strings(pe.data);
    let base = pe.base();
    for (index, header) in pe.sections.enumerate() {
        let address = base.wrapping_add(header.virtual_address.get(LE).into());
        let at = pe.sections_offset.saturating_add((index.0 as u64 - 1) * 40);
        let size = header.virtual_size.get(LE);
        let section = section(header, index.0, strings, pe.data, at, found);
        let align = pe.headers.optional_header.section_alignment.get(LE).into();
        found.sections.push(Section { address, size: size.into(), align, ..section });
    }
}

/// The string table, behind the symbol table, if there is one.
trait Strings {
    fn file_header_strings<'data>(&self, data: &'data [u8]) -> StringTable<'data>;
}

impl Strings for object::pe::ImageNtHeaders64 {
    fn file_header_strings<'data>(&self, data: &'data [u8]) -> StringTable<'data> {
        use object::read::pe::ImageNtHeaders;
        self.symbols(data).map(|symbols| symbols.strings()).unwrap_or_default()
    }
}

/// A section as its header says; sizes in the file.
pub(super) fn section<'data>(
    header: &'data ImageSectionHeader,
    index: usize,
    strings: StringTable<'data>,
    data: &[u8],
    at: u64,
    found: &mut Found<'data>,
) -> Section<'data> {
    let all = header.characteristics.get(LE);
    let (offset, size) = (header.pointer_to_raw_data.get(LE), header.size_of_raw_data.get(LE));
    let has_bytes = size > 0 && offset > 0;
    if has_bytes && u64::from(offset) + u64::from(size) > data.len() as u64 {
        let message = format!("{size:#x} bytes at {offset:#x}, not all of which are in the file");
        found.damage.push(Damage::new("section header", at, message));
    }
    Section {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        segment: None,
        name: header.name(strings).map_or_else(|_| padded(&header.name), Name::new),
        kind: kind(all),
        address: header.virtual_address.get(LE).into(),
        size: size.into(),
        offset: has_bytes.then_some(offset.into()),
        file_size: if has_bytes { size.into() } else { 0 },
        align: 0,
        flags: words(all),
        code: all.contains(IMAGE_SCN_MEM_EXECUTE) || all.contains(IMAGE_SCN_CNT_CODE),
    }
}

/// What a section holds, and what its pages may be used for.
fn kind(all: SectionFlags) -> String {
    let content = [
        (IMAGE_SCN_CNT_CODE, "code"),
        (IMAGE_SCN_CNT_INITIALIZED_DATA, "data"),
        (IMAGE_SCN_CNT_UNINITIALIZED_DATA, "zeros"),
    ];
    let content = content.iter().filter(|(flag, _)| all.contains(*flag));
    let content: Vec<_> = content.map(|(_, name)| *name).collect();
    let allowed = permissions(
        all.contains(IMAGE_SCN_MEM_READ),
        all.contains(IMAGE_SCN_MEM_WRITE),
        all.contains(IMAGE_SCN_MEM_EXECUTE),
    );
    format!("{allowed} {}", content.join("+")).trim_end().to_owned()
}

/// The other flags.
fn words(all: SectionFlags) -> String {
    let said = IMAGE_SCN_CNT_CODE.0
        | IMAGE_SCN_CNT_INITIALIZED_DATA.0
        | IMAGE_SCN_CNT_UNINITIALIZED_DATA.0
        | IMAGE_SCN_MEM_READ.0
        | IMAGE_SCN_MEM_WRITE.0
        | IMAGE_SCN_MEM_EXECUTE.0;
    flags(SectionFlags(all.0 & !said), "IMAGE_SCN_")
}
