//! Machines that objects are for ("PE Format", "Machine Types"): what their numbers say of words and of tables.

use jitlink_core::Endian;
use jitlink_core::format::ObjectHeader;

/// A machine: its number, the size of a pointer, and of a record of `.pdata`, if it has such a table.
struct Machine {
    number: u16,
    pointer_bytes: u8,
    record: usize,
}

const fn machine(number: u16, pointer_bytes: u8, record: usize) -> Machine {
    Machine { number, pointer_bytes, record }
}

/// All that are known by number, so that an object for one without a backend is named as such. Each is little-endian.
const MACHINES: [Machine; 9] = [
    machine(0x014c, 4, 0),  // I386
    machine(0x0200, 8, 0),  // IA64
    machine(0x01c4, 4, 8),  // ARMNT
    machine(0x5032, 4, 0),  // RISCV32
    machine(0x5064, 8, 0),  // RISCV64
    machine(0x8664, 8, 12), // AMD64
    machine(0xaa64, 8, 8),  // ARM64
    machine(0xa641, 8, 0),  // ARM64EC
    machine(0xa64e, 8, 0),  // ARM64X
];

fn find(number: u16) -> Option<&'static Machine> {
    MACHINES.iter().find(|machine| machine.number == number)
}

/// Whether a machine has this number.
pub(crate) fn is_known(number: u16) -> bool {
    find(number).is_some()
}

/// What an object's header says by the machine's number.
pub(crate) fn header(number: u16) -> Option<ObjectHeader> {
    let machine = find(number)?;
    Some(ObjectHeader {
        machine: number.into(),
        pointer_bytes: machine.pointer_bytes,
        endian: Endian::Little,
        flags: 0,
    })
}

/// The size of a record of `.pdata`, the first word of which is the function's address ("PE Format", "The .pdata Section").
pub(crate) fn unwind_record(number: u16) -> Option<usize> {
    find(number).map(|machine| machine.record).filter(|record| *record > 0)
}
