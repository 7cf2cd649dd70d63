//! What programs get in `r1`: the fields of their contexts, and who may read or write them.
//!
//! The fields are those of the structures in `linux/bpf.h`, which are not memory in the kernel: it turns each access to a
//! field into accesses to its own structures. So an access is to one field, and what is allowed depends on the field and the
//! kind of program. The virtual machine lays a context out like the structure, so an access is one to memory there.

mod field;
mod tables;

use std::borrow::Cow;

use super::programs::ProgramType;

pub use field::{Field, Meaning};
pub use tables::{SK_BUFF, XDP_MD, of};

/// The fields of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    name: Cow<'static, str>,
    size: u32,
    fields: Cow<'static, [Field]>,
}

/// Which way an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// From the context to a register.
    Read,
    /// From a register to the context.
    Write,
}

/// A context that cannot be, or an access that it does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// A field is empty or ends outside of its context.
    #[error("field {field} of context {context} has {size} bytes at {offset}, outside of its {limit} bytes")]
    Outside {
        /// The context's name.
        context: String,
        /// The field's name.
        field: String,
        /// Where it starts.
        offset: u32,
        /// Its size.
        size: u32,
        /// The context's size.
        limit: u32,
    },
    /// Two fields share bytes.
    #[error("fields {first} and {second} of context {context} share bytes")]
    Overlap {
        /// The context's name.
        context: String,
        /// The one that starts first.
        first: String,
        /// The other.
        second: String,
    },
    /// No field holds all bytes of an access.
    #[error("no field of {context} has the {size} bytes at {offset}")]
    NoField {
        /// The context's name.
        context: String,
        /// Where the access starts.
        offset: i64,
        /// Its size.
        size: u32,
    },
    /// The field cannot be accessed so.
    #[error("{program} programs cannot {} {size} bytes at {offset} of {context}: field {field}", verb(*.access))]
    Denied {
        /// The context's name.
        context: String,
        /// The field's name.
        field: String,
        /// Where the access starts.
        offset: i64,
        /// Its size.
        size: u32,
        /// Which way it goes.
        access: Access,
        /// Who wants to.
        program: ProgramType,
    },
}

fn verb(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
    }
}

impl Context {
    /// A context of one's own. Bytes that belong to no field cannot be accessed.
    pub fn custom(name: impl Into<String>, size: u32, mut fields: Vec<Field>) -> Result<Context, ContextError> {
        let name = name.into();
        fields.sort_by_key(|field| field.offset);
        if let Some(field) = fields.iter().find(|field| field.size == 0 || field.end() > u64::from(size)) {
            let (offset, field_size) = (field.offset, field.size);
            let field = field.name.to_string();
            return Err(ContextError::Outside { context: name, field, offset, size: field_size, limit: size });
        }
        if let Some([first, second]) = fields.array_windows().find(|[a, b]| a.end() > u64::from(b.offset)) {
            let (first, second) = (first.name.to_string(), second.name.to_string());
            return Err(ContextError::Overlap { context: name, first, second });
        }
        Ok(Context { name: Cow::Owned(name), size, fields: Cow::Owned(fields) })
    }

    /// Memory without fields, as programs get that know the layout themselves.
    pub fn raw(size: u32) -> Context {
        let bytes = Field::new("bytes", 0, size, Meaning::Bytes).writable();
        let fields = if size == 0 { vec![] } else { vec![bytes] };
        Context { name: Cow::Borrowed("memory"), size, fields: Cow::Owned(fields) }
    }

    /// Its name: that of the C structure.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in bytes.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Its fields, by offset.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field that an access of a program is to; the size is 1, 2, 4 or 8 bytes.
    pub fn access(&self, program: ProgramType, access: Access, offset: i64, size: u32) -> Result<&Field, ContextError> {
        let after = self.fields.partition_point(|field| i64::from(field.offset) <= offset);
        let end = offset.saturating_add(i64::from(size));
        let field = self.fields[..after].last().filter(|field| size > 0 && end <= field.end() as i64);
        let Some(field) = field else {
            return Err(ContextError::NoField { context: self.name.to_string(), offset, size });
        };
        let allowed = match access {
            Access::Read => field.readers,
            Access::Write => field.writers,
        };
        // The offset is inside of the field.
        if allowed.has(program) && field.shape_is_good(offset as u32, size, access) {
            return Ok(field);
        }
        let (context, field) = (self.name.to_string(), field.name.to_string());
        Err(ContextError::Denied { context, field, offset, size, access, program })
    }
}
