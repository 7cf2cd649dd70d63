//! Classic programs do in the machine what a reader of their definition would do by hand.

use jitlink_arch_bpf::classic::{Filter, FilterKind, check, from_text, translate};
use jitlink_bpf_vm::context::{Context, Packet};
use jitlink_bpf_vm::memory::Memory;
use jitlink_bpf_vm::vm::VmBuilder;
use jitlink_core::Endian;
use proptest::prelude::*;
use std::sync::Arc;

/// A packet, of whose `struct __sk_buff` only the length is filled in.
struct Frame {
    skb: Arc<Memory>,
    bytes: Arc<Memory>,
}

impl Frame {
    fn new(packet: &[u8]) -> Frame {
        let (skb, bytes) = (Memory::zeroed(192).unwrap(), Memory::zeroed(packet.len()).unwrap());
        skb.write(0, &(packet.len() as u32).to_ne_bytes());
        bytes.write(0, packet);
        Frame { skb: Arc::new(skb), bytes: Arc::new(bytes) }
    }
}

impl Context for Frame {
    fn memory(&self) -> Option<&Arc<Memory>> {
        Some(&self.skb)
    }

    fn packet(&self) -> Option<Packet> {
        let end = self.bytes.len();
        Some(Packet { memory: self.bytes.clone(), start: 0, data: 0, end, writable: false })
    }
}

fn machine(program: &[Filter], packet: &[u8]) -> u32 {
    let words = translate(program, FilterKind::Socket).unwrap();
    let vm = VmBuilder::new().build_raw(&words, Endian::NATIVE).unwrap();
    vm.run(&vm.programs()[0], &mut Frame::new(packet)).unwrap() as u32
}

/// By hand: what each opcode says, one after another.
fn by_hand(program: &[Filter], packet: &[u8]) -> u32 {
    let (mut a, mut x, mut memory, mut pc) = (0u32, 0u32, [0u32; 16], 0usize);
    let load = |offset: u32, size: usize| {
        // Offsets are signed numbers of 32 bits; those below zero mean headers that this packet does not have.
        let offset = usize::try_from(offset as i32).ok()?;
        let bytes = packet.get(offset..offset.checked_add(size)?)?;
        Some(bytes.iter().fold(0u32, |value, byte| value << 8 | u32::from(*byte)))
    };
    loop {
        let Filter { code, jt, jf, k } = program[pc];
        pc += 1;
        let operand = if code & 8 != 0 { x } else { k };
        let mut jump = |holds: bool| pc += usize::from(if holds { jt } else { jf });
        match code {
            0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50 | 0xb1 => {
                let size = match code {
                    0x20 | 0x40 => 4,
                    0x28 | 0x48 => 2,
                    _ => 1,
                };
                let offset = if code & 0xe0 == 0x40 { x.wrapping_add(k) } else { k };
                let Some(value) = load(offset, size) else { return 0 };
                if code == 0xb1 { x = 4 * (value & 15) } else { a = value }
            }
            0x80 => a = packet.len() as u32,
            0x81 => x = packet.len() as u32,
            0x00 => a = k,
            0x01 => x = k,
            0x60 => a = memory[k as usize],
            0x61 => x = memory[k as usize],
            0x02 => memory[k as usize] = a,
            0x03 => memory[k as usize] = x,
            0x04 | 0x0c => a = a.wrapping_add(operand),
            0x14 | 0x1c => a = a.wrapping_sub(operand),
            0x24 | 0x2c => a = a.wrapping_mul(operand),
            0x34 | 0x3c | 0x94 | 0x9c if operand == 0 => return 0,
            0x34 | 0x3c => a /= operand,
            0x94 | 0x9c => a %= operand,
            0x44 | 0x4c => a |= operand,
            0x54 | 0x5c => a &= operand,
            0xa4 | 0xac => a ^= operand,
            0x64 | 0x6c => a = a.wrapping_shl(operand),
            0x74 | 0x7c => a = a.wrapping_shr(operand),
            0x84 => a = a.wrapping_neg(),
            0x05 => pc += k as usize,
            0x15 | 0x1d => jump(a == operand),
            0x25 | 0x2d => jump(a > operand),
            0x35 | 0x3d => jump(a >= operand),
            0x45 | 0x4d => jump(a & operand != 0),
            0x06 => return k,
            0x16 => return a,
            0x07 => x = a,
            0x87 => a = x,
            other => panic!("{other:#x} passed the check"),
        }
    }
}

fn instruction() -> impl Strategy<Value = Filter> {
    let code = prop::sample::select(vec![
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x28,
        0x2c, 0x2d, 0x30, 0x34, 0x35, 0x3c, 0x3d, 0x40, 0x44, 0x45, 0x48, 0x4c, 0x4d, 0x50, 0x54, 0x5c, 0x60, 0x61,
        0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0x94, 0x9c, 0xa4, 0xac, 0xb1,
    ]);
    let constant = prop_oneof![10 => 0..16u32, 4 => 0..80u32, 1 => 0..0xffff_0000u32];
    (code, 0..4u8, 0..4u8, constant).prop_map(|(code, jt, jf, k)| Filter { code, jt, jf, k })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn random_filters_do_as_by_hand(
        mut program in prop::collection::vec(instruction(), 1..24),
        packet in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        program.push(Filter { code: 0x16, jt: 0, jf: 0, k: 0 });
        // What the rules do not allow is replaced until they allow the rest.
        while let Err(error) = check(&program, FilterKind::Socket) {
            let jitlink_arch_bpf::classic::ClassicError::Instruction { index, .. } = error else { panic!("{error}") };
            program[index] = Filter { code: 0x87, jt: 0, jf: 0, k: 0 };
        }
        prop_assert_eq!(machine(&program, &packet), by_hand(&program, &packet));
    }
}

/// `tcpdump -ddd 'tcp dst port 80'` for Ethernet, IPv4 alone.
const PORT_80: &str = "12,40 0 0 12,21 0 9 2048,48 0 0 23,21 0 7 6,40 0 0 20,69 5 0 8191,177 0 0 14,72 0 0 16,21 0 2 80,6 0 0 262144,5 0 0 0,6 0 0 0";

#[test]
fn a_filter_of_tcpdump_keeps_what_it_names() {
    let filter = from_text(PORT_80).unwrap();
    let mut packet = vec![0; 54];
    packet[12..14].copy_from_slice(&[8, 0]);
    packet[14] = 0x45;
    packet[23] = 6;
    packet[36..38].copy_from_slice(&[0, 80]);
    assert_eq!(machine(&filter, &packet), 262_144);
    packet[37] = 81;
    assert_eq!(machine(&filter, &packet), 0);
    // Cut off before the port: the load ends the program.
    packet[37] = 80;
    assert_eq!(machine(&filter, &packet[..37]), 0);
}
