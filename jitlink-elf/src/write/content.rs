//! The bytes of a section, and its relocations.

use super::sections::{Output, Plan};
use super::symbols::{MOVED, Meaning, Table};
use super::{Head, too_large};
use jitlink_core::format::Relocatable;
use jitlink_core::graph::{BlockId, Edge, LinkGraph, Value};
use jitlink_core::reloc::{Base, Inputs, Reloc, apply, evaluate};
use jitlink_core::{LinkError, LinkErrors};
use object::elf::{self, RelocationType};
use object::write::elf::Rel;

/// What a section is made of in the file.
pub(crate) struct Made {
    /// Empty for a section of zeros, which has none.
    pub(crate) bytes: Vec<u8>,
    pub(crate) relocations: Vec<Rel>,
}

/// Puts a section together.
pub(crate) fn make(
    object: &Relocatable<'_, '_>,
    head: &Head,
    plan: &Plan<'_>,
    symbols: &Table<'_>,
    output: &Output<'_>,
) -> Result<Made, LinkErrors> {
    let graph = object.graph;
    let mut made = Made { bytes: Vec::new(), relocations: Vec::new() };
    let mut errors = Vec::new();
    let is_code = output.flags & elf::SHF_EXECINSTR.0 != 0;
    // Between functions stands what stops a program that runs into it, as in linked memory.
    let trap = Some(graph.target().arch.info().trap_bytes()).filter(|trap| is_code && !trap.is_empty()).unwrap_or(&[0]);
    if output.kind != elf::SHT_NOBITS {
        made.bytes.reserve_exact(output.size as usize);
    }
    for &(block, start) in &output.blocks {
        if output.kind == elf::SHT_NOBITS {
            continue;
        }
        let gap = start as usize - made.bytes.len();
        made.bytes.extend(trap.iter().cycle().take(gap));
        let data = graph.block(block);
        made.bytes.extend_from_slice(data.content.bytes());
        made.bytes.resize((start + data.size()) as usize, 0);
        let site = Place { graph, head, output, block, start };
        for edge in graph.edges(block) {
            errors.extend(site.relocate(&mut made, plan, symbols, edge).err());
        }
    }
    LinkErrors::check(errors)?;
    Ok(made)
}

/// A block in its section.
struct Place<'p> {
    graph: &'p LinkGraph<'p>,
    head: &'p Head,
    output: &'p Output<'p>,
    block: BlockId,
    start: u64,
}

impl Place<'_> {
    fn relocate(&self, made: &mut Made, plan: &Plan<'_>, symbols: &Table<'_>, edge: &Edge) -> Result<(), LinkError> {
        let row = self.graph.rows().row(edge.row);
        if self.graph.rows().is_own(edge.row) {
            return self.resolve(made, plan, edge, row);
        }
        let (symbol, moved) = match symbols.meaning(self.graph, plan, edge) {
            Meaning::Symbol(symbol, moved) => (symbol, moved),
            Meaning::Nothing if self.output.flags & elf::SHF_ALLOC.0 == 0 => {
                self.bury(made, edge, row);
                return Ok(());
            }
            Meaning::Nothing => {
                let site = Box::new(self.graph.site(self.block, edge));
                let advice = "give the object to the link as it is".into();
                return Err(LinkError::Unsupported { site, what: format!("refers to {MOVED}"), advice });
            }
        };
        let addend = edge.addend.wrapping_add(moved);
        let offset = self.start + u64::from(edge.offset);
        if !self.head.rela {
            self.store(made, edge, row, addend)?;
        }
        // The entries of 32-bit files have a byte for the type.
        if !self.head.is_64 && row.raw() > 0xff {
            return Err(too_large(format!("number of relocation {}", row.name()), u64::from(row.raw()), 0xff));
        }
        let addend = if self.head.is_64 { addend } else { i64::from(addend as i32) };
        made.relocations.push(Rel {
            r_offset: offset,
            r_sym: symbol,
            r_type: RelocationType(row.raw()),
            r_addend: addend,
        });
        Ok(())
    }

    /// Writes what files have no relocation for, because the assembler had resolved it: a distance within the section, or, in a
    /// section that takes up no memory, how far the target is from the start of its own.
    fn resolve(&self, made: &mut Made, plan: &Plan<'_>, edge: &Edge, row: &Reloc) -> Result<(), LinkError> {
        let unsupported = |what: String| {
            let site = Box::new(self.graph.site(self.block, edge));
            let advice = "keep both in one section".into();
            LinkError::Unsupported { site, what, advice }
        };
        let here = self.start + u64::from(edge.offset);
        let target = match self.graph.symbol(self.graph.canonical(edge.target)).value {
            Value::Block { block, offset } => plan.place(block).map(|(section, start)| (section, start + offset)),
            _ => None,
        };
        let own = plan.place(self.block).map(|(section, _)| section);
        let in_memory = self.output.flags & elf::SHF_ALLOC.0 != 0;
        let target = match (target, row.base()) {
            (Some((section, target)), Base::Place) if Some(section) == own => target,
            (Some((_, target)), Base::Zero) if !in_memory => target,
            _ => {
                return Err(unsupported(
                    "files have no relocation for it, and its target is in another section".into(),
                ));
            }
        };
        let inputs = Inputs { subject: target, addend: edge.addend, place: here, ..Inputs::default() };
        let endian = self.graph.target().endian;
        let value = evaluate(row, &inputs);
        apply(row, self.field(made, edge, row), value, endian)
            .map_err(|_| unsupported(format!("the distance, {value:#x}, does not fit its field")))
    }

    /// Writes an addend where files without room for it in their entries have it: in the field.
    fn store(&self, made: &mut Made, edge: &Edge, row: &Reloc, addend: i64) -> Result<(), LinkError> {
        let endian = self.graph.target().endian;
        let field = self.field(made, edge, row);
        row.field().insert(field, addend.wrapping_add(row.field().rounding()) as u64, endian);
        let stored = row.field().extract(field, endian);
        // Only the low bits count where an address has no more.
        let same = stored == addend || !self.head.is_64 && stored as i32 == addend as i32;
        if same || row.field().bytes() == 0 && addend == edge.addend {
            return Ok(());
        }
        let site = Box::new(self.graph.site(self.block, edge));
        let what = format!("its addend would be {addend:#x}, which its field cannot hold");
        let advice = "compile with -ffunction-sections -fdata-sections, so that less is put together".into();
        Err(LinkError::Unsupported { site, what, advice })
    }

    /// Writes what debuggers take for something that was dropped.
    fn bury(&self, made: &mut Made, edge: &Edge, row: &Reloc) {
        let tombstone = crate::debug::tombstone(self.output.name);
        let endian = self.graph.target().endian;
        row.field().insert(self.field(made, edge, row), tombstone, endian);
    }

    /// The bytes of an edge's field. The graph promises that it lies in its block.
    fn field<'m>(&self, made: &'m mut Made, edge: &Edge, row: &Reloc) -> &'m mut [u8] {
        let start = self.start as usize + edge.offset as usize;
        &mut made.bytes[start..start + row.field().bytes()]
    }
}
