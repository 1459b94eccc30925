//! dyld's part: takes the program that the kernel has mapped, loads its libraries, refuses what dyld refuses, fixes the
//! images up, prepares their thread-local variables, and has initialisers and `main` run. dyld-1378, `dyldMain.cpp` and `mach_o/`.

pub mod bind;
pub mod chained;
pub mod image;
pub mod initializers;
pub mod library;
pub mod opcodes;
pub mod policy;
pub mod structure;
pub mod thread_locals;
pub mod trie;
pub mod validate;

use crate::engine::Protection;
use crate::kernel::{Entry, Program};
use crate::macho::{SG_READ_ONLY, command};
use crate::process::{Flow, Process, Trap};
use crate::rule::{Refusal, Rule};
use crate::space::MapError;
use crate::system;
use bind::Import;
use image::{Image, Library};
use opcodes::BindTable;
use policy::Version;

/// How strictly dyld judges.
#[derive(Debug, Clone, Copy, Default)]
pub struct Strictness {
    /// The SDK whose policies hold, instead of each image's own.
    pub sdk: Option<Version>,
    /// Whether the rules hold that only `dyld_info -validate` checks.
    pub validate: bool,
}

/// One place to fix up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixup {
    /// Unslid address of the pointer.
    pub address: u64,
    /// What to write.
    pub kind: FixupKind,
}

/// What a fixup writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FixupKind {
    /// The slid address, with a top byte that is kept apart from it.
    Rebase {
        /// Unslid.
        address: u64,
        /// Bits 56 to 63.
        top_byte: u64,
    },
    /// The address of an import.
    Bind(Import),
    /// The address of the definition that all images share, if there is one.
    Coalesce(Import),
}

/// Judges an image as `makeLaunchLoader` does, and more if validation is wanted.
fn judge(image: &Image, strictness: Strictness) -> Result<(), Refusal> {
    structure::check(image)?;
    let sdk = strictness.sdk.unwrap_or_else(|| policy::sdk(image));
    policy::check(image, sdk)?;
    let encodings =
        image.command(command::DYLD_CHAINED_FIXUPS).is_some() && image.dyld_info().is_some();
    Rule::OneFixupEncoding.require(!encodings, || "both are there".into())?;
    if strictness.validate { validate::check(image, sdk) } else { Ok(()) }
}

/// Loads everything and sets the registers for the first initialiser, or for `main`.
///
/// # Errors
/// The first rule broken, or what the small macOS lacks.
pub fn launch(
    process: &mut Process,
    program: &Program<'_>,
    path: &str,
    slide: u64,
    strictness: Strictness,
) -> Result<(), Trap> {
    let mut main = Image::parse(path, program.slice.bytes, program.arch, true)?;
    judge(&main, strictness)?;
    main.slide = slide;
    process.images.push(main);
    library::load_all(process, strictness)?;
    for index in 0..process.images.len() {
        process.images[index].exports = exports(&process.images[index])?;
    }
    for index in 0..process.images.len() {
        fix_up(process, index, strictness)?;
    }
    for index in 0..process.images.len() {
        thread_locals::prepare(process, index)?;
        protect_constants(process, index)?;
    }
    let functions = initializers::in_order(process)?;
    let entry = program.entry.clone();
    initializers::run(process, functions.into(), Box::new(move |process| start(process, &entry)))?;
    Ok(())
}

fn exports(image: &Image) -> Result<std::collections::HashMap<String, trie::Export>, Refusal> {
    let bytes = match (image.command(command::DYLD_EXPORTS_TRIE), image.dyld_info()) {
        (Some(load), _) => image.linkedit(&load, 8)?,
        (None, Some(load)) => image.linkedit(&load, 40)?,
        (None, None) => &[],
    };
    trie::parse(bytes, image.preferred_end().wrapping_sub(image.preferred_address()))
}

/// The fixups of an image.
fn fixups(image: &Image) -> Result<Vec<Fixup>, Refusal> {
    if let Some(load) = image.command(command::DYLD_CHAINED_FIXUPS) {
        let blob = image.linkedit(&load, 8)?;
        return if blob.is_empty() { Ok(Vec::new()) } else { chained::fixups(image, blob) };
    }
    let Some(load) = image.dyld_info() else { return Ok(Vec::new()) };
    let mut all = opcodes::rebases(image, image.linkedit(&load, 8)?)?;
    for (offset, table) in [(16, BindTable::Regular), (32, BindTable::Lazy), (24, BindTable::Weak)]
    {
        all.extend(opcodes::binds(image, image.linkedit(&load, offset)?, table)?);
    }
    Ok(all)
}

fn fix_up(process: &mut Process, index: usize, strictness: Strictness) -> Result<(), Trap> {
    let image = &process.images[index];
    let fixups = fixups(image)?;
    if strictness.validate {
        let sdk = strictness.sdk.unwrap_or_else(|| policy::sdk(image));
        validate::check_fixups(image, &fixups, sdk)?;
    }
    let slide = image.slide;
    for fixup in fixups {
        let value = match &fixup.kind {
            FixupKind::Rebase { address, top_byte } => {
                Some(address.wrapping_add(slide) | top_byte << 56)
            }
            FixupKind::Bind(import) => {
                let address = bind::resolve(&process.images, index, import)?;
                // A missing weak import is null, whatever its addend.
                Some(address.map_or(0, |address| address.wrapping_add_signed(import.addend)))
            }
            FixupKind::Coalesce(import) => bind::find_anywhere(&process.images, &import.name)
                .map(|address| address.wrapping_add_signed(import.addend)),
        };
        let Some(value) = value else { continue };
        let address = fixup.address.wrapping_add(slide);
        process.space.write_u64(address, value).map_err(|_| {
            Rule::FixupLocation.refuse(format!(
                "{} at {address:#x} cannot be written",
                process.images[index].leaf_name()
            ))
        })?;
    }
    Ok(())
}

/// `makeSegmentsReadOnly`: segments with `SG_READ_ONLY` are constant from now on.
fn protect_constants(process: &mut Process, index: usize) -> Result<(), Trap> {
    let image = &process.images[index];
    let ranges: Vec<(u64, u64)> = image
        .segments
        .iter()
        .filter(|segment| segment.flags & SG_READ_ONLY != 0 && segment.vm_size > 0)
        .map(|segment| (segment.vm_address.wrapping_add(image.slide), segment.vm_size))
        .collect();
    let arch = process.arch();
    for (address, size) in ranges {
        let start = arch.page_down(address);
        process
            .space
            .protect(start, arch.page_up(address + size) - start, Protection::READ)
            .map_err(|error| host(&error))?;
    }
    Ok(())
}

/// The engine could not do what the address space permits.
fn host(error: &MapError) -> Trap {
    Trap::unsupported(error.to_string())
}

/// After the initialisers: `main` by a call, or the older entry by a jump to where the kernel left the stack.
fn start(process: &mut Process, entry: &Entry) -> Result<Flow, Trap> {
    let vectors = process.vectors;
    let main = &process.images[0];
    match entry {
        Entry::Main { offset, .. } => {
            let function = main.address().wrapping_add(*offset);
            process.set_stack_pointer(vectors.stack_pointer);
            let arguments = [vectors.argc, vectors.argv, vectors.envp, vectors.apple];
            process.enter(function, &arguments, Box::new(system::process::exit))
        }
        Entry::Thread(words) => {
            let slide = main.slide;
            crate::kernel::stack::enter_thread(
                process.space.engine.as_mut(),
                words,
                slide,
                vectors.stack_pointer,
            );
            Ok(Flow::Resume)
        }
    }
}

/// Whether libSystem is among the libraries that anything links.
fn links_with_libsystem(images: &[Image]) -> bool {
    images.iter().any(|image| image.links.iter().any(|link| link.library == Library::System))
}
