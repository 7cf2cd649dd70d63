//! BPF objects, linked and loaded, in one step.

use crate::{Input, LinkError, LinkErrors, LinkOptions, Registry};
use jitlink_arch_bpf::btf::Btf;
use jitlink_arch_bpf::catalog::programs::{ProgramType, classify};
use jitlink_arch_bpf::core_relo::{CoreError, Target};
use jitlink_arch_bpf::image::BpfImage;
use jitlink_arch_bpf::link::{BpfOptions, Kconfig, link_image};
use jitlink_bpf_vm::contexts::{Action, Packet, PacketContext};
use jitlink_bpf_vm::error::LoadError;
use jitlink_bpf_vm::fault::Fault;
use jitlink_bpf_vm::helpers::{Host, standard};
use jitlink_bpf_vm::maps::Map;
use jitlink_bpf_vm::memory::OutOfMemory;
use jitlink_bpf_vm::vm::{Vm, VmBuilder};
use std::path::Path;
use std::sync::Arc;

/// BPF objects, linked and loaded into a machine of this process. Shared by reference: threads run programs at once.
#[derive(Debug)]
pub struct Programs {
    image: BpfImage,
    vm: Vm,
}

/// What a run of a program came to.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What it returned, such as `XDP_PASS`.
    pub verdict: u32,
    /// The packet as the program left it.
    pub packet: Packet,
    /// What it asked for beside its verdict: redirects and copies.
    pub actions: Vec<Action>,
}

/// Why a program was not loaded, or did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The objects do not link.
    #[error(transparent)]
    Link(#[from] LinkErrors),
    /// The program does not fit the kernel's types.
    #[error(transparent)]
    Relocation(#[from] CoreError),
    /// The linked program does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is no memory for the packet.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The program's section does not say that it takes packets.
    #[error("{program} is in section {section:?}, and takes no packets")]
    NoPackets {
        /// Its name.
        program: String,
        /// Its section.
        section: String,
    },
    /// The program was stopped.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Programs {
    /// Links objects and loads them, on a host with the system's clocks whose programs print to standard error.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Programs, ProgramError> {
        Programs::on(paths, Host::new())
    }

    /// Links objects and loads them, on a host of the caller's: with its clocks, its chance, its routes. Objects that depend on a
    /// kernel's types (CO-RE) or configuration are made for the running one.
    pub fn on<P: AsRef<Path>>(paths: &[P], host: Host) -> Result<Programs, ProgramError> {
        let inputs = paths.iter().map(|path| Input::open(path.as_ref())).collect::<Result<Vec<_>, _>>();
        let inputs = inputs.map_err(LinkErrors::from)?;
        let registry = Registry::global().map_err(LinkErrors::from)?;
        let options = LinkOptions { keep_debug: true, ..LinkOptions::default() };
        let mut image = link_image(&registry, &inputs, &options, &BpfOptions { kconfig: Kconfig::running() })?;
        if !image.types.relocations.is_empty() {
            let unknown = |error| LinkError::Request(format!("the running kernel's types cannot be read: {error}"));
            let types = Btf::kernel().map_err(|error| LinkErrors::from(unknown(error)))?;
            image.adjust_to(&Target::new(&types))?;
        }
        let vm = VmBuilder::new().functions(standard(Arc::new(host))).build(&image)?;
        Ok(Programs { image, vm })
    }

    /// Runs a program on a packet.
    pub fn run(&self, program: &str, packet: Packet) -> Result<Ran, ProgramError> {
        let entry = self.vm.program(program)?;
        let kind: Option<ProgramType> = classify(&entry.section).map(|section| section.rule.program);
        let context = kind.map(|kind| PacketContext::new(kind, packet, self.image.endian)).transpose()?.flatten();
        let no_packets = || ProgramError::NoPackets { program: program.into(), section: entry.section.clone() };
        let mut context = context.ok_or_else(no_packets)?;
        let verdict = self.vm.run(entry, &mut context)? as u32;
        Ok(Ran { verdict, packet: context.packet(), actions: context.actions().to_vec() })
    }

    /// The map of a name, for the host: to look at and to change.
    pub fn map(&self, name: &str) -> Option<&Arc<Map>> {
        self.vm.map(name)
    }

    /// The machine.
    pub fn vm(&self) -> &Vm {
        &self.vm
    }

    /// The linked program.
    pub fn image(&self) -> &BpfImage {
        &self.image
    }
}
