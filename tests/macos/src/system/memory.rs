//! libSystem's allocation and raw memory functions.

use super::Row;
use super::process::abort;
use crate::process::{Flow, Process, Trap};

/// `malloc` and its like; `memcpy` and its like.
pub const FUNCTIONS: &[Row] = &[
    ("_malloc", |process, [size, ..]| Ok(allocate(process, size, 16))),
    ("_calloc", |process, [count, size, ..]| {
        let Some(size) = count.checked_mul(size) else { return Ok(Flow::Return(0)) };
        allocate_zeroed(process, size).map(Flow::Return)
    }),
    ("_valloc", |process, [size, ..]| {
        let page = process.arch().page_size();
        Ok(allocate(process, size, page))
    }),
    ("_aligned_alloc", |process, [alignment, size, ..]| {
        let alignment = alignment.checked_next_power_of_two().unwrap_or(16);
        Ok(allocate(process, size, alignment))
    }),
    ("_posix_memalign", |process, [result, alignment, size, ..]| {
        if !alignment.is_power_of_two() || alignment < 8 {
            return Ok(Flow::Return(super::posix::EINVAL.into()));
        }
        let address = process.system.heap.allocate(&mut process.space, size, alignment);
        process.space.write_u64(result, address.unwrap_or(0))?;
        Ok(Flow::Return(if address.is_some() { 0 } else { super::posix::ENOMEM.into() }))
    }),
    ("_realloc", |process, [old, size, ..]| {
        let kept = if old == 0 { 0 } else { block_size(process, old)? };
        let Some(new) = process.system.heap.allocate(&mut process.space, size, 16) else {
            return Ok(Flow::Return(0));
        };
        let bytes = process.space.read(old, kept.min(size))?;
        process.space.write(new, &bytes)?;
        process.system.heap.release(old);
        Ok(Flow::Return(new))
    }),
    ("_free", |process, [address, ..]| {
        if address != 0 {
            block_size(process, address)?;
            process.system.heap.release(address);
        }
        Ok(Flow::Return(0))
    }),
    ("_malloc_size", |process, [address, ..]| {
        Ok(Flow::Return(process.system.heap.size(address).unwrap_or(0)))
    }),
    ("_memcpy", copy),
    ("_memmove", copy),
    ("___memcpy_chk", copy),
    ("___memmove_chk", copy),
    ("_memset", |process, [address, value, size, ..]| {
        set(process, address, value.to_le_bytes()[0], size)?;
        Ok(Flow::Return(address))
    }),
    ("___memset_chk", |process, [address, value, size, ..]| {
        set(process, address, value.to_le_bytes()[0], size)?;
        Ok(Flow::Return(address))
    }),
    ("_bzero", |process, [address, size, ..]| {
        set(process, address, 0, size)?;
        Ok(Flow::Return(0))
    }),
    ("___bzero", |process, [address, size, ..]| {
        set(process, address, 0, size)?;
        Ok(Flow::Return(0))
    }),
    ("_memset_pattern16", |process, [address, pattern, size, ..]| {
        let pattern = process.space.read(pattern, 16)?;
        let bytes: Vec<u8> =
            pattern.iter().copied().cycle().take(usize::try_from(size).unwrap_or(0)).collect();
        process.space.write(address, &bytes)?;
        Ok(Flow::Return(0))
    }),
    ("_memcmp", |process, [left, right, size, ..]| {
        let (left, right) = (process.space.read(left, size)?, process.space.read(right, size)?);
        let difference = left
            .iter()
            .zip(&right)
            .map(|(left, right)| i64::from(*left) - i64::from(*right))
            .find(|difference| *difference != 0);
        Ok(Flow::Return(difference.unwrap_or(0).cast_unsigned()))
    }),
    ("_memchr", |process, [address, byte, size, ..]| {
        for offset in 0..size {
            if process.space.read_u8(address + offset)? == byte.to_le_bytes()[0] {
                return Ok(Flow::Return(address + offset));
            }
        }
        Ok(Flow::Return(0))
    }),
];

fn allocate(process: &mut Process, size: u64, alignment: u64) -> Flow {
    Flow::Return(process.system.heap.allocate(&mut process.space, size, alignment).unwrap_or(0))
}

/// A block of zeros, or 0.
pub(super) fn allocate_zeroed(process: &mut Process, size: u64) -> Result<u64, Trap> {
    let Some(address) = process.system.heap.allocate(&mut process.space, size, 16) else {
        return Ok(0);
    };
    set(process, address, 0, size)?;
    Ok(address)
}

fn block_size(process: &Process, address: u64) -> Result<u64, Trap> {
    process
        .system
        .heap
        .size(address)
        .ok_or_else(|| abort(&format!("pointer being freed was not allocated: {address:#x}")))
}

fn copy(process: &mut Process, [to, from, size, ..]: [u64; 6]) -> Result<Flow, Trap> {
    let bytes = process.space.read(from, size)?;
    process.space.write(to, &bytes)?;
    Ok(Flow::Return(to))
}

fn set(process: &mut Process, address: u64, value: u8, size: u64) -> Result<(), Trap> {
    process.space.check(address, size, crate::engine::Access::Write)?;
    let bytes = vec![value; usize::try_from(size).unwrap_or(0)];
    Ok(process.space.write(address, &bytes)?)
}
