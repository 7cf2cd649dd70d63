//! Thread-local variables: what code is told of them, and that every thread of this process has them.
#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]

use jitlink::{Input, LinkOptions, Module, Session};
use jitlink_core::executor::{
    Executor, ExecutorError, MemoryRequest, PointerArray, Reservation, ThreadLocalAccess, ThreadLocalBlock,
    ThreadLocalRequest, ThreadLocalVariable,
};
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::{Addr, LinkErrors, Registry};
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};

macro_rules! fixture {
    ($name:literal) => {
        Input::from_bytes($name, include_bytes!(concat!("fixtures/", $name)).to_vec())
    };
}

/// An image whose thread-local variables are where the test wants them.
struct Numbers {
    image: ImageExecutor,
    pointer_offset: u64,
    /// What it was asked for: the image, the size, the alignment.
    asked: Mutex<Vec<(Vec<u8>, u64, u64)>>,
}

struct Answers(Vec<Option<[u64; 2]>>);

impl ThreadLocalBlock for Answers {
    fn answers(&self) -> &[Option<[u64; 2]>] {
        &self.0
    }

    fn address(&self, _: u64) -> Result<Addr, ExecutorError> {
        Err(ExecutorError::new("there are no threads"))
    }
}

impl Executor for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    fn page_size(&self) -> u64 {
        self.image.page_size()
    }

    fn reserve(&self, request: &MemoryRequest) -> Result<Box<dyn Reservation>, ExecutorError> {
        self.image.reserve(request)
    }

    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, ExecutorError> {
        self.image.lookup(names)
    }

    fn thread_locals(&self, request: &ThreadLocalRequest<'_>) -> Result<Box<dyn ThreadLocalBlock>, ExecutorError> {
        let asked = (request.image.to_vec(), request.size, request.align);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        let answer = |query: &jitlink_core::executor::ThreadLocalQuery<'_>| {
            let ThreadLocalVariable::Own(offset) = query.variable else { panic!("{query:?}") };
            Some(match query.access {
                ThreadLocalAccess::Dynamic => [9, offset],
                ThreadLocalAccess::Static => [self.pointer_offset.wrapping_add(offset), 0],
                ThreadLocalAccess::Descriptor => [0xd000 + offset, 0xa000 + offset],
            })
        };
        Ok(Box::new(Answers(request.queries.iter().map(answer).collect())))
    }

    unsafe fn run_arrays(&self, _: &[PointerArray]) -> Result<(), ExecutorError> {
        Err(ExecutorError::new("it runs nothing"))
    }

    unsafe fn run_main(&self, _: Addr, _: &[CString]) -> Result<i32, ExecutorError> {
        Err(ExecutorError::new("it runs nothing"))
    }
}

fn link_at(pointer_offset: i64, object: Input) -> (Arc<Numbers>, Result<Module, LinkErrors>, Session) {
    let config = ImageConfig { base: Addr(0x40_0000), arena_size: 1 << 20, page_size: 0x1000 };
    let image = ImageExecutor::new(config).expect("a base and a size that go together");
    let numbers = Arc::new(Numbers { image, pointer_offset: pointer_offset as u64, asked: Mutex::default() });
    let session = Session::new(Registry::global().expect("the backends"), numbers.clone());
    let module = session.link(&[object], &LinkOptions::default());
    (numbers, module, session)
}

#[test]
fn every_relocation_holds_its_number_and_nothing_of_what_was_there() {
    // The highest and the lowest offset from the thread pointer that a field of 32 bits can hold with this addend.
    for pointer_offset in [-0x40, 0x7fff_ffff - 7, -0x8000_0000 - 7] {
        let (numbers, module, _session) = link_at(pointer_offset, fixture!("thread_locals.o"));
        let module = module.unwrap_or_else(|errors| panic!("{errors}"));
        let asked = numbers.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(asked, [(vec![1, 0, 0, 0, 2], 8, 1)], "the initial values");
        let fields = module.lookup("fields").expect("an export").address();
        let read = |address: u64, size: usize| {
            let mut bytes = [0; 8];
            module.read(Addr(address), &mut bytes[..size]).expect("linked memory");
            u64::from_le_bytes(bytes)
        };
        let field = |offset: u64| read(fields.0 + offset, 4) as u32 as i32 as i64;
        // S + A of the second variable, which is 4 bytes behind the first.
        assert_eq!(field(0), pointer_offset + 4 + 3, "R_X86_64_TPOFF32");
        assert_eq!(field(4), 4 + 3, "R_X86_64_DTPOFF32");
        assert_eq!(read(fields.0 + 8, 8) as i64, pointer_offset + 4 + 3, "R_X86_64_TPOFF64");
        assert_eq!(read(fields.0 + 16, 8), 4 + 3, "R_X86_64_DTPOFF64");
        let slot = |offset: u64, word: u64| {
            let slot = (fields.0 + offset + 4).wrapping_add_signed(field(offset));
            read(slot + 8 * word, 8)
        };
        for (start, variable) in [(24, 4), (40, 0)] {
            assert_eq!((slot(start, 0), slot(start, 1)), (9, variable), "R_X86_64_TLSGD");
            assert_eq!((slot(start + 4, 0), slot(start + 4, 1)), (9, 0), "R_X86_64_TLSLD");
            assert_eq!(slot(start + 8, 0) as i64, pointer_offset + variable as i64, "R_X86_64_GOTTPOFF");
            let descriptor = (slot(start + 12, 0), slot(start + 12, 1));
            assert_eq!(descriptor, (0xd000 + variable, 0xa000 + variable), "R_X86_64_GOTPC32_TLSDESC");
        }
        assert_eq!(field(56) + 56, field(24) + 24, "one pair of slots for one variable");
        assert_eq!(field(28) + 28, field(44) + 44, "one pair of slots for the whole block");
        assert_eq!(field(60), 0x7fff_ffff, "the highest offset of R_X86_64_DTPOFF32");
        assert_eq!(field(64), 0x5555_5555, "what no relocation touches");
    }
}

#[test]
fn offsets_beyond_their_fields_are_errors_with_place_and_limits() {
    for pointer_offset in [0x7fff_ffff - 6, -0x8000_0000 - 8] {
        let (_, module, _session) = link_at(pointer_offset, fixture!("thread_locals.o"));
        let errors = module.expect_err("the offset does not fit");
        assert_eq!((errors.len(), errors.first().code()), (1, "out-of-range"), "{errors}");
        let place = "thread_locals.o: .data+0x0: R_X86_64_TPOFF32 against second";
        assert!(errors.to_string().starts_with(place), "{errors}");
    }
    let (_, module, _session) = link_at(0, fixture!("thread_locals_far.o"));
    let errors = module.expect_err("the offset does not fit");
    assert!(errors.to_string().contains("R_X86_64_DTPOFF32 against first"), "{errors}");
}

type Count = extern "C" fn(i32) -> i32;

fn function(module: &Module, name: &str) -> Count {
    let address = module.lookup(name).expect("an export").address();
    // SAFETY: the fixtures define functions of these names and this type; every test keeps its modules while it calls them.
    unsafe { std::mem::transmute(address.0 as usize) }
}

#[test]
fn threads_older_and_younger_than_the_link_have_their_own_copies() {
    let (to_old, linked) = std::sync::mpsc::channel::<Vec<Count>>();
    let count = |functions: Vec<Count>| {
        let [count, zero, pointed, misaligned, fixed] = functions[..] else { panic!("five functions") };
        let zeros = [zero(5), zero(5), zero(99)];
        (count(1), count(2), zeros, pointed(0), misaligned(0), fixed(1), fixed(1))
    };
    let expected = (41, 43, [0, 1, 0], 5, 0, 64, 68);
    let old = std::thread::spawn(move || count(linked.recv().expect("the functions")));
    let session = Session::in_process().expect("an executor for this process");
    let inputs = [fixture!("thread_locals_dynamic.o"), fixture!("thread_locals_fixed.o")];
    let module = session.link(&inputs, &LinkOptions::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let names = ["count", "zero", "pointed", "misaligned", "count_fixed"];
    let functions: Vec<Count> = names.iter().map(|name| function(&module, name)).collect();
    to_old.send(functions.clone()).expect("the thread waits");
    assert_eq!(old.join().expect("no panic"), expected);
    let young = functions.clone();
    assert_eq!(std::thread::spawn(move || count(young)).join().expect("no panic"), expected);
    assert_eq!(count(functions), expected);
    assert_eq!(function(&module, "count_elsewhere")(7), 50, "one object's variable, by another's model");

    let here = module.lookup("counter").expect("an export").address();
    let there = {
        let module = module.clone();
        std::thread::spawn(move || module.lookup("counter").expect("an export").address()).join().expect("no panic")
    };
    assert_ne!(here, there, "each thread has its own");
    // SAFETY: the calling thread's copy of an int, which nobody else uses.
    assert_eq!(unsafe { *(here.0 as *const i32) }, 50);
}

#[test]
fn modules_share_variables_and_leave_none_behind() {
    let session = Session::in_process().expect("an executor for this process");
    let options = LinkOptions::default();
    let link = |object: Input| session.link(&[object], &options).unwrap_or_else(|errors| panic!("{errors}"));
    let loaded = loaded_objects();
    for _ in 0..100 {
        let module = link(fixture!("thread_locals_dynamic.o"));
        let user = link(fixture!("thread_locals_user.o"));
        assert!(loaded_objects() > loaded, "the mappings name such objects");
        assert_eq!(function(&module, "count")(2), 42);
        assert_eq!(function(&user, "count_too")(1), 43);
        assert_eq!(
            std::thread::spawn({
                let count = function(&user, "count_too");
                move || count(1)
            })
            .join()
            .expect("no panic"),
            41
        );
        // Fixed distances to a module without them cannot be had.
        let fixed = session.link(&[fixture!("thread_locals_fixed.o")], &options).expect_err("a variable elsewhere");
        let place = "thread_locals_fixed.o: .text+";
        assert!(fixed.to_string().starts_with(place), "{fixed}");
        assert!(fixed.to_string().contains("against counter: the variable is in a module whose"), "{fixed}");
        user.remove().expect("nobody needs it");
        module.remove().expect("nobody needs it any more");
    }
    assert_eq!(loaded_objects(), loaded, "objects that hold variables are gone with their modules");
}

/// How many objects the loader has, as far as this process's mappings show.
fn loaded_objects() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the mappings");
    maps.lines().filter(|line| line.contains("jitlink_thread_locals")).count()
}

#[test]
fn variables_of_libraries_and_of_nobody() {
    let session = Session::in_process().expect("an executor for this process");
    let errors = session.link(&[fixture!("thread_locals_user.o")], &LinkOptions::default());
    let errors = errors.expect_err("nobody defines counter");
    assert_eq!(errors.first().code(), "undefined", "{errors}");
}
