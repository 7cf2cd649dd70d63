//! Arguments arrive at the first call as at any other.

use crate::support::{C_COMPILERS, CXX_COMPILERS, call, find, lazily, link, source};
use jitlink::{Module, Session};
use std::ffi::{c_char, c_int};
use std::sync::atomic::Ordering;

const FUNCTIONS: &[&str] = &[
    "integers",
    "doubles",
    "mixed",
    "small",
    "large",
    "sum",
    "error_number",
    "registers",
    "vectors4",
    "vectors8",
    "vectors16",
];

/// Flags for the widest vectors that this machine has.
#[cfg(target_arch = "x86_64")]
fn widest_vectors() -> &'static str {
    if std::is_x86_feature_detected!("avx512f") {
        "-mavx512f"
    } else if std::is_x86_feature_detected!("avx") {
        "-mavx"
    } else {
        ""
    }
}

/// Flags for the widest vectors that this machine has.
#[cfg(not(target_arch = "x86_64"))]
fn widest_vectors() -> &'static str {
    // PPC_FEATURE_HAS_ALTIVEC of linux/arch/powerpc/include/uapi/asm/cputable.h
    const HAS_ALTIVEC: libc::c_ulong = 0x1000_0000;
    // SAFETY: reads what the system told this process when it started.
    if unsafe { libc::getauxval(libc::AT_HWCAP) } & HAS_ALTIVEC != 0 { "-maltivec" } else { "-mno-altivec" }
}

/// What the calls gave, as text.
fn calls(module: &Module) -> String {
    let address = module.exports().get("calls").expect("an export").address;
    // SAFETY: the source declares it so; `module` is linked.
    let function: extern "C" fn(*mut c_char, c_int) -> c_int = unsafe { std::mem::transmute(address.0 as usize) };
    let mut text = vec![0u8; 4096];
    let length = function(text.as_mut_ptr().cast(), text.len() as c_int);
    text.truncate(length as usize);
    String::from_utf8(text).expect("digits")
}

#[test]
fn all_kinds_of_arguments_survive_the_first_call() {
    for names in C_COMPILERS {
        let Some(compiler) = find(names) else { continue };
        let reference = {
            let flags = format!("-O1 -fPIC {}", widest_vectors());
            let session = Session::in_process().expect("an executor");
            link(&session.library("main"), &source(&compiler, "callee.c", &flags));
            calls(&link(&session.library("main"), &source(&compiler, "caller.c", &flags)))
        };
        assert!(reference.starts_with("77 204 285 "), "{reference}");
        let has_models = cfg!(target_pointer_width = "64");
        let large = has_models.then_some("-O1 -fno-pic -mcmodel=large");
        for flags in ["-O0", "-O2 -fPIC", "-O2 -fPIC -fno-plt", "-O2 -fno-pic"].into_iter().chain(large) {
            let all = format!("{flags} {}", widest_vectors());
            let session = Session::in_process().expect("an executor");
            let (resolver, asked) = lazily(FUNCTIONS, source(&compiler, "callee.c", &all));
            session.add_resolver(resolver);
            let module = link(&session.library("main"), &source(&compiler, "caller.c", &all));
            assert_eq!(asked.load(Ordering::Relaxed), 0, "nothing was called yet");
            assert!(session.library("main").lookup("integers").is_none());
            assert_eq!(calls(&module), reference, "{names:?} {flags}: first calls");
            assert_eq!(calls(&module), reference, "{names:?} {flags}: later calls");
            assert_eq!(asked.load(Ordering::Relaxed), 1, "the others were there after the first");
            assert!(session.library("main").lookup("integers").is_some(), "it is a module of the library");
        }
    }
}

#[test]
fn exceptions_pass_and_statics_are_made_before_the_function_runs() {
    for names in CXX_COMPILERS {
        let Some(compiler) = find(names) else { continue };
        for flags in ["-O0", "-O2 -fPIC", "-O2 -fno-pic"] {
            let session = Session::in_process().expect("an executor");
            let executor = jitlink::ProcessExecutor::new().expect("an executor");
            // SAFETY: the C++ library is sound to load.
            unsafe { executor.load_library("stdc++", &[]) }.expect("the C++ library");
            drop(session);
            let registry = jitlink::Registry::global().expect("backends");
            let session = Session::new(registry, std::sync::Arc::new(executor));
            let (resolver, asked) = lazily(&["thrower"], source(&compiler, "thrower.cpp", flags));
            session.add_resolver(resolver);
            let module = link(&session.library("main"), &source(&compiler, "catcher.cpp", flags));
            // The static object of the lazy module counts 100 when it is made, and each call one more.
            assert_eq!(call(&module, "catcher", 1), 1101, "{names:?} {flags}: the first call throws");
            assert_eq!(call(&module, "catcher", 0), 102);
            assert_eq!(call(&module, "catcher", 1), 1103);
            assert_eq!(asked.load(Ordering::Relaxed), 1);
            module.remove().expect("nothing needs it");
        }
    }
}
