//! What to do about an error, in terms of the command line.
//!
//! The library gives advice that holds for all its users. The command knows more: what was asked for, how options are spelled,
//! and what people commonly give it by mistake.

use crate::rust_std::RUSTC;
use jitlink::LinkError;
use std::path::Path;

/// What the library advises, or something more to the point. `entries` are the names that the command line asked for.
pub(crate) fn advice(error: &LinkError, entries: &[String]) -> String {
    refined(error, entries).unwrap_or_else(|| error.advice())
}

fn refined(error: &LinkError, entries: &[String]) -> Option<String> {
    match error {
        LinkError::Io { path, reason } if reason.contains("directory") => Some(match Path::new(path).is_dir() {
            true => format!("give the object files in it: {}/*.o", path.trim_end_matches('/')),
            false => "check the path; arguments for the program come after --".into(),
        }),
        LinkError::Unrecognized { path, magic, .. } => unrecognized(path, magic),
        LinkError::NoBackend { registered, .. } => {
            Some(format!("compile for what this build links ({registered}; see jitlink targets)"))
        }
        LinkError::Duplicate { first, second, .. } if first == second => Some("give each file once".into()),
        LinkError::Undefined { symbol, total: 0, .. } if entries.contains(symbol) => {
            Some("add the object that defines it, or name another function with --entry".into())
        }
        LinkError::Undefined { symbol, .. } => library_of(symbol),
        LinkError::Resolver { resolver, .. } if resolver == RUSTC => {
            Some("install Rust, or set RUSTC to the rustc that compiled the objects".into())
        }
        _ => None,
    }
}

/// Beginnings of files that are given by mistake, in hex, and what they are.
const KNOWN_MAGICS: &[(&str, &str)] = &[
    ("64 86", "a COFF object for x86-64"),
    ("4c 01", "a COFF object for i386"),
    ("cf fa ed fe", "a Mach-O object"),
    ("4d 5a", "a Windows program or library"),
    ("00 61 73 6d", "a WebAssembly module"),
    ("23 21", "a script"),
];

const SOURCES: &[(&str, &str)] = &[
    ("c", "cc -c"),
    ("cc", "c++ -c"),
    ("cpp", "c++ -c"),
    ("cxx", "c++ -c"),
    ("C", "c++ -c"),
    ("s", "cc -c"),
    ("S", "cc -c"),
    ("rs", "rustc --emit obj"),
];

fn unrecognized(path: &str, magic: &str) -> Option<String> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or("");
    if let Some((_, compile)) = SOURCES.iter().find(|(known, _)| *known == extension) {
        return Some(format!("this is source text: compile it first ({compile} {path})"));
    }
    if magic.is_empty() {
        return Some("the compiler or a copy was interrupted: make the file again".into());
    }
    let (_, what) = KNOWN_MAGICS.iter().find(|(known, _)| magic.starts_with(known))?;
    Some(format!("this looks like {what}, which this build has no backend for (see jitlink targets)"))
}

/// Beginnings of names that only one library defines, and how it is given.
const LIBRARIES: &[(&[&str], &str)] = &[
    (
        &[
            "_ZNSt",
            "_ZNKSt",
            "_ZSt",
            "_ZNSo",
            "_ZNSi",
            "_ZTVSt",
            "_ZTISt",
            "_ZTTSt",
            "_ZTTNSt",
            "_ZTVNSt",
            "_ZTINSt",
            "_ZTVN10__cxxabiv1",
            "_ZTIi",
            "_Zn",
            "_Zd",
            "__cxa_",
            "__gxx_",
            "__dynamic_cast",
        ],
        "this is of the C++ library: add -l stdc++",
    ),
    (
        &["_RNvCs", "_RNvNtCs", "_RNvNtNtCs", "_RNvMs", "_RNvXs", "_RIN", "_ZN3std", "_ZN4core", "_ZN5alloc"],
        "this is of Rust's own libraries: add --rust-std (with RUSTC set to the rustc that compiled the object, if that is another), \
         or without std, libcore-*.rlib from $(rustc --print target-libdir)",
    ),
    (
        &["rust_eh_personality"],
        "add --rust-std, or without std, where nothing unwinds (-C panic=abort), --define rust_eh_personality=0",
    ),
];

/// Functions of the mathematical library, which C programs forget most often.
const MATHEMATICAL: &[&str] = &[
    "acos",
    "asin",
    "atan",
    "atan2",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "fma",
    "fmod",
    "hypot",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "lround",
    "nearbyint",
    "pow",
    "remainder",
    "rint",
    "round",
    "sin",
    "sincos",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "tgamma",
    "trunc",
];

fn library_of(symbol: &str) -> Option<String> {
    let begins = |(prefixes, _): &&(&[&str], &str)| prefixes.iter().any(|prefix| symbol.starts_with(prefix));
    if let Some((_, advice)) = LIBRARIES.iter().find(begins) {
        return Some((*advice).into());
    }
    let double = symbol.strip_suffix(['f', 'l']).unwrap_or(symbol);
    let mathematical = MATHEMATICAL.contains(&symbol) || MATHEMATICAL.contains(&double);
    mathematical.then(|| "this is of the mathematical library: add -l m".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_libraries_are_known_by_their_names() {
        for symbol in ["_ZSt4cout", "_Znwm", "__cxa_throw", "__gxx_personality_v0", "_ZNSo5flushEv"] {
            assert!(library_of(symbol).unwrap().contains("-l stdc++"), "{symbol}");
        }
        for symbol in ["sin", "sinf", "powl", "erf"] {
            assert!(library_of(symbol).unwrap().contains("-l m"), "{symbol}");
        }
        assert_eq!(library_of("_Z5parsePKc"), None);
        assert_eq!(library_of("parse"), None);
    }

    #[test]
    fn files_given_by_mistake_are_known() {
        assert!(unrecognized("src/hello.c", "23 69 6e").unwrap().contains("cc -c src/hello.c"));
        assert!(unrecognized("hello.obj", "64 86 07 00").unwrap().contains("COFF"));
        assert!(unrecognized("a.o", "").unwrap().contains("again"));
        assert_eq!(unrecognized("notes", "68 69 0a"), None);
    }
}
