//! Linked modules, shown to debuggers through GDB's interface (GDB's manual, "JIT Compilation Interface").
//!
//! A debugger puts a breakpoint on `__jit_debug_register_code` and reads `__jit_debug_descriptor`: a list of files in memory, and
//! what happened to which of them. LLDB knows the interface too. Both names are defined weakly: a program that also has another
//! runtime with them (LLVM's has) links, and the two share one list. Runtimes have no lock in common, so a program that
//! has two of them must not let both register at once.
//!
//! A module that shows nothing costs nothing here; one that does is linked into the list, and taken out, in constant time.

use super::sync::{Mutex, MutexGuard, Turn, lock, shared};
use std::cell::UnsafeCell;
use std::ptr;

/// What the debugger reads for one file. The layout is the interface's.
#[repr(C)]
struct Entry {
    next: *mut Entry,
    previous: *mut Entry,
    file: *const u8,
    size: u64,
}

/// The list, and what happened last. The layout is the interface's.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    /// What it happened to.
    relevant: *mut Entry,
    first: *mut Entry,
}

const NOTHING: u32 = 0;
const REGISTERED: u32 = 1;
const UNREGISTERED: u32 = 2;

/// The descriptor, which only the holder of [`LIST`] uses.
#[repr(transparent)]
struct Shared(UnsafeCell<Descriptor>);

// SAFETY: all uses are under the lock.
unsafe impl Sync for Shared {}

shared! {
    static LIST: Mutex<Turn> = Mutex::new(Turn::new());
}

fn lock_list() -> MutexGuard<'static, Turn> {
    // The list is whole between any two stores.
    lock(&LIST)
}

/// A file that debuggers see for as long as this lives.
pub(super) struct Registration {
    entry: *mut Entry,
    /// What the entry points to.
    _file: Box<[u8]>,
}

// SAFETY: the entry is used under the lock alone.
unsafe impl Send for Registration {}
// SAFETY: as above; a registration has no method.
unsafe impl Sync for Registration {}

/// Shows a file to debuggers, those that attach later included.
pub(super) fn register(file: Vec<u8>) -> Registration {
    let file = file.into_boxed_slice();
    let entry =
        Entry { next: ptr::null_mut(), previous: ptr::null_mut(), file: file.as_ptr(), size: file.len() as u64 };
    let entry = Box::into_raw(Box::new(entry));
    let turn = lock_list();
    // SAFETY: the entry is ours, and what is in the list lives while the lock is held.
    turn.take(|| unsafe { with_descriptor(|list| link(list, entry)) });
    drop(turn);
    Registration { entry, _file: file }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let turn = lock_list();
        // SAFETY: the entry is in the list since it was registered, came from a box, and is taken out once.
        turn.take(|| unsafe {
            with_descriptor(|list| unlink(list, self.entry));
            drop(Box::from_raw(self.entry));
        });
    }
}

/// Puts an entry in front of the list.
///
/// # Safety
/// All pointers of the list and `entry` are valid, and nobody else uses them.
unsafe fn link(list: &mut Descriptor, entry: *mut Entry) -> u32 {
    // SAFETY: as the caller promises.
    unsafe {
        (*entry).next = list.first;
        if !list.first.is_null() {
            (*list.first).previous = entry;
        }
    }
    list.first = entry;
    list.relevant = entry;
    REGISTERED
}

/// Takes an entry out of the list.
///
/// # Safety
/// As for [`link`]; the entry is in the list.
unsafe fn unlink(list: &mut Descriptor, entry: *mut Entry) -> u32 {
    // SAFETY: as the caller promises.
    unsafe {
        let Entry { next, previous, .. } = *entry;
        match previous.is_null() {
            true => list.first = next,
            false => (*previous).next = next,
        }
        if !next.is_null() {
            (*next).previous = previous;
        }
    }
    list.relevant = entry;
    UNREGISTERED
}

/// Changes the list, and tells a debugger that follows this process what was done, if there is one.
///
/// # Safety
/// The lock is held.
unsafe fn with_descriptor(change: impl FnOnce(&mut Descriptor) -> u32) {
    // SAFETY: under the lock nobody else uses the descriptor. The function is there for the debugger to stop at; the compiler does
    // not know it, so that all stores are made before it is called.
    unsafe {
        let list = interface::__jit_debug_descriptor.0.get();
        let action = change(&mut *list);
        (*list).action = action;
        interface::__jit_debug_register_code();
        // A debugger that attaches later is not to read of what may be gone by then.
        (*list).action = NOTHING;
        (*list).relevant = ptr::null_mut();
    }
}

/// The two names.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64", target_arch = "loongarch64"))]
mod interface {
    // Rust has no weak definitions.
    std::arch::global_asm!(
        ".pushsection .text.__jit_debug_register_code, \"ax\", %progbits",
        ".weak __jit_debug_register_code",
        ".type __jit_debug_register_code, %function",
        "__jit_debug_register_code:",
        "ret",
        ".size __jit_debug_register_code, . - __jit_debug_register_code",
        ".popsection",
        ".pushsection .data.__jit_debug_descriptor, \"aw\", %progbits",
        ".weak __jit_debug_descriptor",
        ".type __jit_debug_descriptor, %object",
        ".balign 8",
        "__jit_debug_descriptor:",
        ".4byte 1, 0",
        ".8byte 0, 0",
        ".size __jit_debug_descriptor, . - __jit_debug_descriptor",
        ".popsection",
    );

    unsafe extern "C" {
        pub(super) safe static __jit_debug_descriptor: super::Shared;
        pub(super) fn __jit_debug_register_code();
    }
}

/// The two names, which no other runtime of the program may have where it is not known how a function returns.
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64",
    target_arch = "loongarch64"
)))]
mod interface {
    use super::{Descriptor, NOTHING, Shared};
    use std::cell::UnsafeCell;
    use std::ptr::null_mut;

    #[unsafe(no_mangle)]
    pub(super) static __jit_debug_descriptor: Shared =
        Shared(UnsafeCell::new(Descriptor { version: 1, action: NOTHING, relevant: null_mut(), first: null_mut() }));

    #[unsafe(no_mangle)]
    #[inline(never)]
    pub(super) extern "C" fn __jit_debug_register_code() {
        std::hint::black_box(&__jit_debug_descriptor);
    }
}

/// The files that debuggers see now, the latest first, for models.
#[cfg(all(test, loom))]
pub(super) fn shown() -> Vec<Vec<u8>> {
    let turn = lock_list();
    turn.take(|| {
        // SAFETY: under the lock nobody changes the list, and entries and files live while they are in it.
        unsafe {
            let (mut files, list) = (Vec::new(), &*interface::__jit_debug_descriptor.0.get());
            assert_eq!((list.version, list.action, list.relevant), (1, NOTHING, ptr::null_mut()));
            let mut at = list.first;
            while let Some(entry) = at.as_ref() {
                files.push(std::slice::from_raw_parts(entry.file, entry.size as usize).to_vec());
                at = entry.next;
            }
            files
        }
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The list from front to back, checked from back to front.
    fn files(list: &Descriptor) -> Vec<*const u8> {
        let (mut files, mut at, mut previous) = (Vec::new(), list.first, ptr::null_mut());
        while !at.is_null() {
            // SAFETY: the tests' entries outlive their list; those of the process are there while its lock is held.
            let entry = unsafe { &*at };
            assert_eq!(entry.previous, previous);
            files.push(entry.file);
            (previous, at) = (at, entry.next);
        }
        files
    }

    #[test]
    fn entries_come_in_front_and_go_from_anywhere() {
        let bytes = [0_u8; 4];
        let file = |index: usize| bytes[index..].as_ptr();
        let mut entries: Vec<Entry> = (0..4)
            .map(|index| Entry { next: ptr::null_mut(), previous: ptr::null_mut(), file: file(index), size: 1 })
            .collect();
        let entry: Vec<*mut Entry> = entries.iter_mut().map(|entry| entry as *mut Entry).collect();
        let mut list = Descriptor { version: 1, action: NOTHING, relevant: ptr::null_mut(), first: ptr::null_mut() };
        for at in &entry {
            // SAFETY: the entries are this test's, and nobody else uses them.
            assert_eq!((unsafe { link(&mut list, *at) }, list.relevant), (REGISTERED, *at));
        }
        assert_eq!(files(&list), [file(3), file(2), file(1), file(0)]);
        for (gone, left) in [(2, &[3, 1, 0][..]), (3, &[1, 0]), (0, &[1]), (1, &[])] {
            // SAFETY: as above; each goes once.
            assert_eq!((unsafe { unlink(&mut list, entry[gone]) }, list.relevant), (UNREGISTERED, entry[gone]));
            assert_eq!(files(&list), left.iter().map(|index| file(*index)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn files_are_in_the_list_for_as_long_as_they_are_registered() {
        let shown = |registration: &Registration| {
            let _list = lock_list();
            // SAFETY: under the lock nobody changes the list.
            let list = unsafe { &*interface::__jit_debug_descriptor.0.get() };
            assert_eq!((list.version, list.action, list.relevant), (1, NOTHING, ptr::null_mut()));
            files(list).contains(&registration._file.as_ptr())
        };
        let (first, second) = (register(b"first".to_vec()), register(b"second".to_vec()));
        assert!(shown(&first) && shown(&second));
        // SAFETY: the entry is there as long as its registration.
        let (file, size) = unsafe { ((*first.entry).file, (*first.entry).size) };
        // SAFETY: as above.
        assert_eq!(unsafe { std::slice::from_raw_parts(file, size as usize) }, b"first");
        let gone = first._file.as_ptr();
        drop(first);
        assert!(shown(&second));
        let _list = lock_list();
        // SAFETY: as above.
        assert!(!files(unsafe { &*interface::__jit_debug_descriptor.0.get() }).contains(&gone));
    }
}
