//! Links in an image, executables made of what was linked, and the tools that other tests compare with.
#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod elf;

use elf::Segment;
use jitlink_arch_ppc::{ELF_PPC32, ELF_PPC32LE, ELF_PPC64, ELF_PPC64LE, PPC32, PPC32LE, PPC64, PPC64LE};
use jitlink_core::arch::Target;
use jitlink_core::executor::{
    Action, Allocation, ExecutorError, IndirectSlot, MemoryRequest, PointerArray, Reservation, WorkingMemory,
};
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::link::{LinkMap, LinkOptions, NoSymbols, Roots, Unresolved, link};
use jitlink_core::registry::{Plugin, Registry};
use jitlink_core::{Addr, AddrRange, Executor, Input};
use jitlink_elf::ElfFormat;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Where programs are linked: low enough for code that is not position-independent.
pub(crate) const BASE: Addr = Addr(0x1010_0000);

/// Where the linker of functions on their first call pretends to be.
pub(crate) const LINKER: Addr = Addr(0x6660_0000);

/// An image that has such a linker, so that what needs one is linked; nothing runs here. It notes the slots of indirect functions.
struct Host {
    image: ImageExecutor,
    linker: Addr,
    /// How its functions are called; without, as those of the target.
    convention: Option<&'static str>,
    slots: Arc<Mutex<Vec<IndirectSlot>>>,
}

struct HostMemory {
    image: Box<dyn Reservation>,
    slots: Arc<Mutex<Vec<IndirectSlot>>>,
}

impl Reservation for HostMemory {
    fn address(&self, segment: usize) -> Addr {
        self.image.address(segment)
    }

    fn region(&self) -> AddrRange {
        self.image.region()
    }

    fn resize(&mut self, sizes: &[u64]) -> Result<(), ExecutorError> {
        self.image.resize(sizes)
    }

    fn working_memory(&mut self) -> Vec<WorkingMemory<'_>> {
        self.image.working_memory()
    }

    fn finalize(self: Box<Self>, actions: Vec<Action>) -> Result<Box<dyn Allocation>, ExecutorError> {
        let slots = actions.iter().filter_map(|action| match action {
            Action::ResolveOnCall(slots) => Some(slots),
            _ => None,
        });
        self.slots.lock().unwrap().extend(slots.flatten().cloned());
        self.image.finalize(actions)
    }
}

#[allow(unsafe_code, reason = "the trait declares running as unsafe; nothing here runs")]
impl Executor for Host {
    fn name(&self) -> &'static str {
        self.image.name()
    }

    fn page_size(&self) -> u64 {
        self.image.page_size()
    }

    fn reserve(&self, request: &MemoryRequest) -> Result<Box<dyn Reservation>, ExecutorError> {
        Ok(Box::new(HostMemory { image: self.image.reserve(request)?, slots: self.slots.clone() }))
    }

    fn calls_as(&self, target: &Target) -> bool {
        self.convention.is_none_or(|convention| convention == target.convention)
    }

    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, ExecutorError> {
        self.image.lookup(names)
    }

    fn lazy_linker(&self) -> Result<Addr, ExecutorError> {
        Ok(self.linker)
    }

    unsafe fn run_arrays(&self, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        // SAFETY: as the caller promises.
        unsafe { self.image.run_arrays(arrays) }
    }

    unsafe fn run_main(&self, entry: Addr, arguments: &[CString]) -> Result<i32, ExecutorError> {
        // SAFETY: as the caller promises.
        unsafe { self.image.run_main(entry, arguments) }
    }
}

/// What was linked.
pub(crate) struct Program {
    pub(crate) segments: Vec<Segment>,
    pub(crate) exports: BTreeMap<String, Addr>,
    pub(crate) map: LinkMap,
    /// Of indirect functions.
    pub(crate) slots: Vec<IndirectSlot>,
}

/// Everything of this crate, and the format.
pub(crate) fn registry() -> Registry {
    let little = [Plugin::Arch(&PPC64LE), Plugin::Relocs(ELF_PPC64LE)];
    let big = [Plugin::Arch(&PPC64), Plugin::Relocs(ELF_PPC64)];
    let short = [Plugin::Arch(&PPC32), Plugin::Relocs(ELF_PPC32), Plugin::Arch(&PPC32LE), Plugin::Relocs(ELF_PPC32LE)];
    let plugins = [Plugin::Format(&ElfFormat)].into_iter().chain(little).chain(big).chain(short);
    { plugins }.try_fold(Registry::empty(), Registry::with).unwrap()
}

impl Program {
    /// Links objects at an address; `outside` are addresses of what they do not define. Fails with what the linker says.
    pub(crate) fn link(
        base: Addr,
        objects: &[(String, Vec<u8>)],
        outside: &[(&str, Addr)],
        roots: Roots,
    ) -> Result<Program, String> {
        let options = LinkOptions { roots, ..LinkOptions::default() };
        Program::link_as(base, objects, (outside, LINKER, None), options)
    }

    /// As [`Program::link`], with a linker for functions on their first call.
    pub(crate) fn link_for(
        linker: Addr,
        base: Addr,
        objects: &[(String, Vec<u8>)],
        roots: Roots,
    ) -> Result<Program, String> {
        let options = LinkOptions { roots, ..LinkOptions::default() };
        Program::link_as(base, objects, (&[], linker, None), options)
    }

    /// As [`Program::link`], where functions of the executor are called by a convention.
    pub(crate) fn link_by(
        convention: &'static str,
        base: Addr,
        objects: &[(String, Vec<u8>)],
        roots: Roots,
    ) -> Result<Program, String> {
        let options = LinkOptions { roots, ..LinkOptions::default() };
        Program::link_as(base, objects, (&[], LINKER, Some(convention)), options)
    }

    /// As [`Program::link`], where all that is not defined is null.
    pub(crate) fn tentative(base: Addr, objects: &[(String, Vec<u8>)]) -> Result<Program, String> {
        let options = LinkOptions { unresolved: Unresolved::Null, roots: Roots::Exported, ..LinkOptions::default() };
        Program::link_as(base, objects, (&[], LINKER, None), options)
    }

    fn link_as(
        base: Addr,
        objects: &[(String, Vec<u8>)],
        (outside, linker, convention): (&[(&str, Addr)], Addr, Option<&'static str>),
        options: LinkOptions,
    ) -> Result<Program, String> {
        let config = ImageConfig { base, ..ImageConfig::default() };
        let executor = Host { image: ImageExecutor::new(config).unwrap(), linker, convention, slots: Arc::default() };
        let inputs: Vec<Input> =
            objects.iter().map(|(name, bytes)| Input::from_bytes(name.clone(), bytes.clone())).collect();
        let defines = outside.iter().map(|(name, address)| (name.to_string(), *address)).collect();
        let options = LinkOptions { defines, map: true, ..options };
        let linked =
            link(&registry(), &executor, &inputs, &NoSymbols, &options).map_err(|errors| errors.to_string())?;
        let exports = linked.exports.iter().map(|(name, export)| (name.to_string(), export.address)).collect();
        let segment = |segment: &jitlink_core::image::ImageSegment| Segment {
            address: segment.address,
            protection: segment.protection,
            bytes: segment.bytes().to_vec(),
        };
        let segments = executor.image.segments().iter().map(segment).collect();
        let slots = std::mem::take(&mut *executor.slots.lock().unwrap());
        Ok(Program { segments, exports, map: linked.map.unwrap(), slots })
    }

    /// The word of the instruction or the data at an address.
    pub(crate) fn word(&self, address: Addr) -> u32 {
        u32::from_le_bytes(elf::bytes(&self.segments, address, 4).try_into().unwrap())
    }

    /// The pointer at an address.
    pub(crate) fn pointer(&self, address: Addr) -> u64 {
        u64::from_le_bytes(elf::bytes(&self.segments, address, 8).try_into().unwrap())
    }

    /// The address of an exported name.
    pub(crate) fn symbol(&self, name: &str) -> Addr {
        *self.exports.get(name).unwrap_or_else(|| panic!("no {name}"))
    }
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A committed object, with its name.
pub(crate) fn fixture(name: &str) -> (String, Vec<u8>) {
    let path = fixtures().join(format!("{name}.o"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (format!("{name}.o"), bytes)
}

/// A tool's name if it is installed; otherwise the test is skipped with a line, or fails in CI.
pub(crate) fn tool(name: &str, package: &str) -> Option<String> {
    if Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Some(name.to_string());
    }
    let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    assert!(!in_ci, "{name} is missing (Debian package {package}), and CI skips no test");
    eprintln!("skipped: {name} is not installed (Debian package {package})");
    None
}

/// Runs a tool that must succeed; its output.
pub(crate) fn finish(command: &mut Command) -> String {
    let output = command.output().expect("the tool starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program under an emulator: its exit status and its output.
pub(crate) fn run(emulator: &str, arguments: &[&str], program: &[u8]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    std::fs::write(&path, program).unwrap();
    // The emulator refuses what the system would not run.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(emulator).args(arguments).arg(&path).output().expect("the emulator starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &complaint)
}
