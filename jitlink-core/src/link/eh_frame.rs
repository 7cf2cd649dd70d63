//! Unwind records: the live ones of the batch become one `.eh_frame`.
//!
//! An FDE finds its CIE by the distance to it, which no relocation tells, so records cannot be moved one by one. They are put
//! together here, where distances are known; equal CIEs become one, and a terminator ends the whole (LSB Core, `.eh_frame`).
//!
//! An unwinder trusts what it is given, so records are checked before it sees them: versions and augmentations are ones that
//! unwinders know.

use super::synthetic::Synthetic;
use crate::addr::Endian;
use crate::error::LinkError;
use crate::graph::unwind::{Record, check_encoding, classify, encoding, encodings};
use crate::graph::{BlockId, Content, Edge, LinkGraph, Role, Section};
use hashbrown::HashMap;

/// The bytes of a CIE and its edges, with targets resolved: equal keys mean equal CIEs.
type CieKey = (Vec<u8>, Vec<(u32, u16, u32, i64)>);

/// How the records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With the zero length that ends what an unwinder reads.
    Terminator,
    /// So that records of other objects can follow.
    Open,
}

/// Puts the live records together; the block that holds them, if there are any.
pub(super) fn combine(graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic) -> Result<Option<BlockId>, Vec<LinkError>> {
    combine_to(graph, synthetic, Ending::Terminator)
}

/// [`combine`] with an ending of the caller's choice.
pub(super) fn combine_to(
    graph: &mut LinkGraph<'_>,
    synthetic: &mut Synthetic,
    ending: Ending,
) -> Result<Option<BlockId>, Vec<LinkError>> {
    let endian = graph.target.endian;
    let (mut bytes, mut edges) = (Vec::<u8>::new(), Vec::<Edge>::new());
    let mut shared: HashMap<CieKey, u64> = HashMap::new();
    let mut errors = Vec::new();
    let (mut origin, mut last) = (None, 0);
    let sections: Vec<_> =
        graph.sections().filter(|(_, section)| section.role == Role::EhFrame).map(|(id, _)| id).collect();
    for section in sections {
        // Where this section's CIEs went: old offset, new offset.
        let mut cies: Vec<(u64, u64)> = Vec::new();
        for block in graph.section(section).blocks.clone().map(BlockId) {
            if !std::mem::replace(&mut graph.live[block.index()], false) {
                continue;
            }
            let data = graph.block(block);
            let (content, start) = (data.content.bytes(), data.section_offset);
            let at = bytes.len() as u64;
            match classify(content, endian) {
                Some(Record::Cie) => {
                    let head = if endian.read(&content[..4]) == 0xffff_ffff { 16 } else { 8 };
                    let checked = check_cie(content, head).and_then(|()| match ending {
                        Ending::Terminator => check_encodings(content, graph),
                        Ending::Open => Ok(()),
                    });
                    if let Err(what) = checked {
                        let (object, section) =
                            (graph.object_of(block).name.clone(), graph.section(section).name_lossy());
                        errors.push(LinkError::malformed(object, section, start, what));
                        continue;
                    }
                    let describe = |edge: &Edge| (edge.offset, edge.row, graph.canonical(edge.target).0, edge.addend);
                    let key = (content.to_vec(), graph.edges(block).iter().map(describe).collect());
                    let known = *shared.entry(key).or_insert(at);
                    cies.push((start, known));
                    if known != at {
                        continue;
                    }
                    bytes.extend_from_slice(content);
                }
                Some(Record::Fde { pointer, distance, .. }) => {
                    let old = (start + pointer as u64).wrapping_sub(distance);
                    let Ok(found) = cies.binary_search_by_key(&old, |cie| cie.0) else { continue };
                    bytes.extend_from_slice(content);
                    let field = at as usize + pointer;
                    endian.write(&mut bytes[field..field + 4], field as u64 - cies[found].1);
                }
                _ => continue,
            }
            (origin, last) = (origin.or(Some(graph.section(section).origin)), at as usize);
            let moved = |edge: &Edge| Edge { offset: edge.offset + at as u32, ..*edge };
            edges.extend(graph.edges(block).iter().map(moved));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut align_log2 = 3;
    match ending {
        Ending::Terminator => bytes.extend_from_slice(&[0; 4]),
        Ending::Open => {
            align_log2 = graph.target.pointer_bytes.trailing_zeros() as u8;
            pad(&mut bytes, last, usize::from(graph.target.pointer_bytes), endian);
        }
    }
    if bytes.len() > u32::MAX as usize {
        let (value, limit) = (bytes.len() as u64, u64::from(u32::MAX));
        return Err(vec![LinkError::TooLarge { what: "unwind records of the batch".into(), value, limit }]);
    }
    let mut section = Section::new(b".eh_frame", synthetic.object(graph));
    (section.role, section.origin) = (Role::EhFrame, origin.unwrap_or_default());
    let block = synthetic.add(graph, section, Content::Owned(bytes.into()), align_log2);
    synthetic.set_edges(graph, block, edges);
    Ok(Some(block))
}

/// Lengthens the last record to a multiple of the alignment, with the zeros that DWARF calls `DW_CFA_nop`: as bytes between
/// records they would be the end of all.
fn pad(bytes: &mut Vec<u8>, last: usize, align: usize, endian: Endian) {
    bytes.resize(bytes.len().next_multiple_of(align), 0);
    let size = bytes.len() - last;
    let (length, header) = match endian.read(&bytes[last..last + 4]) {
        0xffff_ffff => (last + 4..last + 12, 12),
        _ => (last..last + 4, 4),
    };
    endian.write(&mut bytes[length], (size - header) as u64);
}

/// Checks the fixed part of a CIE, which starts after its id.
fn check_cie(content: &[u8], version_at: usize) -> Result<(), String> {
    let short = || "a CIE that is cut short".to_string();
    let version = *content.get(version_at).ok_or_else(short)?;
    if !matches!(version, 1 | 3 | 4) {
        return Err(format!("a CIE of version {version}; known are 1, 3 and 4"));
    }
    let augmentation = &content[version_at + 1..];
    let end = augmentation.iter().position(|&byte| byte == 0).ok_or_else(short)?;
    let augmentation = &augmentation[..end];
    let known = augmentation.is_empty()
        || augmentation == b"eh"
        || augmentation[0] == b'z' && augmentation[1..].iter().all(|letter| b"LPRSBG".contains(letter));
    match known {
        true => Ok(()),
        false => Err(format!("a CIE with the unknown augmentation {:?}", String::from_utf8_lossy(augmentation))),
    }
}

/// Checks that unwinders can read the pointers of a CIE and of its FDEs: they end the process over others.
fn check_encodings(content: &[u8], graph: &LinkGraph<'_>) -> Result<(), String> {
    let target = &graph.target;
    // What has no letters for pointers, or those of old compilers, has no encodings.
    let Some(found) = encodings(content, target.endian, usize::from(target.pointer_bytes)) else { return Ok(()) };
    check_encoding("addresses of functions (R)", found.pointers, true)?;
    if let Some(encoding) = found.language.filter(|encoding| *encoding != encoding::OMIT) {
        check_encoding("addresses of language-specific data (L)", encoding, false)?;
    }
    found.personality.map_or(Ok(()), |(_, encoding)| check_encoding("the personality routine (P)", encoding, false))
}
