//! Thread-local variables of linked code, in a reserve among this program's own.
//!
//! The system gives each thread a copy of the variables of every linked file, and code finds those of its file by the file's number
//! ("PE Format", "The .tls Section"). So linked code uses this program's number, and variables that nothing else of it uses: the copy of a
//! new thread has what stands in the program's initial values then, and those of threads that run are changed one by one.

use jitlink_core::Addr;
use jitlink_core::executor::{
    ExecutorError, ThreadLocalAccess, ThreadLocalBlock, ThreadLocalRequest, ThreadLocalVariable,
};
use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentProcessId, GetCurrentThreadId, OpenThread, THREAD_QUERY_INFORMATION,
};

/// How many bytes all linked code together has in each thread. Every thread of this program has them, used or not.
const SIZE: usize = 64 << 10;

/// The alignment that the system gives the variables of a file in each thread, in bytes: that of its heap.
const ALIGN: u64 = 16;

/// The reserve's initial values.
#[repr(C, align(16))]
struct Reserve(UnsafeCell<[u8; SIZE]>);

// SAFETY: it is read by the system as threads start, and written with that held off.
unsafe impl Sync for Reserve {}

#[used]
#[unsafe(link_section = ".tls$JIT")]
static RESERVE: Reserve = Reserve(UnsafeCell::new([0; SIZE]));

/// What tells the system of a file's thread-local variables ("PE Format", "The TLS Directory").
#[repr(C)]
struct Directory {
    start: *const u8,
    end: *const u8,
    index: *const u32,
    callbacks: *const c_void,
    zeroes: u32,
    characteristics: u32,
}

/// Of what "NtQueryInformationThread" tells of a thread.
#[repr(C)]
struct ThreadInformation {
    status: i32,
    environment_block: usize,
    rest: [usize; 4],
}

unsafe extern "C" {
    /// The directory of this program, which its run-time library defines.
    #[link_name = "_tls_used"]
    static DIRECTORY: Directory;
}

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtQueryInformationThread(thread: RawHandle, what: i32, into: *mut c_void, size: u32, used: *mut u32) -> i32;
    fn LdrLockLoaderLock(flags: u32, state: *mut u32, cookie: *mut usize) -> i32;
    fn LdrUnlockLoaderLock(flags: u32, cookie: usize) -> i32;
}

/// What is taken of the reserve: where it starts, and its size.
static TAKEN: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());

fn taken() -> MutexGuard<'static, BTreeMap<u64, u64>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch's variables.
#[derive(Debug)]
struct Block {
    /// Where they start in the reserve.
    start: u64,
    size: u64,
    answers: Vec<Option<[u64; 2]>>,
}

/// Gives all threads, and those to come, a batch's variables.
pub(super) fn bind(request: &ThreadLocalRequest<'_>) -> Result<Box<dyn ThreadLocalBlock>, ExecutorError> {
    if request.align > ALIGN {
        return Err(ExecutorError::with_advice(
            format!("Windows aligns thread-local variables to at most {ALIGN} bytes, and not to {}", request.align),
            "align them by less, or allocate them",
        ));
    }
    let start = take(request.size)?;
    let (index, base) = place();
    let answer = |variable: ThreadLocalVariable<'_>, access| match (variable, access) {
        (ThreadLocalVariable::Own(offset), ThreadLocalAccess::Dynamic) => Some([index, base + start + offset]),
        // No code of this system asks for more.
        _ => None,
    };
    let answers = request.queries.iter().map(|query| answer(query.variable, query.access)).collect();
    let block = Block { start, size: request.size, answers };
    write(start, request.size, request.image)
        .map_err(|error| ExecutorError::new(format!("threads cannot be given their variables: {error}")))?;
    Ok(Box::new(block))
}

/// Room of this size in the reserve.
fn take(size: u64) -> Result<u64, ExecutorError> {
    // A batch that only asks for the number takes room too, so that each has a start of its own.
    let size = size.max(1).next_multiple_of(ALIGN);
    let mut taken = taken();
    let mut start = 0;
    for (&next, &length) in &*taken {
        if next - start >= size {
            break;
        }
        start = next + length;
    }
    if SIZE as u64 - start < size {
        return Err(ExecutorError::with_advice(
            format!("{size:#x} bytes of thread-local variables do not fit into the {SIZE:#x} that linked code has"),
            "make large variables pointers to memory that each thread allocates",
        ));
    }
    taken.insert(start, size);
    Ok(start)
}

/// The number of this program's variables, and where the reserve starts in each thread's copy of them.
fn place() -> (u64, u64) {
    // SAFETY: the system has set the number before the program started, and both stay as they are.
    unsafe { (u64::from(*DIRECTORY.index), RESERVE.0.get() as u64 - DIRECTORY.start as u64) }
}

/// Holds off threads that start or end, which read the initial values.
struct Lock(usize);

impl Lock {
    fn new() -> io::Result<Lock> {
        let mut cookie = 0;
        // SAFETY: waits for the lock; there is a place for what gives it back.
        match unsafe { LdrLockLoaderLock(0, null_mut(), &mut cookie) } {
            0.. => Ok(Lock(cookie)),
            status => Err(io::Error::other(format!("status {status:#x} for the lock of the loader"))),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // SAFETY: gives back the lock that this thread has.
        unsafe { LdrUnlockLoaderLock(0, self.0) };
    }
}

/// Sets a part of the reserve in the initial values and in all threads.
fn write(start: u64, size: u64, image: &[u8]) -> io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    let mut bytes = vec![0; size as usize];
    bytes[..image.len()].copy_from_slice(image);
    let _lock = Lock::new()?;
    // SAFETY: the part is the caller's, in a section that may be written; the system reads it under the lock.
    unsafe { RESERVE.0.get().cast::<u8>().add(start as usize).copy_from(bytes.as_ptr(), bytes.len()) };
    let (index, base) = place();
    for thread in threads()? {
        // One that has none yet will have what stands in the initial values now; one that ends has given its own back.
        if let Some(block) = block_of(thread, index) {
            // SAFETY: the thread cannot give its block back under the lock, and what is written is the caller's part of it.
            unsafe { ((block + base + start) as *mut u8).copy_from(bytes.as_ptr(), bytes.len()) };
        }
    }
    Ok(())
}

/// Where a thread has its copy of the variables of this number, if it has one.
fn block_of(thread: u32, index: u64) -> Option<u64> {
    let mut information = MaybeUninit::<ThreadInformation>::zeroed();
    // SAFETY: there is a place for the answer, of which all zeroes are a value; a thread that is gone has no handle.
    let environment = unsafe {
        let handle = OpenThread(THREAD_QUERY_INFORMATION, 0, thread);
        if handle.is_null() {
            return None;
        }
        let handle = OwnedHandle::from_raw_handle(handle);
        let size = size_of::<ThreadInformation>() as u32;
        let status =
            NtQueryInformationThread(handle.as_raw_handle(), 0, information.as_mut_ptr().cast(), size, null_mut());
        (status >= 0).then(|| information.assume_init().environment_block as u64)?
    };
    // "Thread Environment Block": `ThreadLocalStoragePointer` is its twelfth pointer.
    let array = read(environment + 11 * size_of::<usize>() as u64)?;
    read(array + index * size_of::<usize>() as u64).filter(|block| *block != 0)
}

/// A pointer of this process's memory, wherever that is: a thread that ends may be gone, and its memory with it.
fn read(address: u64) -> Option<u64> {
    let mut value = 0usize;
    // SAFETY: the system reads if it can; there is a place for the answer.
    let has_read = unsafe {
        let into = std::ptr::from_mut(&mut value).cast();
        ReadProcessMemory(GetCurrentProcess(), address as *const _, into, size_of::<usize>(), null_mut())
    };
    (has_read != 0).then_some(value as u64)
}

/// All threads of this process.
fn threads() -> io::Result<Vec<u32>> {
    // SAFETY: takes a list of threads, which is closed with the handle.
    let list = unsafe {
        let handle = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
        if handle == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        OwnedHandle::from_raw_handle(handle)
    };
    let mut entry = THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..THREADENTRY32::default() };
    let mut found = Vec::new();
    // SAFETY: the list is open, and there is a place for its entries.
    unsafe {
        let mut is_one = Thread32First(list.as_raw_handle(), &mut entry);
        while is_one != 0 {
            if entry.th32OwnerProcessID == GetCurrentProcessId() {
                found.push(entry.th32ThreadID);
            }
            is_one = Thread32Next(list.as_raw_handle(), &mut entry);
        }
    }
    Ok(found)
}

impl Drop for Block {
    fn drop(&mut self) {
        taken().remove(&self.start);
    }
}

impl ThreadLocalBlock for Block {
    fn answers(&self) -> &[Option<[u64; 2]>] {
        &self.answers
    }

    fn address(&self, offset: u64) -> Result<Addr, ExecutorError> {
        let (index, base) = place();
        // SAFETY: asks for the number of the calling thread.
        let block = block_of(unsafe { GetCurrentThreadId() }, index).filter(|_| offset <= self.size);
        block.map(|block| Addr(block + base + self.start + offset)).ok_or_else(|| {
            ExecutorError::new(format!("there is no thread-local variable at {offset:#x} of {:#x} bytes", self.size))
        })
    }
}
