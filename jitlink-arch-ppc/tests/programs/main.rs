//! Programs of several C objects, compiled in every way that changes what the linker sees, linked by jitlink, and run under an
//! emulator; the same objects linked by GNU ld must say the same.

mod chosen;
mod scattered;
#[path = "../support/mod.rs"]
mod support;

use jitlink_core::arch::StubKind;
use jitlink_core::link::Roots;
use jitlink_core::{Addr, Endian};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use support::{BASE, Program, elf, finish, fixture, fixtures, run, tool};

const SOURCES: [&str; 5] = ["start", "main", "work", "text", "outside"];
/// What the program says where `long` has 64 bits, and where it has 32; its exit status.
const OUTPUT: &str = include_str!("output.txt");
const OUTPUT32: &str = include_str!("output32.txt");
const STATUS: Option<i32> = Some(7);

/// A machine with an ABI, and the tools for it.
struct Machine {
    name: &'static str,
    /// The prefix of GNU tools, whose package is named after the compiler.
    prefix: &'static str,
    gcc_package: &'static str,
    binutils_package: &'static str,
    clang_target: &'static str,
    flags: &'static [&'static str],
    qemu: &'static str,
    /// The processor that is emulated.
    cpu: &'static str,
    endian: Endian,
    /// Zero for 32 bits.
    abi: u32,
    /// Where no branch of the program reaches.
    far: Addr,
    output: &'static str,
}

const LITTLE: Machine = Machine {
    name: "little-endian",
    prefix: "powerpc64le-linux-gnu-",
    gcc_package: "gcc-powerpc64le-linux-gnu",
    binutils_package: "binutils-powerpc64le-linux-gnu",
    clang_target: "--target=powerpc64le-linux-gnu",
    flags: &[],
    qemu: "qemu-ppc64le",
    cpu: "power10",
    endian: Endian::Little,
    abi: 2,
    far: Addr(0x8_0000_0000),
    output: OUTPUT,
};

const BIG: Machine = Machine {
    name: "big-endian, ELFv2",
    prefix: "powerpc64-linux-gnu-",
    gcc_package: "gcc-powerpc64-linux-gnu",
    binutils_package: "binutils-powerpc64-linux-gnu",
    clang_target: "--target=powerpc64-linux-gnu",
    flags: &["-mabi=elfv2"],
    qemu: "qemu-ppc64",
    cpu: "power10",
    endian: Endian::Big,
    abi: 2,
    far: Addr(0x8_0000_0000),
    output: OUTPUT,
};

const DESCRIPTORS: Machine = Machine { name: "big-endian, ELFv1", flags: &["-mabi=elfv1"], abi: 1, ..BIG };

const SHORT: Machine = Machine {
    name: "32-bit",
    prefix: "powerpc-linux-gnu-",
    gcc_package: "gcc-powerpc-linux-gnu",
    binutils_package: "binutils-powerpc-linux-gnu",
    clang_target: "--target=powerpc-linux-gnu",
    flags: &[],
    qemu: "qemu-ppc",
    cpu: "7400",
    endian: Endian::Big,
    abi: 0,
    far: Addr(0x6000_0000),
    output: OUTPUT32,
};

type Objects = Vec<(String, Vec<u8>)>;

impl Machine {
    fn gcc(&self) -> Option<String> {
        tool(&format!("{}gcc", self.prefix), self.gcc_package)
    }

    fn clang(&self) -> Option<String> {
        tool("clang-22", "clang-22")
    }

    fn compile(&self, compiler: &str, flags: &[&str]) -> Objects {
        let object = |name: &&str| self.object(compiler, flags, &fixtures().join(format!("{name}.c")));
        SOURCES.iter().map(object).collect()
    }

    /// One source, compiled.
    fn object(&self, compiler: &str, flags: &[&str], source: &Path) -> (String, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join("object");
        let target: &[&str] = if compiler.starts_with("clang") { &[self.clang_target] } else { &[] };
        let mut command = Command::new(compiler);
        command.args(target).args(self.flags).args(["-ffreestanding", "-fno-stack-protector", "-c"]).args(flags);
        finish(command.arg("-I").arg(fixtures()).arg(source).arg("-o").arg(&object));
        let name = source.file_stem().unwrap().to_string_lossy();
        (format!("{name}.o"), std::fs::read(object).unwrap())
    }

    /// A text of its own, compiled.
    fn written(&self, compiler: &str, flags: &[&str], name: &str, text: &str) -> (String, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join(name);
        std::fs::write(&source, text).unwrap();
        self.object(compiler, flags, &source)
    }

    /// A pointer, as its memory holds it.
    fn pointer(&self, address: u64) -> Vec<u8> {
        let bytes = match self.endian {
            Endian::Big => address.to_be_bytes(),
            Endian::Little => address.to_le_bytes(),
        };
        // The narrow ones here are big-endian.
        if self.abi == 0 { bytes[4..].to_vec() } else { bytes.to_vec() }
    }

    /// The program linked as a whole.
    fn whole(&self, objects: &Objects) -> Result<Vec<u8>, String> {
        let program = Program::link(BASE, objects, &[], Roots::Named(vec!["_start".into()]))?;
        Ok(elf::executable(&program.segments, program.symbol("_start"), self.endian, self.abi))
    }

    /// The program with `outside.o` linked by itself, so that calls leave the batch.
    fn parted(&self, objects: &Objects) -> Result<Vec<u8>, String> {
        let (far, near): (Objects, Objects) = objects.iter().cloned().partition(|(name, _)| name == "outside.o");
        let far = Program::link(self.far, &far, &[], Roots::Exported)?;
        let names = ["outside", "outside_twice"].map(|name| (name, far.symbol(name)));
        let near = Program::link(BASE, &near, &names, Roots::Named(vec!["_start".into()]))?;
        let segments = [near.segments.as_slice(), far.segments.as_slice()].concat();
        Ok(elf::executable(&segments, near.symbol("_start"), self.endian, self.abi))
    }

    /// The program as GNU ld links it.
    fn natively(&self, ld: &str, objects: &Objects) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in objects {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let names = objects.iter().map(|(name, _)| Path::new(name));
        let mut command = Command::new(ld);
        command.current_dir(folder.path()).args(["-static", "-o", "program"]).args(names);
        // There, GNU ld does not provide the routines that save registers, and the compiler's library does.
        if let Some(gcc) = self.gcc().filter(|_| self.abi == 0) {
            command.arg(finish(Command::new(gcc).arg("-print-libgcc-file-name")).trim_end());
        }
        finish(&mut command);
        std::fs::read(folder.path().join("program")).unwrap()
    }

    fn check(&self, objects: &Objects, what: &str) {
        let Some(qemu) = tool(self.qemu, "qemu-user") else { return };
        let says = |program: &[u8]| run(&qemu, &["-cpu", self.cpu], program);
        let expected = (STATUS, self.output.to_string());
        if let Some(ld) = tool(&format!("{}ld", self.prefix), self.binutils_package) {
            assert_eq!(says(&self.natively(&ld, objects)), expected, "{}: {what}, linked by ld", self.name);
        }
        for (how, linked) in [("whole", self.whole(objects)), ("in two parts", self.parted(objects))] {
            let linked = linked.unwrap_or_else(|errors| panic!("{}: {what}, {how}: {errors}", self.name));
            assert_eq!(says(&linked), expected, "{}: {what}, {how}", self.name);
        }
    }

    fn check_all(&self, compiler: &str, variants: &[&[&str]]) {
        for flags in variants {
            self.check(&self.compile(compiler, flags), &format!("{compiler} {flags:?}"));
        }
    }
}

#[test]
fn committed_objects_link_and_run() {
    let objects: Objects = SOURCES.iter().map(|name| fixture(name)).collect();
    LITTLE.whole(&objects).unwrap();
    LITTLE.parted(&objects).unwrap();
    LITTLE.check(&objects, "the committed objects");
}

/// For machines before POWER10.
const TOC: &[&[&str]] = &[
    &["-O0", "-mcpu=power8"],
    &["-O2", "-mcpu=power8"],
    &["-Os", "-mcpu=power8"],
    &["-O2", "-mcpu=power8", "-fPIC"],
    &["-O2", "-mcpu=power8", "-fno-pic", "-mcmodel=small"],
    &["-O0", "-mcpu=power8", "-fno-pic", "-mcmodel=small"],
    &["-O2", "-mcpu=power8", "-mcmodel=large"],
    &["-O0", "-mcpu=power8", "-mcmodel=large"],
    &["-O2", "-mcpu=power9", "-fPIC", "-ffunction-sections", "-fdata-sections"],
];

/// For POWER10, whose code needs no TOC.
const NO_TOC: &[&[&str]] = &[
    &["-O0", "-mcpu=power10"],
    &["-O2", "-mcpu=power10"],
    &["-O2", "-mcpu=power10", "-fPIC"],
    &["-Os", "-mcpu=power10", "-fPIC", "-ffunction-sections"],
];

/// What clang does not know.
const NO_PLT: &[&[&str]] =
    &[&["-O2", "-mcpu=power8", "-fPIC", "-fno-plt"], &["-O2", "-mcpu=power10", "-fPIC", "-fno-plt"]];

#[test]
fn programs_of_gcc_run_as_ld_links_them() {
    let Some(gcc) = LITTLE.gcc() else { return };
    [TOC, NO_TOC, NO_PLT].into_iter().for_each(|variants| LITTLE.check_all(&gcc, variants));
}

#[test]
fn programs_of_clang_run_as_ld_links_them() {
    let Some(clang) = LITTLE.clang() else { return };
    [TOC, NO_TOC].into_iter().for_each(|variants| LITTLE.check_all(&clang, variants));
}

#[test]
fn big_endian_programs_run_as_ld_links_them() {
    for compiler in [BIG.gcc(), BIG.clang()].into_iter().flatten() {
        BIG.check_all(&compiler, TOC);
    }
}

#[test]
fn programs_with_descriptors_run_as_ld_links_them() {
    for compiler in [DESCRIPTORS.gcc(), DESCRIPTORS.clang()].into_iter().flatten() {
        DESCRIPTORS.check_all(&compiler, TOC);
    }
}

/// For 32 bits, how code may find data, and what calls may look like.
const SHORT_PIC: &[&[&str]] = &[
    &["-O0", "-fno-pic"],
    &["-O2", "-fno-pic"],
    &["-Os", "-fno-pic"],
    &["-O2", "-fPIC", "-ffunction-sections", "-fdata-sections"],
    &["-O0", "-fpic", "-msecure-plt"],
    &["-O2", "-fpic", "-msecure-plt"],
    &["-Os", "-fpic", "-msecure-plt"],
    &["-O0", "-fPIC", "-msecure-plt"],
    &["-O2", "-fPIC", "-msecure-plt"],
    &["-Os", "-fPIC", "-msecure-plt"],
];

/// What clang does not know.
const SHORT_GCC: &[&[&str]] = &[
    &["-O0", "-fpic", "-mbss-plt"],
    &["-O2", "-fpic", "-mbss-plt"],
    &["-Os", "-fpic", "-mbss-plt"],
    &["-O0", "-fPIC", "-mbss-plt"],
    &["-O2", "-fPIC", "-mbss-plt"],
    &["-O2", "-fPIC", "-fno-plt"],
    &["-O2", "-fpic", "-fno-plt"],
    &["-O2", "-fno-pic", "-fno-plt"],
    &["-O2", "-fno-pic", "-mlongcall", "-mregnames"],
    &["-O2", "-fno-pic", "-msdata=none"],
];

#[test]
fn programs_of_32_bits_run_as_ld_links_them() {
    if let Some(gcc) = SHORT.gcc() {
        [SHORT_PIC, SHORT_GCC].into_iter().for_each(|variants| SHORT.check_all(&gcc, variants));
    }
    if let Some(clang) = SHORT.clang() {
        SHORT.check_all(&clang, SHORT_PIC);
    }
}

#[test]
fn small_data_is_reached_where_the_program_sets_its_base() {
    let (Some(gcc), Some(qemu)) = (SHORT.gcc(), tool(SHORT.qemu, "qemu-user")) else { return };
    for level in ["-O0", "-O2", "-Os"] {
        let flags = [level, "-fno-pic", "-msdata=sysv", "-DSMALL_DATA"];
        let objects = SHORT.compile(&gcc, &flags);
        let expected = (STATUS, SHORT.output.to_string());
        if let Some(ld) = tool("powerpc-linux-gnu-ld", SHORT.binutils_package) {
            assert_eq!(run(&qemu, &[], &SHORT.natively(&ld, &objects)), expected, "{level}, linked by ld");
        }
        assert_eq!(run(&qemu, &[], &SHORT.whole(&objects).unwrap()), expected, "{level}");
        // Linked by itself, nothing of it sets the register.
        let errors = SHORT.parted(&objects).expect_err("nothing sets r13");
        assert!(errors.contains("R_PPC_SDAREL16 against factor") && errors.contains("-msdata=none"), "{errors}");
        assert!(errors.contains("outside.o: .text+"), "{errors}");
    }
}

#[test]
fn objects_with_and_without_a_toc_call_each_other() {
    let Some(gcc) = LITTLE.gcc() else { return };
    let [with, without] = [["-O2", "-mcpu=power8"], ["-O2", "-mcpu=power10"]].map(|flags| LITTLE.compile(&gcc, &flags));
    for choice in 1..(1 << SOURCES.len()) - 1 {
        let pick = |index: usize| if choice >> index & 1 == 0 { &with[index] } else { &without[index] };
        let mixed: Objects = (0..SOURCES.len()).map(|index| pick(index).clone()).collect();
        LITTLE.check(&mixed, &format!("objects for POWER10 in {choice:#b}"));
    }
}

#[test]
fn objects_of_different_abis_are_refused() {
    let Some(gcc) = BIG.gcc() else { return };
    let [one, other] = [&BIG, &DESCRIPTORS].map(|machine| machine.compile(&gcc, &["-O2"]));
    let mixed: Objects = one[..1].iter().chain(&other[1..]).cloned().collect();
    let errors = BIG.whole(&mixed).expect_err("two ABIs in one link");
    assert!(errors.contains("start.o is for the ELFv2 ABI") && errors.contains("main.o for ELFv1"), "{errors}");
    let errors = BIG.whole(&vec![other[0].clone(), one[1].clone()]).expect_err("two ABIs in one link");
    assert!(errors.contains("main.o is for the ELFv2 ABI") && errors.contains("start.o for ELFv1"), "{errors}");
}

/// A source whose function has 4,000 entries in the TOC and two slots in the GOT, and calls the function of the next such source, directly
/// and by its address, and itself.
fn crowd(number: usize, last: usize) -> String {
    let mut text = String::from("#include \"program.h\"\n");
    for variable in 0..4000 {
        writeln!(text, "int v{number}_{variable} = {};", variable % 7 * (number as i32 + 1)).unwrap();
    }
    let next = if number < last { format!("sum{}", number + 1) } else { "outside".into() };
    writeln!(text, "long {next}(long);\nlong (*next{number})(long) = {next};").unwrap();
    writeln!(text, "long sum{number}(long start) {{\nlong all = start;\nint *own, *first;").unwrap();
    for variable in 0..4000 {
        writeln!(text, "all += v{number}_{variable};").unwrap();
    }
    for (pointer, name) in [("own", format!("v{number}_9")), ("first", "v0_11".into())] {
        writeln!(text, "__asm__(\"ld %0, {name}@got(2)\" : \"=r\"({pointer})); all += *{pointer};").unwrap();
    }
    writeln!(text, "put_number(all); all += {next}(all & 0xff); put_number(all);").unwrap();
    writeln!(text, "if (start > 0) all += next{number}(-1) + sum{number}(-2);\nreturn all + v{number}_5; }}").unwrap();
    text
}

const CROWDED: &str = "#include \"program.h\"\nlong sum0(long);\nint main(void) { put_number(sum0(3)); return 4; }\n";
const SMALL: [&str; 5] = ["-O1", "-mcpu=power8", "-fno-pic", "-mcmodel=small", "-fno-section-anchors"];
const CROWDS: usize = 5;

impl Machine {
    /// A program whose objects have more TOC together than code of the small model reaches.
    fn crowded(&self, gcc: &str) -> Objects {
        let fixed = ["start", "text", "outside"].map(|name| fixtures().join(format!("{name}.c")));
        let mut objects: Objects = fixed.iter().map(|source| self.object(gcc, &SMALL, source)).collect();
        objects.push(self.written(gcc, &SMALL, "main.c", CROWDED));
        let crowd = |number| self.written(gcc, &SMALL, &format!("crowd{number}.c"), &crowd(number, CROWDS - 1));
        objects.extend((0..CROWDS).map(crowd));
        objects
    }
}

#[test]
fn more_toc_than_code_of_the_small_model_reaches_is_put_into_groups() {
    for machine in [&LITTLE, &BIG, &DESCRIPTORS] {
        let (Some(gcc), Some(qemu)) = (machine.gcc(), tool(machine.qemu, "qemu-user")) else { continue };
        let mut objects = machine.crowded(&gcc);
        let Some(ld) = tool(&format!("{}ld", machine.prefix), machine.binutils_package) else { continue };
        let expected = run(&qemu, &[], &machine.natively(&ld, &objects));
        assert_eq!(expected.0, Some(4), "{}", expected.1);
        for order in ["first", "reversed"] {
            let what = format!("{}, {order}", machine.name);
            assert_eq!(run(&qemu, &[], &machine.whole(&objects).unwrap()), expected, "{what}");
            assert_eq!(run(&qemu, &[], &machine.parted(&objects).unwrap()), expected, "{what}, in two parts");
            objects.reverse();
        }
        for seed in 0..3 {
            let linked =
                machine.scattered(&objects, None, seed).unwrap_or_else(|errors| panic!("seed {seed}: {errors}"));
            assert_eq!(run(&qemu, &[], &linked), expected, "{}, in random parts, seed {seed}", machine.name);
        }
    }
}

#[test]
fn jumps_between_groups_that_lose_the_toc_base_are_refused() {
    let Some(gcc) = DESCRIPTORS.gcc() else { return };
    let crowded = DESCRIPTORS.crowded(&gcc);
    for jump in ["b sum4", "beq sum4", "bl sum4"] {
        let mut objects = crowded.clone();
        let text = format!(
            ".globl jumps\n.section .opd,\"aw\"\n.p2align 3\njumps: .quad .Ljumps,.TOC.@tocbase,0\n.text\n.Ljumps: {jump}\nblr\n\
             .section .text.called,\"ax\"\ncalls: bl jumps\nnop\n"
        );
        objects.insert(0, DESCRIPTORS.written(&gcc, &[], "jumps.s", &text));
        let errors = Program::link(BASE, &objects, &[], Roots::Exported).err().expect("the TOC base is lost");
        assert!(
            errors.contains("jumps.o") && errors.contains(".text") && errors.contains("TOC base"),
            "{jump}: {errors}"
        );
    }
}

#[test]
fn calls_farther_than_branches_reach_go_through_thunks() {
    for machine in [&LITTLE, &BIG, &DESCRIPTORS, &SHORT] {
        let Some(gcc) = machine.gcc() else { continue };
        let filler = machine.written(&gcc, &[], "filler.s", ".text\n.globl filler\nfiller: .space 0x2400000\n");
        let all: [&[&str]; 2] = match machine.abi {
            0 => [&["-O2", "-fno-pic"], &["-Os", "-fPIC"]],
            _ => [&["-O2", "-mcpu=power8"], &["-Os", "-mcpu=power9"]],
        };
        for flags in all {
            let mut objects = machine.compile(&gcc, flags);
            objects.insert(2, filler.clone());
            let Some(qemu) = tool(machine.qemu, "qemu-user") else { continue };
            let program = Program::link(BASE, &objects, &[], Roots::Exported).unwrap();
            let thunks = program.map.objects.iter().flat_map(|object| &object.stubs);
            assert!(thunks.filter(|stub| stub.2 == StubKind::Thunk).count() > 3);
            let program = elf::executable(&program.segments, program.symbol("_start"), machine.endian, machine.abi);
            let expected = (STATUS, machine.output.to_string());
            assert_eq!(run(&qemu, &["-cpu", machine.cpu], &program), expected, "{}", machine.name);
        }
    }
}

#[test]
fn parts_of_a_program_at_random_places_find_each_other() {
    for machine in [&LITTLE, &BIG, &DESCRIPTORS, &SHORT] {
        let (Some(gcc), Some(qemu)) = (machine.gcc(), tool(machine.qemu, "qemu-user")) else { continue };
        let filler = machine.written(&gcc, &[], "filler.s", ".text\n.globl filler\nfiller: .space 0x2400000\n");
        let all: &[&[&str]] = match machine.abi {
            0 => &[&["-O2", "-fno-pic"], &["-Os", "-fPIC"]],
            _ => &[
                &["-O2", "-mcpu=power8", "-fPIC"],
                &["-Os", "-mcpu=power8", "-mcmodel=small"],
                &["-O2", "-mcpu=power10", "-fPIC"],
            ],
        };
        for flags in all {
            let objects = machine.compile(&gcc, flags);
            for seed in 0..4 {
                // Tens of megabytes, so not each time.
                let filler = (seed == 0).then_some(&filler);
                let what = format!("{}: {flags:?}, seed {seed}", machine.name);
                let linked = machine.scattered(&objects, filler, seed);
                let linked = linked.unwrap_or_else(|errors| panic!("{what}: {errors}"));
                let expected = (STATUS, machine.output.to_string());
                assert_eq!(run(&qemu, &["-cpu", machine.cpu], &linked), expected, "{what}");
            }
        }
    }
}
