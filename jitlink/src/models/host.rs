//! What the program gives, while it is taken back.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Data that says when it is dropped.
struct Data(Arc<AtomicBool>);

impl Drop for Data {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_is_taken_back_stays_for_a_module_that_found_it() {
    model(|| {
        let (session, _host) = first(session);
        let dropped = Arc::new(AtomicBool::new(false));
        let data = Arc::new(Data(dropped.clone()));
        let address = Addr(Arc::as_ptr(&data) as u64);
        session.define("data", data).expect("a name that is free");
        let linking = {
            let main = session.library("main");
            spawn(move || link(&main, "m.o", &function("f", &["data"])).ok())
        };
        let taking = {
            let session = session.clone();
            spawn(move || session.undefine("data"))
        };
        let (module, taken) = (join(linking), join(taking));
        assert!(taken);
        assert_eq!(dropped.load(Ordering::Relaxed), module.is_none(), "it goes with the last that needs it");
        if let Some(module) = module {
            assert_eq!(pointer(&module, "f"), address);
            first(move || module.remove().expect("nothing needs it"));
            assert!(dropped.load(Ordering::Relaxed));
        }
    });
}

#[test]
fn of_two_that_give_one_name_one_has_given_it() {
    model(|| {
        let (session, _host) = first(session);
        let giving = [0, 1].map(|_| {
            let session = session.clone();
            spawn(move || session.define("data", Arc::new(0u64)).is_ok())
        });
        assert_eq!(giving.map(join).into_iter().filter(|given| *given).count(), 1);
        assert!(session.undefine("data"));
    });
}
