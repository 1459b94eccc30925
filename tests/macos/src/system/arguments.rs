//! Variable arguments, for `printf` and its family: by the System V rules on x86-64, by Apple's on arm64 (on the stack
//! only, 8 bytes each), and from a `va_list` of either.

use crate::process::{Process, low_half};
use crate::space::Fault;

/// Where the next variable argument comes from.
#[derive(Debug)]
pub enum Variadic {
    /// From memory only: arm64's call, and its `va_list`.
    Memory {
        /// Address of the next.
        next: u64,
    },
    /// From registers, then from memory: a call on x86-64.
    Registers {
        /// Number of the next integer argument.
        integer: usize,
        /// Number of the next floating-point argument.
        vector: usize,
        /// Address of the next on the stack.
        next: u64,
    },
    /// From x86-64's `va_list`, whose four fields these are.
    Saved {
        /// Offset of the next integer in the save area.
        integer_offset: u64,
        /// Offset of the next vector register in the save area.
        vector_offset: u64,
        /// Address of the next on the stack.
        next: u64,
        /// The save area.
        area: u64,
    },
}

/// Bytes that integers have in x86-64's register save area, and that all of it has.
const SAVED_INTEGERS: u64 = 48;
const SAVED_ALL: u64 = 176;

impl Variadic {
    /// The arguments behind `named` integer ones of the call that the guest just made.
    #[must_use]
    pub fn of_call(process: &Process, named: usize) -> Variadic {
        if process.arch().info().variadic_on_stack {
            Variadic::Memory { next: process.stack_pointer() }
        } else {
            Variadic::Registers {
                integer: named,
                vector: 0,
                next: process.stack_pointer().wrapping_add(8),
            }
        }
    }

    /// The arguments of a `va_list`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_list(process: &Process, list: u64) -> Result<Variadic, Fault> {
        if process.arch().info().variadic_on_stack {
            return Ok(Variadic::Memory { next: list });
        }
        let space = &process.space;
        Ok(Variadic::Saved {
            integer_offset: space.read_u32(list)?.into(),
            vector_offset: space.read_u32(list.wrapping_add(4))?.into(),
            next: space.read_u64(list.wrapping_add(8))?,
            area: space.read_u64(list.wrapping_add(16))?,
        })
    }

    fn from_memory(process: &Process, next: &mut u64) -> Result<u64, Fault> {
        let value = process.space.read_u64(*next)?;
        *next = next.wrapping_add(8);
        Ok(value)
    }

    /// The next integer or pointer.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn integer(&mut self, process: &Process) -> Result<u64, Fault> {
        match self {
            Variadic::Registers { integer, .. }
                if *integer < process.arch().info().arguments.len() =>
            {
                *integer += 1;
                Ok(process.argument(*integer - 1))
            }
            Variadic::Saved { integer_offset, area, .. } if *integer_offset < SAVED_INTEGERS => {
                *integer_offset += 8;
                process.space.read_u64(area.wrapping_add(*integer_offset - 8))
            }
            Variadic::Memory { next }
            | Variadic::Registers { next, .. }
            | Variadic::Saved { next, .. } => Self::from_memory(process, next),
        }
    }

    /// The next `double`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn double(&mut self, process: &Process) -> Result<f64, Fault> {
        let bits = match self {
            Variadic::Registers { vector, .. }
                if *vector < process.arch().info().vector_arguments =>
            {
                *vector += 1;
                low_half(process.space.engine.vector(*vector - 1))
            }
            Variadic::Saved { vector_offset, area, .. } if *vector_offset < SAVED_ALL => {
                *vector_offset += 16;
                process.space.read_u64(area.wrapping_add(*vector_offset - 16))?
            }
            Variadic::Memory { next }
            | Variadic::Registers { next, .. }
            | Variadic::Saved { next, .. } => Self::from_memory(process, next)?,
        };
        Ok(f64::from_bits(bits))
    }

    /// The next `long double`: x87's 80 bits in 16-aligned memory on x86-64, a `double` on arm64.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn long_double(&mut self, process: &Process) -> Result<f64, Fault> {
        match self {
            Variadic::Memory { .. } => self.double(process),
            Variadic::Registers { next, .. } | Variadic::Saved { next, .. } => {
                let address = next.wrapping_add(15) & !15;
                *next = address.wrapping_add(16);
                let fraction = process.space.read_u64(address)?;
                let sign_exponent = process.space.read_u32(address.wrapping_add(8))?;
                Ok(from_extended(fraction, sign_exponent))
            }
        }
    }
}

/// Converts x87's extended precision, losing what a `double` cannot hold.
#[expect(clippy::cast_precision_loss, reason = "rounding to double is what it is for")]
fn from_extended(fraction: u64, sign_exponent: u32) -> f64 {
    let exponent = i32::try_from(sign_exponent & 0x7fff).expect("15 bits") - 16383 - 63;
    let value = match (sign_exponent & 0x7fff, fraction << 1) {
        (0x7fff, 0) => f64::INFINITY,
        (0x7fff, _) => f64::NAN,
        // In two steps, because 2^exponent alone may be out of a double's range.
        _ => fraction as f64 * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2),
    };
    if sign_exponent & 0x8000 == 0 { value } else { -value }
}
