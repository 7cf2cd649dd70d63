//! A machine that is as simple as the text of RFC 9669: numbers of 128 bits, memory that is searched, no thought for speed.

use super::program::TABLE_ENTRIES;
use jitlink_arch_bpf::insn::{
    AluOp, AtomicOp, Callee, Condition, Immediate, Insn, Op, Operand, Reg, Size, Width, decode,
};
use std::collections::BTreeMap;

/// Where the map's value is.
pub(crate) const VALUE: u64 = 0x7000_0000;
/// Where values of the table are, by key.
const ELEMENTS: u64 = 0x8000_0000;
/// What stands for the table itself.
pub(crate) const TABLE: u64 = 0x4000_0000;
/// Where the packet is.
pub(crate) const PACKET: u64 = 0x6000_0000;
/// Where the first frame is; the next ones follow, with gaps.
const STACK: u64 = 0x5000_0000;
const FRAME_GAP: u64 = 0x1000;
const MOST_STEPS: usize = 4_000_000;

/// What a program sees and changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) value: Vec<u8>,
    pub(crate) packet: Vec<u8>,
    pub(crate) table: BTreeMap<u32, [u8; 8]>,
    /// The packet cannot be reached through pointers.
    pub(crate) hidden: bool,
}

struct Naive<'w> {
    world: &'w mut World,
    frames: Vec<Frame>,
    registers: [u64; 11],
}

struct Frame {
    stack: Vec<u8>,
    /// Where to return to, and the registers that calls keep.
    back: usize,
    kept: [u64; 5],
}

/// Runs a program that starts with these two arguments. An error is a fault, which valid programs do not have.
pub(crate) fn run(words: &[Insn], world: &mut World, arguments: [u64; 2]) -> Result<u64, String> {
    let mut naive = Naive { world, frames: Vec::new(), registers: [0; 11] };
    naive.registers[1..3].copy_from_slice(&arguments);
    naive.enter(0)?;
    let mut at = 0;
    for _ in 0..MOST_STEPS {
        let op = decode(words, at).map_err(|error| error.to_string())?;
        let next = at + op.words();
        at = match naive.step(&op, next).map_err(|what| format!("{at}: {op:?}: {what}"))? {
            Step::To(at) => at,
            Step::End(result) => return Ok(result),
        };
    }
    Err("it does not end".into())
}

enum Step {
    To(usize),
    End(u64),
}

impl Naive<'_> {
    fn enter(&mut self, back: usize) -> Result<(), String> {
        if self.frames.len() == 8 {
            return Err("calls are too deep".into());
        }
        let kept = [6, 7, 8, 9, 10].map(|register| self.registers[register]);
        self.frames.push(Frame { stack: vec![0xcc; 512], back, kept });
        self.registers[10] = STACK + (self.frames.len() as u64 - 1) * FRAME_GAP + 512;
        Ok(())
    }

    fn get(&self, reg: Reg) -> u64 {
        self.registers[reg.index()]
    }

    fn operand(&self, operand: Operand) -> u64 {
        match operand {
            Operand::Reg(reg) => self.get(reg),
            Operand::Imm(imm) => i64::from(imm) as u64,
        }
    }

    fn set(&mut self, reg: Reg, value: u64) {
        self.registers[reg.index()] = value;
    }

    fn step(&mut self, op: &Op, next: usize) -> Result<Step, String> {
        let jump = |off: i64| usize::try_from(next as i64 + off).map_err(|_| "jumps out of the program".to_owned());
        match *op {
            Op::Alu { width, op, dst, src } => {
                let result = arithmetic(width, op, self.get(dst), self.operand(src));
                self.set(dst, result);
            }
            Op::Neg { width, dst } => self.set(dst, cut(width, -i128::from(self.get(dst)))),
            // The machines that this runs on, and so the programs, are little endian.
            Op::ToLittle { dst, bits } => self.set(dst, (u128::from(self.get(dst)) & ((1 << bits) - 1)) as u64),
            Op::ToBig { dst, bits } | Op::Swap { dst, bits } => {
                let mut bytes = self.get(dst).to_le_bytes();
                bytes[..usize::from(bits / 8)].reverse();
                bytes[usize::from(bits / 8)..].fill(0);
                self.set(dst, u64::from_le_bytes(bytes));
            }
            Op::LoadImm { dst, value: Immediate::Constant(value) } => self.set(dst, value),
            Op::Load { size, signed, dst, src, off } => {
                let value = self.load(self.get(src).wrapping_add_signed(off.into()), size)?;
                self.set(dst, if signed { sign(size, value) } else { value });
            }
            Op::Store { size, dst, src, off } => {
                let value = self.operand(src);
                self.store(self.get(dst).wrapping_add_signed(off.into()), size, value)?;
            }
            Op::Atomic { size, op, dst, src, off } => self.atomic(size, op, (dst, src), off)?,
            Op::LoadPacket { size, index, offset } => match self.load_packet(size, index, offset) {
                Some(value) => self.set(Reg::R0, value),
                None => return Ok(Step::End(0)),
            },
            Op::Jump { off, .. } => return jump(off.into()).map(Step::To),
            Op::JumpIf { width, condition, dst, src, off } => {
                if holds(width, condition, self.get(dst), self.operand(src)) {
                    return jump(off.into()).map(Step::To);
                }
            }
            Op::MayGoto { .. } => {}
            Op::Call(Callee::Local(distance)) => {
                self.enter(next)?;
                return jump(distance.into()).map(Step::To);
            }
            Op::Call(Callee::Helper(number)) => {
                let result = self.help(number)?;
                self.set(Reg::R0, result);
            }
            Op::Exit => {
                let Some(frame) = self.frames.pop() else { return Err("there is nothing to return from".into()) };
                self.registers[6..].copy_from_slice(&frame.kept);
                if self.frames.is_empty() {
                    return Ok(Step::End(self.registers[0]));
                }
                return Ok(Step::To(frame.back));
            }
            _ => return Err("this machine does not know it".into()),
        }
        Ok(Step::To(next))
    }

    /// What look-ups, updates and deletions in the table return.
    fn help(&mut self, number: u32) -> Result<u64, String> {
        let [table, key, value, flags] = [1, 2, 3, 4].map(|register| self.registers[register]);
        if table != TABLE {
            return Err(format!("{table:#x} is no map"));
        }
        let key = self.load(key, Size::W)? as u32;
        let elements = &mut self.world.table;
        let (there, full) = (elements.contains_key(&key), elements.len() == TABLE_ENTRIES as usize);
        match number {
            1 => Ok(if there { ELEMENTS + 16 * u64::from(key) } else { 0 }),
            2 => {
                // ENOENT is 2, E2BIG 7, EEXIST 17, EINVAL 22.
                let error: i64 = match (flags, there) {
                    (3.., _) => 22,
                    (2, false) => 2,
                    (1, true) => 17,
                    (_, false) if full => 7,
                    _ => 0,
                };
                if error == 0 {
                    let value = self.load(value, Size::DW)?;
                    self.world.table.insert(key, value.to_le_bytes());
                }
                Ok((-error) as u64)
            }
            3 => Ok(if elements.remove(&key).is_some() { 0 } else { -2i64 as u64 }),
            _ => Err(format!("this machine has no helper {number}")),
        }
    }

    /// The bytes at an address.
    fn bytes(&mut self, address: u64, size: Size) -> Result<&mut [u8], String> {
        let hidden = self.world.hidden;
        let element = address.wrapping_sub(ELEMENTS) / 16;
        if let Some(value) = u32::try_from(element).ok().and_then(|key| self.world.table.get_mut(&key)) {
            let start = (address % 16) as usize;
            let bytes = value.get_mut(start..start + usize::from(size.bytes()));
            return bytes.ok_or_else(|| format!("{address:#x} is outside of an element"));
        }
        let places = [(VALUE, &mut self.world.value, false), (PACKET, &mut self.world.packet, hidden)];
        let frames = self.frames.iter_mut().enumerate();
        let stacks = frames.map(|(depth, frame)| (STACK + depth as u64 * FRAME_GAP, &mut frame.stack, false));
        for (start, bytes, hidden) in places.into_iter().chain(stacks) {
            let len = usize::from(size.bytes());
            if !hidden && address >= start && address - start + len as u64 <= bytes.len() as u64 {
                let at = (address - start) as usize;
                return Ok(&mut bytes[at..at + len]);
            }
        }
        Err(format!("there is nothing at {address:#x}"))
    }

    fn load(&mut self, address: u64, size: Size) -> Result<u64, String> {
        Ok(self.bytes(address, size)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn store(&mut self, address: u64, size: Size, value: u64) -> Result<(), String> {
        let bytes = self.bytes(address, size)?;
        bytes.copy_from_slice(&value.to_le_bytes()[..bytes.len()]);
        Ok(())
    }

    fn atomic(&mut self, size: Size, op: AtomicOp, (dst, src): (Reg, Reg), off: i16) -> Result<(), String> {
        if op == AtomicOp::LoadAcquire {
            let value = self.load(self.get(src).wrapping_add_signed(off.into()), size)?;
            self.set(dst, value);
            return Ok(());
        }
        let address = self.get(dst).wrapping_add_signed(off.into());
        let (old, operand) = (self.load(address, size)?, self.get(src));
        let (new, to) = match op {
            AtomicOp::Add { fetch } => (old.wrapping_add(operand), fetch.then_some(src)),
            AtomicOp::Or { fetch } => (old | operand, fetch.then_some(src)),
            AtomicOp::And { fetch } => (old & operand, fetch.then_some(src)),
            AtomicOp::Xor { fetch } => (old ^ operand, fetch.then_some(src)),
            AtomicOp::Xchg => (operand, Some(src)),
            AtomicOp::CmpXchg => {
                let expected = if size == Size::W { self.get(Reg::R0) & 0xffff_ffff } else { self.get(Reg::R0) };
                (if old == expected { operand } else { old }, Some(Reg::R0))
            }
            AtomicOp::StoreRelease => (operand, None),
            AtomicOp::LoadAcquire => (old, None),
        };
        self.store(address, size, new)?;
        if let Some(to) = to {
            self.set(to, old);
        }
        Ok(())
    }

    fn load_packet(&self, size: Size, index: Option<Reg>, offset: i32) -> Option<u64> {
        let index = index.map_or(0, |index| self.get(index) as i32);
        let start = usize::try_from(offset.wrapping_add(index)).ok()?;
        let bytes = self.world.packet.get(start..start.checked_add(usize::from(size.bytes()))?)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

/// The lower bits of a number that an operation on this width keeps.
fn cut(width: Width, value: i128) -> u64 {
    match width {
        Width::W32 => value as u32 as u64,
        Width::W64 => value as u64,
    }
}

fn unsigned(width: Width, value: u64) -> i128 {
    cut(width, value.into()).into()
}

fn signed(width: Width, value: u64) -> i128 {
    match width {
        Width::W32 => (value as i32).into(),
        Width::W64 => (value as i64).into(),
    }
}

fn sign(size: Size, value: u64) -> u64 {
    match size {
        Size::B => value as i8 as u64,
        Size::H => value as i16 as u64,
        Size::W => value as i32 as u64,
        Size::DW => value,
    }
}

fn arithmetic(width: Width, op: AluOp, left: u64, right: u64) -> u64 {
    let (a, b) = (unsigned(width, left), unsigned(width, right));
    let (sa, sb) = (signed(width, left), signed(width, right));
    let count = b & if width == Width::W32 { 31 } else { 63 };
    cut(
        width,
        match op {
            AluOp::Add => a + b,
            AluOp::Sub => a - b,
            AluOp::Mul => (a as u128).wrapping_mul(b as u128) as i128,
            AluOp::Div => a.checked_div(b).unwrap_or(0),
            AluOp::SDiv => sa.checked_div(sb).unwrap_or(0),
            AluOp::Or => a | b,
            AluOp::And => a & b,
            AluOp::Lsh => ((a as u128) << count) as i128,
            AluOp::Rsh => a >> count,
            AluOp::Mod => a.checked_rem(b).unwrap_or(a),
            AluOp::SMod => sa.checked_rem(sb).unwrap_or(sa),
            AluOp::Xor => a ^ b,
            AluOp::Mov => b,
            AluOp::MovSx(8) => (right as i8).into(),
            AluOp::MovSx(16) => (right as i16).into(),
            AluOp::MovSx(_) => (right as i32).into(),
            AluOp::Arsh => sa >> count,
        },
    )
}

fn holds(width: Width, condition: Condition, left: u64, right: u64) -> bool {
    let (a, b) = (unsigned(width, left), unsigned(width, right));
    let (sa, sb) = (signed(width, left), signed(width, right));
    match condition {
        Condition::Eq => a == b,
        Condition::Ne => a != b,
        Condition::Gt => a > b,
        Condition::Ge => a >= b,
        Condition::Lt => a < b,
        Condition::Le => a <= b,
        Condition::Set => a & b != 0,
        Condition::SGt => sa > sb,
        Condition::SGe => sa >= sb,
        Condition::SLt => sa < sb,
        Condition::SLe => sa <= sb,
    }
}
