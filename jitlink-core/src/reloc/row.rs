//! The vocabulary of the tables.

use super::{Field, Inputs};
use crate::addr::Endian;

/// What of the target enters the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Subject {
    /// The symbol's address (S).
    Symbol,
    /// The address to call: the symbol itself where it can be reached, else a stub for it (L).
    Callee,
    /// The address of a GOT slot that holds the symbol's address (G + GOT).
    GotSlot,
    /// The address of a pair of GOT slots for `__tls_get_addr`: module and offset.
    TlsGdSlot,
    /// The address of a pair of GOT slots for `__tls_get_addr`: module, and where the object's variables start in its block.
    TlsLdSlot,
    /// The address of a GOT slot that holds the offset from the thread pointer.
    TlsIeSlot,
    /// The address of a TLS descriptor.
    TlsDescSlot,
    /// Nothing: the call through a descriptor, which goes with the descriptor where that is not needed.
    TlsDescCall,
    /// The offset from the thread pointer.
    TpOffset,
    /// The offset from what [`Subject::TlsLdSlot`] has found: the start of the batch's variables.
    DtpOffset,
    /// The offset from the thread pointer of what [`Subject::DtpOffset`] counts from; the symbol is ignored.
    TlsBase,
    /// The number of the module's thread-local block, for `__tls_get_addr`.
    TlsModule,
    /// The offset in the module's thread-local block, for `__tls_get_addr`.
    TlsOffset,
    /// The offset in that block of what [`Subject::DtpOffset`] counts from; the symbol is ignored.
    TlsStart,
    /// The function of a TLS descriptor.
    TlsDescFunction,
    /// The argument of a TLS descriptor.
    TlsDescArgument,
    /// The symbol's size (Z).
    Size,
    /// The number of the symbol's section in the image.
    SectionIndex,
    /// The base of the GOT (GOT); the symbol is ignored.
    GotBase,
    /// Nothing: zero. The edge only keeps its target alive.
    Nothing,
}

impl Subject {
    /// Whether it is for code that finds a thread-local variable.
    pub fn is_thread_local(self) -> bool {
        use Subject::*;
        matches!(
            self,
            TlsGdSlot
                | TlsLdSlot
                | TlsIeSlot
                | TlsDescSlot
                | TlsDescCall
                | TpOffset
                | DtpOffset
                | TlsBase
                | TlsModule
                | TlsOffset
                | TlsStart
                | TlsDescFunction
                | TlsDescArgument
        )
    }
}

/// What the value is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Base {
    /// Nothing: an absolute value.
    Zero,
    /// The address of the field (P).
    Place,
    /// The 4 KiB page of the field; of the subject and addend the page is meant too, so the value is a distance of pages, in bytes.
    PlacePage,
    /// The base of the GOT (GOT).
    Got,
    /// The base of the image: the lowest address of the batch's segments.
    Image,
    /// The start of the section that the symbol is in.
    Section,
    /// A base that a pass of the architecture resolves for each block: a TOC group, a small-data area.
    Anchor(u8),
}

/// Which values the field accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// All; the high bits are dropped.
    Ignore,
    /// Those that sign extension of the field gives back.
    Signed,
    /// Those that zero extension of the field gives back.
    Unsigned,
    /// Both: from -2^(n-1) to 2^n - 1 for a field of n bits.
    Bitfield,
}

/// A formula that subject and base cannot express.
pub type Formula = fn(&Inputs) -> i64;

/// One relocation of an ABI, on one line of a table.
#[derive(Clone, Copy, Debug)]
pub struct Reloc {
    raw: u32,
    name: &'static str,
    subject: Subject,
    base: Base,
    field: &'static Field,
    overflow: Overflow,
    formula: Option<Formula>,
    relaxable: bool,
    refused: Option<&'static str>,
    elsewhere: Option<u32>,
    bias: i64,
    stored: Option<&'static Field>,
}

/// A row: raw number, the name that the ABI gives it, and `subject + addend - base` into `field` under `overflow`.
pub const fn reloc(
    raw: u32,
    name: &'static str,
    subject: Subject,
    base: Base,
    field: &'static Field,
    overflow: Overflow,
) -> Reloc {
    Reloc {
        raw,
        name,
        subject,
        base,
        field,
        overflow,
        formula: None,
        relaxable: false,
        refused: None,
        elsewhere: None,
        bias: 0,
        stored: None,
    }
}

static NO_FIELD: Field = Field::none();

impl Reloc {
    /// A row that writes nothing, and only keeps its target alive: a hint or a mark.
    pub const fn none(raw: u32, name: &'static str) -> Reloc {
        reloc(raw, name, Subject::Nothing, Base::Zero, &NO_FIELD, Overflow::Ignore)
    }

    /// A row that is known and refused by name wherever a live, loaded block uses it.
    pub const fn refused(raw: u32, name: &'static str, why: &'static str) -> Reloc {
        let mut row = Reloc::none(raw, name);
        row.refused = Some(why);
        row
    }

    /// This row, refused by name with a reason wherever a live, loaded block uses it.
    pub const fn refuse(mut self, why: &'static str) -> Reloc {
        self.refused = Some(why);
        self
    }

    /// This row with a formula of its own in place of `subject + addend - base`.
    pub const fn with_formula(mut self, formula: Formula) -> Reloc {
        self.formula = Some(formula);
        self
    }

    /// This row, whose edges are offered to [`crate::TargetArch::relax`] where the target is near.
    pub const fn relax(mut self) -> Reloc {
        self.relaxable = true;
        self
    }

    /// This row, whose number means the row of another number in sections that hold no code.
    pub const fn outside_code(mut self, raw: u32) -> Reloc {
        self.elsewhere = Some(raw);
        self
    }

    /// This row with a constant that is part of the addend where that stands in the field: the machine counts from elsewhere
    /// than the field, and the format leaves the difference to the relocation's type.
    pub const fn biased(mut self, bias: i64) -> Reloc {
        self.bias = bias;
        self
    }

    /// This row, whose addend stands in the same bytes in other units than the value: `stored` reads it where the format keeps it in
    /// the field.
    pub const fn stored_as(mut self, stored: &'static Field) -> Reloc {
        self.stored = Some(stored);
        self
    }

    /// The addend of a relocation whose format keeps it in the field, which is at the start of `bytes`.
    #[inline]
    pub fn implicit_addend(&self, bytes: &[u8], endian: Endian) -> i64 {
        self.stored.unwrap_or(self.field).extract(bytes, endian).wrapping_add(self.bias)
    }

    /// The number whose row is meant in sections that hold no code.
    pub(crate) const fn raw_outside_code(&self) -> u32 {
        match self.elsewhere {
            Some(raw) => raw,
            None => self.raw,
        }
    }

    /// The number in the object file.
    pub const fn raw(&self) -> u32 {
        self.raw
    }

    /// The name that the ABI gives it.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What of the target enters the value.
    pub const fn subject(&self) -> Subject {
        self.subject
    }

    /// What the value is relative to.
    pub const fn base(&self) -> Base {
        self.base
    }

    /// Where the value is written.
    pub const fn field(&self) -> &'static Field {
        self.field
    }

    /// Which values fit.
    pub const fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// Its own formula, if it has one.
    pub const fn formula(&self) -> Option<Formula> {
        self.formula
    }

    /// Whether the architecture may replace it by something shorter.
    pub const fn is_relaxable(&self) -> bool {
        self.relaxable
    }

    /// Why it is refused, if it is.
    pub const fn refusal(&self) -> Option<&'static str> {
        self.refused
    }

    /// The smallest and the largest value that fit, after rounding ([`Field::rounding`]); `None` where any value does.
    pub fn limits(&self) -> Option<(i128, i128)> {
        let bits = u32::from(self.field.value_bits());
        if bits == 0 || bits >= 64 {
            return None;
        }
        let full = 1i128 << bits;
        match self.overflow {
            Overflow::Ignore => None,
            Overflow::Signed => Some((-(full / 2), full / 2 - 1)),
            Overflow::Unsigned => Some((0, full - 1)),
            Overflow::Bitfield => Some((-(full / 2), full - 1)),
        }
    }
}
