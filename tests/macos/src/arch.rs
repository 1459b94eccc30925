//! The two architectures as one table row each: what xnu, dyld and the calling convention
//! do differently by architecture is a field here, so that other modules need no branches.

/// A processor architecture that macOS runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// Intel, 64 bits.
    X86_64,
    /// Apple silicon.
    Arm64,
}

/// What differs between the architectures. Registers are indices for [`crate::engine::Engine::general`].
#[derive(Debug)]
pub struct ArchInfo {
    /// Name as the tools print it.
    pub name: &'static str,
    /// `cputype` of the Mach-O header, with the 64-bit ABI bit.
    pub cpu_type: u32,
    /// Subtypes that `grade_binary` takes for an ordinary process (top byte masked).
    pub cpu_subtypes: &'static [u32],
    /// The kernel's page size in bytes.
    pub page_size: u64,
    /// Least end of the page-zero segment (`mach_loader.c`, `load_segment`).
    pub least_page_zero: u64,
    /// Whether a process may be static and fixed, and may lack a signature.
    pub lenient: bool,
    /// Flavor, state size in 32-bit words, and offsets of the program counter and stack pointer in the state, for `LC_UNIXTHREAD`.
    pub thread_state: ThreadState,
    /// Integer argument registers in order.
    pub arguments: &'static [usize],
    /// Number of vector registers that carry floating-point arguments.
    pub vector_arguments: usize,
    /// Register of integer results.
    pub result: usize,
    /// Stack pointer.
    pub stack_pointer: usize,
    /// Frame pointer.
    pub frame_pointer: usize,
    /// Where a call leaves the return address: a register, or (`None`) the stack.
    pub link: Option<usize>,
    /// Register with the number of a system call.
    pub syscall_number: usize,
    /// What the number has above the BSD number: the system call class.
    pub syscall_class: u64,
    /// Argument registers of a system call.
    pub syscall_arguments: &'static [usize],
    /// Second result register of a system call.
    pub second_result: usize,
    /// The carry bit in the flags register, which marks a failed system call.
    pub carry: u64,
    /// Registers that a function must preserve, for `setjmp`.
    pub preserved: &'static [usize],
    /// Variable arguments are passed on the stack only, whatever registers are left (Apple's arm64 rule).
    pub variadic_on_stack: bool,
}

/// The shape of an `LC_UNIXTHREAD` state.
#[derive(Debug)]
pub struct ThreadState {
    /// `flavor` of the only state accepted.
    pub flavor: u32,
    /// `count`, in 32-bit words.
    pub count: u32,
    /// For each general register, the index of its 64-bit word in the state.
    pub general: &'static [usize],
    /// Index of the program counter's 64-bit word.
    pub program_counter: usize,
}

/// Indices of the x86-64 registers, in the order of `x86_thread_state64_t`.
pub mod x86 {
    /// rax
    pub const RAX: usize = 0;
    /// rbx
    pub const RBX: usize = 1;
    /// rcx
    pub const RCX: usize = 2;
    /// rdx
    pub const RDX: usize = 3;
    /// rdi
    pub const RDI: usize = 4;
    /// rsi
    pub const RSI: usize = 5;
    /// rbp
    pub const RBP: usize = 6;
    /// rsp
    pub const RSP: usize = 7;
    /// r8, then r9 to r15 in order
    pub const R8: usize = 8;
}

static X86_64: ArchInfo = ArchInfo {
    name: "x86_64",
    cpu_type: 0x0100_0007,
    cpu_subtypes: &[3, 8],
    page_size: 0x1000,
    least_page_zero: 0x1000,
    lenient: true,
    thread_state: ThreadState {
        flavor: 4,
        count: 42,
        general: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        program_counter: 16,
    },
    arguments: &[x86::RDI, x86::RSI, x86::RDX, x86::RCX, x86::R8, x86::R8 + 1],
    vector_arguments: 8,
    result: x86::RAX,
    stack_pointer: x86::RSP,
    frame_pointer: x86::RBP,
    link: None,
    syscall_number: x86::RAX,
    syscall_class: 0x0200_0000,
    syscall_arguments: &[x86::RDI, x86::RSI, x86::RDX, x86::R8 + 2, x86::R8, x86::R8 + 1],
    second_result: x86::RDX,
    carry: 1,
    preserved: &[x86::RBX, x86::RBP, x86::RSP, x86::R8 + 4, x86::R8 + 5, x86::R8 + 6, x86::R8 + 7],
    variadic_on_stack: false,
};

static ARM64: ArchInfo = ArchInfo {
    name: "arm64",
    cpu_type: 0x0100_000c,
    cpu_subtypes: &[0, 1],
    page_size: 0x4000,
    least_page_zero: 1 << 32,
    lenient: false,
    thread_state: ThreadState {
        flavor: 6,
        count: 68,
        general: &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
            24, 25, 26, 27, 28, 29, 30, 31,
        ],
        program_counter: 32,
    },
    arguments: &[0, 1, 2, 3, 4, 5, 6, 7],
    vector_arguments: 8,
    result: 0,
    stack_pointer: 31,
    frame_pointer: 29,
    link: Some(30),
    syscall_number: 16,
    syscall_class: 0,
    syscall_arguments: &[0, 1, 2, 3, 4, 5, 6, 7],
    second_result: 1,
    carry: 1 << 29,
    preserved: &[19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31],
    variadic_on_stack: true,
};

impl Arch {
    /// Both architectures.
    pub const ALL: [Arch; 2] = [Arch::X86_64, Arch::Arm64];

    /// The architecture's row.
    #[must_use]
    pub fn info(self) -> &'static ArchInfo {
        match self {
            Arch::X86_64 => &X86_64,
            Arch::Arm64 => &ARM64,
        }
    }

    /// The architecture of a Mach-O header's `cputype`.
    #[must_use]
    pub fn from_cpu_type(cpu_type: u32) -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| arch.info().cpu_type == cpu_type)
    }

    /// The page size in bytes.
    #[must_use]
    pub fn page_size(self) -> u64 {
        self.info().page_size
    }

    /// `address` rounded down to a page.
    #[must_use]
    pub fn page_down(self, address: u64) -> u64 {
        address & !(self.page_size() - 1)
    }

    /// `address` rounded up to a page; wraps at the top of the address space as the kernel's macro does.
    #[must_use]
    pub fn page_up(self, address: u64) -> u64 {
        self.page_down(address.wrapping_add(self.page_size() - 1))
    }
}
