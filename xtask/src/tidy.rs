//! Source rules that no compiler knows.
//!
//! A rule is a row of [`RULES`]: a name, the files it reads, and a function from one file to findings. To add one, add
//! a row. Exceptions are rows too, each with its reason; a rule without exceptions worth a sentence is a rule that holds.

use crate::code::{name_parts, without_comments};
use crate::process::{capture, cargo, root, step};
use crate::{Args, Result, fixtures};
use std::process::Command;

/// Longest source file, in lines.
const LONGEST_FILE: usize = 600;

/// Names of architectures, as parts of identifiers.
const ARCHITECTURES: &[&str] = &[
    "x86",
    "i386",
    "amd64",
    "ppc",
    "ppc64",
    "powerpc",
    "powerpc64",
    "bpf",
    "ebpf",
    "aarch64",
    "arm",
    "arm64",
    "riscv",
    "riscv64",
    "loongarch",
    "loongarch64",
    "s390x",
    "mips",
];

/// Names of object formats, as parts of identifiers.
const FORMATS: &[&str] = &["elf", "elf32", "elf64", "coff", "macho", "xcoff"];

/// What a path on one person's machine begins with; in pieces, so that this file passes its own rule.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/tmp/", "wt/")];

/// One rule about single files.
struct Rule {
    name: &'static str,
    applies: fn(&str) -> bool,
    check: fn(&File) -> Vec<Finding>,
}

/// A file that may break a rule: the rule, the path (one that ends in `/` stands for all below it), and why.
type Exception = (&'static str, &'static str, &'static str);

/// A file as rules see it.
struct File {
    path: String,
    text: String,
    /// The text without comments.
    code: String,
}

/// A line number (0 for the file as a whole) and what is wrong there.
type Finding = (usize, String);

const RULES: &[Rule] = &[
    Rule { name: "length", applies: |path| is_source(path) && !is_test(path) && !is_table(path), check: length },
    Rule {
        name: "module-docs",
        applies: |path| is_source(path) && path.contains("/src/") && !is_test(path),
        check: module_docs,
    },
    Rule { name: "unfinished", applies: is_source, check: unfinished },
    Rule { name: "machine-path", applies: |_| true, check: machine_path },
    Rule {
        name: "core-knows-no-architecture",
        applies: |path| path.starts_with("jitlink-core/src/") && is_source(path),
        check: |file| {
            // `cfg(target_arch)` is about the machine that the linker runs on.
            named(file, ARCHITECTURES, "target_arch", "core knows no architecture: extend `TargetArch`")
        },
    },
    Rule {
        name: "core-knows-no-format",
        applies: |path| path.starts_with("jitlink-core/src/") && is_source(path),
        check: |file| named(file, FORMATS, "", "core knows no format: extend `ObjectFormat`"),
    },
    Rule {
        name: "architectures-know-no-format",
        applies: |path| {
            path.starts_with("jitlink-arch-") && path.contains("/src/") && is_source(path) && !is_table(path)
        },
        check: |file| {
            // The tables have to be registered by name.
            named(file, FORMATS, "relocs", "only an architecture's relocation tables name formats")
        },
    },
    Rule {
        name: "formats-know-no-architecture",
        applies: |path| is_format(path) && path.contains("/src/") && is_source(path) && !is_test(path),
        check: |file| named(file, ARCHITECTURES, "", "a format finds its relocations through the registered tables"),
    },
];

const EXCEPTIONS: &[Exception] = &[
    (
        "core-knows-no-format",
        "jitlink-core/src/process/",
        "the host's own shared libraries are asked, not what is linked",
    ),
    (
        "formats-know-no-architecture",
        "jitlink-elf/src/machine.rs",
        "numbers that the ELF specification gives to machines",
    ),
    ("formats-know-no-architecture", "jitlink-coff/src/machine.rs", "numbers that Microsoft gives to machines"),
    (
        "formats-know-no-architecture",
        "jitlink-elf/src/sections.rs",
        "section types and flags of one machine, in a table",
    ),
    ("formats-know-no-architecture", "jitlink-elf/src/symbols.rs", "the section index of large common symbols"),
    (
        "formats-know-no-architecture",
        "jitlink-elf/src/lib.rs",
        "the one machine with relocations of another form is refused",
    ),
];

pub(crate) fn main(args: Args) -> Result {
    args.finish()?;
    tidy()
}

/// Checks all rules; every finding is shown before this fails.
pub(crate) fn tidy() -> Result {
    step("tidy");
    let mut findings = Vec::new();
    for path in tracked_files()? {
        // What is not text (committed objects) has no rules.
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        let code = if is_source(&path) { without_comments(&text) } else { String::new() };
        check_file(&File { path, text, code }, &mut findings);
    }
    dependencies(&mut findings)?;
    fixtures_are_built(&mut findings)?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => {
            Err(format!("{count} places break the source rules (xtask/src/tidy.rs says why they are there)").into())
        }
    }
}

/// The files that git knows, so that build output and scratch files are never read.
fn tracked_files() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    Ok(capture(&mut git)?.lines().map(str::to_owned).collect())
}

fn check_file(file: &File, findings: &mut Vec<String>) {
    for rule in RULES.iter().filter(|rule| (rule.applies)(&file.path) && !is_excepted(rule.name, &file.path)) {
        for (line, message) in (rule.check)(file) {
            let place = if line == 0 { file.path.clone() } else { format!("{}:{line}", file.path) };
            findings.push(format!("{place}: [{}] {message}", rule.name));
        }
    }
}

fn is_excepted(rule: &str, path: &str) -> bool {
    EXCEPTIONS.iter().any(|(excepted_rule, excepted, _)| {
        *excepted_rule == rule && (*excepted == path || (excepted.ends_with('/') && path.starts_with(excepted)))
    })
}

fn is_source(path: &str) -> bool {
    path.ends_with(".rs")
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The tables of relocations: one line a row, as long as the ABI makes them.
fn is_table(path: &str) -> bool {
    path.ends_with("/relocs.rs") || path.contains("/relocs/")
}

fn is_format(path: &str) -> bool {
    ["jitlink-elf/", "jitlink-coff/", "jitlink-macho/"].iter().any(|folder| path.starts_with(folder))
}

fn length(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().count();
    if lines <= LONGEST_FILE {
        return Vec::new();
    }
    vec![(0, format!("{lines} lines; split it by responsibility (limit {LONGEST_FILE}, 400 is better)"))]
}

fn module_docs(file: &File) -> Vec<Finding> {
    // A crate's attributes may stand above, and its README may be its documentation.
    let first =
        file.text.lines().find(|line| !line.trim().is_empty() && (!line.starts_with("#![") || line.contains("doc")));
    if first.is_some_and(|line| line.starts_with("//!") || line.starts_with("#![doc = include_str!(")) {
        return Vec::new();
    }
    vec![(1, "a module begins with `//!`: the problem, the idea, what always holds".to_owned())]
}

fn unfinished(file: &File) -> Vec<Finding> {
    let macros = [concat!("todo", "!("), concat!("unimplemented", "!(")];
    lines_with(&file.code, |line| {
        macros.iter().find(|name| line.contains(**name)).map(|_| "unfinished code".to_owned())
    })
}

fn machine_path(file: &File) -> Vec<Finding> {
    lines_with(&file.text, |line| {
        let path = MACHINE_PATHS.iter().find(|path| line.contains(**path))?;
        Some(format!("`{path}` is a path of one machine"))
    })
}

/// Findings for each line of code that names one of `names`, unless the line holds `excuse` in whatever case.
fn named(file: &File, names: &[&str], excuse: &str, message: &str) -> Vec<Finding> {
    lines_with(&file.code, |line| {
        let name = name_parts(line).find(|part| names.contains(&part.as_str()))?;
        let is_excused = !excuse.is_empty() && line.to_ascii_lowercase().contains(excuse);
        (!is_excused).then(|| format!("`{name}` in `{}`: {message}", line.trim()))
    })
}

fn lines_with(text: &str, check: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let numbered = text.lines().enumerate();
    numbered.filter_map(|(index, line)| Some((index + 1, check(line)?))).collect()
}

/// Backends depend on the core alone; tests may use whatever they need.
fn dependencies(findings: &mut Vec<String>) -> Result {
    let text = capture(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if !is_format(&format!("{name}/")) && !name.starts_with("jitlink-arch-") {
            continue;
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let other = dependency["name"].as_str().unwrap_or_default();
            let is_test_only = dependency["kind"].as_str() == Some("dev");
            if other.starts_with("jitlink") && other != "jitlink-core" && !is_test_only {
                findings.push(format!("{name}/Cargo.toml: [backends-use-core-alone] it depends on {other}"));
            }
        }
    }
    Ok(())
}

/// Each source of a fixture has its object beside it, so that no test needs a compiler.
fn fixtures_are_built(findings: &mut Vec<String>) -> Result {
    for source in fixtures::sources(&root())? {
        if !source.with_extension("o").is_file() {
            let shown = source.strip_prefix(root()).unwrap_or(&source).display();
            findings.push(format!("{shown}: [fixtures] its object is missing: run `cargo xtask fixtures`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{File, check_file};
    use crate::code::without_comments;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        let file = File { path: path.to_owned(), text: text.to_owned(), code: without_comments(text) };
        check_file(&file, &mut findings);
        findings
    }

    #[test]
    fn core_may_speak_of_architectures_but_not_name_them() {
        assert!(findings("jitlink-core/src/layout.rs", "//! As on x86-64.\nfn f() {} // ELF").is_empty());
        let found = findings("jitlink-core/src/layout.rs", "//! Layout.\nuse x86::Thing;");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("jitlink-core/src/layout.rs:2: [core-knows-no-architecture]"), "{}", found[0]);
    }

    #[test]
    fn only_tables_of_an_architecture_name_formats() {
        let text = "//! x\nuse object::elf;";
        assert_eq!(findings("jitlink-arch-x86/src/stubs.rs", text).len(), 1);
        assert!(findings("jitlink-arch-x86/src/lib.rs", "//! x\nuse relocs::ELF_X86_64;").is_empty());
        assert!(findings("jitlink-arch-x86/src/relocs/elf64.rs", text).is_empty());
    }

    #[test]
    fn long_files_and_unfinished_code_are_found() {
        let long = format!("//! x\n{}", "\n".repeat(700));
        assert_eq!(findings("jitlink-elf/src/sections.rs", &long).len(), 1);
        assert!(findings("jitlink-elf/src/sections/tests.rs", &long).is_empty());
        assert_eq!(findings("jitlink/src/lib.rs", concat!("//! x\nfn f() { todo", "!() }")).len(), 1);
    }
}
