//! The instruction, as RFC 9669 lays it out, in the byte order of its object.

use super::CoreProblem;
use super::value::Number;
use jitlink_core::Endian;

/// The bytes of an instruction.
const BYTES: usize = 8;
/// `lddw`: load an immediate of 64 bits, which takes two instructions.
const LDDW: u8 = 0x18;
/// A call of a helper.
const CALL: u8 = 0x85;
/// The helper that no kernel has: the verifier's message about it is how users of libbpf know a failed relocation.
pub const POISON_HELPER: i32 = 0x0bad_2310;
/// The mode bits of loads that extend the sign, and of those that do not.
const MODE_MEMSX: u8 = 0x80;
const MODE_MEM: u8 = 0x60;

/// The instruction at an offset of some code.
pub(super) struct Slot<'a> {
    bytes: &'a mut [u8],
    endian: Endian,
}

impl<'a> Slot<'a> {
    /// The instruction, with the one that follows if it is `lddw`.
    pub(super) fn new(code: &'a mut [u8], offset: u32, endian: Endian) -> Result<Slot<'a>, CoreProblem> {
        let length = code.len();
        let start = offset as usize;
        let outside = CoreProblem::Outside { length };
        if !start.is_multiple_of(BYTES) || length.saturating_sub(start) < BYTES {
            return Err(outside);
        }
        let bytes = if code[start] == LDDW { 2 * BYTES } else { BYTES };
        let end = start.checked_add(bytes).filter(|end| *end <= length).ok_or(outside)?;
        Ok(Slot { bytes: &mut code[start..end], endian })
    }

    fn code(&self) -> u8 {
        self.bytes[0]
    }

    fn imm(&self) -> i32 {
        self.endian.read(&self.bytes[4..8]) as i32
    }

    fn set_imm(&mut self, value: u32) {
        self.endian.write(&mut self.bytes[4..8], u64::from(value));
    }

    fn off(&self) -> i16 {
        self.endian.read(&self.bytes[2..4]) as i16
    }

    /// The source register, or what `lddw` loads if it is no number.
    fn source(&self) -> u8 {
        match self.endian {
            Endian::Little => self.bytes[1] >> 4,
            Endian::Big => self.bytes[1] & 0xf,
        }
    }

    /// Replaces the instruction by a call that the verifier refuses and the VM stops at, so that only reaching it is an
    /// error.
    pub(super) fn poison(&mut self) {
        let endian = self.endian;
        for bytes in self.bytes.chunks_exact_mut(BYTES) {
            bytes.fill(0);
            bytes[0] = CALL;
            endian.write(&mut bytes[4..], POISON_HELPER as u64);
        }
    }

    /// Stores a number where the one of the program's own types was; returns what was there.
    pub(super) fn store(&mut self, local: Number, target: Number) -> Result<i64, CoreProblem> {
        match self.code() & 7 {
            // Arithmetic of 32 and of 64 bits with an immediate.
            class @ (4 | 7) if self.code() & 8 == 0 => self.store_imm(class == 4, local, target),
            // Loads and stores.
            1..=3 => self.store_off(local, target),
            0 if self.code() == LDDW => self.store_wide(local, target),
            _ => Err(CoreProblem::Instruction { code: self.code() }),
        }
    }

    fn store_imm(&mut self, narrow: bool, local: Number, target: Number) -> Result<i64, CoreProblem> {
        let found = i64::from(self.imm());
        let same = found as u64 == local.value || narrow && u64::from(self.imm() as u32) == local.value;
        if local.certain && !same {
            return Err(CoreProblem::Mismatch { found, expected: local.value });
        }
        let fits = i32::try_from(target.value as i64).is_ok() || narrow && u32::try_from(target.value).is_ok();
        if !fits {
            return Err(CoreProblem::Range { value: target.value, bits: 32 });
        }
        self.set_imm(target.value as u32);
        Ok(found)
    }

    fn store_off(&mut self, local: Number, target: Number) -> Result<i64, CoreProblem> {
        let found = i64::from(self.off());
        if local.certain && found as u64 != local.value {
            return Err(CoreProblem::Mismatch { found, expected: local.value });
        }
        let value = i16::try_from(target.value).map_err(|_| CoreProblem::Range { value: target.value, bits: 16 })?;
        let sizes = (local.access.map_or(0, |(size, _)| size), target.access.map_or(0, |(size, _)| size));
        if sizes.0 != sizes.1 {
            self.resize(sizes.0, sizes.1)?;
        }
        self.endian.write(&mut self.bytes[2..4], u64::from(value as u16));
        Ok(found)
    }

    /// Makes the load or store one of another size.
    fn resize(&mut self, from: u32, to: u32) -> Result<(), CoreProblem> {
        const SIZES: [(u8, u32); 4] = [(0x00, 4), (0x08, 2), (0x10, 1), (0x18, 8)];
        let code = self.code();
        let access = SIZES.iter().find(|(bits, _)| *bits == code & 0x18).map_or(0, |(_, bytes)| *bytes);
        if access != from {
            return Err(CoreProblem::AccessSize { access, size: from });
        }
        let wanted = SIZES.iter().find(|(_, bytes)| *bytes == to);
        let (bits, _) = wanted.ok_or(CoreProblem::AccessSize { access, size: to })?;
        // A load of 64 bits has no sign to extend.
        let mode = if code & 0xe0 == MODE_MEMSX && to == 8 { MODE_MEM } else { code & 0xe0 };
        self.bytes[0] = mode | bits | code & 7;
        Ok(())
    }

    fn store_wide(&mut self, local: Number, target: Number) -> Result<i64, CoreProblem> {
        if self.source() != 0 || self.off() != 0 || self.bytes[BYTES..BYTES + 4] != [0; 4] {
            return Err(CoreProblem::Instruction { code: self.code() });
        }
        let high = self.endian.read(&self.bytes[12..16]);
        let found = u64::from(self.imm() as u32) | high << 32;
        if local.certain && found != local.value {
            return Err(CoreProblem::Mismatch { found: found as i64, expected: local.value });
        }
        self.set_imm(target.value as u32);
        self.endian.write(&mut self.bytes[12..16], target.value >> 32);
        Ok(found as i64)
    }

    /// Whether the instruction reads or writes memory.
    pub(super) fn is_access(&self) -> bool {
        matches!(self.code() & 7, 1..=3)
    }
}
