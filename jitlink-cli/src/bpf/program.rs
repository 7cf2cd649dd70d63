//! What every subcommand begins with: objects in, a linked image out, and the program that is meant.

use super::args::BpfLinkArgs;
use super::error::Failure;
use super::{bytes, sections};
use crate::inputs;
use crate::progress::Progress;
use jitlink::bpf::btf::Btf;
use jitlink::bpf::catalog::programs::{ProgramType, classify};
use jitlink::bpf::core_relo::Target;
use jitlink::bpf::image::{BpfImage, Function};
use jitlink::bpf::link::{BpfOptions, Kconfig, link_image};
use jitlink::{LinkOptions, Registry};
use std::fmt::Display;

/// Links the objects; what depends on a kernel's types is still open.
pub(super) fn link(args: &BpfLinkArgs) -> Result<BpfImage, Failure> {
    let progress = Progress::start(format!("linking {} files", args.inputs.len()));
    let inputs = inputs::open_all(&args.inputs)?;
    let registry = Registry::global().map_err(jitlink::LinkErrors::from)?;
    let options = LinkOptions { keep_debug: true, ..LinkOptions::default() };
    let image = link_image(&registry, &inputs, &options, &BpfOptions { kconfig: kconfig(args)? })?;
    drop(progress);
    Ok(image)
}

/// Makes a linked program fit the types of --btf, or of the running kernel.
pub(super) fn relocate(image: &mut BpfImage, args: &BpfLinkArgs) -> Result<(), Failure> {
    if image.types.relocations.is_empty() {
        return Ok(());
    }
    let types = types(args)?;
    let outcomes = image.adjust_to(&Target::new(&types));
    outcomes
        .map(drop)
        .map_err(|error| Failure::new("co-re", error, "give the types of the kernel that it is for: --btf FILE"))
}

/// The types that the program is for: those of --btf, or of the running kernel.
fn types(args: &BpfLinkArgs) -> Result<Btf, Failure> {
    let advice = "give raw BTF such as that under /sys/kernel/btf, or an ELF file with a .BTF section (--btf FILE)";
    let Some(path) = &args.btf else {
        return Btf::kernel().map_err(|error| {
            Failure::new(
                "btf",
                format!("the objects depend on a kernel's types, and this kernel's cannot be read: {error}"),
                advice,
            )
        });
    };
    let refuse = |error: &dyn Display| Failure::new("btf", format!("{}: {error}", path.display()), advice);
    let bytes = bytes::read(path)?;
    let section = match bytes.starts_with(b"\x7fELF") {
        true => sections::btf(&bytes).ok_or_else(|| refuse(&"it has no .BTF section"))?,
        false => &bytes,
    };
    Btf::read(section).map_err(|error| refuse(&error))
}

/// The kernel configuration that the program is for: that of --kconfig, or of the running kernel.
fn kconfig(args: &BpfLinkArgs) -> Result<Kconfig, Failure> {
    let Some(path) = &args.kconfig else { return Ok(Kconfig::running()) };
    Ok(Kconfig::parse(&String::from_utf8_lossy(&bytes::read(path)?)))
}

/// The program of a name, or the only one there is.
pub(super) fn choose<'i>(image: &'i BpfImage, name: Option<&str>) -> Result<&'i Function, Failure> {
    let programs: Vec<&Function> = image.programs().collect();
    let names = || programs.iter().map(|program| program.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, programs.as_slice()) {
        (_, []) => {
            let advice = "a program is a function that others see, in a section such as \"xdp\" or \"tc\"";
            Err(Failure::new("program", "there is no program in the objects", advice))
        }
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::new(
            "program",
            format!("there are several programs: {}", names()),
            "say which: --program NAME",
        )),
        (Some(name), _) => {
            let found = programs.iter().find(|program| program.name == name);
            found.copied().ok_or_else(|| {
                Failure::new("program", format!("there is no program {name}; there are: {}", names()), "")
            })
        }
    }
}

/// The kind of a program, which its section says.
pub(super) fn kind(program: &Function) -> Option<ProgramType> {
    classify(&program.section).map(|section| section.rule.program)
}
