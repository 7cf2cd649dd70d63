//! Links of committed and compiled objects.

use jitlink_arch_bpf::image::{BpfImage, Function, Target};
use jitlink_arch_bpf::insn::{self, Insn};
use jitlink_arch_bpf::link::{BpfOptions, link_image};
use jitlink_arch_bpf::{Bpf, ELF_BPF, ELF_UNNAMED};
use jitlink_core::input::Input;
use jitlink_core::link::{LinkOptions, Roots};
use jitlink_core::registry::Plugin;
use jitlink_core::{Addr, LinkErrors, Registry};
use jitlink_elf::ElfFormat;
use std::path::Path;

pub(crate) fn registry() -> Registry {
    let plugins =
        [Plugin::Format(&ElfFormat), Plugin::Arch(&Bpf), Plugin::Relocs(ELF_BPF), Plugin::Relocs(ELF_UNNAMED)];
    plugins.into_iter().try_fold(Registry::empty(), Registry::with).unwrap()
}

/// The bytes of a committed object.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/link").join(name).with_extension("o");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn inputs(objects: &[(&str, Vec<u8>)]) -> Vec<Input> {
    objects.iter().map(|(name, bytes)| Input::from_bytes(*name, bytes.clone())).collect()
}

pub(crate) fn link(objects: &[(&str, Vec<u8>)]) -> Result<BpfImage, LinkErrors> {
    link_image(&registry(), &inputs(objects), &LinkOptions::default(), &BpfOptions::default())
}

pub(crate) fn link_with(objects: &[(&str, Vec<u8>)], bpf: &BpfOptions) -> Result<BpfImage, LinkErrors> {
    link_image(&registry(), &inputs(objects), &LinkOptions::default(), bpf)
}

/// Links what the given programs need.
pub(crate) fn link_only(objects: &[(&str, Vec<u8>)], roots: &[&str]) -> Result<BpfImage, LinkErrors> {
    let roots = Roots::Named(roots.iter().map(|name| (*name).to_string()).collect());
    let options = LinkOptions { roots, ..LinkOptions::default() };
    link_image(&registry(), &inputs(objects), &options, &BpfOptions::default())
}

pub(crate) fn fixtures(names: &[&'static str]) -> Vec<(&'static str, Vec<u8>)> {
    names.iter().map(|name| (*name, fixture(name))).collect()
}

pub(crate) fn function<'i>(image: &'i BpfImage, name: &str) -> &'i Function {
    image.functions.iter().find(|function| function.name == name).unwrap_or_else(|| panic!("no function {name}"))
}

/// Bytes of the image's memory.
pub(crate) fn memory(image: &BpfImage, address: Addr, size: u64) -> &[u8] {
    let holds = |segment: &&jitlink_arch_bpf::image::ImageSegment| {
        segment.address <= address && address.0 + size <= segment.address.0 + segment.bytes.len() as u64
    };
    let segment = image.segments.iter().find(holds).unwrap_or_else(|| panic!("{address} is nowhere"));
    &segment.bytes[(address.0 - segment.address.0) as usize..][..size as usize]
}

pub(crate) fn words(image: &BpfImage, function: &Function) -> Vec<Insn> {
    insn::words(memory(image, function.address, function.size), image.endian).unwrap()
}

/// What a function refers to, in order: the number of the instruction, and what it means.
pub(crate) fn references(image: &BpfImage, name: &str) -> Vec<(u64, String)> {
    let function = function(image, name);
    let inside = |address: Addr| address >= function.address && address.0 - function.address.0 < function.size;
    let show = |target: Target| match target {
        Target::Map(map) => format!("map {}", image.maps[map].name),
        Target::Data { block, offset } => format!("{}+{offset}", image.data[block].section),
        Target::Function(function) => image.functions[function].name.clone(),
        Target::Extern(name) => format!("extern {}", image.externs[name].name),
    };
    let own = image.references.iter().filter(|reference| inside(reference.address));
    own.map(|reference| ((reference.address.0 - function.address.0) / 8, show(reference.target))).collect()
}

/// Checks that every reference of code holds what it means: calls by distance, loads by address.
pub(crate) fn check_references(image: &BpfImage) {
    for reference in &image.references {
        let Some(function) = image.function_at(reference.address) else { continue };
        let words = words(image, function);
        let index = ((reference.address.0 - function.address.0) / 8) as usize;
        let expected = match reference.target {
            Target::Map(map) => image.maps[map].address,
            Target::Data { block, offset } => Addr(image.data[block].address.0.wrapping_add_signed(offset)),
            Target::Function(function) => image.functions[function].address,
            // Only a stand-in for what the kernel has.
            Target::Extern(_) => continue,
        };
        let word = words[index];
        let held = match word.is_wide() {
            true => u64::from(word.imm as u32) | u64::from(words[index + 1].imm as u32) << 32,
            false => {
                assert_eq!((word.code, word.src), (0x85, 1), "{reference:?}");
                reference.address.0.wrapping_add_signed((i64::from(word.imm) + 1) * 8)
            }
        };
        assert_eq!(Addr(held), expected, "{reference:?} of {}", function.name);
    }
}
