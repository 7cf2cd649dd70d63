//! `.BTF.ext`: reading, moving and writing.

use crate::kit::*;
use jitlink_arch_bpf::btf::ext::{BtfExt, ExtError, SectionInfo};
use jitlink_arch_bpf::btf::*;
use jitlink_core::Endian;

const SOURCE: &str = "
__attribute__((noinline)) static int helper(int x) {
    return x * 3;
}
__attribute__((section(\"xdp\"), used)) int first(void *context) {
    return helper(7);
}
__attribute__((section(\"xdp\"), used)) int second(void *context) {
    /* na\u{ef}ve */ return helper(8) + *(volatile int *)context;
}
";

#[test]
fn the_records_of_a_compiler_say_functions_and_lines() {
    for (target, endian) in [("bpfel", Endian::Little), ("bpfeb", Endian::Big)] {
        let Some(object) = compile(target, SOURCE) else { return };
        let btf = btf_of(&object);
        let bytes = section(&object, ".BTF.ext");
        let ext = BtfExt::read(&bytes, &btf).unwrap();
        assert_eq!(ext.sections.keys().collect::<Vec<_>>(), ["xdp", ".text"]);
        let xdp = ext.section("xdp").unwrap();
        let name = |ty| btf.ty(ty).unwrap().name();
        assert_eq!(xdp.funcs.iter().map(|func| name(func.ty)).collect::<Vec<_>>(), ["first", "second"]);
        let second = xdp.funcs[1].insn_off;
        assert_eq!(xdp.func_at(second).map(|func| name(func.ty)), Some("second"));
        assert_eq!(xdp.func_at(second - 8).map(|func| name(func.ty)), Some("first"));
        let lines: Vec<&str> = SOURCE.lines().collect();
        for line in ext.sections.values().flat_map(|info| &info.lines) {
            let text = std::str::from_utf8(btf.string(line.text).unwrap()).unwrap();
            assert_eq!(text, lines[line.line as usize - 1]);
            assert!(btf.name(line.file).ends_with("input.c"));
        }
        assert!(xdp.line_at(second + 8).is_some_and(|line| line.line == 8 || line.line == 9));
        let mut strings = BtfBuilder::from(btf.clone());
        assert_eq!(ext.to_bytes(endian, &mut strings).unwrap(), bytes);
        assert_eq!(strings.finish().unwrap().to_bytes(endian), btf.to_bytes(endian));
    }
}

#[test]
fn records_move_with_their_code_to_other_types() {
    let Some(object) = compile("bpfel", SOURCE) else { return };
    let btf = btf_of(&object);
    let ext = BtfExt::read(&section(&object, ".BTF.ext"), &btf).unwrap();
    let xdp = ext.section("xdp").unwrap();
    let second = xdp.funcs[1].insn_off;
    let merged = merge::merge(&[&btf, &btf], &Nowhere).unwrap();
    let mut to = merged.builder;
    let map = &merged.maps[1];
    let moved = xdp.moved(second..u32::MAX, 80, (&btf, &|id| map.get(id)), &mut to).unwrap();
    assert_eq!(moved.funcs.len(), 1);
    assert_eq!(moved.funcs[0].insn_off, 80);
    let mut all = BtfExt::default();
    all.add("xdp", moved.clone());
    let first = xdp.moved(0..second, 0, (&btf, &|id| map.get(id)), &mut to).unwrap();
    all.add("xdp", first.clone());
    assert!(all.sections["xdp"].lines.is_sorted_by_key(|line| line.insn_off));
    assert_eq!(all.sections["xdp"].lines.len(), xdp.lines.len());
    let bytes = all.to_bytes(Endian::Big, &mut to).unwrap();
    let merged = to.finish().unwrap();
    let again = BtfExt::read(&bytes, &merged).unwrap();
    assert_eq!(again, all);
    let names: Vec<_> = again.sections["xdp"].funcs.iter().map(|func| merged.ty(func.ty).unwrap().name()).collect();
    assert_eq!(names, ["first", "second"]);
    let text = |btf: &Btf, info: &SectionInfo| -> Vec<Vec<u8>> {
        info.lines.iter().map(|line| btf.string(line.text).unwrap().to_vec()).collect()
    };
    assert_eq!(text(&merged, &again.sections["xdp"]), text(&btf, xdp));
    let far = xdp.moved(0..u32::MAX, u32::MAX - 7, (&btf, &|id| id), &mut BtfBuilder::new());
    assert!(matches!(far, Err(ExtError::Value { .. })));
}

struct Nowhere;

impl merge::Layout for Nowhere {
    fn place(&self, _object: usize, _section: &str, _name: &str) -> Option<(u32, u32)> {
        None
    }
}

/// BTF with `FUNC` 2, and the strings "f" at 1 and "0:1" at 3.
fn small() -> Btf {
    let mut builder = BtfBuilder::new();
    let proto = builder.prototype(TypeId::VOID, &[]).unwrap();
    builder.function("f", proto, Linkage::Global).unwrap();
    builder.string("0:1").unwrap();
    builder.finish().unwrap()
}

/// The section with these three lists.
fn raw(lists: [&[u32]; 3]) -> Result<BtfExt, ExtError> {
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    let mut words = vec![32_u32];
    let mut offset = 0;
    for list in lists {
        words.extend([offset, list.len() as u32 * 4]);
        offset += list.len() as u32 * 4;
    }
    words.extend(lists.concat());
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    BtfExt::read(&bytes, &small())
}

#[test]
fn longer_records_of_newer_compilers_are_read() {
    let funcs = [12, 1, 2, 0, 2, 77, 8, 2, 77];
    let lines = [20, 1, 1, 8, 1, 1, 5 << 10 | 9, 77];
    let relos = [24, 1, 1, 16, 2, 3, 2, 77, 77];
    let ext = raw([&funcs, &lines, &relos]).unwrap();
    let info = ext.section("f").unwrap();
    assert_eq!(info.funcs.iter().map(|func| func.insn_off).collect::<Vec<_>>(), [0, 8]);
    assert_eq!((info.lines[0].line, info.lines[0].column), (5, 9));
    assert_eq!(info.relos[0].kind, jitlink_arch_bpf::core_relo::CoreKind::FieldExists);
    assert!(raw([&[], &[], &[]]).unwrap().sections.is_empty());
}

#[test]
fn records_that_lie_are_refused() {
    let none: &[u32] = &[];
    for funcs in [
        &[4, 1, 1, 0, 2][..],
        &[10, 1, 1, 0, 2],
        &[8, 1, 0],
        &[8, 0, 1, 0, 2],
        &[8, 99, 1, 0, 2],
        &[8, 1, 2, 0, 2],
        &[8, 1, u32::MAX, 0, 2],
        &[8, 1, 1, 4, 2],
        &[8, 1, 1, 0, 1],
        &[8, 1, 1, 0, 3],
        &[8, 1, 1, 0],
        &[8, 1],
    ] {
        raw([funcs, none, none]).expect_err(&format!("{funcs:?}"));
    }
    raw([none, &[16, 1, 1, 0, 99, 1, 0], none]).expect_err("a file name outside");
    raw([none, &[16, 1, 1, 0, 1, 99, 0], none]).expect_err("a line outside");
    raw([none, none, &[16, 1, 1, 0, 9, 3, 0]]).expect_err("no such type");
    raw([none, none, &[16, 1, 1, 0, 2, 99, 0]]).expect_err("no such string");
    raw([none, none, &[16, 1, 1, 0, 2, 3, 13]]).expect_err("no such kind");
}

#[test]
fn mutated_bytes_never_panic() {
    let Some(object) = compile("bpfel", include_str!("core/kinds.c")) else { return };
    let (btf, bytes) = (btf_of(&object), section(&object, ".BTF.ext"));
    for length in 0..bytes.len() {
        BtfExt::read(&bytes[..length], &btf).expect_err("truncated");
    }
    let mut random = Random(0xe87);
    let mut accepted = 0;
    for _ in 0..20_000 {
        let Ok(ext) = BtfExt::read(&mutate(&bytes, &mut random), &btf) else { continue };
        accepted += 1;
        let mut strings = BtfBuilder::from(btf.clone());
        let written = ext.to_bytes(Endian::Big, &mut strings).unwrap();
        assert_eq!(BtfExt::read(&written, &strings.finish().unwrap()).unwrap(), ext);
    }
    assert!(accepted > 1000, "only {accepted} accepted");
}
