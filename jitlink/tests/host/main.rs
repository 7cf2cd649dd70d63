//! What this program and the code that it links do with each other: functions and variables with their types, in both directions, and
//! what unwinds across the boundary.
#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]

#[path = "../support/compilers.rs"]
mod compilers;

mod callbacks;
mod exceptions;
mod given;
mod handles;
mod signatures;

use jitlink::{Input, LinkOptions, Module, Session};

fn session() -> Session {
    Session::in_process().expect("an executor for this process")
}

fn link(session: &Session, object: &Input) -> Module {
    session
        .link(std::slice::from_ref(object), &LinkOptions::default())
        .unwrap_or_else(|errors| panic!("{}: {errors}", object.name()))
}

/// A committed object.
fn fixture(name: &str) -> Input {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    Input::from_bytes(name, std::fs::read(path).expect("a fixture"))
}
