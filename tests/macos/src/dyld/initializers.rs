//! Initialisers: functions that run before `main`, libraries' before those of what links them, each as
//! `(argc, argv, envp, apple, vars)`.

use std::collections::{HashSet, VecDeque};

use super::image::{Image, Library};
use crate::engine::{Access, Protection};
use crate::macho::{Section, Segment, section_type};
use crate::process::{Flow, Process, Trap};
use crate::rule::{Refusal, Rule};
use crate::space::Space;

/// What follows the last initialiser.
pub(super) type After = Box<dyn FnOnce(&mut Process) -> Result<Flow, Trap>>;

/// The initialisers of all images, in the order in which they run.
///
/// # Errors
/// One that is broken.
pub(super) fn in_order(process: &Process) -> Result<Vec<u64>, Refusal> {
    let mut functions = Vec::new();
    visit(&process.images, &process.space, 0, &mut HashSet::new(), &mut functions)?;
    Ok(functions)
}

fn visit(
    images: &[Image],
    space: &Space,
    index: usize,
    visited: &mut HashSet<usize>,
    functions: &mut Vec<u64>,
) -> Result<(), Refusal> {
    if !visited.insert(index) {
        return Ok(());
    }
    for link in &images[index].links {
        if let Library::Image(library) = link.library {
            visit(images, space, library, visited, functions)?;
        }
    }
    functions.extend(of_image(&images[index], space)?);
    Ok(())
}

fn of_image(image: &Image, space: &Space) -> Result<Vec<u64>, Refusal> {
    let mut functions = Vec::new();
    for segment in &image.segments {
        for section in &segment.sections {
            match section.section_type() {
                section_type::MOD_INIT_FUNC_POINTERS => {
                    functions.extend(pointers(image, space, section)?);
                }
                section_type::INIT_FUNC_OFFSETS => {
                    functions.extend(offsets(image, space, segment, section)?);
                }
                _ => {}
            }
        }
    }
    for &function in &functions {
        Rule::Initializers.require(space.check(function, 1, Access::Execute).is_ok(), || {
            format!("{}: {function:#x} is not code", image.leaf_name())
        })?;
    }
    Ok(functions)
}

fn unreadable(section: &Section) -> Refusal {
    Rule::Initializers.refuse(format!("{} at {:#x} cannot be read", section.name, section.address))
}

fn pointers(image: &Image, space: &Space, section: &Section) -> Result<Vec<u64>, Refusal> {
    Rule::Initializers.require(section.size.is_multiple_of(8), || {
        format!("{} has {:#x} bytes", section.name, section.size)
    })?;
    (0..section.size / 8)
        .map(|index| {
            space
                .read_u64(section.address.wrapping_add(image.slide).wrapping_add(index * 8))
                .map_err(|_| unreadable(section))
        })
        .collect()
}

fn offsets(
    image: &Image,
    space: &Space,
    segment: &Segment,
    section: &Section,
) -> Result<Vec<u64>, Refusal> {
    let whole = section.size.is_multiple_of(4) && section.address.is_multiple_of(4);
    Rule::Initializers.require(whole, || {
        format!("{} has {:#x} bytes at {:#x}", section.name, section.size, section.address)
    })?;
    let protection = Protection(segment.initial_protection);
    Rule::Initializers.require(!protection.contains(Protection::WRITE), || {
        format!("{} is in a writable segment", section.name)
    })?;
    (0..section.size / 4)
        .map(|index| {
            let offset = space
                .read_u32(section.address.wrapping_add(image.slide).wrapping_add(index * 4))
                .map_err(|_| unreadable(section))?;
            Ok(image.address().wrapping_add(offset.into()))
        })
        .collect()
}

/// Has the guest run `functions` one after the other, and then `after`.
///
/// # Errors
/// Whatever ends the process meanwhile.
pub(super) fn run(
    process: &mut Process,
    mut functions: VecDeque<u64>,
    after: After,
) -> Result<Flow, Trap> {
    let vectors = process.vectors;
    // Each begins with the whole stack, at its alignment.
    process.set_stack_pointer(vectors.stack_pointer);
    match functions.pop_front() {
        None => after(process),
        Some(function) => {
            let arguments = [vectors.argc, vectors.argv, vectors.envp, vectors.apple, 0];
            process.enter(
                function,
                &arguments,
                Box::new(move |process, _| run(process, functions, after)),
            )
        }
    }
}
