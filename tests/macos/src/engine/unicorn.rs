//! The engine for both architectures: the unicorn emulator, with exactly the protections that the kernel would set.

use unicorn_engine::{
    Arch as UnicornArch, HookType, MemType, Mode, Prot, RegisterARM64, RegisterX86, Unicorn,
    X86Insn, uc_error,
};

use super::{Access, Context, Engine, Protection, Stop};
use crate::arch::Arch;

/// Basic blocks in one time slice: a few milliseconds.
const SLICE_BLOCKS: u64 = 200_000;
/// An address where no program can be: emulation never ends by reaching it.
const NEVER: u64 = 0xffff_ffff_ffff_fff0;
/// Exception numbers of the emulated processors (QEMU's `EXCP_*`): arm64 supervisor call and breakpoint, x86 traps.
const ARM64_SUPERVISOR_CALL: u32 = 2;
const ARM64_BREAKPOINT: u32 = 7;
const X86_DIVISION: u32 = 0;
const X86_BREAKPOINT: u32 = 3;

/// What the hooks saw since the run began.
#[derive(Default)]
struct Seen {
    stop: Option<Stop>,
    blocks: u64,
}

/// An emulated processor with its memory.
pub struct UnicornEngine {
    arch: Arch,
    unicorn: Unicorn<'static, Seen>,
}

/// Unicorn reports misuse of its interface, never a guest's doing, by the calls that this wraps.
fn sure<T>(result: Result<T, uc_error>) -> T {
    result.expect("the address space checks ranges and registers before unicorn sees them")
}

impl UnicornEngine {
    /// An engine with no memory.
    ///
    /// # Errors
    /// When unicorn cannot start.
    pub fn new(arch: Arch) -> Result<UnicornEngine, String> {
        let (unicorn_arch, mode) = match arch {
            Arch::X86_64 => (UnicornArch::X86, Mode::MODE_64),
            Arch::Arm64 => (UnicornArch::ARM64, Mode::ARM),
        };
        let mut unicorn = Unicorn::new_with_data(unicorn_arch, mode, Seen::default())
            .map_err(|error| format!("{error:?}"))?;
        Self::hook(&mut unicorn, arch).map_err(|error| format!("{error:?}"))?;
        Ok(UnicornEngine { arch, unicorn })
    }

    fn hook(unicorn: &mut Unicorn<'static, Seen>, arch: Arch) -> Result<(), uc_error> {
        unicorn.add_mem_hook(HookType::MEM_INVALID, 1, 0, |unicorn, kind, address, _, _| {
            let access = match kind {
                MemType::WRITE_UNMAPPED | MemType::WRITE_PROT => Access::Write,
                MemType::FETCH_UNMAPPED | MemType::FETCH_PROT => Access::Execute,
                _ => Access::Read,
            };
            unicorn.get_data_mut().stop.get_or_insert(Stop::Memory(access, address));
            false
        })?;
        unicorn.add_block_hook(1, 0, |unicorn, _, _| {
            let seen = unicorn.get_data_mut();
            seen.blocks += 1;
            if seen.blocks > SLICE_BLOCKS && seen.stop.is_none() {
                seen.stop = Some(Stop::Slice);
                sure(unicorn.emu_stop());
            }
        })?;
        unicorn.add_intr_hook(move |unicorn, number| {
            let stop = match (arch, number) {
                (Arch::Arm64, ARM64_SUPERVISOR_CALL) => Stop::SystemCall,
                (Arch::Arm64, ARM64_BREAKPOINT) | (Arch::X86_64, X86_BREAKPOINT) => {
                    Stop::Breakpoint
                }
                (Arch::X86_64, X86_DIVISION) => Stop::Arithmetic,
                _ => Stop::Illegal,
            };
            unicorn.get_data_mut().stop.get_or_insert(stop);
            sure(unicorn.emu_stop());
        })?;
        match arch {
            Arch::X86_64 => {
                unicorn.add_insn_sys_hook(X86Insn::SYSCALL, 1, 0, |unicorn| {
                    unicorn.get_data_mut().stop.get_or_insert(Stop::SystemCall);
                    sure(unicorn.emu_stop());
                })?;
            }
            Arch::Arm64 => {
                // CPACR_EL1.FPEN: without it the first floating-point instruction traps.
                unicorn.reg_write(RegisterARM64::CPACR_EL1, 3 << 20)?;
            }
        }
        Ok(())
    }

    fn general_register(&self, index: usize) -> i32 {
        const X86: [RegisterX86; 16] = [
            RegisterX86::RAX,
            RegisterX86::RBX,
            RegisterX86::RCX,
            RegisterX86::RDX,
            RegisterX86::RDI,
            RegisterX86::RSI,
            RegisterX86::RBP,
            RegisterX86::RSP,
            RegisterX86::R8,
            RegisterX86::R9,
            RegisterX86::R10,
            RegisterX86::R11,
            RegisterX86::R12,
            RegisterX86::R13,
            RegisterX86::R14,
            RegisterX86::R15,
        ];
        // x0 to x28 are numbered in order; x29, x30 and sp are elsewhere.
        match (self.arch, index) {
            (Arch::X86_64, _) => X86[index] as i32,
            (Arch::Arm64, 0..29) => {
                RegisterARM64::X0 as i32 + i32::try_from(index).expect("a register index")
            }
            (Arch::Arm64, 29) => RegisterARM64::X29 as i32,
            (Arch::Arm64, 30) => RegisterARM64::X30 as i32,
            (Arch::Arm64, _) => RegisterARM64::SP as i32,
        }
    }

    fn vector_register(&self, index: usize) -> i32 {
        let index = i32::try_from(index).expect("a register index");
        match self.arch {
            Arch::X86_64 => RegisterX86::XMM0 as i32 + index,
            Arch::Arm64 => RegisterARM64::Q0 as i32 + index,
        }
    }

    fn program_counter_register(&self) -> i32 {
        match self.arch {
            Arch::X86_64 => RegisterX86::RIP as i32,
            Arch::Arm64 => RegisterARM64::PC as i32,
        }
    }

    fn flags_register(&self) -> i32 {
        match self.arch {
            Arch::X86_64 => RegisterX86::RFLAGS as i32,
            Arch::Arm64 => RegisterARM64::NZCV as i32,
        }
    }
}

fn unicorn_protection(protection: Protection) -> Prot {
    [
        (Protection::READ, Prot::READ),
        (Protection::WRITE, Prot::WRITE),
        (Protection::EXECUTE, Prot::EXEC),
    ]
    .into_iter()
    .filter(|(right, _)| protection.contains(*right))
    .fold(Prot::NONE, |all, (_, prot)| all | prot)
}

impl Engine for UnicornEngine {
    fn arch(&self) -> Arch {
        self.arch
    }

    fn map(&mut self, start: u64, size: u64, protection: Protection) -> Result<(), String> {
        self.unicorn
            .mem_map(start, size, unicorn_protection(protection))
            .map_err(|error| format!("{error:?}"))
    }

    fn unmap(&mut self, start: u64, size: u64) -> Result<(), String> {
        self.unicorn.mem_unmap(start, size).map_err(|error| format!("{error:?}"))
    }

    fn protect(&mut self, start: u64, size: u64, protection: Protection) -> Result<(), String> {
        self.unicorn
            .mem_protect(start, size, unicorn_protection(protection))
            .map_err(|error| format!("{error:?}"))
    }

    fn read(&self, address: u64, buffer: &mut [u8]) {
        sure(self.unicorn.mem_read(address, buffer));
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
        sure(self.unicorn.mem_write(address, bytes));
    }

    fn general(&self, index: usize) -> u64 {
        sure(self.unicorn.reg_read(self.general_register(index)))
    }

    fn set_general(&mut self, index: usize, value: u64) {
        let register = self.general_register(index);
        sure(self.unicorn.reg_write(register, value));
    }

    fn vector(&self, index: usize) -> u128 {
        let bytes = sure(self.unicorn.reg_read_long(self.vector_register(index)));
        u128::from_le_bytes(bytes[..16].try_into().expect("a vector register has 16 bytes"))
    }

    fn set_vector(&mut self, index: usize, value: u128) {
        sure(self.unicorn.reg_write_long(self.vector_register(index), &value.to_le_bytes()));
    }

    fn program_counter(&self) -> u64 {
        sure(self.unicorn.reg_read(self.program_counter_register()))
    }

    fn set_program_counter(&mut self, address: u64) {
        let register = self.program_counter_register();
        sure(self.unicorn.reg_write(register, address));
    }

    fn flags(&self) -> u64 {
        sure(self.unicorn.reg_read(self.flags_register()))
    }

    fn set_flags(&mut self, value: u64) {
        let register = self.flags_register();
        sure(self.unicorn.reg_write(register, value));
    }

    fn save(&self) -> Context {
        Context::Unicorn(sure(self.unicorn.context_init()))
    }

    fn restore(&mut self, context: &Context) {
        match context {
            Context::Unicorn(context) => sure(self.unicorn.context_restore(context)),
            Context::Native(_) => unreachable!("a process has one engine"),
        }
    }

    fn run(&mut self) -> Stop {
        *self.unicorn.get_data_mut() = Seen::default();
        let start = self.program_counter();
        let result = self.unicorn.emu_start(start, NEVER, 0, 0);
        match (self.unicorn.get_data().stop, result) {
            (Some(stop), _) => stop,
            (
                None,
                Err(
                    uc_error::READ_UNALIGNED
                    | uc_error::WRITE_UNALIGNED
                    | uc_error::FETCH_UNALIGNED,
                ),
            ) => Stop::Memory(Access::Read, self.program_counter()),
            (None, Err(uc_error::FETCH_UNMAPPED | uc_error::FETCH_PROT)) => {
                Stop::Memory(Access::Execute, self.program_counter())
            }
            (None, Ok(())) => Stop::Slice,
            (None, Err(_)) => Stop::Illegal,
        }
    }
}
