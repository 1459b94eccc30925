//! Frame descriptions (`.eh_frame`, `__TEXT,__eh_frame`): for each function, how its frame is unwound from each of its places.
//!
//! Linux Standard Base Core, "Exception Frames", and DWARF 5, 6.4. `gimli` reads entries and carries out their
//! instructions; here is which entries there are, what bounds the work that they ask for, and what of it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use gimli::{
    AArch64, BaseAddresses, CfaRule, CieOrFde, CommonInformationEntry, EndianSlice,
    FrameDescriptionEntry, Pointer, Register, RegisterRule, RunTimeEndian, UnwindContext,
    UnwindSection, Vendor, X86_64,
};
use rustc_hash::FxHashMap;

use super::{Budget, Damage};

type Bytes<'data> = EndianSlice<'data, RunTimeEndian>;
type Section<'data> = gimli::EhFrame<Bytes<'data>>;
type Cie<'data> = CommonInformationEntry<Bytes<'data>>;

/// A frame description entry (FDE) with what its common information entry (CIE) adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameDescription {
    /// Where the entry lies, in bytes from the start of the section.
    pub offset: u64,
    /// Where its CIE lies, in the same way.
    pub cie: u64,
    /// The function's first address.
    pub begin: u64,
    /// The address behind its last.
    pub end: u64,
    /// What decides whether a frame handles an exception.
    pub personality: Option<Place>,
    /// What tells the personality of this function: the language-specific data area.
    pub lsda: Option<Place>,
    /// Whether it is the frame that the system makes for a signal handler.
    pub is_signal_frame: bool,
    /// What its instructions say.
    pub rows: Rows,
}

/// An address, or where the address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is there.
    Direct(u64),
    /// The loader writes its address there.
    Indirect(u64),
}

/// The table that the instructions of an entry make: a row for each place where something changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// How many rows.
    pub count: usize,
    /// How the frame's canonical address (CFA) is computed at the first instruction: `rsp+0x8`.
    pub cfa: String,
    /// What is restored there: register and rule, `rip` and `[cfa-0x8]`.
    pub restored: Vec<(String, String)>,
    /// Registers that are saved somewhere in the function, apart from those.
    pub saved: Vec<String>,
}

/// The section, of an image for one of the architectures whose registers have names here.
#[derive(Debug)]
pub struct EhFrame<'data> {
    section: Section<'data>,
    bases: BaseAddresses,
    bytes: &'data [u8],
    register: fn(Register) -> Option<&'static str>,
    /// Where the file has it.
    offset: u64,
}

impl<'data> EhFrame<'data> {
    /// The section that is loaded at an address, and lies at an offset of the file.
    #[must_use]
    pub fn new(
        bytes: &'data [u8],
        address: u64,
        offset: u64,
        is_little: bool,
        architecture: &str,
    ) -> Self {
        let endian = if is_little { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let mut section = Section::new(bytes, endian);
        section.set_address_size(8);
        let mut register: fn(Register) -> Option<&'static str> = |_| None;
        match architecture {
            "x86_64" => register = X86_64::register_name,
            "aarch64" => {
                register = AArch64::register_name;
                section.set_vendor(Vendor::AArch64);
            }
            _ => {}
        }
        let bases = BaseAddresses::default().set_eh_frame(address);
        Self { section, bases, bytes, register, offset }
    }

    /// Reads entry by entry, up to the one that is empty, behind which no unwinder looks. What cannot be read is
    /// damage: an entry, or all from one on.
    pub fn read(&self, mut take: impl FnMut(FrameDescription), damage: &mut Vec<Damage>) {
        let wrong = |at: u64, message: String| {
            Damage::new(".eh_frame", self.offset.saturating_add(at), message)
        };
        // An honest CIE is carried out for each of its entries, and takes some ten bytes.
        let mut budget = Budget::new(".eh_frame", self.bytes.len().saturating_mul(64), 1);
        let mut context = UnwindContext::new();
        let mut cies: FxHashMap<usize, Cie<'data>> = FxHashMap::default();
        let mut broken: Option<(Damage, usize)> = None;
        let mut entries = self.section.entries(&self.bases);
        loop {
            let partial = match entries.next() {
                Ok(Some(CieOrFde::Fde(partial))) => partial,
                Ok(Some(CieOrFde::Cie(_))) => continue,
                Ok(None) => break,
                Err(error) => {
                    damage.push(wrong(0, format!("{error}; what follows is not shown")));
                    break;
                }
            };
            let entry = partial.parse(|section, bases, offset| {
                if let Some(cie) = cies.get(&offset.0) {
                    return Ok(cie.clone());
                }
                let cie = section.cie_from_offset(bases, offset)?;
                cies.insert(offset.0, cie.clone());
                Ok(cie)
            });
            let described = entry.and_then(|entry| {
                let work = entry.entry_len().saturating_add(entry.cie().entry_len());
                if budget.take(work as u64).is_err() {
                    return Ok(None);
                }
                self.describe(&entry, &mut context).map(Some)
            });
            match described {
                Ok(Some(described)) => take(described),
                Ok(None) => {
                    let message =
                        "its entries share more instructions than an unwinder would carry out";
                    damage.push(wrong(0, message.to_owned()));
                    break;
                }
                Err(error) => {
                    let at = partial.offset() as u64;
                    let first = broken.get_or_insert_with(|| (wrong(at, error.to_string()), 0));
                    first.1 += 1;
                }
            }
        }
        if let Some((mut first, count)) = broken {
            if count > 1 {
                let others = if count == 2 { "entry" } else { "entries" };
                // Writing to a string cannot fail.
                let _ = write!(first.message, "; {} more {others} cannot be read", count - 1);
            }
            damage.push(first);
        }
    }

    fn describe(
        &self,
        entry: &FrameDescriptionEntry<Bytes<'data>>,
        context: &mut UnwindContext<usize>,
    ) -> gimli::Result<FrameDescription> {
        let place = |pointer: Pointer| match pointer {
            Pointer::Direct(address) => Place::Direct(address),
            Pointer::Indirect(address) => Place::Indirect(address),
        };
        // A null pointer is none, however it is encoded.
        let lsda = entry.lsda().map(place).filter(|place| *place != Place::Direct(0));
        Ok(FrameDescription {
            offset: entry.offset() as u64,
            cie: entry.cie().offset() as u64,
            begin: entry.initial_address(),
            end: entry.end_address(),
            personality: entry.personality().map(place),
            lsda,
            is_signal_frame: entry.is_signal_trampoline(),
            rows: self.rows(entry, context)?,
        })
    }

    fn rows(
        &self,
        entry: &FrameDescriptionEntry<Bytes<'data>>,
        context: &mut UnwindContext<usize>,
    ) -> gimli::Result<Rows> {
        let mut table = entry.rows(&self.section, &self.bases, context)?;
        let mut rows = Rows::default();
        let (mut at_start, mut saved) = (BTreeMap::new(), BTreeSet::new());
        while let Some(row) = table.next_row()? {
            rows.count += 1;
            if rows.count == 1 {
                rows.cfa = self.cfa(row.cfa());
            }
            for (register, rule) in row.registers() {
                let rule = match rule {
                    RegisterRule::Offset(offset) => format!("[cfa{}]", signed(*offset)),
                    RegisterRule::ValOffset(offset) => format!("cfa{}", signed(*offset)),
                    RegisterRule::Register(other) => self.name(*other),
                    RegisterRule::Expression(_) => "[expression]".to_owned(),
                    RegisterRule::ValExpression(_) => "expression".to_owned(),
                    RegisterRule::Undefined => "lost".to_owned(),
                    _ => continue,
                };
                if rows.count == 1 {
                    at_start.insert(register.0, rule);
                } else if !at_start.contains_key(&register.0) && rule != "lost" {
                    saved.insert(register.0);
                }
            }
        }
        let name = |register| self.name(Register(register));
        rows.restored = at_start.into_iter().map(|(of, rule)| (name(of), rule)).collect();
        rows.saved = saved.into_iter().map(name).collect();
        Ok(rows)
    }

    fn cfa(&self, rule: &CfaRule<usize>) -> String {
        match rule {
            CfaRule::RegisterAndOffset { register, offset } => {
                format!("{}{}", self.name(*register), signed(*offset))
            }
            CfaRule::Expression(_) => "expression".to_owned(),
        }
    }

    /// A register as machine code calls it.
    fn name(&self, register: Register) -> String {
        match (self.register)(register) {
            // The return address has a column of its own.
            Some("RA") => "rip".to_owned(),
            Some(name) => name.to_lowercase(),
            None => format!("register {}", register.0),
        }
    }
}

/// `+0x8`, `-0x10`; nothing for 0.
fn signed(offset: i64) -> String {
    match offset {
        0 => String::new(),
        1.. => format!("+{offset:#x}"),
        _ => format!("-{:#x}", offset.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CIE (`zR`, cfa rsp+8, rip at cfa-8) and an FDE of 16 bytes of code that pushes rbx behind its first byte.
    fn section() -> Vec<u8> {
        let cie: &[u8] = &[
            0x14, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1,
            0, 0,
        ];
        let mut fde = vec![0x18, 0, 0, 0, 0x1c, 0, 0, 0];
        // At 0x20: counted from there, 0x1000 - 0x20 further on.
        fde.extend(0x0fe0_i32.to_le_bytes());
        fde.extend(16_u32.to_le_bytes());
        fde.extend([0, 0x41, 0x0e, 16, 0x83, 2, 0x4e, 0xc3, 0x0e, 8, 0, 0]);
        [cie, &fde, &[0; 4]].concat()
    }

    fn read(bytes: &[u8]) -> (Vec<FrameDescription>, Vec<Damage>) {
        let (mut all, mut damage) = (Vec::new(), Vec::new());
        EhFrame::new(bytes, 0, 0x100, true, "x86_64").read(|found| all.push(found), &mut damage);
        (all, damage)
    }

    #[test]
    fn an_entry_says_how_a_frame_is_unwound() {
        let (all, damage) = read(&section());
        assert_eq!(damage, []);
        let restored = vec![("rip".to_owned(), "[cfa-0x8]".to_owned())];
        let expected = FrameDescription {
            offset: 0x18,
            cie: 0,
            begin: 0x1000,
            end: 0x1010,
            personality: None,
            lsda: None,
            is_signal_frame: false,
            rows: Rows { count: 3, cfa: "rsp+0x8".into(), restored, saved: vec!["rbx".into()] },
        };
        assert_eq!(all, [expected]);
    }

    #[test]
    fn what_cannot_be_read_is_damage() {
        let whole = section();
        for length in 1..whole.len() - 4 {
            let (all, damage) = read(&whole[..length]);
            // Cut behind the CIE, nothing is missing that the section itself names.
            assert!(all.is_empty() && (!damage.is_empty() || length == 0x18), "{length}");
        }
        let mut of_none = whole.clone();
        of_none[0x1c] = 4;
        let (all, damage) = read(&of_none);
        assert!(all.is_empty());
        assert_eq!((damage[0].structure.as_ref(), damage[0].offset), (".eh_frame", Some(0x118)));
    }

    #[test]
    fn one_set_of_instructions_for_very_many_functions_is_not_carried_out() {
        // A CIE of 60 KB of DW_CFA_nop, and 2,000 entries of it.
        let mut bytes = section()[..0x18].to_vec();
        bytes.resize(60_000, 0);
        let size = u32::try_from(bytes.len() - 4).unwrap();
        bytes[..4].copy_from_slice(&size.to_le_bytes());
        for _ in 0..2000 {
            let back = u32::try_from(bytes.len() + 4).unwrap();
            bytes.extend([16, back, 0, 1, 0].map(u32::to_le_bytes).concat());
        }
        let (all, damage) = read(&bytes);
        assert!(all.len() < 200 && damage[0].message.contains("share"), "{damage:?}");
    }
}
