//! The debug directory: PDB, reproducible builds, more characteristics.

use object::LittleEndian as LE;

use super::super::super::reader::pe::{DebugData, Pe, debug_entries};
use super::super::model::{Found, Identity, Record, Value};
use super::super::words::{constant, hex};

/// Bits of `IMAGE_DLLCHARACTERISTICS_EX_…`.
const EXTENDED: &[(u32, &str)] = &[
    (0x01, "CET_COMPAT"),
    (0x02, "CET_COMPAT_STRICT_MODE"),
    (0x04, "CET_SET_CONTEXT_IP_VALIDATION_RELAXED_MODE"),
    (0x08, "CET_DYNAMIC_APIS_ALLOW_IN_PROC"),
    (0x40, "FORWARD_CFI_COMPAT"),
    (0x80, "HOTPATCH_COMPATIBLE"),
];

/// Longer data is counted, not shown.
const SHOWN: usize = 64;

pub(super) fn read<'data>(pe: &Pe<'data>, found: &mut Found<'data>) {
    for entry in found.or_damage(debug_entries(pe)).unwrap_or_default() {
        let mut record = Record::new("debug directory entry", entry.offset);
        let header = entry.entry;
        let kind = header.typ.get(LE);
        record.explained("Type", Value::Count(kind.0.into()), constant(kind));
        record.hex("TimeDateStamp", header.time_date_stamp.get(LE));
        record.hex("SizeOfData", header.size_of_data.get(LE));
        record.hex("AddressOfRawData", header.address_of_raw_data.get(LE));
        record.hex("PointerToRawData", header.pointer_to_raw_data.get(LE));
        match entry.data {
            DebugData::CodeView(code_view) => {
                let guid = code_view.guid_text();
                record.text("guid", guid.clone());
                record.count("age", code_view.age);
                record.explained("path", Value::Text(code_view.path), "where the PDB was");
                // Symbol servers file PDBs so.
                let value = format!("{}{:X}", guid.replace('-', ""), code_view.age);
                found.identity.push(Identity { kind: "pdb", value: value.into() });
            }
            DebugData::Repro(hash) => {
                record.explained("hash", Value::Bytes(hash.into()), "the build is reproducible");
                if !hash.is_empty() {
                    found.identity.push(Identity { kind: "repro", value: hex(hash).into() });
                }
            }
            DebugData::ExtendedCharacteristics(bits) => {
                let set = EXTENDED.iter().filter(|(bit, _)| bits & bit != 0);
                let set: Vec<_> = set.map(|(_, name)| *name).collect();
                record.explained("characteristics", Value::Hex(bits.into()), set.join(" "));
            }
            DebugData::Other(bytes) if bytes.len() <= SHOWN => {
                record.field("data", Value::Bytes(bytes.into()));
            }
            DebugData::Other(_) => {}
            DebugData::Damaged(damage) => found.damage.push(damage),
        }
        found.notes.push(record);
    }
}
