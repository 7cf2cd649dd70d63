//! The kernel's rules for classic programs.

use super::code::{ANCILLARY, Alu, Code, Source, ancillary, code};
use super::{ClassicError, Filter, FilterKind, MAX_INSTRUCTIONS};

/// Words of memory.
const MEMORY: u32 = 16;
/// The size of `struct seccomp_data`.
pub(super) const SECCOMP_DATA: u32 = 64;

/// Checks a program as the kernel does before it attaches one: known instructions, jumps that stay inside and go forward,
/// constants in range, no read of memory that no path has written, a return at the end; for seccomp also that loads are
/// aligned words of `struct seccomp_data` and that nothing asks for more.
pub fn check(program: &[Filter], kind: FilterKind) -> Result<(), ClassicError> {
    if program.is_empty() || program.len() > MAX_INSTRUCTIONS {
        let count = program.len();
        return Err(ClassicError::Size(format!("a program has 1 to {MAX_INSTRUCTIONS} instructions, not {count}")));
    }
    for (index, filter) in program.iter().enumerate() {
        let known = code(filter).ok_or_else(|| broken(program, index, "there is no instruction with this code"))?;
        check_one(known, filter, program.len() - index - 1).map_err(|what| broken(program, index, &what))?;
        if kind == FilterKind::Seccomp {
            check_seccomp(known, filter).map_err(|what| broken(program, index, what))?;
        }
    }
    if !matches!(program.last().and_then(code), Some(Code::ReturnConstant | Code::ReturnAccumulator)) {
        return Err(broken(program, program.len() - 1, "the last instruction must return"));
    }
    check_memory(program)
}

fn broken(program: &[Filter], index: usize, what: &str) -> ClassicError {
    let filter = program[index];
    ClassicError::Instruction { index, code: filter.code, k: filter.k, what: what.into() }
}

/// What is wrong with an instruction that `behind` others follow.
fn check_one(code: Code, filter: &Filter, behind: usize) -> Result<(), String> {
    let k = filter.k;
    match code {
        Code::Alu(Alu::Div | Alu::Mod, Source::K) if k == 0 => Err("it divides by the constant 0".into()),
        Code::Alu(Alu::Lsh | Alu::Rsh, Source::K) if k >= 32 => Err(format!("it shifts 32 bits by {k}")),
        Code::LoadMemory | Code::LoadIndexMemory | Code::Store | Code::StoreIndex if k >= MEMORY => {
            Err(format!("there are {MEMORY} words of memory"))
        }
        Code::Jump if k as usize >= behind => {
            Err(format!("it jumps over {k} of the {behind} instructions that follow"))
        }
        Code::JumpIf(..) => match [filter.jt, filter.jf].into_iter().find(|skip| usize::from(*skip) >= behind) {
            Some(skip) => Err(format!("it jumps over {skip} of the {behind} instructions that follow")),
            None => Ok(()),
        },
        Code::LoadAbsolute(_) if k >= ANCILLARY && ancillary(code, k).is_none() => {
            Err(format!("nothing is known as {:#x} of a packet (SKF_AD_*)", k - ANCILLARY))
        }
        _ => Ok(()),
    }
}

fn check_seccomp(code: Code, filter: &Filter) -> Result<(), &'static str> {
    match code {
        Code::LoadAbsolute(4) if filter.k < SECCOMP_DATA && filter.k.is_multiple_of(4) => Ok(()),
        Code::LoadAbsolute(4) => Err("the load is no aligned word of the 64 bytes of struct seccomp_data"),
        Code::LoadAbsolute(_) | Code::LoadIndirect(_) | Code::LoadHeaderSize => Err("seccomp filters load words only"),
        Code::Alu(Alu::Mod, _) => Err("seccomp filters have no remainder"),
        _ => Ok(()),
    }
}

/// Checks that each word of memory is written before it is read, on every path.
fn check_memory(program: &[Filter]) -> Result<(), ClassicError> {
    // The words that are written on every path to each instruction, as bits. Jumps go forward, so one walk is enough.
    let mut written = vec![u16::MAX; program.len()];
    let mut now = 0u16;
    for (index, filter) in program.iter().enumerate() {
        now &= written[index];
        let mut meet = |skip: u32, now: u16| {
            if let Some(target) = written.get_mut(index + 1 + skip as usize) {
                *target &= now;
            }
        };
        match code(filter) {
            Some(Code::Store | Code::StoreIndex) => now |= 1 << filter.k,
            Some(Code::LoadMemory | Code::LoadIndexMemory) if now & 1 << filter.k == 0 => {
                return Err(broken(program, index, "it reads a word of memory that some path has not written"));
            }
            Some(Code::Jump) => {
                meet(filter.k, now);
                now = u16::MAX;
            }
            Some(Code::JumpIf(..)) => {
                meet(filter.jt.into(), now);
                meet(filter.jf.into(), now);
                now = u16::MAX;
            }
            _ => {}
        }
    }
    Ok(())
}
