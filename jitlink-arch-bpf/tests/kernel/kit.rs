//! What the tests share.

use jitlink_arch_bpf::image::BpfImage;
use jitlink_arch_bpf::kernel::allowed;
use jitlink_arch_bpf::link::{BpfOptions, Kconfig, link_image};
use jitlink_arch_bpf::{Bpf, ELF_BPF, ELF_UNNAMED};
use jitlink_core::Registry;
use jitlink_core::input::Input;
use jitlink_core::link::LinkOptions;
use jitlink_core::registry::Plugin;
use jitlink_elf::ElfFormat;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Whether this machine lets tests load programs.
pub(crate) fn may_load() -> bool {
    match allowed() {
        Ok(()) => true,
        Err(error) if error.is_not_allowed() => {
            println!("skipped: {error}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// The output of a tool; `None` where it is not installed, which is a failure in CI.
pub(crate) fn tool(name: &str, run: impl Fn(&mut Command) -> &mut Command) -> Option<Output> {
    match run(&mut Command::new(name)).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{name} is not installed");
            println!("skipped: {name} is not installed");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Compiles a source of these tests into a folder; `None` without clang and the headers of libbpf.
pub(crate) fn compile(name: &str, cpu: &str, folder: &Path) -> Option<PathBuf> {
    if !Path::new("/usr/include/bpf/bpf_helpers.h").exists() {
        assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "libbpf's headers are not installed");
        println!("skipped: libbpf's headers are not installed");
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/sources").join(name).with_extension("c");
    let object = folder.join(format!("{name}-{cpu}.o"));
    // Headers of the kernel's interface include those of the machine, which Debian keeps apart.
    let machine = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let result = tool("clang-22", |command| {
        command.args(["--target=bpf", "-O2", "-g", "-D__TARGET_ARCH_x86"]);
        command.arg(format!("-mcpu={cpu}")).arg("-I").arg(&machine).arg("-c").arg(&source).arg("-o").arg(&object)
    })?;
    assert!(result.status.success(), "{name}: {}", String::from_utf8_lossy(&result.stderr));
    Some(object)
}

/// Links one object.
pub(crate) fn link(name: &str, bytes: Vec<u8>) -> BpfImage {
    let plugins =
        [Plugin::Format(&ElfFormat), Plugin::Arch(&Bpf), Plugin::Relocs(ELF_BPF), Plugin::Relocs(ELF_UNNAMED)];
    let registry = plugins.into_iter().try_fold(Registry::empty(), Registry::with).expect("a registry");
    let options = BpfOptions { kconfig: Kconfig::default().with_version(6, 1, 0) };
    let inputs = [Input::from_bytes(name, bytes)];
    let linked = link_image(&registry, &inputs, &LinkOptions::default(), &options);
    linked.unwrap_or_else(|errors| panic!("{name}: {errors}"))
}
