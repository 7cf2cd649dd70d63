//! Objects made by compilers, and calls to what they define.

use jitlink::{Definition, Input, Lazy, LinkOptions, Module, Resolver, resolver};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Compilers of C with the names that they may have.
pub(crate) const C_COMPILERS: [&[&str]; 2] = [&["gcc"], &["clang-22", "clang"]];

/// Compilers of C++ with the names that they may have.
pub(crate) const CXX_COMPILERS: [&[&str]; 2] = [&["g++"], &["clang++-22", "clang++"]];

/// The first of these programs that is installed. Without one, says that the test skips itself; in CI that is a failure.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found =
        names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()));
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or("a test").to_string();
        let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        assert!(!in_ci, "{test}: {} is not installed, and CI skips no test", names.join(" or "));
        eprintln!("{test}: skipped in part: {} is not installed", names.join(" or "));
    }
    found
}

/// The object of a source in this folder.
pub(crate) fn source(compiler: &Path, name: &str, flags: &str) -> Input {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lazy/sources").join(name);
    compile(compiler, &path, flags)
}

/// The object of a text.
pub(crate) fn text(compiler: &Path, language: &str, text: &str, flags: &str) -> Input {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("text.{language}"));
    std::fs::write(&path, text).expect("a source");
    compile(compiler, &path, flags)
}

fn compile(compiler: &Path, path: &Path, flags: &str) -> Input {
    let folder = tempfile::tempdir().expect("a folder");
    let object = folder.path().join("out.o");
    let mut command = Command::new(compiler);
    command.args(flags.split_whitespace()).arg("-w").arg("-c").arg(path).arg("-o").arg(&object);
    let output = command.output().expect("a compiler that starts");
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    Input::from_bytes(format!("{}", path.display()), std::fs::read(&object).expect("an object"))
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
    let address = module.exports().get(name).unwrap_or_else(|| panic!("no {name}")).address;
    // SAFETY: the sources of these tests define these functions so; `module` is linked.
    let function: extern "C-unwind" fn(i32) -> i32 = unsafe { std::mem::transmute(address.0 as usize) };
    function(argument)
}
