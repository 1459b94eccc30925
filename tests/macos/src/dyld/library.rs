//! Loading of libraries: finds the file behind an install name, judges and maps it, and so on with what it links.

use std::path::{Path, PathBuf};

use super::image::{Image, Library};
use super::{Strictness, host, judge, links_with_libsystem};
use crate::fat;
use crate::kernel::segments;
use crate::macho::{HEADER_SIZE, Header, MAGIC, command, file_type};
use crate::process::{Process, Trap};
use crate::rule::{Refusal, Rule};
use crate::{signature, system};

/// From this SDK on a program links its libraries itself; before, dyld took libSystem for one that links none.
const LINKS_NOTHING: super::Version = super::Version::new(15, 4);

/// Loads the libraries of the program, breadth first.
///
/// # Errors
/// A library that is missing or broken.
pub(super) fn load_all(process: &mut Process, strictness: Strictness) -> Result<(), Trap> {
    let mut importer = 0;
    while importer < process.images.len() {
        for link in 0..process.images[importer].links.len() {
            let library = load(process, importer, link, strictness)?;
            process.images[importer].links[link].library = library;
        }
        importer += 1;
    }
    let main = &process.images[0];
    let synthesised = main.links.is_empty()
        && strictness.sdk.unwrap_or_else(|| super::policy::sdk(main)) < LINKS_NOTHING;
    Rule::LinksWithLibSystem
        .require(synthesised || links_with_libsystem(&process.images), || {
            "no image links it".into()
        })?;
    Ok(())
}

fn load(
    process: &mut Process,
    importer: usize,
    link: usize,
    strictness: Strictness,
) -> Result<Library, Trap> {
    let link = process.images[importer].links[link].clone();
    if link.name == system::INSTALL_NAME {
        return Ok(Library::System);
    }
    let candidates = candidates(&process.images, importer, &link.name);
    let Some(path) = candidates.iter().find(|path| path.is_file()) else {
        let missing = || format!("{} is not at {candidates:?}", link.name);
        Rule::LibraryMissing.require(link.weak, missing)?;
        return Ok(Library::Missing);
    };
    let path = path.canonicalize().unwrap_or_else(|_| path.clone()).to_string_lossy().into_owned();
    if let Some(index) = process.images.iter().position(|image| image.path == path) {
        return Ok(Library::Image(index));
    }
    let file =
        std::fs::read(&path).map_err(|error| Trap::unsupported(format!("{path}: {error}")))?;
    let image = map(process, &path, &file, strictness)?;
    process.images.push(image);
    Ok(Library::Image(process.images.len() - 1))
}

/// Where a library with this install name may be, for an importer.
fn candidates(images: &[Image], importer: usize, name: &str) -> Vec<PathBuf> {
    let directory = |index: usize| {
        Path::new(&images[index].path).parent().map(Path::to_path_buf).unwrap_or_default()
    };
    let expand = |name: &str, loader: usize| {
        let relative = [("@executable_path", 0), ("@loader_path", loader)]
            .into_iter()
            .find_map(|(prefix, image)| Some((name.strip_prefix(prefix)?, image)));
        match relative {
            Some((rest, image)) => directory(image).join(rest.trim_start_matches('/')),
            None => PathBuf::from(name),
        }
    };
    let Some(rest) = name.strip_prefix("@rpath/") else { return vec![expand(name, importer)] };
    let mut loaders = vec![importer];
    loaders.extend((importer != 0).then_some(0));
    let mut paths = Vec::new();
    for loader in loaders {
        for load in images[loader].commands().iter().filter(|load| load.command == command::RPATH) {
            paths.push(expand(load.string().unwrap_or(""), loader).join(rest));
        }
    }
    paths
}

fn map(
    process: &mut Process,
    path: &str,
    file: &[u8],
    strictness: Strictness,
) -> Result<Image, Trap> {
    let arch = process.arch();
    let slice = fat::choose(file, Some(arch))?;
    let bad =
        |found: String| -> Refusal { Rule::LibraryMissing.refuse(format!("{path}: {found}")) };
    let header = Header::parse(slice.bytes)
        .filter(|header| header.magic == MAGIC)
        .ok_or_else(|| bad("it is no Mach-O file".into()))?;
    if header.cpu_type != arch.info().cpu_type || header.file_type != file_type::DYLIB {
        return Err(bad(format!(
            "it has cputype {:#x} and filetype {}",
            header.cpu_type, header.file_type
        ))
        .into());
    }
    if HEADER_SIZE + u64::from(header.commands_size) > slice.bytes.len() as u64 {
        return Err(bad("its commands do not fit".into()).into());
    }
    let mut image = Image::parse(path, slice.bytes, arch, false)?;
    judge(&image, strictness)?;
    for segment in &image.segments {
        segments::accept_segment(arch, &slice, segment)?;
    }
    signature::accept(arch, slice.bytes, &image.commands(), &image.segments)?;

    let size = image.preferred_end().checked_sub(image.preferred_address());
    let size = size.filter(|size| *size < crate::space::TOP).map(|size| arch.page_up(size));
    let size = size.ok_or_else(|| {
        bad(format!("there is no room for it up to {:#x}", image.preferred_end()))
    })?;
    let start = process.space.free_range(system::LIBRARIES, size);
    image.slide = start.wrapping_sub(image.preferred_address());
    segments::map(
        &mut process.space,
        &slice,
        &image.segments,
        image.slide,
        &format!("{} ", image.leaf_name()),
    )?;
    // A guard page keeps the next library apart, as random slides do.
    let end = start + size;
    process
        .space
        .map(
            end,
            arch.page_size(),
            crate::engine::Protection::NONE,
            crate::engine::Protection::NONE,
            "guard",
        )
        .map_err(|error| host(&error))?;
    Ok(image)
}
