//! The other machines and systems, and what is compiled and run for each.

use super::native::MODELS;

/// A machine that Debian has cross compilers and a C library for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// As on the command line.
    pub(super) name: &'static str,
    /// What Debian calls it in names of programs and in paths.
    pub(super) triple: &'static str,
    /// What Rust calls it.
    pub(super) target: &'static str,
    /// What runs its programs here.
    pub(super) runner: Runner,
    /// Its compilers, by what they are called in options and reports.
    pub(super) compilers: [&'static str; 3],
    /// Programs with what its objects are refused for.
    pub(super) without: &'static [&'static str],
    /// Levels of optimisation.
    pub(super) levels: &'static [&'static str],
    /// Code models, each with whether programs of it have fixed addresses.
    pub(super) models: &'static [(&'static [&'static str], bool)],
    /// Options that change objects, with -O2.
    pub(super) options: &'static [&'static [&'static str]],
    /// The code bases that are run: in C and in C++.
    pub(super) bases: &'static [&'static str],
    /// The variants of code bases.
    pub(super) variants: &'static [&'static str],
    /// Options of code bases that are for what its C library does not have.
    pub(super) drops: &'static [&'static str],
    /// Shared libraries that its compilers count on for what they have no instructions for.
    pub(super) libraries: &'static [&'static str],
}

/// What runs programs of another machine or system.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Runner {
    /// QEMU: what that calls the machine, and the processor that is emulated; the emulator's own choice without.
    Qemu(&'static str, Option<&'static str>),
    /// Wine.
    Wine,
    /// QEMU, and what that calls the machine, for programs that need nothing of a system but its kernel: jitlink links images.
    Bare(&'static str, &'static Bare),
}

/// What a machine without a system is compiled and linked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bare {
    /// What clang and zig call it.
    pub(super) triple: &'static str,
    /// What GCC has to be told.
    pub(super) options: &'static [&'static str],
    /// What GNU ld calls it.
    pub(super) emulation: &'static str,
}

pub(super) const MACHINES: &[Machine] = &[
    Machine {
        name: "ppc64le",
        triple: "powerpc64le-linux-gnu",
        target: "powerpc64le-unknown-linux-gnu",
        // The newest, for prefixed instructions.
        runner: Runner::Qemu("ppc64le", Some("power10")),
        compilers: ["ppc64le-gcc", "ppc64le-clang", "ppc64le-rustc"],
        without: &[],
        levels: LEVELS,
        models: MODELS,
        options: &[
            &["-mcpu=power8"],
            &["-mcpu=power9", "-fPIC"],
            &["-mcpu=power10"],
            &["-mcpu=power10", "-fPIC"],
            &["-fPIC", "-fno-plt"],
            &["-ffunction-sections", "-fdata-sections"],
            &["-fPIC", "-ftls-model=initial-exec"],
        ],
        bases: BASES,
        variants: VARIANTS,
        drops: &[],
        libraries: &[],
    },
    Machine {
        name: "ppc64",
        triple: "powerpc64-linux-gnu",
        target: "powerpc64-unknown-linux-gnu",
        runner: Runner::Qemu("ppc64", None),
        compilers: ["ppc64-gcc", "ppc64-clang", "ppc64-rustc"],
        without: &[],
        levels: LEVELS,
        models: MODELS,
        options: &[
            &["-mcpu=power8"],
            &["-mcpu=power9", "-fPIC"],
            &["-ffunction-sections", "-fdata-sections"],
            &["-fPIC", "-ftls-model=initial-exec"],
        ],
        bases: BASES,
        variants: VARIANTS,
        drops: &[],
        libraries: &[],
    },
    Machine {
        name: "ppc32",
        triple: "powerpc-linux-gnu",
        target: "powerpc-unknown-linux-gnu",
        // One with vector registers.
        runner: Runner::Qemu("ppc", Some("7450")),
        compilers: ["ppc32-gcc", "ppc32-clang", "ppc32-rustc"],
        without: &[],
        levels: LEVELS,
        // There is one code model.
        models: MODELS.split_at(3).0,
        options: &[&["-fpic"], &["-ffunction-sections", "-fdata-sections"], &["-fPIC", "-ftls-model=initial-exec"]],
        // Without lcms2: the C library's libm has instructions that the emulator does not know for any processor of 32 bits.
        bases: &["lua", "quickjs", "sqlite", "zstd", "oniguruma", "hunspell"],
        variants: &["O0", "O2", "Os", "fPIC", "fno-pic", "ffunction-sections"],
        drops: &[],
        libraries: &["atomic"],
    },
    Machine {
        name: "ppc64-elfv2",
        triple: "powerpc64-linux-gnu",
        target: "powerpc64-unknown-linux-musl",
        runner: Runner::Bare(
            "ppc64",
            &Bare {
                triple: "powerpc64-linux-musl",
                options: &["-mabi=elfv2", "-mlong-double-64"],
                emulation: "elf64ppc",
            },
        ),
        compilers: ["elfv2-gcc", "elfv2-clang", "elfv2-rustc"],
        // Nothing of musl calls resolvers of indirect functions, and it has no `on_exit`.
        without: &["c/choices", "c/indirect", "c/startup"],
        levels: LEVELS,
        models: MODELS,
        options: &[
            &["-mcpu=power8"],
            &["-mcpu=power9", "-fPIC"],
            &["-ffunction-sections", "-fdata-sections"],
            &["-fPIC", "-ftls-model=initial-exec"],
        ],
        bases: BASES_IN_C,
        variants: VARIANTS,
        drops: &[],
        libraries: &[],
    },
    Machine {
        name: "windows",
        triple: "x86_64-w64-mingw32",
        target: "x86_64-pc-windows-gnu",
        runner: Runner::Wine,
        compilers: ["windows-gcc", "windows-clang", "windows-rustc"],
        // What the system or its C library does not have: indirect functions, signals that return, C11's threads, names of
        // sections; and C++'s threads, with which Wine does not end whoever links.
        without: &[
            "c/choices",
            "c/indirect",
            "c/signals",
            "c/symbols",
            "c/threads",
            "cxx/thread_locals",
            "cxx/threads",
        ],
        levels: &["-O0", "-O2", "-O3"],
        models: &[(&[], false), (&["-mcmodel=medium"], false), (&["-mcmodel=large"], false)],
        options: &[
            &["-ffunction-sections", "-fdata-sections"],
            &["-Os"],
            &["-g"],
            &["-fno-asynchronous-unwind-tables"],
            &["-march=x86-64-v3"],
        ],
        bases: &["sqlite", "lua", "quickjs", "lcms2", "zstd", "hunspell"],
        variants: &["O0", "O2", "O3", "ffunction-sections"],
        drops: &["-DLUA_USE_POSIX"],
        libraries: &[],
    },
];

/// Levels of optimisation that change most.
const LEVELS: &[&str] = &["-O0", "-O2", "-Os"];

/// The code bases of machines that can run all of these.
const BASES: &[&str] = &["lua", "quickjs", "sqlite", "lcms2", "hunspell"];

/// Those in C.
const BASES_IN_C: &[&str] = &["lua", "quickjs", "sqlite", "lcms2", "zstd"];

/// Their variants where a machine has code models.
const VARIANTS: &[&str] = &["O0", "O2", "Os", "fPIC", "fno-pic", "ffunction-sections", "mcmodel=large"];

impl Machine {
    /// Little-endian 64-bit PowerPC.
    pub(crate) const PPC64LE: &'static Machine = &MACHINES[0];
    /// Big-endian 64-bit PowerPC, with the descriptors of the ELFv1 ABI.
    pub(super) const PPC64: &'static Machine = &MACHINES[1];
    /// 64-bit Windows.
    pub(super) const WINDOWS: &'static Machine = &MACHINES[4];
}
