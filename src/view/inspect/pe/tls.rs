//! The TLS directory.

use object::LittleEndian as LE;

use super::super::super::reader::pe::{Pe, TlsDirectory};
use super::super::model::{Found, Record, Value};

pub(super) fn read<'data>(pe: &Pe<'data>, found: &mut Found<'data>) {
    let Some(tls) = found.or_damage(TlsDirectory::of(pe)).flatten() else { return };
    let directory = tls.directory;
    let mut record = Record::new("TLS directory", tls.offset);
    let (start, end) =
        (directory.start_address_of_raw_data.get(LE), directory.end_address_of_raw_data.get(LE));
    record.explained("StartAddressOfRawData", Value::Hex(start), "where the template lies");
    let size = end.saturating_sub(start);
    record.explained("EndAddressOfRawData", Value::Hex(end), format!("{size:#x} bytes"));
    record.explained(
        "AddressOfIndex",
        Value::Hex(directory.address_of_index.get(LE)),
        "where the loader writes which slot it is",
    );
    record.hex("AddressOfCallBacks", directory.address_of_call_backs.get(LE));
    record.hex("SizeOfZeroFill", directory.size_of_zero_fill.get(LE));
    record.hex("Characteristics", directory.characteristics.get(LE));
    for callback in &tls.callbacks {
        record.explained("callback", Value::Hex(*callback), "called when a thread starts and ends");
    }
    found.tls.push(record);
    found.damage.extend(tls.damage);
}
