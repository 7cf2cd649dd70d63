//! Programs whose objects lie in parts at random places, each linked by itself: all that crosses from one to another goes through
//! stubs and slots. The places come from seeds, so what fails once fails again.

use super::{Machine, Objects};
use crate::support::{Program, elf};
use jitlink_core::Addr;
use jitlink_core::link::Roots;
use std::collections::BTreeMap;

/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators").
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for index in (1..list.len()).rev() {
            list.swap(index, self.below(index as u64 + 1) as usize);
        }
    }
}

impl Machine {
    /// The program in random parts at random places. With `filler`, an object of more code than branches reach, parts have that between
    /// two of their objects, so that they have thunks.
    pub(super) fn scattered(
        &self,
        objects: &Objects,
        filler: Option<&(String, Vec<u8>)>,
        seed: u64,
    ) -> Result<Vec<u8>, String> {
        let mut random = Random(seed);
        let mut objects = objects.clone();
        random.shuffle(&mut objects);
        let count = 2 + random.below(objects.len() as u64 - 1) as usize;
        let mut parts = vec![Objects::new(); count];
        for (index, object) in objects.into_iter().enumerate() {
            // Each part has one at least.
            let part = if index < count { index } else { random.below(count as u64) as usize };
            parts[part].push(object);
        }
        if let Some(filler) = filler {
            for part in parts.iter_mut().filter(|part| part.len() > 1) {
                part.insert(1 + random.below(part.len() as u64 - 1) as usize, filler.clone());
            }
        }
        // Different parts lie in different windows, which are farther apart than any instruction reaches, or, in 32 bits, any branch.
        // There are not many more windows than parts: the emulator takes long over all that lies between its first byte and its last.
        let window = if self.abi == 0 { 0x600_0000 } else { 0x4_0000_0000 };
        let mut free: Vec<u64> = (1..count as u64 + 3).collect();
        random.shuffle(&mut free);
        let bases: Vec<Addr> =
            free.iter().take(count).map(|number| Addr(number * window + (random.below(0x100) << 16))).collect();
        Parts { parts, bases }.link(self)
    }
}

struct Parts {
    parts: Vec<Objects>,
    bases: Vec<Addr>,
}

impl Parts {
    /// Links each part, with the addresses that the names of the others have. Those are known after a first round, and are then
    /// what they were: sizes do not depend on them.
    fn link(&self, machine: &Machine) -> Result<Vec<u8>, String> {
        let mut known: BTreeMap<String, (usize, Addr)> = BTreeMap::new();
        for _ in 0..4 {
            let mut found = BTreeMap::new();
            let mut segments = Vec::new();
            for (number, (objects, &base)) in self.parts.iter().zip(&self.bases).enumerate() {
                let elsewhere = known.iter().filter(|(name, (part, _))| *part != number && *name != "filler");
                let outside: Vec<(&str, Addr)> = elsewhere.map(|(name, (_, at))| (name.as_str(), *at)).collect();
                let program = match known.is_empty() {
                    true => Program::tentative(base, objects)?,
                    false => Program::link(base, objects, &outside, Roots::Exported)?,
                };
                segments.extend(program.segments);
                found.extend(program.exports.into_iter().map(|(name, at)| (name, (number, at))));
            }
            if found == known {
                return Ok(elf::executable(&segments, known["_start"].1, machine.endian, machine.abi));
            }
            known = found;
        }
        Err("addresses do not settle".into())
    }
}
