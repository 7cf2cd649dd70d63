//! What the kernel is told of a program's functions and source lines.

use super::code::Array;
use crate::image::{BpfImage, Function};
use jitlink_core::Addr;

/// Records for `BPF_PROG_LOAD`, by instruction of the array; none where the objects do not say it of every function.
#[derive(Default)]
pub(super) struct Records {
    /// `struct bpf_func_info`: first instruction, type.
    pub(super) functions: Vec<u8>,
    /// `struct bpf_line_info`: instruction, name of the file, text of the line, its number and column.
    pub(super) lines: Vec<u8>,
}

/// The records of an array of instructions. The kernel takes either all functions or none, and lines from each function's start.
pub(super) fn records(image: &BpfImage, array: &Array<'_>) -> Records {
    let functions = array.functions.iter().map(|(function, first)| {
        let found = image.types.functions.binary_search_by_key(&function.address, |(address, _)| *address).ok()?;
        Some([*first as u32, image.types.functions[found].1.0])
    });
    let Some(functions) = functions.collect::<Option<Vec<_>>>() else { return Records::default() };
    let lines = array.functions.iter().map(|(function, first)| lines(image, function, *first));
    let lines = lines.collect::<Option<Vec<_>>>().unwrap_or_default();
    Records {
        functions: functions.iter().flatten().flat_map(|word| word.to_ne_bytes()).collect(),
        lines: lines.iter().flatten().flatten().flat_map(|word| word.to_ne_bytes()).collect(),
    }
}

fn lines(image: &BpfImage, function: &Function, first: usize) -> Option<Vec<[u32; 4]>> {
    let all = &image.types.lines;
    let end = Addr(function.address.0.saturating_add(function.size));
    let from = all.partition_point(|(address, _)| *address < function.address);
    let to = all.partition_point(|(address, _)| *address < end);
    let own = all.get(from..to)?;
    if own.first()?.0 != function.address {
        return None;
    }
    let mut records: Vec<[u32; 4]> = Vec::with_capacity(own.len());
    for (address, line) in own {
        let instruction = first as u32 + ((address.0 - function.address.0) / 8) as u32;
        // The kernel takes one line an instruction, in ascending order.
        if records.last().is_none_or(|last| last[0] < instruction) {
            let place = line.line << 10 | u32::from(line.column) & 0x3ff;
            records.push([instruction, line.file, line.text, place]);
        }
    }
    Some(records)
}
