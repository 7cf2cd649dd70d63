//! Accesses to memory that are rare: atomic ones, and those in the byte order that is not the host's.

use crate::access::Word;
use crate::code::{Atomic, Foreign, ForeignKind, Inst, Slot};
use crate::fault::{Access, FaultKind};
use crate::machine::Machine;
use jitlink_arch_bpf::insn::{AtomicOp, Size};
use jitlink_core::Endian;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

impl Machine<'_> {
    /// A load or store in the byte order that is not the host's.
    #[allow(unsafe_code, reason = "accesses places of memory that were checked")]
    #[cold]
    pub(crate) fn foreign(&mut self, inst: &Inst) -> Result<(), FaultKind> {
        let Foreign { size, kind } = Foreign::unpack(inst.extra);
        let load = matches!(kind, ForeignKind::Load | ForeignKind::LoadSigned);
        let (base, access) = if load { (inst.src, Access::Read) } else { (inst.dst, Access::Write) };
        let address = self.registers[base].wrapping_add(inst.off as i64 as u64);
        let place = self.locate(address, size.bytes().into(), access, inst.site)?;
        let value = match kind {
            ForeignKind::StoreReg => self.registers[inst.src],
            _ => inst.imm as i64 as u64,
        };
        // SAFETY: `locate` says that the bytes may be accessed so; all access is atomic.
        unsafe {
            match (load, size) {
                (true, Size::H) => self.registers[inst.dst] = u16::read(place).swap_bytes().into(),
                (true, Size::W) => self.registers[inst.dst] = u32::read(place).swap_bytes().into(),
                (true, Size::DW) => self.registers[inst.dst] = u64::read(place).swap_bytes(),
                (false, Size::H) => u16::write(place, (value as u16).swap_bytes()),
                (false, Size::W) => u32::write(place, (value as u32).swap_bytes()),
                (false, Size::DW) => u64::write(place, value.swap_bytes()),
                (true, Size::B) => self.registers[inst.dst] = u8::read(place).into(),
                (false, Size::B) => u8::write(place, value as u8),
            }
        }
        if kind == ForeignKind::LoadSigned {
            let shift = 64 - 8 * u32::from(size.bytes());
            self.registers[inst.dst] = ((self.registers[inst.dst] << shift) as i64 >> shift) as u64;
        }
        Ok(())
    }

    /// An atomic operation.
    #[allow(unsafe_code, reason = "accesses places of memory that were checked")]
    pub(crate) fn atomic(&mut self, inst: &Inst, endian: Endian) -> Result<(), FaultKind> {
        let Atomic { op, size } = Atomic::unpack(inst.extra);
        let (base, access) = match op {
            AtomicOp::LoadAcquire => (inst.src, Access::Read),
            _ => (inst.dst, Access::Write),
        };
        let address = self.registers[base].wrapping_add(inst.off as i64 as u64);
        let bytes = u64::from(size.bytes());
        let place = self.locate(address, bytes, access, inst.site)?;
        if !place.addr().is_multiple_of(bytes as usize) {
            return Err(FaultKind::Unaligned { address, size: bytes });
        }
        let swap = endian != Endian::NATIVE;
        let (operand, expected) = (self.registers[inst.src], self.registers[Slot::R0]);
        // SAFETY: `locate` says that the bytes may be accessed so, and they are aligned; all access is atomic.
        let old = unsafe {
            match (is_ordered(op), size) {
                (_, Size::B) => ordered8(op, AtomicU8::from_ptr(place), operand as u8, swap).into(),
                (_, Size::H) => ordered16(op, AtomicU16::from_ptr(place.cast()), operand as u16, swap).into(),
                (true, Size::W) => ordered32(op, AtomicU32::from_ptr(place.cast()), operand as u32, swap).into(),
                (true, Size::DW) => ordered64(op, AtomicU64::from_ptr(place.cast()), operand, swap),
                (false, Size::W) => {
                    let (operand, expected) = (operand as u32, expected as u32);
                    modify32(op, AtomicU32::from_ptr(place.cast()), operand, expected, swap).into()
                }
                (false, Size::DW) => modify64(op, AtomicU64::from_ptr(place.cast()), operand, expected, swap),
            }
        };
        match op {
            AtomicOp::LoadAcquire => self.registers[inst.dst] = old,
            AtomicOp::CmpXchg => self.registers[Slot::R0] = old,
            AtomicOp::Xchg
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true } => self.registers[inst.src] = old,
            _ => {}
        }
        Ok(())
    }
}

fn is_ordered(op: AtomicOp) -> bool {
    matches!(op, AtomicOp::LoadAcquire | AtomicOp::StoreRelease)
}

/// An ordered load or store, and what was loaded.
macro_rules! ordered {
    ($name:ident, $atomic:ty, $type:ty) => {
        fn $name(op: AtomicOp, place: &$atomic, operand: $type, swap: bool) -> $type {
            let order = |word: $type| if swap { word.swap_bytes() } else { word };
            match op {
                AtomicOp::LoadAcquire => order(place.load(Ordering::Acquire)),
                _ => {
                    place.store(order(operand), Ordering::Release);
                    0
                }
            }
        }
    };
}

ordered!(ordered8, AtomicU8, u8);
ordered!(ordered16, AtomicU16, u16);
ordered!(ordered32, AtomicU32, u32);
ordered!(ordered64, AtomicU64, u64);

/// Changes a word, and gives back what it was. The kernel's operations are fully ordered, those that fetch nothing included.
macro_rules! modify {
    ($name:ident, $atomic:ty, $type:ty) => {
        fn $name(op: AtomicOp, place: &$atomic, operand: $type, expected: $type, swap: bool) -> $type {
            let order = |word: $type| if swap { word.swap_bytes() } else { word };
            let new = |old: $type| match op {
                AtomicOp::Add { .. } => old.wrapping_add(operand),
                AtomicOp::Or { .. } => old | operand,
                AtomicOp::And { .. } => old & operand,
                AtomicOp::Xor { .. } => old ^ operand,
                AtomicOp::CmpXchg if old != expected => old,
                _ => operand,
            };
            let change = |old: $type| Some(order(new(order(old))));
            let (Ok(old) | Err(old)) = place.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
            order(old)
        }
    };
}

modify!(modify32, AtomicU32, u32);
modify!(modify64, AtomicU64, u64);
