//! Sessions, libraries and modules, with a format and a machine from outside this repository's crates.

#[path = "../../../jitlink-core/tests/link/kit/mod.rs"]
mod kit;

mod concurrent;
mod names;
mod removal;
mod resolvers;

use jitlink::{Addr, ImageExecutor, Library, LinkErrors, LinkOptions, Module, Session};
use std::sync::Arc;

/// A session that links to an image.
fn session() -> (Session, ImageExecutor) {
    let executor = kit::executor();
    (Session::new(kit::arch::registry(), Arc::new(executor.clone())), executor)
}

fn options() -> LinkOptions {
    LinkOptions { threads: Some(1), ..LinkOptions::default() }
}

fn add(library: &Library, name: &str, text: &str) -> Result<Module, LinkErrors> {
    library.link(&kit::inputs(&[(name, text)]), &options())
}

/// A function that leaves a pointer to each of `needs` behind.
fn function(name: &str, attributes: &str, needs: &[&str]) -> String {
    let needs: String = needs.iter().map(|need| format!("rel ABS64 {need}\n")).collect();
    format!("toy le64\nsection .text rx\nlabel {name} {attributes}\nret\nret\n{needs}")
}

/// The pointer that a function made by [`function`] holds.
fn pointer(module: &Module, name: &str, index: u64) -> Addr {
    let mut bytes = [0; 8];
    let address = module.exports().get(name).expect("an export").address;
    module.read(address + 8 + index * 8, &mut bytes).expect("bytes of the module");
    Addr(u64::from_le_bytes(bytes))
}

fn address(module: &Module, name: &str) -> Addr {
    module.exports().get(name).expect("an export").address
}
