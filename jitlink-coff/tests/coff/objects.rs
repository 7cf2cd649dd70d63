//! What an object holds becomes what the graph and the image hold.

use super::builder::{CODE, CONSTANTS, DATA, Object, ZEROS, section_record};
use super::kit::{BASE, linked, read};
use jitlink_core::executor::PointerArray;
use jitlink_core::graph::{Content, Protection, Residence, Value};

const EXTERNAL: u8 = 2;
const STATIC: u8 = 3;

#[test]
fn ordinary_and_big_objects_give_the_same_graph() {
    let mut object = Object::new();
    let code = object.section(".text", CODE, &[0xe8, 0, 0, 0, 0, 0xc3]);
    let data = object.section("a_name_of_more_than_eight", DATA, &[1, 2, 3, 4]);
    object.section(".bss", ZEROS, &[]);
    object.sections[2].zeros = 0x40;
    object.symbol_with(".text", 0, code, STATIC, section_record(0, 0));
    object.symbol("start", 0, code, EXTERNAL);
    object.symbol("a_symbol_with_a_long_name", 2, data, EXTERNAL);
    let callee = object.symbol("callee", 0, 0, EXTERNAL);
    object.sections[0].relocations = vec![(1, callee, 4)];
    for is_big in [false, true] {
        object.is_big = is_big;
        let bytes = object.bytes();
        let graph = read(&bytes, false).unwrap_or_else(|error| panic!("{error}"));
        let sections: Vec<_> =
            graph.sections().map(|(_, section)| (section.name_lossy(), section.protection)).collect();
        let expected = [
            (".text", Protection::ReadExecute),
            ("a_name_of_more_than_eight", Protection::ReadWrite),
            (".bss", Protection::ReadWrite),
        ];
        assert_eq!(sections, expected.map(|(name, protection)| (name.to_string(), protection)));
        assert!(matches!(graph.blocks().nth(2).unwrap().1.content, Content::Zero(0x40)));
        // Sections that name no alignment have one of sixteen.
        assert!(graph.blocks().all(|(_, block)| block.align_log2 == 4));
        let edge = graph.edges(graph.blocks().next().unwrap().0)[0];
        // The call counts from the end of its field: REL32.
        assert_eq!((edge.offset, edge.addend), (1, -4));
        assert_eq!(graph.symbol(edge.target).name.bytes(), b"callee");
        let long = graph.find_symbol("a_symbol_with_a_long_name").expect("a symbol");
        assert!(matches!(graph.symbol(long).value, Value::Block { offset: 2, .. }));
    }
}

#[test]
fn more_relocations_than_the_header_counts_are_all_read() {
    let mut object = Object::new();
    let target = object.section(".text", CODE, &[0xc3]);
    let count = 0x1_0003;
    object.section(".data", DATA, &vec![0; 8 * count]);
    let number = object.symbol("start", 0, target, EXTERNAL);
    object.symbol("table", 0, 2, EXTERNAL);
    object.sections[1].relocations = (0..count as u32).map(|index| (8 * index, number, 1)).collect();
    let bytes = object.bytes();
    let image = linked(&[("a.obj", &bytes)]).unwrap_or_else(|errors| panic!("{errors}"));
    let (table, start) = (image.address("table"), image.address("start"));
    assert!((0..count as u64).all(|index| image.long(table + 8 * index) == start));
    // The count in the first entry counts that entry too.
    object.sections[1].relocations.truncate(2);
    object.sections[1].overflowed = true;
    let bytes = object.bytes();
    let graph = read(&bytes, false).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(graph.edges(graph.blocks().nth(1).unwrap().0).len(), 2);
}

#[test]
fn sections_lie_in_the_order_of_what_follows_the_dollar() {
    // A program walks from the one it knows to the other it knows, in the order of names across all objects.
    let object = |pieces: &[(&str, u8)], ends: bool| {
        let mut object = Object::new();
        for (name, byte) in pieces {
            object.section(name, CONSTANTS | 0x0010_0000, &u64::from(*byte).to_le_bytes());
        }
        if ends {
            object.symbol("first", 0, 1, EXTERNAL);
            object.symbol("last", 0, 2, EXTERNAL);
        }
        object.bytes()
    };
    let ends = object(&[(".CRT$XCA", 0xa0), (".CRT$XCZ", 0xff)], true);
    let first = object(&[(".CRT$XCU", 5), (".CRT$XCC", 2), (".CRT$XIA", 9)], false);
    let second = object(&[(".CRT$XCU", 6), (".CRT$XCCa", 3), (".CRT$XCB", 1), (".CRT", 0)], false);
    let image = linked(&[("first.obj", &first), ("ends.obj", &ends), ("second.obj", &second)]);
    let image = image.unwrap_or_else(|errors| panic!("{errors}"));
    let (start, end) = (image.address("first"), image.address("last"));
    let walked = (start - 8..end + 16).step_by(8).map(|at| image.long(at)).collect::<Vec<u64>>();
    assert_eq!(walked, [0, 0xa0, 1, 2, 3, 5, 6, 0xff, 9]);
    // C's initialisers run before C++'s, each in that order.
    let run = image.linked.initialisers.iter().map(|array| image.long(array.address.0)).collect::<Vec<u64>>();
    assert_eq!(run, [9, 0xa0, 1, 2, 3, 5, 6, 0xff]);
    // That nothing here calls those of other names is said.
    let warnings = &image.linked.statistics.warnings;
    let names: Vec<&str> = warnings.iter().map(|warning| &*warning.object).collect();
    assert!(names == ["second.obj"] && warnings[0].what.contains("section .CRT holds pointers"), "{warnings:?}");
}

#[test]
fn constructors_run_from_the_last_object_to_the_first_and_destructors_forwards() {
    // "collect2": start-up code walks over one list, backwards at the start and forwards at the end; names with numbers lie behind.
    let object = |pieces: &[(&str, u8)]| {
        let mut object = Object::new();
        for (name, number) in pieces {
            let numbers = [*number, *number + 1].map(|number| u64::from(number).to_le_bytes());
            object.section(name, DATA, &numbers.concat());
        }
        object.bytes()
    };
    let first = object(&[(".ctors", 10), (".ctors.65434", 20), (".dtors", 30)]);
    let second = object(&[(".ctors", 12), (".dtors", 32), (".dtors.00002", 40), (".ctors.00001", 24)]);
    let image = linked(&[("first.obj", &first), ("second.obj", &second)]);
    let image = image.unwrap_or_else(|errors| panic!("{errors}"));
    let run = |arrays: &[PointerArray]| -> Vec<u64> {
        let numbers = |array: &PointerArray| {
            let mut numbers: Vec<u64> = (0..array.count).map(|index| image.long(array.address.0 + 8 * index)).collect();
            if array.order.backwards {
                numbers.reverse();
            }
            numbers
        };
        arrays.iter().flat_map(numbers).collect()
    };
    assert_eq!(run(&image.linked.initialisers), [21, 20, 25, 24, 13, 12, 11, 10]);
    assert_eq!(run(&image.linked.finalisers), [30, 31, 32, 33, 40, 41]);
}

#[test]
fn relocations_count_from_the_image_and_from_runs_of_sections() {
    let mut object = Object::new();
    let code = object.section(".text", CODE, &[0xc3]);
    let plain = object.section(".data", DATA, &[0xee; 0x20]);
    let grouped = object.section(".data$b", DATA, &[0xdd; 0x20]);
    object.section(".rdata", CONSTANTS, &[0xff; 32]);
    object.symbol("start", 0, code, EXTERNAL);
    object.symbol("plain", 0, plain, EXTERNAL);
    let inner = object.symbol("inner", 8, grouped, EXTERNAL);
    let base = object.symbol("__ImageBase", 0, 0, EXTERNAL);
    object.symbol("fields", 0, 4, EXTERNAL);
    // What stands in a field is its addend: made zero where none is meant.
    object.sections[3].content[..4].copy_from_slice(&[0; 4]);
    object.sections[3].content[4..8].copy_from_slice(&3u32.to_le_bytes());
    object.sections[3].content[8..10].copy_from_slice(&[0; 2]);
    object.sections[3].content[16..24].copy_from_slice(&[0; 8]);
    object.sections[3].relocations = vec![(0, inner, 3), (4, inner, 11), (8, inner, 10), (16, base, 1)];
    let bytes = object.bytes();
    let image = linked(&[("a.obj", &bytes)]).unwrap_or_else(|errors| panic!("{errors}"));
    let (fields, inner) = (image.address("fields"), image.address("inner"));
    assert_eq!(u64::from(image.word(fields)), inner - BASE, "ADDR32NB");
    assert_eq!(u64::from(image.word(fields + 4)), inner + 3 - image.address("plain"), "SECREL");
    // Of code, constants and data, in the order of their addresses.
    assert_eq!(image.bytes(fields + 8, 4), [3, 0, 0xff, 0xff], "SECTION");
    assert_eq!(image.long(fields + 16), BASE, "__ImageBase");
}

#[test]
fn records_of_an_unwind_table_are_one_table_in_the_order_of_their_functions() {
    // Code lies in the order of its suffixes; records come in that of the objects, and GCC's for start-up code under a name of its own.
    let object = |suffix: &str, name: &str, table: &str| {
        let mut object = Object::new();
        let code = object.section(&format!(".text${suffix}"), CODE, &[0xc3; 4]);
        let function = object.symbol(name, 0, code, EXTERNAL);
        let records = object.section(table, CONSTANTS | 0x0030_0000, &[0; 12]);
        object.sections[records as usize - 1].relocations = vec![(0, function, 3), (4, function, 3), (8, function, 3)];
        object.symbol(&format!("record_{name}"), 0, records, EXTERNAL);
        object.bytes()
    };
    let (last, first, middle) =
        (object("c", "last", ".pdata"), object("a", "first", ".pdata.startup"), object("b", "middle", ".pdata$b"));
    let image = linked(&[("last.obj", &last), ("first.obj", &first), ("middle.obj", &middle)]);
    let image = image.unwrap_or_else(|errors| panic!("{errors}"));
    let names = ["last", "first", "middle"];
    let table = names.map(|name| image.address(&format!("record_{name}"))).into_iter().min().unwrap();
    let starts = [0, 12, 24].map(|offset| BASE + u64::from(image.word(table + offset)));
    let sorted = ["first", "middle", "last"].map(|name| image.address(name));
    assert_eq!(starts, sorted);
    // Before they were sorted the first was another's.
    assert_eq!(image.address("record_last"), table);
}

#[test]
fn a_record_of_an_unwind_table_lives_with_its_function() {
    let mut object = Object::new();
    let first = object.section(".text$a", CODE, &[0xc3]);
    let second = object.section(".text$b", CODE, &[0xc3]);
    let table = object.section(".pdata", CONSTANTS, &[0; 24]);
    let numbers = [object.symbol("a", 0, first, EXTERNAL), object.symbol("b", 0, second, EXTERNAL)];
    object.symbol("table", 0, table, STATIC);
    object.symbol("tail", 13, table, STATIC);
    let record = |(index, number): (u32, &u32)| [(12 * index, *number, 3), (12 * index + 4, *number, 3)];
    object.sections[2].relocations = (0..).zip(&numbers).flat_map(record).collect();
    let bytes = object.bytes();
    let graph = read(&bytes, false).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(graph.blocks().map(|(_, block)| block.size()).collect::<Vec<_>>(), [1, 1, 12, 12]);
    let pairs: Vec<_> = graph.dependencies().iter().map(|(one, other)| (one.index(), other.index())).collect();
    assert_eq!(pairs, [(0, 2), (1, 3)]);
    let tail = graph.symbols().find(|(_, symbol)| symbol.name.bytes() == b"tail").unwrap().1;
    assert!(matches!(tail.value, Value::Block { block, offset: 1 } if block.index() == 3));
    object.sections[2].content.push(0);
    let bytes = object.bytes();
    let error = read(&bytes, false).expect_err("no whole records");
    assert!(error.to_string().contains("0x19 bytes are no table of records of 12 bytes"), "{error}");
}

#[test]
fn debug_sections_are_kept_by_choice_and_others_never() {
    let mut object = Object::new();
    let code = object.section(".text", CODE, &[0xc3]);
    object.section(".debug$S", 0x4210_0040, &[0; 8]);
    object.section(".debug_info", 0x4210_0040, &[0; 12]);
    object.section(".llvm_addrsig", 0x0010_0800, &[1]);
    object.section(".gfids$y", 0x4030_0040, &[0; 4]);
    object.section(".drectve", 0x0010_0a00, b" ");
    // Zeroes that nobody sees are not made, however many.
    object.section(".debug_line", 0x4210_0080, &[]);
    object.sections[6].zeros = u32::MAX;
    let start = object.symbol("start", 0, code, EXTERNAL);
    object.sections[1].relocations = vec![(0, start, 11), (4, start, 10)];
    object.sections[2].relocations = vec![(4, start, 1)];
    let bytes = object.bytes();
    let names = |debug: bool| -> Vec<(String, Residence)> {
        let graph = read(&bytes, debug).unwrap_or_else(|error| panic!("{error}"));
        graph.sections().map(|(_, section)| (section.name_lossy(), section.residence)).collect()
    };
    assert_eq!(names(false), [(".text".to_string(), Residence::Near)]);
    let kept = [(".text", Residence::Near), (".debug$S", Residence::Unloaded), (".debug_info", Residence::Unloaded)];
    assert_eq!(names(true), kept.map(|(name, residence)| (name.to_string(), residence)));
}

#[test]
fn resources_go_unless_something_refers_to_them() {
    let mut object = Object::new();
    let code = object.section(".text", CODE, &[0xc3]);
    object.section(".rsrc$01", CONSTANTS, &[0x11; 24]);
    let data = object.section(".rsrc$02", CONSTANTS, &[0x22; 8]);
    object.symbol("start", 0, code, EXTERNAL);
    let number = object.symbol("$R000000", 0, data, STATIC);
    object.sections[1].content[16..20].copy_from_slice(&[0; 4]);
    object.sections[1].relocations = vec![(16, number, 3)];
    let bytes = object.bytes();
    let image = linked(&[("a.obj", &bytes)]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.linked.segments.len(), 1, "code alone is left");
    // A name at the start of the tree keeps it, and the data that it leads to.
    object.symbol("tree", 0, 2, EXTERNAL);
    let bytes = object.bytes();
    let image = linked(&[("a.obj", &bytes)]).unwrap_or_else(|errors| panic!("{errors}"));
    let tree = image.address("tree");
    assert_eq!(image.bytes(tree, 16), [0x11; 16]);
    assert_eq!(image.bytes(BASE + u64::from(image.word(tree + 16)), 8), [0x22; 8]);
}
