//! A project's objects: taken out of the files that packages ship, or compiled from their sources.
//!
//! Programs that use libbpf's skeletons carry the object whole, as constant data; so an object is found by its header,
//! whether it is a file of its own or a part of one. Objects that are byte for byte the same are one.

use super::fetch;
use super::projects::{Form, Include, LIBBPF, Origin, Package, Project, Sources};
use crate::Result;
use crate::conformance::build::in_parallel;
use crate::conformance::fetch::matches;
use crate::process::{capture, find_tool};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What one case links: an object, or several that are one program.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) files: Vec<PathBuf>,
}

/// Brings a project's packages and makes its objects, in the order of their names.
pub(super) fn of_project(project: &Project, work: &Path, jobs: usize) -> Result<Vec<Group>> {
    let folder = work.join(project.name).join("objects");
    std::fs::create_dir_all(&folder)?;
    let mut groups = match &project.origin {
        Origin::Debian { packages, files } => shipped(packages, files, work, &folder)?,
        Origin::Crate { package, sources } => {
            let objects = compiled(package, sources, work, (&folder, jobs))?;
            match sources.form {
                Form::Each => objects,
                Form::Together => vec![Group {
                    name: project.name.to_owned(),
                    files: objects.into_iter().flat_map(|object| object.files).collect(),
                }],
            }
        }
    };
    if groups.is_empty() {
        return Err("none of its files are there".into());
    }
    groups.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(groups)
}

/// The objects in files of Debian's packages.
fn shipped(packages: &[Package], patterns: &[&str], work: &Path, folder: &Path) -> Result<Vec<Group>> {
    let (mut groups, mut seen, mut counts) = (Vec::new(), HashSet::new(), HashMap::new());
    for package in packages {
        let top = fetch::debian(package, work)?;
        for file in expand(&top, patterns)? {
            let bytes = std::fs::read(&file)?;
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            for object in objects_in(&bytes) {
                if !seen.insert(object.to_vec()) {
                    continue;
                }
                let count: &mut usize = counts.entry(stem.clone()).or_default();
                *count += 1;
                let name = if *count == 1 { stem.clone() } else { format!("{stem}-{count}") };
                let path = folder.join(format!("{name}.o"));
                std::fs::write(&path, object)?;
                groups.push(Group { name, files: vec![path] });
            }
        }
    }
    Ok(groups)
}

/// The BPF objects in a file's bytes: 64-bit little-endian relocatable ELF for machine 247, up to the end of their last part.
fn objects_in(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    const MAGIC: &[u8] = b"\x7fELF\x02\x01\x01";
    let starts = bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
    starts.filter_map(|(start, _)| {
        let object = bytes.get(start..)?;
        let word = |at: usize| Some(u16::from_le_bytes(object.get(at..at + 2)?.try_into().ok()?));
        let long = |at: usize| usize::try_from(u64::from_le_bytes(object.get(at..at + 8)?.try_into().ok()?)).ok();
        // e_type ET_REL, e_machine EM_BPF.
        if word(16)? != 1 || word(18)? != 247 {
            return None;
        }
        let (table, entry, count) = (long(40)?, usize::from(word(58)?), usize::from(word(60)?));
        let mut end = table.checked_add(entry * count)?;
        for index in 0..count {
            let header = table + index * entry;
            // SHT_NOBITS takes no bytes.
            if object.get(header + 4..header + 8)? != [8, 0, 0, 0] {
                end = end.max(long(header + 24)?.checked_add(long(header + 32)?)?);
            }
        }
        object.get(..end)
    })
}

/// The objects that clang makes of a crate's sources.
fn compiled(package: &Package, sources: &Sources, work: &Path, place: (&Path, usize)) -> Result<Vec<Group>> {
    let (folder, jobs) = place;
    let clang = find_tool(&["clang-22", "clang"]).ok_or("clang is not installed (try `cargo xtask setup`)")?;
    let top = fetch::of_crate(package)?;
    let mut flags = vec![format!("-I{}", libbpf(work)?.display())];
    for include in sources.include {
        let include = match include {
            Include::Own(folder) => top.join(folder),
            Include::Of(package, folder) => fetch::of_crate(package)?.join(folder),
            Include::In(package, archive, folder) => fetch::archive(package, archive, work)?.join(folder),
        };
        flags.push(format!("-I{}", include.display()));
    }
    flags.extend(sources.flags.iter().map(|flag| (*flag).to_owned()));
    let files = expand(&top, sources.files)?;
    let one = |source: &PathBuf| compile(&clang, &flags, (&top, source), folder).map_err(|error| error.to_string());
    Ok(in_parallel(&files, jobs, one).into_iter().collect::<std::result::Result<_, _>>()?)
}

/// Compiles one source, unless its object is there and made by the same command: published sources never change.
fn compile(clang: &Path, flags: &[String], (top, source): (&Path, &PathBuf), folder: &Path) -> Result<Group> {
    let name = name_of(source.strip_prefix(top)?);
    let object = folder.join(format!("{name}.o"));
    let mut command = Command::new(clang);
    command.args(["--target=bpf", "-g", "-O2", "-w", "-c", "-D__TARGET_ARCH_x86"]).args(flags);
    // Where Debian has headers that differ from machine to machine.
    command.args(["-idirafter", "/usr/include/x86_64-linux-gnu"]).arg("-o").arg(&object).arg(source);
    let made_by = format!("{command:?}\n");
    let note = object.with_extension("made-by");
    if !object.is_file() || std::fs::read_to_string(&note).ok().as_ref() != Some(&made_by) {
        capture(&mut command)?;
        std::fs::write(note, made_by)?;
    }
    Ok(Group { name, files: vec![object] })
}

/// A name for a source among those of its project, since files in different folders may have the same name.
fn name_of(path: &Path) -> String {
    let path = path.to_string_lossy();
    let path = path.strip_prefix("src/").unwrap_or(&path);
    path.strip_suffix(".bpf.c").unwrap_or(path).replace('/', "-")
}

/// A folder in which libbpf's headers are below `bpf`.
fn libbpf(work: &Path) -> Result<PathBuf> {
    let (package, folder) = &LIBBPF;
    let include = work.join("include");
    let link = include.join("bpf");
    std::fs::create_dir_all(&include)?;
    let headers = fetch::of_crate(package)?.join(folder);
    if std::fs::read_link(&link).ok().as_ref() != Some(&headers) {
        _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(headers, &link)?;
    }
    Ok(include)
}

/// The files below `top` of the patterns' forms, in order of path.
fn expand(top: &Path, patterns: &[&str]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for pattern in patterns {
        let mut paths = vec![top.to_path_buf()];
        for part in pattern.split('/') {
            let mut found = Vec::new();
            for folder in paths.iter().filter(|path| path.is_dir()) {
                for entry in std::fs::read_dir(folder)? {
                    let entry = entry?;
                    if matches(part, &entry.file_name().to_string_lossy()) {
                        found.push(entry.path());
                    }
                }
            }
            paths = found;
        }
        // A link leads to a file that is there under its own name.
        all.extend(paths.into_iter().filter(|path| path.is_file() && !path.is_symlink()));
    }
    all.sort();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{name_of, objects_in};
    use std::path::Path;

    /// A header with one section header behind `body` bytes.
    fn object(body: usize) -> Vec<u8> {
        let mut bytes = vec![0; 64 + body + 64];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[16] = 1;
        bytes[18] = 247;
        bytes[40..48].copy_from_slice(&(64 + body as u64).to_le_bytes());
        bytes[58] = 64;
        bytes[60] = 1;
        bytes
    }

    #[test]
    fn objects_are_found_wherever_they_are() {
        let (one, other) = (object(8), object(24));
        let program = [b"\x7fELF\x02\x01\x01 not an object".as_slice(), &one, b"between", &other, b"after"].concat();
        assert_eq!(objects_in(&program).collect::<Vec<_>>(), [&one[..], &other[..]]);
        assert_eq!(objects_in(&one).collect::<Vec<_>>(), [&one[..]]);
    }

    #[test]
    fn objects_that_are_cut_or_of_another_machine_are_none() {
        let whole = object(8);
        assert_eq!(objects_in(&whole[..whole.len() - 1]).count(), 0);
        let mut other = object(8);
        other[18] = 62;
        assert_eq!(objects_in(&other).count(), 0);
        let mut absurd = object(8);
        absurd[40..48].copy_from_slice(&[0xff; 8]);
        assert_eq!(objects_in(&absurd).count(), 0);
    }

    #[test]
    fn names_tell_sources_apart() {
        assert_eq!(name_of(Path::new("src/bpf/main.bpf.c")), "bpf-main");
        assert_eq!(name_of(Path::new("bpf/tc.bpf.c")), "bpf-tc");
    }
}
