//! An executor that links into the machine and runs there.
//!
//! A batch's code goes into the one region of code, next to that of all other batches, so that calls reach across; each of its
//! other segments gets a region of its own ([`crate::address`]). Until a batch is finished its bytes are in buffers; then its code
//! is decoded and checked, and all of it is published at once.

mod batch;
mod places;

use crate::address;
use crate::context::{Context, NoContext};
use crate::fault::Fault;
use crate::machine::Machine;
use crate::maps::{Map, running};
use crate::memory::Memory;
use crate::vm::{RunOptions, Shared, VmBuilder};
use batch::Batch;
use hashbrown::HashMap;
use jitlink_core::executor::{Executor, ExecutorError, MemoryRequest, PointerArray, Reservation};
use jitlink_core::{Addr, Endian};
use places::Places;
use std::ffi::CString;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Links BPF objects into a virtual machine. Clones are the same machine.
///
/// Programs find kernel functions by their names ([`Functions`](crate::functions::Functions)), and maps that the host adds
/// ([`VmExecutor::add_map`]). An executor is told bytes and addresses, not what they mean: a map that an object declares itself
/// (section `.maps`) is no map here, and a helper that is given one ends the program. Such objects are linked into an image, of
/// which [`VmBuilder::build`] makes a machine with their maps, elements and all.
#[derive(Clone)]
pub struct VmExecutor(Arc<Inner>);

struct Inner {
    shared: Shared,
    endian: Endian,
    places: Mutex<Places>,
    symbols: Mutex<HashMap<Vec<u8>, Addr>>,
}

impl VmExecutor {
    /// An empty machine for objects of a byte order, with the functions, maps and what else a builder has.
    pub fn new(builder: VmBuilder, endian: Endian) -> VmExecutor {
        let (shared, maps) = builder.into_shared();
        let executor =
            VmExecutor(Arc::new(Inner { shared, endian, places: Mutex::default(), symbols: Mutex::default() }));
        maps.iter().for_each(|(name, map)| _ = executor.add_map(name, map));
        executor
    }

    /// Makes a map known under a name, by which objects refer to it.
    pub fn add_map(&self, name: &str, map: &Arc<Map>) -> Addr {
        let handle = Addr(address::map_handle(self.0.shared.space.attach(map) as u32));
        self.add_symbol(name, handle);
        handle
    }

    /// Makes an address known under a name.
    pub fn add_symbol(&self, name: &str, address: Addr) {
        places::lock(&self.0.symbols).insert(name.into(), address);
    }

    /// Runs a linked function with a context, and gives back what it returns.
    pub fn run(&self, function: Addr, context: &mut dyn Context, options: &RunOptions) -> Result<u64, Fault> {
        let _running = running();
        Machine::new(&self.0.shared, context, options)?.run(function.0)
    }

    /// The options of a usual run.
    pub fn options(&self) -> RunOptions {
        RunOptions { budget: self.0.shared.budget, cpu: 0 }
    }

    fn call(&self, function: Addr, context: &mut dyn Context) -> Result<u64, ExecutorError> {
        self.run(function, context, &self.options()).map_err(|fault| {
            let trace = fault.trace().iter().skip(1).map(|place| format!("\n  called from {place}"));
            ExecutorError::new(format!("the program was stopped: {fault}{}", trace.collect::<String>()))
        })
    }
}

#[allow(
    unsafe_code,
    reason = "the trait declares running as unsafe; here nothing that a program does can harm the host"
)]
impl Executor for VmExecutor {
    fn name(&self) -> &'static str {
        "BPF machine"
    }

    fn page_size(&self) -> u64 {
        places::PAGE
    }

    fn reserve(&self, request: &MemoryRequest) -> Result<Box<dyn Reservation>, ExecutorError> {
        Ok(Box::new(Batch::reserve(self.0.clone(), request)?))
    }

    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, ExecutorError> {
        let symbols = places::lock(&self.0.symbols);
        let find = |name: &&[u8]| {
            let function = || self.0.shared.functions.address(std::str::from_utf8(name).ok()?).map(Addr);
            symbols.get(*name).copied().or_else(function)
        };
        Ok(names.iter().map(find).collect())
    }

    fn wants_description(&self) -> bool {
        true
    }

    unsafe fn run_arrays(&self, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        for array in arrays {
            for index in 0..array.count {
                let place = array.address + index * 8;
                let mut bytes = [0; 8];
                let snapshot = self.0.shared.space.snapshot();
                let area = snapshot.area(place.0).filter(|area| area.contains(place.0, 8));
                let area = area.ok_or_else(|| {
                    ExecutorError::new(format!("the array of functions at {} is not in linked memory", array.address))
                })?;
                area.memory.read((place.0 - area.start) as usize, &mut bytes);
                match self.0.endian.read(&bytes) {
                    // As on other systems, entries of 0 and -1 are no functions.
                    0 | u64::MAX => {}
                    function => _ = self.call(Addr(function), &mut NoContext)?,
                }
            }
        }
        Ok(())
    }

    /// `r1` is the number of arguments, `r2` points to an array of pointers to them that ends with a null pointer.
    unsafe fn run_main(&self, entry: Addr, arguments: &[CString]) -> Result<i32, ExecutorError> {
        let mut context = Arguments::new(arguments, self.0.endian)?;
        Ok(self.call(entry, &mut context)? as i32)
    }
}

/// A `main`'s arguments as memory.
struct Arguments {
    memory: Arc<Memory>,
    count: u64,
}

impl Arguments {
    fn new(arguments: &[CString], endian: Endian) -> Result<Arguments, ExecutorError> {
        let table = (arguments.len() + 1) * 8;
        let strings = arguments.iter().map(|argument| argument.as_bytes_with_nul().len()).sum::<usize>();
        let memory = Memory::zeroed(table + strings).map_err(|error| ExecutorError::new(error.to_string()))?;
        let mut place = table;
        for (index, argument) in arguments.iter().enumerate() {
            let mut pointer = [0; 8];
            endian.write(&mut pointer, address::CONTEXT + place as u64);
            memory.write(index * 8, &pointer);
            memory.write(place, argument.as_bytes_with_nul());
            place += argument.as_bytes_with_nul().len();
        }
        Ok(Arguments { memory: Arc::new(memory), count: arguments.len() as u64 })
    }
}

impl Context for Arguments {
    fn memory(&self) -> Option<&Arc<Memory>> {
        Some(&self.memory)
    }

    fn arguments(&self) -> [u64; 5] {
        [self.count, address::CONTEXT, 0, 0, 0]
    }
}

impl fmt::Debug for VmExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmExecutor").field("functions", &self.0.shared.functions).finish_non_exhaustive()
    }
}
