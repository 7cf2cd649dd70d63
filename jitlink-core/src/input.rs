//! Input files: mapped, or given as bytes.

use crate::error::LinkError;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Files of at least this size are mapped.
const MAPPED_FROM: u64 = 64 << 10;

/// Parts of at least this size are worth the system call that gives their memory back.
const RELEASED_FROM: usize = 256 << 10;

/// A file to link: an object or an archive.
#[derive(Clone)]
pub struct Input {
    name: String,
    data: Data,
    /// Whether all members of an archive are linked, needed or not.
    pub whole_archive: bool,
}

#[derive(Clone)]
enum Data {
    Mapped(Arc<memmap2::Mmap>),
    Bytes(Arc<Vec<u8>>),
}

impl Input {
    /// Bytes with the name that errors and maps give them.
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Input {
        Input { name: name.into(), data: Data::Bytes(Arc::new(bytes.into())), whole_archive: false }
    }

    /// A file, which must not be changed in place while it is being linked (replacing it is fine).
    pub fn open(path: impl AsRef<Path>) -> Result<Input, LinkError> {
        let path = path.as_ref();
        let failed =
            |error: std::io::Error| LinkError::Io { path: path.display().to_string(), reason: error.to_string() };
        let file = std::fs::File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(std::io::Error::other("is a directory")));
        }
        // Small files are cheaper to read than to map, and a pipe can be neither mapped nor measured.
        let data = if !metadata.is_file() {
            let mut bytes = Vec::new();
            (&file).read_to_end(&mut bytes).map_err(failed)?;
            Data::Bytes(Arc::new(bytes))
        } else if metadata.len() >= MAPPED_FROM {
            Data::Mapped(Arc::new(map(&file).map_err(failed)?))
        } else {
            let mut bytes = vec![0; metadata.len() as usize];
            (&file).read_exact(&mut bytes).map_err(failed)?;
            Data::Bytes(Arc::new(bytes))
        };
        Ok(Input { name: path.display().to_string(), data, whole_archive: false })
    }

    /// This input with all archive members linked, needed or not.
    pub fn whole_archive(mut self) -> Input {
        self.whole_archive = true;
        self
    }

    /// The name that errors and maps give it: the path as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Mapped(map) => map,
            Data::Bytes(bytes) => bytes,
        }
    }

    /// Gives the memory of a part back to the system. Should it be read again, it comes from the file again.
    pub(crate) fn release(&self, bytes: &[u8]) {
        let Data::Mapped(map) = &self.data else { return };
        let Some(start) = (bytes.as_ptr() as usize).checked_sub(map.as_ptr() as usize) else { return };
        if bytes.len() >= RELEASED_FROM && start + bytes.len() <= map.len() {
            unload(map, start, bytes.len());
        }
    }
}

#[allow(unsafe_code, reason = "a file mapping is the one input that does not copy")]
fn map(file: &std::fs::File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the mapping is private and read-only. That the file is not truncated or rewritten in place meanwhile is what
    // `Input::open` asks of its caller.
    unsafe { memmap2::Mmap::map(file) }
}

#[allow(unsafe_code, reason = "the system cannot know that bytes that were read are not read again")]
fn unload(map: &memmap2::Mmap, start: usize, length: usize) {
    // Pages that are not wholly in the part may hold something else that is still to be read; reading those again would be
    // sound, but slow.
    const LARGEST_PAGE: usize = 64 << 10;
    let first = start.next_multiple_of(LARGEST_PAGE);
    let end = (start + length) & !(LARGEST_PAGE - 1);
    if first < end {
        // SAFETY: nothing was ever written to the mapping, so what is dropped here is equal to what the file has.
        let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, first, end - first) };
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("name", &self.name).field("bytes", &self.bytes().len()).finish()
    }
}
