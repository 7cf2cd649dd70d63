//! Instructions that do the work of several.
//!
//! Compilers write the same few sequences again and again, because BPF has two operands an instruction and no indexed addresses.
//! Where one begins, its first instruction is replaced by one that does all of it and goes on after it. The others stay where
//! they are: a jump into the middle of a sequence finds them as they were, and so does the next instruction's own sequence.
//!
//! | sequence | becomes |
//! | --- | --- |
//! | `if a < b goto +1; goto x` | `if a >= b goto x`, two words long |
//! | `a += 1; if a < b goto x` | one instruction, also with the above |
//! | `a = b; a += c` | `a = b + c`, and so with other operations |
//! | `a = b; a += c; d = *(a + 8)` | one instruction |
//!
//! What is charged to the budget is the same as without, because words are charged for, not instructions.

use super::{Code, Inst};

/// Replaces the starts of sequences.
pub(super) fn fuse(insts: &mut [Inst]) {
    for at in 0..insts.len().saturating_sub(1) {
        if let Some(fused) = over_goto(&insts[at], &insts[at + 1]) {
            insts[at] = fused;
        }
    }
    let single = insts.to_vec();
    for at in 0..insts.len().saturating_sub(2) {
        let next = &single[at + 1..];
        let fused = match single[at].code {
            Code::Add64I => add_and_branch(&single[at], &next[0]),
            Code::Mov64R => index_and_load(&single[at], &next[0], &next[1]).or_else(|| three(&single[at], &next[0])),
            _ => None,
        };
        if let Some(fused) = fused {
            insts[at] = fused;
        }
    }
}

/// A conditional jump over an unconditional one.
fn over_goto(branch: &Inst, goto: &Inst) -> Option<Inst> {
    if branch.jump != 2 || goto.code != Code::Jump {
        return None;
    }
    let code = inverse(branch.code)?;
    Some(Inst { code, jump: goto.jump.checked_add(1)?, extra: 2, ..*branch })
}

fn inverse(code: Code) -> Option<Code> {
    use Code::*;
    const PAIRS: [[Code; 2]; 20] = [
        [Eq64R, Ne64R],
        [Eq64I, Ne64I],
        [Gt64R, Le64R],
        [Gt64I, Le64I],
        [Ge64R, Lt64R],
        [Ge64I, Lt64I],
        [SGt64R, SLe64R],
        [SGt64I, SLe64I],
        [SGe64R, SLt64R],
        [SGe64I, SLt64I],
        [Eq32R, Ne32R],
        [Eq32I, Ne32I],
        [Gt32R, Le32R],
        [Gt32I, Le32I],
        [Ge32R, Lt32R],
        [Ge32I, Lt32I],
        [SGt32R, SLe32R],
        [SGt32I, SLe32I],
        [SGe32R, SLt32R],
        [SGe32I, SLt32I],
    ];
    let pair = PAIRS.iter().find(|pair| pair.contains(&code))?;
    Some(if pair[0] == code { pair[1] } else { pair[0] })
}

/// An addition of a small constant, and a branch on its result.
fn add_and_branch(add: &Inst, branch: &Inst) -> Option<Inst> {
    let code = match branch.code {
        Code::Eq64R => Code::AddEq64R,
        Code::Eq64I => Code::AddEq64I,
        Code::Ne64R => Code::AddNe64R,
        Code::Ne64I => Code::AddNe64I,
        Code::Gt64R => Code::AddGt64R,
        Code::Gt64I => Code::AddGt64I,
        Code::Ge64R => Code::AddGe64R,
        Code::Ge64I => Code::AddGe64I,
        Code::Lt64R => Code::AddLt64R,
        Code::Lt64I => Code::AddLt64I,
        Code::Le64R => Code::AddLe64R,
        Code::Le64I => Code::AddLe64I,
        _ => return None,
    };
    if add.dst != branch.dst {
        return None;
    }
    let off = i16::try_from(add.imm).ok()?;
    Some(Inst { code, off, jump: branch.jump.checked_add(1)?, extra: branch.extra + 1, ..*branch })
}

/// A copy, and an operation on it.
fn three(copy: &Inst, alu: &Inst) -> Option<Inst> {
    let code = match alu.code {
        Code::Add64R => Code::Add3R,
        Code::Sub64R => Code::Sub3R,
        Code::Mul64R => Code::Mul3R,
        Code::Xor64R => Code::Xor3R,
        Code::Add64I => Code::Add3I,
        Code::And64I => Code::And3I,
        Code::Lsh64I => Code::Lsh3I,
        Code::Rsh64I => Code::Rsh3I,
        _ => return None,
    };
    // The operation reads its source after the copy has changed the destination.
    let same = matches!(code, Code::Add3R | Code::Sub3R | Code::Mul3R | Code::Xor3R) && alu.src == copy.dst;
    (alu.dst == copy.dst && !same).then_some(Inst { code, third: alu.src, imm: alu.imm, ..*copy })
}

/// A copy of an address, the addition of an index, and a load from there.
fn index_and_load(copy: &Inst, add: &Inst, load: &Inst) -> Option<Inst> {
    let code = match load.code {
        Code::Load8 => Code::IndexLoad8,
        Code::Load16 => Code::IndexLoad16,
        Code::Load32 => Code::IndexLoad32,
        Code::Load64 => Code::IndexLoad64,
        _ => return None,
    };
    let fits = add.code == Code::Add64R && add.dst == copy.dst && add.src != copy.dst && load.src == copy.dst;
    // The address goes to `third`, what is loaded to `dst`.
    let index = add.src as i32;
    fits.then_some(Inst { code, dst: load.dst, src: copy.src, third: copy.dst, imm: index, ..*load })
}
