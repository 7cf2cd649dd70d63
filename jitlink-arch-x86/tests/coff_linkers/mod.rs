//! Objects with one relocation after another, each over bytes of its own, and what other linkers make of them.

use jitlink_core::Endian;
use jitlink_core::reloc::{FieldError, Inputs, Reloc, Subject, apply, evaluate};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a relocation refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// A symbol at a fixed address.
    At(u32),
    /// A symbol at an offset of the section `.target`.
    Inside(u32),
}

/// Bytes that a relocation is applied to, at their start.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) row: &'static Reloc,
    pub(crate) target: Target,
    pub(crate) bytes: Vec<u8>,
}

impl Place {
    /// The bytes of a relocation's field, in which something stands.
    pub(crate) fn new(row: &'static Reloc, target: Target, stored: i64) -> Place {
        Place { row, target, bytes: stored.to_le_bytes()[..row.field().bytes()].to_vec() }
    }
}

/// How far apart places are, and where in each stretch its bytes start; the rest of it is ones.
const STRIDE: usize = 32;
const START: usize = 8;

/// The size of `.target`, whose bytes are all zero: more than 24 bits can say.
const TARGET_SIZE: usize = 0x200_0000;

/// An object for a machine, with the places in `.place`.
pub(crate) fn object(machine: u16, places: &[Place]) -> Vec<u8> {
    let (mut content, mut relocations, mut symbols) = (vec![0xff; STRIDE * places.len()], Vec::new(), Vec::new());
    for (index, place) in places.iter().enumerate() {
        let at = STRIDE * index + START;
        content[at..at + place.bytes.len()].copy_from_slice(&place.bytes);
        relocations.extend((at as u32).to_le_bytes());
        relocations.extend((index as u32).to_le_bytes());
        relocations.extend((place.row.raw() as u16).to_le_bytes());
        let (value, section) = match place.target {
            Target::At(address) => (address, -1),
            Target::Inside(offset) => (offset, 2),
        };
        symbol(&mut symbols, &format!("t{index}"), value, section);
    }
    let content_at = 20 + 2 * 40;
    let relocations_at = content_at + content.len();
    let symbols_at = relocations_at + relocations.len();
    let mut file = Vec::new();
    for half in [machine, 2, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [symbols_at as u32, places.len() as u32, 0] {
        file.extend(word.to_le_bytes());
    }
    // Data that is written, aligned to 16: with bytes, and without.
    let headers = [
        (b".place\0\0", content.len(), content_at, relocations_at, places.len(), 0xc050_0040),
        (b".target\0", TARGET_SIZE, 0, 0, 0, 0xc050_0080u32),
    ];
    for (name, size, at, relocations_at, count, flags) in headers {
        file.extend(name);
        for word in [0, 0, size as u32, at as u32, relocations_at as u32, 0, count as u32, flags] {
            file.extend(word.to_le_bytes());
        }
    }
    file.extend(content);
    file.extend(relocations);
    file.extend(symbols);
    // An empty string table.
    file.extend(4u32.to_le_bytes());
    file
}

fn symbol(table: &mut Vec<u8>, name: &str, value: u32, section: i16) {
    let mut padded = [0; 8];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    table.extend(padded);
    table.extend(value.to_le_bytes());
    table.extend(section.to_le_bytes());
    // No type, seen by others, nothing behind it.
    table.extend([0, 0, 2, 0]);
}

/// A linked file.
pub(crate) struct Image {
    file: Vec<u8>,
    pub(crate) base: u64,
}

impl Image {
    fn word(&self, at: usize) -> usize {
        u32::from_le_bytes(self.file[at..at + 4].try_into().expect("four bytes")) as usize
    }

    fn half(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes([self.file[at], self.file[at + 1]]))
    }

    /// A section's number, its address and where in the file it is.
    pub(crate) fn section(&self, wanted: &str) -> (u64, u64, usize) {
        let header = self.word(0x3c) + 4;
        let first = header + 20 + self.half(header + 16);
        let number = (0..self.half(header + 2)).find(|index| {
            let name = &self.file[first + 40 * index..][..8];
            String::from_utf8_lossy(name).trim_end_matches('\0') == wanted
        });
        let number = number.unwrap_or_else(|| panic!("no section {wanted}"));
        let at = first + 40 * number;
        (number as u64 + 1, self.base + self.word(at + 12) as u64, self.word(at + 20))
    }

    /// The address of a place, and what its bytes became; the ones around them are still there.
    pub(crate) fn place(&self, index: usize, size: usize) -> (u64, &[u8]) {
        let (_, address, start) = self.section(".place");
        let at = STRIDE * index + START;
        let stretch = &self.file[start + STRIDE * index..][..STRIDE];
        let around = stretch[..START].iter().chain(&stretch[START + size..]);
        assert!(around.copied().all(|byte| byte == 0xff), "place {index}: bytes around it");
        (address + at as u64, &self.file[start + at..][..size])
    }

    /// What we write at a place of this image.
    pub(crate) fn ours(&self, index: usize, place: &Place) -> Result<Vec<u8>, FieldError> {
        let (number, section, _) = self.section(".target");
        let subject = match place.target {
            Target::At(address) => u64::from(address),
            Target::Inside(_) if place.row.subject() == Subject::SectionIndex => number,
            Target::Inside(offset) => section + u64::from(offset),
        };
        let addend = place.row.implicit_addend(&place.bytes, Endian::Little);
        let at = self.place(index, place.bytes.len()).0;
        let inputs = Inputs { subject, addend, place: at, image: self.base, section, ..Inputs::default() };
        let mut bytes = place.bytes.clone();
        apply(place.row, &mut bytes, evaluate(place.row, &inputs), Endian::Little)?;
        Ok(bytes)
    }
}

/// A program, unless it is not installed; where everything has to be installed, that is an error.
pub(crate) fn installed(names: &[&'static str]) -> Option<&'static str> {
    let found = names.iter().copied().find(|name| Command::new(name).arg("--version").output().is_ok());
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "none of {names:?} is installed");
        eprintln!("skipped: none of {names:?} is installed");
    }
    found
}

/// What `linker` makes of an object at an address: LLD's for Windows, or a GNU ld. What it says if it makes nothing.
pub(crate) fn link(linker: &str, object: &[u8], base: u64) -> Result<Image, String> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.obj"), object).expect("a file");
    let out: PathBuf = folder.path().join("a.dll");
    let mut command = Command::new(linker);
    command.current_dir(folder.path());
    if linker.starts_with("lld-link") {
        command.args(["/dll", "/noentry", "/nodefaultlib", "/opt:noref", "/safeseh:no", "/out:a.dll", "a.obj"]);
        command.arg(format!("/base:{base:#x}"));
    } else {
        command.args(["--disable-reloc-section", "--image-base", &format!("{base:#x}"), "-o", "a.dll", "a.obj"]);
    }
    let output = command.output().expect("a program that starts");
    match output.status.success() {
        true => Ok(Image { file: read(&out), base }),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
