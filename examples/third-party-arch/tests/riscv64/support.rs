//! Linking with jitlink and with the compiler's linker.

use crate::elf::{self, Segment};
use jitlink::core::link::{LinkMap, MapObject, MapSection};
use jitlink::core::reloc::Subject;
use jitlink::{Addr, ImageConfig, ImageExecutor, Input, LinkOptions, Module, Registry, Session, Stage};
use jitlink_arch_riscv64 as _;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// A linked program.
#[derive(Debug)]
pub(crate) struct Program {
    module: Module,
    pub(crate) segments: Vec<Segment>,
    /// Places of the two halves of each load from the GOT.
    pub(crate) got_loads: Vec<(Addr, Addr)>,
}

impl Program {
    pub(crate) fn link(base: Addr, objects: &[(&'static str, Vec<u8>)], defines: &[(&str, Addr)]) -> Program {
        Program::try_link(base, objects, defines).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// Links to an image; all that is wrong, as text, where something is.
    pub(crate) fn try_link(
        base: Addr,
        objects: &[(&'static str, Vec<u8>)],
        defines: &[(&str, Addr)],
    ) -> Result<Program, String> {
        let image = ImageExecutor::new(ImageConfig { base, ..ImageConfig::default() }).expect("a page-aligned base");
        let session = Session::new(Registry::global().expect("no duplicates"), Arc::new(image.clone()));
        let got_loads = Arc::new(Mutex::new(Vec::new()));
        let defines = defines.iter().map(|(name, address)| (name.to_string(), *address)).collect();
        let mut options = LinkOptions { map: true, defines, ..LinkOptions::default() };
        record_got_loads(&mut options, &got_loads);
        let inputs = objects.iter().map(|(name, bytes)| Input::from_bytes(format!("{name}.o"), bytes.clone()));
        let module = session.link(&inputs.collect::<Vec<_>>(), &options).map_err(|errors| errors.to_string())?;
        let segment = |placed: &jitlink::core::image::ImageSegment| Segment {
            address: placed.address,
            protection: placed.protection,
            bytes: placed.bytes().to_vec(),
        };
        let segments = image.segments().iter().map(segment).collect();
        let got_loads = std::mem::take(&mut *got_loads.lock().expect("no panic in a pass"));
        Ok(Program { module, segments, got_loads })
    }

    pub(crate) fn map(&self) -> &LinkMap {
        self.module.map().expect("the link was asked for it")
    }

    pub(crate) fn symbol(&self, name: &str) -> Addr {
        self.module.exports().get(name).unwrap_or_else(|| panic!("nothing defines {name}")).address
    }

    pub(crate) fn bytes(&self, address: Addr, count: usize) -> Vec<u8> {
        elf::bytes(&self.segments, address, count)
    }

    pub(crate) fn word(&self, address: Addr) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().expect("eight bytes"))
    }
}

/// Two passes of a user: what loads from the GOT is known before it is lowered, where it is after layout.
fn record_got_loads(options: &mut LinkOptions, found: &Arc<Mutex<Vec<(Addr, Addr)>>>) {
    let waiting = Arc::new(Mutex::new(Vec::new()));
    let (places, found) = (waiting.clone(), found.clone());
    options.pipeline.add(Stage::AfterPrune, "find loads from the GOT", move |graph, _| {
        let live = graph.blocks().map(|(id, _)| id).filter(|id| graph.is_live(*id));
        let edges = live.flat_map(|block| graph.edges(block).iter().map(move |edge| (block, edge)));
        let lower = |name: &str| name.starts_with("R_RISCV_PCREL_LO12");
        let halves =
            edges.filter(|(_, edge)| edge.subject == Subject::GotSlot && lower(graph.rows().row(edge.row).name()));
        // The addend of the lower half is its distance from the upper one.
        waiting
            .lock()
            .map_err(|error| error.to_string())?
            .extend(halves.map(|(block, edge)| (block, edge.offset, edge.addend)));
        Ok(())
    });
    options.pipeline.add(Stage::AfterLayout, "place loads from the GOT", move |_, context| {
        for (block, offset, distance) in places.lock().map_err(|error| error.to_string())?.drain(..) {
            let lower = context.address(block).ok_or("a live block without an address")? + u64::from(offset);
            let upper = Addr(lower.0.wrapping_add_signed(-distance));
            found.lock().map_err(|error| error.to_string())?.push((upper, lower));
        }
        Ok(())
    });
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A committed object.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = fixtures().join(format!("{name}.o"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where the first relocation of a type has its symbol's value, in an ELF object of 64 bits.
pub(crate) fn relocation_symbol(object: &[u8], raw: u64) -> Option<usize> {
    let number =
        |at: usize, size: usize| object[at..at + size].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let table = number(40, 8) as usize;
    let section = |index: usize| table + index * 64;
    let count = number(60, 2) as usize;
    let relocations = (0..count).map(section).filter(|&header| number(header + 4, 4) == 4);
    let mut entries = relocations.flat_map(|header| {
        let (offset, size, symbols) = (number(header + 24, 8), number(header + 32, 8), number(header + 40, 4));
        (offset..offset + size).step_by(24).map(move |entry| (entry as usize, symbols as usize))
    });
    let (entry, symbols) = entries.find(|(entry, _)| number(entry + 8, 4) == raw)?;
    Some(number(section(symbols) + 24, 8) as usize + number(entry + 12, 4) as usize * 24 + 8)
}

/// A tool's name if it is installed; otherwise the test is skipped with a line, or fails in CI.
pub(crate) fn tool(name: &str, package: &str) -> Option<String> {
    if Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Some(name.to_string());
    }
    let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    assert!(!in_ci, "{name} is missing (Debian package {package}), and CI skips no test");
    eprintln!("skipped: {name} is not installed (Debian package {package})");
    None
}

/// A folder of its own for a use of a tool.
fn scratch(name: &str) -> PathBuf {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{count}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    folder
}

fn finish(command: &mut Command) -> String {
    let output = command.output().expect("the tool starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The objects compiled anew, each by the command in the first line of its source.
pub(crate) fn compile_all(gcc: &str, objects: &[(&'static str, Vec<u8>)]) -> Vec<(&'static str, Vec<u8>)> {
    let folder = scratch("gcc");
    let compile = |name: &'static str| {
        let sources = [fixtures().join(format!("{name}.c")), fixtures().join(format!("{name}.s"))];
        let source = sources.iter().find(|source| source.is_file()).expect("a source beside the object");
        let text = std::fs::read_to_string(source).expect("a readable source");
        let directive = text.lines().next().and_then(|line| line.split_once(&format!("fixture: {gcc} ")));
        let arguments = directive.expect("the command that makes the object").1.split_whitespace();
        let object = folder.join(format!("{name}.o"));
        finish(Command::new(gcc).args(arguments).arg(source).arg("-o").arg(&object));
        std::fs::read(object).expect("an object")
    };
    let compiled = objects.iter().map(|&(name, _)| (name, compile(name))).collect();
    std::fs::remove_dir_all(folder).expect("the folder is ours");
    compiled
}

/// Unwind records are combined by each linker in its own way; what has no bytes has none to compare.
pub(crate) fn is_compared(section: &MapSection) -> bool {
    section.size > 0 && section.name != ".eh_frame"
}

/// Whether the object is one of ours, not the one that holds what the linker made.
pub(crate) fn is_input(object: &MapObject) -> bool {
    object.name.ends_with(".o")
}

/// What the cross compiler's linker makes of the objects, with every section where our map says.
pub(crate) fn link_with(ld: &str, objects: &[(&'static str, Vec<u8>)], map: &LinkMap) -> Vec<Segment> {
    let folder = scratch("ld");
    let mut sections = BTreeMap::new();
    for object in map.objects.iter().filter(|object| is_input(object)) {
        for section in object.sections.iter().filter(|section| is_compared(section)) {
            sections.insert(section.address.0, format!("*{}({})", object.name, section.name));
        }
    }
    let end =
        map.objects.iter().flat_map(|object| &object.sections).map(|section| section.address.0 + section.size).max();
    let mut script = String::from("SECTIONS {\n");
    for (index, (address, input)) in sections.iter().enumerate() {
        script += &format!("  .s{index} {address:#x} : {{ {input} }}\n");
    }
    script += &format!("  .rest {:#x} : {{ *(.got .got.plt .eh_frame) }}\n", end.unwrap_or(0).next_multiple_of(4096));
    script += "  /DISCARD/ : { *(.comment .riscv.attributes .note*) }\n}\n";
    std::fs::write(folder.join("script"), script).expect("a writable folder");
    for (name, bytes) in objects {
        std::fs::write(folder.join(format!("{name}.o")), bytes).expect("a writable folder");
    }
    let mut command = Command::new(ld);
    command.current_dir(&folder).args([
        "-static",
        "-nostdlib",
        "--no-relax",
        "-e",
        "_start",
        "-T",
        "script",
        "-o",
        "program",
    ]);
    finish(command.args(objects.iter().map(|(name, _)| format!("{name}.o"))));
    let linked = elf::segments(&std::fs::read(folder.join("program")).expect("a program"));
    std::fs::remove_dir_all(folder).expect("the folder is ours");
    linked
}

/// Runs a program under an emulator: its exit status and its output.
pub(crate) fn run(emulator: &str, program: &[u8]) -> (Option<i32>, String) {
    let folder = scratch("run");
    let path = folder.join("program");
    std::fs::write(&path, program).expect("a writable folder");
    // The emulator refuses what the system would not run.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
    let output = Command::new(emulator).arg(&path).output().expect("the emulator starts");
    std::fs::remove_dir_all(folder).expect("the folder is ours");
    let complaint = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &complaint)
}
