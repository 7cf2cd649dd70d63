//! Indirect functions in programs that run: a part of the program does what an executor does, and has resolvers run on first calls. GNU ld
//! writes relocations for them, which another part applies at the start.

use super::{Machine, Objects};
use crate::support::{BASE, Program, elf, elf::Segment, fixtures, run, tool};
use jitlink_core::Addr;
use jitlink_core::graph::Protection;
use jitlink_core::link::Roots;

const SOURCES: [&str; 5] = ["start", "text", "choose", "use", "apply"];
const OUTPUT: &str = include_str!("chosen.txt");
/// Where the list of slots and resolvers is.
const LIST: Addr = Addr(0x5000_0000);

impl Machine {
    /// A program with indirect functions, and the part that has them resolved.
    fn with_chosen(&self, objects: &Objects, resolve: (String, Vec<u8>)) -> Result<Vec<u8>, String> {
        let resolve = Program::link(self.far, &[resolve], &[("chosen", LIST)], Roots::Exported)?;
        let roots = Roots::Named(vec!["_start".into()]);
        let program = Program::link_for(resolve.symbol("resolve"), BASE, objects, roots)?;
        assert_eq!(program.slots.len(), 3);
        let list = program.slots.iter().flat_map(|slot| [slot.slot.0, slot.resolver.0]);
        let list = list.flat_map(|address| self.pointer(address)).collect();
        let list = Segment { address: LIST, protection: Protection::Read, bytes: list };
        let segments = [program.segments.as_slice(), resolve.segments.as_slice(), &[list]].concat();
        Ok(elf::executable(&segments, program.symbol("_start"), self.endian, self.abi))
    }

    fn check_chosen(&self, compiler: &str, flags: &[&str]) {
        let Some(qemu) = tool(self.qemu, "qemu-user") else { return };
        let compile = |name: &str| self.object(compiler, flags, &fixtures().join(format!("{name}.c")));
        let objects: Objects = SOURCES.iter().map(|name| compile(name)).collect();
        let what = format!("{}: {compiler} {flags:?}", self.name);
        let linked = self.with_chosen(&objects, compile("resolve")).unwrap_or_else(|errors| panic!("{what}: {errors}"));
        let expected = (Some(9), OUTPUT.to_string());
        assert_eq!(run(&qemu, &["-cpu", self.cpu], &linked), expected, "{what}");
        if let Some(ld) = tool(&format!("{}ld", self.prefix), self.binutils_package) {
            assert_eq!(run(&qemu, &["-cpu", self.cpu], &self.natively(&ld, &objects)), expected, "{what}, by ld");
        }
    }
}

/// The object with its header saying this of its ABI.
fn saying(object: &(String, Vec<u8>), abi: u8) -> (String, Vec<u8>) {
    let (name, mut bytes) = object.clone();
    // The last byte of `e_flags`.
    bytes[0x33] = abi;
    (name, bytes)
}

#[test]
fn the_abi_of_indirect_functions_has_to_be_known_and_to_be_the_executors() {
    let Some(gcc) = super::BIG.gcc() else { return };
    let compile = |name: &str| super::BIG.object(&gcc, &["-O2"], &fixtures().join(format!("{name}.c")));
    let objects: Objects = SOURCES.iter().map(|name| compile(name)).collect();
    let link = |convention, objects: &Objects| Program::link_by(convention, BASE, objects, Roots::Exported);
    let refused = |convention, objects: &Objects| link(convention, objects).err().expect("a refusal");
    let errors = refused("", &objects);
    assert!(errors.contains("mix") && errors.contains("called in another way (ELFv2)"), "{errors}");
    let unknown: Objects = objects.iter().map(|object| saying(object, 0)).collect();
    let errors = refused("", &unknown);
    assert!(errors.contains("choose.o") && errors.contains("no object outside of archives says"), "{errors}");
    // One that says it is enough, wherever it is.
    let last = [&unknown[..4], &objects[4..]].concat();
    let (known, late) = (link("ELFv2", &objects).unwrap(), link("ELFv2", &last).unwrap());
    assert_eq!(late.slots, known.slots);
    let errors = refused("ELFv2", &[&objects[..1], &[saying(&objects[1], 1)], &objects[2..]].concat());
    assert!(errors.contains("text.o") && errors.contains("for the ELFv1 ABI (e_flags)"), "{errors}");
}

#[test]
fn resolvers_of_indirect_functions_run_on_their_first_call() {
    let wide: &[&[&str]] = &[
        &["-O0", "-mcpu=power8"],
        &["-O2", "-mcpu=power8", "-fPIC"],
        &["-Os", "-mcpu=power8", "-fno-pic", "-mcmodel=small"],
    ];
    let narrow: &[&[&str]] = &[&["-O0", "-fno-pic"], &["-O2", "-fPIC"], &["-Os", "-fpic"]];
    for machine in [&super::LITTLE, &super::BIG, &super::DESCRIPTORS, &super::SHORT] {
        for compiler in [machine.gcc(), machine.clang()].into_iter().flatten() {
            for flags in if machine.abi == 0 { narrow } else { wide } {
                machine.check_chosen(&compiler, flags);
            }
        }
    }
}
