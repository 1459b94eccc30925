//! Authenticode signatures, as far as they tell without cryptography: how many, of which kind, where.

use super::super::super::reader::pe::{Pe, certificates};
use super::super::model::{Found, Record, Value};

pub(super) fn read<'data>(pe: &Pe<'data>, found: &mut Found<'data>) {
    let (certificates, damage) = certificates(pe);
    found.damage.extend(damage);
    for certificate in certificates {
        let mut record = Record::new("certificate", certificate.offset);
        record.hex("wRevision", certificate.revision);
        record.explained(
            "wCertificateType",
            Value::Hex(certificate.kind.into()),
            certificate.kind_name(),
        );
        record.explained(
            "dwLength",
            Value::Count(certificate.bytes.len() as u64 + 8),
            "not verified here",
        );
        found.signature.push(record);
    }
}
