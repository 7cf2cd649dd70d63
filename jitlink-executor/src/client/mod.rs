//! The linking side.
//!
//! | part | concern |
//! | --- | --- |
//! | `start` | how a connection comes to be |
//! | `connection` | requests and their answers, from several threads at once |
//! | `memory` | a batch's memory, from its reservation to its end |
//! | `shared` | memory of a process on the same machine |
//! | `crash` | what is said of a crash |
//! | `imports` | what is asked of shared libraries |

mod connection;
mod crash;
mod imports;
mod memory;
#[allow(unsafe_code, reason = "reads and writes memory of a process that offers it")]
mod shared;
#[allow(unsafe_code, reason = "prepares the process that is started")]
mod start;

pub use crash::CrashReport;

use crate::wire::{Bytes, End, FRAME_LIMIT, QueryRecord, Reply, Request};
use connection::{Connection, unexpected};
use jitlink_core::arch::Target;
use jitlink_core::executor::{
    Executor, ExecutorError, LibraryImport, MemoryRequest, PointerArray, Reservation, ThreadLocalBlock,
    ThreadLocalRequest,
};
use jitlink_core::{Addr, Endian};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Links into another process. Clones share the connection; the process ends when the last of them, and all that was linked, is gone.
///
/// Linked code, initialisers and finalisers run there. Nothing of it can be called or read from here but through
/// [`Module`](https://docs.rs/jitlink)s, so handles to functions and variables are refused; and functions cannot be linked on their first
/// call.
#[derive(Clone, Debug)]
pub struct RemoteExecutor {
    connection: Arc<Connection>,
    /// Where libraries are searched that objects import from; `None` if those that are not loaded must not be.
    imports: Option<Arc<[Bytes]>>,
}

impl RemoteExecutor {
    /// The architecture of the process, as Rust calls it: `powerpc64`.
    pub fn architecture(&self) -> &str {
        &self.connection.welcome.arch
    }

    /// The byte order of the process.
    pub fn endian(&self) -> Endian {
        if self.connection.welcome.little_endian { Endian::Little } else { Endian::Big }
    }

    /// How often this side has waited for the other. A link waits a few times, however large it is.
    pub fn round_trips(&self) -> u64 {
        self.connection.round_trips()
    }

    /// Whether linked bytes are written straight to the memory of the process: one on this machine that this process has started, or that
    /// listens at a socket of the same user.
    pub fn shares_memory(&self) -> bool {
        self.connection.shares_memory()
    }

    /// Sends linked bytes over the connection, even where memory could be written to directly.
    #[must_use]
    pub fn without_shared_memory(self) -> RemoteExecutor {
        self.connection.forbid_shared_memory();
        self
    }

    /// Loads a shared library of the target, as `-l NAME` would have a program do; `search` are directories there.
    ///
    /// # Safety
    /// Runs the initialisers of the library, which must be sound to run.
    #[allow(unsafe_code, reason = "running a library's initialisers is for the caller to vouch for")]
    pub unsafe fn load_library(&self, name: &str, search: &[PathBuf]) -> Result<(), ExecutorError> {
        self.done(Request::Load(name.into(), wire_paths(search)))
    }

    /// Loads shared libraries of the target when what is linked imports from them, as import libraries say; `search` are directories
    /// there, in which they are looked for first. Without this, a library has to be loaded by then.
    ///
    /// # Safety
    /// Links run the initialisers of such libraries, which must be sound to run.
    #[must_use]
    #[allow(unsafe_code, reason = "running a library's initialisers is for the caller to vouch for")]
    pub unsafe fn loading_imports(self, search: &[PathBuf]) -> RemoteExecutor {
        RemoteExecutor { imports: Some(wire_paths(search).into()), ..self }
    }

    /// Sets what initialisers and the next `main` get as their arguments, the program's name first.
    pub fn set_arguments(&self, arguments: &[CString]) -> Result<(), ExecutorError> {
        self.connection.tell(&Request::Arguments(arguments.to_vec()))
    }

    /// Sets variables of the program's environment, which is otherwise that of the process. Before anything is linked that runs.
    pub fn set_environment(&self, variables: &[(CString, CString)]) -> Result<(), ExecutorError> {
        self.connection.tell(&Request::Environment(variables.to_vec()))
    }

    /// Passes this process's standard input on to the program, if that does not have it already.
    pub fn forward_input(&self) -> Result<(), ExecutorError> {
        self.connection.forward_input()
    }

    /// Ends the process as `exit` does: what linked code has registered to run at its end runs. How it ended.
    pub fn exit(&self, status: i32) -> Result<End, ExecutorError> {
        self.connection.exit(status)
    }

    /// How the process ended, if it has.
    pub fn ended(&self) -> Option<End> {
        self.connection.ended()
    }

    /// What is known of a crash that ended the process.
    pub fn crash(&self) -> Option<CrashReport> {
        self.connection.crash()
    }

    /// Leaves the process to itself: what was linked stays, and the process ends when what runs there has returned. Nothing can be linked
    /// or run through this executor any more.
    pub fn detach(&self) -> Result<(), ExecutorError> {
        let detached = self.done(Request::Detach);
        self.connection.leave();
        detached
    }

    fn done(&self, request: Request) -> Result<(), ExecutorError> {
        match self.connection.ask(&request)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

fn wire_paths(paths: &[PathBuf]) -> Vec<Bytes> {
    paths.iter().map(|path| Bytes(path.as_os_str().as_bytes().to_vec())).collect()
}

/// Whether an architecture's name means the one that Rust calls by the other; some are spelled differently.
fn is_same(name: &str, rust: &str) -> bool {
    name.bytes().map(|byte| if byte == b'-' { b'_' } else { byte }).eq(rust.bytes())
}

#[allow(unsafe_code, reason = "the trait has unsafe functions; nothing unsafe is done here")]
impl Executor for RemoteExecutor {
    fn name(&self) -> &'static str {
        "remote"
    }

    fn accept(&self, target: &Target) -> Result<(), ExecutorError> {
        let welcome = &self.connection.welcome;
        let info = target.arch.info();
        let system = info.system(target.endian, target.pointer_bytes, target.convention);
        let is_arch =
            system.map_or_else(|| is_same(info.name(), &welcome.arch), |system| system.rust_arch() == welcome.arch);
        let is_order = (target.endian == Endian::Little) == welcome.little_endian;
        if is_arch && is_order && target.pointer_bytes == welcome.pointer_bytes {
            // Functions alone, which call nothing of the system, run in any convention of a machine whose own is the usual one.
            if welcome.convention.is_empty() || self.calls_as(target) {
                return Ok(());
            }
            return Err(ExecutorError::with_advice(
                format!(
                    "code for {target} does not run in the executor's process, whose functions are called as {}",
                    welcome.convention
                ),
                "start an executor that was built for the objects' system",
            ));
        }
        let (arch, bytes) = (&welcome.arch, welcome.pointer_bytes);
        let order = if welcome.little_endian { "little" } else { "big" };
        Err(ExecutorError::with_advice(
            format!(
                "code for {target} does not run in the executor's process, which is for {arch}, {order}-endian, with pointers of {bytes} bytes"
            ),
            "start an executor that was built for the objects' target",
        ))
    }

    fn calls_as(&self, target: &Target) -> bool {
        target.convention == self.connection.welcome.convention
    }

    fn page_size(&self) -> u64 {
        self.connection.welcome.page_size
    }

    fn reserve(&self, request: &MemoryRequest) -> Result<Box<dyn Reservation>, ExecutorError> {
        memory::reserve(&self.connection, request)
    }

    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, ExecutorError> {
        // Names that do not fit in one frame go in several, which are sent together.
        let most = FRAME_LIMIT as usize / 2;
        let (mut requests, mut part, mut size) = (Vec::new(), Vec::new(), 0);
        for name in names {
            if size + name.len() + 4 > most && !part.is_empty() {
                requests.push(Request::Lookup(std::mem::take(&mut part)));
                size = 0;
            }
            size += name.len() + 4;
            part.push(Bytes(name.to_vec()));
        }
        requests.push(Request::Lookup(part));
        let mut found = Vec::with_capacity(names.len());
        for reply in self.connection.ask_all(&requests)? {
            let Reply::Addresses(addresses) = reply else { return Err(unexpected(&reply)) };
            found.extend(addresses.into_iter().map(|address| address.map(Addr)));
        }
        match found.len() == names.len() {
            true => Ok(found),
            false => Err(ExecutorError::new(format!(
                "the executor gave {} addresses for {} names",
                found.len(),
                names.len()
            ))),
        }
    }

    fn import(&self, imports: &[LibraryImport<'_>]) -> Result<Option<Vec<Option<Addr>>>, ExecutorError> {
        let search = self.imports.as_deref();
        let requests = imports::requests(imports, search);
        imports::addresses(&self.connection.ask_all(&requests)?, imports.len())
    }

    fn wants_description(&self) -> bool {
        true
    }

    fn lazy_linker(&self) -> Result<Addr, ExecutorError> {
        match self.connection.welcome.lazy_linker {
            0 => Err(ExecutorError::with_advice(
                "the executor's process links no functions on their first call",
                "supply their object or address instead",
            )),
            address => Ok(Addr(address)),
        }
    }

    fn unwinder(&self, names: &[&[u8]]) -> Option<Vec<Addr>> {
        let names: Vec<Bytes> = names.iter().map(|name| Bytes(name.to_vec())).collect();
        let count = names.len();
        match self.connection.ask(&Request::Unwinder(names)) {
            Ok(Reply::Addresses(found)) if found.len() == count => {
                found.into_iter().map(|address| address.map(Addr)).collect()
            }
            _ => None,
        }
    }

    fn thread_locals(&self, request: &ThreadLocalRequest<'_>) -> Result<Box<dyn ThreadLocalBlock>, ExecutorError> {
        let queries: Vec<QueryRecord> = request.queries.iter().map(QueryRecord::new).collect();
        let message = Request::ThreadLocals(Bytes(request.image.to_vec()), (request.size, request.align), queries);
        match self.connection.ask(&message)? {
            Reply::Bound(number, answers) if answers.len() == request.queries.len() => {
                let answers = answers.into_iter().map(|answer| answer.map(|(first, second)| [first, second])).collect();
                Ok(Box::new(memory::Block { connection: self.connection.clone(), number, answers }))
            }
            other => Err(unexpected(&other)),
        }
    }

    unsafe fn run_resolvers(&self, slots: &[Addr]) -> Result<(), ExecutorError> {
        if slots.is_empty() {
            return Ok(());
        }
        self.done(Request::RunResolvers(slots.to_vec()))
    }

    unsafe fn run_arrays(&self, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        if arrays.is_empty() {
            return Ok(());
        }
        self.done(Request::RunArrays(arrays.to_vec()))
    }

    unsafe fn run_main(&self, entry: Addr, arguments: &[CString]) -> Result<i32, ExecutorError> {
        match self.connection.ask(&Request::RunMain(entry, arguments.to_vec()))? {
            Reply::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    unsafe fn run_at_exit(&self, handle: Addr, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        self.done(Request::RunAtExit(handle, arrays.to_vec()))
    }

    unsafe fn run_exit_handlers(&self, handle: Addr) -> Result<(), ExecutorError> {
        self.done(Request::RunExitHandlers(handle))
    }
}
