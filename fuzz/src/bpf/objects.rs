//! Whole objects, linked to an image and to one object, and run.
//!
//! Promises that are checked: a link ends in an image that hangs together, or in errors; programs of it end in the machine; twice the
//! same objects give the same bytes; what is written as one object can be linked again if its parts could.

use super::piece;
use jitlink_arch_bpf::image::{BpfImage, Target};
use jitlink_arch_bpf::link::{BpfOptions, Capture};
use jitlink_arch_bpf::{Bpf, ELF_BPF, ELF_UNNAMED, core_relo};
use jitlink_bpf_vm::context::RawMemory;
use jitlink_bpf_vm::helpers::{Host, standard};
use jitlink_bpf_vm::vm::VmBuilder;
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::link::{LinkOptions, NoSymbols, link, relocatable};
use jitlink_core::registry::Plugin;
use jitlink_core::{Addr, Input, LinkErrors, Registry};
use jitlink_elf::ElfFormat;
use std::sync::{Arc, OnceLock};

/// No more memory than this is linked.
const ARENA: u64 = 16 << 20;
/// Maps that take more are not made.
const LARGEST_MAP: u64 = 1 << 20;
/// Instructions of one run.
const BUDGET: u64 = 20_000;

/// Links the pieces.
pub(super) fn run(mut bytes: &[u8]) {
    let mut inputs = Vec::new();
    while !bytes.is_empty() && inputs.len() < 4 {
        inputs.push(Input::from_bytes(format!("{}.o", inputs.len()), piece(&mut bytes)));
    }
    let image = to_image(&inputs);
    if let Ok(image) = &image {
        check_image(image);
        let again = to_image(&inputs).expect("what was linked can be linked again");
        let contents = |image: &BpfImage| -> Vec<_> {
            image.segments.iter().map(|segment| (segment.address, segment.bytes.clone())).collect()
        };
        assert_eq!(contents(image), contents(&again), "the same link again, with another result");
        adjusted(image.clone());
        run_programs(image);
    }
    let written = relocatable(registry(), &inputs, &quiet());
    if let (Ok(bytes), Ok(_)) = (&written, &image) {
        let whole = Input::from_bytes("whole.o", bytes.clone());
        if let Err(errors) = to_image(std::slice::from_ref(&whole)) {
            panic!("what was written cannot be linked: {errors}");
        }
    }
    for errors in [image.err(), written.err()].into_iter().flatten() {
        assert!(errors.iter().count() > 0);
        for error in errors.iter() {
            assert!(!error.to_string().is_empty() && !error.code().is_empty());
        }
    }
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let plugins =
            [Plugin::Format(&ElfFormat), Plugin::Arch(&Bpf), Plugin::Relocs(ELF_BPF), Plugin::Relocs(ELF_UNNAMED)];
        plugins.into_iter().try_fold(Registry::empty(), Registry::with).expect("four different plugins")
    })
}

fn quiet() -> LinkOptions {
    LinkOptions { threads: Some(1), ..LinkOptions::default() }
}

/// What [`jitlink_arch_bpf::link::link_image`] does, in less memory.
fn to_image(inputs: &[Input]) -> Result<BpfImage, LinkErrors> {
    let mut options = quiet();
    let capture = Capture::add(&mut options, &BpfOptions::default());
    let config = ImageConfig { base: Addr(0x10_0000_0000), arena_size: ARENA, page_size: 4096 };
    let executor = ImageExecutor::new(config).expect("a base and a size that go together");
    let linked = link(registry(), &executor, inputs, &NoSymbols, &options)?;
    capture.image(&linked)
}

fn check_image(image: &BpfImage) {
    let inside = |address: Addr, size: u64| {
        let holds = |start: Addr, length: u64| {
            address.0.checked_sub(start.0).and_then(|at| at.checked_add(size)).is_some_and(|end| end <= length)
        };
        image.segments.iter().any(|segment| holds(segment.address, segment.bytes.len() as u64))
    };
    assert!(image.functions.is_sorted_by_key(|function| function.address));
    for function in &image.functions {
        assert!(inside(function.address, function.size), "{} is nowhere", function.name);
        assert!(function.size == 0 || image.function_at(function.address).is_some());
        let _ = image.line_at(function.address);
    }
    for data in &image.data {
        assert!(data.size == 0 || inside(data.address, data.size), "{} is nowhere", data.section);
    }
    for reference in &image.references {
        assert!(image.reference_at(reference.address).is_some());
        let known = match reference.target {
            Target::Map(map) => map < image.maps.len(),
            Target::Data { block, .. } => block < image.data.len(),
            Target::Function(function) => function < image.functions.len(),
            Target::Extern(name) => name < image.externs.len(),
        };
        assert!(known, "{reference:?}");
    }
}

/// CO-RE against the program's own types.
fn adjusted(mut image: BpfImage) {
    let types = image.types.btf.clone();
    let before = image.segments.iter().map(|segment| segment.bytes.clone()).collect::<Vec<_>>();
    if let Err(error) = image.adjust_to(&core_relo::Target::new(&types)) {
        assert!(!error.to_string().is_empty());
        assert!(image.segments.iter().map(|segment| &segment.bytes).eq(&before), "{error}, but code was changed");
    }
}

fn run_programs(image: &BpfImage) {
    let bytes = |map: &jitlink_arch_bpf::image::MapDefinition| {
        let element = u64::from(map.key_size).saturating_add(map.value_size.into());
        element.saturating_mul(u64::from(map.max_entries).max(1))
    };
    if image.maps.iter().any(|map| bytes(map) > LARGEST_MAP) {
        return;
    }
    let builder = VmBuilder::new().functions(standard(Arc::new(Host::new()))).budget(BUDGET);
    let Ok(vm) = builder.build(image) else { return };
    for program in vm.programs().iter().take(16) {
        let mut memory = RawMemory::new(&[7; 64]).expect("64 bytes can be had");
        if let Err(fault) = vm.run(program, &mut memory) {
            assert!(!fault.to_string().is_empty());
        }
    }
}
