//! Thread-local variables at launch: `ThreadLocalVariables::initializeThunksFromDisk` rewrites each descriptor to
//! {function, key, offset}, in images whose header has the flag.

use super::image::Template;
use crate::engine::Access;
use crate::macho::{Section, flag, section_type};
use crate::process::{Process, Trap};
use crate::rule::Rule;
use crate::system;

/// Size of a descriptor: function, key, offset.
const DESCRIPTOR: u64 = 24;

/// Prepares the descriptors of image `index`; the key is the index.
///
/// # Errors
/// Descriptors that are broken.
pub(super) fn prepare(process: &mut Process, index: usize) -> Result<(), Trap> {
    let image = &process.images[index];
    if !image.header.has(flag::HAS_TLV_DESCRIPTORS) {
        return Ok(());
    }
    let slide = image.slide;
    let sections: Vec<Section> =
        image.segments.iter().flat_map(|segment| segment.sections.iter().cloned()).collect();
    let of_type =
        |wanted: u32| sections.iter().filter(move |section| section.section_type() == wanted);
    let template: Vec<&Section> = of_type(section_type::THREAD_LOCAL_REGULAR)
        .chain(of_type(section_type::THREAD_LOCAL_ZEROFILL))
        .collect();
    let start = template.iter().map(|section| section.address).min().unwrap_or(0);
    let end = template.iter().map(|section| section.end()).max().unwrap_or(0);
    let regular_end =
        of_type(section_type::THREAD_LOCAL_REGULAR).map(Section::end).max().unwrap_or(start);
    let template = Template {
        start: start.wrapping_add(slide),
        regular_size: regular_end.wrapping_sub(start),
        size: end.wrapping_sub(start),
    };
    let readable = process.space.check(template.start, template.regular_size, Access::Read).is_ok();
    Rule::ThreadLocals.require(readable && template.regular_size <= template.size, || {
        format!("the template is {template:?}")
    })?;

    let get_address = system::symbol(system::tlv::GET_ADDRESS).expect("libSystem has it");
    for section in of_type(section_type::THREAD_LOCAL_VARIABLES) {
        Rule::ThreadLocals.require(section.size.is_multiple_of(DESCRIPTOR), || {
            format!("{} has {:#x} bytes", section.name, section.size)
        })?;
        for number in 0..section.size / DESCRIPTOR {
            let descriptor = section.address.wrapping_add(slide).wrapping_add(number * DESCRIPTOR);
            let writable = process.space.check(descriptor, DESCRIPTOR, Access::Write).is_ok();
            Rule::ThreadLocals.require(writable, || {
                format!("the descriptor at {descriptor:#x} cannot be written")
            })?;
            let offset = process.space.read_u64(descriptor + 16)?;
            Rule::ThreadLocals.require(offset <= template.size, || {
                format!(
                    "the descriptor at {descriptor:#x} has offset {offset:#x} of {:#x}",
                    template.size
                )
            })?;
            process.space.write_u64(descriptor, get_address)?;
            process.space.write_u64(descriptor + 8, index as u64)?;
        }
    }
    process.images[index].thread_locals = Some(template);
    Ok(())
}
