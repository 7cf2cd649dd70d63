//! BTF, what it says of instructions, and CO-RE.
//!
//! Promises that are checked: types that were read have an answer to every question; written in either byte order they are read
//! as the same; what is kept, merged or made for the kernel of them is whole again; a relocation changes its own instruction
//! alone, and none if it fails.

use super::piece;
use jitlink_arch_bpf::btf::ext::{BtfExt, CoreRelo};
use jitlink_arch_bpf::btf::merge::{Layout, merge};
use jitlink_arch_bpf::btf::{Btf, BtfBuilder, TypeId};
use jitlink_arch_bpf::core_relo::{CoreKind, Relocator, Target};
use jitlink_core::Endian;

const ORDERS: [Endian; 2] = [Endian::Little, Endian::Big];
/// How many types are looked at one by one; C of types within types may be long.
const LOOKED_AT: usize = 64;

/// Every variable has a place that follows from its name, or none.
struct Somewhere;

impl Layout for Somewhere {
    fn place(&self, object: usize, _section: &str, name: &str) -> Option<(u32, u32)> {
        let sum = name.bytes().fold(object as u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        (!sum.is_multiple_of(5)).then_some((sum % 4096, sum % 64))
    }
}

/// Reads types and asks them everything.
pub(super) fn read(bytes: &[u8]) -> Option<Btf> {
    let btf = match Btf::read(bytes) {
        Ok(btf) => btf,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    for order in ORDERS {
        let written = btf.to_bytes(order);
        let again = Btf::read(&written).expect("what was written can be read");
        assert_eq!((again.len(), again.to_bytes(order)), (btf.len(), written));
    }
    for ty in btf.types().take(LOOKED_AT) {
        let id = ty.id();
        let texts = [btf.c_type(id), btf.c_declaration(id, "name"), btf.c_definition(id)];
        assert!(texts.iter().all(|text| !text.is_empty()) || ty.name().is_empty(), "{ty:?}: {texts:?}");
        let (size, align) = (btf.size_of(id), btf.align_of(id));
        assert!(align.is_err() || size.is_ok(), "{ty:?}: an alignment without a size");
        let zeros = vec![0; size.unwrap_or(0).min(4096) as usize];
        for order in ORDERS {
            let _ = btf.value(id, &zeros, order).map(|value| value.to_string());
        }
        let parts = ty.members().len() + ty.enumerators().len() + ty.params().len() + ty.section_vars().len();
        assert!(parts == 0 || parts == ty.len(), "{ty:?}");
    }
    derived(&btf);
    Some(btf)
}

/// What is made of types is whole again.
fn derived(btf: &Btf) {
    let some = btf.types().map(|ty| ty.id()).filter(|id| id.0 % 3 == 1);
    let (kept, map) = btf.retain(some).expect("a part of the types");
    let kept = kept.finish().expect("what was kept is whole");
    for ty in btf.types().filter(|ty| ty.id().0 % 3 == 1) {
        let new = kept.ty(map.get(ty.id())).expect("a root is kept");
        assert_eq!((new.kind(), new.name()), (ty.kind(), ty.name()));
    }
    if let Ok(loadable) = btf.for_kernel() {
        assert!(Btf::read(&loadable.to_bytes(Endian::Little)).is_ok(), "types for the kernel are whole");
    }
    // What one object only declares may not fit where another one's definition takes its place.
    if let Ok(merged) = merge(&[btf, &kept, btf], &Somewhere)
        && let Ok(all) = merged.builder.finish()
    {
        for (map, types) in merged.maps.iter().zip([btf, &kept, btf]) {
            assert!(types.types().all(|ty| all.ty(map.get(ty.id())).is_some()), "a number that no type has");
        }
    }
    let mut placed = btf.clone();
    let _ = placed.fixup_datasecs(&Somewhere);
}

/// Reads what is said of instructions, and writes it again.
pub(super) fn instructions(mut bytes: &[u8]) {
    let Some(btf) = read(piece(&mut bytes)) else { return };
    let ext = match BtfExt::read(bytes, &btf) {
        Ok(ext) => ext,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    for order in ORDERS {
        let mut builder = BtfBuilder::from(btf.clone());
        let Ok(written) = ext.to_bytes(order, &mut builder) else { continue };
        let with_names = builder.finish().expect("strings do no harm");
        let again = BtfExt::read(&written, &with_names).expect("what was written can be read");
        let mut expected = ext.clone();
        expected.sections.retain(|_, info| !info.is_empty());
        assert_eq!(again, expected);
    }
    for info in ext.sections.values() {
        for offset in [0, 8, 24, u32::MAX] {
            assert!(info.func_at(offset).is_none_or(|func| func.insn_off <= offset));
            assert!(info.line_at(offset).is_none_or(|line| line.insn_off <= offset));
        }
        let mut builder = BtfBuilder::from(btf.clone());
        let moved =
            info.moved(8..64, 0x1000, (&btf, &|id: TypeId| id), &mut builder).expect("code that stays below 4 GiB");
        assert!(moved.funcs.iter().all(|func| (0x1000..0x1038).contains(&func.insn_off)));
    }
}

/// Applies relocations to code: records of 16 bytes in the order of `struct bpf_core_relo`.
pub(super) fn core(mut bytes: &[u8]) {
    let (local, target) = (read(piece(&mut bytes)), read(piece(&mut bytes)));
    let (Some(local), Some(target)) = (local, target) else { return };
    let mut code = piece(&mut bytes).to_vec();
    let target = Target::new(&target);
    let mut relocator = Relocator::new(&local, &target);
    for (number, record) in bytes.as_chunks::<16>().0.iter().take(256).enumerate() {
        let word = |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
        let Some(kind) = CoreKind::from_number(word(12) % 13) else { continue };
        let relo = CoreRelo { insn_off: word(0), ty: TypeId(word(4)), access: word(8), kind };
        let before = code.clone();
        let result = relocator.apply(&mut code, ORDERS[number % 2], &relo);
        let changed = |range: std::ops::Range<usize>| before[range.clone()] != code[range];
        match result {
            Ok(_) => {
                let start = relo.insn_off as usize;
                let end = code.len().min(start + 16);
                assert!(!changed(0..start) && !changed(end..code.len()), "another instruction was changed");
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(!changed(0..code.len()), "{error}, but code was changed");
            }
        }
    }
}
