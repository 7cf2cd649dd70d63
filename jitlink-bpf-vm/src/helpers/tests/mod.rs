//! Known answers of helpers: what the same calls give on Linux 6.18, or what `linux/bpf.h` says of them.
//!
//! A [`Script`] is a program that makes calls one after the other and keeps what each returns.

mod ends;
mod events;
mod maps;
mod packets;
mod refused;
mod tails;
mod text;
mod xdp;

use std::sync::Arc;

use jitlink_arch_bpf::catalog::helpers::by_name;
use jitlink_arch_bpf::catalog::programs::ProgramType;
use jitlink_arch_bpf::insn::Insn;
use jitlink_core::Endian;

use super::{Host, KERNEL_FUNCTIONS, standard};
use crate::address::{VALUE_REGION, at};
use crate::context::{Context, NoContext};
use crate::contexts::{Packet, PacketContext};
use crate::fault::Fault;
use crate::maps::{Map, MapHost, MapKind, MapSpec};
use crate::vm::{Vm, VmBuilder};

/// An argument of a call.
#[derive(Clone, Copy)]
enum A {
    /// The program's context.
    Context,
    /// A number.
    N(u64),
    /// The address of a byte of the script's data.
    Data(u64),
    /// The handle of a map.
    Map(usize),
    /// An address that far below the end of the stack.
    Stack(i32),
    /// What an earlier call returned.
    Got(usize),
    /// The address of a function.
    Function(usize),
}

use A::*;

/// Where what calls return is kept in the data.
const RESULTS: usize = 2048;
/// Helpers from here on give handles of maps, or are kernel functions.
const HANDLES: u32 = 60_000;
const NAMED: u32 = 50_000;

/// Calls, with all that they need.
#[derive(Default)]
struct Script {
    host: Arc<Host>,
    maps: Vec<Arc<Map>>,
    data: Vec<u8>,
    calls: Vec<(String, Vec<A>)>,
    functions: Vec<Vec<Insn>>,
    budget: Option<u64>,
}

/// What a script left behind.
struct Outcome {
    results: Vec<i64>,
    data: Vec<u8>,
    vm: Vm,
}

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

fn wide(dst: u8, value: u64) -> [Insn; 2] {
    [insn(0x18, dst, 0, 0, value as i32), insn(0, 0, 0, 0, (value >> 32) as i32)]
}

fn data_address(offset: u64) -> u64 {
    at(VALUE_REGION, 0) + offset
}

fn map(kind: MapKind, key: u32, value: u32, entries: u32) -> Arc<Map> {
    spec(MapSpec::new(kind, key, value, entries))
}

fn spec(spec: MapSpec) -> Arc<Map> {
    Map::new(spec, &MapHost { cpus: 2, ..MapHost::default() }).unwrap()
}

impl Script {
    fn new() -> Script {
        Script::default()
    }

    fn host(mut self, host: Host) -> Script {
        self.host = Arc::new(host);
        self
    }

    fn map(mut self, map: Arc<Map>) -> Script {
        self.maps.push(map);
        self
    }

    /// Bytes at the start of the data.
    fn data(mut self, data: &[u8]) -> Script {
        self.data = data.to_vec();
        self
    }

    fn budget(self, instructions: u64) -> Script {
        Script { budget: Some(instructions), ..self }
    }

    fn call(mut self, name: &str, arguments: &[A]) -> Script {
        self.calls.push((name.into(), arguments.to_vec()));
        self
    }

    fn function(mut self, words: &[Insn]) -> Script {
        self.functions.push(words.to_vec());
        self
    }

    fn run(self) -> Outcome {
        self.try_run(&mut NoContext).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn run_on(self, context: &mut dyn Context) -> Outcome {
        self.try_run(context).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn try_run(self, context: &mut dyn Context) -> Result<Outcome, Fault> {
        let mut functions = standard(self.host.clone());
        for (i, map) in self.maps.iter().cloned().enumerate() {
            functions.add_helper(HANDLES + i as u32, move |call| Ok(call.map_handle(&map)));
        }
        for (i, (_, body)) in KERNEL_FUNCTIONS.iter().flat_map(|table| *table).enumerate() {
            let host = self.host.clone();
            functions.add_helper(NAMED + i as u32, move |call| body(call, &host));
        }
        let store = map(MapKind::Array, 4, 4096, 1);
        let mut bytes = self.data.clone();
        bytes.resize(4096, 0);
        store.update(&[0; 4], &bytes, 0).unwrap();
        let words = self.words();
        let builder = VmBuilder::new().functions(functions).map("data", store.clone());
        let builder = builder.budget(self.budget.unwrap_or(crate::vm::DEFAULT_BUDGET));
        let vm = builder.build_raw(&words, Endian::NATIVE).unwrap();
        vm.run(&vm.programs()[0], context)?;
        let data = store.lookup(&[0; 4]).unwrap();
        let results = data[RESULTS..].as_chunks::<8>().0[..self.calls.len()].iter();
        let results = results.map(|word| i64::from_ne_bytes(*word)).collect();
        Ok(Outcome { results, data, vm })
    }

    fn words(&self) -> Vec<Insn> {
        // r6 keeps the context. Functions stand behind the program; their addresses are filled in at the end.
        let mut words = vec![insn(0xbf, 6, 1, 0, 0)];
        let mut uses = Vec::new();
        for (number, (name, arguments)) in self.calls.iter().enumerate() {
            let maps = arguments.iter().zip(1..).filter_map(|(argument, register)| match argument {
                Map(index) => Some((*index, register)),
                _ => None,
            });
            let maps: Vec<(usize, i16)> = maps.collect();
            for (index, register) in &maps {
                words.push(insn(0x85, 0, 0, 0, (HANDLES as usize + index) as i32));
                words.push(insn(0x7b, 10, 0, -8 * register, 0));
            }
            for (argument, register) in arguments.iter().zip(1u8..) {
                match *argument {
                    Context => words.push(insn(0xbf, register, 6, 0, 0)),
                    N(value) => words.extend(wide(register, value)),
                    Data(offset) => words.extend(wide(register, data_address(offset))),
                    Map(_) => words.push(insn(0x79, register, 10, -8 * i16::from(register), 0)),
                    Stack(below) => words.extend([insn(0xbf, register, 10, 0, 0), insn(0x07, register, 0, 0, -below)]),
                    Got(index) => {
                        words.extend(wide(register, data_address((RESULTS + 8 * index) as u64)));
                        words.push(insn(0x79, register, register, 0, 0));
                    }
                    Function(index) => {
                        uses.push((words.len(), index));
                        words.extend([insn(0x18, register, 4, 0, 0), insn(0, 0, 0, 0, 0)]);
                    }
                }
            }
            words.push(insn(0x85, 0, 0, 0, helper_number(name)));
            words.extend(wide(1, data_address((RESULTS + 8 * number) as u64)));
            words.push(insn(0x7b, 1, 0, 0, 0));
        }
        words.extend([insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)]);
        let mut starts = Vec::new();
        for function in &self.functions {
            starts.push(words.len());
            words.extend(function);
        }
        for (at, index) in uses {
            words[at].imm = starts[index] as i32 - at as i32 - 1;
        }
        words
    }
}

fn helper_number(name: &str) -> i32 {
    let named = || KERNEL_FUNCTIONS.iter().flat_map(|table| *table).position(|(known, _)| *known == name);
    match by_name(name) {
        Some(helper) => helper.number as i32,
        None => (NAMED as usize + named().unwrap_or_else(|| panic!("there is no {name}"))) as i32,
    }
}

/// An Ethernet header, an IPv4 header and a UDP header without checksum, and sixteen bytes.
fn udp4() -> Vec<u8> {
    let mut bytes: Vec<u8> = (1..=12).collect();
    bytes.extend([8, 0, 0x45, 0, 0, 0x2c, 0, 1, 0, 0, 0x40, 0x11, 0x66, 0xc8, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.extend([0x12, 0x34, 0, 0x50, 0, 0x18, 0, 0]);
    bytes.extend(0..16);
    bytes
}

/// The same with IPv6, and no bytes behind the UDP header.
fn udp6() -> Vec<u8> {
    let mut bytes: Vec<u8> = (1..=12).collect();
    bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 0x11, 0x40]);
    bytes.extend(0..32);
    bytes.extend([0x12, 0x34, 0, 0x50, 0, 8, 0, 0]);
    bytes
}

fn context(program: ProgramType, packet: Packet) -> PacketContext {
    PacketContext::new(program, packet, Endian::NATIVE).unwrap().unwrap()
}

fn tc(bytes: &[u8]) -> PacketContext {
    context(ProgramType::SchedCls, Packet::ethernet(bytes))
}
