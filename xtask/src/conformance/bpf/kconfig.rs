//! What the running kernel says of its configuration, as a file for `jitlink bpf --kconfig`. libbpf reads it by itself.

use crate::Result;
use crate::process::capture;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes the file; without what no file of this machine says.
pub(super) fn write(work: &Path) -> Result<PathBuf> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let release = release.trim();
    let text = std::fs::read_to_string(format!("/boot/config-{release}"))
        .or_else(|_| capture(Command::new("gzip").args(["-dc", "/proc/config.gz"])));
    let mut text = text.unwrap_or_else(|error| {
        eprintln!("conformance: this kernel's configuration cannot be read: {error}");
        String::new()
    });
    // These are no part of the configuration; libbpf finds them out. Kernels of x86-64 have wrapped system calls since 4.17
    // and cookies of attachments since 5.15.
    let (major, minor, patch) = version(release);
    let number = major << 16 | minor << 8 | patch.min(255);
    let has = |since: (u32, u32)| if (major, minor) >= since { 'y' } else { 'n' };
    text += &format!(
        "\nLINUX_KERNEL_VERSION={number}\nLINUX_HAS_SYSCALL_WRAPPER={}\nLINUX_HAS_BPF_COOKIE={}\n",
        has((4, 17)),
        has((5, 15))
    );
    let path = work.join("kconfig");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// The numbers at the start of a release such as `6.1.0-18-amd64`.
fn version(release: &str) -> (u32, u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or_default());
    let mut next = || numbers.next().unwrap_or_default();
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_read_from_releases() {
        assert_eq!(version("6.18.44-fc-v782"), (6, 18, 44));
        assert_eq!(version("6.1.0-18-amd64"), (6, 1, 0));
        assert_eq!(version("7.3-rc1"), (7, 3, 0));
    }
}
