//! Merging: what becomes one and what stays apart, with maps that lead to the same types.

use crate::kit::*;
use jitlink_arch_bpf::btf::merge::{Layout, Merged, compatible, merge};
use jitlink_arch_bpf::btf::*;
use jitlink_core::Endian;
use std::collections::HashMap;

/// Puts variables where a table says, and others nowhere.
struct Places<'a>(&'a [(usize, &'a str, u32, u32)]);

impl Layout for Places<'_> {
    fn place(&self, object: usize, _section: &str, name: &str) -> Option<(u32, u32)> {
        let found = self.0.iter().find(|(of, var, ..)| (*of, *var) == (object, name));
        found.map(|(.., offset, size)| (*offset, *size))
    }
}

/// Puts every variable at 0 with size 4.
struct Anywhere;

impl Layout for Anywhere {
    fn place(&self, _object: usize, _section: &str, _name: &str) -> Option<(u32, u32)> {
        Some((0, 4))
    }
}

fn merged(objects: &[&Btf]) -> (Btf, Vec<TypeMap>) {
    let Merged { builder, maps, conflicts } = merge(objects, &Anywhere).unwrap();
    assert!(conflicts.is_empty(), "{conflicts:?}");
    (builder.finish().unwrap(), maps)
}

fn built(build: impl FnOnce(&mut BtfBuilder)) -> Btf {
    let mut builder = BtfBuilder::new();
    build(&mut builder);
    builder.finish().unwrap()
}

const INT: Int = Int { size: 4, bits: 32, offset: 0, encoding: 1 };

fn count(btf: &Btf, kind: Kind) -> usize {
    btf.types().filter(|ty| ty.kind() == kind).count()
}

/// `struct node { struct node *next; struct leaf *leaf; int value; }`, with or without the definition of `leaf`.
fn list(builder: &mut BtfBuilder, leaf_is_defined: bool, before: usize) -> TypeId {
    for number in 0..before {
        builder.int(&format!("filler{number}"), INT).unwrap();
    }
    let base = builder.next_id().0;
    let (node, next, leaf, leaf_pointer, int) =
        (TypeId(base), TypeId(base + 1), TypeId(base + 2), TypeId(base + 3), TypeId(base + 4));
    let member = |name, ty, bit_offset| Member { name, ty, bit_offset, bits: None };
    let members = [member("next", next, 0), member("leaf", leaf_pointer, 64), member("value", int, 128)];
    builder.composite(Kind::Struct, "node", 24, &members).unwrap();
    builder.reference(Kind::Ptr, "", node).unwrap();
    match leaf_is_defined {
        true => builder.composite(Kind::Struct, "leaf", 8, &[member("node", next, 0)]).unwrap(),
        false => builder.forward(Kind::Struct, "leaf").unwrap(),
    };
    builder.reference(Kind::Ptr, "", leaf).unwrap();
    builder.int("int", INT).unwrap();
    node
}

#[test]
fn recursive_types_and_declarations_become_one() {
    let mut nodes = Vec::new();
    let objects: Vec<Btf> = [(true, 0), (false, 3), (true, 1), (false, 0)]
        .into_iter()
        .map(|(defined, before)| built(|builder| nodes.push(list(builder, defined, before))))
        .collect();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
        let inputs: Vec<&Btf> = order.iter().map(|index| &objects[*index]).collect();
        let (btf, maps) = merged(&inputs);
        assert_eq!((count(&btf, Kind::Struct), count(&btf, Kind::Fwd), count(&btf, Kind::Ptr)), (2, 0, 2), "{order:?}");
        let node = maps[0].get(nodes[order[0]]);
        assert!(order.iter().zip(&maps).all(|(index, map)| map.get(nodes[*index]) == node));
        assert_eq!(btf.ty(node).unwrap().name(), "node");
        for (index, map) in order.iter().zip(&maps) {
            check_map(&objects[*index], &btf, map);
        }
    }
}

#[test]
fn structs_that_differ_only_far_away_stay_apart() {
    let object = |signed: u8| {
        built(|builder| {
            let int = builder.int("int", Int { encoding: signed, ..INT }).unwrap();
            let mut inner = int;
            for number in 0..5 {
                let pointer = builder.reference(Kind::Ptr, "", inner).unwrap();
                let member = Member { name: "p", ty: pointer, bit_offset: 0, bits: None };
                inner = builder.composite(Kind::Struct, &format!("level{number}"), 8, &[member]).unwrap();
            }
        })
    };
    let (one, same, other) = (object(1), object(1), object(0));
    assert_eq!(merged(&[&one, &same]).0.len(), one.len());
    assert_eq!(merged(&[&one, &same, &other]).0.len(), 2 * one.len());
}

#[test]
fn a_declaration_stays_one_where_objects_define_different_structs() {
    let define = |size| built(|builder| _ = builder.composite(Kind::Struct, "s", size, &[]).unwrap());
    let declare = built(|builder| _ = builder.forward(Kind::Struct, "s").unwrap());
    let (btf, maps) = merged(&[&define(4), &define(8), &declare]);
    assert_eq!((btf.len(), count(&btf, Kind::Fwd)), (3, 1));
    assert_eq!(btf.ty(maps[2].get(TypeId(1))).unwrap().kind(), Kind::Fwd);
    let (btf, maps) = merged(&[&declare, &define(4)]);
    assert_eq!((btf.len(), maps[0].get(TypeId(1))), (1, TypeId(1)));
    // A union is not what `struct s` declares.
    let union = built(|builder| _ = builder.composite(Kind::Union, "s", 4, &[]).unwrap());
    assert_eq!(merged(&[&declare, &union]).0.len(), 2);
}

/// An object with a function of this name and linkage, whose parameter is of a type with this encoding.
fn function(name: &str, linkage: Linkage, encoding: u8, param: &str) -> Btf {
    built(|builder| {
        let int = builder.int("int", Int { encoding, ..INT }).unwrap();
        let proto = builder.prototype(int, &[Param { name: param, ty: int }]).unwrap();
        let func = builder.function(name, proto, linkage).unwrap();
        builder.tag("a tag", func, Some(0)).unwrap();
    })
}

#[test]
fn functions_are_joined_as_a_linker_joins_them() {
    let declared = function("f", Linkage::Extern, 1, "");
    let defined = function("f", Linkage::Global, 1, "x");
    let hidden = function("f", Linkage::Static, 1, "y");
    let (btf, maps) = merged(&[&declared, &defined, &hidden, &declared, &hidden]);
    assert_eq!((count(&btf, Kind::Func), count(&btf, Kind::Int), count(&btf, Kind::DeclTag)), (3, 1, 3));
    let joined = maps[0].get(TypeId(3));
    assert_eq!((maps[1].get(TypeId(3)), maps[3].get(TypeId(3))), (joined, joined));
    assert!(maps[2].get(TypeId(3)) != joined && maps[2].get(TypeId(3)) != maps[4].get(TypeId(3)));
    let func = btf.ty(joined).unwrap();
    assert_eq!(func.linkage(), Some(Linkage::Global));
    assert_eq!(btf.c_definition(joined), "int f(int x);");
    assert_eq!(btf.c_definition(maps[2].get(TypeId(3))), "static int f(int y);");
    let tag = btf.ty(maps[3].get(TypeId(4))).unwrap();
    assert_eq!((tag.target(), tag.component()), (Some(joined), Some(0)));
}

#[test]
fn conflicts_name_both_declarations() {
    let (one, other) = (function("f", Linkage::Global, 1, "x"), function("f", Linkage::Extern, 0, "y"));
    let Merged { conflicts, .. } = merge(&[&one, &other], &Anywhere).unwrap();
    let [conflict] = conflicts.as_slice() else { panic!("{conflicts:?}") };
    assert_eq!((conflict.name.as_str(), conflict.objects), ("f", (0, 1)));
    assert_eq!(
        (conflict.mismatch.first.as_str(), conflict.mismatch.second.as_str()),
        ("int f(int x)", "extern int f(int y)")
    );
    assert!(conflict.mismatch.reason.contains("signs"), "{}", conflict.mismatch);
}

#[test]
fn sections_are_put_together_as_the_layout_says() {
    let object = |vars: &[(&str, Linkage)]| {
        built(|builder| {
            let int = builder.int("int", INT).unwrap();
            let vars: Vec<SectionVar> = vars
                .iter()
                .map(|(name, linkage)| SectionVar {
                    ty: builder.variable(name, int, *linkage).unwrap(),
                    offset: 0,
                    size: 4,
                })
                .collect();
            builder.section(".data", 0, &vars).unwrap();
        })
    };
    let one = object(&[("a", Linkage::Global), ("hidden", Linkage::Static), ("gone", Linkage::Static)]);
    let two = object(&[("hidden", Linkage::Static), ("a", Linkage::Extern), ("b", Linkage::Global)]);
    let layout = Places(&[(0, "a", 8, 4), (0, "hidden", 0, 4), (1, "hidden", 12, 4), (1, "b", 4, 4)]);
    let Merged { builder, maps, .. } = merge(&[&one, &two], &layout).unwrap();
    let btf = builder.finish().unwrap();
    let section = btf.find_by_name_kind(".data", Kind::Datasec).unwrap();
    assert_eq!(section.size(), Some(16));
    assert!(maps.iter().all(|map| map.get(TypeId(5)) == section.id()));
    let vars: Vec<_> = section
        .section_vars()
        .map(|var| (btf.ty(var.ty).unwrap().name(), var.offset, btf.ty(var.ty).unwrap().linkage().unwrap()))
        .collect();
    let (hidden, global) = (Linkage::Static, Linkage::Global);
    assert_eq!(vars, [("hidden", 0, hidden), ("b", 4, global), ("a", 8, global), ("hidden", 12, hidden)]);
    let Merged { builder, maps, .. } = merge(&[&one], &Places(&[])).unwrap();
    assert_eq!(maps[0].get(TypeId(5)), TypeId::VOID);
    assert!(builder.finish().unwrap().types().all(|ty| ty.kind() != Kind::Datasec));
    let mut alone = one.clone();
    alone.fixup_datasecs(&layout).unwrap();
    let vars: Vec<_> = alone.ty(TypeId(5)).unwrap().section_vars().map(|var| (var.ty.0, var.offset)).collect();
    assert_eq!(vars, [(3, 0), (2, 8)]);
}

/// Every type and what it leads to is in the result what it was, as a naive walk over pairs sees it.
fn check_map(old: &Btf, new: &Btf, map: &TypeMap) {
    for ty in old.types() {
        let other = new.ty(map.get(ty.id())).unwrap_or_else(|| panic!("{ty:?} has no number"));
        if ty.kind() == Kind::Fwd && other.kind() != Kind::Fwd {
            assert!(other.name() == ty.name() && other.kind().is_composite());
            continue;
        }
        assert_eq!((ty.kind(), ty.name(), ty.flag()), (other.kind(), other.name(), other.flag()));
        if ty.kind() == Kind::Datasec || matches!(ty.linkage(), Some(Linkage::Extern)) {
            continue;
        }
        assert_eq!(ty.size(), other.size());
        let target = |id: Option<TypeId>| id.map(|id| map.get(id));
        if !matches!(ty.linkage(), Some(Linkage::Global)) {
            assert_eq!(target(ty.target()), other.target(), "{ty:?}");
        }
        assert_eq!(ty.len(), other.len());
        for (one, two) in ty.members().zip(other.members()) {
            assert_eq!(Member { ty: map.get(one.ty), ..one }, two);
        }
        assert!(ty.enumerators().eq(other.enumerators()));
        assert!(ty.params().map(|param| Param { ty: map.get(param.ty), ..param }).eq(other.params()));
        let array =
            ty.array().map(|array| Array { element: map.get(array.element), index: map.get(array.index), ..array });
        assert_eq!(array, other.array());
        assert_eq!(ty.int(), other.int());
    }
}

/// How many classes the plain types of a BTF have, by the slowest method: refining all of them until nothing changes.
fn naive_classes(btf: &Btf) -> usize {
    let plain = |ty: &Type<'_>| !matches!(ty.kind(), Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag);
    let mut class: Vec<usize> = vec![0; btf.len() + 1];
    let mut known = 0;
    loop {
        let mut numbers = HashMap::new();
        let mut next = class.clone();
        for ty in btf.types().filter(plain) {
            let looks =
                (ty.kind(), ty.name(), ty.flag(), ty.size(), ty.int().map(|int| (int.size, int.bits, int.encoding)));
            let to = |id: TypeId| class[id.0 as usize];
            let array = ty.array().map(|array| (to(array.element), to(array.index), array.count));
            let members: Vec<_> =
                ty.members().map(|part| (part.name, to(part.ty), part.bit_offset, part.bits)).collect();
            let params: Vec<_> = ty.params().map(|part| (part.name, to(part.ty))).collect();
            let values: Vec<_> = ty.enumerators().map(|part| (part.name, part.value)).collect();
            let key = (looks, ty.target().map(to), array, members, params, values);
            let number = numbers.len() + 1;
            next[ty.id().0 as usize] = *numbers.entry(key).or_insert(number);
        }
        class = next;
        if numbers.len() == known {
            return known;
        }
        known = numbers.len();
    }
}

/// Types that refer to random others, with few names so that many look alike.
fn random_types(random: &mut Random, count: u32) -> Btf {
    loop {
        let mut builder = BtfBuilder::new();
        for _ in 0..count {
            let name = ["a", "b", ""][random.below(3)];
            let ty = TypeId(random.below(count as usize + 1) as u32);
            let member = |ty| Member { name: "m", ty, bit_offset: 0, bits: None };
            match random.below(8) {
                0 => builder.int(name, INT),
                1 => builder.reference(Kind::Const, "", ty),
                2 => builder.prototype(ty, &[Param { name, ty }]),
                3 | 4 => builder.composite(Kind::Struct, name, 8, &[member(ty)]),
                5 => builder.array(Array { element: ty, index: ty, count: 1 }),
                _ => builder.reference(Kind::Ptr, "", ty),
            }
            .unwrap();
        }
        if let Ok(btf) = builder.finish() {
            return btf;
        }
    }
}

#[test]
fn random_types_are_merged_as_far_as_they_cannot_be_told_apart() {
    let mut random = Random(0xb7f);
    for _ in 0..300 {
        let count = 2 + random.below(10) as u32;
        let objects = [random_types(&mut random, count), random_types(&mut random, count)];
        let inputs = [&objects[0], &objects[1], &objects[0]];
        let (btf, maps) = merged(&inputs);
        for (object, map) in inputs.iter().zip(&maps) {
            check_map(object, &btf, map);
        }
        assert_eq!(maps[0], maps[2]);
        assert_eq!(btf.len(), naive_classes(&btf), "{:?}", btf.types().collect::<Vec<_>>());
    }
}

#[test]
fn objects_of_a_compiler_are_merged_with_themselves_and_each_other() {
    let second = "struct inner { char text[8]; _Bool yes; }; extern int global_number; int other(struct inner *i) { return i->yes + global_number; }";
    let (Some(first), Some(second)) = (compile("bpfel", crate::read::EVERY_KIND), compile("bpfel", second)) else {
        return;
    };
    let (first, second) = (btf_of(&first), btf_of(&second));
    let (btf, maps) = merged(&[&first, &second, &first]);
    for (object, map) in [&first, &second, &first].into_iter().zip(&maps) {
        check_map(object, &btf, map);
    }
    let inner = btf.types().filter(|ty| ty.kind() == Kind::Struct && ty.name() == "inner").count();
    assert_eq!(inner, 1);
    let number = btf.find_by_name_kind("global_number", Kind::Var).unwrap();
    assert_eq!(number.linkage(), Some(Linkage::Global));
    let (builder, map) = btf.retain([number.id()]).unwrap();
    let kept = builder.finish().unwrap();
    assert_eq!(kept.types().map(|ty| ty.kind()).collect::<Vec<_>>(), [Kind::Int, Kind::Var]);
    assert_eq!(kept.ty(map.get(number.id())).unwrap().name(), "global_number");
}

#[test]
fn the_kernel_is_merged_with_itself_in_time() {
    let Some(bytes) = kernel_bytes() else { return };
    let kernel = Btf::read(&bytes).unwrap();
    let start = std::time::Instant::now();
    let (btf, maps) = merged(&[&kernel, &kernel]);
    println!("{} and {} types became {} in {:?}", kernel.len(), kernel.len(), btf.len(), start.elapsed());
    // The kernel's functions are all static, so they stay apart.
    let functions = count(&kernel, Kind::Func);
    assert!(btf.len() <= kernel.len() + functions + count(&kernel, Kind::DeclTag) + count(&kernel, Kind::Var));
    check_map(&kernel, &btf, &maps[1]);
}

#[test]
fn mutated_types_are_merged_without_a_panic() {
    let Some(object) = compile("bpfel", crate::read::EVERY_KIND) else { return };
    let bytes = section(&object, ".BTF");
    let good = Btf::read(&bytes).unwrap();
    let mut random = Random(0x3e6e);
    let mut merged = 0;
    for _ in 0..5_000 {
        let Ok(other) = Btf::read(&mutate(&bytes, &mut random)) else { continue };
        let result = merge(&[&good, &other, &good], &Anywhere).unwrap();
        if let Ok(btf) = result.builder.finish() {
            merged += 1;
            for ty in other.types() {
                let _ = btf.c_definition(result.maps[1].get(ty.id()));
            }
        }
        for (one, two) in good.types().zip(other.types()) {
            let _ = compatible((&good, one.id()), (&other, two.id()));
        }
        let roots = (1..=3).map(|_| TypeId(random.below(other.len() + 1) as u32));
        let (builder, _) = other.retain(roots).unwrap();
        let kept = builder.finish().unwrap();
        assert!(Btf::read(&kept.to_bytes(Endian::Big)).is_ok());
    }
    assert!(merged > 500, "only {merged} merged");
}
