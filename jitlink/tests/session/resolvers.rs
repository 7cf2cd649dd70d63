//! Resolvers of the user: who is asked, in which order, and what becomes of the answers.

use crate::{add, address, function, kit, pointer, session};
use jitlink::{Addr, BoxError, Definition, Input, Lazy, LinkError, Resolver, resolver};
use std::sync::{Arc, Mutex};

/// Gives one name an address, and remembers what it was asked.
fn knows(who: &'static str, name: &'static str, at: u64) -> (impl Resolver + 'static, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = asked.clone();
    let resolver = resolver(who, move |names| {
        log.lock().unwrap().extend(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()));
        Ok(names.iter().map(|asked| (*asked == name.as_bytes()).then_some(Definition::Address(Addr(at)))).collect())
    });
    (resolver, asked)
}

/// What a resolver answers, given how many names it was asked for.
type Answers = fn(usize) -> Result<Vec<Option<Definition>>, BoxError>;

#[test]
fn the_library_s_resolvers_are_asked_then_the_session_s_then_the_executor() {
    let executor = kit::executor().with_symbols([("a", Addr(0x1000)), ("d", Addr(0x1003))]);
    let session = jitlink::Session::new(kit::arch::registry(), Arc::new(executor));
    let main = session.library("main");
    let known = add(&main, "known.o", &function("known", "global", &[])).unwrap();
    session.define("defined", Addr(0x9000)).unwrap();
    let (resolver, third) = knows("third", "c", 0x4000);
    session.add_resolver(resolver);
    let (resolver, first) = knows("first", "a", 0x2000);
    main.add_resolver(resolver);
    let (resolver, second) = knows("second", "b", 0x3000);
    main.add_resolver(resolver);
    let needs = ["known", "defined", "a", "b", "c", "d"];
    let module = add(&main, "m.o", &function("m", "global", &needs)).unwrap();
    let found: Vec<Addr> = (0..6).map(|index| pointer(&module, "m", index)).collect();
    let expected = [0x9000, 0x2000, 0x3000, 0x4000, 0x1003].map(Addr);
    assert_eq!((found[0], &found[1..]), (address(&known, "known"), &expected[..]));
    assert_eq!(*first.lock().unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(*second.lock().unwrap(), ["b", "c", "d"]);
    assert_eq!(*third.lock().unwrap(), ["c", "d"]);
    // Another library has none of its own.
    let other = session.library("other");
    let module = add(&other, "o.o", &function("o", "global", &["a", "c"])).unwrap();
    assert_eq!((pointer(&module, "o", 0), pointer(&module, "o", 1)), (Addr(0x1000), Addr(0x4000)));
}

#[test]
fn objects_that_join_are_part_of_the_module_and_refer_to_the_library() {
    let (session, executor) = session();
    let main = session.library("main");
    let base = add(&main, "base.o", &function("base", "global", &[])).unwrap();
    main.add_resolver(resolver("parts", |names| {
        let object = |name: &&[u8]| {
            let text = function("part", "global", &["base"]);
            (*name == b"part").then(|| Input::from_bytes("part.o", text.into_bytes()).into())
        };
        Ok(names.iter().map(object).collect())
    }));
    let module = add(&main, "m.o", &function("m", "global", &["part"])).unwrap();
    assert_eq!(pointer(&module, "m", 0), address(&module, "part"));
    assert_eq!(pointer(&module, "part", 0), address(&base, "base"));
    assert!(base.remove().is_err(), "needed by what joined");
    module.remove().unwrap();
    assert!(main.lookup("part").is_none());
    base.remove().unwrap();
    assert!(executor.segments().is_empty());
}

#[test]
fn failures_name_the_resolver() {
    let (session, executor) = session();
    let cases: [(Answers, &str); 3] = [
        (|_| Err("no answer today".into()), "the oracle: no answer today"),
        (|_| Ok(Vec::new()), "the oracle: it gave 0 answers for 1 names"),
        (
            |_| Ok(vec![Some(Input::from_bytes("x.o", "toy le64\n").into())]),
            "the oracle: x.o was supplied for f, which it does not define",
        ),
    ];
    for (number, (answer, expected)) in cases.into_iter().enumerate() {
        let library = session.library(&format!("library {number}"));
        library.add_resolver(resolver("the oracle", move |names| answer(names.len())));
        let errors = add(&library, "m.o", &function("m", "global", &["f"])).unwrap_err();
        assert_eq!(errors.to_string(), expected);
        assert!(matches!(errors.first(), LinkError::Resolver { resolver, .. } if resolver == "the oracle"));
        assert!(library.lookup("m").is_none());
    }
    assert!(executor.segments().is_empty());
}

#[test]
fn what_executes_nothing_refuses_lazy_functions() {
    let (session, _) = session();
    session.add_resolver(resolver("lazy", |names| {
        Ok(names.iter().map(|_| Some(Lazy::new(|| Ok(Vec::new())).into())).collect())
    }));
    let main = session.library("main");
    let errors = add(&main, "m.o", &function("m", "global", &["f"])).unwrap_err();
    assert_eq!(errors.to_string(), "the executor \"image\" links no functions on their first call");
}

#[test]
fn links_on_several_threads_may_ask_at_once() {
    let (session, _) = session();
    session.add_resolver(resolver("shared", |names| {
        let object = |name: &&[u8]| {
            let name = String::from_utf8_lossy(name).into_owned();
            let text = format!("toy le64\nsection .text.{name} rx\nlabel {name} global weak\nret\n");
            Some(Input::from_bytes(format!("{name}.o"), text.into_bytes()).into())
        };
        Ok(names.iter().map(object).collect())
    }));
    let main = session.library("main");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let main = &main;
            scope.spawn(move || {
                for round in 0..20 {
                    let (name, needs) = (format!("m{thread}_{round}"), format!("shared{round}"));
                    let module = add(main, &name, &function(&name, "global", &[&needs])).unwrap();
                    assert!(main.lookup(&needs).is_some());
                    assert_eq!(pointer(&module, &name, 0).0 % 4, 0);
                }
            });
        }
    });
}
