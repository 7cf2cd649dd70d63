//! One object of several: what a format gets to write, and formats that write nothing.

use crate::kit::arch::registry;
use crate::kit::image::{exported, inputs, roots};
use jitlink_core::link::relocatable;

const A: &str = "toy le64\nsection .text rx\nlabel f global\ncall32 g\nret\n";
const B: &str = "toy le64\nsection .text rx\nlabel g global\nret\n";

#[test]
fn a_format_that_is_only_read_says_so_after_the_inputs_were_found_right() {
    let error = |objects: &[(&str, &str)], options| relocatable(&registry(), &inputs(objects), &options).unwrap_err();
    let refused = error(&[("a.o", A), ("b.o", B)], exported());
    assert_eq!(refused.to_string(), "objects of format toy can be read only, not written");
    // What nothing defines is no error here.
    assert_eq!(error(&[("a.o", A)], exported()).to_string(), refused.to_string());
    assert_eq!(error(&[("a.o", A), ("a2.o", A)], exported()).first().code(), "duplicate");
    assert_eq!(error(&[("a.o", A)], roots(&["absent"])).first().code(), "undefined");
    assert_eq!(error(&[], exported()).first().code(), "request");
}
