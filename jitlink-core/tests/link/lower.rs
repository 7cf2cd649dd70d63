//! Slots, stubs and shorter forms.

use crate::kit::arch::LOAD;
use crate::kit::{Event::*, Image, exported, link_err, link_ok};
use jitlink_core::link::LinkOptions;

fn text(content: &str) -> String {
    format!("toy le64\nabs far 0x7fff00001000\nabs other 0x7fff00002000\nsection .text rx\n{content}")
}

fn section(image: &Image, name: &str) -> (u64, u64) {
    image.section("(jitlink)", name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn slots_and_stubs_are_shared_by_all_objects_of_a_batch() {
    let object =
        |name: &str| text(&format!("label {name} global\nload far\nload far\ncall32 far\ncall32 other\nret\n"));
    let (a, b) = (
        object("a"),
        object("b").replace("abs", "undef").replace(" 0x7fff00001000", "").replace(" 0x7fff00002000", ""),
    );
    let image = link_ok(&[("a.o", &a), ("b.o", &b)], &exported());
    let statistics = &image.linked.statistics;
    assert_eq!((statistics.slots, statistics.stubs), (2, 2));
    assert_eq!(section(&image, ".got").1, 16);
    for name in ["a", "b"] {
        let expected =
            [Loaded(0x7fff_0000_1000), Loaded(0x7fff_0000_1000), Left(0x7fff_0000_1000), Left(0x7fff_0000_2000)];
        assert_eq!(image.run(name), expected);
    }
    let got = |name: &str| image.object(name).got.clone();
    assert_eq!(got("a.o"), got("b.o"), "shared slots are listed under each object that uses them");
    assert_eq!(image.object("a.o").stubs, image.object("b.o").stubs);
}

#[test]
fn a_slot_has_the_size_of_a_pointer() {
    let text = "toy le32\nundef gone weak\nsection .text rx\nlabel main global\nload main\nload gone\nret\n";
    let image = link_ok(&[("a.o", text)], &exported());
    assert_eq!(section(&image, ".got").1, 8);
    assert_eq!(image.run("main"), [Loaded(image.address("main")), Loaded(0)]);
}

#[test]
fn calls_and_loads_between_near_and_far_sections_assume_no_distance() {
    let far = "section .ltext rx far\nlabel distant global\ncall32 near\ncall32 distant2\nret\n\
               section .ltext.2 rx far\nlabel distant2 global\ntag 7\nret\n";
    let near = text("label main global\ncall32 distant\nloadx distant\nret\nlabel near global\ntag 5\nret\n");
    let image = link_ok(&[("a.o", &near), ("b.o", &format!("toy le64\n{far}"))], &exported());
    let main = image.address("main");
    assert_eq!(image.number(main + 8, 4) >> 24, u64::from(LOAD), "a load of what lies apart keeps its slot");
    let stubs: Vec<_> = image.map().objects.iter().filter(|object| object.name == "(jitlink)").collect();
    let tables = stubs.iter().flat_map(|object| &object.sections).filter(|section| section.name == ".plt").count();
    assert_eq!(tables, 2, "near code and far code each have stubs within reach");
    assert_eq!(image.linked.statistics.stubs, 2, "what lies in the same far section is called directly");
    assert_eq!(image.run("main"), [Tag(5), Tag(7), Loaded(image.address("distant"))]);
}

#[test]
fn loads_of_what_is_near_become_shorter_where_the_row_allows_it() {
    let image = link_ok(&[("a.o", &text("label main global\nloadx main\nload main\nloadx far\nret\n"))], &exported());
    let main = image.address("main");
    assert_eq!(image.run("main"), [Loaded(main), Loaded(main), Loaded(0x7fff_0000_1000)]);
    let operations: Vec<u64> = [0, 8, 16].map(|offset| image.number(main + offset, 4) >> 24).into();
    assert_eq!(operations, [0x16, 0x15, 0x15], "LEA, LOAD, LOAD");
    assert_eq!(image.linked.statistics.slots, 2);
}

#[test]
fn a_batch_without_far_references_has_no_slots_and_no_stubs() {
    let image = link_ok(&[("a.o", &text("label main global\nloadx main\ncall32 main\nlea main\nret\n"))], &exported());
    assert_eq!(image.section("(jitlink)", ".got"), None);
    assert_eq!(image.section("(jitlink)", ".plt"), None);
}

#[test]
fn the_base_of_the_got_is_there_without_slots() {
    let image =
        link_ok(&[("a.o", "toy le64\nsection .data rw\nlabel d global\nrel ABS64 _GOT_\nrel GOTOFF d\n")], &exported());
    let data = image.address("d");
    let base = image.pointer(data);
    assert_eq!(base.wrapping_add_signed(image.signed(data + 8, 4)), data);
}

#[test]
fn an_instruction_that_cannot_reach_does_its_work_out_of_line() {
    let image =
        link_ok(&[("a.o", &text("label main global\ntag 1\nlea far +8\ntag 2\nlea far -16\nret\n"))], &exported());
    let expected = [Tag(1), Loaded(0x7fff_0000_1008), Tag(2), Loaded(0x7fff_0000_0ff0)];
    assert_eq!(image.run("main"), expected);
}

#[test]
fn branches_behind_plain_distances_get_stubs() {
    let image = link_ok(&[("a.o", &text("label main global\nbranch far\nbranch far\njump far\n"))], &exported());
    assert_eq!(image.run("main"), [Left(0x7fff_0000_1000); 3]);
    assert_eq!(image.linked.statistics.stubs, 1);
}

#[test]
fn a_direct_reference_that_nothing_can_serve_is_an_error_with_its_target() {
    let errors = link_err(&[("a.o", &text("label main global\nrel REL32 far\nret\nrel ABS32 far\n"))], &exported());
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "a.o: .text+0x0: REL32 against far: the target at 0x7fff00001000 is out of reach of this field: only LEA can be moved",
            "a.o: .text+0x8: ABS32 against far: the target at 0x7fff00001000 is out of reach of this field: only LEA can be moved",
        ]
    );
}

#[test]
fn absolute_references_of_four_bytes_keep_the_batch_low_or_fail_with_their_place() {
    use crate::kit::{executor_at, inputs, link_with};
    let text = "toy le64\nsection .data rw\nlabel d global\nrel ABS32 d\n";
    let at = |base| {
        link_with(&executor_at(base, 1 << 20), &inputs(&[("a.o", text)]), &jitlink_core::link::NoSymbols, &exported())
    };
    let image = at(0xfff0_0000).unwrap();
    assert_eq!(image.number(image.address("d"), 4), image.address("d"));
    let errors = at(0x1_0000_0000).err().unwrap();
    assert_eq!(errors.first().code(), "no-memory");
    assert!(errors.to_string().contains("a.o: .data+0x0: ABS32 against d"), "{errors}");
}

#[test]
fn refused_rows_and_subjects_are_errors_by_name_where_they_are_live() {
    let refused = "section .text.x rx\nlabel x global\nrel REFUSED main\nrel TPOFF main\n";
    let text = format!("toy le64\nsection .text rx\nlabel main global\nret\n{refused}");
    let errors = link_err(&[("a.o", &text)], &exported());
    let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{errors}");
    assert_eq!(found[0], "a.o: .text.x+0x0: REFUSED against main: only a dynamic linker applies it");
    assert!(found[1].contains("thread-local"), "{errors}");
    link_ok(&[("a.o", &text)], &crate::kit::roots(&["main"]));
}

#[test]
fn addresses_of_thread_local_variables_are_refused_by_name() {
    let text = "
toy le64
section .tdata rw tls
label variable global tls
hex 01 02 03 04
section .text rx
label main global
lea variable
load variable
ret
";
    let errors = link_err(&[("a.o", text)], &exported());
    assert_eq!(errors.len(), 2, "{errors}");
    assert!(errors.iter().all(|error| error.code() == "unsupported" && !error.advice().is_empty()));
}

#[test]
fn the_size_of_a_symbol_is_its_definition_s() {
    let uses = "toy le64\nsection .data r\nlabel d global\nrel SIZE v\nrel SIZE v +2\n";
    let defines = "toy le64\nsection .data rw\nlabel v global object size=24\nzero 24\n";
    let image = link_ok(&[("a.o", uses), ("b.o", defines)], &exported());
    assert_eq!((image.number(image.address("d"), 4), image.number(image.address("d") + 4, 4)), (24, 26));
}

#[test]
fn offsets_in_a_section_count_from_its_first_live_byte() {
    let text = "
toy le64
section .data rw
label first hidden
hex 01 02 03 04 05 06 07 08
block 8
label second global
hex 01 02 03 04
label third global
hex 05
section .meta r
label m global
rel SECREL second
rel SECREL third +1
";
    let image = link_ok(&[("a.o", text)], &exported());
    let offsets = (image.number(image.address("m"), 4), image.number(image.address("m") + 4, 4));
    assert_eq!(offsets, (0, 5), "{:x?}", image.section("a.o", ".data"));
}

#[test]
fn the_size_of_what_is_outside_the_batch_is_refused_rather_than_guessed() {
    let object = "toy le64\nundef far\nsection .data rw\nlabel d global\nrel SIZE far\n";
    let options = LinkOptions { defines: vec![("far".into(), jitlink_core::Addr(0x1000))], ..exported() };
    let errors = link_err(&[("a.o", object)], &options);
    assert!(errors.to_string().contains("a.o: .data+0x0: SIZE against far: the size of a symbol outside"), "{errors}");
}
