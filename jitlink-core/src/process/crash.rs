//! Reports of crashes in linked code.
//!
//! A debugger or a shell can say that a process died of a signal, but not where in a linked module. The handlers that [`install`] puts in
//! place say it on standard error, with the symbol and the object, and then let the signal take its course, so the exit status is
//! what it would have been. Crashes elsewhere go to whoever handled them before.
//!
//! The handlers run on a stack of their own, take no lock and allocate nothing. A program that installs handlers later replaces
//! them. Whoever links for this process from outside has crashes told to a function instead ([`report_to`]).

use super::context::{self, Interrupted, ReturnTo};
use super::modules;
use crate::addr::Addr;
use crate::executor::{Description, ExecutorError};
use std::ffi::{c_int, c_void};
use std::fmt::{self, Write};
use std::mem::{MaybeUninit, zeroed};
use std::sync::OnceLock;

/// What is told of crashes instead of standard error.
static REPORTER: OnceLock<fn(&Crash<'_>)> = OnceLock::new();

/// A crash, as a signal handler sees it.
#[derive(Clone, Copy, Debug)]
pub struct Crash<'c> {
    /// The signal's number.
    pub signal: i32,
    /// Its name, and what it means.
    pub name: &'static str,
    /// The address that the signal is about.
    pub address: Addr,
    /// The instruction, where this machine's registers are known.
    pub instruction: Option<Addr>,
    /// Where a call to nowhere would have returned to.
    pub return_to: Option<Addr>,
    /// The registers by name.
    pub registers: &'c [(&'static str, u64)],
}

/// Has crashes of any code of this process told to `report` instead of standard error, if no function was named before; whether that
/// was so. [`install`] puts the handlers in place.
///
/// `report` runs in a signal handler: it may not take locks that the crashed thread may hold, nor allocate.
pub fn report_to(report: fn(&Crash<'_>)) -> bool {
    REPORTER.set(report).is_ok()
}

/// The handlers' stack; more than any machine's registers and the report need.
const STACK: usize = 64 << 10;

const SIGNALS: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV: invalid memory access"),
    (libc::SIGBUS, "SIGBUS: memory that cannot be accessed"),
    (libc::SIGILL, "SIGILL: illegal instruction"),
    (libc::SIGFPE, "SIGFPE: arithmetic error"),
    (libc::SIGTRAP, "SIGTRAP: trap instruction"),
];

/// What handled each signal before.
static BEFORE: OnceLock<[Before; SIGNALS.len()]> = OnceLock::new();

#[derive(Clone, Copy)]
struct Before(libc::sigaction);

// SAFETY: a description of a handler is plain data: the address of a function, flags and a set of signals.
unsafe impl Send for Before {}
// SAFETY: as above.
unsafe impl Sync for Before {}

/// Installs the handlers, once in a process, and a stack for them in the calling thread. Later calls only provide a stack, for
/// threads in which linked code may overflow its own.
pub fn install() -> Result<(), ExecutorError> {
    provide_stack()
        .map_err(|error| ExecutorError::new(format!("cannot provide a stack for crash reports: {error}")))?;
    // What was there is read before any handler that may want it is in place.
    let mut first = false;
    BEFORE.get_or_init(|| {
        first = true;
        SIGNALS.map(|(signal, _)| {
            let mut before = MaybeUninit::zeroed();
            // SAFETY: asks what handles the signal; an all-zero answer (the default action) stands if that fails.
            Before(unsafe {
                libc::sigaction(signal, std::ptr::null(), before.as_mut_ptr());
                before.assume_init()
            })
        })
    });
    if !first {
        return Ok(());
    }
    for (signal, name) in SIGNALS {
        // SAFETY: an all-zero description is valid; `handle` has the type that SA_SIGINFO asks for and does only what a
        // handler may.
        let result = unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(signal, &action, std::ptr::null_mut())
        };
        if result != 0 {
            let error = std::io::Error::last_os_error();
            return Err(ExecutorError::new(format!("cannot handle {name}: {error}")));
        }
    }
    Ok(())
}

/// Gives the calling thread a stack for signal handlers, unless it has a sufficient one.
fn provide_stack() -> std::io::Result<()> {
    // SAFETY: asks for the present stack; the answer is checked.
    let present = unsafe {
        let mut present: libc::stack_t = zeroed();
        libc::sigaltstack(std::ptr::null(), &mut present);
        present
    };
    if present.ss_flags & libc::SS_DISABLE == 0 && present.ss_size >= STACK {
        return Ok(());
    }
    let span = super::map::Span::reserve(STACK as u64)?;
    span.open(0, STACK as u64)?;
    let stack = libc::stack_t { ss_sp: span.start() as *mut c_void, ss_flags: 0, ss_size: STACK };
    // The thread uses it until it ends, and nothing tells when.
    std::mem::forget(span);
    // SAFETY: the memory is writable, nobody else's, and stays.
    match unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

unsafe extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes the context of this signal; `errno` is this thread's.
    let (interrupted, errno) = unsafe { (context::interrupted(context), *libc::__errno_location()) };
    // SAFETY: the kernel passes a description of the signal.
    let address = Addr(unsafe { (*info).si_addr() } as u64);
    let reported = match REPORTER.get() {
        Some(reporter) => {
            tell_reporter(*reporter, signal, address, context);
            true
        }
        None => interrupted.is_some_and(|interrupted| report(signal, address, &interrupted)),
    };
    // SAFETY: restoring `errno` undoes what the calls above did to it.
    unsafe { *libc::__errno_location() = errno };
    let place = SIGNALS.iter().position(|(known, _)| *known == signal);
    let before = place.and_then(|place| Some(BEFORE.get()?[place].0));
    let chained = before.filter(|before| !reported && !matches!(before.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN));
    match chained {
        // SAFETY: what was installed as a handler is called as one, with this signal's arguments.
        Some(before) => unsafe {
            let handler = before.sa_sigaction as *const ();
            if before.sa_flags & libc::SA_SIGINFO != 0 {
                type Full = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
                std::mem::transmute::<*const (), Full>(handler)(signal, info, context);
            } else {
                type Short = unsafe extern "C" fn(c_int);
                std::mem::transmute::<*const (), Short>(handler)(signal);
            }
        },
        // The signal is blocked while its handler runs: raised again, it acts as soon as this returns, with the registers as
        // they were.
        // SAFETY: both calls may be made in a handler.
        None => unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        },
    }
}

fn tell_reporter(reporter: fn(&Crash<'_>), signal: c_int, address: Addr, context: *const c_void) {
    let mut registers = [("", 0); context::MOST_REGISTERS];
    // SAFETY: the caller has the context from the kernel, in the signal's handler.
    let (interrupted, count) = unsafe { (context::interrupted(context), context::registers(context, &mut registers)) };
    let instruction = interrupted.map(|interrupted| Addr(interrupted.instruction));
    let nowhere = signal == libc::SIGSEGV && instruction == Some(address);
    reporter(&Crash {
        signal,
        name: name_of(signal),
        address,
        instruction,
        return_to: interrupted.filter(|_| nowhere).and_then(|interrupted| return_address(interrupted.return_to)),
        registers: &registers[..count],
    });
}

fn name_of(signal: c_int) -> &'static str {
    SIGNALS.iter().find(|(known, _)| *known == signal).map_or("a signal", |(_, name)| name)
}

/// Writes a report if linked code was running. Whether it was.
fn report(signal: c_int, address: Addr, interrupted: &Interrupted) -> bool {
    let name = name_of(signal);
    let at = Addr(interrupted.instruction);
    let told = modules::with_module_at(at, |module| tell(name, address, ("in", at), module));
    if told.is_some() {
        return true;
    }
    // A call to nowhere: the caller is where it would return to.
    let nowhere = signal == libc::SIGSEGV && address == at;
    let back = if nowhere { return_address(interrupted.return_to) } else { None };
    back.and_then(|back| modules::with_module_at(back - 1, |module| tell(name, address, ("called from", back), module)))
        .is_some()
}

fn return_address(place: ReturnTo) -> Option<Addr> {
    let at = match place {
        ReturnTo::Address(address) => return Some(Addr(address)),
        ReturnTo::Stack(at) => at,
    };
    let mut word = 0_usize;
    let local = libc::iovec { iov_base: (&raw mut word).cast(), iov_len: size_of::<usize>() };
    let remote = libc::iovec { iov_base: at as *mut c_void, iov_len: size_of::<usize>() };
    // SAFETY: copies a word of this process into `word`, or fails where none can be read: the stack pointer may be anything.
    let copied = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    (copied == size_of::<usize>() as isize).then_some(Addr(word as u64))
}

fn tell(name: &str, address: Addr, (relation, at): (&str, Addr), module: &Description) {
    let mut text = Text { bytes: [0; 1024], used: 0 };
    // A text that is too long is cut; nothing here fails.
    let _ = write!(text, "jitlink: linked code crashed: {name} at {address}\n  {relation} ");
    let _ = module.write_place(&mut text, at, relation != "in");
    let _ = writeln!(text);
    // SAFETY: writes initialised bytes; a failure has nobody to be told to.
    unsafe { libc::write(libc::STDERR_FILENO, text.bytes.as_ptr().cast(), text.used) };
}

/// Text on the stack.
struct Text {
    bytes: [u8; 1024],
    used: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.used..];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.used += count;
        Ok(())
    }
}
