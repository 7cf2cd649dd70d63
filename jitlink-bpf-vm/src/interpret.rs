//! The interpreter.
//!
//! **Budget.** Instructions that follow each other are not counted one by one. Where the program leaves that order (a jump back, a
//! call, a return) it is charged for all words since it last did, those that it jumped over included. So it never executes more
//! than it is charged for; when it finds its budget spent it has gone beyond it by less than the length of its code.

use crate::access::Word;
use crate::call::Call;
use crate::code::{Code, Inst, Slot, Unit};
use crate::fault::{Access, Fault, FaultKind};
use crate::functions::HostFunction;
use crate::machine::{Machine, Registers};
use jitlink_core::Endian;
use std::sync::Arc;

/// Why the loop over instructions of one unit ends. Indices are of the last instruction.
enum Stop {
    /// The function returns.
    Return(usize),
    /// The host's function is called.
    Host(usize),
    /// A function at an address is called.
    Call { at: usize, target: u64 },
    /// It cannot go on.
    Fault(usize, FaultKind),
}

/// Where to go on, if not after the call.
type Next = Option<(Arc<Unit>, usize)>;

impl Machine<'_> {
    /// Runs from the instruction of an index until the function returns.
    pub(crate) fn interpret(&mut self, unit: Arc<Unit>, index: usize) -> Result<u64, Fault> {
        let (mut unit, mut index) = (unit, index);
        loop {
            let (at, next) = match self.step(&unit, index) {
                Stop::Return(_) if self.is_outermost() => return Ok(self.registers[Slot::R0]),
                Stop::Return(at) => (at, self.paid().map(|()| self.pop())),
                Stop::Host(at) => (at, self.call_host(&unit, at)),
                Stop::Call { at, target } => (at, self.call_far(&unit, at, target)),
                Stop::Fault(at, kind) => (at, Err(kind.into())),
            };
            match next {
                Ok(Some(next)) => (unit, index) = next,
                Ok(None) => index = at + 1,
                Err(mut fault) => {
                    fault.extend(self.trace(&unit, at));
                    return Err(fault);
                }
            }
        }
    }

    /// Calls what a call of a helper or kernel function names.
    fn call_host(&mut self, unit: &Arc<Unit>, at: usize) -> Result<Next, Fault> {
        let inst = unit.insts()[at];
        let shared = self.shared;
        let function = if inst.code == Code::CallHelper {
            let number = inst.imm as u32;
            shared.functions.helper(number).ok_or(FaultKind::NoHelper(number))?
        } else {
            let name = || FaultKind::NoKernelFunction(unit.missing(at).unwrap_or_default().into());
            shared.functions.named(inst.imm as u32).ok_or_else(name)?
        };
        self.call_function(function, unit)
    }

    /// Enters the function at an address: of other code, or of the host.
    fn call_far(&mut self, unit: &Arc<Unit>, at: usize, target: u64) -> Result<Next, Fault> {
        let shared = self.shared;
        if let Some(function) = shared.functions.index_at(target).and_then(|index| shared.functions.named(index)) {
            return self.call_function(function, unit);
        }
        self.paid()?;
        let next = self.code_at(target).ok_or(FaultKind::NoFunction(target))?;
        self.push(unit, at)?;
        Ok(Some(next))
    }

    fn call_function(&mut self, function: &HostFunction, unit: &Unit) -> Result<Next, Fault> {
        self.paid()?;
        let arguments = self.registers.arguments();
        self.registers[Slot::R0] = function(&mut Call::new(self, arguments, unit.endian()))?;
        let Some(program) = self.next.take() else { return Ok(None) };
        // The program takes the place of this function, in its frame.
        let next = self.code_at(program).ok_or(FaultKind::NoFunction(program))?;
        for (slot, argument) in Slot::ALL[1..].iter().zip(self.context.arguments()) {
            self.registers[*slot] = argument;
        }
        Ok(Some(next))
    }

    /// Whether the program was charged for no more than its budget.
    fn paid(&self) -> Result<(), Fault> {
        if self.budget < 0 { Err(FaultKind::Budget(self.total_budget).into()) } else { Ok(()) }
    }
}

impl Registers {
    fn arguments(&self) -> [u64; 5] {
        [self[Slot::R1], self[Slot::R2], self[Slot::R3], self[Slot::R4], self[Slot::R5]]
    }
}

/// Signed division as programs have it: by zero gives zero, and the least number by -1 gives itself.
macro_rules! divide {
    ($a:expr, $b:expr) => {
        match $b {
            0 => 0,
            b => $a.wrapping_div(b),
        }
    };
}

macro_rules! remainder {
    ($a:expr, $b:expr) => {
        match $b {
            0 => $a,
            b => $a.wrapping_rem(b),
        }
    };
}

impl Machine<'_> {
    /// Runs instructions of one unit until something else is needed.
    #[allow(unsafe_code, reason = "accesses places of memory that were checked")]
    fn step(&mut self, unit: &Arc<Unit>, index: usize) -> Stop {
        let insts = unit.insts();
        let mut pc = index;
        // The first word that the program was not charged for.
        let mut mark = index;
        macro_rules! leave {
            ($stop:expr) => {{
                self.budget -= (pc + 1) as i64 - mark as i64;
                return $stop;
            }};
        }
        macro_rules! stop {
            ($kind:expr) => {
                leave!(Stop::Fault(pc, $kind))
            };
        }
        // Goes on at an index, from an instruction whose last word is at another.
        macro_rules! go_back {
            ($last:expr, $target:expr) => {{
                let (last, target): (usize, usize) = ($last, $target);
                self.budget -= (last + 1) as i64 - mark as i64;
                if self.budget < 0 {
                    return Stop::Fault(last, FaultKind::Budget(self.total_budget));
                }
                (mark, pc) = (target, target);
                continue;
            }};
        }
        loop {
            debug_assert!(pc < insts.len(), "code ends with traps, and jumps stay inside of it");
            // SAFETY: `code` says that the next instruction is inside, `index` is one of them, and `JumpRegister` asks the unit.
            let inst = unsafe { insts.get_unchecked(pc) };
            macro_rules! dst {
                () => {
                    self.registers[inst.dst]
                };
            }
            macro_rules! src {
                () => {
                    self.registers[inst.src]
                };
            }
            // Evaluates `$b` before the destination changes, since it may be the same register.
            macro_rules! alu {
                (64, R, |$a:ident, $b:ident| $result:expr) => {{
                    let ($a, $b) = (dst!(), src!());
                    dst!() = $result;
                }};
                (64, I, |$a:ident, $b:ident| $result:expr) => {{
                    let ($a, $b) = (dst!(), inst.imm as i64 as u64);
                    dst!() = $result;
                }};
                (32, R, |$a:ident, $b:ident| $result:expr) => {{
                    let ($a, $b) = (dst!() as u32, src!() as u32);
                    dst!() = u64::from($result);
                }};
                (32, I, |$a:ident, $b:ident| $result:expr) => {{
                    let ($a, $b) = (dst!() as u32, inst.imm as u32);
                    dst!() = u64::from($result);
                }};
            }
            macro_rules! jump {
                () => {{
                    let target = pc.wrapping_add_signed(inst.jump as isize);
                    if inst.jump < i32::from(inst.extra) {
                        go_back!(pc + usize::from(inst.extra) - 1, target);
                    }
                    pc = target;
                    continue;
                }};
            }
            macro_rules! branch {
                (64, R, |$a:ident, $b:ident| $condition:expr) => {{
                    let ($a, $b) = (dst!(), src!());
                    if $condition {
                        jump!();
                    }
                    pc += usize::from(inst.extra);
                    continue;
                }};
                (64, I, |$a:ident, $b:ident| $condition:expr) => {{
                    let ($a, $b) = (dst!(), inst.imm as i64 as u64);
                    if $condition {
                        jump!();
                    }
                    pc += usize::from(inst.extra);
                    continue;
                }};
                (32, R, |$a:ident, $b:ident| $condition:expr) => {{
                    let ($a, $b) = (dst!() as u32, src!() as u32);
                    if $condition {
                        jump!();
                    }
                    pc += usize::from(inst.extra);
                    continue;
                }};
                (32, I, |$a:ident, $b:ident| $condition:expr) => {{
                    let ($a, $b) = (dst!() as u32, inst.imm as u32);
                    if $condition {
                        jump!();
                    }
                    pc += usize::from(inst.extra);
                    continue;
                }};
            }
            macro_rules! place {
                ($base:expr, $size:expr, $access:expr, $later:expr) => {{
                    let address = $base.wrapping_add(inst.off as i64 as u64);
                    let site = &self.scratch.sites[usize::from(inst.site & 127)];
                    let offset = address.wrapping_sub(site.start);
                    if offset < site.limit {
                        site.host.wrapping_add(offset as usize)
                    } else {
                        match self.locate(address, $size, $access, inst.site) {
                            Ok(place) => place,
                            Err(kind) => {
                                pc += $later;
                                stop!(kind)
                            }
                        }
                    }
                }};
            }
            macro_rules! load {
                ($type:ty, |$word:ident| $value:expr) => {{
                    let place = place!(src!(), size_of::<$type>() as u64, Access::Read, 0);
                    // SAFETY: the site or `locate` says that the bytes may be read; all access is atomic.
                    let $word = unsafe { <$type>::read(place) };
                    dst!() = $value;
                }};
            }
            macro_rules! store {
                ($type:ty, $value:expr) => {{
                    let place = place!(dst!(), size_of::<$type>() as u64, Access::Write, 0);
                    // SAFETY: the site or `locate` says that the bytes may be written; all access is atomic.
                    unsafe { <$type>::write(place, $value as $type) };
                }};
            }
            macro_rules! three {
                (R, |$a:ident, $b:ident| $result:expr) => {{
                    let ($a, $b) = (src!(), self.registers[inst.third]);
                    dst!() = $result;
                    pc += 1;
                }};
                (I, |$a:ident, $b:ident| $result:expr) => {{
                    let ($a, $b) = (src!(), inst.imm as i64 as u64);
                    dst!() = $result;
                    pc += 1;
                }};
            }
            macro_rules! add_branch {
                ($kind:ident, |$a:ident, $b:ident| $condition:expr) => {{
                    dst!() = dst!().wrapping_add(inst.off as i64 as u64);
                    branch!(64, $kind, |$a, $b| $condition)
                }};
            }
            macro_rules! index_load {
                ($type:ty) => {{
                    let base = src!().wrapping_add(self.registers.low(inst.imm));
                    self.registers[inst.third] = base;
                    let place = place!(base, size_of::<$type>() as u64, Access::Read, 2);
                    // SAFETY: the site or `locate` says that the bytes may be read; all access is atomic.
                    dst!() = u64::from(unsafe { <$type>::read(place) });
                    pc += 2;
                }};
            }
            match inst.code {
                Code::Trap => stop!(FaultKind::End),
                Code::Add64R => alu!(64, R, |a, b| a.wrapping_add(b)),
                Code::Add64I => alu!(64, I, |a, b| a.wrapping_add(b)),
                Code::Sub64R => alu!(64, R, |a, b| a.wrapping_sub(b)),
                Code::Sub64I => alu!(64, I, |a, b| a.wrapping_sub(b)),
                Code::Mul64R => alu!(64, R, |a, b| a.wrapping_mul(b)),
                Code::Mul64I => alu!(64, I, |a, b| a.wrapping_mul(b)),
                Code::Div64R => alu!(64, R, |a, b| divide!(a, b)),
                Code::Div64I => alu!(64, I, |a, b| divide!(a, b)),
                Code::SDiv64R => alu!(64, R, |a, b| divide!(a as i64, b as i64) as u64),
                Code::SDiv64I => alu!(64, I, |a, b| divide!(a as i64, b as i64) as u64),
                Code::Mod64R => alu!(64, R, |a, b| remainder!(a, b)),
                Code::Mod64I => alu!(64, I, |a, b| remainder!(a, b)),
                Code::SMod64R => alu!(64, R, |a, b| remainder!(a as i64, b as i64) as u64),
                Code::SMod64I => alu!(64, I, |a, b| remainder!(a as i64, b as i64) as u64),
                Code::Or64R => alu!(64, R, |a, b| a | b),
                Code::Or64I => alu!(64, I, |a, b| a | b),
                Code::And64R => alu!(64, R, |a, b| a & b),
                Code::And64I => alu!(64, I, |a, b| a & b),
                Code::Xor64R => alu!(64, R, |a, b| a ^ b),
                Code::Xor64I => alu!(64, I, |a, b| a ^ b),
                Code::Lsh64R => alu!(64, R, |a, b| a.wrapping_shl(b as u32)),
                Code::Lsh64I => alu!(64, I, |a, b| a.wrapping_shl(b as u32)),
                Code::Rsh64R => alu!(64, R, |a, b| a.wrapping_shr(b as u32)),
                Code::Rsh64I => alu!(64, I, |a, b| a.wrapping_shr(b as u32)),
                Code::Arsh64R => alu!(64, R, |a, b| (a as i64).wrapping_shr(b as u32) as u64),
                Code::Arsh64I => alu!(64, I, |a, b| (a as i64).wrapping_shr(b as u32) as u64),
                Code::Mov64R => dst!() = src!(),
                Code::Mov64I => dst!() = inst.imm as i64 as u64,
                Code::Add32R => alu!(32, R, |a, b| a.wrapping_add(b)),
                Code::Add32I => alu!(32, I, |a, b| a.wrapping_add(b)),
                Code::Sub32R => alu!(32, R, |a, b| a.wrapping_sub(b)),
                Code::Sub32I => alu!(32, I, |a, b| a.wrapping_sub(b)),
                Code::Mul32R => alu!(32, R, |a, b| a.wrapping_mul(b)),
                Code::Mul32I => alu!(32, I, |a, b| a.wrapping_mul(b)),
                Code::Div32R => alu!(32, R, |a, b| divide!(a, b)),
                Code::Div32I => alu!(32, I, |a, b| divide!(a, b)),
                Code::SDiv32R => alu!(32, R, |a, b| divide!(a as i32, b as i32) as u32),
                Code::SDiv32I => alu!(32, I, |a, b| divide!(a as i32, b as i32) as u32),
                Code::Mod32R => alu!(32, R, |a, b| remainder!(a, b)),
                Code::Mod32I => alu!(32, I, |a, b| remainder!(a, b)),
                Code::SMod32R => alu!(32, R, |a, b| remainder!(a as i32, b as i32) as u32),
                Code::SMod32I => alu!(32, I, |a, b| remainder!(a as i32, b as i32) as u32),
                Code::Or32R => alu!(32, R, |a, b| a | b),
                Code::Or32I => alu!(32, I, |a, b| a | b),
                Code::And32R => alu!(32, R, |a, b| a & b),
                Code::And32I => alu!(32, I, |a, b| a & b),
                Code::Xor32R => alu!(32, R, |a, b| a ^ b),
                Code::Xor32I => alu!(32, I, |a, b| a ^ b),
                Code::Lsh32R => alu!(32, R, |a, b| a.wrapping_shl(b)),
                Code::Lsh32I => alu!(32, I, |a, b| a.wrapping_shl(b)),
                Code::Rsh32R => alu!(32, R, |a, b| a.wrapping_shr(b)),
                Code::Rsh32I => alu!(32, I, |a, b| a.wrapping_shr(b)),
                Code::Arsh32R => alu!(32, R, |a, b| (a as i32).wrapping_shr(b) as u32),
                Code::Arsh32I => alu!(32, I, |a, b| (a as i32).wrapping_shr(b) as u32),
                Code::Mov32R => dst!() = u64::from(src!() as u32),
                Code::Mov32I => dst!() = u64::from(inst.imm as u32),
                Code::Neg64 => dst!() = dst!().wrapping_neg(),
                Code::Neg32 => dst!() = u64::from((dst!() as u32).wrapping_neg()),
                Code::Sx64From8 => dst!() = src!() as i8 as i64 as u64,
                Code::Sx64From16 => dst!() = src!() as i16 as i64 as u64,
                Code::Sx64From32 => dst!() = src!() as i32 as i64 as u64,
                Code::Sx32From8 => dst!() = u64::from(src!() as i8 as i32 as u32),
                Code::Sx32From16 => dst!() = u64::from(src!() as i16 as i32 as u32),
                Code::Swap16 => dst!() = u64::from((dst!() as u16).swap_bytes()),
                Code::Swap32 => dst!() = u64::from((dst!() as u32).swap_bytes()),
                Code::Swap64 => dst!() = dst!().swap_bytes(),
                Code::Low16 => dst!() = u64::from(dst!() as u16),
                Code::Low32 => dst!() = u64::from(dst!() as u32),
                Code::Nop => {}
                Code::Cast => {
                    let low = src!() as u32;
                    dst!() = if low == 0 { 0 } else { u64::from(low) | u64::from(inst.imm as u32) << 32 };
                }
                Code::NoArena => {
                    stop!(FaultKind::Unsupported("a cast of address spaces, but there is no arena".into()))
                }
                Code::LoadWide => {
                    dst!() = inst.wide();
                    pc += 1;
                }
                Code::Load8 => load!(u8, |word| u64::from(word)),
                Code::Load16 => load!(u16, |word| u64::from(word)),
                Code::Load32 => load!(u32, |word| u64::from(word)),
                Code::Load64 => load!(u64, |word| word),
                Code::LoadS8 => load!(u8, |word| word as i8 as i64 as u64),
                Code::LoadS16 => load!(u16, |word| word as i16 as i64 as u64),
                Code::LoadS32 => load!(u32, |word| word as i32 as i64 as u64),
                Code::Store8R => store!(u8, src!()),
                Code::Store16R => store!(u16, src!()),
                Code::Store32R => store!(u32, src!()),
                Code::Store64R => store!(u64, src!()),
                Code::Store8I => store!(u8, inst.imm),
                Code::Store16I => store!(u16, inst.imm),
                Code::Store32I => store!(u32, inst.imm),
                Code::Store64I => store!(u64, inst.imm as i64),
                Code::Foreign => match self.foreign(inst) {
                    Ok(()) => {}
                    Err(kind) => stop!(kind),
                },
                Code::Atomic => match self.atomic(inst, unit.endian()) {
                    Ok(()) => {}
                    Err(kind) => stop!(kind),
                },
                Code::PacketAbsolute => match self.load_packet(inst, 0) {
                    true => {}
                    false => leave!(self.end_with_zero(pc)),
                },
                Code::PacketIndirect => match self.load_packet(inst, src!() as i32) {
                    true => {}
                    false => leave!(self.end_with_zero(pc)),
                },
                Code::Jump => jump!(),
                Code::Eq64R => branch!(64, R, |a, b| a == b),
                Code::Eq64I => branch!(64, I, |a, b| a == b),
                Code::Ne64R => branch!(64, R, |a, b| a != b),
                Code::Ne64I => branch!(64, I, |a, b| a != b),
                Code::Gt64R => branch!(64, R, |a, b| a > b),
                Code::Gt64I => branch!(64, I, |a, b| a > b),
                Code::Ge64R => branch!(64, R, |a, b| a >= b),
                Code::Ge64I => branch!(64, I, |a, b| a >= b),
                Code::Lt64R => branch!(64, R, |a, b| a < b),
                Code::Lt64I => branch!(64, I, |a, b| a < b),
                Code::Le64R => branch!(64, R, |a, b| a <= b),
                Code::Le64I => branch!(64, I, |a, b| a <= b),
                Code::Set64R => branch!(64, R, |a, b| a & b != 0),
                Code::Set64I => branch!(64, I, |a, b| a & b != 0),
                Code::SGt64R => branch!(64, R, |a, b| a as i64 > b as i64),
                Code::SGt64I => branch!(64, I, |a, b| a as i64 > b as i64),
                Code::SGe64R => branch!(64, R, |a, b| a as i64 >= b as i64),
                Code::SGe64I => branch!(64, I, |a, b| a as i64 >= b as i64),
                Code::SLt64R => branch!(64, R, |a, b| (a as i64) < b as i64),
                Code::SLt64I => branch!(64, I, |a, b| (a as i64) < b as i64),
                Code::SLe64R => branch!(64, R, |a, b| a as i64 <= b as i64),
                Code::SLe64I => branch!(64, I, |a, b| a as i64 <= b as i64),
                Code::Eq32R => branch!(32, R, |a, b| a == b),
                Code::Eq32I => branch!(32, I, |a, b| a == b),
                Code::Ne32R => branch!(32, R, |a, b| a != b),
                Code::Ne32I => branch!(32, I, |a, b| a != b),
                Code::Gt32R => branch!(32, R, |a, b| a > b),
                Code::Gt32I => branch!(32, I, |a, b| a > b),
                Code::Ge32R => branch!(32, R, |a, b| a >= b),
                Code::Ge32I => branch!(32, I, |a, b| a >= b),
                Code::Lt32R => branch!(32, R, |a, b| a < b),
                Code::Lt32I => branch!(32, I, |a, b| a < b),
                Code::Le32R => branch!(32, R, |a, b| a <= b),
                Code::Le32I => branch!(32, I, |a, b| a <= b),
                Code::Set32R => branch!(32, R, |a, b| a & b != 0),
                Code::Set32I => branch!(32, I, |a, b| a & b != 0),
                Code::SGt32R => branch!(32, R, |a, b| a as i32 > b as i32),
                Code::SGt32I => branch!(32, I, |a, b| a as i32 > b as i32),
                Code::SGe32R => branch!(32, R, |a, b| a as i32 >= b as i32),
                Code::SGe32I => branch!(32, I, |a, b| a as i32 >= b as i32),
                Code::SLt32R => branch!(32, R, |a, b| (a as i32) < b as i32),
                Code::SLt32I => branch!(32, I, |a, b| (a as i32) < b as i32),
                Code::SLe32R => branch!(32, R, |a, b| a as i32 <= b as i32),
                Code::SLe32I => branch!(32, I, |a, b| a as i32 <= b as i32),
                Code::MayGoto => {
                    if self.loops == 0 {
                        jump!();
                    }
                    self.loops -= 1;
                }
                Code::JumpRegister => {
                    let target = dst!();
                    let Some(next) = unit.index(target) else { stop!(FaultKind::NoInstruction(target)) };
                    go_back!(pc, next)
                }
                Code::CallHelper | Code::CallHost => leave!(Stop::Host(pc)),
                Code::CallLocal => {
                    if let Err(kind) = self.push(unit, pc) {
                        stop!(kind);
                    }
                    go_back!(pc, pc.wrapping_add_signed(inst.jump as isize))
                }
                Code::CallFar => leave!(Stop::Call { at: pc, target: inst.wide() }),
                Code::CallRegister => leave!(Stop::Call { at: pc, target: dst!() }),
                Code::Exit => leave!(Stop::Return(pc)),
                Code::AddEq64R => add_branch!(R, |a, b| a == b),
                Code::AddEq64I => add_branch!(I, |a, b| a == b),
                Code::AddNe64R => add_branch!(R, |a, b| a != b),
                Code::AddNe64I => add_branch!(I, |a, b| a != b),
                Code::AddGt64R => add_branch!(R, |a, b| a > b),
                Code::AddGt64I => add_branch!(I, |a, b| a > b),
                Code::AddGe64R => add_branch!(R, |a, b| a >= b),
                Code::AddGe64I => add_branch!(I, |a, b| a >= b),
                Code::AddLt64R => add_branch!(R, |a, b| a < b),
                Code::AddLt64I => add_branch!(I, |a, b| a < b),
                Code::AddLe64R => add_branch!(R, |a, b| a <= b),
                Code::AddLe64I => add_branch!(I, |a, b| a <= b),
                Code::Add3R => three!(R, |a, b| a.wrapping_add(b)),
                Code::Sub3R => three!(R, |a, b| a.wrapping_sub(b)),
                Code::Mul3R => three!(R, |a, b| a.wrapping_mul(b)),
                Code::Xor3R => three!(R, |a, b| a ^ b),
                Code::Add3I => three!(I, |a, b| a.wrapping_add(b)),
                Code::And3I => three!(I, |a, b| a & b),
                Code::Lsh3I => three!(I, |a, b| a.wrapping_shl(b as u32)),
                Code::Rsh3I => three!(I, |a, b| a.wrapping_shr(b as u32)),
                Code::IndexLoad8 => index_load!(u8),
                Code::IndexLoad16 => index_load!(u16),
                Code::IndexLoad32 => index_load!(u32),
                Code::IndexLoad64 => index_load!(u64),
            }
            pc += 1;
        }
    }

    /// Returns zero from the function, as the code does that a kernel puts in place of a load from the packet.
    fn end_with_zero(&mut self, at: usize) -> Stop {
        self.registers[Slot::R0] = 0;
        Stop::Return(at)
    }

    /// Loads from the packet; false where it has not so many bytes.
    fn load_packet(&mut self, inst: &Inst, index: i32) -> bool {
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..usize::from(inst.extra)];
        let there = self.context.load_packet(inst.imm.wrapping_add(index), bytes);
        self.registers[Slot::R0] = Endian::Big.read(bytes);
        there
    }
}
