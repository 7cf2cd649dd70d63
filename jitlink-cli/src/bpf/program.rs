//! What every subcommand begins with: objects in, a linked image out, and the program that is meant.

use super::args::BpfLinkArgs;
use super::bytes;
use super::error::Failure;
use crate::inputs;
use crate::progress::Progress;
use jitlink::bpf::btf::Btf;
use jitlink::bpf::catalog::programs::{ProgramType, classify};
use jitlink::bpf::image::{BpfImage, Function};
use jitlink::bpf::link::{BpfOptions, link_image};
use jitlink::{LinkOptions, Registry};

/// Links the objects.
pub(super) fn link(args: &BpfLinkArgs) -> Result<BpfImage, Failure> {
    let progress = Progress::start(format!("linking {} files", args.inputs.len()));
    let inputs = inputs::open_all(&args.inputs)?;
    let registry = Registry::global().map_err(jitlink::LinkErrors::from)?;
    let image = link_image(&registry, &inputs, &LinkOptions::default(), &options(args)?)?;
    drop(progress);
    Ok(image)
}

/// What the options say about types and the kernel's configuration.
pub(super) fn options(args: &BpfLinkArgs) -> Result<BpfOptions, Failure> {
    let mut options = BpfOptions::default();
    if let Some(path) = &args.btf {
        let refuse = |error: &dyn std::fmt::Display| {
            let message = format!("{}: {error}", path.display());
            Failure::new("btf", message, "give raw BTF such as that under /sys/kernel/btf, or an ELF file with a .BTF section")
        };
        let bytes = bytes::read(path)?;
        options.target = Some(std::sync::Arc::new(Btf::from_file(&bytes).map_err(|error| refuse(&error))?));
    }
    if let Some(path) = &args.kconfig {
        let text = bytes::read(path)?;
        options.kconfig = Some(String::from_utf8_lossy(&text).into_owned());
    }
    Ok(options)
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
        (None, _) => Err(Failure::new("program", format!("there are several programs: {}", names()), "say which: --program NAME")),
        (Some(name), _) => {
            let found = programs.iter().find(|program| program.name == name);
            found.copied().ok_or_else(|| Failure::new("program", format!("there is no program {name}; there are: {}", names()), ""))
        }
    }
}

/// The kind of a program, which its section says.
pub(super) fn kind(program: &Function) -> Option<ProgramType> {
    classify(&program.section).map(|section| section.rule.program)
}
