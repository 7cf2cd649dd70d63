//! The image: a link's segments as one file of raw bytes.
//!
//! Segments stand in the file one after another, in order of address, each with all its bytes: what is at `image_offset` and of
//! the segment's size is its memory, and what lies past the file's end is zero. So zero-fill costs nothing at the end, and
//! elsewhere it is a hole in the file where the file system knows holes.

use crate::link::{cannot_write, is_standard_output};
use jitlink::core::image::{ImageSegment, ImageThreadLocals};
use jitlink::{Addr, LinkErrors};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// Where each segment stands in the image file.
pub(crate) struct Layout {
    segments: Vec<(u64, ImageSegment)>,
    /// The initial values of thread-local variables, which are one of the segments.
    pub(crate) thread_locals: Option<ImageThreadLocals>,
}

impl Layout {
    /// The layout of segments in order of address.
    pub(crate) fn of(segments: Vec<ImageSegment>, thread_locals: Option<ImageThreadLocals>) -> Layout {
        let mut end = 0u64;
        let place = |segment: ImageSegment| {
            let offset = end;
            end += segment.size();
            (offset, segment)
        };
        Layout { segments: segments.into_iter().map(place).collect(), thread_locals }
    }

    /// The place in the file of the segment at an address.
    pub(crate) fn offset(&self, address: Addr) -> Option<u64> {
        self.segments.iter().find(|(_, segment)| segment.address == address).map(|(offset, _)| *offset)
    }
}

/// Writes the image to a file, or to standard output.
pub(crate) fn write(path: &Path, layout: &Layout) -> Result<(), LinkErrors> {
    let written = match is_standard_output(path) {
        true => write_in_order(&mut std::io::stdout().lock(), layout),
        false => File::create(path).and_then(|file| write_with_holes(file, layout)),
    };
    written.map_err(|error| cannot_write(path, &error).into())
}

fn write_with_holes(mut file: File, layout: &Layout) -> std::io::Result<()> {
    // A device or pipe has no places to seek to.
    if !file.metadata()?.is_file() {
        return write_in_order(&mut file, layout);
    }
    for (offset, segment) in &layout.segments {
        let bytes = segment.stored_bytes();
        if !bytes.is_empty() {
            file.seek(SeekFrom::Start(*offset))?;
            file.write_all(bytes)?;
        }
    }
    Ok(())
}

fn write_in_order(out: &mut dyn Write, layout: &Layout) -> std::io::Result<()> {
    let zeros = vec![0; 64 << 10];
    let mut end = 0;
    for (offset, segment) in &layout.segments {
        let bytes = segment.stored_bytes();
        if bytes.is_empty() {
            continue;
        }
        while end < *offset {
            let count = (offset - end).min(zeros.len() as u64);
            out.write_all(&zeros[..count as usize])?;
            end += count;
        }
        out.write_all(bytes)?;
        end += bytes.len() as u64;
    }
    out.flush()
}
