//! Real objects, linked far from what they refer to: whatever the distance, every call, jump, load and store arrives, or the link
//! is an error. Nothing runs; what was linked is decoded.
#![cfg(all(feature = "elf", feature = "x86"))]

mod machine;

use jitlink::{Addr, ImageConfig, ImageExecutor, Input, LinkOptions, Module, Registry, Session};
use machine::{Event, run};
use proptest::prelude::*;
use std::sync::Arc;

const ARENA: u64 = 4 << 20;

/// The ways of the fixture that call or jump, and those that access `ext + 8`.
const CALLS: [&str; 6] = ["call_plt", "jump_plt", "call_pc32", "branch_if", "call_got", "jump_got"];
const ACCESSES: [&str; 14] = [
    "load_got",
    "load_got_unmarked",
    "address_pc32",
    "load_pc32",
    "load_high_register",
    "store_constant",
    "store_byte",
    "compare_byte",
    "vector_load",
    "address_32",
    "address_32s",
    "load_32s",
    "address_64",
    "large_model",
];

fn link(base: u64, ext: u64, updatable: bool) -> (ImageExecutor, Module) {
    let config = ImageConfig { base: Addr(base), arena_size: ARENA, page_size: 4096 };
    let executor = ImageExecutor::new(config).expect("a base that fits");
    let registry = Registry::global().expect("the features' backends");
    let session = Session::new(registry, Arc::new(executor.clone()));
    let object = Input::from_bytes("far.o", include_bytes!("../fixtures/far.o").to_vec());
    let options = LinkOptions { defines: vec![("ext".into(), Addr(ext))], updatable, ..LinkOptions::default() };
    let module = session.link(&[object], &options).unwrap_or_else(|errors| panic!("{base:#x}, {ext:#x}: {errors}"));
    (executor, module)
}

fn check(base: u64, ext: u64, updatable: bool) {
    let (executor, module) = link(base, ext, updatable);
    let segments = executor.segments();
    let at = |name: &str| module.exports().get(name).unwrap_or_else(|| panic!("no {name}")).address.0;
    for name in CALLS {
        assert_eq!(run(&segments, at(name)), [Event::Left(ext)], "{name} at {base:#x} to {ext:#x}");
    }
    let access = Event::Access(ext.wrapping_add(8));
    for name in ACCESSES {
        let expected = if name == "large_model" { vec![access, Event::Left(ext)] } else { vec![access] };
        assert_eq!(run(&segments, at(name)), expected, "{name} at {base:#x} to {ext:#x}");
    }
    assert_eq!(run(&segments, at("near_everything")), []);
    let pointer = |index: u64| {
        let mut bytes = [0; 8];
        module.read(Addr(at("pointers") + index * 8), &mut bytes).expect("the module's bytes");
        u64::from_le_bytes(bytes)
    };
    assert_eq!([pointer(0), pointer(1)], [ext, ext.wrapping_add(16)]);
    assert_eq!(pointer(2), ext.wrapping_sub(at("pointers") + 16));
}

fn outside(base: u64, ext: u64) -> u64 {
    // What lies in the arena, or wraps around just before it, is not outside; null is what a weak reference would be.
    if ext.wrapping_add(64).wrapping_sub(base) < ARENA + 128 { ext.wrapping_add(2 * ARENA) } else { ext }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_arrives_at_random_distances(
        base in prop_oneof![any::<u64>(), 0x1000u64..0x1_0000_0000, (13u32..64).prop_map(|bits| 1u64 << bits)],
        ext in prop_oneof![any::<u64>(), any::<u32>().prop_map(u64::from)],
        updatable in any::<bool>(),
    ) {
        let base = base.clamp(0x1000, u64::MAX - 4 * ARENA) & !0xfff;
        check(base, outside(base, ext), updatable);
    }

    #[test]
    fn everything_arrives_at_distances_around_the_limits(
        base in 0x1000u64..0x7fff_ffff_f000,
        bits in prop::sample::select(vec![31u32, 32, 15, 47, 63]),
        more in prop_oneof![-40i64..40, -(ARENA as i64)..ARENA as i64],
        below in any::<bool>(),
    ) {
        let base = base & !0xfff;
        let distance = (1u64 << bits).wrapping_add_signed(more);
        let ext = if below { base.wrapping_sub(distance) } else { base.wrapping_add(distance) };
        check(base, outside(base, ext), false);
    }
}

#[test]
fn everything_arrives_exactly_at_2_gib_either_way_and_around_null() {
    let base = 0x5000_0000_0000u64;
    let (_, module) = link(base, 0x10, false);
    let end = module.segments().iter().map(|segment| segment.address.0 + segment.size).max().expect("segments");
    for from in [base, base + ARENA, end, base + 0x1000] {
        for step in -16..16i64 {
            check(base, from.wrapping_add(1 << 31).wrapping_add_signed(step), false);
            check(base, from.wrapping_sub(1 << 31).wrapping_add_signed(step), false);
        }
    }
    for ext in
        [1, 8, 0x7fff_fff0, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff, 0x1_0000_0000, u64::MAX - 7, 1 << 63]
    {
        check(base, ext, false);
        check(base, ext, true);
    }
}
