//! Runs of sections that their names order, and what counts from where a run or the image starts.

use crate::kit::{exported, link_err, link_ok, roots};
use jitlink_core::LinkError;

/// Both ends of the run `list`.
const ENDS: &str = "toy le64\nsection ends r\nlabel ends global\nrel ABS64 start_list\nrel ABS64 stop_list\n";

fn part(section: &str, suffix: usize, name: &str, content: &str) -> String {
    format!("toy le64\nsection {section} rw gathered suffix={suffix}\nlabel {name} global\n{content}\n")
}

#[test]
fn the_ends_of_names_order_a_run() {
    let (b, plain) = (part("list$b", 2, "b", "hex 01"), part("list", 0, "plain", "hex 02"));
    let (a, late) = (part("list$a", 2, "a", "hex 03"), part("list$a", 2, "late", "hex 04"));
    let objects = [("1.o", b.as_str()), ("2.o", &plain), ("ends.o", ENDS), ("3.o", &a), ("4.o", &late)];
    let image = link_ok(&objects, &exported());
    let start = image.pointer(image.address("ends"));
    assert_eq!(["plain", "a", "late", "b"].map(|name| image.address(name) - start), [0, 1, 2, 3]);
    assert_eq!(image.pointer(image.address("ends") + 8) - start, 4);
    // A suffix of another name is another run.
    let other = part("lists$a", 2, "other", "hex 05");
    let image = link_ok(&[("1.o", &b), ("2.o", &other), ("ends.o", ENDS), ("3.o", &a)], &exported());
    let start = image.pointer(image.address("ends"));
    assert_eq!((image.address("a") - start, image.address("b") - start), (0, 1));
    assert_eq!(image.pointer(image.address("ends") + 8) - start, 2);
}

#[test]
fn zeros_of_a_run_that_has_bytes_stay_in_their_place() {
    let (zeros, bytes) = (part("list$a", 2, "zeros", "zero 3"), part("list$b", 2, "bytes", "hex 01"));
    let only = part("none$a", 2, "only", "zero 40");
    let rest = "toy le64\nsection .data rw\nlabel data global\nhex 02\n";
    let image = link_ok(&[("1.o", &only), ("2.o", &zeros), ("3.o", &bytes), ("4.o", rest)], &exported());
    assert_eq!(image.address("bytes") - image.address("zeros"), 3);
    // A run of zeros alone is not written out.
    assert!(image.address("only") > image.address("data"));
    assert_eq!(image.executor.segments().last().expect("a segment").stored_bytes(), [0, 0, 0, 1, 2]);
}

/// What refers to where a run starts, and to its number.
const COUNTING: &str = "
toy le64
section .text rx
label code global
ret
section count r align=4
label count global
rel SECREL b
rel SECREL a +5
rel SECREL alone
rel SECTION code
rel SECTION count
rel SECTION a
rel SECTION b
rel SECTION alone
";

#[test]
fn sections_are_counted_by_runs_in_the_order_of_their_addresses() {
    let (b, a) = (part("list$b", 2, "b", "fill 3"), part("list$a", 2, "a", "fill 8"));
    let alone = "toy le64\nsection list rw\nfill 2\nlabel alone global\nhex 01\n";
    let image = link_ok(&[("b.o", &b), ("count.o", COUNTING), ("a.o", &a), ("alone.o", alone)], &exported());
    let count = image.address("count");
    // From the start of the run, which is the other object's; a section that is not gathered is one by itself.
    assert_eq!([0, 4, 8].map(|at| image.number(count + at, 4)), [8, 5, 2]);
    // Code, constants, then data: the run where its first section is, before the section by itself.
    assert_eq!([12, 14, 16, 18, 20].map(|at| image.number(count + at, 2)), [1, 2, 3, 3, 4]);
}

#[test]
fn what_was_pruned_is_in_no_run() {
    let (b, a) = (part("list$b", 2, "b", "fill 3"), part("list$a", 2, "a", "fill 8"));
    let count = "toy le64\nsection count r\nlabel count global\nrel SECREL b\nrel SECTION b\n";
    let image = link_ok(&[("a.o", &a), ("b.o", &b), ("count.o", count)], &roots(&["count"]));
    let count = image.address("count");
    assert_eq!((image.number(count, 4), image.number(count + 4, 2)), (0, 2));
}

#[test]
fn the_base_of_the_image_is_its_lowest_address() {
    let text = "
toy le64
section .text rx
label code global
ret
section refs rw align=8
label refs global
rel ABS64 _image_ +3
rel REL64 _image_
rel IMAGE refs
rel IMAGE _image_
";
    let image = link_ok(&[("a.o", text)], &exported());
    let (base, refs) = (image.linked.segments[0].address.0, image.address("refs"));
    assert_eq!(image.address("code"), base);
    assert_eq!(image.number(refs, 8), base + 3);
    assert_eq!(image.number(refs + 8, 8), base.wrapping_sub(refs + 8));
    assert_eq!((image.number(refs + 16, 4), image.number(refs + 20, 4)), (refs - base, 0));
    // A definition of the name is stronger.
    let own = "toy le64\nsection own rw\nlabel _image_ global\nhex 01\n";
    let image = link_ok(&[("a.o", text), ("own.o", own)], &exported());
    assert_eq!(image.number(image.address("refs"), 8), image.address("_image_") + 3);
}

#[test]
fn sections_that_must_lie_together_cannot_be_code_and_data() {
    let code = "toy le64\nsection list$a rx gathered suffix=2\nret\n";
    let data = part("list$b", 2, "b", "hex 01");
    let errors = link_err(&[("code.o", code), ("data.o", &data), ("ends.o", ENDS)], &exported());
    assert!(matches!(errors.first(), LinkError::Malformed { .. }), "{errors}");
    assert!(errors.to_string().contains("writable section of its name in data.o"), "{errors}");
}
