//! Code of ARM64 that calls and names what is out of its reach.

use super::compilers::{find, text};
use super::{ARM64, CLANG, elf, link, run};
use jitlink::Input;

/// An address that no instruction reaches from the image.
const FAR: u64 = 0x20_0000_0000;

/// `mov w0, #70; ret`, and a variable.
const OUTSIDE: [u32; 4] = [0x5280_08c0, 0xd65f_03c0, 7, 0];

fn object(assembly: &str) -> Option<Input> {
    Some(text(&find(CLANG)?, "s", assembly, "--target=aarch64-pc-windows-msvc"))
}

/// Ends the process with what is in `w0`.
const LEAVE: &str = "mov x8, #93\nsvc #0\n";

#[test]
fn far_functions_and_data_are_called_and_read() {
    // 70 by a call, 70 by a conditional branch, 7 by an address in two parts, and by one that a load has the rest of.
    let assembly = format!(
        ".text\n.globl begin\nbegin: bl far_function\nmov w19, w0\n\
         adr x30, 1f\ncmp x0, x0\nb.eq far_function\n1: add w19, w19, w0\n\
         adr x30, 2f\ncbnz w0, far_function\n2: add w19, w19, w0\n\
         adrp x1, far_value\nadd x1, x1, :lo12:far_value\nldr w2, [x1]\nadd w19, w19, w2\n\
         adrp x1, far_value\nldr w2, [x1, :lo12:far_value]\nadd w19, w19, w2\n\
         adr x1, far_value\nldr w2, [x1]\nadd w0, w19, w2\n{LEAVE}"
    );
    let Some(object) = object(&assembly) else { return };
    let outside = [("far_function", FAR), ("far_value", FAR + 8)];
    let (image, module) = link(0x1000_0000, &[object], &outside);
    let entry = module.exports().get("begin").expect("an entry").address.0;
    let mut segments = elf::loaded(&image.segments());
    segments.push((FAR, OUTSIDE.iter().flat_map(|word| word.to_le_bytes()).collect()));
    let Some(status) = run(ARM64, "qemu-aarch64", entry, &segments) else { return };
    assert_eq!(status, 3 * 70 + 3 * 7);
}

/// Links code before and behind `between` bytes of other code, and runs it.
fn across(first: &str, between: u64) -> Option<i32> {
    let first = format!(".section .text$a,\"xr\"\n.globl begin\nbegin: {first}\n{LEAVE}");
    let between_code = format!(".section .text$b,\"xr\"\n.globl between\nbetween: .space {between:#x}\n");
    let last = ".section .text$c,\"xr\"\n.globl distant\ndistant: mov w0, #21\nret\n";
    let objects = [first.as_str(), &between_code, last].into_iter().map(object).collect::<Option<Vec<_>>>()?;
    let (image, module) = link(0x1000_0000, &objects, &[]);
    let address = |name: &str| module.exports().get(name).expect(name).address.0;
    assert!(address("distant").abs_diff(address("begin")) > between);
    run(ARM64, "qemu-aarch64", address("begin"), &elf::loaded(&image.segments()))
}

#[test]
fn calls_to_the_far_end_of_a_large_batch_go_through_thunks() {
    if let Some(status) = across("bl distant\nadd w0, w0, #1", 0x810_0000) {
        assert_eq!(status, 22);
    }
}

#[test]
fn conditional_branches_reach_all_of_a_batch() {
    // One kind reaches 1 MiB, the other 32 KiB.
    let first = "adr x30, 1f\nmov w1, #1\ncbnz w1, distant\n1: mov w19, w0\n\
                 adr x30, 2f\ntbnz w0, #0, distant\n2: add w19, w19, w0\n\
                 cbz w0, distant\nadd w0, w19, #1";
    if let Some(status) = across(first, 0x20_0000) {
        assert_eq!(status, 43);
    }
}
