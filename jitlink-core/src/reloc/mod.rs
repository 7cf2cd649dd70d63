//! Relocations as data: `value = subject + addend - base`, written into a field under an overflow rule.
//!
//! An architecture lists its relocations as rows, one line each. Everything else is derived from the row: names in errors,
//! implicit addends of REL formats, which edges need a GOT slot or a stub, range checks, and the known-answer tests.
//!
//! ```
//! use jitlink_core::reloc::{Base, Field, Overflow, Reloc, Subject, reloc};
//!
//! static WORD32: Field = Field::plain(4);
//! static ROWS: [Reloc; 2] = [
//!     //    raw name             subject           base         field    overflow
//!     reloc(1, "R_TOY_ABS32",    Subject::Symbol, Base::Zero,  &WORD32, Overflow::Unsigned),
//!     reloc(2, "R_TOY_CALL",     Subject::Callee, Base::Place, &WORD32, Overflow::Signed),
//! ];
//! assert_eq!(ROWS[1].limits(), Some((-0x8000_0000, 0x7fff_ffff)));
//! ```

mod apply;
mod field;
mod row;
mod table;

pub use apply::{FieldError, Inputs, apply, evaluate};
pub use field::{Bits, Field, bits};
pub use row::{Base, Formula, Overflow, Reloc, Subject, reloc};
pub use table::{Holds, RelocTable, RowTable};
