//! Add an object format.
//!
//! A format is an [`ObjectFormat`](crate::core::ObjectFormat): it recognises its bytes, says which machine they are for, and hands
//! over what they hold: sections, blocks (what must stay contiguous), symbols and edges, through an
//! [`ObjectBuilder`](crate::core::graph::ObjectBuilder). A [`RelocTable`](crate::core::reloc::RelocTable) says what its relocation
//! numbers mean on an architecture that is there already.
//!
//! This one is the smallest: a whole file is one function.
//!
//! ```
//! use jitlink::core::format::ObjectHeader;
//! use jitlink::core::graph::{Content, Linkage, Name, ObjectBuilder, Protection, Scope, Section, Symbol, SymbolKind, Value};
//! use jitlink::core::registry::Plugin;
//! use jitlink::core::reloc::RelocTable;
//! use jitlink::core::{Endian, ObjectFormat};
//! use jitlink::{Input, LinkError, LinkOptions, ProcessExecutor, Registry, Session};
//! use std::sync::Arc;
//!
//! struct Raw;
//!
//! impl ObjectFormat for Raw {
//!     fn name(&self) -> &'static str {
//!         "raw"
//!     }
//!     fn description(&self) -> &'static str {
//!         "machine code behind a mark"
//!     }
//!     fn recognize(&self, bytes: &[u8]) -> bool {
//!         bytes.starts_with(b"RAW:")
//!     }
//!     fn header(&self, _name: &str, _bytes: &[u8]) -> Result<ObjectHeader, LinkError> {
//!         Ok(ObjectHeader { machine: 1, pointer_bytes: 8, endian: Endian::Little, flags: 0 })
//!     }
//!     fn read<'a>(&self, bytes: &'a [u8], object: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
//!         let mut section = Section::new(b"code", object.id());
//!         section.protection = Protection::ReadExecute;
//!         object.add_section(section);
//!         // The bytes stay in the input: nothing is copied until the link has a place for them.
//!         let block = object.add_block(Content::Input(&bytes[4..]), 0, 4);
//!         object.add_symbol(Symbol {
//!             name: Name::new(b"entry"),
//!             value: Value::Block { block, offset: 0 },
//!             size: bytes.len() as u64 - 4,
//!             object: object.id(),
//!             linkage: Linkage::Strong,
//!             scope: Scope::Global,
//!             kind: SymbolKind::Function,
//!             other: 0,
//!         });
//!         Ok(())
//!     }
//!     fn definitions<'a>(&self, _: &str, _: &'a [u8], found: &mut dyn FnMut(&'a [u8])) -> Result<(), LinkError> {
//!         found(b"entry");
//!         Ok(())
//!     }
//! }
//!
//! // It has no relocations, but the table still says which architecture its machine 1 is.
//! const RAW_X86_64: RelocTable = RelocTable::new("raw", 1, 8, "x86-64", &[]);
//!
//! let registry = Registry::global()?.with(Plugin::Format(&Raw))?.with(Plugin::Relocs(RAW_X86_64))?;
//! let session = Session::new(registry, Arc::new(ProcessExecutor::new()?));
//! let code = b"RAW:\x8d\x04\x37\xc3"; // lea (%rdi,%rsi), %eax; ret
//! let module = session.link(&[Input::from_bytes("add.raw", *code)], &LinkOptions::default())?;
//! // SAFETY: the code adds two numbers.
//! let add = unsafe { module.function::<extern "C" fn(i32, i32) -> i32>("entry") }?;
//! assert_eq!(add.call(2, 3), 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Input is not trusted. A reader checks before it slices, never sizes an allocation by a count from a header, and refuses what it
//! does not know: whatever is skipped in silence is a wrong program later. Errors are
//! [`LinkError::malformed`](crate::LinkError::malformed) and [`LinkError::Unsupported`](crate::LinkError::Unsupported), with the
//! place in the file.
