//! What instructions mean.

use std::fmt;

/// A register: `r0` to `r9`, and the frame pointer `r10`, which is never written (RFC 9669, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(u8);

impl Reg {
    /// Holds what functions return.
    pub const R0: Reg = Reg(0);
    /// Holds the first argument, a program's context.
    pub const R1: Reg = Reg(1);
    /// The frame pointer: one past the end of the function's stack frame.
    pub const FP: Reg = Reg(10);

    /// The register of a number from 0 to 10.
    pub const fn new(number: u8) -> Option<Reg> {
        if number <= 10 { Some(Reg(number)) } else { None }
    }

    /// Its number, at most 10.
    #[inline]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its number, as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// How many bits an operation works on. A 32-bit operation clears the upper half of its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// The lower half (`w0` to `w10`).
    W32,
    /// The whole register.
    W64,
}

/// The size of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Size {
    /// One byte.
    B,
    /// Two bytes.
    H,
    /// Four bytes.
    W,
    /// Eight bytes.
    DW,
}

impl Size {
    /// In bytes.
    #[inline]
    pub const fn bytes(self) -> u8 {
        match self {
            Size::B => 1,
            Size::H => 2,
            Size::W => 4,
            Size::DW => 8,
        }
    }
}

/// A second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// A constant, sign-extended to the operation's width.
    Imm(i32),
}

/// Arithmetic on a destination and an operand (RFC 9669, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AluOp {
    /// Wrapping addition.
    Add,
    /// Wrapping subtraction.
    Sub,
    /// Wrapping multiplication.
    Mul,
    /// Unsigned division; by zero it gives zero.
    Div,
    /// Signed division, truncating; by zero it gives zero, the least number by -1 itself.
    SDiv,
    /// Bitwise or.
    Or,
    /// Bitwise and.
    And,
    /// Shift left; the count is taken modulo the width.
    Lsh,
    /// Logical shift right.
    Rsh,
    /// Unsigned remainder; by zero the dividend stays (of a 32-bit operation its lower half).
    Mod,
    /// Signed remainder with the dividend's sign; by zero the dividend stays, by -1 it is zero.
    SMod,
    /// Bitwise exclusive or.
    Xor,
    /// Copies the operand.
    Mov,
    /// Copies the lower 8, 16 or 32 bits of a register, sign-extended.
    MovSx(u8),
    /// Arithmetic shift right.
    Arsh,
}

/// When a jump is taken (RFC 9669, section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Unsigned greater.
    Gt,
    /// Unsigned greater or equal.
    Ge,
    /// Unsigned less.
    Lt,
    /// Unsigned less or equal.
    Le,
    /// Some bit is set in both.
    Set,
    /// Signed greater.
    SGt,
    /// Signed greater or equal.
    SGe,
    /// Signed less.
    SLt,
    /// Signed less or equal.
    SLe,
}

/// Atomic operations on memory (RFC 9669, section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtomicOp {
    /// Adds; `fetch` puts the old value in the source register.
    Add {
        /// The old value is wanted.
        fetch: bool,
    },
    /// Bitwise or.
    Or {
        /// The old value is wanted.
        fetch: bool,
    },
    /// Bitwise and.
    And {
        /// The old value is wanted.
        fetch: bool,
    },
    /// Bitwise exclusive or.
    Xor {
        /// The old value is wanted.
        fetch: bool,
    },
    /// Exchanges memory and source register.
    Xchg,
    /// Stores the source register if memory equals `r0`; `r0` gets the old value, zero-extended.
    CmpXchg,
    /// Loads into the destination, from the source's address, before all that follows.
    LoadAcquire,
    /// Stores the source at the destination's address, after all that came before.
    StoreRelease,
}

/// What a 64-bit immediate load loads (RFC 9669, section 5.4). The numbers are those of the file; after linking for one address
/// space all of them are plain constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Immediate {
    /// The constant itself.
    Constant(u64),
    /// The map of a file descriptor.
    MapFd(i32),
    /// The address of a byte of the value of an array map of one element.
    MapValue {
        /// The map's file descriptor.
        fd: i32,
        /// Bytes into the value.
        offset: u32,
    },
    /// The address of a kernel variable, by its BTF id and that of the BTF object's descriptor.
    Variable {
        /// The BTF id.
        id: i32,
        /// The descriptor of a module's BTF; zero for the kernel's.
        btf: i32,
    },
    /// The address of a function, as a distance in words from the next instruction, for a callback.
    Function(i32),
    /// The map of an index into the list given at load time.
    MapIndex(i32),
    /// The address of a byte of such a map's value.
    MapIndexValue {
        /// The index.
        index: i32,
        /// Bytes into the value.
        offset: u32,
    },
}

/// What a call calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    /// A helper function by its number.
    Helper(u32),
    /// A function of the program: the distance in words from the next instruction.
    Local(i32),
    /// A kernel function by BTF id; `module` is an index into the list of descriptors given at load time, zero for the kernel.
    Kernel {
        /// The BTF id.
        id: i32,
        /// Which BTF object.
        module: i16,
    },
    /// The function whose address is in a register.
    Register(Reg),
}

/// One instruction.
///
/// Distances of jumps and calls count words from the word after the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `dst = dst op src`.
    Alu {
        /// On how many bits.
        width: Width,
        /// What is done.
        op: AluOp,
        /// The first operand and the result.
        dst: Reg,
        /// The second operand.
        src: Operand,
    },
    /// `dst = -dst`.
    Neg {
        /// On how many bits.
        width: Width,
        /// The operand and the result.
        dst: Reg,
    },
    /// Converts the lower `bits` of `dst` between the host's byte order and little endian; drops those above.
    ToLittle {
        /// The register.
        dst: Reg,
        /// 16, 32 or 64.
        bits: u8,
    },
    /// Converts the lower `bits` of `dst` between the host's byte order and big endian; drops those above.
    ToBig {
        /// The register.
        dst: Reg,
        /// 16, 32 or 64.
        bits: u8,
    },
    /// Reverses the lower `bits / 8` bytes of `dst`; drops those above.
    Swap {
        /// The register.
        dst: Reg,
        /// 16, 32 or 64.
        bits: u8,
    },
    /// Casts a pointer between the arena (address space 1, 32 bits) and the program's own address space (0).
    Cast {
        /// The result.
        dst: Reg,
        /// The pointer.
        src: Reg,
        /// From address space 0 to 1; otherwise from 1 to 0.
        to_arena: bool,
    },
    /// `dst = constant or address`; two words.
    LoadImm {
        /// The result.
        dst: Reg,
        /// What is loaded.
        value: Immediate,
    },
    /// `dst = *(src + off)`.
    Load {
        /// How much.
        size: Size,
        /// Whether it is sign-extended; otherwise zero-extended.
        signed: bool,
        /// The result.
        dst: Reg,
        /// The address.
        src: Reg,
        /// Bytes from the address.
        off: i16,
    },
    /// `*(dst + off) = src`.
    Store {
        /// How much.
        size: Size,
        /// The address.
        dst: Reg,
        /// The value; a constant is sign-extended.
        src: Operand,
        /// Bytes from the address.
        off: i16,
    },
    /// An atomic operation on `*(dst + off)`; a load-acquire on `*(src + off)`.
    Atomic {
        /// How much.
        size: Size,
        /// What is done.
        op: AtomicOp,
        /// The address; the result of a load-acquire.
        dst: Reg,
        /// The operand; the address of a load-acquire.
        src: Reg,
        /// Bytes from the address.
        off: i16,
    },
    /// `r0 = ` bytes of the packet of the context in `r6`, at `offset` plus `index`, in network byte order; ends the program with 0
    /// outside of the packet (RFC 9669, section 5.5).
    LoadPacket {
        /// How much: one, two or four bytes.
        size: Size,
        /// A register that is added, of an indirect load.
        index: Option<Reg>,
        /// Bytes from the packet's start; negative ones have meanings of their own.
        offset: i32,
    },
    /// Jumps.
    Jump {
        /// How far.
        off: i32,
        /// Spelt with the 32-bit immediate (`gotol`) rather than the 16-bit offset.
        long: bool,
    },
    /// Jumps if a condition holds.
    JumpIf {
        /// On how many bits operands are compared.
        width: Width,
        /// When.
        condition: Condition,
        /// The left operand.
        dst: Reg,
        /// The right operand.
        src: Operand,
        /// How far.
        off: i16,
    },
    /// May jump: it does once the program has gone on for too long.
    MayGoto {
        /// How far.
        off: i16,
    },
    /// Jumps to the instruction whose address is in a register.
    JumpRegister {
        /// The register.
        dst: Reg,
    },
    /// Calls.
    Call(Callee),
    /// Returns from the function.
    Exit,
}

impl Op {
    /// How many words it takes: two for a 64-bit immediate, one for all others.
    pub const fn words(&self) -> usize {
        match self {
            Op::LoadImm { .. } => 2,
            _ => 1,
        }
    }
}
