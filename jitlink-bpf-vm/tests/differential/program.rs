//! What random programs are made of: statements that stay valid when any of them is taken away.
//!
//! Every register that holds a number always holds one, from the function's first instructions on, and pointers stand in registers
//! that no statement writes. So the kernel accepts nearly every program, and a program that shows a difference can be cut.
//!
//! | register | main on a packet (XDP) | main on a socket buffer (tc) | functions |
//! | --- | --- | --- | --- |
//! | r0 to r5 | numbers | numbers | numbers |
//! | r6 | a number | the context | a number |
//! | r7 | the packet's end | a number | a number |
//! | r8 | the packet | a number | a number |
//! | r9 | the map's value | the map's value | the map's value |

use jitlink_arch_bpf::insn::{
    AluOp, AtomicOp, Callee, Condition, Immediate, Insn, Op, Operand, Reg, Size, Width, encode,
};

/// Bytes of the map's one value; the second half takes the results.
pub(crate) const VALUE_SIZE: usize = 128;
/// Where results are in it: the registers that hold numbers at the end.
pub(crate) const RESULTS: usize = 64;
/// How many elements the table has at most, and how many keys programs use: more, so that it gets full.
pub(crate) const TABLE_ENTRIES: u32 = 8;
pub(crate) const TABLE_KEYS: u32 = 16;
/// Bytes of the packet that main has checked to be there.
pub(crate) const PACKET_SIZE: usize = 96;
/// Bytes of the stack that statements use, below the frame pointer. Counters of loops are below them, then a key and a value.
pub(crate) const STACK_SIZE: usize = 64;
const KEY: i16 = -(STACK_SIZE as i16) - 24;
const NEW_VALUE: i16 = KEY - 8;

/// How a program is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// `struct xdp_md *`: the packet through the two pointers at its start.
    Xdp,
    /// `struct __sk_buff *`: the packet through the legacy loads.
    SocketBuffer,
    /// The packet's address and its length, in two registers.
    Memory,
}

/// How a machine names the two maps in 64-bit loads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maps {
    /// The value of the array's one element.
    pub(crate) value: Immediate,
    /// The hash table itself: keys of four bytes, values of eight.
    pub(crate) table: Immediate,
}

/// What is done to an element of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TableCall {
    /// Finds it and accesses its value. Registers that calls destroy take no part.
    LookUp(Access, Size, i16),
    /// Stores a register under flags that may be wrong.
    Update(Reg, i32),
    Delete,
}

/// A place in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Bytes from the frame pointer, negative.
    Stack(i16),
    /// Bytes from the start of the map's value.
    Value(i16),
    /// Bytes from the start of the packet.
    Packet(i16),
}

/// An access to memory, without its place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    Load { signed: bool, dst: Reg },
    Store(Operand),
    Atomic(AtomicOp, Reg),
    Acquire(Reg),
    Release(Reg),
}

/// A part of a program.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    /// An instruction on registers.
    Op(Op),
    /// An access to a constant place.
    Memory(Access, Size, Place),
    /// An access to a place that a register decides: the map's value, or the packet after a check.
    Indexed { access: Access, size: Size, index: Reg, packet: bool },
    /// Jumps over the first part to the second, if the condition holds; `long` is how the jump over the second is spelt.
    If { test: (Width, Condition, Reg, Operand), then: Vec<Statement>, other: Vec<Statement>, long: bool },
    /// Runs a part some times.
    Loop { times: i32, level: i16, body: Vec<Statement> },
    /// A jump that is only taken after very many.
    MayGoto(Vec<Statement>),
    /// Calls a function with the first five registers.
    Call(usize),
    /// A call of a helper on the element of the table whose key a register says.
    Table(TableCall, Reg),
    /// A legacy load of the packet.
    LoadPacket { size: Size, index: Option<Reg>, offset: i32 },
}

/// A random program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) entry: Entry,
    /// The first is main; each calls only later ones.
    pub(crate) functions: Vec<Vec<Statement>>,
    /// What registers and stack hold at first.
    pub(crate) constants: Vec<i32>,
}

pub(crate) fn reg(number: u8) -> Reg {
    Reg::new(number).expect("the register exists")
}

const FP: Reg = Reg::FP;

fn mov(dst: u8, src: Operand) -> Op {
    Op::Alu { width: Width::W64, op: AluOp::Mov, dst: reg(dst), src }
}

fn alu(op: AluOp, dst: u8, src: Operand) -> Op {
    Op::Alu { width: Width::W64, op, dst: reg(dst), src }
}

fn number(register: u8) -> Operand {
    Operand::Reg(reg(register))
}

/// The registers of main or another function that hold numbers.
pub(crate) fn numbers(entry: Entry, function: usize) -> &'static [u8] {
    match (function, entry) {
        (0, Entry::SocketBuffer) => &[0, 1, 2, 3, 4, 5, 7, 8],
        (0, _) => &[0, 1, 2, 3, 4, 5, 6],
        _ => &[0, 1, 2, 3, 4, 5, 6, 7, 8],
    }
}

impl Program {
    /// The instructions, for a machine that enters main as `entry` says and names maps like this.
    pub(crate) fn lower(&self, entry: Entry, maps: Maps) -> Vec<Insn> {
        let (mut words, mut starts) = (Vec::new(), vec![0; self.functions.len()]);
        let called = self.called();
        for (index, body) in self.functions.iter().enumerate() {
            if !called[index] {
                continue;
            }
            starts[index] = words.len();
            self.begin(index, entry, maps.value, &mut words);
            block(body, maps.table, &mut words);
            if index == 0 {
                for (slot, register) in numbers(self.entry, 0).iter().enumerate() {
                    let off = (RESULTS + 8 * slot) as i16;
                    encode(&Op::Store { size: Size::DW, dst: reg(9), src: number(*register), off }, &mut words);
                }
            }
            encode(&Op::Exit, &mut words);
        }
        for (at, word) in words.iter_mut().enumerate() {
            if (word.code, word.src) == (0x85, 1) {
                word.imm = starts[word.imm as usize] as i32 - (at as i32 + 1);
            }
        }
        words
    }

    /// Which functions are called; the kernel refuses code that nothing reaches.
    fn called(&self) -> Vec<bool> {
        fn visit(statements: &[Statement], called: &mut [bool]) {
            for statement in statements {
                match statement {
                    Statement::Call(function) => called[*function] = true,
                    Statement::If { then, other, .. } => [then, other].into_iter().for_each(|part| visit(part, called)),
                    Statement::Loop { body, .. } | Statement::MayGoto(body) => visit(body, called),
                    _ => {}
                }
            }
        }
        let mut called = vec![false; self.functions.len()];
        called[0] = true;
        // Functions call later ones only.
        for index in 0..called.len() {
            if called[index] {
                visit(&self.functions[index], &mut called);
            }
        }
        called
    }

    fn begin(&self, function: usize, entry: Entry, value: Immediate, words: &mut Vec<Insn>) {
        let mut emit = |op: Op| encode(&op, words);
        let constant = |index: usize| self.constants[(function * 7 + index) % self.constants.len()];
        let load = |dst, off| Op::Load { size: Size::W, signed: false, dst: reg(dst), src: reg(1), off };
        match entry {
            _ if function > 0 => {
                [(6, 1), (7, 2), (8, 3)].into_iter().for_each(|(to, from)| emit(mov(to, number(from))))
            }
            Entry::SocketBuffer => emit(mov(6, number(1))),
            Entry::Xdp => {
                emit(load(8, 0));
                emit(load(7, 4));
            }
            Entry::Memory => {
                emit(mov(8, number(1)));
                emit(mov(7, number(1)));
                emit(alu(AluOp::Add, 7, number(2)));
            }
        }
        if function == 0 && entry != Entry::SocketBuffer {
            emit(mov(0, number(8)));
            emit(alu(AluOp::Add, 0, Operand::Imm(PACKET_SIZE as i32)));
            let test = Condition::Le;
            emit(Op::JumpIf { width: Width::W64, condition: test, dst: reg(0), src: number(7), off: 2 });
            emit(mov(0, Operand::Imm(0)));
            emit(Op::Exit);
        }
        emit(Op::LoadImm { dst: reg(9), value });
        for slot in 1..=STACK_SIZE / 8 {
            let src = Operand::Imm(constant(slot));
            emit(Op::Store { size: Size::DW, dst: FP, src, off: -8 * slot as i16 });
        }
        // Main's numbers come from memory, where the verifier does not know them, or are constants, which it does.
        let unset = if function == 0 { numbers(self.entry, 0) } else { &[0] };
        for (index, register) in unset.iter().enumerate() {
            if constant(index) & 1 == 0 {
                emit(Op::Load {
                    size: Size::DW,
                    signed: false,
                    dst: reg(*register),
                    src: reg(9),
                    off: 8 * index as i16,
                });
            } else {
                emit(mov(*register, Operand::Imm(constant(index + 1))));
            }
        }
    }
}

fn block(statements: &[Statement], table: Immediate, words: &mut Vec<Insn>) {
    statements.iter().for_each(|statement| lower(statement, table, words));
}

fn lower(statement: &Statement, table: Immediate, words: &mut Vec<Insn>) {
    match statement {
        Statement::Op(op) => encode(op, words),
        Statement::Memory(access, size, place) => {
            let (base, off) = match *place {
                Place::Stack(off) => (FP, off),
                Place::Value(off) => (reg(9), off),
                Place::Packet(off) => (reg(8), off),
            };
            memory(*access, *size, base, off, words);
        }
        Statement::Indexed { access, size, index, packet } => indexed(*access, *size, *index, *packet, words),
        Statement::If { test, then, other, long } => branch(*test, [then, other], (*long, table), words),
        Statement::Loop { times, level, body } => repeat((*times, *level), body, table, words),
        Statement::Table(call, key) => table_call(*call, *key, table, words),
        Statement::MayGoto(body) => {
            let mut inner = Vec::new();
            block(body, table, &mut inner);
            encode(&Op::MayGoto { off: inner.len() as i16 }, words);
            words.append(&mut inner);
        }
        Statement::Call(function) => {
            encode(&Op::Call(Callee::Local(*function as i32)), words);
            renew(words);
        }
        Statement::LoadPacket { size, index, offset } => {
            if let Some(index) = index {
                encode(&alu(AluOp::And, index.number(), Operand::Imm(0x3f)), words);
            }
            encode(&Op::LoadPacket { size: *size, index: *index, offset: *offset }, words);
            renew(words);
        }
    }
}

/// Calls `bpf_map_lookup_elem`, `bpf_map_update_elem` or `bpf_map_delete_elem`, which are 1, 2 and 3.
fn table_call(call: TableCall, key: Reg, table: Immediate, words: &mut Vec<Insn>) {
    if let TableCall::Update(value, _) = call {
        encode(&Op::Store { size: Size::DW, dst: FP, src: Operand::Reg(value), off: NEW_VALUE }, words);
    }
    encode(&mov(4, Operand::Reg(key)), words);
    encode(&alu(AluOp::And, 4, Operand::Imm(TABLE_KEYS as i32 - 1)), words);
    encode(&Op::Store { size: Size::W, dst: FP, src: number(4), off: KEY }, words);
    encode(&Op::LoadImm { dst: reg(1), value: table }, words);
    encode(&mov(2, Operand::Reg(FP)), words);
    encode(&alu(AluOp::Add, 2, Operand::Imm(KEY.into())), words);
    let number_of_helper = match call {
        TableCall::LookUp(..) => 1,
        TableCall::Update(_, flags) => {
            encode(&mov(3, Operand::Reg(FP)), words);
            encode(&alu(AluOp::Add, 3, Operand::Imm(NEW_VALUE.into())), words);
            encode(&mov(4, Operand::Imm(flags)), words);
            2
        }
        TableCall::Delete => 3,
    };
    encode(&Op::Call(Callee::Helper(number_of_helper)), words);
    if let TableCall::LookUp(access, size, off) = call {
        let mut found = Vec::new();
        memory(access, size, Reg::R0, off, &mut found);
        encode(&mov(0, Operand::Imm(1)), &mut found);
        let (condition, off) = (Condition::Eq, found.len() as i16);
        encode(&Op::JumpIf { width: Width::W64, condition, dst: Reg::R0, src: Operand::Imm(0), off }, words);
        words.append(&mut found);
    }
    renew(words);
}

/// Gives the registers that a call destroyed numbers again.
fn renew(words: &mut Vec<Insn>) {
    for register in 1..=5 {
        let src = if register % 2 == 0 { number(0) } else { Operand::Imm(register.into()) };
        encode(&mov(register, src), words);
    }
}

fn memory(access: Access, size: Size, base: Reg, off: i16, words: &mut Vec<Insn>) {
    let op = match access {
        Access::Load { signed, dst } => Op::Load { size, signed, dst, src: base, off },
        Access::Store(src) => Op::Store { size, dst: base, src, off },
        Access::Atomic(op, src) => Op::Atomic { size, op, dst: base, src, off },
        Access::Acquire(dst) => Op::Atomic { size, op: AtomicOp::LoadAcquire, dst, src: base, off },
        Access::Release(src) => Op::Atomic { size, op: AtomicOp::StoreRelease, dst: base, src, off },
    };
    encode(&op, words);
    // Linux 6.18 leaves out the extension of r0 where the verifier ends a way that comes to a state which it knows already
    // (found by this test), so the upper half that RFC 9669 wants to be zero is made so here.
    if let (Access::Atomic(AtomicOp::CmpXchg, _), Size::W) = (access, size) {
        encode(&Op::Alu { width: Width::W32, op: AluOp::Mov, dst: Reg::R0, src: number(0) }, words);
    }
}

fn indexed(access: Access, size: Size, index: Reg, packet: bool, words: &mut Vec<Insn>) {
    let plain = matches!(access, Access::Load { .. } | Access::Store(_));
    // r5 is the pointer, r4 what is added.
    encode(&mov(4, Operand::Reg(index)), words);
    encode(&alu(AluOp::And, 4, Operand::Imm(if plain { 0x3f } else { 0x38 })), words);
    encode(&mov(5, number(if packet { 8 } else { 9 })), words);
    encode(&alu(AluOp::Add, 5, number(4)), words);
    if packet {
        let mut inner = Vec::new();
        memory(access, size, reg(5), 0, &mut inner);
        encode(&mov(3, number(5)), words);
        encode(&alu(AluOp::Add, 3, Operand::Imm(8)), words);
        let off = inner.len() as i16;
        let condition = Condition::Gt;
        encode(&Op::JumpIf { width: Width::W64, condition, dst: reg(3), src: number(7), off }, words);
        words.append(&mut inner);
        encode(&mov(3, number(4)), words);
    } else {
        memory(access, size, reg(5), 0, words);
    }
    encode(&mov(5, number(4)), words);
}

fn branch(
    test: (Width, Condition, Reg, Operand),
    parts: [&[Statement]; 2],
    (long, table): (bool, Immediate),
    words: &mut Vec<Insn>,
) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    block(parts[0], table, &mut first);
    block(parts[1], table, &mut second);
    if !second.is_empty() {
        encode(&Op::Jump { off: second.len() as i32, long }, &mut first);
    }
    let (width, condition, dst, src) = test;
    encode(&Op::JumpIf { width, condition, dst, src, off: first.len() as i16 }, words);
    words.append(&mut first);
    words.append(&mut second);
}

fn repeat((times, level): (i32, i16), body: &[Statement], table: Immediate, words: &mut Vec<Insn>) {
    let off = -(STACK_SIZE as i16) - 8 * (level + 1);
    let mut inner = Vec::new();
    block(body, table, &mut inner);
    encode(&Op::Load { size: Size::DW, signed: false, dst: reg(5), src: FP, off }, &mut inner);
    encode(&alu(AluOp::Add, 5, Operand::Imm(-1)), &mut inner);
    encode(&Op::Store { size: Size::DW, dst: FP, src: number(5), off }, &mut inner);
    let back = -(inner.len() as i16) - 1;
    let condition = Condition::Ne;
    encode(&Op::JumpIf { width: Width::W64, condition, dst: reg(5), src: Operand::Imm(0), off: back }, &mut inner);
    encode(&Op::Store { size: Size::DW, dst: FP, src: Operand::Imm(times), off }, words);
    words.append(&mut inner);
}
