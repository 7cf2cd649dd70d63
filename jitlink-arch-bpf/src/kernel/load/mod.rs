//! Linked programs into the kernel, as libbpf loads objects.
//!
//! A [`BpfImage`] is one address space; the kernel wants its parts. Each map that the program declares is created, and one
//! for each section of variables and constants, of one element that is the whole section. Each program becomes an array of
//! instructions of its own: its function and all functions that it reaches, with calls as distances in the array, and descriptors
//! and offsets where instructions load addresses. What depends on the kernel's types is looked up in them: relocations of
//! CO-RE, names that the kernel defines, functions to attach to.
//!
//! The image is only read, so it can be loaded several times, and run in the virtual machine as well.

mod attach;
mod code;
mod fixed;
mod maps;
mod names;
mod records;
#[cfg(test)]
mod tests;

use super::btf::KernelBtf;
use super::error::KernelError;
use super::map::KernelMap;
use super::program::{HOST, KernelProgram, ProgramRequest, ProgramTypes};
use crate::btf::Btf;
use crate::catalog::programs::{AttachType, ProgramType, classify};
use crate::image::{BpfImage, Function};
use jitlink_core::Addr;
use maps::Maps;
use names::KernelNames;
use std::os::fd::AsFd;
use std::path::Path;

/// How a linked program is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// The object's name, with which names of data maps begin, as in `object.rodata`.
    pub name: &'a str,
    /// The names of the programs to load. If there are none: all but those whose section's name begins with a question mark.
    pub programs: &'a [&'a str],
    /// What programs are whose section does not say it.
    pub kind: Option<(ProgramType, Option<AttachType>)>,
    /// The kernel's types; read from the running kernel, if needed, where none are given.
    pub kernel_types: Option<&'a Btf>,
    /// A folder in a BPF file system for maps that ask to be pinned by name: one that is there is used, others are created and pinned.
    /// Without it nothing is pinned, and such maps are created as others are.
    pub pins: Option<&'a Path>,
}

/// A linked program in the kernel. Everything is removed when this is dropped, unless it is pinned or attached.
#[derive(Debug)]
pub struct KernelObject {
    programs: Vec<KernelProgram>,
    maps: Vec<KernelMap>,
    notes: Vec<String>,
}

impl KernelObject {
    /// The programs that were loaded, in the order of the image.
    pub fn programs(&self) -> &[KernelProgram] {
        &self.programs
    }

    /// The program of a name.
    pub fn program(&self, name: &str) -> Option<&KernelProgram> {
        self.programs.iter().find(|program| program.name() == name)
    }

    /// All maps: those that the program declares, and those of its data, whose names are those of sections.
    pub fn maps(&self) -> &[KernelMap] {
        &self.maps
    }

    /// The map of a name.
    pub fn map(&self, name: &str) -> Option<&KernelMap> {
        self.maps.iter().find(|map| map.name() == name)
    }

    /// What was left out because the kernel would not have it, and the program works without.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Loads a linked program: its maps and data, then its programs.
///
/// Fails where `bpf(2)` is not allowed, where the verifier refuses a program (with its log), and where the image asks for what
/// this kernel does not have. What was loaded before the failure is removed.
pub fn load(image: &BpfImage, options: &LoadOptions<'_>) -> Result<KernelObject, KernelError> {
    if image.endian != HOST {
        return Err(KernelError::image(options.name, format!("it is {:?} endian, this machine is not", image.endian)));
    }
    let chosen = choose(image, options)?;
    let names = KernelNames::new(options.kernel_types);
    let mut notes = Vec::new();
    let types = load_types(image, &mut notes)?;
    let maps = Maps::create(image, options, types.as_ref(), &mut notes)?;
    let mut code = code::Coder::new(image, &maps, &names)?;
    let mut programs = Vec::with_capacity(chosen.len());
    for function in chosen {
        programs.push(load_program(image, options, function, (&mut code, types.as_ref()))?);
    }
    maps.put_programs(image, &programs)?;
    Ok(KernelObject { programs, maps: maps.into_all(), notes })
}

/// The functions that are to be programs of the kernel.
fn choose<'i>(image: &'i BpfImage, options: &LoadOptions<'_>) -> Result<Vec<&'i Function>, KernelError> {
    for name in options.programs {
        if !image.programs().any(|function| function.name == *name) {
            let known: Vec<&str> = image.programs().map(|function| function.name.as_str()).collect();
            let what = format!("there is no such program; there are {}", known.join(", "));
            return Err(KernelError::image(*name, what));
        }
    }
    let wanted = |function: &&Function| match options.programs {
        [] => classify(&function.section).is_none_or(|section| section.autoload),
        names => names.contains(&function.name.as_str()),
    };
    Ok(image.programs().filter(wanted).collect())
}

/// Gives the image's types to the kernel. If it refuses them the program goes without, unless it cannot.
fn load_types(image: &BpfImage, notes: &mut Vec<String>) -> Result<Option<fixed::Types>, KernelError> {
    if image.types.btf.is_empty() {
        return Ok(None);
    }
    let fixed = fixed::fix(image).map_err(|error| KernelError::image("BTF", error.to_string()))?;
    match KernelBtf::load(&fixed.bytes) {
        Ok(loaded) => Ok(Some(fixed.loaded(loaded))),
        Err(error @ KernelError::Types { .. }) if image.externs.is_empty() => {
            notes.push(format!("its types are left out: {error}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn load_program(
    image: &BpfImage,
    options: &LoadOptions<'_>,
    function: &Function,
    (code, types): (&mut code::Coder<'_>, Option<&fixed::Types>),
) -> Result<KernelProgram, KernelError> {
    let attachment = attach::attachment(function, options, code.names())?;
    let array = code.program(function)?;
    let records = types.map(|types| (types, records::records(image, &array)));
    let types = records.as_ref().map(|(types, records)| ProgramTypes {
        btf: types.btf().as_fd(),
        functions: &records.functions,
        lines: &records.lines,
    });
    KernelProgram::load(&ProgramRequest {
        name: &function.name,
        kind: attachment.kind,
        attach: attachment.attach,
        flags: attachment.flags,
        target: attachment.target.map(|id| (id, None)),
        instructions: &array.words,
        license: &image.license,
        version: image.version,
        types,
        descriptors: &[],
    })
}

/// Bytes of the image's memory.
fn memory<'i>(image: &'i BpfImage, what: &str, address: Addr, size: u64) -> Result<&'i [u8], KernelError> {
    let find = |segment: &'i crate::image::ImageSegment| {
        let start = usize::try_from(address.0.checked_sub(segment.address.0)?).ok()?;
        segment.bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
    };
    let found = image.segments.iter().find_map(find);
    found.ok_or_else(|| KernelError::image(what, format!("the image has no {size:#x} bytes at {address}")))
}
