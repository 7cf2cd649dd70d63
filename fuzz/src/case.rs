//! What the link targets make of their bytes: a batch of objects and archives, and the options of a link.
//!
//! An input of the batch is one of: bytes as they are; a committed object, some numbers in it changed; an object that
//! [`crate::made`] draws; an archive of those before it. So the same engine can damage what compilers write, and put together
//! what they do not.

use crate::made;
use arbitrary::{Result, Unstructured};
use jitlink_core::graph::{Linkage, Name};
use jitlink_core::link::{Definition, Existing, LinkOptions, Resolver, Roots, Unresolved};
use jitlink_core::{Addr, Input, LinkError};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Objects of real compilers, for x86-64.
pub static OBJECTS: [&[u8]; 17] = [
    include_bytes!("../tests/fixtures/calls.o"),
    include_bytes!("../tests/fixtures/calls-large.o"),
    include_bytes!("../tests/fixtures/calls-medium.o"),
    include_bytes!("../tests/fixtures/calls-nopic.o"),
    include_bytes!("../tests/fixtures/exceptions.o"),
    include_bytes!("../tests/fixtures/exceptions-nopic.o"),
    include_bytes!("../tests/fixtures/library.o"),
    include_bytes!("../tests/fixtures/switch.o"),
    include_bytes!("../../jitlink/tests/fixtures/add.o"),
    include_bytes!("../../jitlink/tests/fixtures/empty.o"),
    include_bytes!("../../jitlink/tests/fixtures/far.o"),
    include_bytes!("../../jitlink/tests/fixtures/module.o"),
    include_bytes!("../../jitlink-elf/tests/fixtures/debug-zlib.o"),
    include_bytes!("../../jitlink-elf/tests/fixtures/groups.o"),
    include_bytes!("../../jitlink-elf/tests/fixtures/x86_64.o"),
    include_bytes!("../../jitlink-elf/tests/fixtures/x86_64-crel.o"),
    include_bytes!("../../jitlink-cli/tests/fixtures/program.o"),
];

/// A link to try.
pub struct Case {
    pub inputs: Vec<Input>,
    pub options: LinkOptions,
    pub world: World,
    /// Where the image lies: base, size, size of a page.
    pub place: (u64, u64, u64),
    /// Also link with more threads than one.
    pub threads: bool,
    /// Enough objects that they are read in parallel.
    pub many: bool,
    /// Also link into this process.
    pub process: bool,
}

const BASES: [u64; 8] =
    [0x1000_0000, 0x20_0000, 0x7fff_0000, 0xffff_0000, 0x5555_5555_0000, 0x7fff_ffff_0000, 0xffff_ffff_8000_0000, 0];
const SIZES: [u64; 4] = [16 << 20, 1 << 20, 0x1_0000, 0x4000];
const PAGES: [u64; 4] = [0x1000, 0x1000, 0x1_0000, 1];

impl Case {
    /// Draws a case; the bytes run out sooner or later, after which every choice is the first.
    pub fn draw(u: &mut Unstructured<'_>) -> Result<Case> {
        let flags: [u8; 4] = u.arbitrary()?;
        let place = (*pick(&BASES, flags[0]), *pick(&SIZES, flags[0] >> 3), *pick(&PAGES, flags[0] >> 5));
        let flag = |bit: u8| flags[1] >> bit & 1 != 0;
        let process = flag(3) && flag(4);
        // The slowest by far, so the rarest.
        let threads = flag(0) && flag(1) && flags[3] & 0x10 != 0;
        let many = threads && flag(2) && flags[3] & 0x20 != 0;
        let world = World { kind: flags[2] % 8, near: place.0.wrapping_add(place.1) };
        let mut options = LinkOptions {
            unresolved: if flag(5) { Unresolved::Null } else { Unresolved::Error },
            updatable: flag(6),
            keep_debug: flag(7),
            map: true,
            threads: Some(1),
            ..LinkOptions::default()
        };
        match flags[3] & 3 {
            0 | 1 => {}
            2 => options.roots = Roots::Named(names(u)?),
            _ => options.roots = Roots::IfDefined(names(u)?),
        }
        if flags[3] & 4 != 0 {
            options.defines = vec![(name(u)?, Addr(u.arbitrary()?))];
        }
        if flags[3] & 8 != 0 {
            options.aliases = vec![(name(u)?, name(u)?)];
        }
        Ok(Case { inputs: inputs(u)?, options, world, place, threads, many, process })
    }
}

/// Writes files to the folder that `JITLINK_FUZZ_DUMP` names, if it does: to look at what an input that failed is made of.
pub fn dump(inputs: &[Input]) {
    let Some(folder) = std::env::var_os("JITLINK_FUZZ_DUMP") else { return };
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    let round = ROUND.fetch_add(1, Ordering::Relaxed);
    for input in inputs {
        let file = Path::new(&folder).join(format!("{round:02}-{}", input.name()));
        std::fs::write(&file, input.bytes()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

fn pick<T>(values: &[T], number: u8) -> &T {
    &values[usize::from(number) % values.len()]
}

fn name(u: &mut Unstructured<'_>) -> Result<String> {
    Ok((*u.choose(&made::NAMES)?).to_string())
}

fn names(u: &mut Unstructured<'_>) -> Result<Vec<String>> {
    (0..u.int_in_range(0..=3)?).map(|_| name(u)).collect()
}

/// One to six inputs.
fn inputs(u: &mut Unstructured<'_>) -> Result<Vec<Input>> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut inputs = Vec::new();
    for number in 0..1 + u.arbitrary::<u8>()? % 6 {
        let kind: u8 = u.arbitrary()?;
        match kind % 8 {
            0 => {
                let size = usize::from(u.arbitrary::<u16>()?).min(u.len());
                files.push((format!("raw{number}.o"), u.bytes(size)?.to_vec()));
            }
            1..=3 => files.push((format!("damaged{number}.o"), damaged(u)?)),
            4..=6 => files.push((format!("made{number}.o"), made::object(u)?)),
            _ => {
                let members = std::mem::take(&mut files);
                let archive = Input::from_bytes(format!("lib{number}.a"), archive(&members));
                inputs.push(if kind & 8 != 0 { archive.whole_archive() } else { archive });
            }
        }
    }
    inputs.extend(files.into_iter().map(|(name, bytes)| Input::from_bytes(name, bytes)));
    Ok(inputs)
}

/// A committed object with up to seven numbers changed.
pub fn damaged(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let which: u8 = u.arbitrary()?;
    let mut bytes = pick(&OBJECTS, which).to_vec();
    for _ in 0..u.arbitrary::<u8>()? % 8 {
        let (how, at, value): (u8, u16, u16) = u.arbitrary()?;
        // Counted from the end, where the tables are, or from the start.
        let at = usize::from(at) % bytes.len();
        let at = if how & 1 == 0 { bytes.len() - 1 - at } else { at };
        let size = [1, 1, 2, 4, 8][usize::from(how >> 1) % 5].min(bytes.len() - at);
        let value = match how >> 4 & 3 {
            0 => u64::from(value),
            1 => i64::from(value as i16) as u64,
            2 => u64::from(value).rotate_right(u32::from(how >> 6) * 16),
            _ => 1 << (value % 64),
        };
        bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }
    Ok(bytes)
}

/// A GNU archive without an index, which the linker then makes by asking each member.
fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let header = format!("{:16}{:12}{:6}{:6}{:8}{:10}`\n", format!("{name}/"), 0, 0, 0, 644, content.len());
        bytes.extend(header.as_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}

/// What is outside the batch: names with addresses that do not depend on anything but the name.
#[derive(Clone, Copy, Debug)]
pub struct World {
    kind: u8,
    near: u64,
}

impl World {
    fn address(&self, name: &[u8]) -> Option<Addr> {
        let number = 16 * (Name::new(name).hash() >> 52);
        let far = 0x7f12_3456_0000 + number;
        Some(Addr(match self.kind {
            0 => return None,
            1 => far,
            2 => self.near.wrapping_add(number),
            3 if number & 16 == 0 => far,
            3 => self.near.wrapping_add(number),
            4 => 0x1000 + number,
            5 => 0xffff_ffff_fff0_0000 + number,
            _ if number & 0x30 == 0 => return None,
            _ => far,
        }))
    }
}

fn supplied(object: &[u8]) -> Definition {
    Definition::Object { input: Input::from_bytes("supplied.o", object), supplier: "the world".into() }
}

impl Resolver for World {
    fn resolve(&self, names: &[&[u8]]) -> std::result::Result<Vec<Option<Definition>>, LinkError> {
        let definition = |name: &&[u8]| match (self.kind, *name) {
            // An object that defines the name, and one that does not.
            (7, b"elsewhere") => Some(supplied(OBJECTS[7])),
            (7, b"n2") => Some(supplied(OBJECTS[8])),
            _ => self.address(name).map(Definition::from),
        };
        Ok(names.iter().map(definition).collect())
    }

    fn existing(&self, name: &Name<'_>, _: Linkage) -> Option<Existing> {
        let known = self.kind == 6 && matches!(name.bytes(), b"n0" | b"n1");
        known.then_some(Existing { address: Addr(0x7f00_0000_0000), weak: name.bytes() == b"n1" })
    }

    fn unique(&self, names: &[&[u8]]) -> std::result::Result<Vec<Option<Addr>>, LinkError> {
        let known = |name: &&[u8]| self.address(name).filter(|_| self.kind == 6 && name.len().is_multiple_of(2));
        Ok(names.iter().map(known).collect())
    }
}
