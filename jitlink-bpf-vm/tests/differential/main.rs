//! Random valid programs do the same on every machine: the kernel, the virtual machine, and a naive one made for this test.
//!
//! `JITLINK_DIFFERENTIAL=N` runs N programs, `JITLINK_DIFFERENTIAL_SEED=S` begins at a seed. Where `bpf(2)` is not allowed the kernel does
//! not take part. What differs is cut down before it is shown.

mod generate;
mod kernel;
mod machine;
mod naive;
mod program;
mod random;
mod shrink;

use jitlink_arch_bpf::insn::{Immediate, Insn, decode};
use kernel::Kernel;
use naive::World;
use program::{Entry, Maps, PACKET_SIZE, Program, RESULTS, TABLE_ENTRIES, TABLE_KEYS, VALUE_SIZE};
use random::Random;

/// How many programs run unless the environment says otherwise.
const PROGRAMS: u64 = 400;

/// What a program left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    result: u32,
    world: World,
}

struct Machines {
    kernel: Option<Kernel>,
    refused: usize,
}

/// What a machine does that the naive one does not.
struct Difference {
    machine: &'static str,
    expected: Outcome,
    found: Result<Outcome, String>,
}

fn environment(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
        Err(_) => default,
    }
}

#[test]
fn random_programs_do_the_same_on_every_machine() {
    let count = environment("JITLINK_DIFFERENTIAL", PROGRAMS);
    let first = environment("JITLINK_DIFFERENTIAL_SEED", 0);
    let mut machines = Machines { kernel: Kernel::new(), refused: 0 };
    for seed in first..first.saturating_add(count) {
        let (program, world) = case(seed);
        if machines.difference(&program, &world).is_some() {
            let program = shrink::shrink(program, |program| machines.difference(program, &world).is_some());
            let difference = machines.difference(&program, &world).expect("what was kept differs");
            panic!("{}", describe(seed, &program, &world, &difference));
        }
    }
    let refused = machines.refused as u64;
    eprintln!("{count} programs from seed {first}, {refused} refused by the verifier");
    assert!(refused * 20 <= count, "the verifier refused {refused} of {count} programs");
}

fn case(seed: u64) -> (Program, World) {
    let entry = if seed.is_multiple_of(4) { Entry::SocketBuffer } else { Entry::Xdp };
    let program = generate::program(seed, entry);
    let mut random = Random::new(!seed);
    // Some packets are shorter than main asks for.
    let len = if random.percent(3) { 14 + random.below(PACKET_SIZE) } else { PACKET_SIZE + random.below(64) };
    let (mut value, mut packet) = (vec![0; VALUE_SIZE], vec![0; len]);
    random.fill(&mut value);
    random.fill(&mut packet);
    let mut table = std::collections::BTreeMap::new();
    for _ in 0..random.below(TABLE_ENTRIES as usize + 1) {
        table.insert(random.below(TABLE_KEYS as usize) as u32, random.value().to_le_bytes());
    }
    (program, World { value, packet, table, hidden: entry == Entry::SocketBuffer })
}

impl Machines {
    /// The first machine that does not do what the naive one does.
    fn difference(&mut self, program: &Program, world: &World) -> Option<Difference> {
        let expected = naive(program, world);
        let mut after = world.clone();
        let found = machine::run(program, &mut after).map_err(|error| error.to_string());
        let found = found.map(|result| Outcome { result, world: after });
        if found.as_ref() != Ok(&expected) {
            return Some(Difference { machine: "the virtual machine", expected, found });
        }
        let mut after = world.clone();
        match self.kernel.as_ref()?.run(program, &mut after) {
            Ok(result) => {
                let found = Outcome { result, world: after };
                (found != expected).then_some(Difference { machine: "the kernel", expected, found: Ok(found) })
            }
            Err(error) => {
                if self.refused == 0 {
                    eprintln!("the first program that is refused: {error}");
                }
                self.refused += 1;
                None
            }
        }
    }
}

/// How the naive machine and what is shown name the maps.
const MAPS: Maps = Maps { value: Immediate::Constant(naive::VALUE), table: Immediate::Constant(naive::TABLE) };

/// What the naive machine says. It knows one world, so a fault there is the generator's mistake.
fn naive(program: &Program, world: &World) -> Outcome {
    let entry = if program.entry == Entry::Xdp { Entry::Memory } else { program.entry };
    let words = program.lower(entry, MAPS);
    let mut world = world.clone();
    let arguments = [naive::PACKET, world.packet.len() as u64];
    match naive::run(&words, &mut world, arguments) {
        Ok(result) => Outcome { result: result as u32, world },
        Err(error) => panic!("{error}\n{}", listing(&words)),
    }
}

fn listing(words: &[Insn]) -> String {
    let (mut text, mut at) = (String::new(), 0);
    while at < words.len() {
        match decode(words, at) {
            Ok(op) => {
                text += &format!("{at:4}: {op:?}\n");
                at += op.words();
            }
            Err(error) => {
                text += &format!("{error}\n");
                at += 1;
            }
        }
    }
    text
}

fn describe(seed: u64, program: &Program, world: &World, difference: &Difference) -> String {
    let words = program.lower(program.entry, MAPS);
    let show = |outcome: &Outcome| {
        let results: Vec<_> = outcome.world.value[RESULTS..]
            .chunks_exact(8)
            .map(|slot| format!("{:#x}", u64::from_le_bytes(slot.try_into().expect("eight bytes"))))
            .collect();
        let (packet, table) = (&outcome.world.packet, &outcome.world.table);
        format!("r0 = {:#x}, results {results:?}\n  packet {packet:02x?}\n  table {table:02x?}", outcome.result)
    };
    let found = match &difference.found {
        Ok(outcome) => show(outcome),
        Err(error) => error.clone(),
    };
    format!(
        "seed {seed}: {} differs\n{}value {:02x?}\npacket {:02x?}\ntable {:02x?}\nexpected: {}\n{}: {found}",
        difference.machine,
        listing(&words),
        world.value,
        world.packet,
        world.table,
        show(&difference.expected),
        difference.machine,
    )
}
