//! The kernel's door: `syscall` and `svc #0x80`. Number and arguments are where the architecture's table says; a failed
//! call sets the carry flag and gives `errno`.

use super::posix::{CALLS, Failure};
use crate::process::{Process, Trap};

/// Numbers whose second result register matters.
const FORK: u64 = 2;

/// Performs the system call that the guest is at.
///
/// # Errors
/// What ends the process, or that the call is not modelled.
pub fn enter(process: &mut Process) -> Result<(), Trap> {
    let info = process.arch().info();
    let number = process.engine().general(info.syscall_number);
    let row = number
        .checked_sub(info.syscall_class)
        .and_then(|number| CALLS.iter().find(|row| row.number == number));
    let Some(row) = row else {
        let address = process.engine().program_counter();
        return Err(Trap::unsupported(format!("system call {number:#x} at {address:#x}")));
    };
    let arguments =
        std::array::from_fn(|index| process.engine().general(info.syscall_arguments[index]));
    let (value, flags) = match (row.call)(process, arguments) {
        Ok(value) => (value, process.engine().flags() & !info.carry),
        Err(Failure::Errno(errno)) => (u64::from(errno), process.engine().flags() | info.carry),
        Err(Failure::Trap(trap)) => return Err(trap),
    };
    let mut value = value;
    if row.number == FORK {
        // The raw call tells the child by its second result; the first is the child's id in both.
        let in_child = value == 0;
        if in_child {
            value = nix::unistd::getpid().as_raw().unsigned_abs().into();
        }
        process.engine().set_general(info.second_result, in_child.into());
    }
    process.engine().set_flags(flags);
    process.engine().set_general(info.result, value);
    Ok(())
}
