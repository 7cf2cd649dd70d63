//! Blocks: runs of bytes that stay contiguous.

use super::SectionId;
use std::ops::Range;

/// A run of bytes that layout places as a whole.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// The bytes.
    pub content: Content<'a>,
    /// The section that it belongs to.
    pub section: SectionId,
    /// Where it began in that section, for errors and for layout of blocks that stay together.
    pub section_offset: u64,
    /// The alignment as a power of two: the address is a multiple of `1 << align_log2`.
    pub align_log2: u8,
    pub(crate) first_edge: u32,
    pub(crate) edge_count: u32,
}

impl Block<'_> {
    /// Its size in bytes.
    #[inline]
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Zero(size) => *size,
            Content::Input(bytes) => bytes.len() as u64,
            Content::Owned(bytes) => bytes.len() as u64,
        }
    }

    /// Its alignment in bytes.
    pub fn align(&self) -> u64 {
        1 << self.align_log2
    }

    #[inline]
    pub(crate) fn edge_range(&self) -> Range<usize> {
        self.first_edge as usize..(self.first_edge + self.edge_count) as usize
    }
}

/// The bytes of a block: borrowed from the input until something writes them.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// Bytes of an input file.
    Input(&'a [u8]),
    /// Bytes that were made or changed by the linker.
    Owned(Box<[u8]>),
    /// This many zeros.
    Zero(u64),
}

impl Content<'_> {
    /// The bytes; empty for zeros.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Content::Input(bytes) => bytes,
            Content::Owned(bytes) => bytes,
            Content::Zero(_) => &[],
        }
    }

    /// The bytes from `start` to `end`, which lie inside.
    pub(crate) fn slice(&self, start: u64, end: u64) -> Self {
        match self {
            Content::Input(bytes) => Content::Input(&bytes[start as usize..end as usize]),
            Content::Owned(bytes) => Content::Owned(Box::from(&bytes[start as usize..end as usize])),
            Content::Zero(_) => Content::Zero(end - start),
        }
    }

    pub(crate) fn to_mut(&mut self) -> Option<&mut [u8]> {
        if let Content::Input(bytes) = self {
            *self = Content::Owned(Box::from(*bytes));
        }
        match self {
            Content::Owned(bytes) => Some(bytes),
            _ => None,
        }
    }
}
