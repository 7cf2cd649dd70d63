//! Images that jitlink links without running them, as programs: what a loader needs to know is taken from the map of the link and
//! written in front of the memory.

use super::musl::Library;
use crate::Result;
use crate::process::capture;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the file's headers are in memory, where start-up code looks for them, and the page size that all is aligned to.
const HEADERS: u64 = 0x1000_0000;
const PAGE: u64 = 0x1_0000;

/// Kinds of program headers: memory, initial values of thread-local variables, what finds unwind records.
const PT_LOAD: u32 = 1;
const PT_TLS: u32 = 7;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;

/// Where in the memory of the headers the latter is.
const UNWIND: u64 = 0x800;

/// Has jitlink link objects with a library, and writes the image as a static program for big-endian 64-bit PowerPC, of the ELFv2 ABI.
pub(super) fn program(jitlink: &Path, library: &Library, objects: &[PathBuf], folder: &Path) -> Result<PathBuf> {
    let (map, image, program) = (folder.join("image.json"), folder.join("image.bin"), folder.join("image"));
    let mut command = Command::new(jitlink);
    command.args(["link", "--no-exec", "--thread-locals", "--entry", "_start", "--page-size", &PAGE.to_string()]);
    command.args(["--base", &format!("{:#x}", HEADERS + PAGE), "--map"]).arg(&map).arg("--image").arg(&image);
    capture(command.args(library.around(objects)))?;
    let map: Value = serde_json::from_slice(&std::fs::read(&map)?)?;
    std::fs::write(&program, executable(&map, &std::fs::read(&image)?).ok_or("the map lacks what a program needs")?)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok(program)
}

/// The program's file: the memory from the headers on, without zeros at its end. `None` where the map does not say enough.
fn executable(map: &Value, image: &[u8]) -> Option<Vec<u8>> {
    let mut headers = vec![program_header(PT_LOAD, 4, (HEADERS, PAGE, PAGE), PAGE)];
    let mut file = vec![0; PAGE as usize];
    for segment in map["segments"].as_array()? {
        let (address, size) = (address(&segment["address"])?, segment["size"].as_u64()?);
        let flags = match segment["protection"].as_str()? {
            "r-x" => 5,
            "r--" => 4,
            "rw-" => 6,
            _ => return None,
        };
        let start = usize::try_from(segment["image_offset"].as_u64()?).ok()?.min(image.len());
        let bytes = &image[start..image.len().min(start + size as usize)];
        file.resize(usize::try_from(address.checked_sub(HEADERS)?).ok()?, 0);
        file.extend_from_slice(bytes);
        headers.push(program_header(PT_LOAD, flags, (address, bytes.len() as u64, size), PAGE));
    }
    if let (Some(address), block) = (address(&map["thread_locals"]["address"]), &map["thread_locals"]) {
        let [size, stored, align] = ["size", "stored", "align"].map(|name| block[name].as_u64());
        headers.push(program_header(PT_TLS, 4, (address, stored?, size?), align?));
    }
    let mut sections = listed(map, "sections");
    if let Some(records) = sections.find(|section| section["name"] == ".eh_frame") {
        // DWARF pointers (LSB, "Exception Frames"): the records by their address, no table.
        let mut finder = vec![1, 0x04, 0xff, 0xff];
        finder.extend(address(&records["address"])?.to_be_bytes());
        let (start, size) = (UNWIND as usize, finder.len() as u64);
        file[start..start + finder.len()].copy_from_slice(&finder);
        headers.push(program_header(PT_GNU_EH_FRAME, 4, (HEADERS + UNWIND, size, size), 4));
    }
    let entry = listed(map, "symbols").find(|symbol| symbol["name"] == "_start")?;
    let mut start = b"\x7fELF\x02\x02\x01".to_vec();
    start.resize(16, 0);
    start.extend([2u16, 21].map(u16::to_be_bytes).concat()); // ET_EXEC, EM_PPC64
    start.extend(1u32.to_be_bytes());
    start.extend([address(&entry["address"])?, 64, 0].map(u64::to_be_bytes).concat());
    start.extend(2u32.to_be_bytes()); // The version of the ABI.
    start.extend([64, 56, headers.len() as u16, 64, 0, 0].map(u16::to_be_bytes).concat());
    start.extend(headers.concat());
    file[..start.len()].copy_from_slice(&start);
    Some(file)
}

/// A program header for memory at an address, of which so many bytes are in the file and so many in all.
fn program_header(kind: u32, flags: u32, (address, stored, size): (u64, u64, u64), align: u64) -> Vec<u8> {
    let places = [address - HEADERS, address, address, stored, size, align];
    [[kind, flags].map(u32::to_be_bytes).concat(), places.map(u64::to_be_bytes).concat()].concat()
}

/// All symbols or sections of a map.
fn listed<'m>(map: &'m Value, what: &'static str) -> impl Iterator<Item = &'m Value> {
    let objects = map["objects"].as_array().into_iter().flatten();
    objects.flat_map(move |object| object[what].as_array().into_iter().flatten())
}

/// An address as maps write it.
fn address(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::executable;
    use serde_json::json;

    #[test]
    fn a_program_holds_headers_and_memory() {
        let mut map = json!({
            "segments": [
                { "address": "0x10010000", "size": 4, "protection": "r-x", "image_offset": 0 },
                { "address": "0x10020000", "size": 0x100, "protection": "rw-", "image_offset": 4 },
            ],
            "objects": [{ "symbols": [{ "name": "_start", "address": "0x10010000" }] }],
        });
        let file = executable(&map, b"codedata").expect("all is said");
        let long = |at: usize| u64::from_be_bytes(file[at..at + 8].try_into().expect("eight bytes"));
        assert_eq!((file.len(), long(24), file[57]), (0x2_0004, 0x1001_0000, 3));
        assert_eq!((&file[0x1_0000..0x1_0004], &file[0x2_0000..]), (&b"code"[..], &b"data"[..]));
        // Of the last segment, four bytes are in the file.
        let last = 64 + 2 * 56;
        assert_eq!([8, 16, 32, 40].map(|at| long(last + at)), [0x2_0000, 0x1002_0000, 4, 0x100]);
        map["objects"] = json!([]);
        assert!(executable(&map, b"codedata").is_none());
    }
}
