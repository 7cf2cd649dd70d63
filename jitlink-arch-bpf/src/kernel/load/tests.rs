use super::*;
use crate::btf::ext::{CoreRelo, LineInfo};
use crate::btf::{BtfBuilder, Int, Kind, Linkage, Param, SectionVar, TypeId};
use crate::core_relo::CoreKind;
use crate::image::{DataBlock, Extern, ExternKind, ImageSegment, ImageTypes, MapDefinition, Reference, Target};
use crate::insn::{self, AluOp, Callee, Condition, Immediate, Insn, Op, Operand, Reg, Size, Width, encode};
use crate::kernel::TestRun;
use crate::kernel::tests::may_load;
use jitlink_core::Endian;
use jitlink_core::graph::Protection;

const CODE: u64 = 0x1000_0000;
const DATA: u64 = 0x2000_0000;
const MAPS: u64 = 0x7000_0000;

/// Builds images as a link would.
struct Builder {
    image: BpfImage,
    code: Vec<Insn>,
    data: Vec<u8>,
}

fn reg(number: u8) -> Reg {
    Reg::new(number).unwrap()
}

fn mov(dst: u8, src: Operand) -> Op {
    Op::Alu { width: Width::W64, op: AluOp::Mov, dst: reg(dst), src }
}

fn add(dst: u8, src: Operand) -> Op {
    Op::Alu { width: Width::W64, op: AluOp::Add, dst: reg(dst), src }
}

fn word(dst: u8, src: u8) -> Op {
    Op::Load { size: Size::W, signed: false, dst: reg(dst), src: reg(src), off: 0 }
}

fn address_of(dst: u8, address: u64) -> Op {
    Op::LoadImm { dst: reg(dst), value: Immediate::Constant(address) }
}

impl Builder {
    fn new() -> Builder {
        let image = BpfImage {
            endian: Endian::NATIVE,
            segments: Vec::new(),
            functions: Vec::new(),
            maps: Vec::new(),
            data: Vec::new(),
            references: Vec::new(),
            externs: Vec::new(),
            license: "GPL".into(),
            version: 0,
            types: ImageTypes::default(),
        };
        Builder { image, code: Vec::new(), data: Vec::new() }
    }

    fn here(&self) -> Addr {
        Addr(CODE + 8 * self.code.len() as u64)
    }

    /// A function; what each instruction refers to stands beside it.
    fn function(&mut self, name: &str, section: &str, ops: &[(Op, Option<Target>)]) -> Addr {
        let address = self.here();
        for (op, target) in ops {
            if let Some(target) = target {
                self.image.references.push(Reference { address: self.here(), target: *target });
            }
            encode(op, &mut self.code);
        }
        let size = self.here().0 - address.0;
        let entry = section != ".text";
        let function = Function { name: name.into(), section: section.into(), address, size, global: entry, entry };
        self.image.functions.push(function);
        address
    }

    fn data(&mut self, section: &str, protection: Protection, bytes: &[u8]) -> u64 {
        let address = DATA + self.data.len() as u64;
        self.data.extend(bytes);
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let size = bytes.len() as u64;
        self.image.data.push(DataBlock { section: section.into(), address: Addr(address), size, protection });
        address
    }

    fn map(&mut self, definition: MapDefinition) -> u64 {
        let address = MAPS + 32 * self.image.maps.len() as u64;
        self.image.maps.push(MapDefinition { address: Addr(address), ..definition });
        address
    }

    fn build(mut self) -> BpfImage {
        let segment = |start, protection, bytes| ImageSegment { address: Addr(start), protection, bytes };
        let code = insn::bytes(&self.code, Endian::NATIVE);
        self.image.segments =
            vec![segment(CODE, Protection::ReadExecute, code), segment(DATA, Protection::ReadWrite, self.data)];
        self.image
    }
}

fn array(name: &str, value_size: u32, max_entries: u32) -> MapDefinition {
    MapDefinition { name: name.into(), kind: 2, key_size: 4, value_size, max_entries, ..MapDefinition::default() }
}

fn call(from: Addr, to: Addr) -> Op {
    Op::Call(Callee::Local(((to.0 as i64 - from.0 as i64) / 8 - 1) as i32))
}

/// Stores r0 of the look-up of key 0 in `map`, or exits with 99.
fn look_up(map: u64, index: usize) -> Vec<(Op, Option<Target>)> {
    vec![
        (Op::Store { size: Size::W, dst: Reg::FP, src: Operand::Imm(0), off: -4 }, None),
        (mov(2, Operand::Reg(Reg::FP)), None),
        (add(2, Operand::Imm(-4)), None),
        (address_of(1, map), Some(Target::Map(index))),
        (Op::Call(Callee::Helper(1)), None),
        (Op::JumpIf { width: Width::W64, condition: Condition::Ne, dst: Reg::R0, src: Operand::Imm(0), off: 2 }, None),
        (mov(0, Operand::Imm(99)), None),
        (Op::Exit, None),
    ]
}

fn run(object: &KernelObject, name: &str) -> u32 {
    let program = object.program(name).unwrap_or_else(|| panic!("no program {name}"));
    program.test_run(&TestRun { data: &[0; 20], ..TestRun::default() }).unwrap().retval
}

#[test]
fn programs_find_their_functions_maps_and_data() {
    if !may_load() {
        return;
    }
    let mut builder = Builder::new();
    // An earlier function that nothing calls and no verifier would take.
    builder.function("dead", ".text", &[(mov(0, Operand::Reg(reg(9))), None), (Op::Exit, None)]);
    let sum = builder.function(
        "sum",
        ".text",
        &[(mov(0, Operand::Reg(reg(1))), None), (add(0, Operand::Reg(reg(2))), None), (Op::Exit, None)],
    );
    builder.data(".rodata", Protection::Read, &1u64.to_ne_bytes());
    let constant = builder.data(".rodata", Protection::Read, &20u32.to_ne_bytes());
    let counter = builder.data(".bss", Protection::ReadWrite, &[0; 8]);
    let counts = builder.map(array("counts", 4, 2));
    let mut ops = look_up(counts, 0);
    ops.extend([
        (word(6, 0), None),
        (address_of(1, constant), Some(Target::Data { block: 1, offset: 0 })),
        (word(2, 1), None),
        (address_of(3, counter + 4), Some(Target::Data { block: 2, offset: 4 })),
        (Op::Store { size: Size::W, dst: reg(3), src: Operand::Imm(7), off: 0 }, None),
        (mov(1, Operand::Reg(reg(6))), None),
    ]);
    let words: usize = ops.iter().map(|(op, _)| op.words()).sum();
    let at = Addr(builder.here().0 + 8 * words as u64);
    ops.extend([(call(at, sum), Some(Target::Function(1))), (Op::Exit, None)]);
    builder.function("main", "xdp", &ops);
    builder.function("other", "?tc", &[(mov(0, Operand::Imm(5)), None), (Op::Exit, None)]);
    let image = builder.build();

    let object = load(&image, &LoadOptions { name: "object", ..LoadOptions::default() }).unwrap();
    assert_eq!(object.programs().len(), 1, "a question mark means: only if asked for");
    object.map("counts").unwrap().update(&[0; 4], &3u32.to_ne_bytes(), 0).unwrap();
    assert_eq!(run(&object, "main"), 23);
    let bss = object.map(".bss").unwrap().lookup(&[0; 4]).unwrap().unwrap();
    assert_eq!(bss, [[0; 4], 7u32.to_ne_bytes()].concat());
    let rodata = object.map(".rodata").unwrap();
    assert_eq!(rodata.lookup(&[0; 4]).unwrap().unwrap()[8..12], 20u32.to_ne_bytes());
    assert!(rodata.update(&[0; 4], &[0; 12], 0).is_err(), "constants are frozen");

    let other = load(&image, &LoadOptions { programs: &["other"], ..LoadOptions::default() }).unwrap();
    assert_eq!(run(&other, "other"), 5);
    let missing = load(&image, &LoadOptions { programs: &["none"], ..LoadOptions::default() }).unwrap_err();
    assert_eq!(missing.to_string(), "none: there is no such program; there are main, other");
}

#[test]
fn callbacks_are_functions_of_the_program() {
    if !may_load() {
        return;
    }
    let mut builder = Builder::new();
    let counter = builder.data(".data", Protection::ReadWrite, &10u64.to_ne_bytes());
    let data = Target::Data { block: 0, offset: 0 };
    let step = builder.function(
        "step",
        ".text",
        &[
            (address_of(3, counter), Some(data)),
            (word(4, 3), None),
            (add(4, Operand::Imm(3)), None),
            (Op::Store { size: Size::W, dst: reg(3), src: Operand::Reg(reg(4)), off: 0 }, None),
            (mov(0, Operand::Imm(0)), None),
            (Op::Exit, None),
        ],
    );
    builder.function(
        "main",
        "tc",
        &[
            (mov(1, Operand::Imm(4)), None),
            (address_of(2, step.0), Some(Target::Function(0))),
            (mov(3, Operand::Imm(0)), None),
            (mov(4, Operand::Imm(0)), None),
            (Op::Call(Callee::Helper(181)), None),
            (address_of(3, counter), Some(data)),
            (word(0, 3), None),
            (Op::Exit, None),
        ],
    );
    let mut image = builder.build();
    // The kernel takes callbacks only of programs that say what their functions are.
    let mut btf = BtfBuilder::new();
    let int = btf.int("int", Int { size: 4, offset: 0, bits: 32, encoding: 1 }).unwrap();
    let proto = btf.prototype(int, &[]).unwrap();
    let functions = [("step", Linkage::Static), ("main", Linkage::Global)]
        .map(|(name, linkage)| btf.function(name, proto, linkage).unwrap());
    image.types.btf = btf.finish().unwrap();
    image.types.functions = image.functions.iter().map(|function| function.address).zip(functions).collect();
    let object = load(&image, &LoadOptions::default()).unwrap();
    assert_eq!(object.notes(), [""; 0]);
    assert_eq!(run(&object, "main"), 22);
}

#[test]
fn maps_hold_maps_and_programs_from_the_start() {
    if !may_load() {
        return;
    }
    let mut builder = Builder::new();
    let inner = builder.map(array("inner", 4, 1));
    let outer = MapDefinition {
        inner: Some(Box::new(array("outer.inner", 4, 1))),
        elements: vec![(1, Addr(inner))],
        kind: 12,
        ..array("outer", 4, 2)
    };
    builder.map(outer);
    let other = builder.function("other", "xdp", &[(mov(0, Operand::Imm(77)), None), (Op::Exit, None)]);
    let calls =
        builder.map(MapDefinition { kind: 3, elements: vec![(2, other)], max_entries: 3, ..array("calls", 4, 3) });
    builder.function(
        "main",
        "xdp",
        &[
            (address_of(2, calls), Some(Target::Map(2))),
            (mov(3, Operand::Imm(2)), None),
            (Op::Call(Callee::Helper(12)), None),
            (mov(0, Operand::Imm(1)), None),
            (Op::Exit, None),
        ],
    );
    let object = load(&builder.build(), &LoadOptions::default()).unwrap();
    assert_eq!(run(&object, "main"), 77, "the tail call does not come back");
    let outer = object.map("outer").unwrap();
    assert!(outer.lookup(&0u32.to_ne_bytes()).unwrap().is_none());
    assert!(outer.lookup(&1u32.to_ne_bytes()).unwrap().is_some());
}

/// Types of a program that uses names of the kernel: `bpf_rcu_read_lock`, `bpf_rcu_read_unlock`, a function that no kernel has,
/// a variable whose type the program knows and no kernel has, and one whose type it does not know.
fn kernel_names(builder: &mut Builder) {
    let mut btf = BtfBuilder::new();
    let int = btf.int("int", Int { size: 4, offset: 0, bits: 32, encoding: 1 }).unwrap();
    let none = btf.prototype(TypeId::VOID, &[]).unwrap();
    let unnamed = btf.prototype(TypeId::VOID, &[Param { name: "", ty: int }]).unwrap();
    let main = btf.prototype(int, &[]).unwrap();
    let mut listed = Vec::new();
    for (name, proto) in [("bpf_rcu_read_lock", none), ("bpf_rcu_read_unlock", none), ("no_such_function", unnamed)] {
        let ty = btf.function(name, proto, Linkage::Extern).unwrap();
        listed.push(SectionVar { ty, offset: 0, size: 0 });
        let (kind, weak) = (ExternKind::Function, name == "no_such_function");
        builder.image.externs.push(Extern { name: name.into(), kind, weak, type_id: ty.0, address: None });
    }
    let any = btf.reference(Kind::Const, "", TypeId::VOID).unwrap();
    for (name, target) in [("no_such_variable", int), ("_text", any)] {
        let ty = btf.variable(name, target, Linkage::Extern).unwrap();
        listed.push(SectionVar { ty, offset: 0, size: 4 });
        let (kind, weak) = (ExternKind::Variable, true);
        builder.image.externs.push(Extern { name: name.into(), kind, weak, type_id: ty.0, address: None });
    }
    btf.section(".ksyms", 0, &listed).unwrap();
    let main = btf.function("main", main, Linkage::Global).unwrap();
    builder.image.types.functions.push((builder.here(), main));
    builder.image.types.lines.push((
        builder.here(),
        LineInfo {
            insn_off: 0,
            file: btf.string("main.c").unwrap(),
            text: btf.string("int main(void)").unwrap(),
            line: 12,
            column: 3,
        },
    ));
    builder.image.types.btf = btf.finish().unwrap();
}

#[test]
fn names_of_the_kernel_are_looked_up_in_its_types() {
    if !may_load() || !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return;
    }
    let mut builder = Builder::new();
    kernel_names(&mut builder);
    let stand_in = |index: u64| 0x3000_0000 + 8 * index;
    let here = builder.here();
    let call = |at: u64, index: u64| call(Addr(here.0 + 8 * at), Addr(stand_in(index)));
    let skip = |register, off| Op::JumpIf {
        width: Width::W64,
        condition: Condition::Eq,
        dst: reg(register),
        src: Operand::Imm(0),
        off,
    };
    builder.function(
        "main",
        "xdp",
        &[
            (call(0, 0), Some(Target::Extern(0))),
            (call(1, 1), Some(Target::Extern(1))),
            (mov(0, Operand::Imm(0)), None),
            // Missing weak names are null, and code after a test for that is never reached.
            (address_of(6, stand_in(3)), Some(Target::Extern(3))),
            (skip(6, 1), None),
            (add(0, Operand::Imm(100)), None),
            (mov(1, Operand::Imm(1)), None),
            (skip(6, 1), None),
            (call(9, 2), Some(Target::Extern(2))),
            (address_of(7, stand_in(4)), Some(Target::Extern(4))),
            (skip(7, 1), None),
            (add(0, Operand::Imm(1)), None),
            (Op::Exit, None),
        ],
    );
    let mut image = builder.build();
    let object = load(&image, &LoadOptions::default()).unwrap();
    assert_eq!(run(&object, "main"), 1);
    // The kernel took functions and lines: it counts both in struct bpf_prog_info.
    let info = object.program("main").unwrap().info(232).unwrap();
    let word = |at: usize| u32::from_ne_bytes(info[at..at + 4].try_into().unwrap());
    assert!(word(128) != 0, "no BTF");
    assert_eq!((word(144), word(148)), (1, 1), "functions and lines");

    image.externs[2].weak = false;
    let error = load(&image, &LoadOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "no_such_function: this kernel has no such function");
}

#[test]
fn offsets_in_the_kernels_types_are_the_kernels() {
    if !may_load() {
        return;
    }
    // The program believes that `b` comes first in `struct s`; the kernel whose types are given has it after `a`.
    let types = |members: &[&str]| {
        let mut btf = BtfBuilder::new();
        let int = btf.int("int", Int { size: 4, offset: 0, bits: 32, encoding: 1 }).unwrap();
        let member = |(index, name)| crate::btf::Member { name, ty: int, bit_offset: 32 * index as u32, bits: None };
        let members: Vec<_> = members.iter().copied().enumerate().map(member).collect();
        let size = 4 * members.len() as u32;
        let ty = btf.composite(Kind::Struct, "s", size, &members).unwrap();
        let access = btf.string("0:0").unwrap();
        (btf.finish().unwrap(), ty, access)
    };
    let (own, ty, access) = types(&["b"]);
    let (kernel, ..) = types(&["a", "b"]);
    let mut builder = Builder::new();
    builder.function("unrelated", ".text", &[(mov(0, Operand::Imm(0)), None), (Op::Exit, None)]);
    let relocation = CoreRelo { insn_off: 0, ty, access, kind: CoreKind::FieldByteOffset };
    builder.image.types.relocations.push((builder.here(), relocation));
    builder.image.types.btf = own;
    builder.function("main", "xdp", &[(mov(0, Operand::Imm(0)), None), (Op::Exit, None)]);
    let image = builder.build();
    let object = load(&image, &LoadOptions { kernel_types: Some(&kernel), ..LoadOptions::default() }).unwrap();
    assert_eq!(run(&object, "main"), 4);
    assert_eq!(image.segments[0].bytes[20..24], [0; 4], "the image stays as it is");
}

#[test]
fn what_cannot_be_loaded_is_said() {
    let refusal = |image: &BpfImage| load(image, &LoadOptions::default()).unwrap_err().to_string();
    let exit = [(mov(0, Operand::Imm(0)), None), (Op::Exit, None)];
    if may_load() {
        let mut builder = Builder::new();
        builder.function("main", "a_section", &exit);
        assert_eq!(refusal(&builder.build()), "main: its section \"a_section\" says no kind of program; say which");

        let mut builder = Builder::new();
        builder.function("main", "fentry/no_such_function_of_the_kernel", &exit);
        if Path::new("/sys/kernel/btf/vmlinux").exists() {
            assert!(refusal(&builder.build()).contains("no no_such_function_of_the_kernel to attach to"));
        }

        let mut builder = Builder::new();
        let pointer = builder.data(".data", Protection::ReadWrite, &[0; 8]);
        let main = builder.function("main", "xdp", &exit);
        builder.image.references.push(Reference { address: Addr(pointer), target: Target::Function(0) });
        assert_eq!(
            refusal(&builder.build()),
            ".data: it holds an address at 0x20000000, and the kernel has none for data to hold"
        );

        let mut builder = Builder::new();
        builder.function("caller", "xdp", &[(call(main, Addr(main.0 + 8 * 100)), None), (Op::Exit, None)]);
        assert!(refusal(&builder.build()).starts_with("caller: it calls 0x10000320, where there is no function"));
    }
    let mut builder = Builder::new();
    builder.image.endian = if Endian::NATIVE == Endian::Little { Endian::Big } else { Endian::Little };
    builder.function("main", "xdp", &exit);
    assert!(refusal(&builder.build()).contains("endian"));
}

#[test]
fn arenas_have_their_data() {
    if !may_load() {
        return;
    }
    let mut builder = Builder::new();
    let value = builder.data(".addr_space.1", Protection::ReadWrite, &[1, 0, 0, 0, 42, 0, 0, 0]);
    let arena = MapDefinition { kind: 33, flags: 1 << 10, max_entries: 10, name: "arena".into(), ..Default::default() };
    let arena = builder.map(arena);
    builder.function(
        "main",
        "syscall",
        &[
            (address_of(1, arena), Some(Target::Map(0))),
            (address_of(1, value + 4), Some(Target::Data { block: 0, offset: 4 })),
            (Op::Cast { dst: reg(1), src: reg(1), to_arena: false }, None),
            (word(0, 1), None),
            (Op::Exit, None),
        ],
    );
    let object = load(&builder.build(), &LoadOptions::default()).unwrap();
    let context = [0; 8];
    let run = TestRun { context: &context, ..TestRun::default() };
    assert_eq!(object.program("main").unwrap().test_run(&run).unwrap().retval, 42);
}
