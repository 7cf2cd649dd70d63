//! Unwinders that come to a process after linked code did.

#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]
#[allow(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "support/compilers.rs"]
mod compilers;

use compilers::{C_COMPILERS, find, text};
use jitlink::{Addr, Input, LinkOptions, Module, ProcessExecutor, Registry, Session};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A frame that the unwinder is to pass.
const THROUGH: &str = "
    int through(int (*next)(void)) { volatile int result = next(); return result + 1; }";

/// Where an unwinder gets to: how many frames there are, and one after the other where they are.
const TRACE: &str = "
    int NAME(getcontext)(void *), PREFIX(init_local)(void *, void *), PREFIX(step)(void *);
    int PREFIX(get_reg)(void *, int, unsigned long *);
    static _Alignas(16) unsigned long context[512], cursor[512];
    unsigned long frames[64], count;
    int trace(void) {
        count = 0;
        NAME(getcontext)(context);
        PREFIX(init_local)(cursor, context);
        do PREFIX(get_reg)(cursor, POINTER, &frames[count++]);
        while (count < 64 && PREFIX(step)(cursor) > 0);
        return count;
    }
    unsigned long frame(int index) { return frames[index]; }";

const NONGNU: &str = "-DNAME(x)=_Ux86_64_##x -DPREFIX(x)=_ULx86_64_##x -DPOINTER=16";
const LLVM: &str = "-DNAME(x)=unw_##x -DPREFIX(x)=unw_##x -DPOINTER=-1";

/// How many tables the libunwind of nongnu.org knows (`unw_dyn_info_list_t`).
const LISTED: &str = "
    struct list { unsigned version, generation; struct node { struct node *next; } *first; };
    struct list *_U_dyn_info_list_addr(void);
    int listed(void) {
        int count = 0;
        for (struct node *node = _U_dyn_info_list_addr()->first; node; node = node->next) count++;
        return count;
    }";

/// A process has one set of unwinders, and the tests look at what they know.
static TURN: Mutex<()> = Mutex::new(());

type Through = extern "C" fn(extern "C" fn() -> i32) -> i32;
type Number = extern "C" fn() -> i32;
type Frame = extern "C" fn(i32) -> u64;

fn link(session: &Session, input: Input) -> Module {
    session.link(&[input], &LinkOptions::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn session() -> (Session, ProcessExecutor) {
    let executor = ProcessExecutor::new().expect("an executor");
    (Session::new(Registry::global().expect("the backends"), Arc::new(executor.clone())), executor)
}

/// Loads a library of the system's, if it is there.
fn load(executor: &ProcessExecutor, file: &str) -> bool {
    let there = Path::new("/usr/lib/x86_64-linux-gnu").join(file).exists();
    if there {
        // SAFETY: the unwinders' initialisers set up tables of their own.
        unsafe { executor.load_library(&format!(":{file}"), &[]) }.expect("a library");
    }
    there
}

/// Whether the unwinder gets through the function of a module to its caller.
fn passes(through: &Module, trace: &Module) -> bool {
    let address = through.exports().get("through").expect("a function").address;
    let at = trace.exports().get("trace").expect("a function").address.0;
    // SAFETY: the sources define functions of these types.
    let (through, frame) = unsafe {
        let through = through.function::<Through>("through").expect("a function");
        (through, trace.function::<Frame>("frame").expect("a function"))
    };
    // SAFETY: the module is linked, and defines a function of this type.
    let next: extern "C" fn() -> i32 = unsafe { std::mem::transmute(at as usize) };
    let count = through.call(next) - 1;
    let frames: Vec<Addr> = (0..count).map(|index| Addr(frame.call(index))).collect();
    let at = frames.iter().position(|frame| frame.offset_from(address) < 128);
    at.is_some_and(|at| at + 2 < frames.len())
}

#[test]
fn what_was_linked_before_is_seen_by_what_was_loaded_later() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for compiler in C_COMPILERS.iter().filter_map(|names| find(names)) {
        for (file, macros) in [("libunwind.so.8", NONGNU), ("libunwind.so.1", LLVM)] {
            let (session, executor) = session();
            let through = link(&session, text(&compiler, "c", THROUGH, "-O1 -fPIC"));
            if !load(&executor, file) {
                continue;
            }
            let trace = link(&session, text(&compiler, "c", TRACE, &format!("-O1 -fPIC {macros}")));
            assert!(passes(&through, &trace), "{file}: {compiler:?}");
            // Code at addresses of which the unwinder has an opinion already, in frames of another size.
            through.remove().expect("nothing refers to it");
            let wide =
                THROUGH.replace("volatile int", "volatile char room[48 + VARIANT * 64]; room[0] = 1; volatile int");
            for variant in 0..4 {
                let flags = format!("-O1 -fPIC -DVARIANT={variant}");
                let through = link(&session, text(&compiler, "c", &wide, &flags));
                assert!(passes(&through, &trace), "{file}: {compiler:?} {flags}");
                through.remove().expect("nothing refers to it");
            }
        }
    }
}

#[test]
fn nothing_is_left_of_what_was_removed() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(compiler) = C_COMPILERS.iter().find_map(|names| find(names)) else { return };
    let (session, executor) = session();
    if !load(&executor, "libunwind.so.8") {
        return;
    }
    let listed = link(&session, text(&compiler, "c", LISTED, "-O1 -fPIC"));
    // SAFETY: the source defines a function of this type.
    let listed = unsafe { listed.function::<Number>("listed") }.expect("a function");
    let before = listed.call();
    let input = text(&compiler, "c", THROUGH, "-O1 -fPIC");
    let library = |index: usize| session.library(&format!("library {index}"));
    for _ in 0..2 {
        let modules: Vec<Module> = (0..100)
            .map(|index| library(index).link(std::slice::from_ref(&input), &LinkOptions::default()).expect("a module"))
            .collect();
        assert_eq!(listed.call(), before + 100);
        modules.into_iter().for_each(|module| module.remove().expect("nothing refers to it"));
        assert_eq!(listed.call(), before);
    }
}
