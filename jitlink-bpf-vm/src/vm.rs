//! The machine as its host sees it: programs, maps and functions, run by any number of threads at once.

use crate::address::{self, CODE_REGION};
use crate::code::{Source, Unit, compile};
use crate::context::{Context, RawMemory};
use crate::error::LoadError;
use crate::fault::{Fault, Lines};
use crate::functions::Functions;
use crate::load::{ImageLines, check_segment, load_code, load_data};
use crate::load_maps::{declare_elements, load_maps};
use crate::machine::Machine;
use crate::maps::{Map, MapHost, running};
use crate::space::Space;
use hashbrown::HashMap;
use jitlink_arch_bpf::image::BpfImage;
use jitlink_arch_bpf::insn::Insn;
use jitlink_core::Endian;
use jitlink_core::graph::Protection;
use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// How many instructions a program may run unless the host says otherwise: about a second's worth.
pub const DEFAULT_BUDGET: u64 = 1 << 30;

/// A machine with a program loaded. It is shared by reference: threads run programs, and the host works on maps, at once.
#[derive(Clone)]
pub struct Vm {
    shared: Arc<Shared>,
    programs: Vec<Program>,
    maps: HashMap<String, Arc<Map>>,
}

/// What all runs share.
pub(crate) struct Shared {
    pub(crate) space: Space,
    pub(crate) functions: Functions,
    pub(crate) lines: Option<Arc<dyn Lines>>,
    extensions: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    pub(crate) budget: u64,
}

/// A program of a [`Vm`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name: that of its function.
    pub name: String,
    /// The section that it came from, which says what kind of program it is.
    pub section: String,
    /// Where it starts, in the machine's addresses.
    pub address: u64,
}

/// How one run of a program goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunOptions {
    /// After how many instructions it ends with a fault. Instructions that a loop jumps over count as run.
    pub budget: u64,
    /// The number of the processor that it thinks it runs on. Values of per-CPU maps are that processor's.
    pub cpu: usize,
}

/// Whether sequences of instructions are run as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Speed {
    /// They are.
    #[default]
    Fused,
    /// They are not: for tests, which compare.
    Plain,
}

/// Makes a [`Vm`].
#[derive(Default)]
pub struct VmBuilder {
    functions: Functions,
    lines: Option<Arc<dyn Lines>>,
    extensions: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    budget: Option<u64>,
    speed: Speed,
    host: MapHost,
    /// In the order in which they were given, which is that of their addresses.
    maps: Vec<(String, Arc<Map>)>,
}

impl VmBuilder {
    /// A builder of a machine without helpers.
    pub fn new() -> VmBuilder {
        VmBuilder::default()
    }

    /// The functions that programs call: helpers and kernel functions.
    pub fn functions(mut self, functions: Functions) -> VmBuilder {
        self.functions = functions;
        self
    }

    /// Where the source lines of the code are known; otherwise they are what the image says.
    pub fn lines(mut self, lines: Arc<dyn Lines>) -> VmBuilder {
        self.lines = Some(lines);
        self
    }

    /// Gives something to the functions of the host, which ask for it by its type ([`Call::extension`](crate::call::Call::extension)).
    pub fn extension<T: Any + Send + Sync>(mut self, extension: T) -> VmBuilder {
        self.extensions.insert(TypeId::of::<T>(), Box::new(extension));
        self
    }

    /// How many instructions a run may take, if the run does not say; [`DEFAULT_BUDGET`] otherwise.
    pub fn budget(mut self, instructions: u64) -> VmBuilder {
        self.budget = Some(instructions);
        self
    }

    pub(crate) fn speed(mut self, speed: Speed) -> VmBuilder {
        self.speed = speed;
        self
    }

    /// What is granted to maps: how many processors, how much memory.
    pub fn map_host(mut self, host: MapHost) -> VmBuilder {
        self.host = host;
        self
    }

    /// A map that the program's map of this name is to be, instead of a new one.
    pub fn map(mut self, name: &str, map: Arc<Map>) -> VmBuilder {
        self.maps.retain(|(known, _)| known != name);
        self.maps.push((name.into(), map));
        self
    }

    /// Loads a linked program: makes its maps, as libbpf would in the kernel, with the programs and maps that it declares as their
    /// elements, and decodes its code. Maps of the host ([`VmBuilder::map`]) keep their elements, but for programs, which are
    /// put into the places that the image declares.
    pub fn build(mut self, image: &BpfImage) -> Result<Vm, LoadError> {
        if self.lines.is_none() {
            self.lines = ImageLines::of(image).map(|lines| Arc::new(lines) as Arc<dyn Lines>);
        }
        let (host, speed) = (self.host.clone(), self.speed);
        let (shared, known) = self.into_shared();
        let maps = load_maps(image, &known, &host)?;
        maps.iter().for_each(|map| _ = shared.space.attach(map));
        let (mut areas, mut units) = (Vec::new(), Vec::new());
        for segment in &image.segments {
            check_segment(segment)?;
            match segment.protection {
                Protection::ReadExecute => units.push(Arc::new(speed.of(load_code(image, segment, &maps, &shared)?))),
                protection => areas.push(load_data(segment, protection)?),
            }
        }
        let refuse = |address| LoadError::Segment { address, size: 0, reason: "another is there" };
        shared.space.add(areas, units).map_err(refuse)?;
        declare_elements(image, &maps, &known)?;
        let programs = image.programs().map(|function| Program {
            name: function.name.clone(),
            section: function.section.clone(),
            address: function.address.0,
        });
        let names = image.maps.iter().map(|definition| definition.name.clone());
        let maps = names.zip(maps).collect();
        Ok(Vm { programs: programs.collect(), maps, shared: Arc::new(shared) })
    }

    /// Loads bare instructions as a program with the name `program`.
    pub fn build_raw(self, words: &[Insn], endian: Endian) -> Result<Vm, LoadError> {
        let speed = self.speed;
        let (shared, maps) = self.into_shared();
        for (_, map) in &maps {
            shared.space.attach(map);
        }
        let start = address::at(CODE_REGION, 0);
        let source = Source { start, endian, words, functions: Vec::new(), links: HashMap::new(), arena: None };
        let unit = Arc::new(speed.of(compile(source)?));
        let refuse = |address| LoadError::Segment { address, size: 0, reason: "another is there" };
        shared.space.add(Vec::new(), vec![unit]).map_err(refuse)?;
        let program = Program { name: "program".into(), section: String::new(), address: start };
        Ok(Vm { programs: vec![program], maps: maps.into_iter().collect(), shared: Arc::new(shared) })
    }

    pub(crate) fn into_shared(self) -> (Shared, Vec<(String, Arc<Map>)>) {
        let VmBuilder { functions, lines, extensions, budget, maps, .. } = self;
        let shared = Shared { extensions, ..Shared::new(functions, lines, budget.unwrap_or(DEFAULT_BUDGET)) };
        (shared, maps)
    }
}

impl Vm {
    /// Loads a linked program into a machine without helpers.
    pub fn new(image: &BpfImage) -> Result<Vm, LoadError> {
        VmBuilder::new().build(image)
    }

    /// The programs, in the order of the image.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// The program of a name.
    pub fn program(&self, name: &str) -> Result<&Program, LoadError> {
        let unknown = || LoadError::Program {
            name: name.into(),
            known: self.programs.iter().map(|program| program.name.clone()).collect(),
        };
        self.programs.iter().find(|program| program.name == name).ok_or_else(unknown)
    }

    /// The map of a name.
    pub fn map(&self, name: &str) -> Option<&Arc<Map>> {
        self.maps.get(name)
    }

    /// Runs a program, and gives back what it returns.
    pub fn run(&self, program: &Program, context: &mut dyn Context) -> Result<u64, Fault> {
        self.run_with(program, context, &self.options())
    }

    /// The options of a usual run.
    pub fn options(&self) -> RunOptions {
        RunOptions { budget: self.shared.budget, cpu: 0 }
    }

    /// Runs a program in a certain way, and gives back what it returns.
    pub fn run_with(&self, program: &Program, context: &mut dyn Context, options: &RunOptions) -> Result<u64, Fault> {
        // Elements that are deleted meanwhile stay as the program may have found them.
        let _running = running();
        Machine::new(&self.shared, context, options)?.run(program.address)
    }
}

/// Runs bare instructions on memory, whose address is in `r1` and whose length is in `r2`. Gives back `r0`.
///
/// ```
/// use jitlink_arch_bpf::insn::Insn;
/// use jitlink_bpf_vm::vm::run_raw;
///
/// // r0 = *(u8 *)(r1 + 2); exit
/// let load = Insn { code: 0x71, dst: 0, src: 1, off: 2, imm: 0 };
/// let exit = Insn { code: 0x95, ..Insn::default() };
/// assert_eq!(run_raw(&[load, exit], &mut [10, 20, 30])?, 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run_raw(words: &[Insn], memory: &mut [u8]) -> Result<u64, RawError> {
    let vm = VmBuilder::new().build_raw(words, Endian::NATIVE)?;
    let mut raw = RawMemory::new(memory).map_err(LoadError::from)?;
    let result = vm.run(&vm.programs[0], &mut raw);
    memory.copy_from_slice(&raw.to_vec());
    Ok(result?)
}

/// Why bare instructions did not run to their end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// They are no program.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// They were stopped.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Speed {
    fn of(self, unit: Unit) -> Unit {
        match self {
            Speed::Fused => unit.fused(),
            Speed::Plain => unit,
        }
    }
}

impl Shared {
    pub(crate) fn new(functions: Functions, lines: Option<Arc<dyn Lines>>, budget: u64) -> Shared {
        Shared { space: Space::default(), functions, lines, extensions: HashMap::new(), budget }
    }

    pub(crate) fn extension<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.extensions.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

impl fmt::Debug for Vm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vm").field("programs", &self.programs).field("maps", &self.maps).finish_non_exhaustive()
    }
}
