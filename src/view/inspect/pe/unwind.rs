//! The exception table.

use std::fmt::Write;

use super::super::super::reader::pe::{Arm64Unwind, Pe, Unwind, UnwindInfo, runtime_functions};
use super::super::model::{Found, Unwinding};

/// x86-64's registers, in the order of their numbers.
const REGISTERS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

pub(super) fn read<'data>(pe: &Pe<'data>, found: &mut Found<'data>) {
    let Some(functions) = found.or_damage(runtime_functions(pe)) else { return };
    let address = |rva: u32| pe.base().wrapping_add(rva.into());
    let mut damaged = 0_usize;
    let mut first = None;
    for function in functions {
        // Zeros fill the end of the table.
        if function.begin == 0 && function.end.unwrap_or_default() == 0 {
            continue;
        }
        let summary = match &function.unwind {
            Unwind::X86_64 { info: Ok(info), .. } => x86_64(info, info.handler.map(address)),
            Unwind::X86_64 { info: Err(damage), .. } => {
                damaged += 1;
                first.get_or_insert_with(|| damage.clone());
                "not in the file".to_owned()
            }
            Unwind::SameAs(_) => "as another function".to_owned(),
            Unwind::Arm64(unwind) => arm64(unwind),
        };
        let handler = match &function.unwind {
            Unwind::X86_64 { info: Ok(info), .. } => info.handler,
            _ => None,
        };
        found.unwind.push(Unwinding {
            start: address(function.begin),
            end: function.end.map(address),
            description: function.unwind.rva().map(address),
            personality: handler.map(address),
            summary,
            ..Unwinding::default()
        });
    }
    if let Some(mut damage) = first {
        if damaged > 1 {
            // Writing to a string cannot fail.
            let _ = write!(damage.message, ", nor of {} more functions", damaged - 1);
        }
        found.damage.push(damage);
    }
}

fn x86_64(info: &UnwindInfo<'_>, handler: Option<u64>) -> String {
    let mut parts = vec![format!("prologue {:#x} bytes", info.prologue)];
    if info.frame_register != 0 {
        let register = REGISTERS[usize::from(info.frame_register & 15)];
        parts.push(format!("frame {register}-{:#x}", u32::from(info.frame_offset) * 16));
    }
    parts.extend(codes(info.codes));
    let kinds = [(1, "exceptions"), (2, "termination")];
    let kinds = kinds.iter().filter(|(flag, _)| info.flags & flag != 0).map(|(_, kind)| *kind);
    let kinds: Vec<_> = kinds.collect();
    if let (Some(handler), [_, ..]) = (handler, &kinds[..]) {
        parts.push(format!("handler of {} {handler:#x}", kinds.join(" and ")));
    }
    if info.flags & 4 != 0 {
        parts.push("goes on with another's".to_owned());
    }
    parts.join(", ")
}

/// What the prologue did, in the order in which it is undone (`UWOP_…`).
fn codes(codes: &[u8]) -> Vec<String> {
    let mut slots = codes.chunks_exact(2);
    let mut found = Vec::new();
    while let Some(code) = slots.next() {
        let (operation, info) = (code[1] & 15, usize::from(code[1] >> 4));
        let mut half =
            || slots.next().map_or(0, |slot| u32::from(slot[0]) | u32::from(slot[1]) << 8);
        found.push(match operation {
            0 => format!("push {}", REGISTERS[info]),
            1 => {
                let size = match info {
                    0 => u64::from(half()) * 8,
                    _ => u64::from(half()) | u64::from(half()) << 16,
                };
                format!("allocate {size:#x}")
            }
            2 => format!("allocate {:#x}", info * 8 + 8),
            3 => "set frame".to_owned(),
            4 => format!("save {} at {:#x}", REGISTERS[info], half() * 8),
            5 => {
                let at = u64::from(half()) | u64::from(half()) << 16;
                format!("save {} at {at:#x}", REGISTERS[info])
            }
            6 => "epilogue".to_owned(),
            8 => format!("save xmm{info} at {:#x}", half() * 16),
            9 => {
                let at = u64::from(half()) | u64::from(half()) << 16;
                format!("save xmm{info} at {at:#x}")
            }
            10 => "machine frame".to_owned(),
            other => format!("unknown operation {other}"),
        });
    }
    found
}

fn arm64(unwind: &Arm64Unwind) -> String {
    match unwind {
        Arm64Unwind::Full { length: Some(_), .. } => "described in .xdata".to_owned(),
        Arm64Unwind::Full { length: None, .. } => "not in the file".to_owned(),
        Arm64Unwind::Packed {
            fragment, reg_f, reg_i, homes_parameters, cr, frame_size, ..
        } => {
            let mut parts = vec![format!("packed, frame {frame_size:#x} bytes")];
            if *fragment {
                parts.push("fragment".to_owned());
            }
            if *reg_i > 0 {
                parts.push(format!("x19 and {} more saved", reg_i - 1));
            }
            if *reg_f > 0 {
                parts.push(format!("d8 and {reg_f} more saved"));
            }
            if *homes_parameters {
                parts.push("x0 to x7 stored".to_owned());
            }
            parts.push(
                match cr {
                    0 => "unchained",
                    1 => "unchained, lr saved",
                    2 => "chained, lr signed",
                    _ => "chained",
                }
                .to_owned(),
            );
            parts.join(", ")
        }
    }
}
