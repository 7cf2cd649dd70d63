//! Room for thread-local variables in the program's own: at the same distance from the thread pointer in every thread.
//!
//! The program's executable has a block of thread-local variables, which begins each thread's ("ELF Handling For Thread-Local Storage",
//! section 3.4.6). A variable of the program that nothing uses is room for those of linked code: the threads that exist get the initial
//! values written, and those that are made later copy them from where the executable's own initial values are.
//!
//! What was given to one module is not given to another, since threads may live that have the values of the first.

use super::objects;
use super::sync::{Mutex, Turn, lock, shared};
use super::thread_locals::LOOK_UP_BIAS;
use crate::addr::Addr;
use crate::executor::{
    ExecutorError, ThreadLocalAccess, ThreadLocalBlock, ThreadLocalQuery, ThreadLocalRequest, ThreadLocalVariable,
};
use std::ffi::{c_int, c_void};
use std::io;
use std::ops::{ControlFlow, Range};

/// Room for thread-local variables of linked code, for [`ProcessExecutor::thread_locals_in`](super::ProcessExecutor::thread_locals_in):
/// a thread-local variable of that many bytes of the crate that uses this macro. Gives the calling thread's copy, a `*mut [u8]`.
///
/// Every thread of the program gets that much larger.
///
/// ```
/// let room: *mut [u8] = jitlink_core::thread_local_room!(4096);
/// assert_eq!(room.len(), 4096);
/// ```
#[macro_export]
macro_rules! thread_local_room {
    ($bytes:expr) => {{
        // The argument may use names of the caller's.
        const __BYTES: usize = $bytes;

        #[repr(C, align(64))]
        struct __Room(::std::cell::UnsafeCell<[u8; __BYTES]>);

        ::std::thread_local! {
            static __ROOM: __Room = const {
                // Not all zero, so that the executable has initial values for each byte.
                let mut bytes = [0; __BYTES];
                bytes[__BYTES - 1] = 1;
                __Room(::std::cell::UnsafeCell::new(bytes))
            };
        }
        __ROOM.with(|room| room.0.get() as *mut [u8])
    }};
}

shared! {
    /// Who writes initial values: rooms of one program share pages, which are writable only for that time.
    static WRITING: Mutex<Turn> = Mutex::new(Turn::new());
}

/// Room, and what of it is taken.
#[derive(Debug)]
pub(super) struct Room {
    /// The copy of the thread that made this.
    copy: u64,
    size: u64,
    /// The alignment that the place of the room has in every thread.
    align: u64,
    /// The room's distance from the thread pointer.
    pointer_offset: i64,
    /// The number of the executable's block, and the room's offset in it.
    module: u64,
    offset: u64,
    /// Where the initial values are that threads copy.
    image: u64,
    /// The memory of the executable that its loader made read-only.
    read_only: Range<u64>,
    /// How many bytes are taken.
    taken: Mutex<u64>,
}

impl Room {
    /// The room in a variable of the executable, of which `copy` is the calling thread's.
    pub(super) fn new(copy: *mut [u8]) -> Result<Room, ExecutorError> {
        let error = |why: &str| {
            let advice = "give the copy of a thread-local variable with constant, non-zero contents that the program's executable defines \
                          (jitlink_core::thread_local_room!)";
            ExecutorError::with_advice(format!("there is no room for thread-local variables: {why}"), advice)
        };
        let pointer = thread_pointer().ok_or_else(|| error("it is not known how this processor finds them"))?;
        let program = Program::find().ok_or_else(|| error("the executable has no thread-local variables"))?;
        let (start, size) = (copy.cast::<u8>() as u64, copy.len() as u64);
        let offset = start.wrapping_sub(program.block);
        if offset.checked_add(size).is_none_or(|end| end > program.image_size) {
            return Err(error("the variable is not one of the executable's with initial values"));
        }
        Ok(Room {
            copy: start,
            size,
            align: program.align,
            pointer_offset: start.wrapping_sub(pointer) as i64,
            module: program.module,
            offset,
            image: program.image + offset,
            read_only: program.read_only,
            taken: Mutex::new(0),
        })
    }

    /// Where in the room a block of this size and alignment would be.
    fn place(&self, taken: u64, size: u64, align: u64) -> Option<u64> {
        let start = (self.copy + taken).checked_next_multiple_of(align.max(1))? - self.copy;
        (align <= self.align && start.checked_add(size)? <= self.size).then_some(start)
    }

    /// Whether a block of this size and alignment fits.
    pub(super) fn fits(&self, size: u64, align: u64) -> bool {
        let taken = lock(&self.taken);
        self.place(*taken, size, align).is_some()
    }

    /// Gives a request's variables their room, if there is enough. Only queries about the request's own are answered.
    pub(super) fn give(&self, request: &ThreadLocalRequest<'_>) -> Result<Option<Block>, ExecutorError> {
        let mut taken = lock(&self.taken);
        let Some(start) = self.place(*taken, request.size, request.align) else { return Ok(None) };
        // SAFETY: the bytes are in the room, of which these are given to nobody else, and the lock is held.
        unsafe { self.write(start, request.image, request.size) }.map_err(|error| {
            ExecutorError::new(format!("cannot write the initial values of thread-local variables: {error}"))
        })?;
        *taken = start + request.size;
        let block = Block { pointer_offset: self.pointer_offset.wrapping_add_unsigned(start) };
        Ok(Some(block))
    }

    /// Answers a query about a variable of a block.
    pub(super) fn answer(&self, block: &Block, offset: u64, access: ThreadLocalAccess) -> [u64; 2] {
        let pointer_offset = block.pointer_offset.wrapping_add_unsigned(offset) as u64;
        match access {
            ThreadLocalAccess::Dynamic => {
                let start = pointer_offset.wrapping_sub(self.pointer_offset as u64);
                [self.module, self.offset.wrapping_add(start).wrapping_sub(LOOK_UP_BIAS)]
            }
            ThreadLocalAccess::Static => [pointer_offset, 0],
            ThreadLocalAccess::Descriptor => [fixed_descriptor as *const () as u64, pointer_offset],
        }
    }

    /// Writes initial values for new threads, and into the copy of the thread that made this: an image, and zeros up to a size.
    ///
    /// # Safety
    /// These bytes are in the room, with the image no larger; nobody uses them, and the lock is held.
    unsafe fn write(&self, start: u64, image: &[u8], size: u64) -> io::Result<()> {
        let turn = lock(&WRITING);
        // SAFETY: as the caller promises.
        turn.take(|| unsafe { self.write_alone(start, image, size) })
    }

    /// [`Room::write`], while nobody else changes what pages of the executable may be written to.
    ///
    /// # Safety
    /// As there, and the lock of all rooms is held.
    unsafe fn write_alone(&self, start: u64, image: &[u8], size: u64) -> io::Result<()> {
        let page = super::map::page_size();
        let (first, last) = (self.image + start, self.image + start + size);
        // Only what the loader protected, so that nothing else loses rights.
        let read_only =
            self.read_only.start.max(first & !(page - 1))..self.read_only.end.min(last.next_multiple_of(page));
        let is_read_only = !read_only.is_empty();
        let protect = |rights: c_int| {
            // SAFETY: the pages are the executable's, and hold initial values; rights to write take nothing from anybody, and are
            // taken back only where the loader had done so.
            let result = unsafe {
                libc::mprotect(read_only.start as *mut c_void, (read_only.end - read_only.start) as usize, rights)
            };
            if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        if is_read_only {
            protect(libc::PROT_READ | libc::PROT_WRITE)?;
        }
        // SAFETY: both places are in the room, as `place` checked: one among the initial values, now writable, the other in the copy of
        // a thread that lives; the caller promises that nobody uses them.
        unsafe {
            for place in [first as *mut u8, (self.copy + start) as *mut u8] {
                std::ptr::copy_nonoverlapping(image.as_ptr(), place, image.len());
                place.add(image.len()).write_bytes(0, size as usize - image.len());
            }
        }
        if is_read_only { protect(libc::PROT_READ) } else { Ok(()) }
    }
}

/// Room in memory that is no thread's, for models: its copy and its initial values.
#[cfg(all(test, loom))]
impl Room {
    pub(super) fn in_memory(copy: *mut [u8], image: *mut [u8]) -> Room {
        Room {
            copy: copy.cast::<u8>() as u64,
            size: copy.len() as u64,
            align: 16,
            pointer_offset: 0,
            module: 1,
            offset: 0,
            image: image.cast::<u8>() as u64,
            read_only: 0..0,
            taken: Mutex::new(0),
        }
    }
}

/// A batch's variables, in the room.
pub(super) struct Block {
    pointer_offset: i64,
}

impl Block {
    /// The distance from the thread pointer, for models.
    #[cfg(all(test, loom))]
    pub(super) fn offset(&self) -> i64 {
        self.pointer_offset
    }

    /// The address of the calling thread's copy of what is at an offset.
    fn address(&self, offset: u64) -> Option<Addr> {
        Some(Addr(thread_pointer()?.wrapping_add_signed(self.pointer_offset).wrapping_add(offset)))
    }
}

/// A block in the room, and the answers of the loader for the variables of others.
pub(super) struct Fixed {
    pub(super) block: Block,
    pub(super) answers: Vec<Option<[u64; 2]>>,
    /// What the loader answered with.
    pub(super) _others: Option<Box<dyn ThreadLocalBlock>>,
}

impl ThreadLocalBlock for Fixed {
    fn answers(&self) -> &[Option<[u64; 2]>] {
        &self.answers
    }

    fn address(&self, offset: u64) -> Result<Addr, ExecutorError> {
        self.block.address(offset).ok_or_else(|| ExecutorError::new("this processor's thread pointer is not known"))
    }
}

/// The executable's thread-local variables.
struct Program {
    /// The calling thread's copy.
    block: u64,
    module: u64,
    image: u64,
    image_size: u64,
    align: u64,
    read_only: Range<u64>,
}

impl Program {
    fn find() -> Option<Program> {
        let mut found = None;
        // The first is the program itself.
        objects::each(&mut |object| {
            let header = |kind: u32| object.headers.iter().find(|header| header.p_type == kind);
            let variables = header(libc::PT_TLS).filter(|_| !object.info.dlpi_tls_data.is_null());
            found = variables.map(|variables| Program {
                block: object.info.dlpi_tls_data as u64,
                module: object.info.dlpi_tls_modid as u64,
                image: object.range(variables).start,
                image_size: objects::wide(variables.p_filesz),
                align: objects::wide(variables.p_align).max(1),
                read_only: header(libc::PT_GNU_RELRO).map_or(0..0, |header| {
                    // The loader protects whole pages.
                    let (range, page) = (object.range(header), super::map::page_size());
                    range.start & !(page - 1)..range.end & !(page - 1)
                }),
            });
            ControlFlow::Break(())
        });
        found
    }
}

/// The address that offsets from the thread pointer count from.
#[cfg(target_arch = "x86_64")]
fn thread_pointer() -> Option<u64> {
    let pointer: u64;
    // SAFETY: the first word behind the segment's base is its own address (psABI, section 3.3.2: the thread control block).
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags)) };
    Some(pointer)
}

/// The address that offsets from the thread pointer count from: what `r13` holds (64-bit ELF V2 ABI, section 3.7.2; ELFv1 alike).
#[cfg(target_arch = "powerpc64")]
fn thread_pointer() -> Option<u64> {
    let pointer: u64;
    // SAFETY: reads a register.
    unsafe { std::arch::asm!("mr {}, 13", out(reg) pointer, options(nostack, nomem, preserves_flags)) };
    Some(pointer)
}

/// The address that offsets from the thread pointer count from: what `r2` holds (Power Architecture 32-bit ABI Supplement,
/// "Thread-Local Storage").
#[cfg(target_arch = "powerpc")]
fn thread_pointer() -> Option<u64> {
    let pointer: usize;
    // SAFETY: reads a register.
    unsafe { std::arch::asm!("mr {}, 2", out(reg) pointer, options(nostack, nomem, preserves_flags)) };
    Some(pointer as u64)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "powerpc64", target_arch = "powerpc")))]
fn thread_pointer() -> Option<u64> {
    None
}

/// The function of a descriptor whose argument is the distance from the thread pointer ("ELF Handling For Thread-Local Storage",
/// "TLS Descriptors"): it gets the descriptor's address in `rax`, returns the distance there, and changes no other register.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn fixed_descriptor() {
    std::arch::naked_asm!("mov rax, [rax + 8]", "ret")
}

/// Never reached: other machines have no descriptors, or no room, because their thread pointer is not known.
#[cfg(not(target_arch = "x86_64"))]
unsafe extern "C" fn fixed_descriptor() {}

/// Answers a request whose own variables are in `block`; `load` answers for those of others.
pub(super) fn answers(
    room: &Room,
    block: Block,
    request: &ThreadLocalRequest<'_>,
    load: impl FnOnce(&ThreadLocalRequest<'_>) -> Result<Box<dyn ThreadLocalBlock>, ExecutorError>,
) -> Result<Fixed, ExecutorError> {
    let is_named = |query: &&ThreadLocalQuery<'_>| matches!(query.variable, ThreadLocalVariable::Named(_));
    let named: Vec<_> = request.queries.iter().filter(is_named).copied().collect();
    let others = match named.is_empty() {
        true => None,
        false => Some(load(&ThreadLocalRequest { image: &[], size: 0, align: 1, queries: &named, layout: None })?),
    };
    let mut known = others.iter().flat_map(|others| others.answers().iter().copied());
    let answer = |query: &ThreadLocalQuery<'_>| match query.variable {
        ThreadLocalVariable::Own(offset) => Some(room.answer(&block, offset, query.access)),
        ThreadLocalVariable::Named(_) => known.next().flatten(),
    };
    let answers = request.queries.iter().map(answer).collect();
    Ok(Fixed { block, answers, _others: others })
}
