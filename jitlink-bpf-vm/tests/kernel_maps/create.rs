//! Which definitions are maps.

use std::collections::BTreeMap;

use jitlink_bpf_vm::maps::{Map, MapHost, MapKind, MapSpec, flag};

use crate::sys::{Dice, KernelMap, allowed, cpus, types_with_lock};

/// Types whose creation depends on nothing but the definition.
const KINDS: [MapKind; 20] = [
    MapKind::Hash,
    MapKind::Array,
    MapKind::ProgArray,
    MapKind::PerfEventArray,
    MapKind::PercpuHash,
    MapKind::PercpuArray,
    MapKind::LruHash,
    MapKind::LruPercpuHash,
    MapKind::LpmTrie,
    MapKind::Devmap,
    MapKind::Cpumap,
    MapKind::Xskmap,
    MapKind::Queue,
    MapKind::Stack,
    MapKind::DevmapHash,
    MapKind::Ringbuf,
    MapKind::BloomFilter,
    MapKind::UserRingbuf,
    MapKind::Arena,
    MapKind::ArrayOfMaps,
];

/// What a definition that the kernel takes looks like.
fn base(kind: MapKind) -> MapSpec {
    let spec = |key, value, entries| MapSpec::new(kind, key, value, entries);
    match kind {
        MapKind::SkStorage => spec(4, 8, 0).with_flags(flag::NO_PREALLOC),
        MapKind::LpmTrie => spec(8, 8, 4).with_flags(flag::NO_PREALLOC),
        MapKind::Devmap | MapKind::DevmapHash | MapKind::Cpumap | MapKind::Xskmap => spec(4, 4, 2),
        MapKind::Queue | MapKind::Stack | MapKind::BloomFilter => spec(0, 8, 4),
        MapKind::Ringbuf | MapKind::UserRingbuf => spec(0, 0, 4096),
        MapKind::Arena => spec(0, 0, 4).with_flags(flag::MMAPABLE),
        _ => spec(4, 4, 4),
    }
}

/// Changes one or two things of a definition.
fn mutate(spec: &mut MapSpec, dice: &mut Dice) {
    for _ in 0..1 + dice.below(2) {
        match dice.below(6) {
            0 => spec.key_size = dice.pick(&[0, 1, 3, 4, 5, 8, 16, 260, 261, 512, 1 << 22, u32::MAX]),
            1 => {
                let sizes = [0, 1, 4, 5, 8, 9, 32760, 32768, 32769, 1 << 22, (1 << 22) + 1, 1 << 31, u32::MAX];
                spec.value_size = dice.pick(&sizes);
            }
            2 => spec.max_entries = dice.pick(&[0, 1, 2, 3, 4096, 8192, 12288, 8193, 1 << 31, (1 << 31) + 1, u32::MAX]),
            3 => spec.flags ^= 1 << dice.below(13),
            4 => spec.flags ^= dice.pick(&[0x18, 0x180, 1 << 17, 1 << 18, 1 << 20, 1 << 31]),
            _ => {
                spec.extra =
                    dice.pick(&[1, 5, 15, 16, 4095, 4096, 1 << 32, (1 << 32) - 4096, (1 << 32) - 16384, 1 << 44])
            }
        }
    }
}

/// Whether the kernel would allocate much for it.
fn is_large(spec: &MapSpec) -> bool {
    let each = u64::from(spec.key_size).max(8) + u64::from(spec.value_size).max(8);
    let bytes = u128::from(each) * u128::from(spec.max_entries);
    spec.kind != MapKind::Arena.number() && bytes > 64 << 20
}

fn compare(spec: &MapSpec, seen: &mut BTreeMap<i32, u32>) {
    // How many CPUs a kernel may have is a matter of its configuration.
    if spec.kind == MapKind::Cpumap.number() && (64..=8192).contains(&spec.max_entries) {
        return;
    }
    let host = MapHost { cpus: cpus(), memory: 1 << 32, ..MapHost::default() };
    let ours = Map::new(spec.clone(), &host).map(|_| ()).map_err(|error| error.errno.0);
    let theirs = KernelMap::new(spec, None, None).map(|_| ());
    *seen.entry(theirs.err().unwrap_or(0)).or_default() += 1;
    assert_eq!(ours, theirs, "ours, the kernel's: {spec:?}");
}

#[test]
fn the_kernel_and_we_take_and_refuse_the_same_definitions() {
    if !allowed() {
        return;
    }
    let (mut dice, mut seen) = (Dice(7), BTreeMap::new());
    for kind in KINDS {
        if kind != MapKind::ArrayOfMaps {
            compare(&base(kind), &mut seen);
        }
        for bit in 0..13 {
            compare(&MapSpec { flags: base(kind).flags ^ 1 << bit, ..base(kind) }, &mut seen);
        }
        for _ in 0..300 {
            let mut spec = base(kind);
            mutate(&mut spec, &mut dice);
            if !is_large(&spec) {
                compare(&spec, &mut seen);
            }
        }
    }
    println!("results by errno: {seen:?}");
    assert!(seen[&0] > 300 && seen[&libc::EINVAL] > 300 && seen[&libc::E2BIG] > 10, "{seen:?}");
}

#[test]
fn the_largest_values_are_the_same() {
    if !allowed() {
        return;
    }
    let types = types_with_lock().unwrap();
    let large =
        [MapKind::Hash, MapKind::LpmTrie, MapKind::Queue, MapKind::BloomFilter].map(|kind| (base(kind), 4 << 20));
    for (spec, about) in large.into_iter().chain([(base(MapKind::SkStorage), 1 << 16)]) {
        let sized = |size| MapSpec { value_size: size, max_entries: spec.max_entries.min(1), ..spec.clone() };
        let ours = |size| Map::new(sized(size), &MapHost::default()).is_ok();
        let theirs = |size| {
            let storage = spec.kind == MapKind::SkStorage.number();
            // A size that is not too large is still not that of the type.
            let fits = |errno| storage && errno == libc::EINVAL;
            KernelMap::new(&sized(size), storage.then_some(&types), None).map_or_else(fits, |_| true)
        };
        let (ours, theirs) = (largest(about, ours), largest(about, theirs));
        assert_eq!(ours, theirs, "ours, the kernel's: {spec:?}");
    }
}

/// The largest size that there can be, a little below one.
fn largest(about: u32, is_possible: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (about - 1024, about + 1024);
    assert!(is_possible(low) && !is_possible(high));
    while high - low > 1 {
        let middle = low.midpoint(high);
        if is_possible(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[test]
fn locks_are_in_values_of_the_same_types() {
    if !allowed() {
        return;
    }
    let types = types_with_lock().unwrap();
    for kind in KINDS.into_iter().chain([MapKind::SkStorage]) {
        for flags in [0, flag::RDONLY_PROG, flag::WRONLY_PROG, flag::RDONLY] {
            let mut spec = MapSpec { lock_offset: Some(4), ..base(kind) };
            if spec.key_size != 4
                || spec.value_size != 8
                    && ![MapKind::Hash, MapKind::Array, MapKind::LruHash].contains(&kind)
                    && !kind.is_percpu()
            {
                // Types whose keys or values have other sizes than our BTF cannot be asked.
                continue;
            }
            (spec.value_size, spec.flags) = (40, spec.flags | flags);
            let ours = Map::new(spec.clone(), &MapHost::default()).map(|_| ()).map_err(|error| error.errno.0);
            let theirs = KernelMap::new(&spec, Some(&types), None).map(|_| ());
            assert_eq!(ours, theirs, "ours, the kernel's: {spec:?}");
        }
    }
}
