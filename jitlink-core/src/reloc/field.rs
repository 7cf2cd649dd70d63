//! Fields: where in the bytes a value is written.

use crate::addr::Endian;

/// Bits of the value that go to bits of a word.
#[derive(Clone, Copy, Debug)]
pub struct Bits {
    /// The lowest bit of the value.
    pub from: u8,
    /// How many bits.
    pub width: u8,
    /// Which word of the field.
    pub word: u8,
    /// The lowest bit of that word.
    pub lsb: u8,
}

/// `width` bits of the value from bit `from` up go to bit `lsb` of word `word`.
pub const fn bits(from: u8, width: u8, word: u8, lsb: u8) -> Bits {
    Bits { from, width, word, lsb }
}

/// Writes the field; gets the value with rounding already added.
type Insert = fn(&mut [u8], u64, Endian);
/// Reads the field back, sign-extended.
type Extract = fn(&[u8], Endian) -> i64;
/// What the value must be a multiple of, by the bytes that hold the field.
type Alignment = fn(&[u8], Endian) -> u32;

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// The whole word.
    Plain,
    /// Slices of the value in one or more words of equal size.
    Slices(&'static [Bits]),
    /// An encoding that bit slices cannot express.
    Coded { insert: Insert, extract: Extract },
}

/// A field: its words, the value bits that they hold, and how the value is rounded before it is cut.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    shape: Shape,
    /// Size of a word in bytes.
    word: u8,
    /// Number of words.
    words: u8,
    /// The value must fit this many bits; the top one is the sign's.
    value_bits: u8,
    round: i64,
    align: u32,
    align_in: Option<Alignment>,
    adds: bool,
}

impl Field {
    /// No field: nothing is written.
    pub const fn none() -> Field {
        Field { shape: Shape::Plain, word: 0, words: 0, value_bits: 0, round: 0, align: 1, align_in: None, adds: false }
    }

    /// A whole word of 1, 2, 4 or 8 bytes.
    pub const fn plain(bytes: u8) -> Field {
        Field {
            shape: Shape::Plain,
            word: bytes,
            words: 1,
            value_bits: bytes * 8,
            round: 0,
            align: 1,
            align_in: None,
            adds: false,
        }
    }

    /// Slices of the value in words of `word` bytes.
    pub const fn word(word: u8, slices: &'static [Bits]) -> Field {
        let mut index = 0;
        let (mut words, mut top) = (1, 0);
        while index < slices.len() {
            if slices[index].word + 1 > words {
                words = slices[index].word + 1;
            }
            if slices[index].from + slices[index].width > top {
                top = slices[index].from + slices[index].width;
            }
            index += 1;
        }
        Field {
            shape: Shape::Slices(slices),
            word,
            words,
            value_bits: top,
            round: 0,
            align: 1,
            align_in: None,
            adds: false,
        }
    }

    /// `bytes` bytes in an encoding of their own, for values of `value_bits` bits.
    pub const fn coded(bytes: u8, value_bits: u8, insert: Insert, extract: Extract) -> Field {
        Field {
            shape: Shape::Coded { insert, extract },
            word: bytes,
            words: 1,
            value_bits,
            round: 0,
            align: 1,
            align_in: None,
            adds: false,
        }
    }

    /// This field with a constant added to the value before it is cut: for an upper half whose lower half is sign-extended, half of
    /// the lower half's range.
    pub const fn round(mut self, round: i64) -> Field {
        self.round = round;
        self
    }

    /// This field for values that must be multiples of `align`.
    pub const fn align(mut self, align: u32) -> Field {
        self.align = align;
        self
    }

    /// This field for values that must be multiples of what the instruction around it says, which is a divisor of `most`: offsets
    /// that the machine scales by the size of an access.
    pub const fn aligned_by(mut self, most: u32, alignment: fn(&[u8], Endian) -> u32) -> Field {
        (self.align, self.align_in) = (most, Some(alignment));
        self
    }

    /// This field with the value added to what stands in it instead of replacing that, so that several relocations of one
    /// place sum up: ABIs whose linkers may shorten code leave differences to them (`ADD32` and `SUB32` at one place). Only for
    /// formats whose relocations carry their addend.
    pub const fn adding(mut self) -> Field {
        self.adds = true;
        self
    }

    /// How many bytes it spans.
    #[inline]
    pub const fn bytes(&self) -> usize {
        self.word as usize * self.words as usize
    }

    /// How many bits the value must fit after rounding; zero for a field that nothing is written to.
    pub const fn value_bits(&self) -> u8 {
        self.value_bits
    }

    /// What is added to the value before it is cut.
    #[inline]
    pub const fn rounding(&self) -> i64 {
        self.round
    }

    /// What the value must be a multiple of; the most that it may have to be where the instruction says it.
    #[inline]
    pub const fn alignment(&self) -> u32 {
        self.align
    }

    /// What the value must be a multiple of in these bytes.
    #[inline]
    pub fn alignment_in(&self, bytes: &[u8], endian: Endian) -> u32 {
        match self.align_in {
            None => self.align,
            Some(alignment) => alignment(bytes, endian),
        }
    }

    /// The lowest bit of the value that the field keeps; those below are dropped, or hold nothing if values are aligned.
    pub const fn lowest_bit(&self) -> u8 {
        let Shape::Slices(slices) = self.shape else { return 0 };
        let (mut index, mut lowest) = (0, 64);
        while index < slices.len() {
            if slices[index].from < lowest {
                lowest = slices[index].from;
            }
            index += 1;
        }
        lowest
    }

    /// Whether the value is added to what stands in the field.
    #[inline]
    pub const fn is_adding(&self) -> bool {
        self.adds
    }

    /// The word's size if the value fills it as it is, which needs no bit work.
    #[inline]
    pub const fn plain_bytes(&self) -> Option<usize> {
        match self.shape {
            Shape::Plain if self.round == 0 && self.align == 1 && !self.adds => Some(self.word as usize),
            _ => None,
        }
    }

    /// The one slice of the value in the one word of the field, and the word's size, if there is no more to the field.
    #[inline]
    pub(crate) const fn single_slice(&self) -> Option<(Bits, usize)> {
        match self.shape {
            Shape::Slices([slice]) if self.words == 1 && !self.adds => Some((*slice, self.word as usize)),
            Shape::Plain if self.words == 1 && !self.adds => Some((bits(0, self.word * 8, 0, 0), self.word as usize)),
            _ => None,
        }
    }

    /// Writes `value`, to which rounding was added, over whatever stood in the field, or adds it to that
    /// ([`Field::adding`]); bits around it stay.
    #[inline]
    pub fn insert(&self, bytes: &mut [u8], value: u64, endian: Endian) {
        let value = if self.adds { value.wrapping_add(self.extract(bytes, endian) as u64) } else { value };
        let size = usize::from(self.word);
        match self.shape {
            Shape::Plain if size == 0 => {}
            Shape::Plain => endian.write(&mut bytes[..size], value),
            Shape::Slices(slices) => {
                for slice in slices {
                    let word = &mut bytes[usize::from(slice.word) * size..][..size];
                    let mask = mask(slice.width) << slice.lsb;
                    let old = endian.read(word);
                    endian.write(word, old & !mask | (value >> slice.from << slice.lsb) & mask);
                }
            }
            Shape::Coded { insert, .. } => insert(&mut bytes[..size], value, endian),
        }
    }

    /// Reads the implicit addend of a REL format: the field's value, sign-extended, less the rounding.
    pub fn extract(&self, bytes: &[u8], endian: Endian) -> i64 {
        let size = usize::from(self.word);
        let value = match self.shape {
            Shape::Plain if size == 0 => 0,
            Shape::Plain => sign_extend(endian.read(&bytes[..size]), self.value_bits),
            Shape::Slices(slices) => {
                let gather = |value: u64, slice: &Bits| {
                    let word = endian.read(&bytes[usize::from(slice.word) * size..][..size]);
                    value | (word >> slice.lsb & mask(slice.width)) << slice.from
                };
                sign_extend(slices.iter().fold(0, gather), self.value_bits)
            }
            Shape::Coded { extract, .. } => extract(&bytes[..size], endian),
        };
        value.wrapping_sub(self.round)
    }
}

fn mask(width: u8) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

fn sign_extend(value: u64, bits: u8) -> i64 {
    if bits == 0 || bits >= 64 {
        return value as i64;
    }
    let unused = 64 - u32::from(bits);
    ((value << unused) as i64) >> unused
}
