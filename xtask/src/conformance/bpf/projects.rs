//! The projects: what packages ship their BPF objects, or the sources of these.
//!
//! Chosen for being what people run: tracing tools, monitors, profilers, filters and dispatchers of packets, decoders of
//! remote controls, schedulers. Some objects were compiled by Debian years ago, some are compiled here, as the crate's
//! own build script has it done. What a project ships is found in its files, never listed object by object.

/// One project, whose name is that of a folder below the target folder too.
pub(super) struct Project {
    pub(super) name: &'static str,
    pub(super) origin: Origin,
}

/// A package at the one version that is taken.
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

pub(super) enum Origin {
    /// Packages of Debian, and patterns of paths in them: objects, or programs that carry objects as libbpf's skeletons do.
    Debian { packages: &'static [Package], files: &'static [&'static str] },
    /// A crate with sources.
    Crate { package: Package, sources: Sources },
}

/// Sources in a crate.
pub(super) struct Sources {
    /// Patterns of paths.
    pub(super) files: &'static [&'static str],
    pub(super) form: Form,
    pub(super) include: &'static [Include],
    pub(super) flags: &'static [&'static str],
}

/// What sources make.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An object each.
    Each,
    /// One object, linked of all.
    Together,
}

/// A folder with headers.
pub(super) enum Include {
    /// In the crate that has the sources.
    Own(&'static str),
    /// In another crate.
    Of(&'static Package, &'static str),
    /// In an archive (a tar file) of another crate: the archive, the folder in it.
    In(&'static Package, &'static str, &'static str),
}

/// The crate whose copy of libbpf has the headers that all sources include as `bpf/…`.
pub(super) const LIBBPF: (Package, &str) = (Package { name: "libbpf-sys", version: "1.7.0+v1.7.0" }, "libbpf/src");

/// The crate with what schedulers have in common.
static SCX: Package = Package { name: "scx_cargo", version: "1.1.4" };
const SCX_INCLUDE: &[Include] = &[
    Include::In(&SCX, "vmlinux.tar.zst", "vmlinux/arch/x86"),
    Include::In(&SCX, "vmlinux.tar.zst", "vmlinux"),
    Include::Of(&SCX, "bpf_h"),
    Include::Of(&SCX, "bpf_h/bpf-compat"),
];
const SCX_FLAGS: &[&str] = &["-mcpu=v3", "-mllvm", "-disable-gotox", "-D__SCX_TARGET_ARCH_x86"];

/// A scheduler of the `scx` family.
const fn scheduler(name: &'static str, version: &'static str, form: Form, files: &'static [&'static str]) -> Project {
    let sources = Sources { files, form, include: SCX_INCLUDE, flags: SCX_FLAGS };
    Project { name, origin: Origin::Crate { package: Package { name, version }, sources } }
}

pub(super) const PROJECTS: &[Project] = &[
    Project {
        name: "bcc",
        origin: Origin::Debian {
            packages: &[Package { name: "libbpf-tools", version: "0.26.0+ds-1" }],
            files: &["usr/sbin/*"],
        },
    },
    Project {
        name: "xdp-tools",
        origin: Origin::Debian {
            packages: &[
                Package { name: "libxdp1", version: "1.3.1-1" },
                Package { name: "xdp-tools", version: "1.3.1-1" },
            ],
            files: &["usr/lib/x86_64-linux-gnu/bpf/*.o", "usr/sbin/*"],
        },
    },
    Project {
        name: "v4l-utils",
        origin: Origin::Debian {
            packages: &[Package { name: "ir-keytable", version: "1.22.1-5+b2" }],
            files: &["lib/udev/rc_keymaps/protocols/*.o"],
        },
    },
    Project {
        name: "pcp",
        origin: Origin::Debian {
            packages: &[Package { name: "pcp", version: "6.0.3-1.1" }],
            files: &["usr/lib/pcp/pmdas/bpf/modules/*.so"],
        },
    },
    Project {
        name: "knot",
        origin: Origin::Debian {
            packages: &[Package { name: "libknot13", version: "3.2.6-1" }],
            files: &["usr/lib/x86_64-linux-gnu/libknot.so.*"],
        },
    },
    Project {
        name: "rezolus",
        origin: Origin::Crate {
            package: Package { name: "rezolus", version: "5.4.0" },
            sources: Sources {
                files: &["src/agent/samplers/*/linux/*/mod.bpf.c"],
                form: Form::Each,
                include: &[Include::Own("src/agent/bpf/x86_64")],
                flags: &["-fno-unwind-tables"],
            },
        },
    },
    Project {
        name: "lightswitch",
        origin: Origin::Crate {
            package: Package { name: "lightswitch", version: "0.7.0" },
            sources: Sources { files: &["src/bpf/*.bpf.c"], form: Form::Each, include: &[], flags: &["-mcpu=v1"] },
        },
    },
    Project {
        name: "tracexec",
        origin: Origin::Crate {
            package: Package { name: "tracexec-backend-ebpf", version: "1.0.0" },
            sources: Sources {
                files: &["src/tracexec_system.bpf.c"],
                form: Form::Each,
                include: &[Include::Own("include")],
                flags: &["-DTRACEXEC_TARGET_X86_64", "-DMAX_CPUS=64"],
            },
        },
    },
    Project {
        name: "below",
        origin: Origin::Crate {
            package: Package { name: "below", version: "0.9.0" },
            sources: Sources {
                files: &["src/bpf/*.bpf.c"],
                form: Form::Each,
                include: &[],
                // Newer compilers take this for an error.
                flags: &["-Wno-incompatible-pointer-types"],
            },
        },
    },
    Project {
        name: "bpfman",
        origin: Origin::Crate {
            package: Package { name: "bpfman", version: "0.6.0" },
            sources: Sources { files: &["bpf/*.bpf.c"], form: Form::Each, include: &[], flags: &[] },
        },
    },
    scheduler("scx_bpfland", "1.1.4", Form::Each, &["src/bpf/main.bpf.c"]),
    scheduler("scx_flash", "1.1.4", Form::Each, &["src/bpf/main.bpf.c"]),
    scheduler("scx_rusty", "1.1.4", Form::Together, &["src/bpf/*.bpf.c"]),
    scheduler("scx_layered", "1.1.4", Form::Together, &["src/bpf/*.bpf.c", "src/bpf/lib/pmu.bpf.c"]),
    scheduler("scx_cosmos", "1.1.7", Form::Together, &["src/bpf/main.bpf.c", "src/bpf/lib/pmu.bpf.c"]),
    scheduler(
        "scx_lavd",
        "1.1.4",
        Form::Together,
        &[
            "src/bpf/*.bpf.c",
            "src/bpf/lib/arena.bpf.c",
            "src/bpf/lib/common.bpf.c",
            "src/bpf/lib/atq.bpf.c",
            "src/bpf/lib/bitmap.bpf.c",
            "src/bpf/lib/cgroup_bw.bpf.c",
            "src/bpf/lib/cpumask.bpf.c",
            "src/bpf/lib/rbtree.bpf.c",
            "src/bpf/lib/minheap.bpf.c",
            "src/bpf/lib/sdt_alloc.bpf.c",
            "src/bpf/lib/sdt_task.bpf.c",
            "src/bpf/lib/topology.bpf.c",
            "src/bpf/lib/ravg.bpf.c",
        ],
    ),
    scheduler(
        "scx_p2dq",
        "1.1.4",
        Form::Together,
        &[
            "src/bpf/main.bpf.c",
            "src/bpf/lib/arena.bpf.c",
            "src/bpf/lib/common.bpf.c",
            "src/bpf/lib/atq.bpf.c",
            "src/bpf/lib/dhq.bpf.c",
            "src/bpf/lib/bitmap.bpf.c",
            "src/bpf/lib/cpumask.bpf.c",
            "src/bpf/lib/minheap.bpf.c",
            "src/bpf/lib/rbtree.bpf.c",
            "src/bpf/lib/sdt_alloc.bpf.c",
            "src/bpf/lib/sdt_task.bpf.c",
            "src/bpf/lib/topology.bpf.c",
        ],
    ),
];

/// What CI runs: small packages, objects by Debian's compiler and by ours.
pub(super) const SAMPLE: &[&str] = &["xdp-tools", "bpfman", "lightswitch"];
