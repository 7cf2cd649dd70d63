//! Indirect functions: the host's side of their slots.
//!
//! A resolver runs once, on the thread that first calls its function or that initialises the module, whichever comes first; other
//! threads that call the function meanwhile wait for it. Resolvers are linked code and may call whatever they like, indirect functions
//! included. One that needs its own result, by itself or through those that other threads run, would wait for ever, so it is
//! found out and ends the process with a message; a natively linked program would jump to nowhere.

use super::lazy::give_up;
use crate::executor::IndirectSlot;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Slots of modules that are linked, and who waits.
static TABLE: Mutex<Table> = Mutex::new(Table { functions: BTreeMap::new(), waiting: BTreeMap::new() });

/// Some resolver has returned.
static RETURNED: Condvar = Condvar::new();

struct Table {
    /// By slot.
    functions: BTreeMap<usize, Function>,
    /// The slots that threads wait for, by thread.
    waiting: BTreeMap<usize, usize>,
}

struct Function {
    name: String,
    resolver: usize,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Unresolved,
    /// By this thread.
    Resolving(usize),
    /// The address, or zero if the resolver found no function.
    Resolved(usize),
}

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    /// Whether waiting for a slot means waiting for what this thread does.
    fn waits_for(&self, thread: usize, mut slot: usize) -> bool {
        while let Some(Function { state: State::Resolving(other), .. }) = self.functions.get(&slot) {
            match self.waiting.get(other) {
                _ if *other == thread => return true,
                Some(next) => slot = *next,
                None => return false,
            }
        }
        false
    }
}

/// Slots that are known for as long as this lives.
pub(super) struct Registration(Vec<usize>);

/// Makes slots known.
///
/// # Safety
/// The slots are aligned words in memory that linked code may write, which is there for as long as the registration lives; nothing
/// but atomic stores changes them.
pub(super) unsafe fn register(slots: Vec<IndirectSlot>) -> Registration {
    let addresses = slots.iter().map(|indirect| indirect.slot.0 as usize).collect();
    table().functions.extend(slots.into_iter().map(|IndirectSlot { slot, resolver, name }| {
        (slot.0 as usize, Function { name, resolver: resolver.0 as usize, state: State::Unresolved })
    }));
    Registration(addresses)
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut table = table();
        for slot in &self.0 {
            table.functions.remove(slot);
        }
    }
}

/// The address of the function of a slot that was called; `None` if it is no slot of an indirect function.
///
/// # Safety
/// As for [`resolve`].
pub(super) unsafe fn on_call(slot: usize) -> Option<usize> {
    // SAFETY: as this function's caller promises.
    match unsafe { resolve(slot) }? {
        Ok(0) => give_up(&format!("the resolver of the indirect function {} gave no function", name(slot))),
        Ok(address) => Some(address),
        Err(NeedsItself) => give_up(&format!("the resolver of the indirect function {} calls it", name(slot))),
    }
}

fn name(slot: usize) -> String {
    table().functions.get(&slot).map_or_else(String::new, |function| function.name.clone())
}

/// A resolver needs what it is to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NeedsItself;

/// What the resolver of a slot returned, which is called now if it was not; `None` if it is no slot of an indirect function.
///
/// # Safety
/// A slot that is registered is of a module that stays linked until this returns, and whose resolvers are sound to run.
pub(super) unsafe fn resolve(slot: usize) -> Option<Result<usize, NeedsItself>> {
    // SAFETY: takes and changes nothing.
    let me = unsafe { libc::pthread_self() } as usize;
    let mut known = table();
    let resolver = loop {
        let function = known.functions.get_mut(&slot)?;
        match function.state {
            State::Resolved(address) => return Some(Ok(address)),
            State::Unresolved => {
                function.state = State::Resolving(me);
                break function.resolver;
            }
            State::Resolving(_) => {
                if known.waits_for(me, slot) {
                    return Some(Err(NeedsItself));
                }
                known.waiting.insert(me, slot);
                known = RETURNED.wait(known).unwrap_or_else(PoisonError::into_inner);
                known.waiting.remove(&me);
            }
        }
    };
    drop(known);
    // SAFETY: the linker says that this is a function of that type, the caller that its code is there and sound to run.
    let address = unsafe { std::mem::transmute::<usize, extern "C" fn() -> usize>(resolver)() };
    if address != 0 {
        // SAFETY: a slot that is registered is an aligned word of a linked module, which the caller keeps. Other threads load it
        // at any time; they see the trampoline's or the function's address, and what the function's memory holds was written before.
        unsafe { AtomicUsize::from_ptr(slot as *mut usize) }.store(address, Ordering::Release);
    }
    if let Some(function) = table().functions.get_mut(&slot) {
        function.state = State::Resolved(address);
    }
    RETURNED.notify_all();
    Some(Ok(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Addr;

    /// Registers slots in memory of the test with these resolvers.
    fn indirect(slots: &[AtomicUsize], resolvers: &[extern "C" fn() -> usize]) -> Registration {
        let each = slots.iter().zip(resolvers).map(|(slot, resolver)| IndirectSlot {
            slot: Addr(slot.as_ptr() as u64),
            resolver: Addr(*resolver as usize as u64),
            name: "chosen".into(),
        });
        // SAFETY: the slots are words of the test, which outlive the registration in each.
        unsafe { register(each.collect()) }
    }

    fn resolved(slot: &AtomicUsize) -> Option<Result<usize, NeedsItself>> {
        // SAFETY: what is registered here are functions of this module that are sound to call.
        unsafe { resolve(slot.as_ptr() as usize) }
    }

    #[test]
    fn a_resolver_runs_once_however_many_threads_call() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        extern "C" fn resolver() -> usize {
            // Long enough for the others to come.
            std::thread::yield_now();
            RUNS.fetch_add(1, Ordering::SeqCst) + 0x1000
        }
        let slots = [AtomicUsize::new(1)];
        let registration = indirect(&slots, &[resolver]);
        let barrier = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    assert_eq!(resolved(&slots[0]), Some(Ok(0x1000)));
                });
            }
        });
        assert_eq!((RUNS.load(Ordering::SeqCst), slots[0].load(Ordering::SeqCst)), (1, 0x1000));
        drop(registration);
        assert_eq!(resolved(&slots[0]), None, "nobody knows it any more");
    }

    #[test]
    fn a_null_result_leaves_the_slot_and_is_remembered() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        extern "C" fn resolver() -> usize {
            RUNS.fetch_add(1, Ordering::SeqCst);
            0
        }
        let slots = [AtomicUsize::new(7)];
        let _registration = indirect(&slots, &[resolver]);
        assert_eq!([resolved(&slots[0]), resolved(&slots[0])], [Some(Ok(0)); 2]);
        assert_eq!((RUNS.load(Ordering::SeqCst), slots[0].load(Ordering::SeqCst)), (1, 7));
    }

    static CIRCLE: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    /// How many of the two resolvers run.
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    /// How many found that they need themselves.
    static FOUND: AtomicUsize = AtomicUsize::new(0);

    fn needs(other: usize) -> usize {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        while INSIDE.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        match resolved(&CIRCLE[other]) {
            Some(Err(NeedsItself)) => FOUND.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        0x1000 + other
    }

    extern "C" fn first() -> usize {
        needs(1)
    }

    extern "C" fn second() -> usize {
        needs(0)
    }

    #[test]
    fn resolvers_of_two_threads_that_need_each_other_do_not_wait_for_ever() {
        let _registration = indirect(&CIRCLE, &[first, second]);
        std::thread::scope(|scope| {
            for (slot, address) in CIRCLE.iter().zip([0x1001, 0x1000]) {
                scope.spawn(move || assert_eq!(resolved(slot), Some(Ok(address))));
            }
        });
        assert_eq!(FOUND.load(Ordering::SeqCst), 1, "the other one waited, and got its result");
    }
}
