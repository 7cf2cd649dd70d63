//! What programs do with maps: small programs that call one helper, run by the kernel's test run.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use jitlink_bpf_vm::maps::{Map, MapHost, MapKind, MapResult, MapSpec, flag};

use crate::sys::{Attributes, Dice, Failed, KernelMap, Shared, allowed, bpf, cpus, descriptor};

/// Where key and value stand on the stack.
const KEY: i16 = -16;
const VALUE: i16 = -256;

/// Instructions of a program.
pub(crate) struct Code(Vec<u8>);

impl Code {
    fn new() -> Code {
        Code(Vec::new())
    }

    /// One instruction: opcode, registers, offset and immediate.
    fn op(mut self, opcode: u8, (dst, src): (u8, u8), offset: i16, imm: i32) -> Code {
        self.0.extend([opcode, dst | src << 4]);
        self.0.extend(offset.to_ne_bytes());
        self.0.extend(imm.to_ne_bytes());
        self
    }

    /// Bytes on the stack.
    fn stack(self, at: i16, bytes: &[u8]) -> Code {
        bytes.iter().zip(at..).fold(self, |code, (byte, at)| code.op(0x72, (10, 0), at, i32::from(*byte)))
    }

    fn address(self, register: u8, at: i16) -> Code {
        self.op(0xbf, (register, 10), 0, 0).op(0x07, (register, 0), 0, i32::from(at))
    }

    fn map(self, register: u8, map: &KernelMap) -> Code {
        self.op(0x18, (register, 1), 0, map.fd.as_raw_fd()).op(0, (0, 0), 0, 0)
    }

    fn number(self, register: u8, value: u64) -> Code {
        self.op(0x18, (register, 0), 0, value as i32).op(0, (0, 0), 0, (value >> 32) as i32)
    }

    fn call(self, helper: i32) -> Code {
        self.op(0x85, (0, 0), 0, helper)
    }

    fn exit(self) -> Code {
        self.op(0x95, (0, 0), 0, 0)
    }

    /// Loads and runs it: the low half of its result.
    fn run(mut self) -> Result<i32, Failed> {
        let mut license = *b"GPL\0";
        let count = self.0.len() as u32 / 8;
        let attributes = Attributes::new().u32(0, 3).u32(4, count);
        let attributes = attributes.pointer(8, Some(&mut self.0)).pointer(16, Some(&mut license));
        let program: OwnedFd = descriptor(5, &mut { attributes })?;
        let mut packet = [0; 64];
        let attributes = Attributes::new().u32(0, program.as_raw_fd() as u32).u32(8, 64).pointer(16, Some(&mut packet));
        let mut attributes = attributes;
        bpf(10, &mut attributes)?;
        Ok(attributes.u32_at(4).cast_signed())
    }
}

/// What a helper that fails or gives nothing returns.
fn result(ours: MapResult) -> i32 {
    ours.map_or_else(|error| -error.errno.0, |()| 0)
}

fn both(spec: &MapSpec) -> (Arc<Map>, KernelMap) {
    let host = MapHost { cpus: cpus(), ..MapHost::default() };
    (Map::new(spec.clone(), &host).unwrap(), KernelMap::new(spec, None, None).unwrap())
}

#[test]
fn helpers_on_keys_do_the_same() {
    if !allowed() {
        return;
    }
    let spec = |kind| MapSpec::new(kind, 4, 4, 4);
    let specs = [
        spec(MapKind::Array),
        spec(MapKind::Hash),
        spec(MapKind::PercpuHash),
        spec(MapKind::PercpuArray),
        spec(MapKind::Hash).with_flags(flag::NO_PREALLOC),
        MapSpec::new(MapKind::LpmTrie, 8, 4, 4).with_flags(flag::NO_PREALLOC),
    ];
    for spec in specs {
        let (ours, theirs) = both(&spec);
        let (mut dice, mut seen) = (Dice(8), BTreeMap::<i32, u32>::new());
        for _ in 0..400 {
            let mut key = (dice.below(6) as u32).to_ne_bytes().to_vec();
            if spec.key_size == 8 {
                key = [dice.pick(&[0u32, 1, 8, 31, 32, 33]).to_ne_bytes(), [10, 0, 0, dice.below(3) as u8]].concat();
            }
            let value = [dice.roll() as u8, 1, 0, 0];
            let flags = dice.pick(&[0, 0, 0, 1, 2, 3, 4, 8, 1 << 33]);
            let code =
                Code::new().stack(KEY, &key).stack(VALUE, &value).map(1, &theirs).address(2, KEY).address(3, VALUE);
            let cpu = ours.on_cpu(0);
            let (expected, kernel) = match dice.below(4) {
                0 | 1 => (result(cpu.update(&key, &value, flags)), code.number(4, flags).call(2).exit()),
                2 => (result(cpu.delete(&key)), code.call(3).exit()),
                _ => {
                    let found = cpu.find(&key).map(|at| ours.values().unwrap().to_vec(at, 4));
                    let number = found.map_or(-2, |value| i32::from_ne_bytes(value.try_into().unwrap()));
                    // Without an element, -2.
                    let code = code.call(1).op(0x55, (0, 0), 2, 0).op(0xb7, (0, 0), 0, -2).exit();
                    (number, code.op(0x61, (0, 0), 0, 0).exit())
                }
            };
            // Values per CPU are those of the CPU that the test ran on, which is not ours to choose.
            let kernel = kernel.run().unwrap();
            if ours.kind().is_percpu() && expected >= 0 && kernel >= 0 {
                continue;
            }
            *seen.entry(expected.min(1)).or_default() += 1;
            assert_eq!(expected, kernel, "ours, the kernel's: {key:?} {value:?} {flags:#x} of {spec:?}");
        }
        println!("{}: {seen:?}", ours.kind().name());
        assert!(seen.len() > 2, "{seen:?}");
    }
}

#[test]
fn helpers_on_values_do_the_same() {
    if !allowed() {
        return;
    }
    for kind in [MapKind::Queue, MapKind::Stack, MapKind::BloomFilter] {
        let spec = MapSpec::new(kind, 0, 4, 3);
        let (ours, theirs) = both(&spec);
        let mut dice = Dice(1);
        for _ in 0..400 {
            let mut value = [dice.roll() as u8 | 1, 0, 0, 0];
            let flags = dice.pick(&[0, 0, 0, 1, 2, 3, 4, 1 << 33]);
            let code = Code::new().stack(VALUE, &value).map(1, &theirs).address(2, VALUE);
            // The error, or else the value.
            let look = |code: Code| code.op(0x55, (0, 0), 1, 0).op(0x61, (0, 10), VALUE, 0).exit();
            let cpu = ours.on_cpu(0);
            let filter = kind == MapKind::BloomFilter;
            let (expected, kernel) = match dice.below(3) {
                0 => (result(cpu.push(&value, flags)), code.number(3, flags).call(87).exit()),
                1 if !filter => {
                    let error = result(cpu.pop(&mut value));
                    (if error == 0 { i32::from_ne_bytes(value) } else { error }, look(code.call(88)))
                }
                _ => {
                    let error = result(cpu.peek(&mut value));
                    // Filters may take others for what they have, each in its own way.
                    if filter && theirs.contains(&value).is_ok() != ours.contains(&value).is_ok() {
                        continue;
                    }
                    (if error == 0 { i32::from_ne_bytes(value) } else { error }, look(code.call(89)))
                }
            };
            assert_eq!(expected, kernel.run().unwrap(), "ours, the kernel's: {value:?} {flags:#x} of {spec:?}");
        }
    }
}

/// A program that reserves two records and ends them, and sends one between; and the same on ours.
fn reserve_and_send(ring: &KernelMap, ours: &Map, dice: &mut Dice) -> (Code, i32) {
    let sizes = [1u64, 8, 40, 200, 1000, 2000, 4080, 4088, 5000, (1 << 30) - 1, 1 << 30];
    let (first, second, sent) = (dice.pick(&sizes), dice.pick(&sizes), dice.pick(&[1usize, 8, 13, 100]));
    let discards = [dice.below(3) == 0, dice.below(3) == 0];
    let mark = dice.roll() as u8;
    let helper = |discard: bool| if discard { 133 } else { 132 };
    let data = vec![mark; sent];
    // r9 counts what went well; r6 and r7 are the records.
    let reserve = |code: Code, size: u64| code.map(1, ring).number(2, size).number(3, 0).call(131);
    let end =
        |code: Code, register: u8, discard: bool| code.op(0xbf, (1, register), 0, 0).number(2, 1).call(helper(discard));
    let mut code = Code::new().stack(VALUE, &data).op(0xb7, (9, 0), 0, 0);
    let send = |code: Code| code.map(1, ring).address(2, VALUE).number(3, sent as u64).number(4, 0).call(130);
    // Instructions that are passed over where there is no record; each number takes two.
    let tail = end(Code::new().op(0x72, (7, 0), 0, i32::from(mark)).op(0x07, (9, 0), 0, 1), 7, discards[1]);
    let inner = send(reserve(Code::new(), second).op(0xbf, (7, 0), 0, 0));
    let skip = tail.0.len() / 8;
    let inner = inner.op(0x15, (7, 0), skip as i16, 0);
    let outer = Code([inner.0, tail.0].concat());
    let outer = end(
        Code([Code::new().op(0x72, (6, 0), 0, i32::from(mark)).op(0x07, (9, 0), 0, 16).0, outer.0].concat()),
        6,
        discards[0],
    );
    code = reserve(code, first).op(0xbf, (6, 0), 0, 0).op(0x15, (6, 0), (outer.0.len() / 8) as i16, 0);
    let code = Code([code.0, outer.0].concat()).op(0xbf, (0, 9), 0, 0).exit();

    let ring = ours.ring().unwrap();
    let write = |at: usize| ours.values().unwrap().write(at, &[mark]);
    let finish = |at: usize, discard: bool| match discard {
        true => ring.discard(at, 1).unwrap(),
        false => ring.submit(at, 1).unwrap(),
    };
    let mut count = 0;
    if let Some(one) = ring.reserve(first) {
        write(one);
        count += 16;
        let two = ring.reserve(second);
        _ = ring.output(&data, 0);
        if let Some(two) = two {
            write(two);
            count += 1;
            finish(two, discards[1]);
        }
        finish(one, discards[0]);
    }
    (code, count)
}

#[test]
fn ring_buffers_do_the_same() {
    if !allowed() {
        return;
    }
    for size in [4096, 8192] {
        let spec = MapSpec::new(MapKind::Ringbuf, 0, 0, size);
        let (ours, theirs) = both(&spec);
        let shared = Shared::new(&theirs, size as usize);
        let ring = ours.ring().unwrap();
        let (mut dice, mut records) = (Dice(3), 0);
        for round in 0..600 {
            let (expected, code) = match dice.below(5) {
                0 | 1 => {
                    let data = dice.bytes(dice.0 as usize % 200 + 1);
                    let flags = dice.pick(&[0, 0, 0, 1, 2, 3, 4, 1 << 40]);
                    let code = Code::new().stack(VALUE, &data).map(1, &theirs).address(2, VALUE);
                    let code = code.number(3, data.len() as u64).number(4, flags).call(130).exit();
                    (result(ring.output(&data, flags)), code)
                }
                2 => {
                    let (code, count) = reserve_and_send(&theirs, &ours, &mut dice);
                    (count, code)
                }
                3 => {
                    let state = ring.query();
                    let what = dice.below(5);
                    let ours = [state.available, state.size, state.consumer, state.producer, 0][what as usize];
                    (ours as i32, Code::new().map(1, &theirs).number(2, what).call(134).exit())
                }
                _ => {
                    let take = dice.below(6);
                    let ours: Vec<Vec<u8>> = std::iter::from_fn(|| ring.next()).take(take as usize).collect();
                    let theirs: Vec<Vec<u8>> = std::iter::from_fn(|| shared.next()).take(take as usize).collect();
                    records += ours.len();
                    // A reserved record holds what the kernel's and our memory held before.
                    assert_eq!(
                        ours.iter().map(|data| (data.len(), data.first())).collect::<Vec<_>>(),
                        theirs.iter().map(|data| (data.len(), data.first())).collect::<Vec<_>>()
                    );
                    continue;
                }
            };
            assert_eq!(expected, code.run().unwrap(), "ours, the kernel's, in round {round} of {spec:?}");
        }
        assert!(records > 100, "{records}");
    }
}
