//! The programs: small ones, each about something that linkers or run-time libraries have to get right.
//!
//! A program is `NAME.c`, `NAME.cpp` or `NAME.rs` in the folder of its language in `xtask/conformance/native`, and its other
//! parts. It prints what it sees and ends with a status of its own.

use crate::process::root;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::conformance) enum Language {
    C,
    Cxx,
    Rust,
}

impl Language {
    pub(super) fn name(self) -> &'static str {
        match self {
            Language::C => "c",
            Language::Cxx => "cxx",
            Language::Rust => "rust",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Language::C => "c",
            Language::Cxx => "cpp",
            Language::Rust => "rs",
        }
    }
}

pub(super) struct Program {
    pub(super) language: Language,
    pub(super) name: &'static str,
    /// Further sources by their names without extension; in Rust, crates that the program links.
    pub(super) others: &'static [&'static str],
    /// What its compiler hears besides the variant's options.
    pub(super) flags: &'static [&'static str],
    pub(super) arguments: &'static [&'static str],
}

impl Program {
    /// How it is named on the command line.
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.language.name(), self.name)
    }

    /// One of its sources.
    pub(super) fn source(&self, name: &str) -> PathBuf {
        let folder = root().join("xtask/conformance/native").join(self.language.name());
        folder.join(name).with_extension(self.language.extension())
    }
}

const fn c(name: &'static str, others: &'static [&'static str]) -> Program {
    Program { language: Language::C, name, others, flags: &["-std=gnu17"], arguments: &["one", "two words"] }
}

const fn cxx(name: &'static str, others: &'static [&'static str]) -> Program {
    Program { language: Language::Cxx, name, others, flags: &["-std=c++20"], arguments: &[] }
}

const fn rust(name: &'static str, others: &'static [&'static str]) -> Program {
    Program { language: Language::Rust, name, others, flags: &[], arguments: &["one", "two words"] }
}

pub(super) const PROGRAMS: &[Program] = &[
    c("choices", &["choices_other"]),
    c("indirect", &["indirect_other"]),
    c("jumps", &[]),
    c("numbers", &["numbers_other"]),
    c("signals", &[]),
    c("startup", &["startup_other"]),
    Program { flags: &["-std=gnu17", "-fcommon"], ..c("symbols", &["symbols_other"]) },
    c("thread_locals", &["thread_locals_other"]),
    c("threads", &[]),
    cxx("coroutines", &[]),
    cxx("exceptions", &["exceptions_other"]),
    cxx("library", &[]),
    cxx("statics", &["statics_other"]),
    cxx("streams", &[]),
    cxx("thread_locals", &["thread_locals_other"]),
    cxx("threads", &[]),
    cxx("types", &["types_other"]),
    Program { flags: &["-Cpanic=abort"], ..rust("abort", &[]) },
    Program { arguments: &[], ..rust("allocator", &[]) },
    rust("crates", &["parts"]),
    Program { arguments: &[], ..rust("library", &[]) },
    Program { arguments: &[], ..rust("panics", &[]) },
    rust("system", &[]),
    rust("threads", &[]),
];

/// What CI runs.
pub(super) const SAMPLE: &[&str] = &["c/thread_locals", "cxx/exceptions", "rust/threads"];
