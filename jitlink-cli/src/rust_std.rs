//! Rust's standard library, with all else that rustc links a program with: `--rust-std`.
//!
//! A program needs more than the libraries that come with rustc. When rustc links, it makes one more object, in which the functions
//! that allocate lead to the default allocator or to the program's own; its names belong to one version of rustc. So nothing is put
//! together here: rustc is asked for a static library of an empty crate, which holds everything and needs no linker, and for the
//! shared libraries that have to be linked with it (`--print native-static-libs`).
//!
//! Where a program has its own `#[global_allocator]`, that object is another. Then the crate is not empty but has one too, and as
//! members of archives join a link only for names that nothing else defines, the crate itself stays out.

use crate::args::Panic;
use crate::remote;
use jitlink::core::arch::SystemNames;
use jitlink::core::archive::{Archive, MemberData};
use jitlink::{Input, LinkError, LinkErrors, Registry};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// Who is asked, in errors.
pub(crate) const RUSTC: &str = "rustc";

/// What errors and maps call the archive.
const NAME: &str = "rust-std.a";

/// What a crate with an allocator of its own defines, under names that end so: the first is what all crates call; of older
/// versions of rustc, the second is what that object leads to.
const OWN_ALLOCATOR: [&[u8]; 2] = [b"__rust_alloc", b"__rg_alloc"];

/// Such a crate.
const CRATE_WITH_ALLOCATOR: &str = "#[global_allocator]\nstatic ALLOCATOR: std::alloc::System = std::alloc::System;\n";

/// What rustc links programs with.
pub(crate) struct StandardLibrary {
    pub(crate) archive: Input,
    /// Shared libraries, as after `-l`.
    pub(crate) libraries: Vec<String>,
}

/// Asks rustc for the standard library that `inputs` need.
pub(crate) fn standard_library(panic: Panic, inputs: &[Input]) -> Result<StandardLibrary, LinkErrors> {
    let source = if any_has_allocator(&Registry::global()?, inputs)? { CRATE_WITH_ALLOCATOR } else { "" };
    let folder =
        tempfile::tempdir().map_err(|error| failed(format!("cannot make a folder for its output: {error}")))?;
    let target = inputs.iter().find_map(remote::elsewhere).map(SystemNames::rust_target);
    Ok(ask(panic, target, source, folder.path()).map_err(failed)?)
}

fn failed(reason: String) -> LinkError {
    LinkError::Resolver { resolver: RUSTC.into(), reason }
}

/// Has rustc make the archive in `folder`, for a target if it is not this machine.
fn ask(panic: Panic, target: Option<&str>, source: &str, folder: &Path) -> Result<StandardLibrary, String> {
    let (crate_file, archive_file) = (folder.join("rust_std.rs"), folder.join(NAME));
    std::fs::write(&crate_file, source).map_err(|error| format!("cannot write {}: {error}", crate_file.display()))?;
    let program = std::env::var_os("RUSTC").filter(|name| !name.is_empty()).unwrap_or_else(|| OsString::from(RUSTC));
    let panic = match panic {
        Panic::Unwind => "panic=unwind",
        Panic::Abort => "panic=abort",
    };
    let mut command = Command::new(program);
    command.args([
        "--crate-type",
        "staticlib",
        "--print",
        "native-static-libs",
        "-C",
        "opt-level=3",
        "-C",
        panic,
        "-o",
    ]);
    command.arg(&archive_file).args(target.into_iter().flat_map(|target| ["--target", target]));
    command.arg(&crate_file).stdin(Stdio::null());
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let shown = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let output = command.output().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("`{shown}` failed ({}) and said: {}", output.status, said.trim()));
    }
    let archive = std::fs::read(&archive_file)
        .map_err(|error| format!("`{shown}` wrote no archive ({error}) and said: {}", said.trim()))?;
    let libraries = libraries(&said)
        .ok_or_else(|| format!("`{shown}` named no libraries (native-static-libs) and said: {}", said.trim()))?;
    Ok(StandardLibrary { archive: Input::from_bytes(NAME, archive), libraries })
}

/// The libraries in rustc's note, in its order: `note: native-static-libs: -lgcc_s -lc`.
fn libraries(said: &str) -> Option<Vec<String>> {
    let (_, list) = said.lines().find_map(|line| line.split_once("native-static-libs:"))?;
    let names = list.split_whitespace().filter_map(|word| word.strip_prefix("-l"));
    Some(names.map(str::to_string).collect())
}

/// Whether one of the inputs, or a member of one, is of a crate with an allocator of its own.
fn any_has_allocator(registry: &Registry, inputs: &[Input]) -> Result<bool, LinkError> {
    for input in inputs {
        let has_allocator = match Archive::recognize(input.bytes()) {
            true => archive_has_allocator(registry, input)?,
            false => object_has_allocator(registry, input.name(), input.bytes())?,
        };
        if has_allocator {
            return Ok(true);
        }
    }
    Ok(false)
}

fn archive_has_allocator(registry: &Registry, input: &Input) -> Result<bool, LinkError> {
    let archive = Archive::parse(input.name(), input.bytes())?;
    if let Some(mut index) = archive.index() {
        return Ok(index.any(|(name, _)| is_of_allocator(name)));
    }
    for member in archive.members() {
        if let MemberData::Inline(bytes) = member.data
            && object_has_allocator(registry, &member.name, bytes)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is no object is left to the link, which says so.
fn object_has_allocator(registry: &Registry, object: &str, bytes: &[u8]) -> Result<bool, LinkError> {
    let Some(format) = registry.recognize(bytes) else { return Ok(false) };
    let mut found = false;
    format.definitions(object, bytes, &mut |name| found |= is_of_allocator(name))?;
    Ok(found)
}

/// Whether it is such a name, behind whatever this version of rustc puts before its own.
fn is_of_allocator(name: &[u8]) -> bool {
    OWN_ALLOCATOR.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_the_note() {
        let said = "warning: something\nnote: link against the following native artifacts …\n\n\
                    note: native-static-libs: -lgcc_s -lutil -lc\n\n";
        assert_eq!(libraries(said), Some(vec!["gcc_s".into(), "util".into(), "c".into()]));
        assert_eq!(libraries("note: native-static-libs:\n"), Some(Vec::new()));
        assert_eq!(libraries("warning: something\n"), None);
    }
}
