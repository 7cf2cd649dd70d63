//! First calls that cannot be linked.

use crate::support::{C_COMPILERS, call, find, link, text, this_program};
use jitlink::{Addr, BoxError, Definition, Input, Lazy, Session, resolver};
use std::sync::{Arc, Mutex};

const CHILD: &str = "JITLINK_TEST_LAZY_CHILD";

extern "C" fn fallback(argument: i32) -> i32 {
    argument + 500
}

/// A module whose function `caller` calls the lazy `missing`.
fn linked(compiler: &std::path::Path, lazy: impl Fn() -> Lazy + Send + Sync + 'static) -> (Session, jitlink::Module) {
    let session = Session::in_process().expect("an executor");
    session.add_resolver(resolver("the plug-ins", move |names| {
        Ok(names.iter().map(|name| (*name == b"missing").then(|| Definition::Lazy(lazy()))).collect())
    }));
    let caller = text(compiler, "c", "int missing(int); int caller(int x) { return missing(x) + 1; }", "-O1 -fPIC");
    let module = link(&session.library("main"), &caller);
    (session, module)
}

fn fails() -> Result<Vec<Input>, BoxError> {
    Err("the disk is gone".into())
}

#[test]
fn a_handler_is_told_what_failed_and_gives_another_function() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let other = text(&compiler, "c", "int other(int x) { return x; }", "-O1");
    let broken = Input::from_bytes("broken.o", b"\x7fELF and no more".to_vec());
    let cases: [(Vec<Input>, &str); 4] = [
        (vec![other], "the plug-ins: what was supplied for missing does not define it"),
        (vec![broken], "broken.o"),
        (Vec::new(), "nothing to link"),
        (
            vec![text(&compiler, "c", "int more(int); int missing(int x) { return more(x); }", "-O1")],
            "more is not defined",
        ),
    ];
    for (inputs, expected) in cases {
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = told.clone();
        let (session, module) = linked(&compiler, move || {
            let (inputs, listener) = (inputs.clone(), listener.clone());
            Lazy::new(move || Ok(inputs.clone())).on_failure(move |errors| {
                listener.lock().unwrap().push(errors.to_string());
                Some(Addr(fallback as *const () as u64))
            })
        });
        assert_eq!(call(&module, "caller", 1), 502);
        assert_eq!(call(&module, "caller", 2), 503);
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(expected), "{told:?}");
        assert!(session.library("main").lookup("other").is_none(), "a link that was of no use leaves nothing");
        module.remove().expect("nothing needs it");
    }
}

#[test]
fn without_a_handler_the_process_says_why_and_aborts() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    if std::env::var_os(CHILD).is_some() {
        let (_session, module) = linked(&compiler, || Lazy::new(fails));
        call(&module, "caller", 1);
        unreachable!("the call does not return");
    }
    let name = "failure::without_a_handler_the_process_says_why_and_aborts";
    let mut child = this_program();
    child.args(["--exact", name, "--nocapture"]).env(CHILD, "1");
    let output = child.output().expect("a child");
    let stderr = String::from_utf8_lossy(&output.stderr);
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(output.status.signal(), Some(6), "aborted: {stderr}");
    let expected = "jitlink: missing cannot be linked on its first call:\nthe plug-ins: the disk is gone\n";
    assert!(stderr.contains(expected), "{stderr}");
}

#[test]
fn code_that_links_a_function_and_calls_it_is_told_so() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    static MODULE: Mutex<Option<jitlink::Module>> = Mutex::new(None);
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let (_session, module) = linked(&compiler, || {
        Lazy::new(|| {
            let module = MODULE.lock().unwrap().clone().expect("the module that calls");
            assert_eq!(call(&module, "caller", 7), 508);
            fails()
        })
        .on_failure(|errors| {
            TOLD.lock().unwrap().push(errors.to_string());
            Some(Addr(fallback as *const () as u64))
        })
    });
    *MODULE.lock().unwrap() = Some(module.clone());
    assert_eq!(call(&module, "caller", 1), 502);
    *MODULE.lock().unwrap() = None;
    assert_eq!(*TOLD.lock().unwrap(), ["the code that links missing calls it", "the plug-ins: the disk is gone"]);
}
