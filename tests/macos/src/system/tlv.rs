//! Thread-local variables at run time: each thread gets a copy of an image's template when it first asks for one of its variables.

use super::Row;
use crate::process::{Flow, Process, Trap};
use crate::rule::Rule;

/// What the first word of a descriptor names once dyld has prepared it.
pub const GET_ADDRESS: &str = "__tlv_get_addr";

/// The two functions that a descriptor can name.
pub const FUNCTIONS: &[Row] = &[
    (GET_ADDRESS, |process, [descriptor, ..]| get_address(process, descriptor)),
    // dyld overwrites the descriptors of an image that has the flag; one that still names this has none.
    ("__tlv_bootstrap", |_, _| {
        Err(Rule::ThreadLocalFlag.refuse("a thread-local variable was used").into())
    }),
    ("__tlv_atexit", |process, [function, argument, ..]| {
        process.threads.current_mut().destructors.push((function, argument));
        Ok(Flow::Return(0))
    }),
];

fn get_address(process: &mut Process, descriptor: u64) -> Result<Flow, Trap> {
    let image =
        usize::try_from(process.space.read_u64(descriptor.wrapping_add(8))?).unwrap_or(usize::MAX);
    let offset = process.space.read_u64(descriptor.wrapping_add(16))?;
    let base = if let Some(&base) = process.threads.current().thread_locals.get(&image) {
        base
    } else {
        let template = process.images.get(image).and_then(|image| image.thread_locals);
        let template =
            template.ok_or_else(|| Trap::unsupported("a broken thread-local descriptor"))?;
        let base = super::memory::allocate_zeroed(process, template.size)?;
        let contents = process.space.read(template.start, template.regular_size)?;
        process.space.write(base, &contents)?;
        process.threads.current_mut().thread_locals.insert(image, base);
        base
    };
    // Only the result register changes: the caller relies on it.
    Ok(Flow::Return(base.wrapping_add(offset)))
}
