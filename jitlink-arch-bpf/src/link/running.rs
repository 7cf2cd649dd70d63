//! What the running kernel says of its configuration, as libbpf finds it: read once in a process, when a program first asks.

use hashbrown::HashMap;
use std::io::Read;
use std::sync::OnceLock;

/// The values of the running kernel, as far as it says them.
pub(super) fn values() -> &'static HashMap<String, String> {
    static VALUES: OnceLock<HashMap<String, String>> = OnceLock::new();
    VALUES.get_or_init(|| {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let release = read("/proc/sys/kernel/osrelease");
        let mut values = super::kconfig::values(&text(release.trim()));
        let (build, signature) = (read("/proc/sys/kernel/version"), read("/proc/version_signature"));
        values.extend(computed(version(&release, &build, &signature)));
        values
    })
}

/// The text of the configuration: beside the kernel, or in the kernel itself.
fn text(release: &str) -> String {
    std::fs::read_to_string(format!("/boot/config-{release}")).unwrap_or_else(|_| {
        let mut text = String::new();
        let packed = std::fs::File::open("/proc/config.gz");
        // A text that ends early says what it has said.
        let _ = packed.and_then(|packed| flate2::read::GzDecoder::new(packed).read_to_string(&mut text));
        text
    })
}

type Version = (u32, u32, u32);

/// The version that a release such as `6.1.0-18-amd64` names. Debian and Ubuntu say the last number elsewhere: in what the kernel
/// says of its build (`#1 SMP Debian 6.1.76-1`), and in a signature (`Ubuntu 5.4.0-12.15-generic 5.4.8`).
fn version(release: &str, build: &str, signature: &str) -> Version {
    let debian = build.split_once("Debian ").map(|(_, rest)| rest);
    let ubuntu = signature.starts_with("Ubuntu ").then(|| signature.split_whitespace().last()).flatten();
    numbers(ubuntu.or(debian).unwrap_or(release))
}

fn numbers(text: &str) -> Version {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or_default());
    let mut next = || numbers.next().unwrap_or_default();
    (next(), next(), next())
}

/// The names that are no part of a configuration: `KERNEL_VERSION` of the kernel's include/linux/version.h, and what libbpf
/// finds out by trying: wrapped system calls, which 4.17 brought, and cookies of attachments, which 5.15 did.
fn computed((major, minor, patch): Version) -> [(String, String); 3] {
    let has = |since: (u32, u32)| if (major, minor) >= since { "y" } else { "n" };
    let number = major << 16 | minor << 8 | patch.min(255);
    [
        ("LINUX_KERNEL_VERSION".into(), number.to_string()),
        ("LINUX_HAS_SYSCALL_WRAPPER".into(), has((4, 17)).into()),
        ("LINUX_HAS_BPF_COOKIE".into(), has((5, 15)).into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_where_kernels_say_them() {
        assert_eq!(version("6.18.44-fc\n", "#1 SMP PREEMPT_DYNAMIC\n", ""), (6, 18, 44));
        assert_eq!(version("7.3-rc1", "#1 SMP", ""), (7, 3, 0));
        assert_eq!(version("6.1.0-18-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)", ""), (6, 1, 76));
        assert_eq!(version("5.4.0-12-generic", "#15-Ubuntu SMP", "Ubuntu 5.4.0-12.15-generic 5.4.8\n"), (5, 4, 8));
    }

    #[test]
    fn what_is_no_part_of_a_configuration_is_computed() {
        let value = |version, name: &str| computed(version).into_iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!(value((6, 1, 300), "LINUX_KERNEL_VERSION"), 0x0006_01ff.to_string());
        assert_eq!(
            [(4, 16, 0), (4, 17, 0), (5, 0, 0)].map(|of| value(of, "LINUX_HAS_SYSCALL_WRAPPER")),
            ["n", "y", "y"]
        );
        assert_eq!([(5, 14, 9), (5, 15, 0)].map(|of| value(of, "LINUX_HAS_BPF_COOKIE")), ["n", "y"]);
    }
}
