//! A process: its memory, threads and libSystem state, and the loop that runs it. The engine runs until the guest calls
//! libSystem (by jumping to an address where nothing is), enters the kernel, faults, or has used up its slice.

use std::time::{Duration, Instant};

use crate::arch::Arch;
use crate::dyld::image::Image;
use crate::engine::{Access, Context, Engine, Stop};
use crate::kernel::stack::Vectors;
use crate::rule::Refusal;
use crate::space::{Fault, Space};
use crate::system::signals::{self, Signal};
use crate::system::threads::Threads;
use crate::system::{self, System};

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// The guest exited with this status.
    Exit(u8),
    /// A signal ended the guest; with a report for people, empty in a child that the guest has forked.
    Signal(Signal, String),
    /// The guest ran longer than it may, or all its threads wait for each other.
    Stopped(String),
    /// xnu or dyld would not run the file.
    Refused(Refusal),
    /// The file may be right, but the small macOS lacks something.
    Unsupported(String),
}

/// What interrupts a system function other than its result.
#[derive(Debug)]
pub enum Trap {
    /// A memory access that the guest's own code could not have made either.
    Fault(Fault),
    /// The process is over.
    End(Ending),
}

impl From<Fault> for Trap {
    fn from(fault: Fault) -> Trap {
        Trap::Fault(fault)
    }
}

impl From<Refusal> for Trap {
    fn from(refusal: Refusal) -> Trap {
        Trap::End(Ending::Refused(refusal))
    }
}

impl Trap {
    /// The small macOS lacks `what`.
    pub fn unsupported(what: impl Into<String>) -> Trap {
        Trap::End(Ending::Unsupported(what.into()))
    }
}

/// What the guest does after a system function.
#[derive(Debug)]
pub enum Flow {
    /// Returns this integer to its caller.
    Return(u64),
    /// Returns this floating-point number.
    ReturnDouble(f64),
    /// Goes on from the registers as they are: the function has set them.
    Resume,
    /// Waits: other threads run, then the call is made again.
    Wait,
}

/// What happens when a guest function that the system entered returns, with its result.
pub type Then = Box<dyn FnOnce(&mut Process, u64) -> Result<Flow, Trap>>;

/// A process.
pub struct Process {
    /// Memory and processor.
    pub space: Space,
    /// The images: the program, then its libraries, in the order of loading.
    pub images: Vec<Image>,
    /// The threads.
    pub threads: Threads,
    /// What libSystem knows.
    pub system: System,
    /// The vectors on the first stack.
    pub vectors: Vectors,
    /// Whether this is the child of a fork of the guest: what ends it, its parent reports.
    pub is_child: bool,
    deadline: Instant,
    limit: Duration,
    /// Depth of [`Process::call`]s that wait, in which threads are not switched.
    waiting_calls: u32,
}

impl Process {
    /// A process that is ready to get its registers.
    #[must_use]
    pub fn new(space: Space, vectors: Vectors, system: System, limit: Duration) -> Process {
        let threads = Threads::new(vectors.stack_bottom);
        Process {
            space,
            images: Vec::new(),
            threads,
            system,
            vectors,
            is_child: false,
            deadline: Instant::now() + limit,
            limit,
            waiting_calls: 0,
        }
    }

    /// The architecture.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.space.arch()
    }

    /// The engine, for its registers.
    pub fn engine(&mut self) -> &mut dyn Engine {
        self.space.engine.as_mut()
    }

    /// The `index`th integer argument of the function that the guest just called.
    #[must_use]
    pub fn argument(&self, index: usize) -> u64 {
        self.space.engine.general(self.arch().info().arguments[index])
    }

    /// The `index`th floating-point argument.
    #[must_use]
    pub fn double_argument(&self, index: usize) -> f64 {
        f64::from_bits(low_half(self.space.engine.vector(index)))
    }

    /// The stack pointer.
    #[must_use]
    pub fn stack_pointer(&self) -> u64 {
        self.space.engine.general(self.arch().info().stack_pointer)
    }

    /// Sets the stack pointer.
    pub fn set_stack_pointer(&mut self, address: u64) {
        let register = self.arch().info().stack_pointer;
        self.engine().set_general(register, address);
    }

    /// Runs until the process ends.
    pub fn run(&mut self) -> Ending {
        loop {
            match self.step() {
                Err(Trap::End(Ending::Signal(signal, _))) if self.is_child => {
                    return Ending::Signal(signal, String::new());
                }
                Err(Trap::End(ending)) => return ending,
                Ok(()) | Err(Trap::Fault(_)) => {}
            }
        }
    }

    /// Runs to the next stop and handles it; memory faults become signals here.
    fn step(&mut self) -> Result<(), Trap> {
        let stop = self.space.engine.run();
        match self.handle(stop) {
            Err(Trap::Fault(fault)) => {
                signals::raise_fault(self, Stop::Memory(fault.access, fault.address))
            }
            other => other,
        }
    }

    fn handle(&mut self, stop: Stop) -> Result<(), Trap> {
        match stop {
            Stop::Memory(Access::Execute, address) if system::is_stub(address) => {
                self.call_system(address)
            }
            Stop::SystemCall => system::syscalls::enter(self),
            Stop::Slice => {
                if Instant::now() > self.deadline {
                    return Err(Trap::End(Ending::Stopped(format!(
                        "it ran for {} seconds",
                        self.limit.as_secs_f32()
                    ))));
                }
                self.switch_thread();
                Ok(())
            }
            fault => signals::raise_fault(self, fault),
        }
    }

    /// Performs a call of libSystem, or the return from a function that the system entered.
    fn call_system(&mut self, address: u64) -> Result<(), Trap> {
        let flow = if address == system::RETURN_STUB {
            let result = self.space.engine.general(self.arch().info().result);
            let then =
                self.threads.current_mut().continuations.pop().ok_or_else(|| {
                    Trap::unsupported("a return to the system that was not called")
                })?;
            then(self, result)?
        } else {
            self.check_stack_alignment(address)?;
            system::call(self, address)?
        };
        match flow {
            Flow::Return(value) => {
                let register = self.arch().info().result;
                self.engine().set_general(register, value);
                self.return_to_caller()
            }
            Flow::ReturnDouble(value) => {
                self.engine().set_vector(0, u128::from(value.to_bits()));
                self.return_to_caller()
            }
            Flow::Resume => Ok(()),
            Flow::Wait => self.switch_from_waiting(),
        }
    }

    /// A misaligned stack crashes inside Apple's functions (`movaps`, or the stack alignment check of arm64), so it does here.
    fn check_stack_alignment(&self, address: u64) -> Result<(), Trap> {
        let pushed = if self.arch().info().link.is_some() { 0 } else { 8 };
        let stack_pointer = self.stack_pointer();
        if stack_pointer.wrapping_add(pushed).is_multiple_of(16) {
            return Ok(());
        }
        let name = system::stub_name(address).unwrap_or("libSystem");
        let report = format!(
            "{name} was called with the stack pointer {stack_pointer:#x}, which is misaligned"
        );
        Err(Trap::End(Ending::Signal(Signal::Segv, report)))
    }

    fn return_to_caller(&mut self) -> Result<(), Trap> {
        let address = if let Some(link) = self.arch().info().link {
            self.space.engine.general(link)
        } else {
            let stack_pointer = self.stack_pointer();
            let address = self.space.read_u64(stack_pointer)?;
            self.set_stack_pointer(stack_pointer.wrapping_add(8));
            address
        };
        self.engine().set_program_counter(address);
        Ok(())
    }

    /// Makes the current thread call `function`; `then` is done when it returns.
    ///
    /// # Errors
    /// A fault, when the stack cannot hold the return address.
    pub fn enter(&mut self, function: u64, arguments: &[u64], then: Then) -> Result<Flow, Trap> {
        /// Below the stack pointer the System V ABI leaves leaf functions this many bytes.
        const RED_ZONE: u64 = 128;
        let info = self.arch().info();
        let aligned = self.stack_pointer().wrapping_sub(RED_ZONE) & !15;
        if let Some(link) = info.link {
            self.engine().set_general(link, system::RETURN_STUB);
            self.set_stack_pointer(aligned);
        } else {
            self.space.write_u64(aligned.wrapping_sub(8), system::RETURN_STUB)?;
            self.set_stack_pointer(aligned.wrapping_sub(8));
        }
        for (&register, &value) in info.arguments.iter().zip(arguments) {
            self.engine().set_general(register, value);
        }
        self.engine().set_program_counter(function);
        self.threads.current_mut().continuations.push(then);
        Ok(Flow::Resume)
    }

    /// Calls `function` and waits for its result, for system functions that need one in their middle (`qsort`).
    ///
    /// # Errors
    /// Whatever ends the process meanwhile.
    ///
    /// # Panics
    /// Never: the function has returned when the loop is left, and its continuation leaves the result.
    pub fn call(&mut self, function: u64, arguments: &[u64]) -> Result<u64, Trap> {
        let context = self.space.engine.save();
        let depth = self.threads.current().continuations.len();
        self.enter(
            function,
            arguments,
            Box::new(|process, result| {
                process.system.call_result = Some(result);
                Ok(Flow::Resume)
            }),
        )?;
        self.waiting_calls += 1;
        while self.threads.current().continuations.len() > depth {
            self.step()?;
        }
        self.waiting_calls -= 1;
        self.space.engine.restore(&context);
        Ok(self
            .system
            .call_result
            .take()
            .expect("the continuation that ended the loop has left it"))
    }

    /// Takes the processor state of the current thread.
    #[must_use]
    pub fn save(&self) -> Context {
        self.space.engine.save()
    }

    /// Lets the next thread that can run go on, if there is one.
    fn switch_thread(&mut self) {
        if self.waiting_calls == 0 && !self.threads.only_one() {
            let context = self.save();
            let next = self.threads.next(context);
            self.space.engine.restore(&next);
        }
    }

    /// The current thread waits: others run until it can go on.
    fn switch_from_waiting(&mut self) -> Result<(), Trap> {
        if Instant::now() > self.deadline {
            return Err(Trap::End(Ending::Stopped("its threads wait for each other".into())));
        }
        if self.threads.only_one() || self.waiting_calls > 0 {
            return Err(Trap::End(Ending::Stopped("it waits for what no thread can do".into())));
        }
        self.switch_thread();
        Ok(())
    }

    /// The current thread is finished: another goes on.
    ///
    /// # Errors
    /// The end of the process, when there is none.
    pub fn leave_thread(&mut self) -> Result<Flow, Trap> {
        if let Some(context) = self.threads.next_after_end() {
            self.space.engine.restore(&context);
            Ok(Flow::Resume)
        } else {
            system::process::exit(self, 0)
        }
    }
}

/// The low 64 bits.
pub(crate) fn low_half(value: u128) -> u64 {
    u64::try_from(value & u128::from(u64::MAX)).expect("masked")
}
