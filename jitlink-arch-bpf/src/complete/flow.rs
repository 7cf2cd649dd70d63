//! What control flow says of a run of instructions: which places it joins, and what it calls.

use crate::insn::{Insn, WORD};

/// Code whose opcode says that control never goes on to the next instruction: `exit`, `ja`, its long form, an indirect jump.
const ENDS: [u8; 4] = [0x95, 0x05, 0x06, 0x0d];
/// A call by its immediate.
const CALL: u8 = 0x85;
/// The source "register" of a call that means a function of the program, by distance.
const PROGRAM_CALL: u8 = 1;

/// The control flow of a block.
pub(super) struct Flow<'c> {
    words: &'c [Insn],
    /// By word: the first of an instruction.
    is_start: Vec<bool>,
    /// Calls without a relocation: where from and where to, in bytes.
    pub(super) calls: Vec<(u32, u32)>,
    /// Jumps: where from and where to, in words.
    jumps: Vec<(usize, usize)>,
}

impl<'c> Flow<'c> {
    /// Looks at all instructions. `relocated` are the offsets of relocations. An error is a word's number and a reason.
    pub(super) fn of(words: &'c [Insn], relocated: &[u32]) -> Result<Flow<'c>, (usize, String)> {
        let mut flow = Flow { words, is_start: vec![false; words.len()], calls: Vec::new(), jumps: Vec::new() };
        let mut is_relocated = vec![false; words.len()];
        for offset in relocated {
            if let Some(word) = is_relocated.get_mut(*offset as usize / WORD) {
                *word = true;
            }
        }
        let mut index = 0;
        while let Some(word) = words.get(index) {
            flow.is_start[index] = true;
            if word.code == CALL && word.src == PROGRAM_CALL && !is_relocated[index] {
                let to = flow.target(index, i64::from(word.imm), "call")?;
                flow.calls.push(((index * WORD) as u32, (to * WORD) as u32));
            } else if let Some(distance) = distance(word) {
                let to = flow.target(index, distance, "jump")?;
                flow.jumps.push((index, to));
            }
            index += if word.is_wide() { 2 } else { 1 };
        }
        Ok(flow)
    }

    /// The word that a distance from the next instruction means.
    fn target(&self, index: usize, distance: i64, what: &str) -> Result<usize, (usize, String)> {
        let to = index as i64 + 1 + distance;
        let inside = usize::try_from(to).ok().filter(|to| *to < self.words.len());
        inside.ok_or_else(|| {
            let count = self.words.len();
            (index, format!("a {what} without relocation goes to instruction {to} of the section, which has {count}"))
        })
    }

    /// Whether an instruction starts at an offset, or the block ends there.
    pub(super) fn may_start(&self, offset: u32) -> bool {
        let word = offset as usize / WORD;
        offset.is_multiple_of(WORD as u32) && self.is_start.get(word).copied().unwrap_or(word == self.words.len())
    }

    /// Those of the places, in bytes and sorted, over which control does not flow. The first byte is no cut.
    pub(super) fn separable(&self, starts: &[u32]) -> Vec<u32> {
        let ends = |place: usize| {
            let word = |back: usize| place.checked_sub(back).map(|at| (self.words[at], self.is_start[at]));
            word(1).is_some_and(|(word, is_start)| is_start && ENDS.contains(&word.code))
        };
        let aligned = |start: &u32| start.is_multiple_of(WORD as u32) && *start as usize / WORD < self.words.len();
        let words = starts.iter().filter(|start| aligned(start)).map(|start| *start as usize / WORD);
        let places: Vec<usize> = words.filter(|&place| place > 0 && self.is_start[place] && ends(place)).collect();
        // How many jumps begin to lead over a place here, less those that end to.
        let mut change = vec![0i64; places.len() + 1];
        for &(from, to) in &self.jumps {
            let (low, high) = (from.min(to), from.max(to));
            let first = places.partition_point(|&place| place <= low);
            let last = places.partition_point(|&place| place <= high);
            change[first] += 1;
            change[last] -= 1;
        }
        let mut over = 0;
        let free = places.iter().zip(change).filter_map(|(&place, change)| {
            over += change;
            (over == 0).then_some((place * WORD) as u32)
        });
        free.collect()
    }
}

/// How far a jump goes from the next instruction, in words.
fn distance(word: &Insn) -> Option<i64> {
    match (word.code & 7, word.code >> 4) {
        // Calls, exits and indirect jumps.
        (5 | 6, 0x8 | 0x9) => None,
        (5, 0x0) if word.code == 0x0d => None,
        (6, 0x0) => Some(i64::from(word.imm)),
        (5 | 6, 0x0..=0xe) => Some(i64::from(word.off)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(code: u8, src: u8, off: i16, imm: i32) -> Insn {
        Insn { code, dst: 0, src, off, imm }
    }

    const EXIT: Insn = Insn { code: 0x95, dst: 0, src: 0, off: 0, imm: 0 };

    #[test]
    fn functions_part_where_nothing_flows() {
        // mov; exit | jeq +1; mov; exit | call 0; exit
        let words =
            [word(0xb7, 0, 0, 0), EXIT, word(0x15, 0, 1, 0), word(0xb7, 0, 0, 1), EXIT, word(0x85, 1, 0, -6), EXIT];
        let flow = Flow::of(&words, &[]).unwrap();
        assert_eq!(flow.calls, [(40, 0)]);
        assert_eq!(flow.separable(&[0, 16, 24, 40, 56]), [16, 40]);
    }

    #[test]
    fn jumps_and_wide_loads_hold_together() {
        // ja +2; exit | exit | exit: the places at 16 and 24 are jumped over and into.
        let words = [word(0x05, 0, 2, 0), EXIT, EXIT, EXIT, EXIT];
        assert_eq!(Flow::of(&words, &[]).unwrap().separable(&[8, 16, 24, 32]), [32]);
        // The second word of a wide load is no place, even if it looks like an end.
        let words = [word(0x18, 0, 0, 0), EXIT, EXIT, EXIT];
        assert_eq!(Flow::of(&words, &[]).unwrap().separable(&[8, 16, 24]), [24]);
        // A long jump back.
        let words = [EXIT, EXIT, word(0x06, 0, 0, -2), EXIT];
        assert_eq!(Flow::of(&words, &[]).unwrap().separable(&[8, 16, 24]), [8, 24]);
    }

    #[test]
    fn what_leaves_the_section_is_refused() {
        for words in [[word(0x05, 0, 1, 0), EXIT], [word(0x85, 1, 0, -3), EXIT], [word(0x06, 0, 0, i32::MIN), EXIT]] {
            assert!(Flow::of(&words, &[]).is_err(), "{words:?}");
        }
        // With a relocation, the immediate is an addend.
        assert!(Flow::of(&[word(0x85, 1, 0, -3), EXIT], &[0]).is_ok());
    }
}
