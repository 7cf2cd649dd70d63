//! Calls into linked code.
//!
//! The program's code runs on the main thread, as it does in a program of its own: its stack, its signals and its thread-local variables
//! are the main thread's. What is asked for while that is busy, by another thread of the linking side, runs on a thread of its own.

use super::output::Output;
use super::sys;
use crate::wire::{Event, ImportsRecord, Reply};
use jitlink_core::Addr;
use jitlink_core::executor::{Executor, ExecutorError, PointerArray};
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A call.
#[derive(Debug)]
pub(super) enum Call {
    Load(String, Vec<PathBuf>),
    Import(ImportsRecord),
    Resolvers(Vec<Addr>),
    Arrays(Vec<PointerArray>),
    Main(Addr, Vec<CString>),
    ExitHandlers(Addr),
    Exit(i32),
}

#[derive(Debug)]
struct Job {
    number: u32,
    call: Call,
}

#[derive(Debug)]
struct Shared {
    executor: sys::Host,
    output: Output,
    is_busy: AtomicBool,
    /// What the last `main` returned.
    status: AtomicI32,
}

/// Where calls are asked for.
#[derive(Debug)]
pub(super) struct Caller {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
}

/// The main thread's part.
#[derive(Debug)]
pub(super) struct MainThread {
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
}

/// Both parts.
pub(super) fn calls(executor: sys::Host, output: Output) -> (Caller, MainThread) {
    let (sender, receiver) = channel();
    let shared = Shared { executor, output, is_busy: AtomicBool::new(false), status: AtomicI32::new(0) };
    let shared = Arc::new(shared);
    (Caller { shared: shared.clone(), jobs: sender }, MainThread { shared, jobs: receiver })
}

impl Caller {
    /// Has a call made, and answered under this number.
    pub(super) fn call(&self, number: u32, call: Call) {
        let job = Job { number, call };
        let job = match self.shared.is_busy.swap(true, Ordering::AcqRel) {
            false => match self.jobs.send(job) {
                Ok(()) => return,
                Err(error) => error.0,
            },
            true => job,
        };
        let shared = self.shared.clone();
        let started = std::thread::Builder::new().spawn(move || {
            sys::take_signals();
            sys::catch_crashes();
            let reply = shared.perform(job.call);
            shared.answer(job.number, &reply);
        });
        if let Err(error) = started {
            let reason = format!("the target cannot start a thread for the call: {error}");
            let _ = self.shared.output.send(number, &Reply::Failed(reason, String::new()));
        }
    }
}

impl MainThread {
    /// Makes calls until nobody can ask for more; what the last `main` returned.
    pub(super) fn run(self) -> i32 {
        sys::catch_crashes();
        let shared = self.shared.clone();
        let output = shared.output;
        sys::when_this_thread_ends(move || {
            // Nobody would answer the call that it was making.
            let reason = "the program's main thread has ended, and the process has not";
            output.event(&Event::Broken(reason.into()));
            sys::end_now(1);
        });
        self.serve(|number, reply| shared.answer(number, reply));
        shared.status.load(Ordering::Acquire)
    }

    /// Makes calls, and answers them.
    fn serve(self, answer: impl Fn(u32, &Reply)) {
        for job in self.jobs {
            let reply = self.shared.perform(job.call);
            // Before the answer, which may be followed by the next call at once: that is for this thread too.
            self.shared.is_busy.store(false, Ordering::Release);
            answer(job.number, &reply);
        }
    }
}

impl Shared {
    #[allow(unsafe_code, reason = "runs linked code, which is what this program is for")]
    fn perform(&self, call: Call) -> Reply {
        let executor = &self.executor;
        // SAFETY: the linking side asks for these calls. Whoever asked it has vouched for the code, and keeps its memory
        // until the answer; that the addresses are in that memory was checked.
        let result: Result<Reply, ExecutorError> = unsafe {
            match call {
                Call::Load(name, search) => executor.load_library(&name, &search).map(|()| Reply::Done),
                Call::Import(imports) => sys::import(&imports).map(|found| {
                    let address = |address: Option<Addr>| address.map(|address| address.0);
                    found.map_or(Reply::Done, |found| Reply::Addresses(found.into_iter().map(address).collect()))
                }),
                Call::Resolvers(slots) => executor.run_resolvers(&slots).map(|()| Reply::Done),
                Call::Arrays(arrays) => executor.run_arrays(&arrays).map(|()| Reply::Done),
                Call::ExitHandlers(handle) => executor.run_exit_handlers(handle).map(|()| Reply::Done),
                Call::Main(entry, arguments) => {
                    // No linked code of this session needs what Rust sets up.
                    sys::end_by_closed_pipes();
                    if let Some(name) = arguments.first() {
                        sys::set_program_name(name);
                    }
                    executor.run_main(entry, &arguments).map(|status| {
                        self.status.store(status, Ordering::Release);
                        Reply::Status(status)
                    })
                }
                Call::Exit(status) => sys::end(status),
            }
        };
        result.unwrap_or_else(|error| Reply::Failed(error.reason, error.advice))
    }

    fn answer(&self, number: u32, reply: &Reply) {
        if self.output.send(number, reply).is_err() {
            // Nobody is there to ask for more.
            sys::end_now(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::sync::Mutex;

    #[test]
    fn a_call_that_follows_an_answer_is_for_the_main_thread() {
        let nothing = || File::options().read(true).write(true).open("/dev/null").unwrap();
        let output = Output::new(&nothing(), nothing()).unwrap();
        let (caller, main_thread) = calls(sys::host().unwrap(), output);
        let (caller, made) = (Mutex::new(Some(caller)), Mutex::new(Vec::new()));
        // No pointers, so no code.
        let ask = |caller: &Caller, number: u32| caller.call(number, Call::Arrays(Vec::new()));
        ask(caller.lock().unwrap().as_ref().unwrap(), 1);
        main_thread.serve(|number, reply| {
            assert!(matches!(reply, Reply::Done), "{reply:?}");
            made.lock().unwrap().push(number);
            // Nobody asks for a third.
            if let Some(caller) = caller.lock().unwrap().take() {
                ask(&caller, 2);
            }
        });
        assert_eq!(*made.lock().unwrap(), [1, 2]);
    }
}
