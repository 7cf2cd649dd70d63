//! Input files: mapped, or given as bytes.

use crate::error::LinkError;
use crate::pages;
use rayon::prelude::*;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Files of at least this size are mapped.
const MAPPED_FROM: u64 = 64 << 10;

/// Parts of at least this size are worth the system call that gives their memory back.
const RELEASED_FROM: usize = 256 << 10;

/// From this many files on, small ones share memory and all are opened on several threads.
const SHARED_FROM: usize = 256;

/// How much memory small files share.
const SHARED_BYTES: usize = 8 << 20;

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
    /// A part of memory that many small files share.
    Shared(Arc<Vec<u8>>, Range<usize>),
}

impl Input {
    /// Bytes with the name that errors and maps give them.
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Input {
        Input { name: name.into(), data: Data::Bytes(Arc::new(bytes.into())), whole_archive: false }
    }

    /// A file, which must not be changed in place while it is being linked (replacing it is fine).
    pub fn open(path: impl AsRef<Path>) -> Result<Input, LinkError> {
        let path = path.as_ref();
        let (file, kind) = find(path)?;
        let data = match kind {
            Kind::Stream => {
                let mut bytes = Vec::new();
                (&file).read_to_end(&mut bytes).map_err(|error| failed(path, &error))?;
                Data::Bytes(Arc::new(bytes))
            }
            Kind::Large => Data::Mapped(Arc::new(map(&file).map_err(|error| failed(path, &error))?)),
            Kind::Small(size) => {
                let mut bytes = vec![0; size];
                (&file).read_exact(&mut bytes).map_err(|error| failed(path, &error))?;
                Data::Bytes(Arc::new(bytes))
            }
        };
        Ok(Input::of(path, data))
    }

    /// Opens files as [`Input::open`] does each, in order. Thousands of them are opened on several threads, and small ones
    /// among so many share their memory, which is kept while one of them is.
    pub fn open_all<P: AsRef<Path> + Sync>(paths: &[P]) -> Vec<Result<Input, LinkError>> {
        if paths.len() < SHARED_FROM {
            return paths.iter().map(Input::open).collect();
        }
        let share = paths.len().div_ceil(rayon::current_num_threads()).max(SHARED_FROM);
        paths.par_chunks(share).flat_map_iter(open_shared).collect()
    }

    /// Closes inputs that nothing reads any more. To give the memory of large files back takes a while, so several threads do.
    pub fn close_all(inputs: Vec<Input>) {
        inputs.par_iter().for_each(|input| {
            if let Data::Mapped(map) = &input.data
                && Arc::strong_count(map) == 1
            {
                unload(map, 0, map.len());
            }
        });
    }

    fn of(path: &Path, data: Data) -> Input {
        Input { name: path.display().to_string(), data, whole_archive: false }
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
            Data::Shared(memory, range) => &memory[range.clone()],
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

/// How a file is read.
enum Kind {
    /// A pipe can be neither mapped nor measured.
    Stream,
    Large,
    /// Small files are cheaper to read than to map.
    Small(usize),
}

fn failed(path: &Path, error: &std::io::Error) -> LinkError {
    LinkError::Io { path: path.display().to_string(), reason: error.to_string() }
}

fn find(path: &Path) -> Result<(File, Kind), LinkError> {
    let file = File::open(path).map_err(|error| failed(path, &error))?;
    let metadata = file.metadata().map_err(|error| failed(path, &error))?;
    if metadata.is_dir() {
        return Err(failed(path, &std::io::Error::other("is a directory")));
    }
    let kind = match metadata.len() {
        _ if !metadata.is_file() => Kind::Stream,
        size if size >= MAPPED_FROM => Kind::Large,
        size => Kind::Small(size as usize),
    };
    Ok((file, kind))
}

/// Opens files one after another; small ones are read to memory that they share.
fn open_shared<P: AsRef<Path>>(paths: &[P]) -> Vec<Result<Input, LinkError>> {
    let mut opened = Vec::with_capacity(paths.len());
    let mut memory: Vec<u8> = Vec::new();
    // Those in the memory that is being filled: place among the opened ones, and range.
    let mut waiting: Vec<(usize, Range<usize>)> = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let size = match find(path) {
            Ok((file, Kind::Small(size))) => {
                if memory.capacity() - memory.len() < size {
                    share(&mut opened, std::mem::take(&mut memory), &mut waiting);
                    memory = Vec::with_capacity(SHARED_BYTES);
                    pages::prefer_large(&mut memory);
                }
                let start = memory.len();
                memory.resize(start + size, 0);
                (&file).read_exact(&mut memory[start..]).map(|()| start..start + size).map_err(|error| {
                    memory.truncate(start);
                    failed(path, &error)
                })
            }
            Ok(_) => {
                opened.push(Input::open(path));
                continue;
            }
            Err(error) => Err(error),
        };
        if let Ok(range) = &size {
            waiting.push((opened.len(), range.clone()));
        }
        opened.push(size.map(|range| Input::of(path, Data::Shared(Arc::default(), range))));
    }
    share(&mut opened, memory, &mut waiting);
    opened
}

/// Gives inputs the memory that they were read to.
fn share(opened: &mut [Result<Input, LinkError>], memory: Vec<u8>, waiting: &mut Vec<(usize, Range<usize>)>) {
    let memory = Arc::new(memory);
    for (place, range) in waiting.drain(..) {
        if let Ok(input) = &mut opened[place] {
            input.data = Data::Shared(memory.clone(), range);
        }
    }
}

#[allow(unsafe_code, reason = "a file mapping is the one input that does not copy")]
fn map(file: &File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the mapping is private and read-only. That the file is not truncated or rewritten in place meanwhile is what
    // `Input::open` asks of its caller.
    unsafe { memmap2::Mmap::map(file) }
}

/// Other systems take the pages of a mapped file back by themselves.
#[cfg(not(unix))]
fn unload(_map: &memmap2::Mmap, _start: usize, _length: usize) {}

#[cfg(unix)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_are_opened_in_order_and_errors_stay_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let content = |index: usize| match index {
            7 => vec![7; MAPPED_FROM as usize + 1],
            8 => Vec::new(),
            _ => format!("file {index}").into_bytes(),
        };
        let paths: Vec<_> = (0..2 * SHARED_FROM).map(|index| folder.path().join(format!("{index}.o"))).collect();
        paths.iter().enumerate().for_each(|(index, path)| std::fs::write(path, content(index)).unwrap());
        std::fs::remove_file(&paths[300]).unwrap();
        let opened = Input::open_all(&paths);
        assert_eq!(opened.len(), paths.len());
        for (index, (input, path)) in opened.iter().zip(&paths).enumerate() {
            let Ok(input) = input else {
                assert_eq!(index, 300);
                continue;
            };
            assert_eq!((input.name(), input.bytes()), (path.to_str().unwrap(), &content(index)[..]));
        }
        assert!(matches!(&opened[300], Err(LinkError::Io { path, .. }) if *path == paths[300].display().to_string()));
    }

    #[test]
    fn what_is_released_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.o");
        let content: Vec<u8> = (0..4 * RELEASED_FROM).map(|at| (at / 1000) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let input = Input::open(&path).unwrap();
        input.release(&input.bytes()[1000..2 * RELEASED_FROM]);
        input.release(&content[..RELEASED_FROM]);
        assert_eq!(input.bytes(), content);
        let bytes = Input::from_bytes("given.o", content.clone());
        bytes.release(bytes.bytes());
        assert_eq!(bytes.bytes(), content);
        // Closed, a clone of it is still whole.
        let clone = input.clone();
        Input::close_all(vec![input, bytes, Input::open(&path).unwrap()]);
        assert_eq!(clone.bytes(), content);
    }
}
