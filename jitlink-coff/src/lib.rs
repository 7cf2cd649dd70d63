#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bytes;
mod comdat;
mod conventions;
mod directives;
mod header;
mod import;
mod machine;
mod relocations;
mod sections;
mod symbols;

use comdat::Groups;
use directives::Directives;
use header::{File, Shape};
use import::{Descriptor, LongImport};
use jitlink_core::format::{ObjectHeader, Provided};
use jitlink_core::graph::ObjectBuilder;
use jitlink_core::registry::Plugin;
use jitlink_core::{LinkError, ObjectFormat};
use sections::{Placement, Said};
use symbols::raw::RawSymbol;

/// Relocatable COFF objects, and the members of import libraries.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoffFormat;

jitlink_core::register!(Plugin::Format(&CoffFormat));

impl ObjectFormat for CoffFormat {
    fn name(&self) -> &'static str {
        "coff"
    }

    fn description(&self) -> &'static str {
        "COFF relocatable objects and import libraries of Windows"
    }

    fn recognize(&self, bytes: &[u8]) -> bool {
        Shape::of(bytes).is_some()
    }

    fn header(&self, name: &str, bytes: &[u8]) -> Result<ObjectHeader, LinkError> {
        header::read(name, bytes)
    }

    fn read<'a>(&self, bytes: &'a [u8], object: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
        let name = object.name().to_string();
        match header::shape(&name, bytes)? {
            Shape::Import => import::read(bytes, object),
            _ => read_object(&name, bytes, object),
        }
    }

    fn definitions<'a>(&self, name: &str, bytes: &'a [u8], found: &mut dyn FnMut(&'a [u8])) -> Result<(), LinkError> {
        if header::shape(name, bytes)? == Shape::Import {
            return import::definitions(name, bytes, found);
        }
        let file = File::parse(name, bytes)?;
        for symbol in symbols::raw::symbols(&file) {
            let symbol = symbol?;
            if symbols::is_definition(&symbol) {
                found(symbol.name);
            }
        }
        Ok(())
    }

    fn provided(&self, name: &[u8]) -> Option<Provided> {
        conventions::provided(name)
    }
}

fn read_object<'a>(name: &str, bytes: &'a [u8], builder: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
    let file = File::parse(name, bytes)?;
    let symbols: Vec<RawSymbol<'a>> = symbols::raw::symbols(&file).collect::<Result<_, _>>()?;
    let relocations = file.sections().iter().map(|section| section.relocation_count()).sum();
    builder.reserve(file.sections().len(), symbols.len(), relocations);
    refuse_intermediate_code(&file, &symbols)?;
    let mut directives = Directives::default();
    for (index, section) in file.sections().iter().enumerate() {
        if file.section_name(index)? == b".drectve"
            && let Some(content) = section.content
        {
            directives.read(&file.display_section(index), content, builder)?;
        }
    }
    let groups = Groups::read(&file, &symbols, builder)?;
    let (import, descriptor) = (LongImport::find(&file, &symbols)?, Descriptor::find(&file)?);
    let said =
        Said { symbols: &symbols, directives: &directives, import: import.as_ref(), descriptor: descriptor.as_ref() };
    let placement = Placement::read(&file, &groups, &said, builder)?;
    let reader = symbols::Reader { file: &file, placement: &placement, directives: &directives, import, descriptor };
    let ids = reader.read(&symbols, builder)?;
    relocations::read(&file, &placement, &ids, builder)?;
    directives.complete(builder);
    Ok(())
}

/// GCC's objects of intermediate code have no other code, and say so by a common symbol.
fn refuse_intermediate_code(file: &File<'_, '_>, symbols: &[RawSymbol<'_>]) -> Result<(), LinkError> {
    let is_mark = |symbol: &RawSymbol<'_>| matches!(symbol.name, b"__gnu_lto_slim" | b"___gnu_lto_slim");
    if !symbols.iter().any(is_mark) {
        return Ok(());
    }
    let what = "the object holds GCC's intermediate code only, no machine code";
    let advice = "compile without -flto (-fno-lto), or with -ffat-lto-objects";
    Err(header::unsupported(file.name, "", 0, what, advice))
}
