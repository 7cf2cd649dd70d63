//! Indirect functions: one address, a slot that leads to the executor, a resolver that the executor is told.

use crate::kit::host::{Host, LINKER};
use crate::kit::{Event::*, Image, arch, executor, exported, inputs, link_err, link_ok, roots};
use jitlink_core::arch::StubKind;
use jitlink_core::executor::IndirectSlot;
use jitlink_core::graph::{Protection, SymbolKind};
use jitlink_core::link::{LinkOptions, NoSymbols, link};
use jitlink_core::{Addr, LinkErrors, TargetArch};

fn try_on_host(objects: &[(&str, &str)], options: &LinkOptions) -> Result<(Image, Vec<IndirectSlot>), LinkErrors> {
    let host = Host::new(executor(), |_| {});
    let linked = link(&arch::registry(), &host, &inputs(objects), &NoSymbols, options)?;
    Ok((Image::new(&host.image, linked), host.indirect()))
}

fn on_host(objects: &[(&str, &str)], options: &LinkOptions) -> (Image, Vec<IndirectSlot>) {
    try_on_host(objects, options).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What a first call does: the slot's address goes to the executor's function.
fn first_call(slot: &IndirectSlot) -> [crate::kit::Event; 3] {
    [Loaded(slot.slot.0), Loaded(LINKER.0), Left(LINKER.0)]
}

/// An indirect function in a section of its own, whose resolver is seen by its tag.
fn indirect(name: &str, how: &str, tag: u32) -> String {
    format!("section .text.{name} rx\nlabel {name} {how} ifunc\ntag {tag}\nret\n")
}

#[test]
fn every_reference_means_the_one_trampoline_and_none_the_resolver() {
    for target in ["le64", "be64"] {
        let text = format!(
            "toy {target}\nsection .text rx\nlabel main global\ncall f\ncall32 f\nlea f\nload f\nloadx f\ncalloaded\nret\n\
             section .data rw\nlabel data global\nrel ABS64 f\n{}",
            indirect("f", "global", 7)
        );
        let other = format!("toy {target}\nsection .data.other rw\nlabel other global\nrel ABS64 f\n");
        let (image, slots) = on_host(&[("a.o", &text), ("b.o", &other)], &exported());
        let [slot] = slots.as_slice() else { panic!("{slots:?}") };
        let f = image.export("f").expect("an export");
        let calls = first_call(slot);
        let loads = [Loaded(f), Loaded(f), Loaded(f)];
        let expected: Vec<_> = calls.into_iter().chain(calls).chain(loads).chain(calls).collect();
        assert_eq!(image.run("main"), expected, "{target}");
        assert_eq!([image.pointer(image.address("data")), image.pointer(image.address("other"))], [f; 2]);
        assert_eq!((slot.name.as_str(), image.linked.indirect.as_slice()), ("f", [slot.slot].as_slice()));
        assert_eq!(image.protection(slot.slot.0), Some(Protection::ReadWrite));
        assert_eq!(slot.slot.0 % 8, 0);
        assert_eq!(image.linked.exports.get("f").map(|export| export.kind), Some(SymbolKind::Function));
        // The resolver is where the symbol was: in its section, which begins with its tag.
        let (start, size) = image.section("a.o", ".text.f").expect("the resolver is linked");
        assert_eq!((slot.resolver, size), (Addr(start), 8));
        assert_ne!(f, start);
    }
}

#[test]
fn a_trampoline_is_the_entry_stub_and_its_slot_points_to_the_lazy_stub() {
    let text = format!("toy le64\nsection .text rx\nlabel main global\ncall32 f\nret\n{}", indirect("f", "global", 7));
    let (image, slots) = on_host(&[("a.o", &text)], &exported());
    let (f, slot) = (image.address("f"), slots[0].slot.0);
    let stub = arch::LITTLE.stub(StubKind::Plt).expect("a stub").code();
    assert_eq!(image.bytes(f, 4), &stub[..4]);
    assert_eq!(image.signed(f + 4, 4), slot.wrapping_sub(f + 4) as i64);
    assert_eq!(image.bytes(f + 8, 1), &stub[8..9]);
    // lea slot; jmp binder
    let lazy = image.pointer(slot);
    assert_eq!(
        (image.number(lazy, 4), image.number(lazy + 8, 4)),
        (u64::from(arch::LEA) << 24, u64::from(arch::JMP32) << 24)
    );
    assert_eq!(lazy + 4 + image.number(lazy + 4, 4), slot);
}

#[test]
fn resolvers_are_told_in_the_order_of_the_link_and_those_of_unused_ones_are_not_run_ahead() {
    let a = format!(
        "toy le64\nsection .text rx\nlabel main global\ncall32 second\ncall32 first\ncall32 local\nret\n{}{}{}",
        indirect("first", "global", 1),
        indirect("unused", "global", 2),
        indirect("local", "local", 3)
    );
    let b = format!("toy le64\n{}", indirect("second", "hidden", 4));
    let (image, slots) = on_host(&[("a.o", &a), ("b.o", &b)], &exported());
    let names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
    assert_eq!(names, ["first", "unused", "local", "second"], "in the order of the symbols");
    let ahead: Vec<Addr> = slots.iter().filter(|slot| slot.name != "unused").map(|slot| slot.slot).collect();
    assert_eq!(image.linked.indirect, ahead);
    let expected: Vec<_> = [3, 0, 2].into_iter().flat_map(|index: usize| first_call(&slots[index])).collect();
    assert_eq!(image.run("main"), expected);
}

#[test]
fn what_nothing_needs_is_pruned_with_its_resolver() {
    let dead = "section .text.dead rx\nlabel dead global\ncall32 f\nret\n";
    let text = format!(
        "toy le64\nsection .text rx\nlabel main global\nret\nlabel inside hidden ifunc\nret\n{}{dead}",
        indirect("f", "global", 7)
    );
    // One lies in live code, but nothing refers to it and nobody can look it up.
    let (image, slots) = on_host(&[("a.o", &text)], &roots(&["main"]));
    assert_eq!((slots.as_slice(), image.linked.indirect.as_slice()), ([].as_slice(), [].as_slice()));
    assert_eq!(image.section("a.o", ".text.f"), None);
    assert_eq!(image.section("(jitlink)", ".indirect"), None);
    // So an executor that runs nothing has no reason to refuse it.
    link_ok(&[("a.o", &text)], &roots(&["main"]));
    let (image, slots) = on_host(&[("a.o", &text)], &roots(&["f"]));
    assert_eq!(image.linked.roots, [image.export("f").map(Addr)]);
    assert_eq!(image.linked.indirect, [slots[0].slot], "a root is used");
}

#[test]
fn a_strong_function_wins_over_a_weak_indirect_one_and_the_other_way_round() {
    let weak =
        format!("toy le64\nsection .text rx\nlabel main global\ncall32 f\nret\n{}", indirect("f", "global weak", 7));
    let strong = "toy le64\nsection .text.f rx\nlabel f global func\ntag 1\nret\n";
    let (image, slots) = on_host(&[("a.o", &weak), ("b.o", strong)], &exported());
    assert_eq!((image.run("main"), slots.len()), (vec![Tag(1)], 0));
    let weak = "toy le64\nsection .text rx\nlabel main global\ncall32 f\nret\nlabel f global weak func\ntag 1\nret\n";
    let strong = format!("toy le64\n{}", indirect("f", "global", 7));
    let (image, slots) = on_host(&[("a.o", weak), ("b.o", &strong)], &exported());
    assert_eq!((image.run("main"), slots.len()), (first_call(&slots[0]).to_vec(), 1));
}

#[test]
fn the_size_is_the_resolver_s_which_is_what_the_symbol_says() {
    let text = "toy le64\nsection .text rx\nlabel main global\ncall32 f\nret\nsection .text.f rx\nlabel f global ifunc size=8\n\
                tag 7\nret\nsection .data r\nlabel size global\nrel SIZE f\n";
    let (image, _) = on_host(&[("a.o", text)], &exported());
    assert_eq!(image.number(image.address("size"), 4), 8);
}

#[test]
fn an_executor_that_runs_nothing_refuses_by_symbol_and_place() {
    let text = format!(
        "toy le64\nsection .text rx\nlabel main global\nret\ncall32 f\nret\n{}{}",
        indirect("f", "global", 7),
        indirect("alone", "global", 8)
    );
    let errors = link_err(&[("a.o", &text)], &exported());
    let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let why = "an indirect function (STT_GNU_IFUNC) has no address before code runs that chooses one, and the executor \
               \"image\" runs none";
    assert_eq!(found[0], format!("a.o: .text+0x8: CALL32 against f: {why}"));
    assert_eq!(found[1], format!("a.o: .text.alone+0x0 against alone: {why}"), "nothing refers to it, but others may");
    assert!(errors.iter().all(|error| error.code() == "unsupported" && error.advice().contains("target_clones")));
}

#[test]
fn resolvers_that_are_no_code_of_the_link_are_refused() {
    for place in ["section .data rw\nlabel f global ifunc\nhex 01 02 03 04\n", "abs f 0x1234 global ifunc\n"] {
        let text = format!("toy le64\n{place}section .text rx\nlabel main global\ncall32 f\nret\n");
        let errors = try_on_host(&[("a.o", &text)], &exported()).err().expect("an error");
        let what = "a.o: .text+0x4: CALL32 against f: the resolver of an indirect function (STT_GNU_IFUNC) is not code of \
                    this link";
        assert_eq!(errors.to_string(), what, "{place}");
    }
}

#[test]
fn the_map_lists_it_as_a_function_of_its_object() {
    let text = format!("toy le64\nsection .text rx\nlabel main global\ncall32 f\nret\n{}", indirect("f", "global", 7));
    let (image, _) = on_host(&[("a.o", &text)], &LinkOptions { map: true, ..exported() });
    let found = image.object("a.o").symbols.iter().find(|symbol| symbol.name == "f").expect("a symbol");
    assert_eq!(found.address.0, image.address("f"));
    let stubs: Vec<_> = image.object("a.o").stubs.iter().map(|stub| (stub.0.as_str(), stub.2)).collect();
    assert_eq!(stubs, [("f", StubKind::Lazy)]);
}
