//! Modules that are removed, and those that cannot be.

use crate::{add, address, function, kit, options, session};
use jitlink::{LinkOptions, RemoveError};

#[test]
fn removal_frees_memory_and_names() {
    let (session, executor) = session();
    let main = session.library("main");
    let module = add(&main, "f.o", &function("f", "global", &[])).unwrap();
    let first = address(&module, "f");
    assert!(!executor.segments().is_empty());
    module.remove().unwrap();
    assert!(executor.segments().is_empty());
    assert!(main.lookup("f").is_none());
    assert!(module.lookup("f").is_none());
    assert!(module.read(first, &mut [0]).is_err());
    assert!(matches!(module.remove(), Err(RemoveError::Removed { .. })));
    let again = add(&main, "f.o", &function("f", "global", &[])).unwrap();
    assert_eq!(address(&again, "f"), first, "the addresses are free again");
}

#[test]
fn a_module_that_others_need_stays_until_they_are_gone() {
    let (session, _) = session();
    let main = session.library("main");
    let base = add(&main, "base.o", &function("base", "global", &[])).unwrap();
    let other = session.library("other");
    other.search(&main);
    let users = [
        add(&main, "one.o", &function("one", "global", &["base"])).unwrap(),
        add(&other, "two.o", &function("two", "global", &["base"])).unwrap(),
    ];
    let Err(RemoveError::Needed { module, dependents }) = base.remove() else { panic!("it must be refused") };
    assert_eq!((module.as_str(), dependents), ("base.o", vec!["one.o".to_string(), "two.o".to_string()]));
    assert_eq!(main.lookup("base").unwrap().address(), address(&base, "base"), "nothing has changed");
    users[0].remove().unwrap();
    assert!(matches!(base.remove(), Err(RemoveError::Needed { .. })));
    users[1].remove().unwrap();
    base.remove().unwrap();
}

#[test]
fn a_module_stays_while_a_handle_is_held() {
    let (session, executor) = session();
    let main = session.library("main");
    let module = add(&main, "f.o", &function("f", "global", &[])).unwrap();
    let handle = module.lookup("f").unwrap();
    let second = handle.clone();
    let Err(RemoveError::Held { handles, .. }) = module.remove() else { panic!("it must be refused") };
    assert_eq!(handles, 2);
    drop(handle);
    assert!(module.remove().is_err());
    drop(second);
    module.remove().unwrap();
    assert!(executor.segments().is_empty());
}

#[test]
fn references_that_only_pruned_code_had_need_no_module() {
    let (session, _) = session();
    let main = session.library("main");
    let base = add(&main, "base.o", &function("base", "global", &[])).unwrap();
    let text = function("f", "global", &[]) + "section .text.dead rx\nlabel dead hidden\nrel ABS64 base\n";
    add(&main, "f.o", &text).unwrap();
    base.remove().unwrap();
}

#[test]
fn the_end_of_a_session_frees_all_modules_even_if_libraries_search_each_other() {
    let (session, executor) = session();
    let (a, b) = (session.library("a"), session.library("b"));
    a.search(&b);
    b.search(&a);
    add(&a, "f.o", &function("f", "global", &["g"]).replace("ret\nret", "ret")).expect_err("g is not there yet");
    add(&b, "g.o", &function("g", "global", &[])).unwrap();
    add(&a, "f.o", &function("f", "global", &["g"])).unwrap();
    assert!(!executor.segments().is_empty());
    drop((a, b, session));
    assert!(executor.segments().is_empty());
}

#[test]
fn a_handle_outlives_its_session_and_keeps_the_memory() {
    let (session, executor) = session();
    let main = session.library("main");
    let handle = add(&main, "f.o", &function("f", "global", &[])).unwrap().lookup("f").unwrap();
    drop((main, session));
    assert!(executor.segments().iter().any(|segment| segment.address == handle.address()));
    drop(handle);
    assert!(executor.segments().is_empty());
}

#[test]
fn removing_and_linking_again_and_again_keeps_what_is_there_right() {
    let (session, executor) = session();
    let main = session.library("main");
    let names: Vec<String> = (0..20).map(|index| format!("f{index}")).collect();
    let mut modules: Vec<Option<jitlink::Module>> = vec![None; 20];
    let mut state = 1u64;
    for _ in 0..2000 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let index = (state >> 33) as usize % 20;
        match modules[index].take() {
            Some(module) => module.remove().unwrap(),
            None => {
                modules[index] = Some(add(&main, &names[index], &function(&names[index], "global", &[])).unwrap());
            }
        }
        for (name, module) in names.iter().zip(&modules) {
            let expected = module.as_ref().map(|module| address(module, name));
            assert_eq!(main.lookup(name).map(|handle| handle.address()), expected);
        }
    }
    let linked = modules.iter().flatten().count();
    assert_eq!(executor.segments().len(), linked);
    assert_eq!(kit::image::BASE & 0xfff, 0);
}

/// A module that is updated to need one that needs it.
fn two_that_need_each_other(a: &jitlink::Library, b: &jitlink::Library) -> [jitlink::Module; 2] {
    let options = LinkOptions { updatable: true, ..options() };
    let first = a.link(&kit::inputs(&[("f.o", &function("f", "global", &[]))]), &options).unwrap();
    let second = add(b, "g.o", &function("g", "global", &["f"])).unwrap();
    // SAFETY: nothing runs in an image.
    unsafe { first.update(&kit::inputs(&[("h.o", &function("h", "global", &["g"]))])) }.unwrap();
    [first, second]
}

#[test]
fn modules_that_need_each_other_cannot_be_removed_and_go_with_their_session() {
    for names in [["main", "main"], ["main", "other"]] {
        let (session, executor) = session();
        let [a, b] = names.map(|name| session.library(name));
        a.search(&b);
        b.search(&a);
        let [first, second] = two_that_need_each_other(&a, &b);
        let third = add(&b, "i.o", &function("i", "global", &["f"])).unwrap();
        let needed = |module: &jitlink::Module| match module.remove() {
            Err(RemoveError::Needed { dependents, .. }) => dependents,
            other => panic!("it must be refused: {other:?}"),
        };
        assert_eq!((needed(&first), needed(&second)), (vec!["g.o".into(), "i.o".into()], vec!["f.o".into()]));
        drop((first, second, third, a, b, session));
        assert!(executor.segments().is_empty());
    }
}

#[test]
fn modules_that_need_each_other_stay_as_long_as_a_handle_is_held() {
    let (session, executor) = session();
    let main = session.library("main");
    let [first, second] = two_that_need_each_other(&main, &main);
    let alone = add(&main, "j.o", &function("j", "global", &["f"])).unwrap();
    let (gone, handle) = (address(&alone, "j"), second.lookup("g").unwrap());
    drop((first, second, alone, main, session));
    let is_there = |address| executor.segments().iter().any(|segment| segment.address == address);
    assert!(is_there(handle.address()) && !is_there(gone));
    drop(handle.clone());
    assert!(is_there(handle.address()));
    drop(handle);
    assert!(executor.segments().is_empty());
}

#[test]
fn whoever_gives_up_the_last_handle_lets_all_go_that_it_led_to() {
    for last in 0..3 {
        let (session, executor) = session();
        let main = session.library("main");
        let [first, second] = two_that_need_each_other(&main, &main);
        let user = add(&main, "i.o", &function("i", "global", &["f"])).unwrap();
        let names = [(&first, "f"), (&second, "g"), (&user, "i")];
        let mut handles: Vec<_> = names.iter().map(|(module, name)| module.lookup(name).unwrap()).collect();
        drop((first, second, user, main, session));
        let kept = handles.swap_remove(last);
        drop(handles);
        assert!(executor.segments().iter().any(|segment| segment.address == kept.address()));
        drop(kept);
        assert!(executor.segments().is_empty(), "after handle {last}");
    }
}

#[test]
fn threads_that_give_up_the_last_handles_at_once_leave_nothing() {
    for _ in 0..200 {
        let (session, executor) = session();
        let main = session.library("main");
        let [first, second] = two_that_need_each_other(&main, &main);
        let handles = [first.lookup("f").unwrap(), second.lookup("g").unwrap()];
        drop((first, second, main, session));
        std::thread::scope(|scope| drop(handles.map(|handle| scope.spawn(move || drop(handle)))));
        assert!(executor.segments().is_empty());
    }
}
