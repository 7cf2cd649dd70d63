//! The out-of-line code under construction, with what must be filled in.

use super::rows;
use iced_x86::{Code, Encoder, Instruction, MemoryOperand, Register};
use jitlink_core::arch::Outlined;

/// Appends instructions. None of its own changes flags.
#[derive(Default)]
pub(super) struct Emitter {
    code: Vec<u8>,
    target_fixups: Vec<(u32, u16, i64)>,
    block_fixups: Vec<(u32, u16, i64)>,
}

impl Emitter {
    /// `movabs $target + addend, register`
    pub(super) fn address(&mut self, register: Register, addend: i64) {
        let number = register.number() as u8;
        self.code.extend([0x48 | number >> 3, 0xb8 | number & 7]);
        self.target_fixups.push((self.at(), rows::POINTER, addend));
        self.code.extend([0; 8]);
    }

    /// `lea -128(%rsp), %rsp; push register`
    pub(super) fn save(&mut self, register: Register) {
        self.code.extend([0x48, 0x8d, 0x64, 0x24, 0x80]);
        self.push(register);
    }

    /// `pop register; lea 128(%rsp), %rsp`
    pub(super) fn restore(&mut self, register: Register) {
        self.pop(register);
        self.code.extend([0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0]);
    }

    /// `pop register`
    pub(super) fn pop(&mut self, register: Register) {
        let number = register.number() as u8;
        if number >= 8 {
            self.code.push(0x41);
        }
        self.code.push(0x58 | number & 7);
    }

    /// `push register`
    pub(super) fn push(&mut self, register: Register) {
        let number = register.number() as u8;
        if number >= 8 {
            self.code.push(0x41);
        }
        self.code.push(0x50 | number & 7);
    }

    /// `xchg register, (%rsp)`
    pub(super) fn exchange_with_top(&mut self, register: Register) {
        let number = register.number() as u8;
        self.code.extend([0x48 | (number >> 3) << 2, 0x87, 0x04 | (number & 7) << 3, 0x24]);
    }

    /// `lea constant(other), register`
    pub(super) fn add_constant(&mut self, register: Register, other: Register, constant: i64) -> Result<(), String> {
        let operand = MemoryOperand::with_base_displ_size(other, constant, 1);
        let sum = Instruction::with2(Code::Lea_r64_m, register, operand).map_err(|error| error.to_string())?;
        self.instruction(&sum)
    }

    /// `lea shift(other, register), register`
    pub(super) fn add_register(&mut self, register: Register, other: Register, shift: i64) -> Result<(), String> {
        let operand = MemoryOperand::with_base_index_scale_displ_size(other, register, 1, shift, 1);
        let sum = Instruction::with2(Code::Lea_r64_m, register, operand).map_err(|error| error.to_string())?;
        self.instruction(&sum)
    }

    /// An instruction of the block, in its changed form. An operand that is relative to the instruction keeps its meaning.
    pub(super) fn instruction(&mut self, instruction: &Instruction) -> Result<(), String> {
        let mut encoder = Encoder::new(64);
        let length = encoder.encode(instruction, instruction.ip()).map_err(|error| error.to_string())?;
        let start = self.code.len();
        self.code.extend(encoder.take_buffer());
        if instruction.is_ip_rel_memory_operand() {
            let field = encoder.get_constant_offsets().displacement_offset();
            self.code[start + field..start + field + 4].fill(0);
            // Blocks are decoded as if they lay at zero.
            let in_block = instruction.ip_rel_memory_address() as i64;
            let addend = in_block - (length - field) as i64;
            self.block_fixups.push(((start + field) as u32, rows::NEAR, addend));
        }
        Ok(())
    }

    /// `jmp` to an offset of the block
    pub(super) fn jump_back(&mut self, to: u32) {
        self.code.push(0xe9);
        self.block_fixups.push((self.at(), rows::NEAR, i64::from(to) - 4));
        self.code.extend([0; 4]);
    }

    /// What to do: `patch` goes to `offset` of the block, and the jump in it has its field at `field`.
    pub(super) fn finish(self, offset: u32, patch: Vec<u8>, field: u32) -> Outlined {
        let Emitter { code, target_fixups, block_fixups } = self;
        Outlined { offset, patch, jump_row: rows::NEAR, jump: (field, -4), code, target_fixups, block_fixups }
    }

    fn at(&self) -> u32 {
        self.code.len() as u32
    }
}
