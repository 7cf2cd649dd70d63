//! A linked BPF program: what runs or is loaded, with everything that belongs to it beside its bytes.
//!
//! A link gives bytes at addresses. That is all a virtual machine needs for code, but not for the rest: which functions are
//! programs, what the maps are, which bytes of an instruction meant which map. A [`BpfImage`] keeps that, by address, so that
//! one link serves the virtual machine (which runs the bytes where they are) and the kernel (which takes one array of instructions
//! a program, and descriptors instead of addresses).

use crate::btf::ext::{CoreRelo, LineInfo};
use crate::btf::{Btf, TypeId, ValueFields};
use crate::core_relo::{self, CoreError, Outcome, Relocator};
use crate::insn::WORD;
use jitlink_core::graph::Protection;
use jitlink_core::{Addr, Endian};

/// A linked BPF program. Everything in it is sorted by address unless it says otherwise.
#[derive(Clone, Debug)]
pub struct BpfImage {
    /// The byte order of code and data.
    pub endian: Endian,
    /// The memory of the program.
    pub segments: Vec<ImageSegment>,
    /// All functions that were kept.
    pub functions: Vec<Function>,
    /// The maps that the objects declare, in the order of the input.
    pub maps: Vec<MapDefinition>,
    /// Sections of variables and constants.
    pub data: Vec<DataBlock>,
    /// What instructions refer to.
    pub references: Vec<Reference>,
    /// Names that the kernel or its configuration defines.
    pub externs: Vec<Extern>,
    /// The text of section `license`, without its terminator; empty if there is none.
    pub license: String,
    /// The number in section `version`, which old kernels check for some programs.
    pub version: u32,
    /// Types of the program, and what they say of its instructions.
    pub types: ImageTypes,
}

/// The merged types of a program's objects, and what `.BTF.ext` says of instructions, by address.
#[derive(Clone, Debug, Default)]
pub struct ImageTypes {
    /// The types. Lists of sections say where variables lie from the start of their section's first block.
    pub btf: Btf,
    /// Functions: the first instruction, and the type (of kind `FUNC`).
    pub functions: Vec<(Addr, TypeId)>,
    /// Source lines: the first instruction of each. Offsets in them are not used; names and texts are strings of `btf`.
    pub lines: Vec<(Addr, LineInfo)>,
    /// Instructions that depend on the types of the machine that runs them (CO-RE). Strings and types are those of `btf`.
    pub relocations: Vec<(Addr, CoreRelo)>,
}

/// A line of a program's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLine<'i> {
    /// The file's name, as the compiler was told it.
    pub file: &'i str,
    /// The number of the line, from 1.
    pub line: u32,
    /// The column, from 1; 0 if it is not known.
    pub column: u16,
    /// The text of the line.
    pub text: &'i [u8],
}

/// A run of the program's memory.
#[derive(Clone, Debug)]
pub struct ImageSegment {
    /// Where it starts.
    pub address: Addr,
    /// What the program may do with it.
    pub protection: Protection,
    /// Its bytes, fixed up.
    pub bytes: Vec<u8>,
}

/// A function of the program.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The section that it was in.
    pub section: String,
    /// Where it starts.
    pub address: Addr,
    /// Its size in bytes, a multiple of eight.
    pub size: u64,
    /// Others see it: the kernel checks such functions for themselves.
    pub global: bool,
    /// It is a program that can be loaded and run, rather than one that programs call.
    pub entry: bool,
}

/// A map that the program declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapDefinition {
    /// Its name.
    pub name: String,
    /// Where its symbol is: an address that only names the map, not memory of the program.
    pub address: Addr,
    /// The kernel's number of the map's type (`enum bpf_map_type`).
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// How many elements it can hold.
    pub max_entries: u32,
    /// Flags of creation (`BPF_F_*`).
    pub flags: u32,
    /// What is special to the type (`map_extra`).
    pub extra: u64,
    /// Whether libbpf would pin it by its name (`LIBBPF_PIN_BY_NAME`).
    pub pin_by_name: bool,
    /// The NUMA node for `BPF_F_NUMA_NODE`.
    pub numa_node: u32,
    /// What the inner maps of a map of maps look like.
    pub inner: Option<Box<MapDefinition>>,
    /// What elements hold from the start: the index, and the map or function by its address.
    pub elements: Vec<(u32, Addr)>,
    /// The BTF ids of key and value in the image's BTF; zero where unknown.
    pub types: (u32, u32),
    /// Where its values hold locks and timers, as far as the value's type says it.
    pub fields: ValueFields,
}

/// Variables or constants of one section of one object. Sections of one name become one map in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataBlock {
    /// The section's name: `.rodata`, `.data.config`, `.bss`, `.kconfig`, `.addr_space.1`.
    pub section: String,
    /// Where it is.
    pub address: Addr,
    /// Its size in bytes.
    pub size: u64,
    /// What the program may do with it.
    pub protection: Protection,
}

/// What an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The instruction's address.
    pub address: Addr,
    /// What it refers to.
    pub target: Target,
}

/// The target of a [`Reference`]. Numbers are indices into the image's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The map itself.
    Map(usize),
    /// A byte of a block of data.
    Data {
        /// Which block.
        block: usize,
        /// Bytes from its start; outside of it for addresses that are only compared or computed with.
        offset: i64,
    },
    /// A function: called, or its address taken.
    Function(usize),
    /// A name that the kernel defines: called, or its address taken.
    Extern(usize),
}

/// A name that the kernel or its configuration defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extern {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ExternKind,
    /// It may be missing, and is null then.
    pub weak: bool,
    /// Its BTF id in the image's BTF; zero where unknown.
    pub type_id: u32,
    /// Where a value of the kernel's configuration stands in the program's memory.
    pub address: Option<Addr>,
}

/// What a name of the kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternKind {
    /// A value of the kernel's configuration (`.kconfig`).
    Config,
    /// A variable (`.ksyms`).
    Variable,
    /// A function (`.ksyms`).
    Function,
}

/// Types of maps (`enum bpf_map_type`) that loaders complete: perf event arrays, ring buffers of both directions, and arrays whose
/// elements hosts give as descriptors (prog_array, perf_event_array, cgroup_array, array_of_maps).
const PERF_EVENT_ARRAY: u32 = 4;
const RING_BUFFERS: [u32; 2] = [27, 31];
const OF_DESCRIPTORS: [u32; 4] = [3, PERF_EVENT_ARRAY, 8, 12];

/// A page, in which ring buffers count.
const PAGE: u32 = 4096;

impl MapDefinition {
    /// Whether the number of elements is to be that of CPUs, because the program says none.
    pub fn is_per_cpu_of_host(&self) -> bool {
        self.kind == PERF_EVENT_ARRAY && self.max_entries == 0
    }

    /// The definition as a kernel takes it, with what libbpf fills in or rounds: the number of CPUs for perf event arrays without
    /// one, four bytes for sizes of descriptors, and powers of two of whole pages for ring buffers. The templates of inner maps are
    /// completed likewise.
    pub fn completed(&self, cpus: u32) -> MapDefinition {
        let mut whole = self.clone();
        if self.is_per_cpu_of_host() {
            whole.max_entries = cpus;
        }
        if RING_BUFFERS.contains(&self.kind) && self.max_entries > 0 {
            let rounded = self.max_entries.max(PAGE).checked_next_power_of_two();
            whole.max_entries = rounded.unwrap_or(self.max_entries);
        }
        if OF_DESCRIPTORS.contains(&self.kind) {
            let or_four = |size: u32| if size == 0 { 4 } else { size };
            (whole.key_size, whole.value_size) = (or_four(self.key_size), or_four(self.value_size));
        }
        whole.inner = self.inner.as_deref().map(|inner| Box::new(inner.completed(cpus)));
        whole
    }
}

impl BpfImage {
    /// The function that holds an address.
    pub fn function_at(&self, address: Addr) -> Option<&Function> {
        let after = self.functions.partition_point(|function| function.address <= address);
        self.functions[..after].last().filter(|function| address.0 - function.address.0 < function.size)
    }

    /// What the instruction at an address refers to.
    pub fn reference_at(&self, address: Addr) -> Option<Target> {
        let found = self.references.binary_search_by_key(&address, |reference| reference.address);
        found.ok().map(|index| self.references[index].target)
    }

    /// The source line of the instruction at an address, if the objects say it.
    pub fn line_at(&self, address: Addr) -> Option<SourceLine<'_>> {
        let function = self.function_at(address)?;
        let after = self.types.lines.partition_point(|(start, _)| *start <= address);
        let (_, line) = self.types.lines[..after].last().filter(|(start, _)| *start >= function.address)?;
        let btf = &self.types.btf;
        let text = btf.string(line.text).unwrap_or_default();
        Some(SourceLine { file: btf.name(line.file), line: line.line, column: line.column, text })
    }

    /// Adjusts instructions to the types of the machine that will run them (CO-RE). They are adjusted once: what was done is no
    /// longer listed in [`ImageTypes::relocations`].
    ///
    /// Fails, with nothing changed, if a relocation cannot be decided or its number does not fit.
    pub fn adjust_to(&mut self, target: &core_relo::Target<'_>) -> Result<Vec<(Addr, Outcome)>, CoreError> {
        let mut relocator = Relocator::new(&self.types.btf, target);
        let (mut segments, mut outcomes) = (self.segments.clone(), Vec::new());
        for (address, relocation) in &self.types.relocations {
            let holds = |segment: &&mut ImageSegment| {
                address.0.checked_sub(segment.address.0).is_some_and(|at| at < segment.bytes.len() as u64)
            };
            let Some(segment) = segments.iter_mut().find(holds) else { continue };
            let start = (address.0 - segment.address.0) as usize;
            // Offsets count from the instruction itself; the longest has two words.
            let end = segment.bytes.len().min(start + 2 * WORD);
            let own = CoreRelo { insn_off: 0, ..*relocation };
            let outcome = relocator.apply(&mut segment.bytes[start..end], self.endian, &own)?;
            outcomes.push((*address, outcome));
        }
        self.segments = segments;
        self.types.relocations.clear();
        Ok(outcomes)
    }

    /// The programs: functions that can be loaded and run.
    pub fn programs(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| function.entry)
    }
}
