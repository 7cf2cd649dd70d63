//! What programs get in `r1`: the fields of their contexts, and who may read or write them.
//!
//! The fields are those of the structures in `linux/bpf.h`, which are not memory in the kernel: it turns each access to a
//! field into accesses to its own structures. So an access is to one field, and what is allowed depends on the field and the
//! kind of program. The virtual machine lays a context out like the structure, so an access is one to memory there.

mod tables;

use std::borrow::Cow;

use super::programs::{ProgramSet, ProgramType};

pub use tables::{SK_BUFF, XDP_MD, of};

/// What a field holds, which decides how it may be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// A number. Aligned parts of it may be read; it is written as a whole.
    Number,
    /// A number that is only accessed as a whole.
    WholeNumber,
    /// Bytes for the program's own use: any aligned access inside is good.
    Bytes,
    /// Four-byte numbers, each accessed as a whole.
    Words,
    /// Where the packet starts: 32 bits wide here, a pointer to the program.
    PacketStart,
    /// The end of the packet's linear part.
    PacketEnd,
    /// Where metadata before the packet starts; it ends at the packet's start.
    PacketMeta,
    /// A `struct bpf_sock`, or null.
    Socket,
    /// A `struct bpf_flow_keys`.
    FlowKeys,
}

/// A field of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Where it starts, in bytes.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
    /// What it holds.
    pub meaning: Meaning,
    /// The programs that may read it.
    pub readers: ProgramSet,
    /// The programs that may write it.
    pub writers: ProgramSet,
}

impl Field {
    /// A field of a context of one's own: all programs may read it.
    pub fn new(name: impl Into<String>, offset: u32, size: u32, meaning: Meaning) -> Field {
        let name = Cow::Owned(name.into());
        Field { name, offset, size, meaning, readers: ProgramSet::ALL, writers: ProgramSet::default() }
    }

    /// This field, which all programs may write.
    pub fn writable(self) -> Field {
        Field { writers: ProgramSet::ALL, ..self }
    }

    /// One past its last byte.
    fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.size)
    }

    /// Whether an access of that many bytes, inside of the field, is one that its meaning allows.
    fn shape_is_good(&self, offset: u32, size: u32, access: Access) -> bool {
        let (start, aligned) = (offset - self.offset, offset.is_multiple_of(size));
        match self.meaning {
            Meaning::Bytes => aligned,
            Meaning::Number if access == Access::Read => aligned,
            Meaning::Words => size == 4 && start.is_multiple_of(4),
            _ => start == 0 && size == self.size,
        }
    }
}

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
