//! Writes the seeds of the `bpf` and `vm` targets, out of the objects and programs that the crates of BPF have for their tests.
//! `cargo run --no-default-features --example pack_bpf` after a change of what the targets make of their bytes.

use jitlink_arch_bpf::btf::{Btf, ext::BtfExt};
use jitlink_arch_bpf::{Bpf, ELF_BPF, ELF_UNNAMED};
use jitlink_core::graph::{LinkGraph, ObjectBuilder};
use jitlink_core::link::{LinkOptions, relocatable};
use jitlink_core::registry::Plugin;
use jitlink_core::{Input, ObjectFormat, Registry};
use jitlink_elf::ElfFormat;
use std::error::Error;
use std::path::{Path, PathBuf};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Objects that are linked together.
const LINKS: [&[&str]; 10] = [
    &["one"],
    &["maps"],
    &["kernel"],
    &["legacy"],
    &["odd"],
    &["rust", "strong"],
    &["shared_a", "shared_b"],
    &["maps", "other_map"],
    &["shared_a", "other_type"],
    &["core"],
];
const KERNELS: [&str; 4] = ["checksum", "hash", "histogram", "matrix"];
/// `tcpdump -ddd 'tcp dst port 80'` for Ethernet and IPv4, and an array as of `-dd`.
const TEXT: &str = "12\n40 0 0 12\n21 0 9 2048\n48 0 0 23\n21 0 7 6\n40 0 0 20\n69 5 0 8191\n177 0 0 14\n72 0 0 16\n\
                    21 0 2 80\n6 0 0 262144\n5 0 0 0\n6 0 0 0\n";
const ARRAY: &str = "{ 0x28, 0, 0, 0x0000000c },\n{ 0x15, 0, 1, 0x00000806 },\n{ 0x6, 0, 0, 0x00040000 },\n\
                     { 0x6, 0, 0, 0x00000000 },\n";
/// Loads of a packet, scratch memory, arithmetic and jumps: code, jt, jf and k.
const FILTER: [(u16, u8, u8, u32); 14] = [
    (0x80, 0, 0, 0),
    (0x02, 0, 0, 3),
    (0x30, 0, 0, 14),
    (0xb1, 0, 0, 14),
    (0x50, 0, 0, 2),
    (0x0c, 0, 0, 0),
    (0x34, 0, 0, 7),
    (0x61, 0, 0, 3),
    (0x2d, 1, 0, 0),
    (0x84, 0, 0, 0),
    (0x74, 0, 0, 5),
    (0x20, 0, 0, 0xffff_f004),
    (0x15, 0, 0, 1),
    (0x16, 0, 0, 0),
];

fn main() -> Result {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let objects = root.join("../jitlink-arch-bpf/tests/fixtures/link");
    let bpf = root.join("seeds/bpf");
    std::fs::create_dir_all(&bpf)?;
    types(&objects, &bpf)?;
    filters(&bpf)?;
    for names in LINKS {
        let mut seed = vec![4];
        for name in names {
            let input = Input::open(&objects.join(name).with_extension("o"))?;
            // What the linker writes is without the debug information that it does not read.
            seed.extend(piece(&relocatable(&registry()?, &[input], &LinkOptions::default())?)?);
        }
        std::fs::write(bpf.join(format!("link-{}", names.join("-"))), seed)?;
    }
    programs(root)
}

fn registry() -> Result<Registry> {
    let plugins =
        [Plugin::Format(&ElfFormat), Plugin::Arch(&Bpf), Plugin::Relocs(ELF_BPF), Plugin::Relocs(ELF_UNNAMED)];
    Ok(plugins.into_iter().try_fold(Registry::empty(), Registry::with)?)
}

/// Bytes after their length.
fn piece(bytes: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(bytes.len())?;
    Ok([&length.to_le_bytes(), bytes].concat())
}

/// The bytes of a section of an object.
fn section(object: &[u8], name: &str) -> Result<Vec<u8>> {
    let registry = registry()?;
    let (target, rows) = registry.target(&ElfFormat, &ElfFormat.header(name, object)?, name)?;
    let mut graph = LinkGraph::new(target, rows);
    let mut builder = ObjectBuilder::new(&mut graph, name.into(), name.into());
    ElfFormat.read(object, &mut builder)?;
    let found = graph.sections().find(|(_, section)| section.name == name.as_bytes());
    let (id, _) = found.ok_or_else(|| format!("there is no section {name}"))?;
    Ok(graph.blocks_of(id).flat_map(|(_, block)| block.content.bytes().to_vec()).collect())
}

fn types(objects: &Path, folder: &Path) -> Result {
    let read = |name: &str| std::fs::read(objects.join(name).with_extension("o"));
    for name in ["one", "maps", "kernel", "core_target"] {
        let btf = section(&read(name)?, ".BTF")?;
        std::fs::write(folder.join(format!("types-{name}")), [&[0], btf.as_slice()].concat())?;
    }
    for name in ["one", "shared_b"] {
        let object = read(name)?;
        let mut seed = vec![1];
        seed.extend(piece(&section(&object, ".BTF")?)?);
        seed.extend(section(&object, ".BTF.ext")?);
        std::fs::write(folder.join(format!("lines-{name}")), seed)?;
    }
    let object = read("core")?;
    let btf = section(&object, ".BTF")?;
    let ext = BtfExt::read(&section(&object, ".BTF.ext")?, &Btf::read(&btf)?)?;
    let (code, info) = ext.sections.iter().find(|(_, info)| !info.relos.is_empty()).ok_or("no relocations")?;
    let mut seed = vec![2];
    for part in [btf, section(&read("core_target")?, ".BTF")?, section(&object, code)?] {
        seed.extend(piece(&part)?);
    }
    for relo in &info.relos {
        for word in [relo.insn_off, relo.ty.0, relo.access, relo.kind as u32] {
            seed.extend(word.to_le_bytes());
        }
    }
    Ok(std::fs::write(folder.join("core"), seed)?)
}

fn filters(folder: &Path) -> Result {
    std::fs::write(folder.join("filter-text"), format!("\x03{TEXT}"))?;
    std::fs::write(folder.join("filter-array"), format!("\x03{ARRAY}"))?;
    let mut bytes = vec![3];
    for (code, jt, jf, k) in FILTER {
        bytes.extend(code.to_le_bytes().into_iter().chain([jt, jf]).chain(k.to_le_bytes()));
    }
    Ok(std::fs::write(folder.join("filter-bytes"), bytes)?)
}

/// Programs as they are and as the machine repairs them, with packets of several lengths.
fn programs(root: &Path) -> Result {
    let folder = root.join("seeds/vm");
    std::fs::create_dir_all(&folder)?;
    for (number, name) in (0u8..).zip(KERNELS) {
        let code = std::fs::read(root.join("../jitlink-bpf-vm/examples/kernels").join(name).with_extension("bin"))?;
        let code = &code[..code.len().min(600)];
        write(folder.join(name), [0, 40, 0, 0], code)?;
        write(folder.join(format!("{name}-repaired")), [2, 17, number, 0], code)?;
    }
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for number in 0..12u8 {
        let code = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        let code: Vec<u8> = code.take(96).collect();
        write(folder.join(format!("drawn-{number}")), [2 + number % 2, number * 5, number, 0], &code)?;
    }
    Ok(())
}

fn write(file: PathBuf, head: [u8; 4], code: &[u8]) -> Result {
    Ok(std::fs::write(file, [&head, code].concat())?)
}
