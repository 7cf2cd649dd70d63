//! Which definition a later link means.

use crate::kit;
use crate::{add, address, function, options, pointer, session};
use jitlink::core::link::{LinkOptions, Unresolved};
use jitlink::{Addr, LinkError};

#[test]
fn a_later_module_binds_to_an_earlier_one() {
    let (session, _) = session();
    let main = session.library("main");
    let first = add(&main, "f.o", &function("f", "global func", &[])).unwrap();
    let second = add(&main, "g.o", &function("g", "global func", &["f"])).unwrap();
    assert_eq!(pointer(&second, "g", 0), address(&first, "f"));
    assert_eq!(session.library("main").lookup("g").unwrap().address(), address(&second, "g"));
    assert_eq!(main.lookup("nothing").map(|handle| handle.address()), None);
}

#[test]
fn hidden_names_of_a_module_are_not_seen_by_others() {
    let (session, _) = session();
    let main = session.library("main");
    let first = add(&main, "f.o", &(function("f", "hidden", &[]) + "label shown global\n")).unwrap();
    assert_eq!(first.lookup("f").map(|handle| handle.address()), None);
    let errors = add(&main, "g.o", &function("g", "global", &["f"])).err().unwrap();
    assert_eq!(errors.first().code(), "undefined");
}

#[test]
fn libraries_are_searched_in_order_after_the_own_one() {
    let (session, _) = session();
    let [own, first, second, third] = ["own", "first", "second", "third"].map(|name| session.library(name));
    let modules = [&first, &second, &third].map(|library| {
        let extra = format!("label only_{} global\n", library.name());
        add(library, "f.o", &(function("f", "global", &[]) + &extra)).unwrap()
    });
    own.search(&first);
    own.search(&second);
    first.search(&third);
    let user = add(&own, "u.o", &function("u", "global", &["f", "only_second", "only_third"])).unwrap();
    assert_eq!(pointer(&user, "u", 0), address(&modules[0], "f"));
    assert_eq!(pointer(&user, "u", 1), address(&modules[1], "only_second"));
    assert_eq!(pointer(&user, "u", 2), address(&modules[2], "only_third"), "what a searched library searches");
    let own_f = add(&own, "own.o", &function("f", "global", &[])).unwrap();
    let later = add(&own, "v.o", &function("v", "global", &["f"])).unwrap();
    assert_eq!(pointer(&later, "v", 0), address(&own_f, "f"), "the own library comes first");
    assert!(second.lookup("u").is_none(), "searching goes one way");
}

#[test]
fn libraries_may_search_each_other() {
    let (session, _) = session();
    let (a, b) = (session.library("a"), session.library("b"));
    a.search(&b);
    b.search(&a);
    a.search(&a);
    let f = add(&a, "f.o", &function("f", "global", &[])).unwrap();
    assert_eq!(b.lookup("f").unwrap().address(), address(&f, "f"));
    assert!(b.lookup("nothing").is_none());
}

#[test]
fn names_of_the_session_come_after_libraries_and_before_the_executor() {
    let executor = kit::executor().with_symbols([("from_executor", Addr(1)), ("given", Addr(2))]);
    let session = jitlink::Session::new(kit::arch::registry(), std::sync::Arc::new(executor));
    session.define("given", Addr(3)).unwrap();
    session.define("linked", Addr(4)).unwrap();
    let main = session.library("main");
    let linked = add(&main, "l.o", &function("linked", "global", &[])).unwrap();
    let user = add(&main, "u.o", &function("u", "global", &["from_executor", "given", "linked"])).unwrap();
    let found = [0, 1, 2].map(|index| pointer(&user, "u", index));
    assert_eq!(found, [Addr(1), Addr(3), address(&linked, "linked")]);
    let options = LinkOptions { defines: vec![("given".into(), Addr(9))], ..options() };
    let user = main.link(&kit::inputs(&[("v.o", &function("v", "global", &["given"]))]), &options).unwrap();
    assert_eq!(pointer(&user, "v", 0), Addr(9), "names given to one link come before all others");
}

#[test]
fn a_second_strong_definition_is_an_error_that_changes_nothing() {
    let (session, executor) = session();
    let main = session.library("main");
    let first = add(&main, "f.o", &function("f", "global", &[])).unwrap();
    let before = executor.segments().len();
    let errors = add(&main, "g.o", &(function("f", "global", &[]) + "label g global\n")).err().unwrap();
    let LinkError::Duplicate { symbol, second, .. } = errors.first() else { panic!("{errors}") };
    assert_eq!((symbol.as_str(), second.as_str()), ("f", "g.o"));
    assert_eq!(executor.segments().len(), before);
    assert!(main.lookup("g").is_none());
    assert_eq!(main.lookup("f").unwrap().address(), address(&first, "f"));
    assert!(add(&session.library("other"), "g.o", &function("f", "global", &[])).is_ok(), "libraries are namespaces");
}

#[test]
fn a_weak_definition_gives_way_to_one_that_is_there() {
    let (session, _) = session();
    let main = session.library("main");
    let first = add(&main, "f.o", &function("f", "global", &[])).unwrap();
    let weak = function("f", "global weak", &[]) + "section .data r\nlabel p global\nret\nret\nrel ABS64 f\n";
    let second = add(&main, "g.o", &weak).unwrap();
    assert_eq!(pointer(&second, "p", 0), address(&first, "f"));
    assert_eq!(main.lookup("f").unwrap().address(), address(&first, "f"));
    assert!(second.lookup("f").is_none(), "the second module does not define it");
    assert!(first.remove().is_err(), "the second module uses the first one's");
}

#[test]
fn a_weak_copy_in_an_update_changes_nothing_of_the_definition_that_counts() {
    let (session, _) = session();
    let main = session.library("main");
    let definition = |kind, size| format!("toy le64\nsection .text rx\nlabel f {kind} func size={size}\nret\nret\n");
    let options = LinkOptions { updatable: true, ..options() };
    let module = main.link(&kit::inputs(&[("a.o", &definition("global", 8))]), &options).unwrap();
    let found = || main.lookup("f").map(|handle| (handle.address(), handle.size()));
    let before = found();
    for updated in [("b.o", "global weak", 4), ("b.o", "global weak", 8), ("a.o", "global", 8)] {
        let (name, kind, size) = updated;
        // SAFETY: nothing runs in an image.
        unsafe { module.update(&kit::inputs(&[(name, &definition(kind, size))])) }.unwrap();
        assert_eq!((found(), module.exports().len()), (before, 1), "{updated:?}");
    }
}

#[test]
fn a_weak_protected_definition_is_used_by_its_own_module() {
    let (session, _) = session();
    let main = session.library("main");
    let first = add(&main, "f.o", &function("f", "global", &[])).unwrap();
    let text = "toy le64\nsection .text rx\nlabel f protected weak\nret\nlabel own\nret\nsection .data r\nlabel p global\nret\nret\nrel ABS64 f\nrel ABS64 own\n";
    let second = add(&main, "g.o", text).unwrap();
    assert_eq!(pointer(&second, "p", 0) + 4, pointer(&second, "p", 1));
    assert_eq!(main.lookup("f").unwrap().address(), address(&first, "f"));
}

#[test]
fn a_strong_definition_takes_the_place_of_a_weak_one_for_later_links_alone() {
    let (session, _) = session();
    let main = session.library("main");
    let weak = add(&main, "w.o", &function("f", "global weak", &[])).unwrap();
    let early = add(&main, "e.o", &function("e", "global", &["f"])).unwrap();
    let strong = add(&main, "s.o", &function("f", "global", &[])).unwrap();
    let late = add(&main, "l.o", &function("l", "global", &["f"])).unwrap();
    assert_eq!(pointer(&early, "e", 0), address(&weak, "f"));
    assert_eq!(pointer(&late, "l", 0), address(&strong, "f"));
    early.remove().unwrap();
    weak.remove().expect("the strong definition does not need the weak one");
    assert_eq!(main.lookup("f").unwrap().address(), address(&strong, "f"));
}

#[test]
fn a_weak_definition_is_seen_again_when_the_strong_one_is_removed() {
    let (session, _) = session();
    let main = session.library("main");
    let weak = add(&main, "w.o", &function("f", "global weak", &[])).unwrap();
    let strong = add(&main, "s.o", &function("f", "global", &[])).unwrap();
    strong.remove().unwrap();
    assert_eq!(main.lookup("f").map(|handle| handle.address()), Some(address(&weak, "f")));
}

#[test]
fn a_common_symbol_means_the_definition_that_is_there() {
    let (session, _) = session();
    let main = session.library("main");
    let strong = add(&main, "s.o", "toy le64\nsection .data rw\nlabel x global object size=8\nzero 8\n").unwrap();
    let common =
        |name: &str| format!("toy le64\ncommon x 8 8\nsection .data r\nlabel {name} global\nret\nret\nrel ABS64 x\n");
    let user = add(&main, "c.o", &common("c")).unwrap();
    assert_eq!(pointer(&user, "c", 0), address(&strong, "x"));
    let other = session.library("other");
    let first = add(&other, "c.o", &common("c")).unwrap();
    let second = add(&other, "d.o", &common("d")).unwrap();
    assert_eq!(pointer(&first, "c", 0), pointer(&second, "d", 0), "one variable, not two");
}

#[test]
fn a_unique_symbol_is_one_in_all_libraries() {
    let (session, _) = session();
    let object = |name: &str| {
        format!(
            "toy le64\nsection .data rw\nlabel u global unique\nzero 8\nsection .p r\nlabel {name} global\nret\nret\nrel ABS64 u\n"
        )
    };
    let first = add(&session.library("a"), "a.o", &object("p")).unwrap();
    let second = add(&session.library("b"), "b.o", &object("q")).unwrap();
    assert_eq!(pointer(&second, "q", 0), address(&first, "u"));
    assert!(first.remove().is_err(), "the second module uses the first one's");
    second.remove().unwrap();
    first.remove().unwrap();
}

#[test]
#[cfg(target_pointer_width = "64")]
fn names_with_equal_hashes_do_not_replace_each_other() {
    let (a, b) = colliding_names();
    let (session, _) = session();
    let main = session.library("main");
    let weak = add(&main, "a.o", &function(&a, "global weak", &[])).unwrap();
    let other = add(&main, "b.o", &function(&b, "global weak", &[])).unwrap();
    let strong = add(&main, "c.o", &function(&a, "global", &[])).unwrap();
    assert_eq!(main.lookup(&a).unwrap().address(), address(&strong, &a));
    assert_eq!(main.lookup(&b).unwrap().address(), address(&other, &b));
    strong.remove().unwrap();
    weak.remove().unwrap();
    assert_eq!(main.lookup(&b).unwrap().address(), address(&other, &b));
    other.remove().unwrap();
    assert!(main.lookup(&b).is_none());
}

/// Two names that hash alike. The hash of sixteen bytes is the product of both halves, each combined with a constant: these
/// halves are exchanged, constants and all.
#[cfg(target_pointer_width = "64")]
#[rustfmt::skip]
fn colliding_names() -> (String, String) {
    let first = [0xc3, 0xad, 0x76, 0x6c, 0x21, 0x7a, 0x5e, 0x60, 0xcc, 0xa8, 0x53, 0x65, 0x25, 0x69, 0x57, 0x6d];
    let second = [0x5b, 0xd3, 0x80, 0xe3, 0x83, 0x89, 0x71, 0x5a, 0x54, 0xd6, 0xa5, 0xea, 0x87, 0x9a, 0x78, 0x57];
    let [first, second] = [first, second].map(|bytes| String::from_utf8(bytes.into()).expect("text"));
    let hash = |name: &str| jitlink::core::graph::Name::new(name.as_bytes()).hash();
    assert_eq!(hash(&first), hash(&second), "the hash has changed: find two other names");
    assert_ne!(first, second);
    (first, second)
}

#[test]
fn a_failed_link_changes_nothing() {
    let (session, executor) = session();
    let main = session.library("main");
    let f = add(&main, "f.o", &function("f", "global", &[])).unwrap();
    let before: Vec<_> = executor.segments().iter().map(|segment| segment.address).collect();
    let failing = function("g", "global", &["f", "missing"]);
    assert!(add(&main, "g.o", &failing).is_err());
    assert_eq!(executor.segments().iter().map(|segment| segment.address).collect::<Vec<_>>(), before);
    assert!(main.lookup("g").is_none());
    f.remove().expect("a link that failed depends on nothing");
    let forgiving = LinkOptions { unresolved: Unresolved::Null, ..options() };
    let g = main.link(&kit::inputs(&[("g.o", &failing)]), &forgiving).unwrap();
    assert_eq!((pointer(&g, "g", 0), pointer(&g, "g", 1)), (Addr(0), Addr(0)));
}
