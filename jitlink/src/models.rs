//! Models of what threads share, run by loom in every order that the threads' steps can have (`cargo xtask loom`).
//!
//! The sessions, libraries and modules in them are the real ones; only the format, the machine and the executor are those of the
//! tests, which do next to nothing. A model fails where an order of steps breaks what it asserts, or where threads wait for
//! each other for ever.

#[path = "../../jitlink-core/tests/link/kit/mod.rs"]
mod kit;

mod host;
mod lazy;
mod once;
mod publication;
mod update;

use crate::{Addr, Library, LinkErrors, LinkOptions, Module, RemoveError, Session};
use kit::host::Host;
use loom::thread::{Builder, JoinHandle};
use std::sync::Arc;

/// How many times a thread may be interrupted where it does not wait. More orders take longer; two find nearly all mistakes.
const PREEMPTIONS: usize = 2;

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.max_branches = 20_000;
    builder.check(run);
}

/// A thread with stack enough for a link.
fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().stack_size(1 << 17).spawn(run).expect("a thread")
}

/// What one thread gives, before others start. A model has room for five threads in all.
fn first<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    join(spawn(run))
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a thread that ends")
}

fn session() -> (Session, Host) {
    host(|| {})
}

/// A session whose initialisers are `run`.
fn host(run: impl Fn() + Send + Sync + 'static) -> (Session, Host) {
    let host = Host::new(kit::executor(), move |_| run());
    (Session::new(kit::arch::registry(), Arc::new(host.clone())), host)
}

/// A function that leaves a pointer to each of `needs` behind.
fn function(name: &str, needs: &[&str]) -> String {
    let needs: String = needs.iter().map(|need| format!("rel ABS64 {need}\n")).collect();
    format!("toy le64\nsection .text rx\nlabel {name} global\nret\nret\n{needs}")
}

fn link(library: &Library, name: &str, text: &str) -> Result<Module, LinkErrors> {
    let options = LinkOptions { threads: Some(1), ..LinkOptions::default() };
    library.link(&kit::inputs(&[(name, text)]), &options)
}

fn pointer(module: &Module, name: &str) -> Addr {
    let mut bytes = [0; 8];
    let address = module.exports().get(name).expect("an export").address;
    module.read(address + 8, &mut bytes).expect("bytes of the module");
    Addr(u64::from_le_bytes(bytes))
}
