//! Far apart: what a stub, a slot or out-of-line code can serve always links and arrives; the rest is an error, never a wrong byte.

use crate::kit::{Event::*, Image, executor_at, exported, inputs, link_with};
use jitlink_core::link::{LinkOptions, NoSymbols};
use jitlink_core::{Addr, LinkError};
use proptest::prelude::*;

const ARENA: u64 = 1 << 20;

/// Everything that can be served wherever the target is.
const SERVED: &str = "
section .text rx align=4
label call global
call outside
ret
label call32 global
call32 outside
ret
label branch global
branch outside
ret
label jump global
jump outside
label load global
load outside
ret
label loadx global
loadx outside
ret
label lea global
lea outside
ret
label lea_inside global
lea outside +24
ret
label lea64 global
lea64 outside
ret
label called global
load outside
calloaded
ret
section .data rw align=8
label pointer global
rel ABS64 outside -8
rel REL64 outside +8
rel FORMULA outside
";

fn link_at(text: &str, base: u64, outside: u64) -> Result<Image, jitlink_core::LinkErrors> {
    let options = LinkOptions { defines: vec![("outside".into(), Addr(outside))], ..exported() };
    link_with(&executor_at(base, ARENA), &inputs(&[("a.o", text)]), &NoSymbols, &options)
}

fn check_served(image: &Image, outside: u64) {
    for name in ["call", "call32", "branch", "jump"] {
        assert_eq!(image.run(name), [Left(outside)], "{name} to {outside:#x}");
    }
    for name in ["load", "loadx", "lea", "lea64"] {
        assert_eq!(image.run(name), [Loaded(outside)], "{name} of {outside:#x}");
    }
    assert_eq!(image.run("lea_inside"), [Loaded(outside.wrapping_add(24))]);
    assert_eq!(image.run("called"), [Loaded(outside), Left(outside)]);
    let pointer = image.address("pointer");
    assert_eq!(image.number(pointer, 8), outside.wrapping_sub(8));
    assert_eq!(image.number(pointer + 8, 8), outside.wrapping_add(8).wrapping_sub(pointer + 8));
    assert_eq!(image.number(pointer + 16, 8), outside ^ (pointer + 16));
}

/// A base for the image, and an address outside of it: anywhere, or close to a limit of a field.
fn placement() -> impl Strategy<Value = (u64, u64)> {
    let base = prop_oneof![
        any::<u64>().prop_map(|base| base >> 1),
        (12u32..63).prop_map(|bits| 1u64 << bits),
        Just(u64::MAX - 2 * ARENA),
    ];
    let base = base.prop_map(|base| base.clamp(0x1000, u64::MAX - 2 * ARENA) & !0xfff);
    let offset = prop_oneof![
        any::<u64>(),
        (0u32..64, -600i64..600).prop_map(|(bits, more)| (1u64 << bits).wrapping_add_signed(more)),
        (0u32..64, -600i64..600).prop_map(|(bits, more)| (1u64 << bits).wrapping_add_signed(more).wrapping_neg()),
        (-0x2000i64..0x2000).prop_map(|more| (1u64 << 31).wrapping_add_signed(more)),
        (-0x2000i64..0x2000).prop_map(|more| (1u64 << 31).wrapping_add_signed(more).wrapping_neg()),
    ];
    (base, offset, any::<bool>()).prop_map(|(base, offset, relative)| {
        let outside = if relative { base.wrapping_add(offset) } else { offset };
        // What lies in the arena is not outside.
        let inside = outside.wrapping_sub(base) < ARENA;
        (base, if inside { outside.wrapping_add(2 * ARENA) } else { outside })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_can_be_served_arrives_wherever_the_target_is(
        (base, outside) in placement(),
        header in prop::sample::select(vec!["le64", "be64"]),
    ) {
        let image = link_at(&format!("toy {header}\n{SERVED}"), base, outside);
        check_served(&image.unwrap_or_else(|errors| panic!("{base:#x} to {outside:#x}: {errors}")), outside);
    }

    #[test]
    fn what_cannot_be_served_is_an_error_with_place_target_and_limit(
        (base, outside) in placement(),
        row in prop::sample::select(vec!["ABS32", "ABS32S", "ABS16", "REL32", "GOTOFF", "PAGE", "IMAGE", "ALIGNED"]),
        addend in -0x2_0000i64..0x2_0000,
        code in any::<bool>(),
    ) {
        let protection = if code { "rx" } else { "rw" };
        // Without one, the image gets code that goes there.
        let addend = if row == "IMAGE" && addend == 0 { 4 } else { addend };
        let text = format!("toy le64\nsection .data {protection}\nlabel d global\nfill 5\nlabel field global\nrel {row} outside {addend}\n");
        let size = if row == "ABS16" { 2 } else { 4 };
        let target = i128::from(outside) + i128::from(addend);
        let wrapped = |value: i128| i128::from(value as u64 as i64);
        match link_at(&text, base, outside) {
            Ok(image) => {
                let place = image.address("field");
                let start = i128::from(image.linked.segments[0].address.0);
                let got = i128::from(image.map().objects.iter().flat_map(|object| &object.sections)
                    .find(|section| section.name == ".got").map_or(0, |section| section.address.0 + 0x20));
                let value = wrapped(match row {
                    "REL32" | "ALIGNED" => target - i128::from(place),
                    "GOTOFF" => target - got,
                    "IMAGE" => target - start,
                    "PAGE" => (target & !0xfff) - (i128::from(place) & !0xfff),
                    _ => target,
                });
                let (min, max): (i128, i128) = match row {
                    "ABS32" | "IMAGE" => (0, 0xffff_ffff),
                    "ABS16" => (-0x8000, 0xffff),
                    _ => (-0x8000_0000, 0x7fff_ffff),
                };
                prop_assert!((min..=max).contains(&value), "{value:#x} does not fit {row}");
                prop_assert_eq!(i128::from(image.number(place, size)), value & ((1 << (size * 8)) - 1));
                prop_assert!(row != "ALIGNED" || value % 4 == 0);
            }
            Err(errors) => {
                prop_assert_eq!(errors.len(), 1);
                let error = errors.first();
                let site = error.site().expect("a place");
                prop_assert_eq!((site.object.as_str(), site.section.as_str(), site.offset), ("a.o", ".data", 5));
                prop_assert_eq!((site.reloc.as_str(), site.symbol.as_str()), (row, "outside"));
                let text = error.to_string();
                match error {
                    LinkError::OutOfRange { value, min, max, target, .. } => {
                        prop_assert!(value < min || value > max, "{}", text);
                        prop_assert_eq!(target.0, outside);
                    }
                    LinkError::Misaligned { align, .. } => prop_assert_eq!(*align, 4),
                    LinkError::Unsupported { advice, .. } => {
                        prop_assert!(text.contains(&format!("{outside:#x}")), "{}", text);
                        prop_assert!(!advice.is_empty());
                    }
                    other => prop_assert!(false, "{other}"),
                }
            }
        }
    }
}

#[test]
fn a_pointer_of_four_bytes_that_cannot_hold_its_target_is_an_error() {
    let text = "toy le32\nsection .text rx\nlabel main global\nload outside\nret\n";
    assert_eq!(link_at(text, 0x10000, 0xffff_fff0).unwrap().run("main"), [Loaded(0xffff_fff0)]);
    let errors = link_at(text, 0x10000, 0x1_0000_0000).err().unwrap();
    assert_eq!(errors.first().code(), "out-of-range", "{errors}");
}

#[test]
fn targets_exactly_at_the_limit_of_a_distance_are_reached_directly_or_not() {
    let text = format!("toy le64\n{SERVED}");
    let base = 0x7000_0000_0000u64;
    for side in [0x7fff_f000u64, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0x8000_0003, 0x8000_0004, 0x8010_0000] {
        for outside in [base + side, base.wrapping_sub(side)] {
            check_served(&link_at(&text, base, outside).unwrap(), outside);
        }
    }
}

#[test]
fn a_far_function_is_in_the_image_as_the_code_that_goes_there() {
    let outside = 0x7f12_3456_0000;
    let text = |addend: &str, kind: &str| {
        format!(
            "toy le64\nundef outside {kind}\nsection .unwind r\nlabel field global\nfill 3\nrel IMAGE outside {addend}\n"
        )
    };
    for kind in ["func", ""] {
        let image = link_at(&text("", kind), 0x4000_0000, outside).unwrap_or_else(|errors| panic!("{errors}"));
        let base = image.linked.segments[0].address.0;
        let thunk = base + image.number(image.address("field") + 3, 4);
        assert!(image.is_code(thunk), "{thunk:#x}");
        assert_eq!(crate::kit::machine::run(&image, thunk), [Left(outside)]);
    }
    // What it is an offset into, or data, is not to be had there.
    for (addend, kind) in [("+4", "func"), ("", "object")] {
        let errors = link_at(&text(addend, kind), 0x4000_0000, outside).err().expect("nothing that reaches it");
        let text = errors.to_string();
        assert!(matches!(errors.first(), LinkError::Unsupported { .. }), "{text}");
        assert!(text.contains("a.o: .unwind+0x3: IMAGE against outside") && text.contains("0x7f1234560000"), "{text}");
    }
}
