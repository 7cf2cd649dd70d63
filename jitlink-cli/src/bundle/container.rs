//! The file: a plain tar archive, of which nothing is ever unpacked to disk.
//!
//! What is written depends on names and bytes alone: no times, no owners. What is read is looked at in place; every rule that
//! it breaks is an error, since a bundle may come from anyone.

use super::manifest;
use std::collections::{BTreeMap, HashMap, HashSet};
use tar::{Archive, Builder, EntryType, Header};

/// Puts files together, in order.
pub(crate) fn write<'f>(files: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> std::io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes)?;
    }
    builder.into_inner()
}

/// The files of a bundle by their names.
pub(crate) type Files<'a> = BTreeMap<String, &'a [u8]>;

/// Finds the files in a bundle.
pub(crate) fn read(bytes: &[u8]) -> Result<Files<'_>, String> {
    // What the reader says of garbage is garbage itself.
    let damaged = |_: std::io::Error| "it is no tar archive, or a damaged one".to_string();
    let mut files = Files::new();
    let mut archive = Archive::new(bytes);
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| "a name in it is no text")?;
        check_name(&name)?;
        if entry.header().entry_type() != EntryType::Regular {
            return Err(format!("{name} in it is no plain file"));
        }
        let start = usize::try_from(entry.raw_file_position()).ok();
        let size = usize::try_from(entry.size()).ok();
        let content = start.zip(size).and_then(|(start, size)| bytes.get(start..)?.get(..size));
        let Some(content) = content else {
            let (size, all) = (entry.size(), bytes.len());
            return Err(format!("{name} in it claims {size:#x} bytes, of a bundle of {all:#x}"));
        };
        if files.insert(name.clone(), content).is_some() {
            return Err(format!("{name} is in it twice"));
        }
    }
    if files.is_empty() {
        return Err("it is no tar archive, or an empty one".into());
    }
    Ok(files)
}

/// Names are ours: the manifest, or a plain name in one of two folders.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |name: &str| {
        !matches!(name, "" | "." | "..") && !name.contains(['/', '\\']) && !name.contains(|c: char| c.is_control())
    };
    let folder = ["inputs/", "result/"].iter().find_map(|folder| name.strip_prefix(folder));
    match name == manifest::NAME || folder.is_some_and(plain) {
        true => Ok(()),
        false => Err(format!("{:?} in it is no name that a bundle has", name.chars().take(100).collect::<String>())),
    }
}

/// Names for inputs: those of their files, each made one of a kind.
pub(crate) fn unique_names<'n>(paths: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    // How often a name came, so that many files of one name do not try the same numbers again.
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut names = Vec::new();
    for path in paths {
        let file = path.rsplit('/').find(|part| !matches!(*part, "" | "." | "..")).unwrap_or("input");
        let clean = |c: char| if c.is_control() || c == '\\' { '_' } else { c };
        let file: String = file.chars().map(clean).take(80).collect();
        let count = counts.entry(file.clone()).or_insert(0);
        let name = loop {
            *count += 1;
            let name = numbered(&file, *count);
            if taken.insert(name.clone()) {
                break name;
            }
        };
        names.push(name);
    }
    names
}

/// `main.o` as the first of its name, then `main-2.o`.
fn numbered(file: &str, count: u64) -> String {
    let (stem, extension) = match file.rfind('.') {
        Some(dot) if dot > 0 => file.split_at(dot),
        _ => (file, ""),
    };
    if count == 1 { file.to_string() } else { format!("{stem}-{count}{extension}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_depends_on_nothing_else() {
        let long = format!("inputs/{}", "long".repeat(60));
        let files =
            [("manifest.json", b"{}".as_slice()), (long.as_str(), b"\0\xff".as_slice()), ("result/a", b"".as_slice())];
        let bytes = write(files).unwrap();
        assert_eq!(bytes, write(files).unwrap());
        let read = read(&bytes).unwrap();
        assert_eq!(read.into_iter().collect::<BTreeMap<_, _>>(), files.map(|(name, at)| (name.to_string(), at)).into());
    }

    #[test]
    fn hostile_names_sizes_and_kinds_are_refused() {
        let header = |name: &str, kind, size: u64| {
            let mut header = Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(kind);
            header.set_size(size);
            header.set_cksum();
            header.as_bytes().to_vec()
        };
        let error = |bytes: &[u8]| read(bytes).unwrap_err();
        for name in
            ["../x", "/etc/passwd", "inputs/../x", "inputs/", "inputs/..", "other/x", "inputs/a/b", "inputs/a\\b"]
        {
            let error = error(&header(name, EntryType::Regular, 0));
            assert!(error.contains("no name that a bundle has"), "{name}: {error}");
        }
        let huge = header("inputs/a.o", EntryType::Regular, 1 << 32);
        assert_eq!(error(&huge), "inputs/a.o in it claims 0x100000000 bytes, of a bundle of 0x200");
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Directory, EntryType::Fifo, EntryType::GNUSparse] {
            let error = error(&header("inputs/a.o", kind, 0));
            assert!(error.contains("no plain file") || error.contains("damaged"), "{error}");
        }
        let twice = [header("inputs/a", EntryType::Regular, 0), header("inputs/a", EntryType::Regular, 0)].concat();
        assert_eq!(error(&twice), "inputs/a is in it twice");
        assert!(error(b"").contains("an empty one"));
        assert!(error(&[b'x'; 2000]).contains("damaged"));
    }

    #[test]
    fn names_are_files_names_made_unique() {
        let paths = ["a/main.o", "b/main.o", "main-2.o", "../x/libm.a", "/", "main.o", ".hidden", "new\nline.o"];
        let names = unique_names(paths);
        let expected = ["main.o", "main-2.o", "main-2-2.o", "libm.a", "input", "main-3.o", ".hidden", "new_line.o"];
        assert_eq!(names, expected);
    }
}
