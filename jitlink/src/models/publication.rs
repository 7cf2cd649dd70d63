//! Links, look-ups and removals that meet.

use super::*;

#[test]
fn of_two_links_that_define_one_name_one_is_published_and_seen_whole() {
    model(|| {
        let (session, host) = first(session);
        let main = session.library("main");
        let adders = [0, 1].map(|number| {
            let main = main.clone();
            spawn(move || {
                let text = function("same", &[]) + &format!("label own{number} global\n");
                link(&main, "m.o", &text).is_ok()
            })
        });
        let watcher = {
            let main = main.clone();
            spawn(move || {
                for number in [0, 1] {
                    if main.lookup(&format!("own{number}")).is_some() {
                        assert!(main.lookup("same").is_some(), "names are published together");
                    }
                }
            })
        };
        let added = adders.map(join);
        join(watcher);
        assert_eq!(added.iter().filter(|added| **added).count(), 1);
        for (number, added) in added.into_iter().enumerate() {
            assert_eq!(main.lookup(&format!("own{number}")).is_some(), added);
        }
        assert_eq!(host.image.segments().len(), 1);
    });
}

/// Removes a module while another thread looks for its name in some way; what the other found must stay.
fn lookup_against_removal(look: fn(&Library, &Module) -> Option<crate::SymbolHandle>) {
    model(move || {
        let (session, host) = first(session);
        let main = session.library("main");
        let module = first({
            let main = main.clone();
            move || link(&main, "m.o", &function("f", &[])).expect("a link")
        });
        let looking = {
            let (main, module) = (main.clone(), module.clone());
            spawn(move || {
                let found = look(&main, &module);
                if let Some(handle) = &found {
                    module.read(handle.address(), &mut [0; 4]).expect("what is held is there");
                }
                found
            })
        };
        let removing = {
            let module = module.clone();
            spawn(move || module.remove())
        };
        let (found, removed) = (join(looking), join(removing));
        match removed {
            Ok(()) => assert!(found.is_none() && host.image.segments().is_empty()),
            Err(RemoveError::Held { .. }) => {
                drop(found);
                module.remove().expect("nothing holds it");
            }
            Err(other) => panic!("{other}"),
        }
    });
}

#[test]
fn a_name_that_was_looked_up_in_the_library_keeps_its_module() {
    lookup_against_removal(|main, _| main.lookup("f"));
}

#[test]
fn a_name_that_was_looked_up_in_its_module_keeps_it() {
    lookup_against_removal(|_, module| module.lookup("f"));
}

#[test]
fn a_copy_of_a_handle_keeps_the_module_as_the_handle_did() {
    lookup_against_removal(|main, _| {
        let first = main.lookup("f");
        let second = first.clone();
        drop(first);
        second
    });
}

#[test]
fn a_module_is_removed_or_linked_against_but_not_both() {
    model(|| {
        let (session, host) = first(session);
        let main = session.library("main");
        let base = first({
            let main = main.clone();
            move || link(&main, "base.o", &function("base", &[])).expect("a link")
        });
        let address = base.exports().get("base").expect("an export").address;
        let linking = spawn(move || {
            let user = link(&main, "user.o", &function("user", &["base"]));
            user.map(|user| (pointer(&user, "user"), user))
        });
        let removing = {
            let base = base.clone();
            spawn(move || base.remove())
        };
        match (join(linking), join(removing)) {
            (Ok((found, user)), Err(_)) => {
                assert_eq!(found, address);
                assert!(matches!(base.remove(), Err(RemoveError::Needed { .. })));
                user.remove().expect("nothing needs it");
                base.remove().expect("nothing needs it");
            }
            (Err(errors), Ok(())) => assert_eq!(errors.first().code(), "undefined"),
            (Err(errors), Err(error)) => panic!("{error}, and yet {errors}"),
            (Ok(_), Ok(())) => panic!("linked against what was removed"),
        }
        assert!(host.image.segments().is_empty());
    });
}

#[test]
fn of_two_removals_one_removes() {
    model(|| {
        let (session, host) = first(session);
        let module = first(move || link(&session.library("main"), "m.o", &function("f", &[])).expect("a link"));
        let removals = [0, 1].map(|_| {
            let module = module.clone();
            spawn(move || module.remove())
        });
        let removed = removals.map(join);
        assert_eq!(removed.iter().filter(|removed| removed.is_ok()).count(), 1);
        assert!(removed.iter().any(|removed| matches!(removed, Err(RemoveError::Removed { .. }))));
        assert!(host.image.segments().is_empty());
    });
}
