//! Instructions with jumps to places that are not known yet.

use super::MAX_INSTRUCTIONS;
use crate::insn::{AluOp, Condition, Insn, Op, Operand, Reg, Width, encode};

/// The most words that one classic instruction becomes.
const MOST_WORDS: usize = 7;
/// Any distance in a program fits a short jump.
const _: () = assert!(MOST_WORDS * MAX_INSTRUCTIONS <= i16::MAX as usize);

/// Where a jump goes: a classic instruction.
type Label = usize;

/// Puts instructions one after another and fills in the distances of jumps at the end.
pub(super) struct Emitter {
    words: Vec<Insn>,
    /// The jump at each of these words, to be filled in.
    jumps: Vec<(usize, Label)>,
    /// Where the code of each classic instruction begins.
    starts: Vec<usize>,
}

impl Emitter {
    pub(super) fn new() -> Emitter {
        Emitter { words: Vec::new(), jumps: Vec::new(), starts: Vec::new() }
    }

    /// The next classic instruction begins here.
    pub(super) fn begin(&mut self) {
        self.starts.push(self.words.len());
    }

    pub(super) fn op(&mut self, op: Op) {
        encode(&op, &mut self.words);
    }

    /// `dst op= src`, on 32 bits, which is all that classic programs know.
    pub(super) fn alu(&mut self, op: AluOp, dst: Reg, src: Operand) {
        self.op(Op::Alu { width: Width::W32, op, dst, src });
    }

    pub(super) fn mov(&mut self, dst: Reg, src: Reg) {
        self.alu(AluOp::Mov, dst, Operand::Reg(src));
    }

    pub(super) fn jump(&mut self, label: Label) {
        self.jumps.push((self.words.len(), label));
        self.op(Op::Jump { off: 0, long: false });
    }

    /// Jumps over the next `words` words if a condition holds.
    pub(super) fn skip_if(&mut self, (condition, dst, src): (Condition, Reg, Operand), words: i16) {
        self.op(Op::JumpIf { width: Width::W32, condition, dst, src, off: words });
    }

    pub(super) fn jump_if(&mut self, test: (Condition, Reg, Operand), label: Label) {
        self.jumps.push((self.words.len(), label));
        self.skip_if(test, 0);
    }

    /// The words.
    pub(super) fn finish(mut self) -> Vec<Insn> {
        for &(at, label) in &self.jumps {
            // No program is long enough for more: see `MOST_WORDS`.
            self.words[at].off = (self.starts[label] - at - 1) as i16;
        }
        self.words
    }
}
