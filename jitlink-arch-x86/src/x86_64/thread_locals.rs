//! Thread-local variables that need no look-up: "ELF Handling For Thread-Local Storage", section 5.5; psABI, section 11.1.2.
//!
//! Compilers that do not know in which module a variable will be have `__tls_get_addr` find it, or the block of all variables of
//! their object, in sequences of instructions that are always the same, so that linkers can tell them. Where the distance from the
//! thread pointer turns out to be one for all threads, a form of the same length computes the address:
//!
//! ```text
//! data16 lea foo@tlsgd(%rip), %rdi                    mov %fs:0, %rax
//! data16 data16 rex.w call __tls_get_addr@PLT         lea foo@tpoff(%rax), %rax
//!
//! lea foo@tlsld(%rip), %rdi                           xor %eax, %eax
//! call __tls_get_addr@PLT                             mov %fs:(%rax), %rax
//!                                                     add $(what dtpoff counts from)@tpoff, %rax
//!
//! lea foo@tlsdesc(%rip), %reg                         mov $foo@tpoff, %reg
//! call *foo@tlscall(%reg)                             xchg %ax, %ax
//! ```
//!
//! and with them the forms whose call goes through the GOT (`-fno-plt`) or through a register (large model). The second finds the
//! same address as the call would, so offsets from it stay as they are: other linkers let it give the thread pointer, and must then
//! change all of them. A call changes the flags, so the code may.

use super::rows;
use jitlink_core::arch::{CodeSite, Relaxed};
use jitlink_core::graph::Edge;

const TLSGD: u32 = 19;
const TLSLD: u32 = 20;
const GOTPC32_TLSDESC: u32 = 34;
const TLSDESC_CALL: u32 = 35;

/// `lea disp32(%rip), %rdi` without its field.
const LEA: &[u8] = &[0x48, 0x8d, 0x3d];

/// The form of a look-up that needs none, if its code is one of those above; its field covers all of that.
pub(super) fn relax(site: &CodeSite<'_>, call: Option<&Edge>) -> Option<Relaxed> {
    let field = site.edge.offset as usize;
    let (before, rest) = (site.block.get(..field)?, site.block.get(field..)?);
    if site.row.raw() == TLSDESC_CALL {
        let is_call = matches!(rest, [0xff, 0x10..=0x13 | 0x16..=0x17, ..]);
        return is_call.then_some(Relaxed { row: rows::TLS_DESCRIPTOR_CALL, offset: site.edge.offset, addend: 0 });
    }
    // With another addend the code does not take the slots' address.
    if site.edge.addend != -4 {
        return None;
    }
    let (row, start) = match (site.row.raw(), call) {
        (GOTPC32_TLSDESC, _) if is_lea(before) => (rows::TLS_DESCRIPTOR, 3),
        (raw @ (TLSGD | TLSLD), Some(call)) => {
            let distance = call.offset.checked_sub(site.edge.offset)?;
            sequence(raw, before, rest.get(4..)?, distance)?
        }
        _ => return None,
    };
    Some(Relaxed { row, offset: site.edge.offset - start, addend: 0 })
}

/// The row of a sequence with a call, and how many bytes of it stand before the field; the call's field is `distance` behind that.
fn sequence(raw: u32, before: &[u8], after: &[u8], distance: u32) -> Option<(u16, u32)> {
    if !before.ends_with(LEA) {
        return None;
    }
    match (raw, distance) {
        (TLSGD, 8) if before.ends_with(&[0x66, 0x48, 0x8d, 0x3d]) && is_padded_call(after) => Some((rows::TLS_GD, 4)),
        (TLSGD, 6) if is_call_of_register(after) => Some((rows::TLS_GD_LARGE, 3)),
        (TLSLD, 5) if after.starts_with(&[0xe8]) => Some((rows::TLS_LD, 3)),
        (TLSLD, 6) if after.starts_with(&[0xff, 0x15]) || after.starts_with(&[0x67, 0xe8]) => {
            Some((rows::TLS_LD_GOT, 3))
        }
        (TLSLD, 6) if is_call_of_register(after) => Some((rows::TLS_LD_LARGE, 3)),
        _ => None,
    }
}

/// `lea disp32(%rip), %reg` without its field, for any register of 64 bits.
fn is_lea(before: &[u8]) -> bool {
    matches!(before, [.., 0x48 | 0x4c, 0x8d, modrm] if modrm & 0xc7 == 0x05)
}

/// `data16 data16 rex.w call __tls_get_addr@PLT`, or `data16 rex.w call *__tls_get_addr@GOTPCREL(%rip)`.
fn is_padded_call(code: &[u8]) -> bool {
    code.starts_with(&[0x66, 0x66, 0x48, 0xe8]) || code.starts_with(&[0x66, 0x48, 0xff, 0x15])
}

/// `movabs $__tls_get_addr@pltoff, %rax; add %reg, %rax; call *%rax`.
fn is_call_of_register(code: &[u8]) -> bool {
    let Some(&[0x48, 0xb8, _, _, _, _, _, _, _, _, rex, 0x01, modrm, 0xff, 0xd0]) = code.first_chunk::<15>() else {
        return false;
    };
    matches!(rex, 0x48 | 0x4c) && modrm & 0xc7 == 0xc0
}
