//! Thread-local variables: the C library's own, so that every thread has them, however it was made.
//!
//! The C library gives each thread a copy of every loaded object's variables. It does so for objects that it loads only, so each
//! batch with such variables has one made for it: no code, just the initial values, and a table of dynamic relocations that ask for
//! what linked code has to know ("ELF Handling For Thread-Local Storage", section 3.4; psABI of x86-64, section 4.4.2). The
//! loader fills the table in. So all access models are its own: lazily made copies in threads that never use the variables, initial
//! values in threads of any age, variables of the program and its libraries by name, and all of it undone when the object is closed.
//!
//! Where the program has given room for them (`thread_room`), a batch's own variables go there instead.
//!
//! Variables at a fixed distance from the thread pointer (initial-exec and local-exec code) must lie in the room that the loader
//! kept for that when the process began: by default glibc's is about 1,600 bytes. More needs the tunable that the error names.
//!
//! The object is in memory only, under a name that nothing else had: the loader takes a known name for a known object.

use super::symbols;
use crate::addr::Addr;
use crate::executor::{
    ExecutorError, ThreadLocalAccess, ThreadLocalBlock, ThreadLocalQuery, ThreadLocalRequest, ThreadLocalVariable,
};
use std::ffi::{CStr, CString, c_void};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the object calls the table of answers.
const TABLE: &CStr = c"jitlink_thread_locals";

/// Numbers of the processor's ELF files.
struct Machine {
    number: u16,
    module: u64,
    offset: u64,
    pointer_offset: u64,
    /// Zero where the machine has none.
    descriptor: u64,
    /// What `__tls_get_addr` adds to offsets.
    bias: u64,
    /// The header's flags, which tell calling conventions apart.
    flags: u64,
}

#[cfg(target_arch = "x86_64")]
const MACHINE: Option<Machine> =
    Some(Machine { number: 62, module: 16, offset: 17, pointer_offset: 18, descriptor: 36, bias: 0, flags: 0 });
#[cfg(target_arch = "aarch64")]
const MACHINE: Option<Machine> = Some(Machine {
    number: 183,
    module: 1028,
    offset: 1029,
    pointer_offset: 1030,
    descriptor: 1031,
    bias: 0,
    flags: 0,
});
// 64-bit ELF V2 ABI, sections 3.5.3 (relocations 68, 73, 78), 3.7.3 (the bias), and 3.1.1.2 (the flags).
#[cfg(target_arch = "powerpc64")]
const MACHINE: Option<Machine> = Some(Machine {
    number: 21,
    module: 68,
    offset: 78,
    pointer_offset: 73,
    descriptor: 0,
    bias: 0x8000,
    flags: if cfg!(target_endian = "little") { 2 } else { 1 },
});
// Power Architecture 32-bit ABI Supplement, "Relocation Types" (68, 73, 78) and "Thread-Local Storage" (the bias).
#[cfg(target_arch = "powerpc")]
const MACHINE: Option<Machine> =
    Some(Machine { number: 20, module: 68, offset: 78, pointer_offset: 73, descriptor: 0, bias: 0x8000, flags: 0 });
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc64", target_arch = "powerpc")))]
const MACHINE: Option<Machine> = None;

/// What `__tls_get_addr` adds to offsets.
pub(super) const LOOK_UP_BIAS: u64 = match MACHINE {
    Some(machine) => machine.bias,
    None => 0,
};

/// A loaded object that holds a batch's variables.
struct Block {
    /// The loader's handle.
    handle: *mut c_void,
    answers: Vec<Option<[u64; 2]>>,
    module: u64,
}

// SAFETY: the handle is only given to the loader, whose functions may be called on any thread.
unsafe impl Send for Block {}
// SAFETY: as above; nothing changes after the object was loaded.
unsafe impl Sync for Block {}

/// Makes and loads the object that a request asks for.
pub(super) fn load(request: &ThreadLocalRequest<'_>) -> Result<Box<dyn ThreadLocalBlock>, ExecutorError> {
    let machine = MACHINE.ok_or_else(|| {
        let reason = "thread-local variables of linked code are not supported on this processor";
        ExecutorError::with_advice(reason, "build without thread-local variables")
    })?;
    let asks_for = |query: &ThreadLocalQuery<'_>| query.access == ThreadLocalAccess::Descriptor;
    if machine.descriptor == 0 && request.queries.iter().any(asks_for) {
        let reason = "code looks thread-local variables up by descriptors, which this processor's loader does not know";
        return Err(ExecutorError::with_advice(reason, "compile with -mtls-dialect=trad"));
    }
    let bytes = object(&machine, request);
    let failed =
        |error| ExecutorError::new(format!("cannot make the object that holds thread-local variables: {error}"));
    // SAFETY: the name is a C string. The descriptor is checked, and nobody else owns it.
    let mut file = unsafe {
        let descriptor = libc::memfd_create(TABLE.as_ptr(), libc::MFD_CLOEXEC);
        if descriptor < 0 {
            return Err(failed(std::io::Error::last_os_error()));
        }
        File::from_raw_fd(descriptor)
    };
    file.write_all(&bytes).and_then(|()| file.seek(SeekFrom::Start(0)).map(drop)).map_err(failed)?;
    let file = aside(file);
    let path = unique_path(file.as_raw_fd());
    // SAFETY: the path is a C string, and the object there has no code, so that loading it runs nothing of its own.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return Err(refused(request));
    }
    let mut block = Block { handle, answers: Vec::with_capacity(request.queries.len()), module: 0 };
    let start = symbols::find_in(handle, TABLE).ok_or_else(|| refused(request))?;
    for (index, query) in request.queries.iter().enumerate() {
        // SAFETY: the table has four aligned words for each query, lies in memory of the object, which stays loaded as long as
        // `block`, and nobody writes to it any more.
        let [first, second, module, _] = unsafe { *(start.0 as *const [usize; 4]).add(index) }.map(|word| word as u64);
        let answer = [first, second];
        if query.variable == ThreadLocalVariable::Own(0) && query.access == ThreadLocalAccess::Dynamic {
            block.module = answer[0];
        }
        // Blocks are numbered from one; what nobody defines is in none.
        let is_known = module != 0 || is_own(&query.variable);
        block.answers.push(is_known.then_some(answer));
    }
    Ok(Box::new(block))
}

impl ThreadLocalBlock for Block {
    fn answers(&self) -> &[Option<[u64; 2]>] {
        &self.answers
    }

    fn address(&self, offset: u64) -> Result<Addr, ExecutorError> {
        type TlsGetAddr = unsafe extern "C" fn(*const [usize; 2]) -> *mut c_void;
        let function = symbols::find(c"__tls_get_addr").filter(|function| self.module != 0 && *function != Addr(0));
        let function =
            function.ok_or_else(|| ExecutorError::new("the module has no thread-local variables of its own"))?;
        // SAFETY: a function of that name has this type ("ELF Handling For Thread-Local Storage", section 3.4), and the module's
        // number is that of an object that stays loaded as long as `self`.
        Ok(Addr(unsafe {
            let function = std::mem::transmute::<*const (), TlsGetAddr>(function.0 as *const ());
            function(&[self.module as usize, offset.wrapping_sub(LOOK_UP_BIAS) as usize])
        } as u64))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the handle came from `dlopen`, once, and is not used any more.
        unsafe { libc::dlclose(self.handle) };
    }
}

/// The file under a high number, if there is one. The loader remembers the path, and debuggers open it at any later time: what gets
/// its number by then could be a pipe, on which they would wait for ever. High numbers are hardly ever given again.
fn aside(file: File) -> File {
    const HIGH: i32 = 1024 - 64;
    // SAFETY: makes a second descriptor, or fails.
    let descriptor = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH) };
    // SAFETY: the descriptor is new and nobody else's.
    if descriptor < 0 { file } else { unsafe { File::from_raw_fd(descriptor) } }
}

/// A path to an open file that no other had before: the same place, said in another way each time. It names this process by its
/// number, so that it is the same file for debuggers, which look too.
fn unique_path(descriptor: i32) -> CString {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let mut number = NEXT.fetch_add(1, Ordering::Relaxed);
    // As this view of the processes has it, which may be that of another namespace.
    let process = std::fs::read_link("/proc/self").unwrap_or_else(|_| "self".into());
    let mut path = Path::new("/proc").join(process).into_os_string().into_vec();
    while number > 0 {
        // Each of these parts means "here".
        path.extend_from_slice(if number & 1 == 0 { b"/" } else { b"/." });
        number >>= 1;
    }
    path.extend_from_slice(format!("/fd/{descriptor}").as_bytes());
    CString::new(path).unwrap_or_default()
}

/// What the loader said.
fn refused(request: &ThreadLocalRequest<'_>) -> ExecutorError {
    // SAFETY: dlerror gives null, or a C string that stays until the next call of this thread.
    let said = unsafe {
        let said = libc::dlerror();
        if said.is_null() { String::new() } else { CStr::from_ptr(said).to_string_lossy().into_owned() }
    };
    let said = said.rsplit_once(": ").map_or(said.as_str(), |(_, what)| what);
    if said.contains("static TLS") && request.size == 0 {
        let reason = "a library's thread-local variable has no fixed distance from the thread pointer";
        return ExecutorError::with_advice(reason, "compile with -fPIC and without -ftls-model, which needs none");
    }
    if said.contains("static TLS") {
        let reason = format!(
            "the process has no room left for thread-local variables at a fixed distance from the thread pointer, of which \
             this link has {} bytes",
            request.size
        );
        let advice = "compile with -fPIC and without -ftls-model, which needs no fixed distance, or start the program with more \
                      room: GLIBC_TUNABLES=glibc.rtld.optional_static_tls=65536";
        return ExecutorError::with_advice(reason, advice);
    }
    ExecutorError::new(format!("the loader does not take the batch's thread-local variables: {said}"))
}

/// The bytes of the object. Its table has four words for each query: the answer, the number of the variable's block, and nothing.
fn object(machine: &Machine, request: &ThreadLocalRequest<'_>) -> Vec<u8> {
    let mut strings = [b"\0", TABLE.to_bytes_with_nul()].concat();
    // The null symbol, the table, and the variables that others define.
    let mut symbols = vec![[0u64; 3], [1 | (1 << 4 | 1) << 32 | 1 << 48, 0, 0]];
    let mut relocations: Vec<[u64; 3]> = Vec::new();
    let mut table = vec![[0u64; 4]; request.queries.len()];
    for (index, query) in request.queries.iter().enumerate() {
        let (symbol, offset) = match query.variable {
            ThreadLocalVariable::Own(offset) => (0, offset),
            ThreadLocalVariable::Named(name) => {
                // Weak, thread-local, undefined: one that nobody defines is no error of the loader's, and leaves its words zero.
                symbols.push([strings.len() as u64 | (2 << 4 | 6) << 32, 0, 0]);
                strings.extend_from_slice(name);
                strings.push(0);
                (symbols.len() as u64 - 1, 0)
            }
        };
        let mut relocate = |word: u64, kind: u64| {
            relocations.push([WORD * (4 * index as u64 + word), symbol << 32 | kind, offset]);
        };
        if symbol != 0 {
            relocate(2, machine.module);
        }
        match query.access {
            ThreadLocalAccess::Static => relocate(0, machine.pointer_offset),
            ThreadLocalAccess::Descriptor => relocate(0, machine.descriptor),
            ThreadLocalAccess::Dynamic if symbol == 0 => {
                relocate(0, machine.module);
                table[index][1] = offset.wrapping_sub(machine.bias);
            }
            ThreadLocalAccess::Dynamic => {
                relocate(0, machine.module);
                relocate(1, machine.offset);
            }
        }
    }
    // A descriptor may take the room that must be had for a fixed distance.
    let needs_distance = |relocation: &[u64; 3]| relocation[1] as u32 as u64 != machine.pointer_offset;
    relocations.sort_by_key(needs_distance);
    Parts { strings, symbols, relocations, table }.assemble(machine, request)
}

/// The parts of an object.
struct Parts {
    strings: Vec<u8>,
    /// Name, kind and section; value; size.
    symbols: Vec<[u64; 3]>,
    /// Place in the table; symbol and kind; addend.
    relocations: Vec<[u64; 3]>,
    table: Vec<[u64; 4]>,
}

/// ELF's names for numbers ("Tool Interface Standard", book III, chapters 1 and 2; gABI, "Dynamic Section").
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_TLS: u64 = 7;
const PT_GNU_STACK: u64 = 0x6474_e551;
const READ_WRITE: u64 = 6;
const DT_NULL: u64 = 0;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_RELAENT: u64 = 9;
const DT_STRSZ: u64 = 10;
const DT_SYMENT: u64 = 11;
const DT_FLAGS: u64 = 30;
const DF_BIND_NOW: u64 = 0x8;
const DF_STATIC_TLS: u64 = 0x10;
const DYNAMIC_ENTRIES: u64 = 10;

/// Sizes, which depend on the width of a word.
const IS_64: bool = cfg!(target_pointer_width = "64");
const WORD: u64 = size_of::<usize>() as u64;
const FILE_HEADER: u64 = if IS_64 { 64 } else { 52 };
const PROGRAM_HEADER: u64 = if IS_64 { 56 } else { 32 };
const SECTION_HEADER: u64 = if IS_64 { 64 } else { 40 };
const SYMBOL: u64 = if IS_64 { 24 } else { 16 };
const PAGE: u64 = 0x1000;

impl Parts {
    fn assemble(mut self, machine: &Machine, request: &ThreadLocalRequest<'_>) -> Vec<u8> {
        let has_block = request.size > 0 || request.queries.iter().any(|query| is_own(&query.variable));
        let headers = if has_block { 4 } else { 3 };
        let dynamic = FILE_HEADER + PROGRAM_HEADER * headers;
        let symbols = dynamic + 2 * WORD * DYNAMIC_ENTRIES;
        let relocations = symbols + SYMBOL * self.symbols.len() as u64;
        let table = (relocations + 3 * WORD * self.relocations.len() as u64).next_multiple_of(16);
        let hash = table + 4 * WORD * self.table.len() as u64;
        let strings = hash + 4 * (3 + self.symbols.len() as u64);
        let image = (strings + self.strings.len() as u64).next_multiple_of(request.align.max(1));
        let end = image + request.image.len() as u64;

        self.symbols[1][1] = table;
        self.symbols[1][2] = 4 * WORD * self.table.len() as u64;
        let mut file = Bytes(Vec::with_capacity(end as usize));
        let order = if cfg!(target_endian = "little") { 1 } else { 2 };
        let class = if IS_64 { 2 } else { 1 };
        file.0.extend_from_slice(&[0x7f, b'E', b'L', b'F', class, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        // A shared object of version 1 without entry point and sections.
        file.fields(&[(3, 2), (machine.number.into(), 2), (1, 4)]);
        file.words(&[0, FILE_HEADER, 0]);
        file.fields(&[(machine.flags, 4), (FILE_HEADER, 2), (PROGRAM_HEADER, 2), (headers, 2)]);
        file.fields(&[(SECTION_HEADER, 2), (0, 2), (0, 2)]);
        let mut header = |kind: u64, start: u64, size: u64, memory: u64, align: u64| {
            // The flags stand where they are aligned.
            file.fields(&[(kind, 4), (READ_WRITE, 4)][..if IS_64 { 2 } else { 1 }]);
            file.words(&[start, start, start, size, memory]);
            file.fields(&[(READ_WRITE, 4)][..if IS_64 { 0 } else { 1 }]);
            file.words(&[align]);
        };
        header(PT_LOAD, 0, end, end, PAGE);
        header(PT_DYNAMIC, dynamic, 2 * WORD * DYNAMIC_ENTRIES, 2 * WORD * DYNAMIC_ENTRIES, WORD);
        header(PT_GNU_STACK, 0, 0, 0, 16);
        if has_block {
            header(PT_TLS, image, request.image.len() as u64, request.size.max(1), request.align.max(1));
        }
        let needs_distance = request.queries.iter().any(|query| query.access == ThreadLocalAccess::Static);
        let flags = if needs_distance { DF_BIND_NOW | DF_STATIC_TLS } else { DF_BIND_NOW };
        let entries = [
            (DT_HASH, hash),
            (DT_SYMTAB, symbols),
            (DT_SYMENT, SYMBOL),
            (DT_STRTAB, strings),
            (DT_STRSZ, self.strings.len() as u64),
            (DT_RELA, relocations),
            (DT_RELASZ, 3 * WORD * self.relocations.len() as u64),
            (DT_RELAENT, 3 * WORD),
            (DT_FLAGS, flags),
            (DT_NULL, 0),
        ];
        entries.iter().for_each(|(tag, value)| file.words(&[*tag, *value]));
        for [name, value, size] in &self.symbols {
            // The name, the kind and who sees it, the section.
            let what = [(name >> 32, 1), (name >> 40, 1), (name >> 48, 2)];
            file.fields(&[(*name, 4)]);
            match IS_64 {
                true => {
                    file.fields(&what);
                    file.words(&[*value, *size]);
                }
                false => {
                    file.words(&[*value, *size]);
                    file.fields(&what);
                }
            }
        }
        for [place, info, addend] in &self.relocations {
            let info = if IS_64 { *info } else { info >> 32 << 8 | info & 0xff };
            file.words(&[table + place, info, *addend]);
        }
        file.0.resize(table as usize, 0);
        self.table.iter().for_each(|answer| file.words(answer));
        // One chain, of the table alone.
        let mut chains = vec![0u32; 3 + self.symbols.len()];
        (chains[0], chains[1], chains[2]) = (1, self.symbols.len() as u32, 1);
        chains.iter().for_each(|word| file.0.extend_from_slice(&word.to_ne_bytes()));
        file.0.extend_from_slice(&self.strings);
        file.0.resize(image as usize, 0);
        file.0.extend_from_slice(request.image);
        file.0
    }
}

fn is_own(variable: &ThreadLocalVariable<'_>) -> bool {
    matches!(variable, ThreadLocalVariable::Own(_))
}

struct Bytes(Vec<u8>);

impl Bytes {
    /// Numbers as this machine writes them, each the lowest so many bytes of a value.
    fn fields(&mut self, fields: &[(u64, usize)]) {
        for &(value, size) in fields {
            let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
            self.0.extend_from_slice(if cfg!(target_endian = "little") { &little[..size] } else { &big[8 - size..] });
        }
    }

    fn words(&mut self, words: &[u64]) {
        words.iter().for_each(|word| self.0.extend_from_slice(&(*word as usize).to_ne_bytes()));
    }
}
