//! What the tests have in common: reading and linking objects, an assembler, and LLD.

use jitlink_arch_aarch64::{AARCH64, COFF_AARCH64};
use jitlink_arch_x86::{COFF_I386, COFF_X86_64, I386, X86_64};
use jitlink_coff::CoffFormat;
use jitlink_core::graph::{LinkGraph, ObjectBuilder};
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::link::{LinkOptions, Linked, NoSymbols, Resolver, link};
use jitlink_core::registry::{Plugin, Registry};
use jitlink_core::{Addr, Input, LinkError, LinkErrors, ObjectFormat};
use std::path::Path;
use std::process::Command;

/// The base of linked images.
pub(crate) const BASE: u64 = 0x1_4000_0000;

pub(crate) fn registry() -> Registry {
    let plugins = [
        Plugin::Format(&CoffFormat),
        Plugin::Arch(&X86_64),
        Plugin::Relocs(COFF_X86_64),
        Plugin::Arch(&I386),
        Plugin::Relocs(COFF_I386),
        Plugin::Arch(&AARCH64),
        Plugin::Relocs(COFF_AARCH64),
    ];
    plugins.into_iter().try_fold(Registry::empty(), Registry::with).expect("plugins that differ")
}

/// Reads an object.
pub(crate) fn read(bytes: &[u8], debug: bool) -> Result<LinkGraph<'_>, LinkError> {
    let header = CoffFormat.header("a.obj", bytes)?;
    let (target, rows) = registry().target(&CoffFormat, &header, "a.obj")?;
    let mut graph = LinkGraph::new(target, rows);
    if debug {
        graph = graph.with_debug();
    }
    let mut builder = ObjectBuilder::new(&mut graph, "a.obj".into(), "a.obj".into());
    CoffFormat.read(bytes, &mut builder)?;
    Ok(graph)
}

/// A link, and its memory as it is at [`BASE`].
pub(crate) struct Image {
    pub(crate) linked: Linked,
    executor: ImageExecutor,
}

impl Image {
    /// The address of a name.
    pub(crate) fn address(&self, name: &str) -> u64 {
        self.linked.exports.get(name).unwrap_or_else(|| panic!("{name} is not there")).address.0
    }

    /// The bytes at an address.
    pub(crate) fn bytes(&self, address: u64, size: usize) -> Vec<u8> {
        let segments = self.executor.segments();
        let holds = |start: u64, bytes: &[u8]| start <= address && address + size as u64 <= start + bytes.len() as u64;
        let found = segments.iter().find(|segment| holds(segment.address.0, segment.bytes()));
        let segment = found.unwrap_or_else(|| panic!("nothing is at {address:#x}"));
        let at = (address - segment.address.0) as usize;
        segment.bytes()[at..at + size].to_vec()
    }

    /// The four bytes at an address.
    pub(crate) fn word(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.bytes(address, 4).try_into().expect("four bytes"))
    }

    /// The eight bytes at an address.
    pub(crate) fn long(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().expect("eight bytes"))
    }
}

/// Links objects as an image.
pub(crate) fn image(inputs: &[Input], options: &LinkOptions) -> Result<Image, LinkErrors> {
    image_at(BASE, inputs, options)
}

/// Links objects as an image at an address.
pub(crate) fn image_at(base: u64, inputs: &[Input], options: &LinkOptions) -> Result<Image, LinkErrors> {
    image_with(base, inputs, &NoSymbols, options)
}

/// The same with names from outside.
pub(crate) fn image_with(
    base: u64,
    inputs: &[Input],
    outside: &dyn Resolver,
    options: &LinkOptions,
) -> Result<Image, LinkErrors> {
    let config = ImageConfig { base: Addr(base), ..ImageConfig::default() };
    let executor = ImageExecutor::new(config).expect("a base that is aligned");
    let linked = link(&registry(), &executor, inputs, outside, options)?;
    Ok(Image { linked, executor })
}

/// Links objects in which everything is kept that others see.
pub(crate) fn linked(inputs: &[(&str, &[u8])]) -> Result<Image, LinkErrors> {
    let inputs: Vec<Input> = inputs.iter().map(|(name, bytes)| Input::from_bytes(*name, *bytes)).collect();
    image(&inputs, &LinkOptions::default())
}

/// A program by one of its names, unless it is not installed; where everything has to be installed, that is an error.
pub(crate) fn installed(names: &[&'static str]) -> Option<&'static str> {
    let found = names.iter().copied().find(|name| Command::new(name).arg("--version").output().is_ok());
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "none of {names:?} is installed");
        eprintln!("skipped: none of {names:?} is installed");
    }
    found
}

/// The object of a text in assembly, in LLVM's spelling; `None` without an assembler.
pub(crate) fn assemble(text: &str) -> Option<Vec<u8>> {
    assemble_for("x86_64-pc-windows-msvc", text)
}

/// The same for another machine.
pub(crate) fn assemble_for(triple: &str, text: &str) -> Option<Vec<u8>> {
    let assembler = installed(&["llvm-mc-22", "llvm-mc"])?;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.s"), text).expect("a source");
    let triple = format!("-triple={triple}");
    let arguments = ["-filetype=obj", &triple, "a.s", "-o", "a.obj"];
    let output = Command::new(assembler).current_dir(folder.path()).args(arguments).output().expect("an assembler");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    Some(std::fs::read(path("a.obj")).expect("an object"))
}

/// What LLD says of objects that become a DLL: nothing if it links them. `None` without LLD.
pub(crate) fn lld(folder: &Path, objects: &[Vec<u8>], arguments: &[&str]) -> Option<Result<(), String>> {
    let lld = installed(&["lld-link-22", "lld-link"])?;
    let mut command = Command::new(lld);
    command.current_dir(folder).args(["/dll", "/noentry", "/nodefaultlib", "/out:a.dll", "/opt:noref,noicf"]);
    for (number, bytes) in objects.iter().enumerate() {
        let name = format!("{number}.obj");
        std::fs::write(folder.join(&name), bytes).expect("an object");
        command.arg(name);
    }
    let output = command.args(arguments).output().expect("LLD");
    Some(match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    })
}
