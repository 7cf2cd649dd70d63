//! Compressed sections (gABI, "Section Compression"): debug information only, read only when it is asked for.
//!
//! The header declares the size, so nothing is believed beyond it: the declared size must be one that the compressed bytes can
//! give at all, memory grows with what really comes out, and the result must have exactly that size.

use crate::header::File;
use jitlink_core::LinkError;
use object::elf;
use object::pod;
use object::read::elf::{CompressionHeader, FileHeader, SectionHeader};
use std::io::Read;

/// The largest section that is decompressed. Edges count offsets in 32 bits.
const MAX_SIZE: u64 = 1 << 31;
/// The most bytes that one compressed byte can become: a deflate match of 258 bytes takes two bits, a zstd block of 128 KiB
/// takes four bytes.
const MAX_RATIO_ZLIB: u64 = 258 * 4;
const MAX_RATIO_ZSTD: u64 = (128 << 10) / 4;
/// A window that decoders support whatever the size of the content (RFC 8878, 3.1.1.1.2).
const MIN_WINDOW: u64 = 8 << 20;

/// A section's bytes and the alignment that they ask for.
pub(crate) fn decompress<Elf: FileHeader>(
    file: &File<'_, '_, Elf>,
    index: usize,
) -> Result<(Box<[u8]>, u64), LinkError> {
    let malformed = |what: String| Err(file.malformed(index, 0, what));
    if file.sections[index].sh_type(file.endian) == elf::SHT_NOBITS {
        return malformed("a compressed section without content".into());
    }
    let Ok((header, compressed)) = pod::from_bytes::<Elf::CompressionHeader>(file.content(index)) else {
        return malformed("the section ends within its compression header".into());
    };
    let size: u64 = header.ch_size(file.endian).into();
    let kind = header.ch_type(file.endian);
    let ratio = match kind {
        elf::ELFCOMPRESS_ZLIB => MAX_RATIO_ZLIB,
        elf::ELFCOMPRESS_ZSTD => MAX_RATIO_ZSTD,
        _ => {
            let what = format!("compressed by method {:#x}, which is neither zlib (1) nor zstd (2)", kind.0);
            return Err(file.unsupported(index, what, "compile with -gz=zlib, -gz=zstd or without -gz"));
        }
    };
    if size > (compressed.len() as u64).saturating_mul(ratio) || size > MAX_SIZE {
        let limit = MAX_SIZE.min((compressed.len() as u64).saturating_mul(ratio));
        return malformed(format!(
            "{:#x} compressed bytes are declared to hold {size:#x}; they can hold {limit:#x} at most",
            compressed.len()
        ));
    }
    let result = match kind {
        elf::ELFCOMPRESS_ZLIB => collect(flate2::read::ZlibDecoder::new(compressed), size),
        _ => zstd(compressed, size),
    };
    match result {
        Ok(bytes) if bytes.len() as u64 == size => {
            Ok((bytes.into_boxed_slice(), header.ch_addralign(file.endian).into()))
        }
        Ok(bytes) => malformed(format!(
            "the compressed bytes hold {} than the declared {size:#x}",
            if bytes.len() as u64 > size { "more".to_string() } else { format!("{:#x} bytes, less", bytes.len()) }
        )),
        Err(reason) => malformed(format!("the compressed bytes are damaged: {reason}")),
    }
}

/// All that comes out, up to one byte more than expected.
fn collect(from: impl Read, size: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(size + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn zstd(mut compressed: &[u8], size: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while !compressed.is_empty() && bytes.len() as u64 <= size {
        let window = size.max(MIN_WINDOW);
        let frame = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(&mut compressed, window);
        let frame = frame.map_err(|error| error.to_string())?;
        frame.take(size + 1 - bytes.len() as u64).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    }
    Ok(bytes)
}
