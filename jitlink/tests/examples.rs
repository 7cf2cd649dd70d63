//! The examples print what they say.
#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]
#![allow(dead_code, unreachable_pub, reason = "each example is a program too, with a main function of its own")]

#[path = "../examples/add_a_format.rs"]
mod add_a_format;
#[path = "../examples/call_a_function.rs"]
mod call_a_function;
#[path = "../examples/callbacks.rs"]
mod callbacks;
#[path = "../examples/host_functions.rs"]
mod host_functions;
#[path = "../examples/replace_a_function.rs"]
mod replace_a_function;
#[path = "../examples/write_a_pass.rs"]
mod write_a_pass;

use std::error::Error;
use std::io::Write;

type Outcome = Result<(), Box<dyn Error>>;

fn output(example: fn(&mut dyn Write) -> Outcome) -> String {
    let mut out = Vec::new();
    example(&mut out).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(out).expect("text")
}

#[test]
fn call_a_function() {
    assert_eq!(
        output(call_a_function::run),
        "linked sum, 67 bytes\n\
         linked add, 4 bytes\n\
         the sum is 10\n\
         not removed: 1 handles to symbols of sum.o are still held\n\
         removed\n"
    );
}

#[test]
fn host_functions() {
    assert_eq!(
        output(host_functions::run),
        "27 takes 111 steps, 112 values were visited\n\
         with a limit of 10: -1\n\
         limit is not defined; referred to at collatz.o .text+0x5 (R_X86_64_REX_GOTPCRELX)\n\
         visit is not defined; referred to at collatz.o .text+0x33 (R_X86_64_PLT32)\n"
    );
}

#[test]
fn callbacks() {
    assert_eq!(
        output(callbacks::run),
        "[1, 2, 3]: status 0, squares [1, 4, 9]\n\
         [4, 400, 5]: status 1, squares [16]\n"
    );
}

#[test]
fn replace_a_function() {
    assert_eq!(
        output(replace_a_function::run),
        "before: 5\n\
         replaced: answer\n\
         after: 40, with a wrong answer between: false\n\
         the count goes on: true\n\
         back again: 5, old code is freed: true\n"
    );
}

#[test]
fn write_a_pass() {
    assert_eq!(
        output(write_a_pass::run),
        "sum.o .text: 1 relocations, live\n\
         add.o .text: 0 relocations, pruned\n\
         the sum is 2147483647\n"
    );
}

#[test]
fn add_a_format() {
    assert_eq!(
        output(add_a_format::run),
        "linked hex x86-64, little-endian, 64-bit\n\
         twice 20 and more is 41\n\
         broken.hex: code+0x1: malformed: `xx` is neither a byte nor a call\n"
    );
}
