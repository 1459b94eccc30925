//! The first stack: `create_unix_stack` and `exec_copyout_strings`. From the stack pointer up there are argc, argv, 0,
//! envp, 0, apple, 0, and the strings.

use super::Entry;
use crate::engine::{Engine, Protection};
use crate::space::{Fault, MapError, Space};

/// First address above the main thread's stack.
pub const STACK_TOP: u64 = 0x1700_0000_0000;
/// What the kernel reserves for the stack where a program asks for no size (`MAXSSIZ`): below the limit nothing can be touched.
const RESERVED: u64 = 64 << 20;
/// The label of the region below a main thread's stack: a fault there is `SIGSEGV` (`handle_ux_exception`).
pub const STACK_GUARD: &str = "stack guard";
/// `RLIMIT_STACK`, where a program asks for nothing else.
pub const DEFAULT_STACK_SIZE: u64 = 8 << 20;

/// No stack reaches below: libraries and heap are there.
const LOWEST_STACK: u64 = 0x1600_0000_0000;

/// Where the kernel left the vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are main's own")]
pub struct Vectors {
    /// The stack pointer, which points to `argc`.
    pub stack_pointer: u64,
    /// Lowest address of the stack.
    pub stack_bottom: u64,
    pub argc: u64,
    pub argv: u64,
    pub envp: u64,
    pub apple: u64,
}

/// Maps the stack and writes the vectors. `path` is what `executable_path=` says.
///
/// # Errors
/// When the stack cannot be mapped, or the strings do not fit on it.
///
/// # Panics
/// Never: what it writes to has just been mapped.
pub fn create(
    space: &mut Space,
    entry: &Entry,
    path: &str,
    arguments: &[Vec<u8>],
    environment: &[Vec<u8>],
) -> Result<Vectors, MapError> {
    let page = space.arch().page_size();
    let (size, guard) = match entry {
        Entry::Main { stack_size, .. } if *stack_size > 0 => {
            (space.arch().page_up(*stack_size), page)
        }
        _ => (DEFAULT_STACK_SIZE, RESERVED - DEFAULT_STACK_SIZE),
    };
    let bottom = STACK_TOP
        .checked_sub(size)
        .filter(|bottom| *bottom > LOWEST_STACK)
        .ok_or(MapError::Range)?;
    space.map(bottom - guard, guard, Protection::NONE, Protection::NONE, STACK_GUARD)?;
    space.map(bottom, size, Protection::READ_WRITE, Protection::READ_WRITE, "stack")?;

    // Fixed values where the kernel has random ones: a run can be repeated.
    let apple = [
        format!("executable_path={path}"),
        "ptr_munge=0x5bd1e995a7c3f00d".to_owned(),
        "stack_guard=0x00c0ffee5eed1234".to_owned(),
        "malloc_entropy=0x1122334455667788,0x99aabbccddeeff00".to_owned(),
        format!("main_stack={STACK_TOP:#x},{size:#x},{bottom:#x},{size:#x}"),
        "executable_file=0x1a01000010,0x1".to_owned(),
    ]
    .map(String::into_bytes);
    let groups = [arguments, environment, &apple];

    let strings_size: u64 =
        groups.iter().flat_map(|group| group.iter()).map(|string| string.len() as u64 + 1).sum();
    let word_count = 1 + groups.iter().map(|group| group.len() as u64 + 1).sum::<u64>();
    let strings = (STACK_TOP - strings_size - 16) & !15;
    let stack_pointer = (strings - word_count * 8) & !15;
    if stack_pointer < bottom + page {
        return Err(MapError::Range);
    }
    write(space, stack_pointer, strings, arguments.len() as u64, groups)
        .expect("the stack was just mapped");

    let argv = stack_pointer + 8;
    let envp = argv + 8 * (arguments.len() as u64 + 1);
    let apple = envp + 8 * (environment.len() as u64 + 1);
    Ok(Vectors {
        stack_pointer,
        stack_bottom: bottom,
        argc: arguments.len() as u64,
        argv,
        envp,
        apple,
    })
}

fn write(
    space: &mut Space,
    stack_pointer: u64,
    strings: u64,
    argc: u64,
    groups: [&[Vec<u8>]; 3],
) -> Result<(), Fault> {
    let (mut word, mut string) = (stack_pointer, strings);
    let mut push = |space: &mut Space, value: u64| {
        space.write_u64(word, value)?;
        word += 8;
        Ok(())
    };
    push(space, argc)?;
    for group in groups {
        for text in group {
            push(space, string)?;
            space.write(string, text)?;
            string += text.len() as u64 + 1;
        }
        push(space, 0)?;
    }
    Ok(())
}

/// Sets the registers from the words of an `LC_UNIXTHREAD`; a stack pointer of 0 means the stack that the kernel made.
pub fn enter_thread(engine: &mut dyn Engine, words: &[u64], slide: u64, stack_pointer: u64) {
    let info = engine.arch().info();
    for (register, &word) in info.thread_state.general.iter().enumerate() {
        engine.set_general(register, words[word]);
    }
    if engine.general(info.stack_pointer) == 0 {
        engine.set_general(info.stack_pointer, stack_pointer);
    }
    engine.set_program_counter(words[info.thread_state.program_counter].wrapping_add(slide));
}
