//! What names of sections and symbols mean by convention of Windows' and MinGW's tools.
//!
//! # Sections
//!
//! What stands in front of a `$` names the run that a section lies in, and the rest orders it there ("PE Format", "Grouped Sections
//! (Object Only)"). Programs walk over such runs from one section of theirs to another, which no relocation says. So a
//! section of data that is named with a `$` is never pruned, with two exceptions: one that is a copy of a COMDAT group, and one
//! that a compiler made for a single variable (`.data$NAME` with a symbol NAME), which only its name leads to.
//!
//! # Names that a linker provides
//!
//! | name | what |
//! | --- | --- |
//! | `__ImageBase`, and MinGW's `__image_base__` | the base of the image |
//! | `__RUNTIME_PSEUDO_RELOC_LIST__`, `…_END__` | both ends of an empty list: every reference is relocated before the program sees it |
//!
//! On i386 each has one underscore more.

use jitlink_core::format::Provided;
use jitlink_core::graph::{InitStage, Initialisers};

/// The run of sections with a record for each function.
const FUNCTION_TABLE: &[u8] = b".pdata";

/// How many bytes at the end of a section's name order it in its run. GCC's `.pdata.startup` is of the run of `.pdata`, as for `ld`
/// (its script has `*(.pdata*)`): there is one table of functions.
pub(crate) fn suffix(name: &[u8]) -> usize {
    if is_function_table(name) {
        return name.len() - FUNCTION_TABLE.len();
    }
    name.iter().position(|byte| *byte == b'$').map_or(0, |at| name.len() - at)
}

/// Sections that are left out: directives that were read, what only the loader of a linked file uses (tables for its
/// control-flow guard, by numbers of symbols), and notes for linkers.
pub(crate) fn is_for_linkers(name: &[u8]) -> bool {
    let run = &name[..name.len() - suffix(name)];
    let tables: [&[u8]; 8] =
        [b".drectve", b".gfids", b".giats", b".gljmp", b".gehcont", b".sxdata", b".voltbl", b".llvm_addrsig"];
    tables.contains(&run) || run.starts_with(b".llvm.") || run.starts_with(b".gnu.lto_")
}

/// Whether a section holds debug information, CodeView's or DWARF.
pub(crate) fn is_debug(name: &[u8]) -> bool {
    [b".debug".as_slice(), b".stab", b".zdebug"].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a section is part of the table of functions, as a whole or for some functions.
pub(crate) fn is_function_table(name: &[u8]) -> bool {
    name.strip_prefix(FUNCTION_TABLE).is_some_and(|rest| matches!(rest.first(), None | Some(b'$' | b'.')))
}

/// Whether a section of this run is a function's own.
pub(crate) fn is_of_one_function(name: &[u8], run: &[u8]) -> bool {
    name.strip_prefix(run).is_some_and(|rest| rest.starts_with(b"$"))
}

/// Whether a section holds unwind data of one function.
pub(crate) fn is_unwind_data(name: &[u8]) -> bool {
    is_of_one_function(name, b".pdata") || is_of_one_function(name, b".xdata")
}

/// Pieces of the tables by which the loader of a linked file finds what is in DLLs.
pub(crate) fn is_import_table(name: &[u8]) -> bool {
    name.starts_with(b".idata$")
}

/// Whether a section of data that is not in a group, with no symbol of its suffix, may be reached without its name.
pub(crate) fn is_walked_over(name: &[u8]) -> bool {
    let suffix = suffix(name);
    let run = &name[..name.len() - suffix];
    let others: [&[u8]; 6] = [b".text", b".pdata", b".xdata", b".rsrc", b".bss", b".tls"];
    is_pointer_array(name) || suffix > 0 && !others.contains(&run) && !is_import_table(name)
}

/// Pointers to functions that run before or after a program, or that its own start-up code walks over.
pub(crate) fn is_pointer_array(name: &[u8]) -> bool {
    let numbered = |prefix: &[u8]| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b".") || rest.starts_with(b"$"))
    };
    numbered(b".ctors") || numbered(b".dtors") || numbered(b".CRT")
}

/// When such pointers run, where a name says it.
///
/// | section | stage | runs |
/// | --- | --- | --- |
/// | `.CRT$XL…` (callbacks of threads, "PE Format", "TLS Callback Functions") | threads | first pointer first |
/// | `.CRT$XI…`, then `.CRT$XC…` (C's and C++'s initialisers, "CRT initialization") | preinit | first pointer first |
/// | `.ctors.N`, `.ctors` (GCC's, by descending N) | init | last pointer first |
/// | `.dtors`, `.dtors.N` | fini | first pointer first |
/// | `.CRT$XP…`, then `.CRT$XT…` (before and at termination) | fini | first pointer first |
///
/// What follows in `.CRT$XCU` orders the sections of that kind.
pub(crate) fn initialisers(name: &[u8]) -> Option<Initialisers> {
    const LAST: u32 = 65_535;
    let old = |prefix: &[u8]| match name.strip_prefix(prefix)? {
        b"" => Some(LAST),
        rest => {
            let number = std::str::from_utf8(rest.strip_prefix(b".")?).ok()?.parse::<u32>().ok();
            Some(LAST.saturating_sub(number.unwrap_or(0)))
        }
    };
    let order = |stage, priority, backwards| Some(Initialisers { stage, priority, backwards });
    if let Some(priority) = old(b".ctors") {
        return order(InitStage::Init, priority, true);
    }
    if let Some(priority) = old(b".dtors") {
        return order(InitStage::Fini, priority, false);
    }
    let (kind, rest) = name.strip_prefix(b".CRT$X")?.split_first()?;
    let rest = [0, 1, 2].iter().fold(0, |all, index| all << 8 | u32::from(rest.get(*index).copied().unwrap_or(0)));
    match kind {
        b'L' => order(InitStage::Threads, rest, false),
        b'I' => order(InitStage::Preinit, rest, false),
        b'C' => order(InitStage::Preinit, 1 << 24 | rest, false),
        b'P' => order(InitStage::Fini, 1, false),
        b'T' => order(InitStage::Fini, 0, false),
        _ => None,
    }
}

/// What of start-up code objects refer to ("PE Format", "The .tls Section").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartUp {
    /// The number of the module's block of thread-local variables.
    ThreadLocalIndex,
    /// What tells the loader of them; objects refer to it only to have it linked.
    ThreadLocalDirectory,
}

/// Which of it a name means.
pub(crate) fn of_start_up(name: &[u8]) -> Option<StartUp> {
    match name {
        b"_tls_index" | b"__tls_index" => Some(StartUp::ThreadLocalIndex),
        b"_tls_used" | b"__tls_used" => Some(StartUp::ThreadLocalDirectory),
        _ => None,
    }
}

/// What the start of the block is called here: no object can mean it by accident.
pub(crate) const THREAD_LOCALS: &[u8] = b"(thread-local variables)";

/// Whether a section has the initial values of thread-local variables.
pub(crate) fn is_thread_local(name: &[u8]) -> bool {
    &name[..name.len() - suffix(name)] == b".tls"
}

/// What the linker provides under a name.
pub(crate) fn provided(name: &[u8]) -> Option<Provided> {
    let names: [&[u8]; 4] =
        [b"__ImageBase", b"__image_base__", b"__RUNTIME_PSEUDO_RELOC_LIST__", b"__RUNTIME_PSEUDO_RELOC_LIST_END__"];
    let plain = |name: &[u8]| names.contains(&name);
    if name == THREAD_LOCALS {
        return Some(Provided::ThreadLocalBase);
    }
    (plain(name) || name.strip_prefix(b"_").is_some_and(plain)).then_some(Provided::ImageBase)
}

/// The name of what an import slot of this name points to.
pub(crate) fn imported(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"__imp_").filter(|rest| !rest.is_empty())
}

/// Symbols that say something of the object under a name that every object has; and what weak externals of GNU's assembler fall back
/// to, which is named after another symbol of the object (`.weak.NAME.OTHER`) that several objects may have.
pub(crate) fn is_object_mark(name: &[u8]) -> bool {
    matches!(name, b"@feat.00" | b"@comp.id" | b"@vol.md") || name.starts_with(b".weak.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_the_first_dollar() {
        for (name, run) in [
            (".CRT$XCU", ".CRT"),
            (".rdata$.refptr.f$g", ".rdata"),
            (".text", ".text"),
            ("$", ""),
            ("", ""),
            (".tls$", ".tls"),
        ] {
            assert_eq!(name.len() - suffix(name.as_bytes()), run.len(), "{name}");
        }
    }

    #[test]
    fn initialisers_run_in_the_order_of_start_up_code() {
        let key = |name: &str| initialisers(name.as_bytes()).map(|order| (order.stage, order.priority)).unwrap();
        let started = [
            ".CRT$XLA",
            ".CRT$XLD",
            ".CRT$XIA",
            ".CRT$XIU",
            ".CRT$XCA",
            ".CRT$XCL",
            ".CRT$XCU",
            ".ctors.65434",
            ".ctors.00001",
            ".ctors",
        ];
        assert!(started.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        // At the end all is turned around.
        let ended = [".dtors", ".dtors.65000", ".CRT$XPU", ".CRT$XTU"];
        assert!(ended.windows(2).all(|pair| key(pair[0]) > key(pair[1])));
        assert!(initialisers(b".ctors").unwrap().backwards && !initialisers(b".CRT$XCU").unwrap().backwards);
        for other in [".CRT$XDA", ".CRT", ".ctorsx", ".tls$"] {
            assert_eq!(initialisers(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_is_walked_over_is_told_by_name() {
        for name in [".CRT$XCA", ".ctors", ".ctors.65435", ".dtors", ".rdata$zzz", "mine$b", ".CRT"] {
            assert!(is_walked_over(name.as_bytes()), "{name}");
        }
        for name in [
            ".text", ".text$f", ".rdata", ".data", ".pdata$f", ".xdata$f", ".idata$5", ".rsrc$01", ".tls", ".tls$AAA",
            ".ctorsx", ".bss$x",
        ] {
            assert!(!is_walked_over(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn provided_names_may_have_another_underscore() {
        assert_eq!(provided(b"__ImageBase"), Some(Provided::ImageBase));
        assert_eq!(provided(b"___ImageBase"), Some(Provided::ImageBase));
        for other in ["ImageBase", "____ImageBase", "_ImageBase", ""] {
            assert_eq!(provided(other.as_bytes()), None, "{other}");
        }
    }
}
