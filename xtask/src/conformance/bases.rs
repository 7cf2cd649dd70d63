//! The code bases: what crate ships them, what of it is compiled, and how.
//!
//! Chosen for being real (each is linked into programs that people use), over 10,000 lines, and different from each other:
//! interpreters with computed jumps, tables of function pointers, vector code, assembly, long constant tables, an allocator
//! that lives on thread-local storage, C++ with templates, virtual calls and exceptions.

/// One code base. Its driver is `main.c` or `main.cpp` in `xtask/conformance/NAME`, where headers
/// that the code base expects from its configure script stand too.
pub(crate) struct Base {
    pub(crate) name: &'static str,
    /// The crate and the exact version that ships the sources.
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    pub(crate) language: Language,
    /// Below the crate's folder; what follows is relative to it.
    pub(crate) folder: &'static str,
    /// Files to compile; a `*` stands for any part of a file's name.
    pub(crate) sources: &'static [&'static str],
    /// Of those, the names that are not compiled on their own.
    pub(crate) without: &'static [&'static str],
    pub(crate) include: &'static [&'static str],
    pub(crate) flags: &'static [&'static str],
    /// Shared libraries, as after `-l`.
    pub(crate) libraries: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    C,
    Cpp,
}

impl Language {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::C => "C",
            Language::Cpp => "C++",
        }
    }

    pub(crate) fn driver(self) -> &'static str {
        match self {
            Language::C => "main.c",
            Language::Cpp => "main.cpp",
        }
    }
}

pub(crate) const BASES: &[Base] = &[
    Base {
        name: "sqlite",
        package: "libsqlite3-sys",
        version: "0.40.0",
        language: Language::C,
        folder: "sqlite3",
        sources: &["sqlite3.c"],
        without: &[],
        include: &["."],
        flags: &[
            "-DSQLITE_THREADSAFE=0",
            "-DSQLITE_ENABLE_FTS5",
            "-DSQLITE_ENABLE_RTREE",
            "-DSQLITE_OMIT_LOAD_EXTENSION",
        ],
        libraries: &["m"],
    },
    Base {
        name: "zstd",
        package: "zstd-sys",
        version: "2.1.3",
        language: Language::C,
        folder: "zstd/lib",
        sources: &["common/*.c", "compress/*.c", "decompress/*.c", "decompress/*.S", "dictBuilder/*.c"],
        without: &[],
        include: &[".", "common"],
        flags: &[],
        libraries: &[],
    },
    Base {
        name: "lua",
        package: "lua-src",
        version: "551.1.0",
        language: Language::C,
        folder: "lua-5.5.1",
        sources: &["*.c"],
        without: &["lua.c", "luac.c"],
        include: &["."],
        flags: &["-DLUA_USE_POSIX"],
        libraries: &["m"],
    },
    Base {
        name: "quickjs",
        package: "rquickjs-sys",
        version: "0.14.0",
        language: Language::C,
        folder: "quickjs",
        sources: &["quickjs.c", "libregexp.c", "libunicode.c", "dtoa.c"],
        without: &[],
        include: &["."],
        flags: &["-D_GNU_SOURCE"],
        libraries: &["m"],
    },
    Base {
        name: "webp",
        package: "libwebp-sys",
        version: "0.14.4",
        language: Language::C,
        folder: "vendor",
        sources: &[
            "src/dec/*.c",
            "src/demux/*.c",
            "src/dsp/*.c",
            "src/enc/*.c",
            "src/mux/*.c",
            "src/utils/*.c",
            "sharpyuv/*.c",
        ],
        without: &[],
        include: &["."],
        flags: &["-DNDEBUG", "-DWEBP_HAVE_SSE2"],
        libraries: &["m"],
    },
    Base {
        name: "oniguruma",
        package: "onig_sys",
        version: "69.9.3",
        language: Language::C,
        folder: "oniguruma/src",
        sources: &["*.c"],
        without: &[
            "mktable.c",
            "regposix.c",
            "regposerr.c",
            "unicode_egcb_data.c",
            "unicode_fold_data.c",
            "unicode_property_data.c",
            "unicode_property_data_posix.c",
            "unicode_wb_data.c",
        ],
        include: &["."],
        flags: &[],
        libraries: &[],
    },
    Base {
        name: "xz",
        package: "lzma-sys",
        version: "0.1.20",
        language: Language::C,
        folder: "xz-5.2/src",
        sources: &[
            "liblzma/common/*.c",
            "liblzma/lzma/*.c",
            "liblzma/lz/*.c",
            "liblzma/check/*.c",
            "liblzma/delta/*.c",
            "liblzma/rangecoder/*.c",
            "liblzma/simple/*.c",
            "common/tuklib_cpucores.c",
            "common/tuklib_physmem.c",
        ],
        without: &[
            "crc32_small.c",
            "crc64_small.c",
            "crc32_tablegen.c",
            "crc64_tablegen.c",
            "fastpos_tablegen.c",
            "price_tablegen.c",
        ],
        // The crate's own configuration header stands at its top.
        include: &[
            "../..",
            "liblzma/api",
            "liblzma/lzma",
            "liblzma/lz",
            "liblzma/check",
            "liblzma/simple",
            "liblzma/delta",
            "liblzma/common",
            "liblzma/rangecoder",
            "common",
        ],
        flags: &["-DHAVE_CONFIG_H", "-std=gnu99"],
        libraries: &[],
    },
    Base {
        name: "lcms2",
        package: "lcms2-sys",
        version: "4.0.7",
        language: Language::C,
        folder: "vendor",
        sources: &["src/*.c"],
        without: &[],
        include: &["include", "src"],
        flags: &["-DNDEBUG"],
        libraries: &["m"],
    },
    Base {
        name: "mimalloc",
        package: "libmimalloc-sys",
        version: "0.1.49",
        language: Language::C,
        folder: "c_src/mimalloc/v2",
        sources: &["src/static.c"],
        without: &[],
        include: &["include"],
        flags: &["-D_GNU_SOURCE", "-std=gnu11", "-DNDEBUG"],
        libraries: &["pthread"],
    },
    Base {
        name: "cadical",
        package: "cadical-sys",
        version: "0.8.0",
        language: Language::Cpp,
        folder: "cadical/src",
        sources: &["*.cpp", "*.c"],
        without: &["cadical.cpp", "mobical.cpp"],
        include: &["."],
        flags: &["-DNDEBUG", "-DNBUILD", "-DNUNLOCKED", "-DNTRACING", "-DQUIET", "-DNCLOSEFROM", "-DVERSION=\"3.0.1\""],
        libraries: &["stdc++", "m"],
    },
    Base {
        name: "hunspell",
        package: "hunspell-sys",
        version: "0.3.1",
        language: Language::Cpp,
        folder: "vendor/src/hunspell",
        sources: &["*.cxx"],
        without: &[],
        include: &["."],
        flags: &["-DBUILDING_LIBHUNSPELL", "-include", "settings.h"],
        libraries: &["stdc++", "m"],
    },
    Base {
        name: "meshoptimizer",
        package: "meshopt",
        version: "0.7.0",
        language: Language::Cpp,
        folder: "vendor/src",
        sources: &["*.cpp"],
        without: &[],
        include: &["."],
        flags: &["-DNDEBUG"],
        libraries: &["stdc++", "m"],
    },
];

/// One way to compile: what is added to the compiler's flags and to the reference link's.
#[derive(PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) compile: &'static [&'static str],
    pub(crate) link: &'static [&'static str],
}

pub(crate) const VARIANTS: &[Variant] = &[
    Variant { name: "O0", compile: &["-O0"], link: &[] },
    Variant { name: "O2", compile: &["-O2"], link: &[] },
    Variant { name: "O3", compile: &["-O3"], link: &[] },
    Variant { name: "Os", compile: &["-Os"], link: &[] },
    Variant { name: "fPIC", compile: &["-O2", "-fPIC"], link: &[] },
    Variant { name: "fno-pic", compile: &["-O2", "-fno-pic"], link: &["-no-pie"] },
    Variant { name: "ffunction-sections", compile: &["-O2", "-ffunction-sections", "-fdata-sections"], link: &[] },
    Variant { name: "mcmodel=large", compile: &["-O2", "-fno-pic", "-mcmodel=large"], link: &["-no-pie"] },
    Variant { name: "mcmodel=large-fPIC", compile: &["-O2", "-fPIC", "-mcmodel=large"], link: &[] },
];

/// What CI runs: one base in C and one in C++, in the variants that differ most.
pub(crate) const SAMPLE_BASES: &[&str] = &["lua", "hunspell"];
pub(crate) const SAMPLE_VARIANTS: &[&str] = &["O0", "O3", "fno-pic", "mcmodel=large"];
