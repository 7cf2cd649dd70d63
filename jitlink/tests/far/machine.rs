//! A machine that knows just enough of x86-64 to see where code arrives: it decodes what was linked, follows calls, jumps and
//! pointers, and tells every access outside the image.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use jitlink::core::image::ImageSegment;
use std::collections::HashMap;

/// What a run did outside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Code at this address was called, or jumped to.
    Left(u64),
    /// Memory at this address was read or written.
    Access(u64),
}

const RETURN: u64 = 0xdead_0000_dead_0001;
/// Addresses around here are the stack, whatever else may lie there.
const STACK: u64 = 0x5555_0000_0000_8000;

pub(crate) struct Machine<'i> {
    segments: &'i [ImageSegment],
    registers: [u64; 16],
    stack: HashMap<u64, u64>,
    events: Vec<Event>,
}

/// Runs a function; what it did outside the image.
pub(crate) fn run(segments: &[ImageSegment], entry: u64) -> Vec<Event> {
    let mut machine = Machine { segments, registers: [0; 16], stack: HashMap::new(), events: Vec::new() };
    machine.registers[4] = STACK;
    machine.push(RETURN);
    let mut at = entry;
    for _ in 0..1000 {
        if at == RETURN {
            assert_eq!(machine.registers[4], STACK, "the stack is as it was");
            return machine.events;
        }
        at = match machine.bytes(at, 1) {
            None => {
                machine.events.push(Event::Left(at));
                machine.pop()
            }
            Some(_) => machine.step(at),
        };
    }
    panic!("the code does not end");
}

impl Machine<'_> {
    fn bytes(&self, address: u64, size: usize) -> Option<&[u8]> {
        self.segments.iter().find_map(|segment| {
            let start = usize::try_from(address.checked_sub(segment.address.0)?).ok()?;
            segment.bytes().get(start..start.checked_add(size)?)
        })
    }

    fn read(&mut self, address: u64) -> u64 {
        if let Some(value) = self.stack.get(&address) {
            return *value;
        }
        match self.bytes(address, 8) {
            Some(bytes) => u64::from_le_bytes(bytes.try_into().expect("eight bytes")),
            None => {
                self.events.push(Event::Access(address));
                0
            }
        }
    }

    fn push(&mut self, value: u64) {
        self.registers[4] -= 8;
        self.stack.insert(self.registers[4], value);
    }

    fn pop(&mut self) -> u64 {
        let value = self.stack.remove(&self.registers[4]).expect("something on the stack");
        self.registers[4] += 8;
        value
    }

    fn register(&self, register: Register) -> u64 {
        if register == Register::None { 0 } else { self.registers[register.number()] }
    }

    fn operand_address(&self, instruction: &Instruction) -> u64 {
        if instruction.is_ip_rel_memory_operand() {
            return instruction.ip_rel_memory_address();
        }
        if instruction.op_kinds().any(|kind| kind == OpKind::Memory) {
            let index =
                self.register(instruction.memory_index()).wrapping_mul(u64::from(instruction.memory_index_scale()));
            let base = self.register(instruction.memory_base());
            return base.wrapping_add(index).wrapping_add(instruction.memory_displacement64());
        }
        0
    }

    fn value(&mut self, instruction: &Instruction, operand: u32) -> u64 {
        match instruction.op_kind(operand) {
            OpKind::Register => self.register(instruction.op_register(operand)),
            OpKind::Memory => self.read(self.operand_address(instruction)),
            OpKind::NearBranch64 => instruction.near_branch64(),
            _ => instruction.immediate(operand),
        }
    }

    fn store(&mut self, instruction: &Instruction, value: u64) {
        match instruction.op_kind(0) {
            OpKind::Register => {
                let register = instruction.op0_register();
                let mask = if register.size() == 4 { 0xffff_ffff } else { u64::MAX };
                if register.is_gpr() {
                    self.registers[register.number()] = value & mask;
                }
            }
            _ => {
                let address = self.operand_address(instruction);
                match self.stack.get_mut(&address) {
                    Some(place) => *place = value,
                    None => self.events.push(Event::Access(address)),
                }
            }
        }
    }

    /// One instruction; where the next one is.
    fn step(&mut self, at: u64) -> u64 {
        let available = (1..=15).rev().find_map(|size| self.bytes(at, size)).expect("code").to_vec();
        let instruction = Decoder::with_ip(64, &available, at, DecoderOptions::NONE).decode();
        let next = instruction.next_ip();
        match instruction.mnemonic() {
            Mnemonic::Ret => return self.pop(),
            Mnemonic::Jmp => return self.value(&instruction, 0),
            // The branch is taken, and its target returns to the end of the run.
            Mnemonic::Je => return instruction.near_branch64(),
            Mnemonic::Call => {
                let target = self.value(&instruction, 0);
                self.push(next);
                return target;
            }
            Mnemonic::Push => {
                let value = self.value(&instruction, 0);
                self.push(value);
            }
            Mnemonic::Pop => {
                let value = self.pop();
                self.store(&instruction, value);
            }
            Mnemonic::Lea => {
                let address = self.operand_address(&instruction);
                self.store(&instruction, address);
            }
            Mnemonic::Mov => {
                let value = self.value(&instruction, 1);
                self.store(&instruction, value);
            }
            Mnemonic::Add => {
                let sum = self.value(&instruction, 0).wrapping_add(self.value(&instruction, 1));
                self.store(&instruction, sum);
            }
            Mnemonic::Xchg => {
                let (first, second) = (self.value(&instruction, 0), self.value(&instruction, 1));
                self.store(&instruction, second);
                self.registers[instruction.op1_register().number()] = first;
            }
            Mnemonic::Nop => {}
            Mnemonic::Cmp | Mnemonic::Movups => {
                let memory = instruction.op_kinds().any(|kind| kind == OpKind::Memory);
                assert!(memory, "{instruction:?}");
                self.events.push(Event::Access(self.operand_address(&instruction)));
            }
            other => panic!("{at:#x}: {other:?} is unknown: {instruction:?}"),
        }
        next
    }
}
