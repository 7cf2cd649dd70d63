//! Threads whose stack is used up, and threads that end before the process.
//!
//! Who handles an exception is found out on the stack of the thread. Where no stack is left for that, Windows ends the process, and
//! Wine the thread alone, for which others may wait for ever. So the first handler of all, which needs little of the stack, notes what
//! happened, and a thread that waits for the end of the other tells it then. A thread that ends as threads do has no note left.

use super::{crash, end_now};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use windows_sys::Win32::Foundation::{EXCEPTION_STACK_OVERFLOW, WAIT_OBJECT_0};
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, EXCEPTION_CONTINUE_SEARCH, EXCEPTION_POINTERS,
};
use windows_sys::Win32::System::Threading::{
    CreateEventA, GetCurrentThreadId, INFINITE, OpenThread, SetEvent, THREAD_SYNCHRONIZE, WaitForSingleObject,
};

/// The thread whose stack was used up last, by its number; zero if it has ended since. Of two at once one is told.
static THREAD: AtomicU32 = AtomicU32::new(0);

/// Where it was: its instruction and its registers.
static INSTRUCTION: AtomicU64 = AtomicU64::new(0);
static REGISTERS: [AtomicU64; crash::REGISTERS.len()] = [const { AtomicU64::new(0) }; crash::REGISTERS.len()];

/// Signalled for each note.
static NOTED: OnceLock<OwnedHandle> = OnceLock::new();

/// A crash is being told, after which the process ends.
static IS_TOLD: AtomicBool = AtomicBool::new(false);

/// Has it told when a thread ends because its stack is used up. Without memory for that, all else is as it was.
pub(super) fn watch() {
    // SAFETY: makes an event that nobody else knows, which is reset by whoever waits for it.
    let event = unsafe { CreateEventA(std::ptr::null(), 0, 0, std::ptr::null()) };
    if event.is_null() {
        return;
    }
    // SAFETY: the handle is this one's own.
    let event = NOTED.get_or_init(|| unsafe { OwnedHandle::from_raw_handle(event) });
    let watcher = std::thread::Builder::new().name("jitlink-overflow".into()).spawn(move || {
        loop {
            // SAFETY: the event stays for as long as the process.
            unsafe { WaitForSingleObject(event.as_raw_handle(), INFINITE) };
            let thread = THREAD.load(Ordering::Acquire);
            wait(thread);
            ended(thread);
        }
    });
    if watcher.is_ok() {
        // SAFETY: the function has the type that is asked for, and is there for as long as the process.
        unsafe { AddVectoredExceptionHandler(1, Some(note)) };
    }
}

/// Calls `then` on another thread if this one ends before the process, and not by such a crash.
pub(in crate::server) fn when_this_thread_ends(then: impl FnOnce() + Send + 'static) {
    // SAFETY: asks for a number.
    let thread = unsafe { GetCurrentThreadId() };
    // Without this thread the end is not told, and all else is as it was.
    let _ = std::thread::Builder::new().name("jitlink-watch".into()).spawn(move || {
        wait(thread);
        ended(thread);
        if !IS_TOLD.load(Ordering::Acquire) {
            then();
        }
    });
}

/// Waits for the end of a thread.
fn wait(thread: u32) {
    has_ended(thread, INFINITE);
}

/// Waits for the end of a thread for so many milliseconds; whether it has ended.
fn has_ended(thread: u32, milliseconds: u32) -> bool {
    // SAFETY: asks for a handle to wait with; a thread that is gone has none.
    let handle: RawHandle = unsafe { OpenThread(THREAD_SYNCHRONIZE, 0, thread) };
    if handle.is_null() {
        return true;
    }
    // SAFETY: the handle is open and nobody else's.
    let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
    // SAFETY: the handle is open.
    unsafe { WaitForSingleObject(handle.as_raw_handle(), milliseconds) == WAIT_OBJECT_0 }
}

/// A thread has ended: if there is a note of it, the crash is told, and the process ends.
fn ended(thread: u32) {
    if THREAD.load(Ordering::Acquire) != thread || thread == 0 || IS_TOLD.swap(true, Ordering::AcqRel) {
        return;
    }
    let mut registers = [("", 0); crash::REGISTERS.len()];
    for ((register, name), value) in registers.iter_mut().zip(crash::REGISTERS).zip(&REGISTERS) {
        *register = (name, value.load(Ordering::Relaxed));
    }
    let instruction = INSTRUCTION.load(Ordering::Relaxed);
    crash::tell(EXCEPTION_STACK_OVERFLOW, instruction, instruction, &registers);
    end_now(EXCEPTION_STACK_OVERFLOW);
}

/// The program has ended by itself: if a thread is gone for which there is a note, that crash comes first, and this does not return.
pub(super) fn check() {
    let thread = THREAD.load(Ordering::Acquire);
    if thread != 0 && has_ended(thread, 0) {
        ended(thread);
    }
    while IS_TOLD.load(Ordering::Acquire) {
        std::thread::park();
    }
}

/// The calling thread ends as threads do.
pub(super) fn forget() {
    // SAFETY: asks for a number.
    let thread = unsafe { GetCurrentThreadId() };
    // Most often there is no note, or one of another thread.
    let _ = THREAD.compare_exchange(thread, 0, Ordering::AcqRel, Ordering::Relaxed);
}

/// The first handler: notes where a stack was used up, and leaves the exception to others.
unsafe extern "system" fn note(pointers: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system gives both records.
    let (record, context) = unsafe { (&*(*pointers).ExceptionRecord, &*(*pointers).ContextRecord) };
    if record.ExceptionCode == EXCEPTION_STACK_OVERFLOW {
        INSTRUCTION.store(record.ExceptionAddress as u64, Ordering::Relaxed);
        for (place, value) in REGISTERS.iter().zip(crash::values(context)) {
            place.store(value, Ordering::Relaxed);
        }
        // SAFETY: asks for a number; the event stays for as long as the process.
        unsafe {
            THREAD.store(GetCurrentThreadId(), Ordering::Release);
            NOTED.get().map(|event| SetEvent(event.as_raw_handle()));
        }
    }
    EXCEPTION_CONTINUE_SEARCH
}
