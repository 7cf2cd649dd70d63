//! Tables of jumps that clang makes of switches.

use crate::compilers::compile;
use crate::kit::{inputs, link, memory, registry};
use jitlink_arch_bpf::image::BpfImage;
use jitlink_core::Endian;
use jitlink_core::link::{LinkOptions, relocatable};
use object::{Object as _, ObjectSection as _};

/// An object with two tables, for functions that do not begin their section.
fn object(target: &str, prefix: &str) -> Option<Vec<u8>> {
    // Some do more than give a number, so that a table of numbers does not do.
    let more = |case: u32| if case.is_multiple_of(3) { format!("bytes[2] += {case}; ") } else { String::new() };
    let cases: String = (0..16).map(|case| format!("case {case}: {}return {};", more(case), case * 37 % 19)).collect();
    let switch = |number: u32| format!("switch (bytes[{number}]) {{ {cases} }} return 77;");
    let source = format!(
        "#include \"bpf.h\"\n\
         static __noinline int {prefix}_inner(unsigned char *bytes) {{ {} }}\n\
         SEC(\"raw\") int {prefix}_first(unsigned char *bytes) {{ return bytes[9]; }}\n\
         SEC(\"raw\") int {prefix}_second(unsigned char *bytes) {{ {} }}\n\
         SEC(\"raw\") int {prefix}_third(unsigned char *bytes) {{ return {prefix}_inner(bytes); }}\n",
        switch(0),
        switch(1)
    );
    compile("clang-22", &[target, "-O2", "-g", "-mcpu=v4"], "c", &source)
}

/// What the tables lead to: for each, functions with the number of an instruction.
fn meaning(image: &BpfImage) -> Vec<Vec<(String, u64)>> {
    let tables = image.data.iter().filter(|block| block.section == ".jumptables");
    let word = |bytes: &[u8]| jitlink_core::Addr(image.endian.read(bytes));
    let place = |address| {
        let function = image.function_at(address).unwrap_or_else(|| panic!("{address} is in no function"));
        assert!((address.0 - function.address.0).is_multiple_of(8));
        (function.name.clone(), (address.0 - function.address.0) / 8)
    };
    let mut all: Vec<Vec<_>> = tables
        .map(|table| memory(image, table.address, table.size).chunks(8).map(|bytes| place(word(bytes))).collect())
        .collect();
    all.sort();
    all
}

#[test]
fn tables_lead_into_their_functions_however_often_they_are_linked() {
    for (target, endian) in [("--target=bpfel", Endian::Little), ("--target=bpfeb", Endian::Big)] {
        let (Some(a), Some(b)) = (object(target, "a"), object(target, "b")) else { return };
        let parts = [("a", a), ("b", b)];
        let image = link(&parts).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(image.endian, endian);
        let tables = meaning(&image);
        let functions: Vec<&str> = tables.iter().map(|table| table[0].0.as_str()).collect();
        assert_eq!(functions, ["a_inner", "a_second", "b_inner", "b_second"]);
        for table in &tables {
            assert!(table.len() == 16 && table.iter().all(|(name, _)| *name == table[0].0), "{table:?}");
        }
        let once = relocatable(&registry(), &inputs(&parts), &LinkOptions::default());
        let once = once.unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(meaning(&link(&[("once", once)]).unwrap()), tables);
    }
}

#[test]
fn tables_that_lead_elsewhere_are_refused() {
    let Some(good) = object("--target=bpfel", "a") else { return };
    let file = object::File::parse(&*good).unwrap();
    let table = file.section_by_name(".jumptables").unwrap().file_range().unwrap();
    for (word, shown) in [(4u64, "0x4"), (1 << 40, "0x10000000000"), (u64::MAX, "0xffffffffffffffff")] {
        let mut bytes = good.clone();
        bytes[table.0 as usize + 8..][..8].copy_from_slice(&word.to_le_bytes());
        let error = link(&[("a", bytes)]).unwrap_err().to_string();
        assert!(error.contains(".jumptables+0x8") && error.contains(&format!("leads to {shown},")), "{error}");
    }
}
