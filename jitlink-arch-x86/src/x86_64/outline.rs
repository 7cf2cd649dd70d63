//! Instructions moved out of line, where a short reference becomes a full one.
//!
//! Code of the small model compiled without `-fPIC` refers to the data of other modules directly, in fields of 32 bits:
//! `mov stdout(%rip), %rdi`, `mov $environ, %edi`, `cmpq $f, (%rax)`. The static linker of such a program copies the data into
//! the program; two copies of one variable are what this linker must not make. Instead the instruction is replaced by a jump
//! to code that puts the full address into a register, runs the instruction with that register, and jumps back:
//!
//! ```text
//!                                          out: lea    -128(%rsp), %rsp      ; the red zone stays (section 3.2.2)
//!                                               push   %rax
//! incl optind(%rip)      jmp out; nop           movabs $optind, %rax
//! next: …                next: …                incl   (%rax)
//!                                               pop    %rax
//!                                               lea    128(%rsp), %rsp
//!                                               jmp    next
//! ```
//!
//! - Nothing that is added changes flags: `lea`, `push`, `pop`, `mov`, `xchg` and `jmp` do not.
//! - Where the instruction overwrites a whole general register without reading it, that register holds the address and
//!   nothing is saved: `mov optind(%rip), %eax` becomes `movabs $optind, %rax; mov (%rax), %eax`.
//! - `call *f(%rip)` becomes a call *of* the out-of-line code, which jumps on through `%r11`, the register that belongs to
//!   nobody between a call and its target. So the return address, and what unwinding makes of it, is as before.
//! - A 32-bit `mov $f, %edi` means "the address, which is known to be small": the full address goes to `%rdi`.
//!
//! The rest of the block keeps its place. **Limits**: the out-of-line code has no unwind record, so a *fault* inside it (not
//! a call from it) is not unwound; code that jumps into the middle of the instruction, say past its `lock` prefix, breaks.

mod emit;
mod operand;

use super::decode::{self, Found};
use super::rows;
use emit::Emitter;
use iced_x86::{Code, FlowControl, Instruction, InstructionInfoFactory, OpAccess, OpKind, Register};
use jitlink_core::arch::{CodeSite, Outlined};
use jitlink_core::reloc::{Base, Subject};
use operand::{Role, register_form, replace_displacement};

/// How far `%rsp` is from where the instruction expects it once the red zone is skipped and a register is saved.
const SAVED_SHIFT: i64 = 128 + 8;

/// Moves the instruction around an edge's field out of line.
pub(super) fn outline(site: &CodeSite<'_>) -> Result<Outlined, String> {
    let row = site.row;
    match (row.subject(), row.base(), row.field().plain_bytes()) {
        (Subject::Symbol, Base::Zero | Base::Place, Some(4)) => {}
        (Subject::Symbol, Base::Zero | Base::Place, Some(bytes @ (1 | 2))) => {
            return Err(format!("no instruction holds an address in a field of {bytes} bytes"));
        }
        _ => return Err(format!("{} is not a direct reference", row.name())),
    }
    let found = decode::around(site).ok_or("the bytes around the field are not known instructions")?;
    let role = Role::of(site, &found)?;
    let addend = match role {
        // The machine adds the displacement to the address after the instruction.
        Role::Relative => site.edge.addend + i64::from(found.end() - site.edge.offset),
        Role::Absolute | Role::Immediate => site.edge.addend,
    };
    let instruction = &found.instruction;
    if instruction.is_call_near_indirect() || instruction.is_jmp_near_indirect() {
        return through_memory(&found, addend);
    }
    match instruction.code() {
        Code::Push_rm64 => return push_memory(&found, addend),
        Code::Pushq_imm32 => return push_immediate(&found, addend),
        _ => {}
    }
    if instruction.flow_control() != FlowControl::Next {
        return Err(format!("{} has no out-of-line form", name(instruction)));
    }
    let registers = Registers::of(instruction)?;
    match role {
        Role::Immediate => immediate(&found, &registers, addend),
        Role::Relative | Role::Absolute => memory(&found, &registers, addend),
    }
}

/// `mov sym(%rip), %eax`, `incl sym(%rip)`, `lea sym(,%rdi,8), %rcx`, …
fn memory(found: &Found, registers: &Registers, addend: i64) -> Result<Outlined, String> {
    let mut instruction = found.instruction;
    let mut out = Emitter::default();
    if let Some(destination) = registers.overwritten(&instruction) {
        out.address(destination, addend);
        let address_only = instruction.code() == Code::Lea_r64_m
            && matches!(instruction.memory_base(), Register::RIP | Register::None)
            && instruction.memory_index() == Register::None;
        if !address_only {
            replace_displacement(&mut out, &mut instruction, destination, 0)?;
            out.instruction(&instruction)?;
        }
        return Ok(jump_out(found, out));
    }
    let scratch = registers.free().ok_or("the instruction uses every register")?;
    out.save(scratch);
    if let Some(operand) = stack_pointer_operand(&instruction) {
        // A second register stands for `%rsp` as it was.
        let copy = registers.free_besides(scratch).ok_or("the instruction uses every register")?;
        let shift = SAVED_SHIFT + 8;
        out.push(copy);
        out.add_constant(copy, Register::RSP, shift)?;
        instruction.set_op_register(operand, copy);
        out.address(scratch, addend);
        replace_displacement(&mut out, &mut instruction, scratch, shift)?;
        out.instruction(&instruction)?;
        out.pop(copy);
    } else {
        out.address(scratch, addend);
        replace_displacement(&mut out, &mut instruction, scratch, SAVED_SHIFT)?;
        out.instruction(&instruction)?;
    }
    out.restore(scratch);
    Ok(jump_out(found, out))
}

/// The operand that is `%rsp` itself and is only read: `mov %rsp, sym(%rip)`.
fn stack_pointer_operand(instruction: &Instruction) -> Option<u32> {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    let is_stack_pointer = |&operand: &u32| {
        instruction.op_kind(operand) == OpKind::Register
            && instruction.op_register(operand) == Register::RSP
            && info.op_access(operand) == OpAccess::Read
    };
    (0..instruction.op_count()).find(is_stack_pointer)
}

/// `mov $sym, %edi`, `cmp $sym, %rax`, `movq $sym, 8(%rsp)`, …
fn immediate(found: &Found, registers: &Registers, addend: i64) -> Result<Outlined, String> {
    let mut instruction = found.instruction;
    if stack_pointer_operand(&instruction).is_some() {
        return Err(uses_stack_pointer(&instruction));
    }
    let mut out = Emitter::default();
    let moves = matches!(instruction.code(), Code::Mov_r32_imm32 | Code::Mov_rm32_imm32 | Code::Mov_rm64_imm32);
    if moves && instruction.op0_kind() == OpKind::Register {
        out.address(instruction.op0_register().full_register(), addend);
        return Ok(jump_out(found, out));
    }
    let code = register_form(instruction.code()).ok_or_else(|| {
        format!("{} has no form that takes a full address in place of its immediate", name(&instruction))
    })?;
    let scratch = registers.free().ok_or("the instruction uses every register")?;
    instruction.set_code(code);
    instruction.set_op1_kind(OpKind::Register);
    instruction.set_op1_register(scratch);
    if instruction.op0_kind() == OpKind::Memory && instruction.memory_base() == Register::RSP {
        operand::move_displacement(&mut instruction, SAVED_SHIFT)?;
    }
    out.save(scratch);
    out.address(scratch, addend);
    out.instruction(&instruction)?;
    out.restore(scratch);
    Ok(jump_out(found, out))
}

/// `call *sym(%rip)`, `jmp *sym(,%rax,8)`: called or jumped to, code that goes on through `%r11`.
///
/// A jump with an index is a tail call as well: a table outside the batch does not hold labels of a function in it.
fn through_memory(found: &Found, addend: i64) -> Result<Outlined, String> {
    let mut instruction = found.instruction;
    let call = instruction.is_call_near_indirect();
    for part in [instruction.memory_base(), instruction.memory_index()] {
        if part == Register::R11 || part == Register::RSP {
            return Err(format!("{} uses a register that the way to its target needs", name(&instruction)));
        }
    }
    let mut out = Emitter::default();
    out.address(Register::R11, addend);
    replace_displacement(&mut out, &mut instruction, Register::R11, 0)?;
    instruction.set_code(Code::Jmp_rm64);
    out.instruction(&instruction)?;
    // The call is the last thing in the replaced bytes, so that it returns to the instruction after them.
    let length = (found.end() - found.start()) as usize;
    let mut patch = vec![0x90; length];
    let opcode = if call { length - 5 } else { 0 };
    patch[opcode..opcode + 5].copy_from_slice(&[if call { 0xe8 } else { 0xe9 }, 0, 0, 0, 0]);
    Ok(out.finish(found.start(), patch, opcode as u32 + 1))
}

/// `push sym(%rip)`: a register is pushed to make room, loaded with what is to be pushed, and exchanged with it. What lies
/// below `%rsp` is overwritten by the instruction itself, so there is no red zone to keep.
fn push_memory(found: &Found, addend: i64) -> Result<Outlined, String> {
    let mut instruction = found.instruction;
    let scratch = Registers::all(&instruction).free().ok_or("the instruction uses every register")?;
    instruction.set_code(Code::Mov_r64_rm64);
    instruction.set_op0_kind(OpKind::Register);
    instruction.set_op0_register(scratch);
    instruction.set_op1_kind(OpKind::Memory);
    let mut out = Emitter::default();
    out.push(scratch);
    out.address(scratch, addend);
    replace_displacement(&mut out, &mut instruction, scratch, 8)?;
    out.instruction(&instruction)?;
    out.exchange_with_top(scratch);
    Ok(jump_out(found, out))
}

/// `push $sym`, likewise.
fn push_immediate(found: &Found, addend: i64) -> Result<Outlined, String> {
    let mut out = Emitter::default();
    out.push(Register::RAX);
    out.address(Register::RAX, addend);
    out.exchange_with_top(Register::RAX);
    Ok(jump_out(found, out))
}

/// Code that jumps back, and the jump to it.
fn jump_out(found: &Found, mut out: Emitter) -> Outlined {
    out.jump_back(found.end());
    // A field of four bytes has an opcode before it, so five bytes are always there.
    let mut patch = vec![0x90; (found.end() - found.start()) as usize];
    patch[..5].copy_from_slice(&[0xe9, 0, 0, 0, 0]);
    out.finish(found.start(), patch, 1)
}

/// The general registers that an instruction uses, with how.
struct Registers {
    used: Vec<(Register, OpAccess)>,
}

impl Registers {
    /// Fails where `%rsp` is more than what can be corrected: the base of a memory operand, or an operand that is only read.
    fn of(instruction: &Instruction) -> Result<Registers, String> {
        let mut other = *instruction;
        if other.memory_base() == Register::RSP {
            other.set_memory_base(Register::None);
        }
        if let Some(operand) = stack_pointer_operand(instruction) {
            other.set_op_register(operand, Register::RAX);
        }
        if Registers::all(&other).uses(Register::RSP) {
            return Err(uses_stack_pointer(instruction));
        }
        Ok(Registers::all(instruction))
    }

    fn all(instruction: &Instruction) -> Registers {
        let mut factory = InstructionInfoFactory::new();
        let used = factory.info(instruction).used_registers();
        Registers { used: used.iter().map(|used| (used.register(), used.access())).collect() }
    }

    fn uses(&self, register: Register) -> bool {
        self.used.iter().any(|(used, _)| used.full_register() == register)
    }

    /// A register that the instruction does not use. Those that need no prefix come first: `%ah` cannot stand beside one.
    fn free(&self) -> Option<Register> {
        self.free_besides(Register::None)
    }

    /// Another one.
    fn free_besides(&self, taken: Register) -> Option<Register> {
        use Register::{R8, R9, R10, RAX, RBP, RBX, RCX, RDI, RDX, RSI};
        let mut all = [RAX, RCX, RDX, RSI, RDI, RBX, RBP, R8, R9, R10].into_iter();
        all.find(|register| *register != taken && !self.uses(*register))
    }

    /// The general register that the instruction overwrites in full and does not read.
    fn overwritten(&self, instruction: &Instruction) -> Option<Register> {
        let register = instruction.op0_register();
        if instruction.op0_kind() != OpKind::Register || !(register.is_gpr32() || register.is_gpr64()) {
            return None;
        }
        let full = register.full_register();
        let mut uses = self.used.iter().filter(|(used, _)| used.full_register() == full);
        uses.all(|(used, access)| *access == OpAccess::Write && used.size() >= 4).then_some(full)
    }
}

fn uses_stack_pointer(instruction: &Instruction) -> String {
    format!("{} uses %rsp, which the out-of-line code moves", name(instruction))
}

fn name(instruction: &Instruction) -> String {
    format!("{:?}", instruction.mnemonic()).to_lowercase()
}
