//! Segments and sections, and what of them is thread-local.

use object::Endianness;
use object::macho::{
    S_ATTR_PURE_INSTRUCTIONS, S_ATTR_SOME_INSTRUCTIONS, S_GB_ZEROFILL, S_THREAD_LOCAL_REGULAR,
    S_THREAD_LOCAL_VARIABLES, S_THREAD_LOCAL_ZEROFILL, S_ZEROFILL, Section64, VM_PROT_EXECUTE,
    VM_PROT_READ, VM_PROT_WRITE, VmProt,
};

use super::super::super::reader::macho::MachO;
use super::super::super::reader::{Damage, Name};
use super::super::model::{Found, Record, Section, Segment, Value};
use super::super::padded;
use super::super::words::{constant, flags, permissions};
use crate::format::plan::Permissions;

/// What segments are for, by the names that Apple's linker gives them.
const MEANINGS: &[(&[u8], &str)] = &[
    (b"__PAGEZERO", "addresses that null pointers run into"),
    (b"__TEXT", "headers, code and constants"),
    (b"__DATA_CONST", "read-only once dyld has fixed it up"),
    (b"__DATA", "variables"),
    (b"__LINKEDIT", "what dyld, debuggers and the kernel read"),
];

pub(super) fn read<'data>(image: &MachO<'data>, found: &mut Found<'data>) {
    let endian = image.endian;
    let mut index = 0_u32;
    for segment in &image.segments {
        let command = segment.command;
        let first = index;
        for section in segment.sections {
            // Sections are counted over all segments, from 1.
            index = index.saturating_add(1);
            read_section(image, section, index, found);
        }
        let name = segment.command.segname.as_slice();
        let name = padded(name);
        let meaning = MEANINGS.iter().find(|(of, _)| *of == name.bytes());
        found.segments.push(Segment {
            permissions: protection(command.initprot.get(endian)),
            greatest: Some(protection(command.maxprot.get(endian))),
            address: command.vmaddr.get(endian),
            size: command.vmsize.get(endian),
            offset: command.fileoff.get(endian),
            file_size: command.filesize.get(endian),
            align: None,
            flags: flags(command.flags.get(endian), "SG_"),
            meaning: meaning.map_or("", |(_, meaning)| *meaning).into(),
            sections: (first + 1..=index).collect(),
            name,
        });
    }
}

fn protection(allowed: VmProt) -> Permissions {
    permissions(
        allowed.contains(VM_PROT_READ),
        allowed.contains(VM_PROT_WRITE),
        allowed.contains(VM_PROT_EXECUTE),
    )
}

fn read_section<'data>(
    image: &MachO<'data>,
    section: &'data Section64<Endianness>,
    index: u32,
    found: &mut Found<'data>,
) {
    let endian = image.endian;
    let all = section.flags.get(endian);
    let kind = all.typ();
    let is_zeros = [S_ZEROFILL, S_GB_ZEROFILL, S_THREAD_LOCAL_ZEROFILL].contains(&kind);
    let (offset, size) = (u64::from(section.offset.get(endian)), section.size.get(endian));
    let name = padded(&section.sectname);
    if !is_zeros && offset.checked_add(size).is_none_or(|end| end > image.data.len() as u64) {
        let message =
            format!("{name} has {size:#x} bytes at {offset:#x}, not all of which are in the file");
        found.damage.push(Damage::new("section", None, message));
    }
    let of_threads = [S_THREAD_LOCAL_REGULAR, S_THREAD_LOCAL_ZEROFILL, S_THREAD_LOCAL_VARIABLES];
    if of_threads.contains(&kind) {
        found.tls.push(thread_local(section, endian, &name));
    }
    let mut attributes = all;
    attributes.0 &= !0xff;
    found.sections.push(Section {
        index,
        segment: Some(padded(&section.segname)),
        name,
        kind: constant(kind),
        address: section.addr.get(endian),
        size,
        offset: (!is_zeros).then_some(offset),
        file_size: if is_zeros { 0 } else { size },
        align: 1_u64.checked_shl(section.align.get(endian)).unwrap_or_default(),
        // Type 0 has a name, which is no attribute.
        flags: flags(attributes, "S_")
            .replace("REGULAR", "")
            .replace("ATTR_", "")
            .trim()
            .to_owned(),
        code: all.contains(S_ATTR_PURE_INSTRUCTIONS) || all.contains(S_ATTR_SOME_INSTRUCTIONS),
    });
}

fn thread_local<'data>(
    section: &Section64<Endianness>,
    endian: Endianness,
    name: &Name<'data>,
) -> Record<'data> {
    let kind = section.flags.get(endian).typ();
    let meaning = match kind {
        S_THREAD_LOCAL_VARIABLES => "a descriptor of 24 bytes for each variable",
        S_THREAD_LOCAL_ZEROFILL => "zeros of the template",
        _ => "bytes of the template",
    };
    let mut record = Record::new("thread-local section", None);
    record.text("sectname", name.clone());
    record.explained("type", Value::Text(constant(kind).into()), meaning);
    record.hex("addr", section.addr.get(endian));
    record.hex("size", section.size.get(endian));
    record
}
