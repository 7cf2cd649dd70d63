//! Unwind records: the live ones of the batch become one `.eh_frame`.
//!
//! An FDE finds its CIE by the distance to it, which no relocation tells, so records cannot be moved one by one. They are put
//! together here, where distances are known; equal CIEs become one, and a terminator ends the whole (LSB Core, `.eh_frame`).
//!
//! An unwinder trusts what it is given, so records are checked before it sees them: versions and augmentations are ones that
//! unwinders know.

use super::synthetic::Synthetic;
use crate::error::LinkError;
use crate::graph::unwind::{Record, classify};
use crate::graph::{BlockId, Content, Edge, LinkGraph, Role, Section};
use hashbrown::HashMap;

/// The bytes of a CIE and its edges, with targets resolved: equal keys mean equal CIEs.
type CieKey = (Vec<u8>, Vec<(u32, u16, u32, i64)>);

/// Puts the live records together; the block that holds them, if there are any.
pub(super) fn combine(graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic) -> Result<Option<BlockId>, Vec<LinkError>> {
    let endian = graph.target.endian;
    let (mut bytes, mut edges) = (Vec::<u8>::new(), Vec::<Edge>::new());
    let mut shared: HashMap<CieKey, u64> = HashMap::new();
    let mut errors = Vec::new();
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
                    if let Err(what) =
                        check_cie(content, if endian.read(&content[..4]) == 0xffff_ffff { 16 } else { 8 })
                    {
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
    bytes.extend_from_slice(&[0; 4]);
    if bytes.len() > u32::MAX as usize {
        let (value, limit) = (bytes.len() as u64, u64::from(u32::MAX));
        return Err(vec![LinkError::TooLarge { what: "unwind records of the batch".into(), value, limit }]);
    }
    let mut section = Section::new(b".eh_frame", synthetic.object(graph));
    section.role = Role::EhFrame;
    let block = synthetic.add(graph, section, Content::Owned(bytes.into()), 3);
    synthetic.set_edges(graph, block, edges);
    Ok(Some(block))
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
