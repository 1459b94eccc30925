//! pthreads: threads are processor contexts that take turns, when one waits or has used up its slice of time. A function
//! that must wait is called again when its thread's turn comes.

use std::collections::HashMap;

use super::posix::{EDEADLK, EINVAL, ESRCH};
use super::{Row, STACKS};
use crate::engine::{Context, Protection};
use crate::kernel::stack::STACK_TOP;
use crate::process::{Flow, Process, Then, Trap};

/// Stack of a thread that asks for nothing else, in bytes.
const THREAD_STACK_SIZE: u64 = 512 << 10;
/// `PTHREAD_STACK_MIN`
const LEAST_STACK_SIZE: u64 = 16 << 10;

/// A thread.
#[derive(Default)]
pub struct Thread {
    /// Its `pthread_t`; 0 until somebody asks for the main thread's.
    handle: u64,
    /// Its registers, while others run.
    context: Option<Context>,
    /// What to do when functions return that the system entered on this thread.
    pub continuations: Vec<Then>,
    /// Where its `errno` is; 0 until it is needed.
    pub errno: u64,
    /// Its thread-local variables by image.
    pub thread_locals: HashMap<usize, u64>,
    /// Destructors of thread-local variables, with their arguments.
    pub destructors: Vec<(u64, u64)>,
    specific: HashMap<u64, u64>,
    stack_bottom: u64,
    stack_top: u64,
    finished: Option<u64>,
    waiting: Option<Waiting>,
}

/// A wait for a condition.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    condition: u64,
    signalled: bool,
}

/// The threads of a process.
pub struct Threads {
    all: Vec<Thread>,
    current: usize,
    /// Destructors of `pthread_key_create`, by key - 1.
    keys: Vec<u64>,
}

impl Threads {
    /// The main thread alone, on the stack that begins at `stack_bottom`.
    #[must_use]
    pub fn new(stack_bottom: u64) -> Threads {
        let main = Thread { stack_bottom, stack_top: STACK_TOP, ..Thread::default() };
        Threads { all: vec![main], current: 0, keys: Vec::new() }
    }

    /// The thread that runs.
    #[must_use]
    pub fn current(&self) -> &Thread {
        &self.all[self.current]
    }

    /// The thread that runs.
    pub fn current_mut(&mut self) -> &mut Thread {
        &mut self.all[self.current]
    }

    /// Whether no other thread is left.
    #[must_use]
    pub fn only_one(&self) -> bool {
        self.all.iter().filter(|thread| thread.finished.is_none()).count() <= 1
    }

    /// Leaves `context` for the current thread and makes the next one current: its registers.
    ///
    /// # Panics
    /// Never: if no other thread can run, the current one can.
    pub fn next(&mut self, context: Context) -> Context {
        self.current_mut().context = Some(context);
        self.advance().expect("the current thread can run")
    }

    /// Makes the next thread current when this one has ended; `None` if it was the last.
    pub fn next_after_end(&mut self) -> Option<Context> {
        self.advance()
    }

    fn advance(&mut self) -> Option<Context> {
        let count = self.all.len();
        let next = (1..=count)
            .map(|step| (self.current + step) % count)
            .find(|&index| self.all[index].context.is_some())?;
        self.current = next;
        self.all[next].context.take()
    }

    fn by_handle(&self, handle: u64) -> Option<usize> {
        self.all.iter().position(|thread| thread.handle == handle && handle != 0)
    }
}

/// Offsets in a guest's `pthread_mutex_t`: after the signature come owner (number of the thread + 1), depth and kind.
const MUTEX_OWNER: u64 = 8;
const MUTEX_DEPTH: u64 = 12;
const MUTEX_KIND: u64 = 16;
/// `PTHREAD_MUTEX_ERRORCHECK` and `PTHREAD_MUTEX_RECURSIVE`
const ERROR_CHECK: u32 = 1;
const RECURSIVE: u32 = 2;
/// Signature of `PTHREAD_RECURSIVE_MUTEX_INITIALIZER`.
const RECURSIVE_SIGNATURE: u32 = 0x32aa_aba2;
/// Offset of the stack's size in a guest's `pthread_attr_t`, and of the kind in a `pthread_mutexattr_t`.
const ATTRIBUTE: u64 = 8;

/// `pthread_…`
pub const FUNCTIONS: &[Row] = &[
    ("_pthread_create", |process, [result, attributes, start, argument, ..]| {
        create(process, result, attributes, start, argument)
    }),
    ("_pthread_join", |process, [handle, result, ..]| {
        let Some(index) = process.threads.by_handle(handle) else {
            return Ok(Flow::Return(ESRCH.into()));
        };
        if index == process.threads.current {
            return Ok(Flow::Return(EDEADLK.into()));
        }
        let Some(value) = process.threads.all[index].finished else { return Ok(Flow::Wait) };
        if result != 0 {
            process.space.write_u64(result, value)?;
        }
        Ok(Flow::Return(0))
    }),
    ("_pthread_exit", |process, [result, ..]| finish(process, result)),
    ("_pthread_detach", |_, _| Ok(Flow::Return(0))),
    ("_pthread_self", |process, _| {
        if process.threads.current().handle == 0 {
            let handle = super::memory::allocate_zeroed(process, 64)?;
            process.threads.current_mut().handle = handle;
        }
        Ok(Flow::Return(process.threads.current().handle))
    }),
    ("_pthread_equal", |_, [left, right, ..]| Ok(Flow::Return((left == right).into()))),
    ("_pthread_main_np", |process, _| Ok(Flow::Return((process.threads.current == 0).into()))),
    ("_pthread_threadid_np", |process, [_, result, ..]| {
        let id = process.threads.current as u64 + 1;
        process.space.write_u64(result, id)?;
        Ok(Flow::Return(0))
    }),
    ("_pthread_get_stackaddr_np", |process, [handle, ..]| {
        of_thread(process, handle, |thread| thread.stack_top)
    }),
    ("_pthread_get_stacksize_np", |process, [handle, ..]| {
        of_thread(process, handle, |thread| thread.stack_top - thread.stack_bottom)
    }),
    ("_sched_yield", |process, _| Ok(yield_turn(process))),
    ("_pthread_yield_np", |process, _| Ok(yield_turn(process))),
    ("_pthread_attr_init", |process, [attributes, ..]| {
        process.space.write(attributes, &[0; 64])?;
        process.space.write_u64(attributes + ATTRIBUTE, THREAD_STACK_SIZE)?;
        Ok(Flow::Return(0))
    }),
    ("_pthread_attr_destroy", |_, _| Ok(Flow::Return(0))),
    ("_pthread_attr_setdetachstate", |_, _| Ok(Flow::Return(0))),
    ("_pthread_attr_setstacksize", |process, [attributes, size, ..]| {
        if size < LEAST_STACK_SIZE || process.arch().page_down(size) != size {
            return Ok(Flow::Return(EINVAL.into()));
        }
        process.space.write_u64(attributes + ATTRIBUTE, size)?;
        Ok(Flow::Return(0))
    }),
    ("_pthread_attr_getstacksize", |process, [attributes, result, ..]| {
        let size = process.space.read_u64(attributes + ATTRIBUTE)?;
        process.space.write_u64(result, size)?;
        Ok(Flow::Return(0))
    }),
    ("_pthread_mutexattr_init", |process, [attributes, ..]| {
        process.space.write(attributes, &[0; 16])?;
        Ok(Flow::Return(0))
    }),
    ("_pthread_mutexattr_settype", |process, [attributes, kind, ..]| {
        process.space.write_u64(attributes + ATTRIBUTE, kind)?;
        Ok(Flow::Return(0))
    }),
    ("_pthread_mutexattr_destroy", |_, _| Ok(Flow::Return(0))),
    ("_pthread_mutex_init", |process, [mutex, attributes, ..]| {
        let kind =
            if attributes == 0 { 0 } else { process.space.read_u32(attributes + ATTRIBUTE)? };
        process.space.write(mutex, &[0; 64])?;
        process.space.write_u32(mutex + MUTEX_KIND, kind)?;
        Ok(Flow::Return(0))
    }),
    ("_pthread_mutex_destroy", |_, _| Ok(Flow::Return(0))),
    ("_pthread_mutex_lock", |process, [mutex, ..]| lock(process, mutex, Flow::Wait)),
    ("_pthread_mutex_trylock", |process, [mutex, ..]| {
        const EBUSY: u64 = 16;
        lock(process, mutex, Flow::Return(EBUSY))
    }),
    ("_pthread_mutex_unlock", |process, [mutex, ..]| unlock(process, mutex)),
    ("_pthread_cond_init", |_, _| Ok(Flow::Return(0))),
    ("_pthread_cond_destroy", |_, _| Ok(Flow::Return(0))),
    ("_pthread_cond_wait", |process, [condition, mutex, ..]| wait(process, condition, mutex)),
    ("_pthread_cond_signal", |process, [condition, ..]| Ok(wake(process, condition, 1))),
    ("_pthread_cond_broadcast", |process, [condition, ..]| {
        Ok(wake(process, condition, usize::MAX))
    }),
    ("_pthread_once", |process, [once, function, ..]| {
        if process.space.read_u64(once + 8)? != 0 {
            return Ok(Flow::Return(0));
        }
        process.space.write_u64(once + 8, 1)?;
        let context = process.save();
        process.enter(
            function,
            &[],
            Box::new(move |process, _| {
                process.engine().restore(&context);
                Ok(Flow::Return(0))
            }),
        )
    }),
    ("_pthread_key_create", |process, [result, destructor, ..]| {
        process.threads.keys.push(destructor);
        let key = process.threads.keys.len() as u64;
        process.space.write_u64(result, key)?;
        Ok(Flow::Return(0))
    }),
    ("_pthread_key_delete", |_, _| Ok(Flow::Return(0))),
    ("_pthread_setspecific", |process, [key, value, ..]| {
        process.threads.current_mut().specific.insert(key, value);
        Ok(Flow::Return(0))
    }),
    ("_pthread_getspecific", |process, [key, ..]| {
        Ok(Flow::Return(process.threads.current().specific.get(&key).copied().unwrap_or(0)))
    }),
    ("_pthread_jit_write_protect_np", |_, _| {
        Err(Trap::unsupported("pthread_jit_write_protect_np"))
    }),
];

fn of_thread(process: &mut Process, handle: u64, value: fn(&Thread) -> u64) -> Result<Flow, Trap> {
    let index =
        process.threads.by_handle(handle).ok_or_else(|| super::process::abort("no such thread"))?;
    Ok(Flow::Return(value(&process.threads.all[index])))
}

fn create(
    process: &mut Process,
    result: u64,
    attributes: u64,
    start: u64,
    argument: u64,
) -> Result<Flow, Trap> {
    let size = if attributes == 0 {
        THREAD_STACK_SIZE
    } else {
        process.space.read_u64(attributes + ATTRIBUTE)?
    };
    let page = process.arch().page_size();
    // An attribute that nobody initialised: no stack can have that size.
    let size = if (LEAST_STACK_SIZE..1 << 40).contains(&size) {
        process.arch().page_up(size)
    } else {
        THREAD_STACK_SIZE
    };
    let guard = process.space.free_range(STACKS, size + page);
    let bottom = guard + page;
    let mapped = process
        .space
        .map(guard, page, Protection::NONE, Protection::NONE, "thread stack guard")
        .and_then(|()| {
            process.space.map(
                bottom,
                size,
                Protection::READ_WRITE,
                Protection::READ_WRITE,
                "thread stack",
            )
        });
    if mapped.is_err() {
        const EAGAIN: u64 = 35;
        return Ok(Flow::Return(EAGAIN));
    }
    let handle = super::memory::allocate_zeroed(process, 64)?;
    process.space.write_u64(result, handle)?;

    // The new thread's first registers are made with the processor itself, on the new thread's behalf.
    let creator = process.threads.current;
    let context = process.save();
    process.threads.current = process.threads.all.len();
    process.threads.all.push(Thread {
        handle,
        stack_bottom: bottom,
        stack_top: bottom + size,
        ..Thread::default()
    });
    process.set_stack_pointer(bottom + size);
    process.enter(start, &[argument], Box::new(finish))?;
    let first = process.save();
    process.threads.current_mut().context = Some(first);
    process.threads.current = creator;
    process.engine().restore(&context);
    Ok(Flow::Return(0))
}

/// The end of a thread: destructors of its thread-local variables and of its keys, then the others go on.
fn finish(process: &mut Process, result: u64) -> Result<Flow, Trap> {
    if let Some((function, argument)) = process.threads.current_mut().destructors.pop() {
        return process.enter(
            function,
            &[argument],
            Box::new(move |process, _| finish(process, result)),
        );
    }
    let threads = &mut process.threads;
    let keys: Vec<u64> = threads.current().specific.keys().copied().collect();
    for key in keys {
        let value = threads.current_mut().specific.remove(&key).unwrap_or(0);
        let destructor = usize::try_from(key)
            .ok()
            .and_then(|key| threads.keys.get(key.checked_sub(1)?))
            .copied()
            .unwrap_or(0);
        if destructor != 0 && value != 0 {
            return process.enter(
                destructor,
                &[value],
                Box::new(move |process, _| finish(process, result)),
            );
        }
    }
    threads.current_mut().finished = Some(result);
    process.leave_thread()
}

/// Lets the others run once; the second time the call is made, it returns.
fn yield_turn(process: &mut Process) -> Flow {
    if process.threads.only_one() || process.threads.current_mut().waiting.take().is_some() {
        return Flow::Return(0);
    }
    process.threads.current_mut().waiting = Some(Waiting { condition: 0, signalled: true });
    Flow::Wait
}

fn own_number(process: &Process) -> u32 {
    u32::try_from(process.threads.current + 1).expect("there are few threads")
}

/// Locks a mutex, or gives `busy` when another thread has it.
fn lock(process: &mut Process, mutex: u64, busy: Flow) -> Result<Flow, Trap> {
    let own = own_number(process);
    let owner = process.space.read_u32(mutex + MUTEX_OWNER)?;
    let kind = if process.space.read_u32(mutex)? == RECURSIVE_SIGNATURE {
        RECURSIVE
    } else {
        process.space.read_u32(mutex + MUTEX_KIND)?
    };
    if owner == own && kind == RECURSIVE {
        let depth = process.space.read_u32(mutex + MUTEX_DEPTH)?;
        process.space.write_u32(mutex + MUTEX_DEPTH, depth + 1)?;
        return Ok(Flow::Return(0));
    }
    if owner == own && kind == ERROR_CHECK {
        return Ok(Flow::Return(EDEADLK.into()));
    }
    if owner != 0 {
        return Ok(busy);
    }
    process.space.write_u32(mutex + MUTEX_OWNER, own)?;
    process.space.write_u32(mutex + MUTEX_DEPTH, 1)?;
    Ok(Flow::Return(0))
}

fn unlock(process: &mut Process, mutex: u64) -> Result<Flow, Trap> {
    const EPERM: u64 = 1;
    if process.space.read_u32(mutex + MUTEX_OWNER)? != own_number(process) {
        return Ok(Flow::Return(EPERM));
    }
    let depth = process.space.read_u32(mutex + MUTEX_DEPTH)?.saturating_sub(1);
    process.space.write_u32(mutex + MUTEX_DEPTH, depth)?;
    if depth == 0 {
        process.space.write_u32(mutex + MUTEX_OWNER, 0)?;
    }
    Ok(Flow::Return(0))
}

fn wait(process: &mut Process, condition: u64, mutex: u64) -> Result<Flow, Trap> {
    match process.threads.current().waiting {
        None => {
            unlock(process, mutex)?;
            process.threads.current_mut().waiting = Some(Waiting { condition, signalled: false });
            Ok(Flow::Wait)
        }
        Some(Waiting { signalled: false, .. }) => Ok(Flow::Wait),
        Some(_) => {
            let flow = lock(process, mutex, Flow::Wait)?;
            if matches!(flow, Flow::Return(_)) {
                process.threads.current_mut().waiting = None;
            }
            Ok(flow)
        }
    }
}

fn wake(process: &mut Process, condition: u64, most: usize) -> Flow {
    let waiting = process.threads.all.iter_mut().filter_map(|thread| thread.waiting.as_mut());
    for waiting in
        waiting.filter(|waiting| waiting.condition == condition && !waiting.signalled).take(most)
    {
        waiting.signalled = true;
    }
    Flow::Return(0)
}
