//! Tail calls, and elements that an image declares.

use jitlink_arch_bpf::image::{BpfImage, ImageSegment, ImageTypes, MapDefinition};
use jitlink_core::Addr;
use jitlink_core::graph::Protection;

use super::*;
use crate::helpers::program_number;

#[test]
fn tail_calls_go_on_as_another_program() {
    let programs = map(MapKind::ProgArray, 4, 4, 4);
    let handle = programs.clone();
    let mut functions = standard(Arc::new(Host::new()));
    functions.add_helper(HANDLES, move |call| Ok(call.map_handle(&handle)));
    // tail_call(context, map, r7): 1 if it returns; the program at word 8 gives 42.
    let words = |index| {
        vec![
            insn(0x85, 0, 0, 0, HANDLES as i32),
            insn(0xbf, 2, 0, 0, 0),
            insn(0xb7, 1, 0, 0, 0),
            insn(0xb7, 3, 0, 0, index),
            insn(0x85, 0, 0, 0, 12),
            insn(0xb7, 0, 0, 0, 1),
            insn(0x95, 0, 0, 0, 0),
            insn(0xb7, 0, 0, 0, 7),
            insn(0xb7, 0, 0, 0, 42),
            insn(0x95, 0, 0, 0, 0),
        ]
    };
    let run = |index| {
        let vm = VmBuilder::new().functions(functions.clone()).build_raw(&words(index), Endian::NATIVE).unwrap();
        vm.run(&vm.programs()[0], &mut NoContext).unwrap()
    };
    let number = program_number(at(crate::address::CODE_REGION, 8 * 8)).unwrap();
    programs.update(&2u32.to_ne_bytes(), &number.to_ne_bytes(), 0).unwrap();
    // It does not go on with itself for ever, nor with what is no instruction.
    programs.update(&1u32.to_ne_bytes(), &0u32.to_ne_bytes(), 0).unwrap();
    programs.update(&3u32.to_ne_bytes(), &u32::MAX.to_ne_bytes(), 0).unwrap();
    assert_eq!([run(0), run(1), run(2), run(3), run(4)], [1, 1, 42, 1, 1]);
    assert_eq!(program_number(at(17, 0)), None);
    let wrong = Script::new().map(map(MapKind::Array, 4, 4, 1)).call("tail_call", &[N(0), Map(0), N(0)]);
    assert!(wrong.try_run(&mut NoContext).is_err());
}

/// An image of a program of two instructions, with maps.
fn image_of(maps: Vec<MapDefinition>) -> BpfImage {
    let words = [insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)];
    let bytes = jitlink_arch_bpf::insn::bytes(&words, Endian::NATIVE);
    let address = Addr(at(crate::address::CODE_REGION, 0));
    BpfImage {
        endian: Endian::NATIVE,
        segments: vec![ImageSegment { address, protection: Protection::ReadExecute, bytes }],
        functions: Vec::new(),
        maps,
        data: Vec::new(),
        references: Vec::new(),
        externs: Vec::new(),
        license: String::new(),
        version: 0,
        types: ImageTypes::default(),
    }
}

#[test]
fn declared_elements_are_put_into_maps() {
    let inner = MapDefinition {
        name: "inner".into(),
        address: Addr(0x100),
        kind: 2,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        ..MapDefinition::default()
    };
    let outer = MapDefinition {
        name: "outer".into(),
        address: Addr(0x200),
        kind: 12,
        key_size: 4,
        value_size: 4,
        max_entries: 2,
        inner: Some(Box::new(inner.clone())),
        elements: vec![(1, Addr(0x100))],
        ..MapDefinition::default()
    };
    let start = at(crate::address::CODE_REGION, 0);
    let programs = |target| MapDefinition {
        name: "programs".into(),
        address: Addr(0x300),
        kind: 3,
        key_size: 4,
        value_size: 4,
        max_entries: 2,
        elements: vec![(1, Addr(target))],
        ..MapDefinition::default()
    };
    let image = |programs| image_of(vec![outer.clone(), inner.clone(), programs]);
    let good = image(programs(start + 8));
    let vm = VmBuilder::new().build(&good).unwrap();
    assert_eq!(vm.map("programs").unwrap().target(1), Some(1));
    assert!(Arc::ptr_eq(&vm.map("outer").unwrap().inner_map(&1u32.to_ne_bytes()).unwrap(), vm.map("inner").unwrap()));
    let wrong = image(programs(0x300));
    let error = VmBuilder::new().build(&wrong).unwrap_err().to_string();
    assert!(error.contains("map \"programs\": element 1: there is no linked code at 0x300"), "{error}");
}
