//! Which operand a field is, and what stands for it once its address is in a register.

use super::super::decode::Found;
use super::emit::Emitter;
use super::name;
use iced_x86::{Code, Instruction, Register};
use jitlink_core::arch::CodeSite;
use jitlink_core::reloc::Base;

/// What the field is to its instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The displacement of a memory operand, from the end of the instruction.
    Relative,
    /// The displacement of a memory operand, from zero or from registers.
    Absolute,
    /// An operand that is extended to 64 bits.
    Immediate,
}

impl Role {
    pub(super) fn of(site: &CodeSite<'_>, found: &Found) -> Result<Role, String> {
        let instruction = &found.instruction;
        let at = (site.edge.offset - found.start()) as usize;
        let constants = &found.constants;
        if instruction.is_call_near() || instruction.is_jmp_near() || instruction.is_jcc_near() {
            return Err(format!("{} is a direct branch, which takes a stub instead", name(instruction)));
        }
        let role = if constants.displacement_size() == 4 && constants.displacement_offset() == at {
            let relative = instruction.is_ip_rel_memory_operand();
            let short = instruction.memory_base() == Register::EIP || !relative && instruction.memory_displ_size() != 8;
            if short {
                return Err(format!("{} computes its address in 32 bits", name(instruction)));
            }
            if relative { Role::Relative } else { Role::Absolute }
        } else if constants.immediate_size() == 4 && constants.immediate_offset() == at {
            Role::Immediate
        } else {
            return Err(format!("the field is no operand of the instruction around it ({})", name(instruction)));
        };
        match (role, site.row.base()) {
            (Role::Relative, Base::Place) | (Role::Absolute | Role::Immediate, Base::Zero) => Ok(role),
            _ => Err(format!("{} means something else than this operand of {}", site.row.name(), name(instruction))),
        }
    }
}

/// Lets `scratch`, which holds the address that was the displacement, take its part in the memory operand. `shift` is how
/// far below its usual place `%rsp` is.
pub(super) fn replace_displacement(
    out: &mut Emitter,
    instruction: &mut Instruction,
    scratch: Register,
    shift: i64,
) -> Result<(), String> {
    let (base, index) = (instruction.memory_base(), instruction.memory_index());
    instruction.set_memory_displacement64(0);
    instruction.set_memory_displ_size(0);
    instruction.set_memory_base(scratch);
    match (base, index) {
        (Register::RIP | Register::None, _) => {}
        (_, Register::None) if base != Register::RSP => {
            instruction.set_memory_index(base);
            instruction.set_memory_index_scale(1);
        }
        // There is no room for a third register, and %rsp cannot be an index.
        _ => out.add_register(scratch, base, if base == Register::RSP { shift } else { 0 })?,
    }
    Ok(())
}

/// Adds to the displacement of a memory operand.
pub(super) fn move_displacement(instruction: &mut Instruction, by: i64) -> Result<(), String> {
    let moved = (instruction.memory_displacement64() as i64).wrapping_add(by);
    if i32::try_from(moved).is_err() {
        return Err("the distance from %rsp does not fit once %rsp has moved".into());
    }
    instruction.set_memory_displacement64(moved as u64);
    instruction.set_memory_displ_size(1); // as many bytes as it takes
    Ok(())
}

/// The form of an instruction that takes a 64-bit register where it has a sign-extended immediate.
pub(super) fn register_form(code: Code) -> Option<Code> {
    Some(match code {
        Code::Mov_rm64_imm32 => Code::Mov_rm64_r64,
        Code::Add_rm64_imm32 | Code::Add_RAX_imm32 => Code::Add_rm64_r64,
        Code::Or_rm64_imm32 | Code::Or_RAX_imm32 => Code::Or_rm64_r64,
        Code::Adc_rm64_imm32 | Code::Adc_RAX_imm32 => Code::Adc_rm64_r64,
        Code::Sbb_rm64_imm32 | Code::Sbb_RAX_imm32 => Code::Sbb_rm64_r64,
        Code::And_rm64_imm32 | Code::And_RAX_imm32 => Code::And_rm64_r64,
        Code::Sub_rm64_imm32 | Code::Sub_RAX_imm32 => Code::Sub_rm64_r64,
        Code::Xor_rm64_imm32 | Code::Xor_RAX_imm32 => Code::Xor_rm64_r64,
        Code::Cmp_rm64_imm32 | Code::Cmp_RAX_imm32 => Code::Cmp_rm64_r64,
        Code::Test_rm64_imm32 | Code::Test_RAX_imm32 => Code::Test_rm64_r64,
        _ => return None,
    })
}
