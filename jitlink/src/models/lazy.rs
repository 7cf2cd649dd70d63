//! First calls that meet.

use super::*;
use crate::{Definition, Input, Lazy, resolver};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What `text` defines is linked when it is first called.
fn lazily(session: &Session, text: fn(&str) -> Option<String>, asked: &Arc<AtomicUsize>) {
    let asked = asked.clone();
    session.add_resolver(resolver("the model", move |names| {
        let answer = |name: &&[u8]| {
            let text = text(std::str::from_utf8(name).ok()?)?;
            let asked = asked.clone();
            let lazy = Lazy::new(move || {
                asked.fetch_add(1, Ordering::Relaxed);
                Ok(vec![Input::from_bytes("lazy.o", text.clone().into_bytes())])
            });
            let options = LinkOptions { threads: Some(1), ..LinkOptions::default() };
            Some(Definition::Lazy(lazy.options(options)))
        };
        Ok(names.iter().map(answer).collect())
    }));
}

/// Two threads make the first call through each of two slots; what they got.
fn race(host: &Host, slots: [usize; 2]) -> [Addr; 2] {
    let all = host.slots();
    let threads = slots.map(|slot| {
        let function = all[slot].function.clone();
        spawn(move || function.link().unwrap_or_else(|errors| panic!("{errors}")))
    });
    threads.map(join)
}

const WITH_INITIALISER: &str = "section .init rw init=init\nrel ABS64 f\n";

/// A session whose library `main` holds a module that calls what is linked lazily.
struct Caller {
    host: Host,
    main: Library,
    module: Module,
    asked: Arc<AtomicUsize>,
    _session: Session,
}

impl Caller {
    fn new(
        needs: &'static [&'static str],
        text: fn(&str) -> Option<String>,
        run: impl Fn() + Send + Sync + 'static,
    ) -> Caller {
        first(move || {
            let (session, host) = host(run);
            let asked = Arc::new(AtomicUsize::new(0));
            lazily(&session, text, &asked);
            let main = session.library("main");
            let module = link(&main, "caller.o", &function("caller", needs)).expect("a link");
            Caller { host, main, module, asked, _session: session }
        })
    }

    /// The module goes, and what it called with it.
    fn end(self) {
        self.host.forget();
        let host = self.host.clone();
        first(move || self.module.remove().expect("nothing needs it"));
        assert!(host.image.segments().is_empty());
    }
}

#[test]
fn threads_that_make_the_first_call_get_one_module_that_is_set_up() {
    model(|| {
        let ready = Arc::new(AtomicBool::new(false));
        let set_up = ready.clone();
        let run = move || {
            loom::thread::yield_now();
            set_up.store(true, Ordering::Relaxed);
        };
        let text = |name: &str| (name == "f").then(|| function("f", &[]) + WITH_INITIALISER);
        let caller = Caller::new(&["f"], text, run);
        let threads = [0, 1].map(|_| {
            let (function, ready) = (caller.host.slots()[0].function.clone(), ready.clone());
            spawn(move || {
                let address = function.link().unwrap_or_else(|errors| panic!("{errors}"));
                assert!(ready.load(Ordering::Relaxed), "nobody calls it before it is set up");
                address
            })
        });
        let got = threads.map(join);
        assert_eq!(got[0], got[1]);
        assert_eq!(caller.main.lookup("f").map(|f| f.address()), Some(got[0]));
        assert_eq!(caller.asked.load(Ordering::Relaxed), 1);
        caller.end();
    });
}

#[test]
fn two_functions_of_one_object_are_linked_to_one_module() {
    model(|| {
        let text = |name: &str| matches!(name, "f" | "g").then(|| function("f", &[]) + "label g global\n");
        let caller = Caller::new(&["f", "g"], text, || {});
        let got = race(&caller.host, [0, 1]);
        let address = |name: &str| caller.main.lookup(name).map(|handle| handle.address());
        assert_eq!([Some(got[0]), Some(got[1])], [address("f"), address("g")]);
        assert_eq!(caller.host.image.segments().len(), caller.module.segments().len() + 1);
        caller.end();
    });
}

#[test]
fn initialisers_that_call_each_other_s_functions_do_not_wait_for_ever() {
    model(|| {
        // What runs as an initialiser calls both functions, whichever module it belongs to.
        let calls: Arc<std::sync::OnceLock<Host>> = Arc::default();
        let inner = calls.clone();
        let run = move || {
            for slot in inner.get().map(Host::slots).unwrap_or_default() {
                slot.function.link().unwrap_or_else(|errors| panic!("{errors}"));
            }
        };
        let text = |name: &str| {
            let initialiser = WITH_INITIALISER.replace(" f", &format!(" {name}"));
            matches!(name, "f" | "g").then(|| function(name, &[]) + &initialiser)
        };
        let caller = Caller::new(&["f", "g"], text, run);
        let _ = calls.set(caller.host.clone());
        race(&caller.host, [0, 1]);
        assert_eq!(caller.asked.load(Ordering::Relaxed), 2);
        caller.end();
    });
}
