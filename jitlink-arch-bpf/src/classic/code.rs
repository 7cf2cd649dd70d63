//! What classic opcodes mean.

use super::Filter;

/// A second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    K,
    X,
}

/// Arithmetic on the accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alu {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
    Lsh,
    Rsh,
}

/// When a jump is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Eq,
    Gt,
    Ge,
    Set,
}

/// A known instruction; constants and distances stay in its [`Filter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// `A =` this many bytes of the packet at `k`.
    LoadAbsolute(u8),
    /// `A =` this many bytes of the packet at `X + k`.
    LoadIndirect(u8),
    /// `A =` the packet's length.
    LoadLength,
    LoadImmediate,
    LoadMemory,
    LoadIndexLength,
    LoadIndexImmediate,
    LoadIndexMemory,
    /// `X =` four times the lower half of the packet's byte at `k`: the size of an IPv4 header.
    LoadHeaderSize,
    Store,
    StoreIndex,
    Alu(Alu, Source),
    Negate,
    Jump,
    JumpIf(Test, Source),
    ReturnConstant,
    ReturnAccumulator,
    ToIndex,
    ToAccumulator,
}

/// The instruction of an opcode. Every bit counts: the kernel knows exactly these.
pub(super) fn code(filter: &Filter) -> Option<Code> {
    let source = if filter.code & 8 == 0 { Source::K } else { Source::X };
    Some(match filter.code {
        0x20 => Code::LoadAbsolute(4),
        0x28 => Code::LoadAbsolute(2),
        0x30 => Code::LoadAbsolute(1),
        0x40 => Code::LoadIndirect(4),
        0x48 => Code::LoadIndirect(2),
        0x50 => Code::LoadIndirect(1),
        0x80 => Code::LoadLength,
        0x00 => Code::LoadImmediate,
        0x60 => Code::LoadMemory,
        0x81 => Code::LoadIndexLength,
        0x01 => Code::LoadIndexImmediate,
        0x61 => Code::LoadIndexMemory,
        0xb1 => Code::LoadHeaderSize,
        0x02 => Code::Store,
        0x03 => Code::StoreIndex,
        0x04 | 0x0c => Code::Alu(Alu::Add, source),
        0x14 | 0x1c => Code::Alu(Alu::Sub, source),
        0x24 | 0x2c => Code::Alu(Alu::Mul, source),
        0x34 | 0x3c => Code::Alu(Alu::Div, source),
        0x44 | 0x4c => Code::Alu(Alu::Or, source),
        0x54 | 0x5c => Code::Alu(Alu::And, source),
        0x64 | 0x6c => Code::Alu(Alu::Lsh, source),
        0x74 | 0x7c => Code::Alu(Alu::Rsh, source),
        0x94 | 0x9c => Code::Alu(Alu::Mod, source),
        0xa4 | 0xac => Code::Alu(Alu::Xor, source),
        0x84 => Code::Negate,
        0x05 => Code::Jump,
        0x15 | 0x1d => Code::JumpIf(Test::Eq, source),
        0x25 | 0x2d => Code::JumpIf(Test::Gt, source),
        0x35 | 0x3d => Code::JumpIf(Test::Ge, source),
        0x45 | 0x4d => Code::JumpIf(Test::Set, source),
        0x06 => Code::ReturnConstant,
        0x16 => Code::ReturnAccumulator,
        0x07 => Code::ToIndex,
        0x87 => Code::ToAccumulator,
        _ => return None,
    })
}

/// Loads at these offsets and above read what the kernel knows of a packet instead of its bytes (`SKF_AD_OFF`).
pub(super) const ANCILLARY: u32 = 0xffff_f000;

/// What the kernel knows of a packet (`SKF_AD_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ancillary {
    Protocol,
    PacketType,
    Interface,
    Netlink,
    NestedNetlink,
    Mark,
    Queue,
    HardwareType,
    Hash,
    Cpu,
    /// `A ^= X`, from before there was an instruction for it.
    XorIndex,
    VlanTag,
    VlanTagPresent,
    PayloadOffset,
    Random,
    VlanProtocol,
}

/// What an absolute load reads instead of the packet's bytes, if it does.
pub(super) fn ancillary(code: Code, k: u32) -> Option<Ancillary> {
    if !matches!(code, Code::LoadAbsolute(_)) {
        return None;
    }
    Some(match k.checked_sub(ANCILLARY)? {
        0 => Ancillary::Protocol,
        4 => Ancillary::PacketType,
        8 => Ancillary::Interface,
        12 => Ancillary::Netlink,
        16 => Ancillary::NestedNetlink,
        20 => Ancillary::Mark,
        24 => Ancillary::Queue,
        28 => Ancillary::HardwareType,
        32 => Ancillary::Hash,
        36 => Ancillary::Cpu,
        40 => Ancillary::XorIndex,
        44 => Ancillary::VlanTag,
        48 => Ancillary::VlanTagPresent,
        52 => Ancillary::PayloadOffset,
        56 => Ancillary::Random,
        60 => Ancillary::VlanProtocol,
        _ => return None,
    })
}
