//! Objects made by compilers, and calls to what they define.

pub(crate) use crate::compilers::{C_COMPILERS, CXX_COMPILERS, compile, find, text};
use jitlink::{Definition, Input, Lazy, LinkOptions, Module, Resolver, resolver};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The object of a source in this folder.
pub(crate) fn source(compiler: &Path, name: &str, flags: &str) -> Input {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lazy/sources").join(name);
    compile(compiler, &path, flags)
}

/// Links these functions when they are first called, each from the same object; counts how often the object was asked for.
pub(crate) fn lazily(names: &'static [&'static str], object: Input) -> (impl Resolver + 'static, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let resolver = resolver("the test", move |wanted| {
        let answer = |name: &&[u8]| {
            names.iter().any(|known| known.as_bytes() == *name).then(|| {
                let (object, counter) = (object.clone(), counter.clone());
                Definition::Lazy(Lazy::new(move || {
                    counter.fetch_add(1, Ordering::Relaxed);
                    Ok(vec![object.clone()])
                }))
            })
        };
        Ok(wanted.iter().map(answer).collect())
    });
    (resolver, asked)
}

pub(crate) fn link(library: &jitlink::Library, object: &Input) -> Module {
    library
        .link(std::slice::from_ref(object), &LinkOptions::default())
        .unwrap_or_else(|errors| panic!("{}: {errors}", object.name()))
}

/// Calls a function that takes an `int` and returns one.
pub(crate) fn call(module: &Module, name: &str, argument: i32) -> i32 {
    // SAFETY: the sources of these tests define these functions so.
    let function = unsafe { module.function::<extern "C-unwind" fn(i32) -> i32>(name) };
    function.unwrap_or_else(|error| panic!("{error}")).call(argument)
}

/// A command that starts this program once more, under the emulator that runs it if there is one (`JITLINK_TEST_RUNNER`: a command).
pub(crate) fn this_program() -> Command {
    let program = std::env::current_exe().expect("this program");
    let runner = std::env::var("JITLINK_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(emulator) = words.next() else { return Command::new(program) };
    let mut command = Command::new(emulator);
    command.args(words).arg(program);
    command
}
