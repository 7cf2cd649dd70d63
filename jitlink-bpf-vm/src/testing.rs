//! Hostile programs: what a fuzzer's bytes become.
//!
//! Bytes become instructions, most of them repaired so that they decode, and a packet, maps and functions of the host that work
//! against them. Whatever the program does, it must end, leave memory alone that is not for it, and do the same whether
//! sequences of its instructions are run as one or not.

use crate::call::Call;
use crate::context::{Context, Packet};
use crate::fault::{Access, Fault};
use crate::functions::Functions;
use crate::maps::{Map, MapHost, MapKind, MapSpec, flag};
use crate::memory::Memory;
use crate::vm::{RunOptions, Speed, VmBuilder};
use crate::{address, fault::FaultKind};
use jitlink_arch_bpf::insn::{Insn, decode};
use jitlink_core::Endian;
use std::sync::Arc;

/// Bytes of memory before and after a packet that programs must not touch.
const ROOM: usize = 16;
/// Many opcodes decode only with a certain variant in the immediate.
const ATOMICS: [i32; 12] = [0, 1, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1, 0x100, 0x110];
/// Places that programs like to be near.
const INTERESTING: [u64; 12] = [
    address::PACKET + ROOM as u64,
    address::CONTEXT,
    address::STACK,
    address::STACK + 512,
    address::at(address::VALUE_REGION, 0),
    address::at(address::VALUE_REGION + 1, 0),
    address::map_handle(0),
    address::at(address::HOST_REGION, 0),
    address::at(address::CODE_REGION, 0),
    address::at(address::CODE_REGION, 8),
    0,
    u64::MAX,
];

/// What a program left behind.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    result: Result<u64, (FaultKind, Option<u64>)>,
    packet: Vec<u8>,
    context: Vec<u8>,
    values: Vec<Vec<u8>>,
}

/// Runs the program that some bytes stand for.
///
/// # Panics
/// Where the machine is wrong.
pub fn fuzz_one(bytes: &[u8]) {
    let Some((head, code)) = bytes.split_first_chunk::<4>() else { return };
    let endian = if head[0] & 1 == 0 { Endian::NATIVE } else { Endian::Big };
    let words = program(code, head[0] & 6 != 0);
    let fused = outcome(&words, endian, head, Speed::Fused);
    let plain = outcome(&words, endian, head, Speed::Plain);
    assert_eq!(fused, plain, "{words:?}");
}

/// The words that bytes stand for.
fn program(bytes: &[u8], repair: bool) -> Vec<Insn> {
    let (chunks, _) = bytes.as_chunks::<8>();
    let count = chunks.len() as i32;
    let mut words: Vec<Insn> = Vec::with_capacity(chunks.len() + 16);
    if repair {
        // The registers begin with addresses, so that many accesses find something.
        for register in 6..10u8 {
            let seed = bytes.get(usize::from(register)).copied().unwrap_or(0);
            let value = INTERESTING[usize::from(seed) % INTERESTING.len()];
            words.push(Insn { code: 0x18, dst: register, src: 0, off: 0, imm: value as i32 });
            words.push(Insn { imm: (value >> 32) as i32, ..Insn::default() });
        }
    }
    for chunk in chunks {
        let word = Insn::read(*chunk, Endian::Little);
        if repair { repaired(word, count, &mut words) } else { words.push(word) }
    }
    if repair {
        words.push(Insn { code: 0x95, ..Insn::default() });
    }
    words
}

/// Appends an instruction that decodes and is like the word.
fn repaired(word: Insn, count: i32, words: &mut Vec<Insn>) {
    let near = |distance: i32| distance.rem_euclid(2 * count + 1) - count;
    let mut word = Insn { dst: word.dst % 11, src: word.src % 11, ..word };
    if word.code & 6 == 4 || word.code & 7 == 7 {
        word.off %= 4;
    }
    let small = Insn { off: word.off % 64, ..word };
    let jump = Insn { off: (near(word.off.into()) / 2) as i16, ..word };
    let candidates = [
        word,
        Insn { imm: 0, ..small },
        Insn { imm: 0, ..jump },
        Insn { src: 0, ..jump },
        Insn { off: 0, src: 0, imm: word.imm.rem_euclid(32), ..word },
        Insn { off: 0, imm: 0, ..word },
        Insn { off: 0, imm: ATOMICS[word.imm as usize % ATOMICS.len()], ..word },
        Insn { src: 0, ..small },
        Insn { src: 0, imm: 0, ..jump },
        Insn { off: 0, src: 0, imm: 16 << (word.imm & 1), ..word },
        Insn {
            off: 0,
            dst: 0,
            src: word.src % 2,
            imm: if word.src.is_multiple_of(2) { word.imm & 7 } else { near(word.imm) },
            ..word
        },
        Insn { dst: 0, src: 0, off: 0, imm: near(word.imm), ..word },
        Insn { dst: 0, src: 0, off: 0, ..word },
        Insn { dst: 0, src: 0, off: 0, imm: 0, ..word },
        Insn { dst: 0, off: 0, ..word },
    ];
    let second = Insn { imm: word.imm >> 8, ..Insn::default() };
    let fits = |word: &&Insn| decode(&[**word, second], 0).is_ok();
    let word = candidates.iter().find(fits).copied().unwrap_or(Insn {
        code: 0xb7,
        dst: word.dst % 10,
        src: 0,
        off: 0,
        ..word
    });
    if word.is_wide() {
        let value = INTERESTING[word.imm as usize % INTERESTING.len()].wrapping_add(u64::from(word.imm as u8 & 15));
        words.push(Insn { src: 0, off: 0, imm: value as i32, ..word });
        words.push(Insn { imm: (value >> 32) as i32, ..Insn::default() });
    } else {
        words.push(word);
    }
}

/// A packet that a helper shortens, and a context of which only a part may be used.
struct Hostile {
    context: Arc<Memory>,
    packet: Packet,
    plain: bool,
}

impl Context for Hostile {
    fn memory(&self) -> Option<&Arc<Memory>> {
        Some(&self.context)
    }

    fn is_plain(&self) -> bool {
        self.plain
    }

    fn check(&self, offset: u32, size: u32, access: Access) -> Result<(), String> {
        if offset + size <= 16 && access == Access::Read { Ok(()) } else { Err("this field is not yours".into()) }
    }

    fn packet(&self) -> Option<Packet> {
        Some(self.packet.clone())
    }
}

fn functions() -> Functions {
    fn copy(call: &mut Call<'_, '_>) -> Result<u64, Fault> {
        let [from, to, len, ..] = call.arguments();
        let bytes = call.read_vec(from, len)?;
        call.write(to, &bytes)?;
        Ok(bytes.len() as u64)
    }
    fn back(call: &mut Call<'_, '_>) -> Result<u64, Fault> {
        let [function, a, b, ..] = call.arguments();
        call.call(function, [a, b, 0, 0, 0])
    }
    fn tail(call: &mut Call<'_, '_>) -> Result<u64, Fault> {
        let program = call.argument(0);
        Ok(u64::from(call.tail_call(program)))
    }
    fn shorten(call: &mut Call<'_, '_>) -> Result<u64, Fault> {
        let by = call.argument(0) as usize % 8;
        if let Some(context) = call.context_as::<Hostile>() {
            context.packet.end = context.packet.end.saturating_sub(by).max(context.packet.data);
        }
        call.packet_changed();
        Ok(0)
    }
    fn lookup(call: &mut Call<'_, '_>) -> Result<u64, Fault> {
        let handle = call.argument(0);
        let map = call.map(handle)?.clone();
        Ok(call.value_address(&map, 0))
    }
    fn text(call: &mut Call<'_, '_>) -> Result<u64, Fault> {
        let address = call.argument(0);
        Ok(call.read_string(address, 32)?.len() as u64)
    }
    let mut functions = Functions::new();
    functions.add_helper(1, copy);
    functions.add_helper(2, back);
    functions.add_helper(3, tail);
    functions.add_helper(4, shorten);
    functions.add_helper(5, lookup);
    functions.add_helper(6, text);
    functions.add_kernel_function("lookup", lookup);
    functions
}

fn outcome(words: &[Insn], endian: Endian, head: &[u8; 4], speed: Speed) -> Option<Outcome> {
    let map = |flags, size| {
        let spec = MapSpec::new(MapKind::Array, 4, size, 1).with_flags(flags);
        Map::new(spec, &MapHost::default()).expect("an array of one element can be made")
    };
    let maps = [map(0, 64), map(flag::RDONLY_PROG, 24)];
    let builder = VmBuilder::new().functions(functions()).speed(speed);
    let builder = builder.map("a", maps[0].clone()).map("b", maps[1].clone());
    let vm = builder.build_raw(words, endian).ok()?;
    let len = usize::from(head[1] % 64);
    let memory = Arc::new(Memory::zeroed(len + 2 * ROOM).expect("a packet is small"));
    memory.fill(0, ROOM, 0xcc);
    memory.fill(ROOM + len, ROOM, 0xcc);
    let context = Arc::new(Memory::zeroed(32).expect("a context is small"));
    let start = ROOM;
    let packet = Packet { memory: memory.clone(), start, data: ROOM, end: ROOM + len, writable: head[2] & 1 == 0 };
    let mut hostile = Hostile { context: context.clone(), packet, plain: head[2] & 2 == 0 };
    let options = RunOptions { budget: 20_000, ..vm.options() };
    let result = vm.run_with(&vm.programs()[0], &mut hostile, &options);
    let result = result.map_err(|fault| {
        // Only a program without a first instruction has no place.
        assert!(!fault.trace().is_empty() || matches!(fault.kind(), FaultKind::NoFunction(_)), "{fault}");
        (fault.kind().clone(), fault.place().map(|place| place.index))
    });
    let outside = [memory.to_vec(0, ROOM), memory.to_vec(ROOM + len, ROOM)].concat();
    assert!(outside.iter().all(|byte| *byte == 0xcc), "the program wrote beside its packet");
    let values: Vec<Vec<u8>> = maps.iter().filter_map(|map| map.values()).map(|m| m.to_vec(0, m.len())).collect();
    assert!(values[1].iter().all(|byte| *byte == 0), "the program wrote what it may only read");
    let packet = memory.to_vec(ROOM, len);
    assert!(
        head[2] & 1 == 0 || packet.iter().all(|byte| *byte == 0),
        "the program wrote a packet that it may only read"
    );
    let context = context.to_vec(0, 32);
    assert!(
        head[2] & 2 == 0 || context.iter().all(|byte| *byte == 0),
        "the program wrote a context that it may only read"
    );
    Some(Outcome { result, packet, context, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn random_programs_harm_nobody(bytes in proptest::collection::vec(any::<u8>(), 4..400)) {
            fuzz_one(&bytes);
        }
    }

    #[test]
    fn repaired_programs_load_and_run() {
        // A multiplicative generator: every byte of the words takes all values.
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 56) as u8
        };
        let (mut loaded, mut returned) = (0, 0);
        for _ in 0..500 {
            let bytes: Vec<u8> = (0..84).map(|_| random()).collect();
            let words = program(&bytes[4..], true);
            if let Some(outcome) = outcome(&words, Endian::NATIVE, &[2, 40, 0, 0], Speed::Fused) {
                loaded += 1;
                returned += usize::from(outcome.result.is_ok());
            }
        }
        assert!(loaded > 100 && returned > 20, "{loaded} loaded, {returned} returned");
    }
}
