//! What threads wait for that call a function for the first time.

use super::*;
use crate::once::{NeedsItself, Once, Turn};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_thing_is_made_once_and_all_get_it() {
    model(|| {
        let made = Arc::new((Once::new(), AtomicUsize::new(0)));
        let threads = [1, 2, 3].map(|number| {
            let made = made.clone();
            spawn(move || {
                made.0.get_or_make(|| {
                    made.1.fetch_add(1, Ordering::Relaxed);
                    number
                })
            })
        });
        let got = threads.map(join);
        assert!(got[0].is_ok() && got.iter().all(|other| *other == got[0]), "{got:?}");
        assert_eq!(made.1.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_thing_that_needs_itself_says_so_to_its_maker_alone() {
    model(|| {
        let once = Arc::new(Once::new());
        let threads = [1, 2].map(|number| {
            let once = once.clone();
            spawn(move || {
                once.get_or_make(|| {
                    assert_eq!(once.get_or_make(|| 0), Err(NeedsItself));
                    number
                })
            })
        });
        let got = threads.map(join);
        assert!(got[0].is_ok() && got[0] == got[1], "{got:?}");
    });
}

/// What only the thread that has the turn may touch.
struct Guarded(UnsafeCell<u32>);

// SAFETY: threads take turns; loom reports those that do not.
unsafe impl Sync for Guarded {}

#[test]
fn one_thread_at_a_time_has_the_turn_and_may_take_it_again() {
    model(|| {
        let shared = Arc::new((Turn::new(), Guarded(UnsafeCell::new(0))));
        let threads = [1, 2].map(|_| {
            let shared = shared.clone();
            spawn(move || {
                let _outer = shared.0.take();
                drop(shared.0.take());
                // SAFETY: this thread has the turn.
                shared.1.0.with_mut(|value| unsafe { *value += 1 });
            })
        });
        let [(), ()] = threads.map(join);
        // SAFETY: the threads have ended.
        assert_eq!(shared.1.0.with(|value| unsafe { *value }), 2);
    });
}
