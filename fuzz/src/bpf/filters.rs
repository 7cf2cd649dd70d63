//! Classic filters.
//!
//! Promises that are checked: what passes the kernel's rules can be translated, but for loads of what only a kernel knows; the
//! translation decodes; and a packet filter runs to its end on every packet, without a fault.

use jitlink_arch_bpf::catalog::programs::ProgramType;
use jitlink_arch_bpf::classic::{self, ClassicError, FilterKind, check, translate};
use jitlink_arch_bpf::insn::decode;
use jitlink_bpf_vm::contexts::{Packet, PacketContext};
use jitlink_bpf_vm::helpers::{Host, standard};
use jitlink_bpf_vm::vm::VmBuilder;
use jitlink_core::Endian;
use std::sync::Arc;

/// From here on offsets are no places in a packet (`SKF_AD_OFF`).
const KERNELS: u32 = 0xffff_f000;
const FRAMES: [usize; 4] = [14, 15, 42, 74];

/// Reads a filter, in the spelling that it is of.
pub(super) fn run(bytes: &[u8]) {
    let filter = match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => classic::from_text(text),
        _ => classic::from_bytes(bytes, Endian::Little),
    };
    let filter = match filter {
        Ok(filter) => filter,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    for kind in [FilterKind::Socket, FilterKind::Seccomp] {
        let words = match (check(&filter, kind), translate(&filter, kind)) {
            (Ok(()), Ok(words)) => words,
            (Err(_), Err(_)) => continue,
            (Ok(()), Err(ClassicError::Instruction { k: KERNELS.., .. })) => continue,
            (checked, translated) => panic!("{checked:?}, but {translated:?}"),
        };
        let mut at = 0;
        while at < words.len() {
            assert!(decode(&words, at).is_ok(), "{:?} is no instruction", words[at]);
            at += if words[at].is_wide() { 2 } else { 1 };
        }
        if kind != FilterKind::Socket {
            continue;
        }
        let builder = VmBuilder::new().functions(standard(Arc::new(Host::new())));
        let vm = builder.build_raw(&words, Endian::NATIVE).expect("a filter can be loaded");
        for length in FRAMES {
            let frame: Vec<u8> = (0..length).map(|at| (at * 37) as u8).collect();
            let packet = PacketContext::new(ProgramType::SocketFilter, Packet::ethernet(frame), Endian::NATIVE);
            let mut packet = packet.expect("a frame is small").expect("a socket filter gets packets");
            if let Err(fault) = vm.run(&vm.programs()[0], &mut packet) {
                panic!("{fault}");
            }
        }
    }
}
