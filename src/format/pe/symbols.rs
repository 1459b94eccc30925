//! The COFF symbol table: for debuggers and people, and only where somebody asks for it.
//!
//! It is not mapped. Symbols are numbered by section and offset in it; names of more than eight bytes lie in a
//! table of strings right behind (PE format, "COFF Symbol Table", "COFF String Table").

use object::pe;
use object::{LittleEndian as LE, U16, U32, pod};

use super::tables::Tables;
use super::write::{half, number, sections};
use crate::format::Shape;
use crate::format::layout::{Body, Gathered, Layout, NamedSymbol};
use crate::program::{Binding, SymbolType};
use crate::units::{Align, Size};

/// The table with its strings, finished.
#[derive(Default)]
pub(crate) struct Symbols {
    bytes: Vec<u8>,
    pub(super) count: u32,
}

impl Symbols {
    pub(super) fn new(gathered: &Gathered<'_>, tables: &Tables, body: &Body) -> Self {
        if !tables.has_symbols || gathered.symbols.is_empty() {
            return Self::default();
        }
        let mut bytes = Vec::new();
        // The size of the strings counts itself.
        let mut strings = vec![0; size_of::<u32>()];
        for symbol in &gathered.symbols {
            push(&mut bytes, &mut strings, symbol, &body.layout);
        }
        let size = number(strings.len() as u64);
        strings[..size_of::<u32>()].copy_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&strings);
        Self { bytes, count: number(gathered.symbols.len() as u64) }
    }

    pub(super) fn shape(&self) -> Option<Shape> {
        let shape = Shape { size: Size::of(&self.bytes), align: Align::of(4) };
        (self.count > 0).then_some(shape)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn push(bytes: &mut Vec<u8>, strings: &mut Vec<u8>, symbol: &NamedSymbol<'_>, layout: &Layout) {
    let mut name = [0; pe::IMAGE_SIZEOF_SHORT_NAME];
    if symbol.name.len() <= name.len() {
        name[..symbol.name.len()].copy_from_slice(symbol.name.as_bytes());
    } else {
        // Four zeros say that an offset follows.
        name[4..].copy_from_slice(&number(strings.len() as u64).to_le_bytes());
        strings.extend_from_slice(symbol.name.as_bytes());
        strings.push(0);
    }
    let (section_number, value) = place(symbol, layout);
    let is_function = symbol.symbol_type == SymbolType::Function;
    let typ = if is_function { pe::IMAGE_SYM_DTYPE_FUNCTION.into() } else { pe::SymbolType(0) };
    let entry = pe::ImageSymbol {
        name,
        value: U32::new(LE, value),
        section_number: U16::new(LE, section_number),
        typ: U16::new(LE, typ),
        storage_class: match symbol.binding {
            Binding::Local => pe::IMAGE_SYM_CLASS_STATIC,
            _ => pe::IMAGE_SYM_CLASS_EXTERNAL,
        },
        number_of_aux_symbols: 0,
    };
    bytes.extend_from_slice(&pod::bytes_of(&entry)[..pe::IMAGE_SIZEOF_SYMBOL]);
}

/// The number of its section, from 1, and how far it lies behind that one's start. A symbol that is a number, or lies
/// in no section (the image base), is absolute: its low 32 bits are all that the format has room for.
fn place(symbol: &NamedSymbol<'_>, layout: &Layout) -> (u16, u32) {
    let address = layout.symbol(symbol.id).0;
    let is_inside = |start: u64, size: u64| (start..=start + size).contains(&address);
    let sections = sections(layout).enumerate();
    let mut around = sections.filter(|(_, section)| is_inside(section.address.0, section.size.0));
    if let Some((index, section)) = around.next().filter(|_| symbol.section.is_some()) {
        return (half(index as u64 + 1), number(address - section.address.0));
    }
    let absolute = pe::IMAGE_SYM_ABSOLUTE.0.to_le_bytes();
    let low = address & u64::from(u32::MAX);
    (u16::from_le_bytes([absolute[0], absolute[1]]), number(low))
}
