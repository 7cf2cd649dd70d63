//! Functions that are replaced while others look for them.

use super::*;

/// A module that can be updated, with an entry `f` and code that holds `value`.
fn version(value: u32) -> Vec<crate::Input> {
    kit::inputs(&[("m.o", &format!("toy le64\nsection .text rx\nlabel f global func size=8\ntag {value}\nret\n"))])
}

fn updatable(main: &Library) -> Module {
    let options = LinkOptions { threads: Some(1), updatable: true, ..LinkOptions::default() };
    main.link(&version(1), &options).unwrap_or_else(|errors| panic!("{errors}"))
}

fn update(module: &Module, value: u32) -> Result<(), LinkErrors> {
    // SAFETY: nothing runs in an image.
    unsafe { module.update(&version(value)) }.map(drop)
}

fn linked() -> (Session, Host, Library, Module) {
    let (session, host) = session();
    let main = session.library("main");
    let module = updatable(&main);
    (session, host, main, module)
}

#[test]
fn updates_come_one_after_another_and_are_freed_when_nothing_uses_them() {
    model(|| {
        let (_session, host, main, module) = first(linked);
        let entry = module.exports().get("f").expect("an export").address;
        let before = host.image.segments().len();
        let updates = [2, 3].map(|value| {
            let module = module.clone();
            spawn(move || {
                update(&module, value).unwrap_or_else(|errors| panic!("{errors}"));
                // SAFETY: nothing runs in an image.
                unsafe { module.reclaim() };
            })
        });
        let [(), ()] = updates.map(join);
        assert_eq!(main.lookup("f").map(|f| f.address()), Some(entry), "the entry stays");
        // SAFETY: nothing runs in an image.
        unsafe { module.reclaim() };
        assert_eq!(host.image.segments().len(), before + 1, "one of the updates is in use");
        first(move || module.remove().expect("nothing needs it"));
        assert!(host.image.segments().is_empty());
    });
}

#[test]
fn a_module_is_updated_before_it_is_removed_or_not_at_all() {
    model(|| {
        let (_session, host, main, module) = first(linked);
        let updating = {
            let module = module.clone();
            spawn(move || update(&module, 2).is_ok())
        };
        let removing = spawn(move || module.remove());
        let (_, removed) = (join(updating), join(removing));
        removed.expect("nothing needs it");
        assert!(main.lookup("f").is_none());
        assert!(host.image.segments().is_empty(), "the memory of an update goes with its module");
    });
}

#[test]
fn whoever_gives_up_the_last_handle_frees_modules_that_need_each_other() {
    model(|| {
        let (host, handles) = first(|| {
            let (_session, host, main, module) = linked();
            let other = link(&main, "g.o", &function("g", &["f"])).unwrap_or_else(|errors| panic!("{errors}"));
            let needing = kit::inputs(&[("h.o", &function("h", &["g"]))]);
            // SAFETY: nothing runs in an image.
            unsafe { module.update(&needing) }.unwrap_or_else(|errors| panic!("{errors}"));
            (host, [module.lookup("f"), other.lookup("g")])
        });
        handles.map(|handle| spawn(move || drop(handle))).map(join);
        assert!(host.image.segments().is_empty());
    });
}
