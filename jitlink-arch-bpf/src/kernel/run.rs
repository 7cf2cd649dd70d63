//! Running a program in the kernel without attaching it (`BPF_PROG_TEST_RUN`).

use super::error::KernelError;
use super::program::{KernelProgram, retry};
use super::sys::{self, Attr, Command};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// The kernel's number of the type `syscall`, whose programs change the context where it is.
const SYSCALL: u32 = 31;

/// What a program is run on.
#[derive(Clone, Debug)]
pub struct TestRun<'a> {
    /// The packet. Types that run on packets demand at least 14 bytes, others none.
    pub data: &'a [u8],
    /// How many bytes the packet may have grown by when the program ends.
    pub room: usize,
    /// The context as the kernel describes it for the type, such as `struct xdp_md`; empty for a default.
    pub context: &'a [u8],
    /// How often it runs; zero is once. Only the last run's result is given.
    pub repeat: u32,
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// What the program returned, as 32 bits.
    pub retval: u32,
    /// The packet when it ended.
    pub data: Vec<u8>,
    /// The context when it ended, as far as the kernel gives it back.
    pub context: Vec<u8>,
    /// The time of one run, as the kernel measured it, on average.
    pub duration: Duration,
}

impl Default for TestRun<'_> {
    fn default() -> Self {
        TestRun { data: &[], room: 1 << 12, context: &[], repeat: 0 }
    }
}

impl KernelProgram {
    /// Runs the program on what `run` gives, without attaching it. Types that cannot run this way are an error.
    pub fn test_run(&self, run: &TestRun<'_>) -> Result<TestResult, KernelError> {
        self.try_test_run(run).map_err(|error| KernelError::call(Command::TestRun, self.name(), error))
    }

    fn try_test_run(&self, run: &TestRun<'_>) -> io::Result<TestResult> {
        let room = if run.data.is_empty() { 0 } else { run.data.len().saturating_add(run.room) };
        let (mut data, mut context) = (vec![0; room], run.context.to_vec());
        let mut context_out = if self.kind() == SYSCALL { Vec::new() } else { vec![0; context.len()] };
        let mut attr = Attr::new(Command::TestRun);
        attr.set_fd(sys::run::PROGRAM, self.as_fd());
        attr.set(sys::run::REPEAT, run.repeat);
        attr.input(sys::run::DATA, run.data)?;
        attr.output(sys::run::DATA_OUT, &mut data)?;
        attr.output(sys::run::CONTEXT, &mut context)?;
        attr.output(sys::run::CONTEXT_OUT, &mut context_out)?;
        retry(|| attr.call().map(|_| ()))?;
        let (retval, nanoseconds) = (attr.value(sys::run::RESULT), attr.value(sys::run::DURATION));
        let (data_len, context_len) = (attr.count(sys::run::DATA_OUT), attr.count(sys::run::CONTEXT_OUT));
        data.truncate(data_len);
        if self.kind() == SYSCALL {
            context_out = context;
        } else {
            context_out.truncate(context_len);
        }
        let duration = Duration::from_nanos(nanoseconds.into());
        Ok(TestResult { retval, data, context: context_out, duration })
    }
}
