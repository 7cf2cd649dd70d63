//! Programs that clang makes on the spot, and what is linked of them.

use jitlink_arch_bpf::image::BpfImage;
use jitlink_arch_bpf::link::{BpfOptions, link_image};
use jitlink_arch_bpf::{Bpf, ELF_BPF, ELF_UNNAMED};
use jitlink_core::Registry;
use jitlink_core::input::Input;
use jitlink_core::link::LinkOptions;
use jitlink_core::registry::Plugin;
use jitlink_elf::ElfFormat;
use std::process::Command;

/// Everything that links ELF objects for BPF.
pub(crate) fn registry() -> Registry {
    let plugins =
        [Plugin::Format(&ElfFormat), Plugin::Arch(&Bpf), Plugin::Relocs(ELF_BPF), Plugin::Relocs(ELF_UNNAMED)];
    plugins.into_iter().try_fold(Registry::empty(), Registry::with).unwrap()
}

/// The object that clang makes of C, named as the source is; none with a message where there is no clang. Options name the target.
pub(crate) fn compile(name: &str, options: &[&str], source: &str) -> Option<Input> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), source).unwrap();
    let mut command = Command::new("clang-22");
    command.current_dir(folder.path()).args(["-O2", "-g", "-c", name, "-o", "output.o"]).args(options);
    match command.output() {
        Ok(result) => {
            assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
            Some(Input::from_bytes(name, std::fs::read(folder.path().join("output.o")).unwrap()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "clang-22 is not installed");
            println!("skipped: clang-22 is not installed");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The linked program.
pub(crate) fn image(objects: &[Input]) -> BpfImage {
    let linked = link_image(&registry(), objects, &LinkOptions::default(), &BpfOptions::default());
    linked.unwrap_or_else(|errors| panic!("{errors}"))
}
