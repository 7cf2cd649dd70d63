//! What threads that call a function for the first time wait for.
//!
//! Two steps, so that code that runs while a module is set up may call what is being set up, and two threads that set up modules
//! that call each other do not wait for each other for ever:
//!
//! - [`Once`]: the link itself. One thread does it, the others wait for its result. It runs no linked code.
//! - [`Turn`]: the initialisers. One thread at a time runs those of any module of a session; while it does, it may come
//!   back for more.

use crate::sync::{Condvar, Mutex, PoisonError, ThreadId, current, lock};

/// Something that is made once, by the thread that needs it first.
pub(crate) struct Once<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

enum State<T> {
    Nothing,
    /// This thread makes it.
    Making(ThreadId),
    Made(T),
}

/// The thread that makes a thing needs it to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeedsItself;

impl<T: Clone> Once<T> {
    pub(crate) fn new() -> Once<T> {
        Once { state: Mutex::new(State::Nothing), changed: Condvar::new() }
    }

    /// What was made; made now if it was not.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> Result<T, NeedsItself> {
        let mut state = lock(&self.state);
        loop {
            match &*state {
                State::Made(made) => return Ok(made.clone()),
                State::Making(thread) if *thread == current().id() => return Err(NeedsItself),
                State::Making(_) => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                State::Nothing => break,
            }
        }
        *state = State::Making(current().id());
        drop(state);
        // Should it panic, the next thread makes it.
        let unmade = Unmade(self);
        let made = make();
        std::mem::forget(unmade);
        self.set(State::Made(made.clone()));
        Ok(made)
    }

    fn set(&self, state: State<T>) {
        *lock(&self.state) = state;
        self.changed.notify_all();
    }
}

struct Unmade<'o, T: Clone>(&'o Once<T>);

impl<T: Clone> Drop for Unmade<'_, T> {
    fn drop(&mut self) {
        self.0.set(State::Nothing);
    }
}

/// A lock that its holder may take again.
pub(crate) struct Turn {
    /// Who has it, and how often.
    holder: Mutex<Option<(ThreadId, usize)>>,
    free: Condvar,
}

impl Turn {
    pub(crate) fn new() -> Turn {
        Turn { holder: Mutex::new(None), free: Condvar::new() }
    }

    /// Waits for the turn, unless this thread has it.
    pub(crate) fn take(&self) -> TurnGuard<'_> {
        let me = current().id();
        let mut holder = lock(&self.holder);
        loop {
            match &mut *holder {
                Some((thread, depth)) if *thread == me => {
                    *depth += 1;
                    break;
                }
                Some(_) => holder = self.free.wait(holder).unwrap_or_else(PoisonError::into_inner),
                None => {
                    *holder = Some((me, 1));
                    break;
                }
            }
        }
        TurnGuard(self)
    }
}

/// Gives the turn back.
pub(crate) struct TurnGuard<'t>(&'t Turn);

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        let mut holder = lock(&self.0.holder);
        match &mut *holder {
            Some((_, depth)) if *depth > 1 => *depth -= 1,
            _ => {
                *holder = None;
                self.0.free.notify_one();
            }
        }
    }
}
