//! Profiles say of linked functions what the link map says.
#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]

use jitlink::{Input, LinkOptions, Module, ProcessExecutor, Profile, Registry, Session};
use std::collections::BTreeMap;
use std::sync::Arc;

const MAIN: &[u8] = include_bytes!("fixtures/update/main.o");
const WORK: &[u8] = include_bytes!("fixtures/update/work1.o");

/// Address and size of each function by the link map.
fn functions(module: &Module) -> BTreeMap<u64, (String, u64)> {
    let map = module.map().expect("a map");
    let code = |address: jitlink::Addr| {
        let sections = map.objects.iter().flat_map(|object| &object.sections);
        let mut code = sections.filter(|section| section.protection == jitlink::core::graph::Protection::ReadExecute);
        code.any(|section| address.offset_from(section.address) < section.size)
    };
    let symbols = map.objects.iter().flat_map(|object| &object.symbols).filter(|symbol| code(symbol.address));
    symbols
        .filter(|symbol| symbol.size > 0)
        .map(|symbol| (symbol.address.0, (symbol.name.clone(), symbol.size)))
        .collect()
}

#[test]
fn names_and_addresses_are_those_of_the_link_map() {
    let folder = tempfile::tempdir().expect("a folder");
    let executor = ProcessExecutor::new().expect("an executor for this process");
    let executor = executor
        .profiled(&Profile::PerfMap)
        .and_then(|executor| executor.profiled(&Profile::JitDump(folder.path().into())));
    let session = Session::new(Registry::global().expect("a registry"), Arc::new(executor.expect("files")));
    let inputs = [Input::from_bytes("main.o", MAIN.to_vec()), Input::from_bytes("work.o", WORK.to_vec())];
    let options = LinkOptions { map: true, ..LinkOptions::default() };
    let module = session.link(&inputs, &options).unwrap_or_else(|errors| panic!("{errors}"));
    let expected = functions(&module);
    assert!(expected.len() > 3, "{expected:?}");

    let process = std::process::id();
    let path = format!("/tmp/perf-{process}.map");
    let text = std::fs::read_to_string(&path).expect("a map");
    std::fs::remove_file(&path).expect("a file of ours");
    let mut listed = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let number = |word: &str| u64::from_str_radix(word, 16).expect("a number");
        listed.insert(number(words[0]), (words[2].to_string(), number(words[1])));
    }
    assert_eq!(listed, expected);

    let dump = std::fs::read(folder.path().join(format!("jit-{process}.dump"))).expect("a dump");
    let word = |at: usize| u32::from_ne_bytes(dump[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from_ne_bytes(dump[at..at + 8].try_into().expect("eight bytes"));
    let (mut loaded, mut at) = (BTreeMap::new(), word(8) as usize);
    while at < dump.len() {
        if word(at) == 0 {
            let (address, size) = (long(at + 32), long(at + 40));
            let end = at + word(at + 4) as usize;
            let name = &dump[at + 56..end - size as usize - 1];
            loaded.insert(address, (String::from_utf8_lossy(name).into_owned(), size));
            // SAFETY: the module is linked, and its code does not change.
            let code = unsafe { std::slice::from_raw_parts(address as *const u8, size as usize) };
            assert_eq!(&dump[end - size as usize..end], code);
        }
        at += word(at + 4) as usize;
    }
    assert_eq!(loaded, expected);
    // Code in no file still runs, and goes.
    // SAFETY: the fixture defines it so.
    let call = unsafe { module.function::<extern "C" fn(i32) -> i32>("call") }.expect("a function");
    assert_eq!(call.call(5), 6);
    drop(call);
    module.remove().expect("nothing needs it");
}
