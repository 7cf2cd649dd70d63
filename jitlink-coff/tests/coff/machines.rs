//! Objects of other machines than x86-64: names as their compilers decorate them, and import libraries for them.

use super::imports::library;
use super::kit::{Image, assemble_for, image_at, installed};
use jitlink_core::link::LinkOptions;
use jitlink_core::{Addr, Input, LinkErrors};

fn link(base: u64, inputs: &[(&str, &[u8])], outside: &[(&str, u64)]) -> Result<Image, LinkErrors> {
    let inputs: Vec<Input> = inputs.iter().map(|(name, bytes)| Input::from_bytes(*name, *bytes)).collect();
    let defines = outside.iter().map(|(name, address)| (name.to_string(), Addr(*address))).collect();
    image_at(base, &inputs, &LinkOptions { defines, ..LinkOptions::default() })
}

const I386: &str = "i686-pc-windows-msvc";
const ARM64: &str = "aarch64-pc-windows-msvc";

#[test]
fn slots_of_i386_have_four_bytes_and_the_names_of_their_symbols() {
    // What stands behind `__imp_` is the whole name, with the decoration of each convention.
    let text = ".data\n.globl _use\n_use: .long __imp__plain\n.long _plain\n.long __imp__std@8\n.long __imp_@fast@4\n\
                .long ___ImageBase\n";
    let Some(object) = assemble_for(I386, text) else { return };
    let outside = [("_plain", 0x7000_1110), ("_std@8", 0x7000_2220), ("@fast@4", 0xf000_3330)];
    let image = link(0x40_0000, &[("a.obj", &object)], &outside).unwrap_or_else(|errors| panic!("{errors}"));
    let word = |at: u64| u64::from(image.word(at));
    let uses = image.address("_use");
    let found = [uses, uses + 8, uses + 12].map(|slot| word(word(slot)));
    assert_eq!(found, [0x7000_1110, 0x7000_2220, 0xf000_3330]);
    let base = image.linked.segments.iter().map(|segment| segment.address.0).min().expect("segments");
    assert_eq!((word(uses + 4), word(uses + 16)), (0x7000_1110, base));
    // No address of this machine.
    let errors = link(0x40_0000, &[("a.obj", &object)], &[("_plain", 1 << 32), outside[1], outside[2]]);
    let errors = errors.err().expect("an address of 33 bits");
    assert!(errors.iter().all(|error| error.to_string().contains("0x100000000 is out of reach")), "{errors}");
}

#[test]
fn import_libraries_of_i386_say_what_names_are_without_decoration() {
    let names = "plain\nstd@8\n@fast@4\nvalue DATA\n";
    let text = ".data\n.globl _use\n_use: .long __imp__plain\n.long __imp__std@8\n.long __imp_@fast@4\n.long __imp__value\n\
                .long _plain\n.long _std@8\n.long @fast@4\n";
    let Some(object) = assemble_for(I386, text) else { return };
    let tools: [(&[&str], &[&str]); 2] =
        [(&["llvm-dlltool-22", "llvm-dlltool"], &["-m", "i386"]), (&["i686-w64-mingw32-dlltool"], &[])];
    for (tools, machine) in tools {
        let Some(tool) = installed(tools) else { continue };
        // Whether what follows an `@` is part of the name outside.
        for (option, exported) in
            [(&[][..], ["plain", "std@8", "@fast@4", "value"]), (&["-k"], ["plain", "std", "fast", "value"])]
        {
            let Some(library) = library(tool, &[machine, option].concat(), names) else { continue };
            let addresses = [0x7000_1110, 0x7000_2220, 0x7000_3330, 0x7000_4440];
            let outside: Vec<(&str, u64)> = exported.into_iter().zip(addresses).collect();
            let image = link(0x40_0000, &[("a.obj", &object), ("a.lib", &library)], &outside);
            let image = image.unwrap_or_else(|errors| panic!("{tool} {option:?}: {errors}"));
            let uses = image.address("_use");
            let found = [0, 4, 8, 12].map(|at| u64::from(image.word(image.word(uses + at).into())));
            assert_eq!(found, addresses, "{tool} {option:?}");
            let direct = [16, 20, 24].map(|at| u64::from(image.word(uses + at)));
            assert_eq!(direct, addresses[..3], "{tool} {option:?}");
        }
    }
}

#[test]
fn calls_and_slots_of_arm64_reach_what_an_import_library_names() {
    let text = ".text\n.globl start\nstart: bl plain\nadrp x0, __imp_value\nldr x0, [x0, :lo12:__imp_value]\nret\n\
                .data\n.globl use\nuse: .xword __imp_plain\n.xword __imp_value\n";
    let Some(object) = assemble_for(ARM64, text) else { return };
    let Some(tool) = installed(&["llvm-dlltool-22", "llvm-dlltool"]) else { return };
    let Some(library) = library(tool, &["-m", "arm64"], "plain\nvalue DATA\n") else { return };
    let outside = [("plain", 0x7000_0000_1110), ("value", 0x7000_0000_2220)];
    let image = link(0x1_4000_0000, &[("a.obj", &object), ("a.lib", &library)], &outside);
    let image = image.unwrap_or_else(|errors| panic!("{errors}"));
    let (start, uses) = (image.address("start"), image.address("use"));
    let slots = [uses, uses + 8].map(|at| image.long(at));
    assert_eq!(slots.map(|slot| image.long(slot)), [0x7000_0000_1110, 0x7000_0000_2220]);
    // The call goes to code that jumps through a slot with the same address: adrp x16, slot; ldr x16, [x16, slot]; br x16.
    let stub = start + u64::from((image.word(start) & 0x3ff_ffff) << 2);
    let slot = page(&image, stub) + u64::from((image.word(stub + 4) >> 10 & 0xfff) << 3);
    assert_eq!((image.word(start) >> 26, image.word(stub + 8)), (0x25, 0xd61f_0200));
    assert_eq!(image.long(slot), 0x7000_0000_1110);
    // The load is of the slot.
    let loaded = page(&image, start + 4) + u64::from((image.word(start + 8) >> 10 & 0xfff) << 3);
    assert_eq!(loaded, slots[1]);
}

/// The page that an `adrp` computes.
fn page(image: &Image, at: u64) -> u64 {
    let word = image.word(at);
    assert_eq!(word & 0x9f00_0000, 0x9000_0000, "{word:#x}");
    let pages = u64::from((word >> 5 & 0x7_ffff) << 2 | word >> 29 & 3);
    (at & !0xfff) + (pages << 12)
}
