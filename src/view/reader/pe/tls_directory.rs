//! The TLS directory: what each thread gets a copy of, and what is called when one starts.
//!
//! PE format specification, "The .tls Section". Its fields are addresses, not RVAs.

use object::LittleEndian as LE;
use object::pe::{IMAGE_DIRECTORY_ENTRY_TLS, ImageTlsDirectory64};
use object::pod::from_bytes;

use super::super::Damage;
use super::Pe;

/// More callbacks than any program has.
const CALLBACKS: usize = 4096;

/// The directory, and its callbacks.
#[derive(Clone, Debug)]
pub struct TlsDirectory<'data> {
    /// Where it lies in the file.
    pub offset: u64,
    /// The directory.
    pub directory: &'data ImageTlsDirectory64,
    /// The addresses of the callbacks, without the zero that ends them.
    pub callbacks: Vec<u64>,
    /// What could not be read of them.
    pub damage: Option<Damage>,
}

impl<'data> TlsDirectory<'data> {
    /// Reads the directory; `None` where the image has none.
    ///
    /// # Errors
    /// When the file does not have it.
    pub fn of(pe: &Pe<'data>) -> Result<Option<Self>, Damage> {
        let structure = "TLS directory";
        let index = IMAGE_DIRECTORY_ENTRY_TLS;
        let Some(entry) = pe.directory(index) else { return Ok(None) };
        let rva = entry.virtual_address.get(LE);
        let size = size_of::<ImageTlsDirectory64>() as u64;
        let bytes = pe.bytes(rva, size).ok_or_else(|| {
            let message = format!("{size:#x} bytes at RVA {rva:#x}, which no section has");
            Damage::new(structure, pe.directory_offset(index), message)
        })?;
        let offset = pe.offset_of(rva).map_or(0, |(offset, _)| offset);
        let (directory, _) = from_bytes::<ImageTlsDirectory64>(bytes)
            .map_err(|()| Damage::new(structure, offset, "it is cut off"))?;
        let (callbacks, damage) = callbacks(pe, directory.address_of_call_backs.get(LE), offset);
        Ok(Some(Self { offset, directory, callbacks, damage }))
    }
}

/// The list at an address, to its zero.
fn callbacks(pe: &Pe<'_>, address: u64, offset: u64) -> (Vec<u64>, Option<Damage>) {
    let mut found = Vec::new();
    if address == 0 {
        return (found, None);
    }
    let wrong = |message: String| Some(Damage::new("TLS callbacks", offset, message));
    let bytes = pe.rva_of(address).and_then(|rva| pe.bytes_from(rva));
    let Some(bytes) = bytes else {
        return (found, wrong(format!("no section has a list at {address:#x}")));
    };
    for word in bytes.chunks_exact(8).take(CALLBACKS) {
        match word.try_into().map_or(0, u64::from_le_bytes) {
            0 => return (found, None),
            callback => found.push(callback),
        }
    }
    (found, wrong(format!("no zero ends the list at {address:#x}")))
}
