//! The kernel as the judge of the types that it is given.

use crate::kit::*;
use crate::read::EVERY_KIND;
use jitlink_arch_bpf::btf::merge::{Layout, merge};
use jitlink_arch_bpf::btf::*;
use std::cell::Cell;

/// Puts each variable that is defined after the ones before it, at the same place for all objects.
struct OneByOne<'a>(&'a [Btf], Cell<u32>);

impl Layout for OneByOne<'_> {
    fn place(&self, object: usize, _section: &str, name: &str) -> Option<(u32, u32)> {
        let btf = &self.0[object];
        let Some(var) = btf.find_by_name_kind(name, Kind::Var) else { return Some((0, 0)) };
        let size = btf.size_of(var.id()).ok()?;
        let offset = self.1.get();
        self.1.set(offset + size.next_multiple_of(8));
        Some((offset, size))
    }
}

/// Whether the kernel takes the types; `None` where it may not be asked.
#[cfg(all(feature = "kernel", target_os = "linux"))]
fn accepted(btf: &Btf) -> Option<Result<(), String>> {
    use jitlink_arch_bpf::kernel::{KernelBtf, KernelError};
    match KernelBtf::load(&btf.to_bytes(jitlink_core::Endian::NATIVE)) {
        Err(KernelError::NotAllowed { .. }) => {
            println!("skipped: this process may not give types to the kernel");
            None
        }
        result => Some(result.map(|_| ()).map_err(|error| format!("{error:?}"))),
    }
}

/// Without the feature there is nobody to ask.
#[cfg(not(all(feature = "kernel", target_os = "linux")))]
fn accepted(_btf: &Btf) -> Option<Result<(), String>> {
    println!("skipped: built without the feature `kernel`");
    None
}

#[test]
fn the_kernel_accepts_types_of_objects_alone_and_merged() {
    let sources = [EVERY_KIND, include_str!("core/kinds.c"), "struct inner { char text[8]; _Bool yes; } inner;"];
    let mut objects = Vec::new();
    for source in sources {
        let Some(object) = compile("bpf", source) else { return };
        objects.push(btf_of(&object));
    }
    let alone = objects.iter().map(|btf| merge(&[btf], &OneByOne(std::slice::from_ref(btf), Cell::new(0))).unwrap());
    let inputs: Vec<&Btf> = objects.iter().collect();
    let all = merge(&inputs, &OneByOne(&objects, Cell::new(0))).unwrap();
    for merged in alone.chain([all]) {
        let btf = merged.builder.finish().unwrap();
        let loadable = btf.for_kernel().unwrap();
        let Some(verdict) = accepted(&loadable) else { return };
        assert_eq!(verdict, Ok(()));
        // All but what is added at the end keeps its number.
        assert!(btf.types().all(|ty| loadable.ty(ty.id()).is_some()));
    }
    // Without that, the kernel refuses: the test asks a judge that says no.
    let btf = merge(&inputs, &OneByOne(&objects, Cell::new(0))).unwrap().builder.finish().unwrap();
    assert!(accepted(&btf).is_some_and(|verdict| verdict.is_err()));
}

#[test]
fn names_that_only_other_languages_have_are_replaced() {
    let mut builder = BtfBuilder::new();
    let int = builder.int("u32", Int { size: 4, bits: 32, offset: 0, encoding: 0 }).unwrap();
    let member = Member { name: "0", ty: int, bit_offset: 0, bits: None };
    let tuple = builder.composite(Kind::Struct, "Option<&[u32; 2]>", 4, &[member]).unwrap();
    let long = builder.composite(Kind::Struct, &"x".repeat(600), 4, &[member]).unwrap();
    let proto = builder.prototype(int, &[Param { name: "", ty: int }]).unwrap();
    builder.function("f", proto, Linkage::Extern).unwrap();
    let empty = builder.section(".bss", 0, &[]).unwrap();
    let loadable = builder.finish().unwrap().for_kernel().unwrap();
    let ty = |id| loadable.ty(id).unwrap();
    assert_eq!(ty(tuple).name(), "Option___u32__2__");
    assert_eq!(ty(tuple).member(0).unwrap().name, "_0");
    assert_eq!(ty(long).name().len(), 511);
    assert_eq!(ty(proto).params().next().unwrap().name, "_");
    assert_eq!(ty(empty).kind(), Kind::Ptr);
    if let Some(verdict) = accepted(&loadable) {
        assert_eq!(verdict, Ok(()));
    }
}
