//! Installs what the tests call: compilers, binary tools, LLVM's own JIT linker, a browser.
//!
//! Only what is missing is installed, through Debian's package manager, and only where that can work: as root, or with
//! `sudo` that asks no password. Mirrors fail now and then, so each step is tried several times with a growing pause.
//! On a developer's machine what stays missing is said and the tests that need it skip themselves; in CI it is an error.

use crate::process::{find_tool, in_ci, run, step};
use crate::{Args, Result};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) const OPTIONS: &str = "  --check   only say what is there and what is missing\n";

/// A tool that tests use: the names under which it is looked for and the packages that bring it, both best first.
struct Tool {
    names: &'static [&'static str],
    packages: &'static [&'static str],
    /// What cannot be tested without it.
    needed_for: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { names: &["gcc"], packages: &["gcc"], needed_for: "objects made by GCC" },
    Tool { names: &["g++"], packages: &["g++"], needed_for: "C++ objects made by GCC" },
    Tool { names: &["clang-22", "clang"], packages: &["clang-22", "clang"], needed_for: "objects made by clang" },
    Tool {
        names: &["/usr/lib/x86_64-linux-gnu/libc++.so"],
        packages: &["libc++-22-dev", "libc++-dev"],
        needed_for: "C++ with LLVM's library",
    },
    Tool {
        names: &["/usr/lib/x86_64-linux-gnu/libc++abi.so"],
        packages: &["libc++abi-22-dev", "libc++abi-dev"],
        needed_for: "C++ with LLVM's library",
    },
    Tool {
        names: &["/usr/lib/x86_64-linux-gnu/libunwind.so.8"],
        packages: &["libunwind8"],
        needed_for: "backtraces by nongnu.org's libunwind",
    },
    Tool {
        names: &["/usr/lib/x86_64-linux-gnu/libunwind.so.1"],
        packages: &["libunwind-19", "libunwind-18", "libunwind-16"],
        needed_for: "backtraces by LLVM's libunwind",
    },
    Tool { names: &["ld"], packages: &["binutils"], needed_for: "the reference links" },
    Tool { names: &["ar"], packages: &["binutils"], needed_for: "archives" },
    Tool { names: &["objcopy"], packages: &["binutils"], needed_for: "objects with unusual sections" },
    Tool {
        names: &["llvm-jitlink", "llvm-jitlink-22"],
        packages: &["llvm-22", "llvm"],
        needed_for: "the benchmark's other side",
    },
    Tool { names: &["dot"], packages: &["graphviz"], needed_for: "graphs in the language of Graphviz" },
    Tool { names: &["chromium"], packages: &["chromium"], needed_for: "the page of jitlink inspect" },
    Tool {
        names: &["riscv64-linux-gnu-gcc"],
        packages: &["gcc-riscv64-linux-gnu"],
        needed_for: "the architecture from outside, against that compiler's linker",
    },
    Tool { names: &["qemu-riscv64"], packages: &["qemu-user"], needed_for: "programs for it that run" },
    Tool { names: &["llvm-mc", "llvm-mc-22"], packages: &["llvm-22", "llvm"], needed_for: "objects with CREL and APX" },
    Tool {
        names: &["x86_64-linux-gnu-as"],
        packages: &["binutils-x86-64-linux-gnu"],
        needed_for: "relocations that GNU as writes",
    },
    Tool { names: &["x86_64-w64-mingw32-gcc"], packages: &["gcc-mingw-w64-x86-64"], needed_for: "objects of Windows" },
    Tool {
        names: &["x86_64-w64-mingw32-g++-posix"],
        packages: &["g++-mingw-w64-x86-64"],
        needed_for: "C++ objects of Windows",
    },
    Tool {
        names: &["/usr/lib/wine/wine64", "wine64"],
        packages: &["wine64"],
        needed_for: "programs of Windows that run",
    },
    Tool {
        names: &["powerpc64le-linux-gnu-gcc"],
        packages: &["gcc-powerpc64le-linux-gnu"],
        needed_for: "objects for little-endian PowerPC",
    },
    Tool {
        names: &["powerpc64-linux-gnu-gcc"],
        packages: &["gcc-powerpc64-linux-gnu"],
        needed_for: "objects for big-endian PowerPC",
    },
    Tool {
        names: &["powerpc64le-linux-gnu-g++"],
        packages: &["g++-powerpc64le-linux-gnu"],
        needed_for: "C++ objects for little-endian PowerPC",
    },
    Tool {
        names: &["powerpc64-linux-gnu-g++"],
        packages: &["g++-powerpc64-linux-gnu"],
        needed_for: "C++ objects for big-endian PowerPC",
    },
    Tool {
        names: &["powerpc-linux-gnu-gcc"],
        packages: &["gcc-powerpc-linux-gnu"],
        needed_for: "objects for 32-bit PowerPC",
    },
    Tool {
        names: &["powerpc-linux-gnu-g++"],
        packages: &["g++-powerpc-linux-gnu"],
        needed_for: "C++ objects for 32-bit PowerPC",
    },
    Tool {
        names: &["i686-w64-mingw32-gcc"],
        packages: &["gcc-mingw-w64-i686"],
        needed_for: "objects of 32-bit Windows, and GNU ld for them",
    },
    Tool {
        names: &["qemu-aarch64"],
        packages: &["qemu-user"],
        needed_for: "code of Windows objects for ARM64 and i386 that runs",
    },
    Tool { names: &["qemu-ppc64le"], packages: &["qemu-user"], needed_for: "programs for it that run" },
    Tool { names: &["bpf-gcc"], packages: &["gcc-bpf"], needed_for: "BPF objects made by GCC" },
    Tool { names: &["bpftool"], packages: &["bpftool"], needed_for: "what libbpf makes of the same BPF objects" },
    Tool { names: &["zstd"], packages: &["zstd"], needed_for: "BPF schedulers" },
    Tool { names: &["gdb"], packages: &["gdb"], needed_for: "debugging of linked code" },
    Tool { names: &["perf"], packages: &["linux-perf"], needed_for: "profiles of linked code" },
    Tool { names: &["bash"], packages: &["bash"], needed_for: "completions" },
    Tool { names: &["groff"], packages: &["groff"], needed_for: "manual pages" },
    Tool { names: &["mandoc"], packages: &["mandoc"], needed_for: "manual pages" },
];

/// The C library's headers and start files: a compiler alone may come without them.
const C_LIBRARY: (&str, &str) = ("/usr/include/stdio.h", "libc6-dev");

/// Pauses between tries, in seconds.
const PAUSES: &[u64] = &[2, 5, 15, 40];

pub(crate) fn main(mut args: Args) -> Result {
    let check = args.flag("--check");
    args.finish()?;
    if check { report() } else { setup() }
}

/// Makes the tools available, or says which are not.
pub(crate) fn setup() -> Result {
    step("setup");
    if missing().next().is_some() || !have_c_library() {
        match package_manager() {
            Ok(manager) => install(&manager),
            Err(reason) => eprintln!("setup: nothing is installed: {reason}"),
        }
    }
    report()
}

fn missing() -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().filter(|tool| find_tool(tool.names).is_none())
}

fn have_c_library() -> bool {
    std::path::Path::new(C_LIBRARY.0).is_file()
}

/// How packages are installed here, as the words in front of apt-get's own arguments, or why they cannot be.
fn package_manager() -> Result<Vec<&'static str>> {
    if find_tool(&["apt-get"]).is_none() {
        return Err("there is no apt-get here; install the tools below by hand".into());
    }
    // SAFETY: geteuid has no precondition and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        return Ok(vec!["apt-get"]);
    }
    let sudo = Command::new("sudo").args(["-n", "true"]).stderr(Stdio::null()).status();
    match sudo {
        Ok(status) if status.success() => Ok(vec!["sudo", "-n", "apt-get"]),
        _ => Err("not root, and sudo asks for a password or is absent".into()),
    }
}

/// Installs the packages of every missing tool; what fails is said and left to `report`.
fn install(manager: &[&str]) {
    apt(manager, &["update"]);
    let mut wanted: Vec<&[&str]> = missing().map(|tool| tool.packages).collect();
    if !have_c_library() {
        wanted.push(&[C_LIBRARY.1]);
    }
    wanted.dedup();
    // A tool's second package is tried only where its first does not exist, which apt says at once.
    for packages in wanted {
        let known = packages.iter().find(|package| is_known(package));
        match known {
            Some(package) => _ = apt(manager, &["install", "--yes", "--no-install-recommends", package]),
            None => eprintln!("setup: no package source here has {}", packages.join(" or ")),
        }
    }
}

/// Whether a package source has the package.
fn is_known(package: &str) -> bool {
    let output = Command::new("apt-cache").args(["show", "--no-all-versions", package]).stderr(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}

/// Runs apt-get, again and again with a growing pause while it fails.
fn apt(manager: &[&str], arguments: &[&str]) -> bool {
    for pause in PAUSES.iter().copied().map(Some).chain([None]) {
        let mut command = Command::new(manager[0]);
        command.args(&manager[1..]).args(["-q", "-o", "Acquire::Retries=3"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
        let Err(error) = run(&mut command) else { return true };
        match pause {
            Some(seconds) => {
                eprintln!("setup: {error}; trying again in {seconds} s");
                std::thread::sleep(Duration::from_secs(seconds));
            }
            None => eprintln!("setup: {error}; going on with what is there"),
        }
    }
    false
}

/// Says what is there and what is not; in CI something missing is an error.
fn report() -> Result {
    for tool in TOOLS {
        match find_tool(tool.names) {
            Some(path) => eprintln!("{:22} {}", tool.names[0], path.display()),
            None => eprintln!(
                "{:22} missing: tests of {} are skipped (package {})",
                tool.names[0],
                tool.needed_for,
                tool.packages.join(" or ")
            ),
        }
    }
    let count = missing().count() + usize::from(!have_c_library());
    if !have_c_library() {
        eprintln!("{:22} missing: nothing can be compiled (package {})", "C library headers", C_LIBRARY.1);
    }
    if count > 0 && in_ci() {
        return Err(format!("{count} of the tools above are missing, and CI skips no test").into());
    }
    Ok(())
}
