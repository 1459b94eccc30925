//! Mach-O files: what the rules ask of one, read once.

mod commands;
mod entry;
mod fat;
mod fixups;
mod linkedit;
mod opcodes;
mod policies;
mod sections;
mod segments;
mod signature;
mod symbols;

use object::LittleEndian as LE;
use object::macho;

use super::bytes::{Bytes, Field, field, text};
use super::report::{Place, Report};
use super::rule::{Check, Kind, Loader, Rule, Subject, Version};
use super::{Lint, unsupported};
use crate::error::Error;
use crate::target::Architecture;

pub(super) use fat::Fat;

/// The families of rules, in the order in which they look.
pub(super) const FAMILIES: &[&[Rule]] = &[
    fat::RULES,
    commands::EARLY,
    commands::RULES,
    segments::RULES,
    entry::RULES,
    policies::RULES,
    linkedit::RULES,
    symbols::RULES,
    fixups::RULES,
    opcodes::RULES,
    sections::RULES,
    signature::RULES,
];

type Header = macho::MachHeader64<LE>;
type SegmentCommand = macho::SegmentCommand64<LE>;
type LinkeditData = macho::LinkeditDataCommand<LE>;

const HEADER_SIZE: u64 = size_of::<Header>() as u64;
/// What every load command begins with: its type and its size.
const LEAST_COMMAND: u64 = size_of::<macho::LoadCommand<LE>>() as u64;

/// A file, or a slice of a universal file, as the kernel and dyld see it.
#[derive(Debug)]
pub(super) struct MachO<'d> {
    data: Bytes<'d>,
    header: Header,
    architecture: Architecture,
    kind: Kind,
    /// Up to the first that does not fit.
    commands: Vec<Command>,
    /// Where the commands end that fit, and whether all do.
    commands_end: u64,
    are_commands_whole: bool,
    segments: Vec<Segment>,
}

/// A load command.
#[derive(Clone, Copy, Debug)]
struct Command {
    kind: macho::LoadCommandType,
    /// Where it lies.
    offset: u64,
    size: u64,
}

/// An `LC_SEGMENT_64`.
#[derive(Clone, Debug)]
struct Segment {
    command: Command,
    name: String,
    address: u64,
    size: u64,
    offset: u64,
    file_size: u64,
    initial: u32,
    maximum: u32,
    flags: u32,
    sections: Vec<Section>,
}

/// A section of a segment.
#[derive(Clone, Debug)]
struct Section {
    /// Where its header lies.
    header: u64,
    name: String,
    address: u64,
    size: u64,
    offset: u64,
    kind: macho::SectionType,
    reserved1: u32,
    reserved2: u32,
}

const READ: u32 = macho::VM_PROT_READ.0;
const WRITE: u32 = macho::VM_PROT_WRITE.0;
const EXECUTE: u32 = macho::VM_PROT_EXECUTE.0;

/// `r-x`, as Apple's tools write it.
fn protection(bits: u32) -> String {
    let each = [(READ, 'r'), (WRITE, 'w'), (EXECUTE, 'x')];
    each.iter().map(|(bit, letter)| if bits & bit == 0 { '-' } else { *letter }).collect()
}

impl Command {
    fn place(&self, field: Field) -> Place {
        let structure = format!("{}, {}", self.name(), field.name);
        Place::new(self.offset + field.offset, field.size, structure)
    }

    fn whole(&self) -> Place {
        Place::new(self.offset, self.size, self.name())
    }

    fn name(&self) -> String {
        let known = commands::KNOWN.iter().find(|known| known.kind == self.kind);
        known.map_or_else(|| format!("load command {:#x}", self.kind.0), |known| known.name.into())
    }
}

impl Segment {
    fn place(&self, field: Field) -> Place {
        let structure = format!("LC_SEGMENT_64 ({}), {}", self.name, field.name);
        Place::new(self.command.offset + field.offset, field.size, structure)
    }

    /// The address behind it, or the last one.
    fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }

    fn file_end(&self) -> u64 {
        self.offset.saturating_add(self.file_size)
    }

    fn holds(&self, address: u64, size: u64) -> bool {
        address >= self.address && address.checked_add(size).is_some_and(|end| end <= self.end())
    }

    /// Whether it only keeps addresses empty.
    fn is_page_zero(&self) -> bool {
        self.address == 0 && self.file_size == 0 && self.initial == 0 && self.maximum == 0
    }

    fn is_linkedit(&self) -> bool {
        self.name == "__LINKEDIT"
    }
}

impl Section {
    fn place(&self, field: Field) -> Place {
        let structure = format!("section {}, {}", self.name, field.name);
        Place::new(self.header + field.offset, field.size, structure)
    }

    fn is_zero_fill(&self) -> bool {
        [macho::S_ZEROFILL, macho::S_GB_ZEROFILL, macho::S_THREAD_LOCAL_ZEROFILL]
            .contains(&self.kind)
    }
}

impl<'d> MachO<'d> {
    fn field(field: Field) -> Place {
        Place::new(field.offset, field.size, format!("Mach-O header, {}", field.name))
    }

    fn has(&self, flag: macho::FileFlags) -> bool {
        self.header.flags.get(LE).0 & flag.0 != 0
    }

    /// Whether dyld loads it.
    fn is_dynamic(&self) -> bool {
        self.has(macho::MH_DYLDLINK)
    }

    fn page(&self) -> u64 {
        match self.architecture {
            Architecture::X86_64 => 0x1000,
            Architecture::Aarch64 => 0x4000,
        }
    }

    fn all(&self, kind: macho::LoadCommandType) -> impl Iterator<Item = &Command> {
        self.commands.iter().filter(move |command| command.kind == kind)
    }

    fn first(&self, kind: macho::LoadCommandType) -> Option<&Command> {
        self.all(kind).next()
    }

    /// The structure of a command, if it has all of it.
    fn read<T: object::pod::Pod>(&self, command: &Command) -> Option<T> {
        (size_of::<T>() as u64 <= command.size).then(|| self.data.read(command.offset))?
    }

    /// The text of a command, whose offset stands at 8, without its NUL.
    fn string(&self, command: &Command) -> Option<&'d [u8]> {
        let at = u64::from(self.data.u32(command.offset + LEAST_COMMAND)?);
        let size = command.size.checked_sub(at)?;
        Bytes(self.data.slice(command.offset + at, size)?).c_string(0)
    }

    /// What a command of the first kind that is there names in `__LINKEDIT`.
    fn linkedit(&self, kind: macho::LoadCommandType) -> Option<(Command, u64, Bytes<'d>)> {
        let command = self.first(kind)?;
        let data: LinkeditData = self.read(command)?;
        let offset = u64::from(data.dataoff.get(LE));
        let bytes = self.data.slice(offset, data.datasize.get(LE).into())?;
        Some((*command, offset, Bytes(bytes)))
    }

    fn segment(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == name)
    }

    /// The segment that maps the header.
    fn header_segment(&self) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.offset == 0 && segment.file_size > 0)
    }

    /// The segment that has an address in memory.
    fn segment_at(&self, address: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.holds(address, 1))
    }

    /// Where the file has the bytes at an address.
    fn file_offset(&self, address: u64, size: u64) -> Option<u64> {
        let segment = self.segments.iter().find(|segment| segment.holds(address, size))?;
        let inside = address - segment.address;
        let is_inside = inside.checked_add(size)? <= segment.file_size;
        let offset = segment.offset.checked_add(inside).filter(|_| is_inside)?;
        // Where the file has no such bytes, their segment's own rule says so.
        self.data.slice(offset, size).map(|_| offset)
    }

    fn sections(&self) -> impl Iterator<Item = (&Segment, &Section)> {
        self.segments
            .iter()
            .flat_map(|segment| segment.sections.iter().map(move |section| (segment, section)))
    }

    /// The libraries that it links, in order: fixups name them by their place, from 1.
    fn libraries(&self) -> impl Iterator<Item = &Command> {
        const KINDS: [macho::LoadCommandType; 5] = [
            macho::LC_LOAD_DYLIB,
            macho::LC_LOAD_WEAK_DYLIB,
            macho::LC_REEXPORT_DYLIB,
            macho::LC_LOAD_UPWARD_DYLIB,
            macho::LC_LAZY_LOAD_DYLIB,
        ];
        self.commands.iter().filter(|command| KINDS.contains(&command.kind))
    }

    /// The command that says for which platform and SDK it is, with both.
    fn version(&self) -> Option<(&Command, macho::Platform, u32)> {
        if let Some(command) = self.first(macho::LC_BUILD_VERSION) {
            let version: macho::BuildVersionCommand<LE> = self.read(command)?;
            return Some((command, version.platform.get(LE), version.sdk.get(LE).0));
        }
        let command = self.first(macho::LC_VERSION_MIN_MACOSX)?;
        let version: macho::VersionMinCommand<LE> = self.read(command)?;
        Some((command, macho::PLATFORM_MACOS, version.sdk.get(LE).0))
    }

    /// The SDK that dyld judges it by (`PlatformInfo_macOS`): 0 is taken for one of the far future, none for
    /// the oldest of the architecture. Other platforms count in other numbers.
    fn sdk(&self) -> Option<Version> {
        match self.version() {
            Some((_, platform, _)) if platform != macho::PLATFORM_MACOS => None,
            Some((.., 0)) => Some(Version(u32::MAX)),
            Some((.., sdk)) => Some(Version(sdk)),
            None => Some(match self.architecture {
                Architecture::X86_64 => Version::new(10, 5),
                Architecture::Aarch64 => Version::new(11, 0),
            }),
        }
    }
}

/// A name of at most 16 bytes.
fn name(bytes: &[u8; 16]) -> String {
    text(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// Reads a file and looks at it with every rule for Mach-O.
pub(super) fn lint(data: Bytes<'_>) -> Result<Lint, Error> {
    match data.0 {
        [0xcf, 0xfa, 0xed, 0xfe, ..] => {
            let mut findings = Vec::new();
            let file = slice(data, 0, "", &mut findings)?;
            Ok(Lint { file, findings })
        }
        [0xca, 0xfe, 0xba, 0xbe | 0xbf, ..] => fat::lint(data),
        [0xfe, 0xed, 0xfa, 0xcf, ..] => Err(unsupported("it is a big-endian Mach-O file")),
        _ => Err(unsupported("it is a 32-bit Mach-O file")),
    }
}

/// Looks at a file, or at a slice of a universal file that begins at `start`; says what it is.
fn slice(
    data: Bytes<'_>,
    start: u64,
    part: &'static str,
    findings: &mut Vec<super::Finding>,
) -> Result<String, Error> {
    let macho = read(data)?;
    let dynamic = [Loader::Xnu, Loader::Dyld, Loader::DyldValidate, Loader::Tools];
    // The kernel starts dyld for LC_MAIN, whatever the flags say (xnu mach_loader.c, load_main).
    let has_main = macho.first(macho::LC_MAIN).is_some();
    let loaders = if macho.is_dynamic() || has_main || macho.kind == Kind::Library {
        dynamic.to_vec()
    } else {
        vec![Loader::Xnu, Loader::Tools]
    };
    let architecture = macho.architecture;
    let sdk = macho.sdk();
    let subject = Subject { loaders, others: Vec::new(), architecture, kind: macho.kind, sdk };
    let mut report = Report::new(&subject).within(start, part);
    let families = if macho.are_commands_whole { FAMILIES } else { &FAMILIES[..2] };
    for rule in families.iter().copied().flatten() {
        if let Check::MachO(check) = rule.check
            && report.begin(rule)
        {
            check(&macho, &mut report);
            report.end();
        }
    }
    findings.append(&mut report.findings);
    let kind = match macho.kind {
        Kind::Program => "program",
        Kind::Library => "library",
    };
    Ok(format!("Mach-O {kind}, {architecture}"))
}

fn read(data: Bytes<'_>) -> Result<MachO<'_>, Error> {
    let whole = data.read::<Header>(0);
    let header = whole.unwrap_or_else(|| Bytes(&[0; 512]).read(0).expect("headers are smaller"));
    let architecture = match header.cputype.get(LE) {
        macho::CPU_TYPE_X86_64 => Architecture::X86_64,
        macho::CPU_TYPE_ARM64 => Architecture::Aarch64,
        _ if whole.is_none() => Architecture::Aarch64,
        other => {
            let what = format!("it is a Mach-O file for another processor ({:#x})", other.0);
            return Err(unsupported(&what));
        }
    };
    let kind = match header.filetype.get(LE) {
        macho::MH_DYLIB | macho::MH_BUNDLE | macho::MH_DYLINKER => Kind::Library,
        _ => Kind::Program,
    };
    let mut macho = MachO {
        data,
        header,
        architecture,
        kind,
        commands: Vec::new(),
        commands_end: HEADER_SIZE,
        are_commands_whole: false,
        segments: Vec::new(),
    };
    if whole.is_some() {
        read_commands(&mut macho);
    }
    Ok(macho)
}

fn read_commands(macho: &mut MachO<'_>) {
    let end = HEADER_SIZE + u64::from(macho.header.sizeofcmds.get(LE));
    for _ in 0..macho.header.ncmds.get(LE) {
        let offset = macho.commands_end;
        let Some(command) = macho.data.read::<macho::LoadCommand<LE>>(offset) else { return };
        let size = u64::from(command.cmdsize.get(LE));
        let is_inside =
            size >= LEAST_COMMAND && offset + size <= end && offset + size <= macho.data.len();
        if !is_inside {
            return;
        }
        let command = Command { kind: command.cmd.get(LE), offset, size };
        macho.commands.push(command);
        macho.commands_end = offset + size;
        macho.segments.extend(read_segment(macho, command));
    }
    macho.are_commands_whole = end <= macho.data.len();
}

fn read_segment(macho: &MachO<'_>, command: Command) -> Option<Segment> {
    if command.kind != macho::LC_SEGMENT_64 {
        return None;
    }
    let segment: SegmentCommand = macho.read(&command)?;
    let count = u64::from(segment.nsects.get(LE));
    let size = size_of::<macho::Section64<LE>>() as u64;
    let first = command.offset + size_of::<SegmentCommand>() as u64;
    let fits = count <= (command.size - size_of::<SegmentCommand>() as u64) / size;
    let sections = (0..if fits { count } else { 0 }).filter_map(|index| {
        let header = first + index * size;
        let section = macho.data.read::<macho::Section64<LE>>(header)?;
        let flags = section.flags.get(LE);
        Some(Section {
            header,
            name: format!("{},{}", name(&section.segname), name(&section.sectname)),
            address: section.addr.get(LE),
            size: section.size.get(LE),
            offset: section.offset.get(LE).into(),
            kind: flags.typ(),
            reserved1: section.reserved1.get(LE),
            reserved2: section.reserved2.get(LE),
        })
    });
    Some(Segment {
        command,
        name: name(&segment.segname),
        address: segment.vmaddr.get(LE),
        size: segment.vmsize.get(LE),
        offset: segment.fileoff.get(LE),
        file_size: segment.filesize.get(LE),
        initial: segment.initprot.get(LE).0,
        maximum: segment.maxprot.get(LE).0,
        flags: segment.flags.get(LE).0,
        sections: sections.collect(),
    })
}
