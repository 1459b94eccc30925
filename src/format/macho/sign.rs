//! A file signed anew: for who changed bytes of it, or had it from a linker that does not sign.
//!
//! Takes a whole file, whoever wrote it; gives the same file with an ad hoc signature that covers all before it.

use object::LittleEndian as LE;
use object::macho::{self, CsFlags, CsSlot, LinkeditDataCommand, MachHeader64, SegmentCommand64};
use object::pod;
use object::read::macho::{
    CodeSignature, FatArch, MachHeader, MachOFatFile32, Section, Segment as _,
};

use super::plan::{LINKEDIT, PAGE, TEXT};
use super::signature::{SIGNATURE_ALIGN, Signed, encode, hash_pages, signature_size};
use super::tables::le32;
use super::universal::{Slice, arrange};
use crate::error::{Error, ErrorKind, Result};

/// Signs a Mach-O file in memory, or every slice of a universal one, in place of a signature that it has.
///
/// The signature is ad hoc, as a linker makes it: a hash of every 4 KiB, which names nobody. It is what arm64 asks of
/// every program, and what has to be made again after any byte of a signed file was changed: the kernel kills a
/// program at the first page that is not as its hash says (xnu `vm_page_validate_cs`). Write what comes out into a *new*
/// file and rename it: the kernel keeps what it knows of a file by its vnode, not by its name.
///
/// `identifier` is what the system's tools call the program; `None` keeps the one that it has. The UUID stays as it
/// is: it says which build this was, and debuggers find its symbols by it.
///
/// A file without a signature needs room for one more load command before its first section, which linkers leave.
///
/// # Errors
/// The file, unchanged, is not 64-bit little-endian Mach-O or is damaged; bytes lie behind `__LINKEDIT` or behind the
/// old signature; there is no room; the old signature says what an ad hoc one of a linker cannot (entitlements,
/// constraints, a hardened runtime); no identifier is known.
///
/// ```
/// use minild::format::macho;
/// # use minild::program::{Program, Section, SectionKind};
/// # let mut program = Program::new(minild::Target::AARCH64_MACOS);
/// # let text = program.add_section(Section::new("text", SectionKind::ReadOnly, b"Hello, world!"));
/// # let code = program.add_section(Section::new("start", SectionKind::Code, b"\x40\x05\x80\x52\xc0\x03\x5f\xd6"));
/// # program.entry = Some(program.define("start", code, 0, 8));
/// # let image = minild::link(&program, &minild::Options::default())?;
/// # let (mut file, at) = (image.bytes, image.layout.sections().find(|s| s.name == "__const").unwrap().offset.0 as usize);
/// file[at..at + 5].copy_from_slice(b"Howdy");
/// macho::sign(&mut file, None)?;
/// # assert!(minild::view::lint::lint(&file)?.findings.is_empty());
/// # Ok::<(), minild::Errors>(())
/// ```
pub fn sign(file: &mut Vec<u8>, identifier: Option<&str>) -> Result<()> {
    if let Ok(fat) = MachOFatFile32::parse(file.as_slice()) {
        *file = sign_slices(file, &fat, identifier)?;
    } else {
        Plan::new(file, identifier)?.carry_out(file);
    }
    Ok(())
}

/// Every slice signed, and arranged anew, as signatures may have grown.
fn sign_slices(file: &[u8], fat: &MachOFatFile32<'_>, identifier: Option<&str>) -> Result<Vec<u8>> {
    let mut slices = Vec::new();
    for arch in fat.arches() {
        let mut bytes = arch.data(file).map_err(damaged)?.to_vec();
        Plan::new(&bytes, identifier)?.carry_out(&mut bytes);
        slices.push((arch, bytes));
    }
    let described = slices.iter().map(|(arch, bytes)| Slice {
        cpu: (arch.cputype(), arch.cpusubtype()),
        size: bytes.len() as u64,
    });
    let arrangement = arrange(&described.collect::<Vec<_>>())?;
    let mut signed = arrangement.table;
    for ((_, bytes), offset) in slices.iter().zip(arrangement.offsets) {
        signed.resize(usize::try_from(offset.0).expect("below 4 GiB"), 0);
        signed.extend_from_slice(bytes);
    }
    Ok(signed)
}

/// All that signing needs to know of a file: nothing is changed before everything is known to be right.
#[derive(Debug)]
struct Plan {
    identifier: String,
    /// How many bytes are signed: the file without its signature.
    code_limit: u64,
    code: (u64, u64),
    is_main: bool,
    /// Where the command lies that tells of the segment with the signature in it, and where that starts.
    link_edit: (u64, u64),
    /// Where the command lies that tells of the signature; `None` where there is none yet.
    command: Option<u64>,
    /// How many bytes of load commands there are, and how many of them.
    commands: (u32, u32),
}

impl Plan {
    fn new(file: &[u8], identifier: Option<&str>) -> Result<Self, Error> {
        let header = MachHeader64::<LE>::parse(file, 0).map_err(damaged)?;
        let endian = header.endian().map_err(damaged)?;
        let (mut code, mut link_edit, mut signature) = (None, None, None);
        let mut first_section = file.len() as u64;
        let mut commands = header.load_commands(endian, file, 0).map_err(damaged)?;
        while let Some(command) = commands.next().map_err(damaged)? {
            if let Some((segment, sections)) = command.segment_64().map_err(damaged)? {
                let sections = segment.sections(endian, sections).map_err(damaged)?;
                let with_bytes = sections
                    .iter()
                    .filter(|section| section.file_size(endian).is_some_and(|size| size > 0));
                let offsets = with_bytes.map(|section| u64::from(section.offset.get(endian)));
                first_section = offsets.fold(first_section, u64::min);
                let extent = (segment.fileoff.get(endian), segment.filesize.get(endian));
                match segment.name() {
                    name if name == TEXT.as_bytes() => code = Some(extent),
                    name if name == LINKEDIT.as_bytes() => {
                        link_edit = Some((command.offset(), extent));
                    }
                    _ => {}
                }
            }
            if command.cmd() == macho::LC_CODE_SIGNATURE {
                let data: &LinkeditDataCommand<LE> = command.data().map_err(damaged)?;
                signature = Some((command.offset(), data));
            }
        }
        let code = code.ok_or_else(|| lacks(TEXT))?;
        let (link_edit, (start, size)) = link_edit.ok_or_else(|| lacks(LINKEDIT))?;
        let len = file.len() as u64;
        if start.checked_add(size) != Some(len) {
            return Err(not_last(LINKEDIT));
        }
        let mut plan = Self {
            identifier: identifier.unwrap_or_default().to_owned(),
            code_limit: len.next_multiple_of(SIGNATURE_ALIGN.get()),
            code,
            is_main: header.filetype(endian) == macho::MH_EXECUTE,
            link_edit: (link_edit, start),
            command: signature.map(|(offset, _)| offset),
            commands: (header.sizeofcmds(endian), header.ncmds(endian)),
        };
        match signature {
            Some((_, data)) => plan.replace(file, data, identifier)?,
            None if identifier.is_none() => return Err(no_identifier()),
            None => plan.check_room(first_section)?,
        }
        if plan.identifier.contains('\0') {
            let message = "an identifier ends at its first NUL, and this one has one inside";
            return Err(Error::new(ErrorKind::InvalidValue, message));
        }
        let end = plan.code_limit + signature_size(&plan.identifier, plan.code_limit);
        if end > u32::MAX.into() {
            let message =
                "with its signature the file has 4 GiB or more, and its offsets have 32 bits";
            let error = Error::new(ErrorKind::TooLarge, message);
            return Err(error.value(end.into(), 0..=u32::MAX.into()));
        }
        Ok(plan)
    }

    /// Looks at the signature that is there: it must be the last thing in the file, and say nothing that would be lost.
    fn replace(
        &mut self,
        file: &[u8],
        command: &LinkeditDataCommand<LE>,
        identifier: Option<&str>,
    ) -> Result<(), Error> {
        let (offset, size) = (command.dataoff.get(LE), command.datasize.get(LE));
        let (offset, end) = (u64::from(offset), u64::from(offset) + u64::from(size));
        if end != file.len() as u64 || offset < self.link_edit.1 {
            return Err(not_last("its signature"));
        }
        self.code_limit = offset;
        let signature: CodeSignature<'_> = command.code_signature(LE, file).map_err(damaged)?;
        let mut old = None;
        for blob in signature.blobs() {
            let blob = blob.map_err(damaged)?;
            if is_lost(blob.slot()) {
                return Err(says_more("more than hashes (entitlements, constraints, resources)"));
            }
            if let Some(directory) = blob.code_directory().map_err(damaged)? {
                let flags = directory.header().flags.get(object::BigEndian);
                let known = macho::CS_ADHOC.0 | macho::CS_LINKER_SIGNED.0;
                let CsFlags(flags) = flags;
                if flags & !known != 0 {
                    return Err(says_more(&format!("the flags {:#x}", flags & !known)));
                }
                let name = directory.ident().map_err(damaged)?;
                old = Some(String::from_utf8_lossy(name).into_owned());
            }
        }
        if identifier.is_none() {
            self.identifier = old.ok_or_else(no_identifier)?;
        }
        Ok(())
    }

    /// One more load command must fit before the first section.
    fn check_room(&self, first_section: u64) -> Result<(), Error> {
        let size = size_of::<LinkeditDataCommand<LE>>() as u64;
        let end = self.commands_end() + size;
        if end <= first_section {
            return Ok(());
        }
        let message = format!(
            "there is no room for a load command of {size} bytes: the first section starts at \
             {first_section:#x}, and the load commands end at {:#x}",
            self.commands_end()
        );
        Err(Error::new(ErrorKind::TooLarge, message).value(end.into(), 0..=first_section.into()))
    }

    fn commands_end(&self) -> u64 {
        size_of::<MachHeader64<LE>>() as u64 + u64::from(self.commands.0)
    }

    /// Makes the file what the plan says.
    fn carry_out(&self, file: &mut Vec<u8>) {
        fn at<T: pod::Pod>(file: &mut [u8], offset: u64) -> &mut T {
            let offset = usize::try_from(offset).expect("inside the file");
            pod::from_bytes_mut(&mut file[offset..]).expect("it was read there").0
        }
        let size = signature_size(&self.identifier, self.code_limit);
        let number = super::commands::number;
        file.resize(usize::try_from(self.code_limit).expect("below 4 GiB"), 0);

        let command = self.command.unwrap_or(self.commands_end());
        if self.command.is_none() {
            let (bytes, count) = self.commands;
            let own = number(size_of::<LinkeditDataCommand<LE>>() as u64);
            let header: &mut MachHeader64<LE> = at(file, 0);
            header.ncmds = le32(count + 1);
            header.sizeofcmds = le32(bytes + own);
        }
        *at(file, command) = LinkeditDataCommand::<LE> {
            cmd: object::U32::new(LE, macho::LC_CODE_SIGNATURE),
            cmdsize: le32(number(size_of::<LinkeditDataCommand<LE>>() as u64)),
            dataoff: le32(number(self.code_limit)),
            datasize: le32(number(size)),
        };
        let (link_edit, start) = self.link_edit;
        let segment: &mut SegmentCommand64<LE> = at(file, link_edit);
        let file_size = self.code_limit + size - start;
        let memory_size = segment.vmsize.get(LE).max(file_size.next_multiple_of(PAGE.get()));
        segment.filesize.set(LE, file_size);
        segment.vmsize.set(LE, memory_size);

        let signed = Signed {
            identifier: &self.identifier,
            code_limit: self.code_limit,
            code_offset: self.code.0,
            code_size: self.code.1,
            is_main: self.is_main,
        };
        let signature = encode(&signed, &hash_pages(file, 1));
        file.extend_from_slice(&signature);
    }
}

/// Whether what lies in this slot of a signature would be lost: all but hashes, a requirement of the old signer on
/// itself, and that signer's own signature.
fn is_lost(slot: CsSlot) -> bool {
    let alternate = macho::CSSLOT_ALTERNATE_CODEDIRECTORIES
        ..macho::CSSLOT_ALTERNATE_CODEDIRECTORIES + macho::CSSLOT_ALTERNATE_CODEDIRECTORY_MAX;
    let kept =
        [macho::CSSLOT_CODEDIRECTORY, macho::CSSLOT_REQUIREMENTS, macho::CSSLOT_SIGNATURESLOT];
    !kept.contains(&slot) && !alternate.contains(&slot.0)
}

fn damaged(error: object::read::Error) -> Error {
    let message = format!("it is no 64-bit little-endian Mach-O file, or a damaged one: {error}");
    Error::new(ErrorKind::InvalidValue, message)
}

fn lacks(segment: &str) -> Error {
    Error::new(
        ErrorKind::InvalidValue,
        format!("it has no segment {segment}: it is no linked file"),
    )
}

fn not_last(what: &str) -> Error {
    let message =
        format!("{what} is not the last thing in the file, so that not all would be signed");
    Error::new(ErrorKind::InvalidValue, message)
}

fn says_more(what: &str) -> Error {
    let message = format!("its signature says {what}, which an ad hoc one of a linker does not");
    Error::new(ErrorKind::Unsupported, message).help("sign it with `codesign`, on a Mac")
}

fn no_identifier() -> Error {
    Error::new(ErrorKind::Missing, "it has no signature whose identifier could be kept")
        .help("say what the system's tools are to call it")
}
