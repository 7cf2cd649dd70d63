//! Random programs.

use super::program::{
    Access, Entry, PACKET_SIZE, Place, Program, STACK_SIZE, Statement, TableCall, VALUE_SIZE, numbers, reg,
};
use super::random::Random;
use jitlink_arch_bpf::insn::{AluOp, AtomicOp, Condition, Immediate, Op, Operand, Reg, Size, Width};

/// How many functions a program has at most, main among them: as deep as the kernel lets calls go.
const MOST_FUNCTIONS: usize = 5;
/// How many branches a function has at most: the verifier walks every way through them.
const MOST_BRANCHES: usize = 6;

/// A random program for an entry.
pub(crate) fn program(seed: u64, entry: Entry) -> Program {
    let mut random = Random::new(seed);
    // The kernel has no legacy loads in programs with functions that have no type information.
    let count = if entry == Entry::SocketBuffer || random.percent(50) { 1 } else { 1 + random.below(MOST_FUNCTIONS) };
    let constants = (0..16).map(|_| random.constant()).collect();
    let functions = (0..count)
        .map(|index| {
            let statements = if index == 0 { 4 + random.below(50) } else { 1 + random.below(14) };
            let mut function = Function { random: &mut random, entry, index, count, branches: 0, loops: 0 };
            function.block(statements)
        })
        .collect();
    Program { entry, functions, constants }
}

struct Function<'r> {
    random: &'r mut Random,
    entry: Entry,
    index: usize,
    /// How many functions there are.
    count: usize,
    branches: usize,
    /// How many loops are around.
    loops: i16,
}

impl Function<'_> {
    fn block(&mut self, statements: usize) -> Vec<Statement> {
        (0..statements).map(|_| self.statement()).collect()
    }

    fn statement(&mut self) -> Statement {
        match self.random.below(100) {
            0..42 => Statement::Op(self.arithmetic()),
            42..46 => self.table(),
            46..75 => self.memory(),
            75..80 => self.indexed(),
            80..90 if self.may_branch() => self.branch(),
            90..93 if self.loops < 2 => self.repeat(),
            93..94 if self.may_branch() => {
                self.branches += 1;
                let count = 1 + self.random.below(3);
                Statement::MayGoto(self.block(count))
            }
            94..100 if self.loops == 0 && self.index + 1 < self.count => {
                Statement::Call(self.index + 1 + self.random.below(self.count - self.index - 1))
            }
            94..100 if self.entry == Entry::SocketBuffer => self.load_packet(),
            _ => Statement::Op(self.arithmetic()),
        }
    }

    fn may_branch(&self) -> bool {
        self.branches < if self.loops == 0 { MOST_BRANCHES } else { 2 }
    }

    fn number(&mut self) -> Reg {
        reg(self.random.pick(numbers(self.entry, self.index)))
    }

    fn operand(&mut self) -> Operand {
        if self.random.percent(60) { Operand::Reg(self.number()) } else { Operand::Imm(self.random.constant()) }
    }

    fn width(&mut self) -> Width {
        self.random.pick(&[Width::W32, Width::W64])
    }

    fn size(&mut self) -> Size {
        self.random.pick(&[Size::B, Size::H, Size::W, Size::DW])
    }

    fn arithmetic(&mut self) -> Op {
        use AluOp::{Add, And, Arsh, Div, Lsh, Mod, Mov, MovSx, Mul, Or, Rsh, SDiv, SMod, Sub, Xor};
        let (width, dst) = (self.width(), self.number());
        let bits = self.random.pick(&[16, 32, 64]);
        match self.random.below(24) {
            0 => return Op::Neg { width, dst },
            1 => return Op::ToBig { dst, bits },
            2 => return Op::ToLittle { dst, bits },
            3 => return Op::Swap { dst, bits },
            4 => return Op::LoadImm { dst, value: Immediate::Constant(self.random.value()) },
            5 | 6 => {
                let widths: &[u8] = if width == Width::W64 { &[8, 16, 32] } else { &[8, 16] };
                let op = MovSx(self.random.pick(widths));
                return Op::Alu { width, op, dst, src: Operand::Reg(self.number()) };
            }
            _ => {}
        }
        let op = self.random.pick(&[Add, Sub, Mul, Div, SDiv, Or, And, Lsh, Rsh, Mod, SMod, Xor, Mov, Arsh]);
        let src = match (op, self.operand()) {
            (Lsh | Rsh | Arsh, Operand::Imm(_)) => {
                Operand::Imm(self.random.below(if width == Width::W32 { 32 } else { 64 }) as i32)
            }
            (Div | SDiv | Mod | SMod, Operand::Imm(0)) => Operand::Imm(-1),
            (_, operand) => operand,
        };
        Op::Alu { width, op, dst, src }
    }

    /// A plain access, or an atomic one where the place allows it.
    fn access(&mut self, size: Size, plain: bool) -> Access {
        let whole = matches!(size, Size::W | Size::DW);
        match self.random.below(if plain { 7 } else { 10 }) {
            0..4 => Access::Load { signed: size != Size::DW && self.random.percent(50), dst: self.number() },
            4..7 => Access::Store(self.operand()),
            7 => Access::Acquire(self.number()),
            8 if !whole => Access::Release(self.number()),
            _ if !whole => Access::Release(self.number()),
            _ => {
                let fetch = self.random.percent(50);
                let op = self.random.pick(&[
                    AtomicOp::Add { fetch },
                    AtomicOp::Or { fetch },
                    AtomicOp::And { fetch },
                    AtomicOp::Xor { fetch },
                    AtomicOp::Xchg,
                    AtomicOp::CmpXchg,
                ]);
                Access::Atomic(op, self.number())
            }
        }
    }

    fn memory(&mut self) -> Statement {
        let size = self.size();
        let bytes = usize::from(size.bytes());
        let packet = self.index == 0 && self.entry != Entry::SocketBuffer;
        let kind = self.random.below(if packet { 3 } else { 2 });
        let access = self.access(size, kind == 2);
        let plain = matches!(access, Access::Load { .. } | Access::Store(_));
        let place = match kind {
            // The kernel demands alignment on the stack.
            0 => Place::Stack(-((bytes * (1 + self.random.below(STACK_SIZE / bytes))) as i16)),
            1 if plain => Place::Value(self.random.below(VALUE_SIZE - bytes + 1) as i16),
            1 => Place::Value((bytes * self.random.below(VALUE_SIZE / bytes)) as i16),
            _ => Place::Packet(self.random.below(PACKET_SIZE - bytes + 1) as i16),
        };
        Statement::Memory(access, size, place)
    }

    fn indexed(&mut self) -> Statement {
        let packet = self.index == 0 && self.entry != Entry::SocketBuffer && self.random.percent(50);
        let size = self.size();
        // These hold pointers when the access is made, whose bits differ from machine to machine.
        let free = |reg: Reg| if [3, 5].contains(&reg.number()) { Reg::R0 } else { reg };
        let access = match self.access(size, packet) {
            Access::Store(Operand::Reg(src)) => Access::Store(Operand::Reg(free(src))),
            Access::Atomic(op, src) => Access::Atomic(op, free(src)),
            Access::Release(src) => Access::Release(free(src)),
            access => access,
        };
        Statement::Indexed { access, size, index: self.number(), packet }
    }

    fn table(&mut self) -> Statement {
        // The others are destroyed by the call, or hold the address.
        let kept: Vec<Reg> =
            numbers(self.entry, self.index).iter().filter(|number| **number > 5).map(|number| reg(*number)).collect();
        let call = match self.random.below(4) {
            0 | 1 => {
                let size = self.size();
                let bytes = usize::from(size.bytes());
                let access = match self.access(size, false) {
                    Access::Load { signed, .. } => Access::Load { signed, dst: self.random.pick(&kept) },
                    Access::Store(Operand::Reg(_)) => Access::Store(Operand::Reg(self.random.pick(&kept))),
                    // r0 is the address, not what memory is compared with.
                    Access::Atomic(AtomicOp::CmpXchg, _) => Access::Atomic(AtomicOp::Xchg, self.random.pick(&kept)),
                    Access::Atomic(op, _) => Access::Atomic(op, self.random.pick(&kept)),
                    Access::Acquire(_) => Access::Acquire(self.random.pick(&kept)),
                    Access::Release(_) => Access::Release(self.random.pick(&kept)),
                    access => access,
                };
                TableCall::LookUp(access, size, (bytes * self.random.below(8 / bytes)) as i16)
            }
            2 => TableCall::Update(self.number(), self.random.pick(&[0, 0, 0, 1, 2, 3, 4])),
            _ => TableCall::Delete,
        };
        Statement::Table(call, self.number())
    }

    fn branch(&mut self) -> Statement {
        use Condition::{Eq, Ge, Gt, Le, Lt, Ne, SGe, SGt, SLe, SLt, Set};
        self.branches += 1;
        let condition = self.random.pick(&[Eq, Ne, Gt, Ge, Lt, Le, Set, SGt, SGe, SLt, SLe]);
        let test = (self.width(), condition, self.number(), self.operand());
        let (first, second) = (1 + self.random.below(4), self.random.below(4));
        let (then, other) = (self.block(first), self.block(second));
        Statement::If { test, then, other, long: self.random.percent(30) }
    }

    fn repeat(&mut self) -> Statement {
        let level = self.loops;
        self.loops += 1;
        let count = 1 + self.random.below(4);
        let body = self.block(count);
        self.loops -= 1;
        Statement::Loop { times: 1 + self.random.below(5) as i32, level, body }
    }

    fn load_packet(&mut self) -> Statement {
        let size = self.random.pick(&[Size::B, Size::H, Size::W]);
        let index = if self.random.percent(30) { Some(self.number()) } else { None };
        let offset = if self.random.percent(95) {
            self.random.below(PACKET_SIZE - usize::from(size.bytes()) + 1) as i32
        } else {
            self.random.constant()
        };
        Statement::LoadPacket { size, index, offset }
    }
}
