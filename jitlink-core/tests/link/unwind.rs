//! Unwind records: `.eh_frame` of the batch.

use crate::kit::{Event, Image, exported, link_err, link_ok, roots};

/// A CIE without personality: version 1, augmentation "zR", encoding pcrel|sdata4 (0x1b).
const CIE: &str = "hex 10 00 00 00 00 00 00 00 01 7a 52 00 01 78 10 01 1b 0c 07 08\n";

/// An FDE `back` bytes after the start of its CIE, for 4 bytes of code.
fn fde(back: usize, function: &str) -> String {
    let distance = (back + 4) as u32;
    let [a, b, c, d] = distance.to_le_bytes();
    format!("hex 10 00 00 00 {a:02x} {b:02x} {c:02x} {d:02x}\nrel REL32 {function}\nhex 04 00 00 00 00 00 00 00\n")
}

fn object(name: &str) -> String {
    format!(
        "toy le64
section .text.{name} rx
label {name} global func size=4
ret
section .text.{name}_dead rx
label {name}_dead hidden func size=4
ret
section .eh_frame r eh align=8
{CIE}{}{}hex 00 00 00 00
",
        fde(20, &format!("{name}_dead")),
        fde(40, name)
    )
}

/// The records of an image, and what follows them: `(CIE, functions of its FDEs)`.
fn read(image: &Image) -> (Vec<(u64, Vec<u64>)>, u64) {
    let (start, size) = image.section("(jitlink)", ".eh_frame").expect("an .eh_frame");
    let (mut at, mut cies) = (start, Vec::<(u64, Vec<u64>)>::new());
    loop {
        let length = image.number(at, 4);
        if length == 0 {
            assert_eq!(at + 4, start + size, "the terminator is the end");
            return (cies, start);
        }
        match image.number(at + 4, 4) {
            0 => cies.push((at, Vec::new())),
            distance => {
                let cie = cies.iter_mut().find(|cie| cie.0 == at + 4 - distance).expect("a CIE where the FDE says");
                let field = at + 8;
                cie.1.push(field.wrapping_add_signed(image.signed(field, 4)));
            }
        }
        at += 4 + length;
    }
}

#[test]
fn equal_cies_become_one_and_every_fde_finds_its_own() {
    let image = link_ok(&[("a.o", &object("a")), ("b.o", &object("b")), ("c.o", &object("c"))], &exported());
    let (cies, _) = read(&image);
    let functions: Vec<u64> = ["a", "b", "c"].map(|name| image.address(name)).into();
    assert_eq!(cies.len(), 1);
    assert_eq!(cies[0].1, functions);
}

#[test]
fn cies_that_differ_stay_apart() {
    let other = object("b").replace("78 10 01", "78 11 01");
    let image = link_ok(&[("a.o", &object("a")), ("b.o", &other), ("c.o", &object("c"))], &exported());
    let (cies, _) = read(&image);
    assert_eq!(cies.len(), 2);
    assert_eq!(cies[0].1, [image.address("a"), image.address("c")]);
    assert_eq!(cies[1].1, [image.address("b")]);
}

#[test]
fn records_of_pruned_functions_are_gone() {
    let image = link_ok(&[("a.o", &object("a")), ("b.o", &object("b"))], &roots(&["b"]));
    let (cies, _) = read(&image);
    assert_eq!(cies.len(), 1);
    assert_eq!(cies[0].1, [image.address("b")]);
}

#[test]
fn records_alone_keep_no_function_alive() {
    let text = object("a") + "section .text.main rx\nlabel main global\nret\n";
    let image = link_ok(&[("a.o", &text)], &roots(&["main"]));
    assert_eq!(image.section("(jitlink)", ".eh_frame"), None);
    assert_eq!(image.find("a"), None);
}

#[test]
fn the_section_is_aligned_and_registered_whole() {
    let image = link_ok(&[("a.o", &object("a"))], &exported());
    let (address, size) = image.section("(jitlink)", ".eh_frame").unwrap();
    assert_eq!((address % 8, size), (0, 20 + 20 + 4));
}

#[test]
fn an_unknown_augmentation_or_version_is_refused() {
    let unknown = object("a").replace("7a 52 00", "7a 58 00");
    let errors = link_err(&[("a.o", &unknown)], &exported());
    assert_eq!(errors.first().code(), "malformed");
    assert!(errors.to_string().contains("augmentation \"zX\""), "{errors}");
    let errors = link_err(&[("a.o", &object("a").replace("00 00 00 00 01 7a", "00 00 00 00 02 7a"))], &exported());
    assert!(errors.to_string().contains("version 2"), "{errors}");
}

#[test]
fn an_fde_that_points_to_no_cie_is_refused() {
    let stray = object("a").replace(&fde(40, "a"), &fde(36, "a"));
    let errors = link_err(&[("a.o", &stray)], &exported());
    assert_eq!(errors.to_string(), "a.o: .eh_frame+0x2c: malformed: an FDE whose CIE pointer points to no CIE");
}

#[test]
fn a_relocation_of_a_records_length_or_cie_pointer_is_refused() {
    let cie = "hex 10 00 00 00 00 00 00 00 01";
    let fde = "hex 10 00 00 00 18 00 00 00";
    for (place, record, field) in [
        (0x0, cie, "hex 10 00 00 00\nover ABS32 a\nhex 00 00 00 00 01"),
        (0x4, cie, "hex 10 00 00 00 00 00 00 00\nover ABS32 a\nhex 01"),
        (0x18, fde, "hex 10 00 00 00 18 00 00 00\nover ABS32 a"),
    ] {
        let text = object("a");
        assert!(text.contains(record), "{text}");
        let errors = link_err(&[("a.o", &text.replacen(record, field, 1))], &exported());
        let place = format!("a.o: .eh_frame+{place:#x}: ABS32 against a: malformed: the field lies in the length or");
        assert!(errors.to_string().starts_with(&place), "{errors}");
    }
}

#[test]
fn a_record_that_runs_past_its_section_is_refused() {
    let long = object("a").replace("hex 00 00 00 00\n", "hex 00 00 01 00\n");
    assert!(link_err(&[("a.o", &long)], &exported()).to_string().contains("past the end"));
}

/// A function whose FDE has language-specific data with a type table of four-byte absolute references.
fn with_types(types: &[String]) -> String {
    // Landing pads omitted, types absolute (udata4), the table ends after `size` bytes; then call sites, then the types.
    let entries: String = types.iter().map(|name| format!("rel ABS32 {name}\n")).collect();
    let end = types.len() * 4 + 2;
    assert!(end < 0x80);
    format!(
        "toy le64
section .text.f rx
label f global func size=4
ret
section .gcc_except_table r align=4
label lsda
hex ff 03 {end:02x} 01 00
{entries}section .eh_frame r eh align=8
hex 14 00 00 00 00 00 00 00 01 7a 4c 52 00 01 78 10 02 1b 1b 00 00 00 00 00
hex 18 00 00 00 1c 00 00 00
rel REL32 f
hex 04 00 00 00 04
rel REL32 lsda
hex 00 00 00 00 00 00 00
"
    )
}

#[test]
fn far_types_of_a_handler_are_found_through_slots_and_near_ones_with_them() {
    let names: Vec<String> = (0..20).map(|index| format!("type{index}")).chain(["far".to_string()]).collect();
    let mut text = with_types(&names).replacen("toy le64\n", "toy le64\nabs far 0x7fff00001234\n", 1);
    text.push_str("section .data.types rw\n");
    (0..20).for_each(|index| text.push_str(&format!("label type{index}\nhex 01 02 03 04\n")));
    let image = link_ok(&[("a.o", &text)], &exported());
    let (table, size) = image.section("a.o", ".gcc_except_table").unwrap();
    assert_eq!(image.bytes(table + 1, 1), [0x83], "the encoding says that references are indirect");
    assert_eq!(size, 5 + 21 * 4);
    for (index, name) in names.iter().enumerate() {
        let slot = image.number(table + 5 + index as u64 * 4, 4);
        let target = if name == "far" { 0x7fff_0000_1234 } else { image.address(name) };
        assert_eq!(image.pointer(slot), target, "{name}");
    }
}

#[test]
fn a_far_personality_is_found_through_a_slot() {
    let text = "
toy le64
abs personality 0x7fff00001234
section .text.f rx
label f global func size=4
ret
section .eh_frame r eh align=8
hex 18 00 00 00 00 00 00 00 01 7a 50 52 00 01 78 10 06 03
rel ABS32 personality
hex 1b 0c 07 08 00 00
hex 14 00 00 00 20 00 00 00
rel REL32 f
hex 04 00 00 00 00 00 00 00 00 00 00 00
";
    let image = link_ok(&[("a.o", text)], &exported());
    let (start, _) = image.section("(jitlink)", ".eh_frame").unwrap();
    assert_eq!(image.bytes(start + 17, 1), [0x83]);
    assert_eq!(image.pointer(image.number(start + 18, 4)), 0x7fff_0000_1234);
    assert_eq!(image.run("f"), [] as [Event; 0]);
}

#[test]
fn far_references_of_other_data_are_errors_with_place_target_and_advice() {
    let text = "toy le64\nabs far 0x7fff00001234\nsection .data rw\nlabel d global\nhex 00\nrel ABS32 far\n";
    let errors = link_err(&[("a.o", text)], &exported());
    let text = errors.to_string();
    assert!(text.contains("a.o: .data+0x1: ABS32 against far: the target at 0x7fff00001234 is out of reach"), "{text}");
    assert!(errors.first().advice().contains("-fPIC"));
}
