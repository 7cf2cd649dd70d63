//! Adds an object format: text, with machine code in hexadecimal digits and references by name.
//!
//! ```text
//! hex object
//! function twice
//! 48 8d 04 3f c3               lea (%rdi,%rdi), %rax; ret
//! ```
//!
//! A format is an [`ObjectFormat`]: it recognises its bytes, says which machine they are for, and fills an [`ObjectBuilder`]. A
//! [`RelocTable`] says what its relocation numbers mean on an architecture. That is all: pruning, GOT slots, stubs, layout,
//! errors and maps work for it as for any other, and objects of the format link with its likes into any executor.
//!
//! Run it with `cargo run --example add_a_format`.

use jitlink::core::format::ObjectHeader;
use jitlink::core::graph::{Content, Edge, Linkage, Name, Protection, Scope, Section, Symbol, SymbolKind, Value};
use jitlink::core::registry::Plugin;
use jitlink::core::reloc::{Base, Field, Overflow, Reloc, RelocTable, Subject, reloc};
use jitlink::core::{Endian, ObjectFormat, graph::ObjectBuilder};
use jitlink::{Input, LinkError, LinkOptions, ProcessExecutor, Registry, Session};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

/// The format.
struct HexFormat;

/// Its number for the machine; formats choose their own.
const MACHINE: u32 = 1;
/// Its only relocation: `call:NAME` stands for the four bytes of a call's or a jump's distance.
const CALL: u32 = 1;

static WORD32: Field = Field::plain(4);
static ROWS: [Reloc; 1] = [
    //    raw   name        subject          base         field    overflow
    reloc(CALL, "HEX_CALL", Subject::Callee, Base::Place, &WORD32, Overflow::Signed),
];
/// What ties the format to an architecture that is there already.
const HEX_X86_64: RelocTable = RelocTable::new("hex", MACHINE, 8, "x86-64", &ROWS).endian(Endian::Little);

impl ObjectFormat for HexFormat {
    fn name(&self) -> &'static str {
        "hex"
    }

    fn description(&self) -> &'static str {
        "machine code in hexadecimal digits"
    }

    fn recognize(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(b"hex object\n")
    }

    fn header(&self, _name: &str, _bytes: &[u8]) -> Result<ObjectHeader, LinkError> {
        Ok(ObjectHeader { machine: MACHINE, pointer_bytes: 8, endian: Endian::Little, flags: 0 })
    }

    fn read<'a>(&self, bytes: &'a [u8], object: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
        let text = text(object.name(), bytes)?;
        for function in text.split("\nfunction ").skip(1) {
            let (name, code) = function.split_once('\n').unwrap_or((function, ""));
            read_function(name.trim().as_bytes(), code, object)?;
        }
        Ok(())
    }

    // For archives without an index.
    fn definitions<'a>(&self, name: &str, bytes: &'a [u8], found: &mut dyn FnMut(&'a [u8])) -> Result<(), LinkError> {
        let functions = text(name, bytes)?.split("\nfunction ").skip(1);
        functions.filter_map(|function| function.lines().next()).for_each(|name| found(name.trim().as_bytes()));
        Ok(())
    }
}

/// Input is not trusted: what is wrong with it is an error with a place, never a panic.
fn text<'a>(object: &str, bytes: &'a [u8]) -> Result<&'a str, LinkError> {
    std::str::from_utf8(bytes)
        .map_err(|error| LinkError::malformed(object, "", error.valid_up_to() as u64, "the bytes are not text"))
}

/// One function: a section of its own, so that it can be pruned by itself.
fn read_function<'a>(name: &'a [u8], code: &'a str, object: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
    let (mut content, mut calls) = (Vec::new(), Vec::new());
    for word in code.split_whitespace() {
        match (word.strip_prefix("call:"), u8::from_str_radix(word, 16)) {
            (Some(callee), _) => {
                calls.push((content.len() as u32, callee));
                content.extend([0; 4]);
            }
            (None, Ok(byte)) => content.push(byte),
            (None, Err(_)) => {
                let what = format!("`{word}` is neither a byte nor a call");
                return Err(LinkError::malformed(object.name(), "code", content.len() as u64, what));
            }
        }
    }
    let mut section = Section::new(name, object.id());
    section.protection = Protection::ReadExecute;
    object.add_section(section);
    let size = content.len() as u64;
    let block = object.add_block(Content::Owned(content.into()), 0, 4);
    let (value, linkage) = (Value::Block { block, offset: 0 }, Linkage::Strong);
    let (scope, kind) = (Scope::Global, SymbolKind::Function);
    object.add_symbol(Symbol {
        name: Name::new(name),
        value,
        size,
        object: object.id(),
        linkage,
        scope,
        kind,
        other: 0,
    });

    let Some(row) = object.row(CALL).map(|(row, _)| row) else { return Ok(()) };
    object.begin_edges(block);
    for (offset, callee) in calls {
        let target = object.add_symbol(Symbol::undefined(callee.as_bytes(), object.id()));
        // The machine counts from the end of the instruction, which is that of the field.
        object.add_edge(block, Edge { addend: -4, offset, target, row, subject: Subject::Callee })?;
    }
    Ok(())
}

const PROGRAM: &str = "hex object
function twice
48 8d 04 3f c3
function twice_and_more
48 83 ec 08 e8 call:twice
48 89 c7 e8 call:host_more
48 83 c4 08 c3
";

extern "C" fn host_more(value: i64) -> i64 {
    value + 1
}

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}

/// The example, with its output going to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // A crate would submit its plugins with `jitlink::core::register!`; this program makes a registry by hand.
    let registry = Registry::global()?.with(Plugin::Format(&HexFormat))?.with(Plugin::Relocs(HEX_X86_64))?;
    let session = Session::new(registry, Arc::new(ProcessExecutor::new()?));
    session.define("host_more", host_more as extern "C" fn(i64) -> i64)?;
    let module = session.link(&[Input::from_bytes("program.hex", PROGRAM)], &LinkOptions::default())?;
    writeln!(out, "linked {}", module.target())?;

    // SAFETY: the code above takes and returns a 64-bit number.
    let function = unsafe { module.function::<extern "C" fn(i64) -> i64>("twice_and_more") }?;
    writeln!(out, "twice 20 and more is {}", function.call(20))?;

    let broken =
        session.link(&[Input::from_bytes("broken.hex", "hex object\nfunction f\nc3 xx\n")], &LinkOptions::default());
    writeln!(out, "{}", broken.err().ok_or("not refused")?)?;
    Ok(())
}
