//! The modules that are linked into this process: which one does an address belong to?
//!
//! Two ask. The services at exit look a function up in ordinary code, under a lock. A signal handler looks the place of a crash up
//! when any lock may be held by the thread that crashed, and so walks a list that is always whole: nodes are pushed and unlinked
//! by one store each. A node that was unlinked is freed once no handler is walking; as handlers are rare, that is nearly always at
//! once, so memory is that of the modules that are linked now.

use crate::addr::Addr;
use crate::executor::Description;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A module in the list for as long as this lives.
#[derive(Debug)]
pub(super) struct Entry(*mut Node);

// SAFETY: a node is only changed under the writer's lock, and read through atomics or while it cannot be freed.
unsafe impl Send for Entry {}
// SAFETY: as above; an entry itself has no method that changes anything.
unsafe impl Sync for Entry {}

struct Node {
    description: Description,
    next: AtomicPtr<Node>,
    /// Used under the writer's lock only.
    previous: AtomicPtr<Node>,
}

static FIRST: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());
static WALKERS: AtomicUsize = AtomicUsize::new(0);
static WRITER: Mutex<Writer> = Mutex::new(Writer { segments: BTreeMap::new(), unlinked: Vec::new() });

struct Writer {
    /// Start of a segment to its end and the module's handle.
    segments: BTreeMap<u64, (u64, Addr)>,
    /// Nodes that a walker may still see.
    unlinked: Vec<Unlinked>,
}

struct Unlinked(*mut Node);

// SAFETY: an unlinked node belongs to the writer alone, apart from walkers, which only read.
unsafe impl Send for Unlinked {}

fn writer() -> MutexGuard<'static, Writer> {
    WRITER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    /// Frees what no walker can see.
    ///
    /// Every store to a link and every load of one is sequentially consistent, and so are the changes of `WALKERS`: if it is
    /// zero after a node was unlinked, then who starts to walk later does not find the node.
    fn clean(&mut self) {
        if WALKERS.load(SeqCst) == 0 {
            for Unlinked(node) in self.unlinked.drain(..) {
                // SAFETY: the node came from a box, is linked nowhere, and no walker sees it.
                drop(unsafe { Box::from_raw(node) });
            }
        }
    }
}

/// Makes a module known.
pub(super) fn add(description: Description) -> Entry {
    let mut writer = writer();
    let handle = description.handle;
    let ends = description.segments.iter().map(|(start, size)| (start.0, (start.0 + size, handle)));
    writer.segments.extend(ends);
    let next = FIRST.load(SeqCst);
    let node = Node { description, next: AtomicPtr::new(next), previous: AtomicPtr::new(ptr::null_mut()) };
    let node = Box::into_raw(Box::new(node));
    if !next.is_null() {
        // SAFETY: nodes in the list are alive while the lock is held.
        unsafe { (*next).previous.store(node, SeqCst) };
    }
    FIRST.store(node, SeqCst);
    writer.clean();
    Entry(node)
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut writer = writer();
        // SAFETY: the node is in the list, and its neighbours too, while the lock is held: only this function takes nodes
        // out, and each entry is dropped once.
        unsafe {
            let node = &*self.0;
            for (start, _) in &node.description.segments {
                writer.segments.remove(&start.0);
            }
            let (previous, next) = (node.previous.load(SeqCst), node.next.load(SeqCst));
            let link = if previous.is_null() { &FIRST } else { &(*previous).next };
            link.store(next, SeqCst);
            if !next.is_null() {
                (*next).previous.store(previous, SeqCst);
            }
        }
        writer.unlinked.push(Unlinked(self.0));
        writer.clean();
    }
}

/// The handle of the module that holds `address`: what it is called when it registers something to run at its end.
pub(super) fn handle_at(address: Addr) -> Option<Addr> {
    let writer = writer();
    let (_, (end, handle)) = writer.segments.range(..=address.0).next_back()?;
    (address.0 < *end).then_some(*handle)
}

/// Calls `tell` with the module that holds `address`. May be called in a signal handler: takes no lock, allocates nothing.
pub(super) fn with_module_at<R>(address: Addr, tell: impl FnOnce(&Description) -> R) -> Option<R> {
    WALKERS.fetch_add(1, SeqCst);
    let mut at = FIRST.load(SeqCst);
    let mut told = None;
    while !at.is_null() {
        // SAFETY: the node was linked after this walk began, or unlinked later; it is not freed while `WALKERS` counts this
        // walk.
        let node = unsafe { &*at };
        let holds = |(start, size): &(Addr, u64)| address.offset_from(*start) < *size;
        if node.description.segments.iter().any(holds) {
            told = Some(tell(&node.description));
            break;
        }
        at = node.next.load(SeqCst);
    }
    WALKERS.fetch_sub(1, SeqCst);
    told
}
