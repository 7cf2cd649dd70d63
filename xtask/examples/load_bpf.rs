//! Loads all programs of the given BPF objects into the kernel by jitlink's library, and prints what the kernel says of each:
//! its name, the bytes of its instructions, its tag. For `cargo xtask conformance --bpf`.

use jitlink::bpf::kernel::{LoadOptions, load};
use jitlink::bpf::link::{BpfOptions, Kconfig, link_image};
use jitlink::{Input, LinkOptions, Registry};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let inputs = Input::open_all(&paths).into_iter().collect::<Result<Vec<_>, _>>()?;
    let registry = Registry::global()?;
    let options = LinkOptions { keep_debug: true, ..LinkOptions::default() };
    let image = link_image(&registry, &inputs, &options, &BpfOptions { kconfig: Kconfig::running() })?;
    let object = load(&image, &LoadOptions { name: "conformance", ..LoadOptions::default() })?;
    for program in object.programs() {
        // The fields of `struct bpf_prog_info` up to the name.
        let info = program.info(80)?;
        let size = u32::from_le_bytes(field(&info, 20)?);
        let tag: [u8; 8] = field(&info, 8)?;
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        let name: [u8; 16] = field(&info, 64)?;
        let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
        println!("{name} {size} {tag}");
    }
    Ok(())
}

fn field<const N: usize>(info: &[u8], at: usize) -> Result<[u8; N], String> {
    let bytes = info.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| format!("the kernel tells {} bytes of a program, not {}", info.len(), at + N))
}
