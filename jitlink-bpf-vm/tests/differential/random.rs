//! Random numbers that a seed decides, and those that find mistakes.

/// A generator of random numbers (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `count`, which is not zero.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// Whether something that happens so often in a hundred happens.
    pub(crate) fn percent(&mut self, of: usize) -> bool {
        self.below(100) < of
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        bytes.chunks_mut(8).for_each(|chunk| {
            let word = self.value().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        });
    }

    /// A constant: often one at which signs, carries or widths change.
    pub(crate) fn constant(&mut self) -> i32 {
        const EDGES: &[i32] =
            &[0, 1, -1, 2, -2, 7, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, i32::MAX, i32::MIN];
        if self.percent(50) { self.pick(EDGES) } else { self.next() as i32 }
    }

    /// The same for 64 bits.
    pub(crate) fn value(&mut self) -> u64 {
        match self.below(6) {
            0 => self.constant() as u32 as u64,
            1 => i64::from(self.constant()) as u64,
            2 => u64::from(self.constant() as u32) << 32,
            3 => 1 << self.below(64),
            4 => (1u64 << self.below(64)).wrapping_sub(1),
            _ => self.next(),
        }
    }
}
