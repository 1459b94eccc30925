//! Load commands, field by field: versions, libraries, entry, identity and notes come out of them too.

use std::fmt::Write;

use object::Endianness;
use object::macho::{
    DylibCommand, DylinkerCommand, LC_LAZY_LOAD_DYLIB, LC_LOAD_UPWARD_DYLIB, LC_LOAD_WEAK_DYLIB,
    LC_REEXPORT_DYLIB, LC_VERSION_MIN_IPHONEOS, LC_VERSION_MIN_TVOS, LC_VERSION_MIN_WATCHOS, LcStr,
    PLATFORM_MACOS, VersionMinCommand,
};
use object::read::macho::{LoadCommandData, LoadCommandVariant};

use super::super::super::reader::macho::MachO;
use super::super::super::reader::{Damage, Name};
use super::super::model::{Field, Found, Identity, Library, Record, Value};
use super::super::padded;
use super::super::words::{constant, version};

type Command<'data> = LoadCommandData<'data, Endianness>;

/// Adds fields of a structure by their names.
macro_rules! numbers {
    ($record:expr, $endian:expr, $command:expr; $($hex:ident)*; $($count:ident)*) => {
        $($record.hex(stringify!($hex), $command.$hex.get($endian));)*
        $($record.count(stringify!($count), $command.$count.get($endian));)*
    };
}

pub(super) fn read<'data>(image: &MachO<'data>, found: &mut Found<'data>) {
    for command in &image.commands {
        let mut record = Record::new(constant(command.cmd()), command.offset());
        match command.variant() {
            Ok(variant) => {
                let mut reader = Reader { image, command, record: &mut record, found };
                reader.read(variant);
            }
            Err(error) => {
                let name = constant(command.cmd());
                found.damage.push(Damage::new(name, command.offset(), error));
            }
        }
        found.headers.push(record);
    }
}

/// A command that is read into a record, and into what it says about the whole image.
struct Reader<'r, 'data> {
    image: &'r MachO<'data>,
    command: &'r Command<'data>,
    record: &'r mut Record<'data>,
    found: &'r mut Found<'data>,
}

impl<'data> Reader<'_, 'data> {
    fn read(&mut self, variant: LoadCommandVariant<'data, Endianness>) {
        let endian = self.image.endian;
        match variant {
            LoadCommandVariant::Segment64(segment, _) => {
                self.record.text("segname", padded(&segment.segname));
                numbers!(self.record, endian, segment; vmaddr vmsize fileoff filesize; nsects);
            }
            LoadCommandVariant::Symtab(symtab) => {
                numbers!(self.record, endian, symtab; symoff stroff strsize; nsyms);
            }
            LoadCommandVariant::Dysymtab(table) => {
                numbers!(self.record, endian, table; indirectsymoff extreloff locreloff;
                    ilocalsym nlocalsym iextdefsym nextdefsym iundefsym nundefsym nindirectsyms nextrel nlocrel);
            }
            LoadCommandVariant::Dylib(library) => self.library(library),
            LoadCommandVariant::IdDylib(library) => {
                self.text("name", library.dylib.name);
                self.versions_of_library(library);
            }
            LoadCommandVariant::LoadDylinker(linker) => {
                self.found.interpreter = self.text("name", linker.name);
            }
            LoadCommandVariant::IdDylinker(DylinkerCommand { name, .. })
            | LoadCommandVariant::DyldEnvironment(DylinkerCommand { name, .. }) => {
                self.text("name", *name);
            }
            LoadCommandVariant::Uuid(uuid) => self.uuid(&uuid.uuid),
            LoadCommandVariant::Rpath(path) => {
                self.text("path", path.path);
            }
            LoadCommandVariant::TargetTriple(triple) => {
                self.text("triple", triple.triple);
            }
            LoadCommandVariant::LinkeditData(data) => {
                numbers!(self.record, endian, data; dataoff datasize;);
            }
            LoadCommandVariant::DyldInfo(info) => {
                numbers!(self.record, endian, info; rebase_off rebase_size bind_off bind_size
                    weak_bind_off weak_bind_size lazy_bind_off lazy_bind_size export_off export_size;);
            }
            LoadCommandVariant::VersionMin(least) => self.least_version(least),
            LoadCommandVariant::BuildVersion(build, _) => {
                let platform = build.platform.get(endian);
                self.record.explained(
                    "platform",
                    Value::Count(platform.0.into()),
                    constant(platform),
                );
                self.found.system = Some(if platform == PLATFORM_MACOS {
                    "macos".into()
                } else {
                    constant(platform).trim_start_matches("PLATFORM_").to_lowercase().into()
                });
                let (system, sdk) = (build.minos.get(endian).0, build.sdk.get(endian).0);
                self.versions(system, sdk);
                self.tools();
            }
            LoadCommandVariant::EntryPoint(entry) => {
                let offset = entry.entryoff.get(endian);
                self.record.explained("entryoff", Value::Hex(offset), "the entry, from the header");
                self.record.hex("stacksize", entry.stacksize.get(endian));
                self.found.entry = self.image.base().checked_add(offset);
            }
            LoadCommandVariant::Thread(_, state) => self.thread(state),
            LoadCommandVariant::SourceVersion(source) => {
                let packed = source.version.get(endian);
                let rest = [30, 20, 10, 0].map(|shift| (packed >> shift & 0x3ff).to_string());
                let text = format!("{}.{}", packed >> 40, rest.join("."));
                self.record.text("version", text);
            }
            LoadCommandVariant::EncryptionInfo64(info) => {
                numbers!(self.record, endian, info; cryptoff cryptsize; cryptid);
            }
            LoadCommandVariant::Note(note) => {
                let mut record = Record::new("LC_NOTE", note.offset.get(endian));
                record.text("data_owner", padded(&note.data_owner));
                record.hex("size", note.size.get(endian));
                self.found.notes.push(record);
                self.record.text("data_owner", padded(&note.data_owner));
                numbers!(self.record, endian, note; offset size;);
            }
            LoadCommandVariant::FilesetEntry(entry) => {
                numbers!(self.record, endian, entry; vmaddr fileoff;);
                self.text("entry_id", entry.entry_id);
            }
            LoadCommandVariant::LinkerOption(option) => {
                let strings = self.command.raw_data().get(12..).unwrap_or_default();
                let count = option.count.get(endian) as usize;
                for string in strings.split(|byte| *byte == 0).take(count) {
                    self.record.text("option", string);
                }
            }
            _ => self.record.hex("cmdsize", self.command.cmdsize()),
        }
    }

    /// A string of the command.
    fn text(&mut self, field: &'static str, string: LcStr<Endianness>) -> Option<Name<'data>> {
        match self.command.string(self.image.endian, string) {
            Ok(text) => {
                self.record.text(field, text);
                Some(Name::new(text))
            }
            Err(error) => {
                let name = constant(self.command.cmd());
                self.found.damage.push(Damage::new(name, self.command.offset(), error));
                None
            }
        }
    }

    fn library(&mut self, library: &'data DylibCommand<Endianness>) {
        let name = self.text("name", library.dylib.name).unwrap_or_default();
        self.versions_of_library(library);
        let endian = self.image.endian;
        let (current, compatible) = (
            library.dylib.current_version.get(endian),
            library.dylib.compatibility_version.get(endian),
        );
        let kind = match self.command.cmd() {
            LC_LOAD_WEAK_DYLIB => "weak",
            LC_REEXPORT_DYLIB => "re-exported",
            LC_LOAD_UPWARD_DYLIB => "upward",
            LC_LAZY_LOAD_DYLIB => "lazy",
            _ => "needed",
        };
        let text = format!("{}, compatible with {}", version(current.0), version(compatible.0));
        self.found.libraries.push(Library { name, kind, version: text.into() });
    }

    fn versions_of_library(&mut self, library: &DylibCommand<Endianness>) {
        let (library, endian) = (&library.dylib, self.image.endian);
        self.record.text("current_version", version(library.current_version.get(endian).0));
        self.record
            .text("compatibility_version", version(library.compatibility_version.get(endian).0));
    }

    /// Before `LC_BUILD_VERSION` each system had a command of its own.
    fn least_version(&mut self, least: &VersionMinCommand<Endianness>) {
        let endian = self.image.endian;
        let name = match least.cmd.get(endian) {
            LC_VERSION_MIN_IPHONEOS => "ios",
            LC_VERSION_MIN_TVOS => "tvos",
            LC_VERSION_MIN_WATCHOS => "watchos",
            _ => "macos",
        };
        self.found.system = Some(name.into());
        self.versions(least.version.get(endian).0, least.sdk.get(endian).0);
    }

    fn versions(&mut self, system: u32, sdk: u32) {
        for (name, packed, meaning) in [
            ("minos", system, "the oldest system that it runs on"),
            ("sdk", sdk, "the system that it was built for: dyld's checks follow it"),
        ] {
            let value = Value::Text(version(packed).into());
            self.record.explained(name, value.clone(), meaning);
            self.found.versions.push(Field { name: name.into(), value, meaning: meaning.into() });
        }
    }

    fn tools(&mut self) {
        let endian = self.image.endian;
        match self.command.build_version(endian) {
            Ok(build) => {
                let tools = build.map_or(&[][..], |(_, tools)| tools);
                for tool in tools {
                    let name = match tool.tool.get(endian).0 {
                        // `object` has Apple's own tools only (LLVM's `BinaryFormat/MachO.h`).
                        4 => "TOOL_LLD".to_owned(),
                        _ => constant(tool.tool.get(endian)),
                    };
                    let value = Value::Text(version(tool.version.get(endian).0).into());
                    self.record.field(name, value);
                }
            }
            Err(error) => {
                self.found.damage.push(Damage::new(
                    "LC_BUILD_VERSION",
                    self.command.offset(),
                    error,
                ));
            }
        }
    }

    fn uuid(&mut self, uuid: &'data [u8; 16]) {
        let mut text = String::with_capacity(36);
        for (index, byte) in uuid.iter().enumerate() {
            if [4, 6, 8, 10].contains(&index) {
                text.push('-');
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02X}");
        }
        self.record.explained(
            "uuid",
            Value::Text(text.clone().into()),
            "what tells this build from others",
        );
        self.found.identity.push(Identity { kind: "uuid", value: text.into() });
    }

    /// The registers that a static program starts with. The program counter's place in them follows from
    /// `mach/i386/thread_status.h` and `mach/arm/thread_status.h`.
    fn thread(&mut self, state: &[u8]) {
        let word = |at: usize| state.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let (Some(flavor), Some(count)) = (word(0), word(4)) else { return };
        self.record.count("flavor", flavor);
        self.record.count("count", count);
        let counter = match (&*self.found.architecture, flavor) {
            ("x86_64", 4) => 16,
            ("aarch64", 6) => 32,
            _ => return,
        };
        let at = 8 + counter * 8;
        let bytes = state.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        if let Some(entry) = bytes.map(u64::from_le_bytes) {
            self.record.explained("pc", Value::Hex(entry), "the first instruction's address");
            self.found.entry = Some(entry);
        }
    }
}
