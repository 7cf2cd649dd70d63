//! What a run needs and the next one can use again: stack, frames, remembered places of memory.
//!
//! Each thread keeps one [`Scratch`] between its runs, so that a run of a few instructions costs no allocation. A run within a run,
//! by a function of the host, makes another.
//!
//! **Invariant:** a scratch that is kept is as new: its stack is zero, and nothing in it refers to what a run had. A stack that
//! someone still holds from outside is not kept.

use crate::address::{FRAME_SIZE, STACK};
use crate::machine::{ALL_FRAMES, Frame};
use crate::memory::{Memory, OutOfMemory};
use crate::space::{Area, What};
use std::cell::Cell;
use std::sync::Arc;

/// How many sites there are.
const SITES: usize = 128;

/// Of an instruction's memory accesses: where the last one was. See [`Scratch::sites`].
#[derive(Clone, Copy)]
pub(crate) struct Site {
    /// The first address of the area.
    pub(crate) start: u64,
    /// At how many places from there on an access of the site's kind and size is right.
    pub(crate) limit: u64,
    /// Where the area's first byte is on the host.
    pub(crate) host: *mut u8,
}

impl Site {
    const NONE: Site = Site { start: 0, limit: 0, host: std::ptr::null_mut() };
}

/// What a run uses and leaves to the next.
pub(crate) struct Scratch {
    /// Areas by site. **Invariant:** each is [`Site::NONE`], or an area of the machine that has the scratch, of memory that it
    /// holds, and allows what instructions of the site do. So an access inside of `limit` is to memory that lives.
    pub(crate) sites: [Site; SITES],
    /// Which sites are not [`Site::NONE`], a bit each.
    used: u128,
    /// The callers of the function that runs.
    pub(crate) frames: Vec<Frame>,
    /// The stack, as far as the program has come in it: frames are added as they are entered.
    stack: Area,
    /// The program may have written to the stack.
    dirty: bool,
}

thread_local! {
    static KEPT: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Scratch {
    /// The one that the thread has kept, or a new one.
    pub(crate) fn take() -> Result<Box<Scratch>, OutOfMemory> {
        // While a thread ends it keeps nothing any more.
        match KEPT.try_with(Cell::take).ok().flatten() {
            Some(kept) => Ok(kept),
            None => Scratch::new(),
        }
    }

    fn new() -> Result<Box<Scratch>, OutOfMemory> {
        let memory = Memory::zeroed(ALL_FRAMES * FRAME_SIZE as usize)?;
        let stack = Area { len: FRAME_SIZE, ..Area::whole(STACK, Arc::new(memory), What::Stack) };
        Ok(Box::new(Scratch { sites: [Site::NONE; SITES], used: 0, frames: Vec::new(), stack, dirty: false }))
    }

    /// Makes a scratch as new, and keeps it for the thread's next run.
    pub(crate) fn keep(mut self: Box<Scratch>) {
        self.forget_sites();
        self.frames.clear();
        let used = std::mem::replace(&mut self.stack.len, FRAME_SIZE);
        // Functions of the host may have kept a part of it, and must not see what later programs do.
        let Some(memory) = Arc::get_mut(&mut self.stack.memory) else { return };
        if std::mem::take(&mut self.dirty) {
            memory.clear(used as usize);
        }
        _ = KEPT.try_with(|kept| kept.set(Some(self)));
    }

    /// Remembers where a site's area is.
    pub(crate) fn remember(&mut self, site: u8, area: Site) {
        let site = usize::from(site) % SITES;
        self.used |= 1 << site;
        self.sites[site] = area;
    }

    /// Forgets all areas, since some may be gone.
    pub(crate) fn forget_sites(&mut self) {
        let mut used = std::mem::take(&mut self.used);
        while used != 0 {
            self.sites[used.trailing_zeros() as usize] = Site::NONE;
            used &= used - 1;
        }
    }

    /// The stack as far as it may be accessed.
    pub(crate) fn stack(&self) -> &Area {
        &self.stack
    }

    /// Says that the program may write to the stack from now on.
    pub(crate) fn written(&mut self) {
        self.dirty = true;
    }

    /// Lets the program access this many frames of the stack, or more if it could before.
    pub(crate) fn reach(&mut self, frames: usize) {
        debug_assert!(frames <= ALL_FRAMES);
        self.stack.len = self.stack.len.max(frames as u64 * FRAME_SIZE);
    }
}
