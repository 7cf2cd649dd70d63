#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod comdat;
mod compression;
mod conventions;
mod debug;
mod header;
mod relocations;
mod sections;
mod symbols;
mod write;

use comdat::Groups;
use header::{File, Shape};
use jitlink_core::debug::{DebugImage, LineTable};
use jitlink_core::format::{Boundary, ObjectHeader, Provided, Relocatable};
use jitlink_core::graph::ObjectBuilder;
use jitlink_core::registry::Plugin;
use jitlink_core::{LinkError, LinkErrors, ObjectFormat};
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::FileHeader;
use object::{BigEndian, LittleEndian};
use relocations::RelocationSections;
use sections::Placement;
use symbols::SymbolTable;
use write::origin::ObjectOrigin;

/// Relocatable ELF objects of either width and byte order.
#[derive(Clone, Copy, Debug, Default)]
pub struct ElfFormat;

jitlink_core::register!(Plugin::Format(&ElfFormat));

/// Calls a function with the type of header that a file has.
macro_rules! for_shape {
    ($name:expr, $bytes:expr, $function:ident($($argument:expr),*)) => {
        match Shape::of($name, $bytes)? {
            Shape::Little32 => $function::<FileHeader32<LittleEndian>>($($argument),*),
            Shape::Little64 => $function::<FileHeader64<LittleEndian>>($($argument),*),
            Shape::Big32 => $function::<FileHeader32<BigEndian>>($($argument),*),
            Shape::Big64 => $function::<FileHeader64<BigEndian>>($($argument),*),
        }
    };
}

impl ObjectFormat for ElfFormat {
    fn name(&self) -> &'static str {
        "elf"
    }

    fn description(&self) -> &'static str {
        "ELF relocatable objects, 32 and 64 bit, little and big endian"
    }

    fn recognize(&self, bytes: &[u8]) -> bool {
        header::recognize(bytes)
    }

    fn header(&self, name: &str, bytes: &[u8]) -> Result<ObjectHeader, LinkError> {
        for_shape!(name, bytes, read_header(name, bytes))
    }

    fn read<'a>(&self, bytes: &'a [u8], object: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
        let name = object.name().to_string();
        for_shape!(&name, bytes, read_object(&name, bytes, object))
    }

    fn definitions<'a>(&self, name: &str, bytes: &'a [u8], found: &mut dyn FnMut(&'a [u8])) -> Result<(), LinkError> {
        for_shape!(name, bytes, read_definitions(name, bytes, found))
    }

    fn provided(&self, name: &[u8]) -> Option<Provided> {
        match name {
            b"_GLOBAL_OFFSET_TABLE_" | b".TOC." => Some(Provided::GotBase),
            b"__dso_handle" => Some(Provided::ModuleHandle),
            b"_TLS_MODULE_BASE_" => Some(Provided::ThreadLocalBase),
            _ => None,
        }
    }

    fn boundary<'n>(&self, name: &'n [u8]) -> Option<Boundary<'n>> {
        conventions::boundary(name)
    }

    fn write(&self, object: &Relocatable<'_, '_>) -> Result<Vec<u8>, LinkErrors> {
        write::write(object)
    }

    fn tombstone(&self, section: &[u8]) -> u64 {
        debug::tombstone(section)
    }

    fn debug_file(&self, image: &DebugImage<'_>) -> Result<Option<Vec<u8>>, LinkErrors> {
        debug::write(image).map(Some)
    }

    fn lines(&self, image: &DebugImage<'_>) -> Result<LineTable, LinkErrors> {
        debug::read(image).map_err(LinkErrors::from)
    }
}

fn read_header<Elf: FileHeader>(name: &str, bytes: &[u8]) -> Result<ObjectHeader, LinkError> {
    File::<Elf>::header(name, bytes).map(|(_, header)| header)
}

fn read_definitions<'a, Elf: FileHeader>(
    name: &str,
    bytes: &'a [u8],
    found: &mut dyn FnMut(&'a [u8]),
) -> Result<(), LinkError> {
    let file = File::<Elf>::parse(name, bytes)?;
    SymbolTable::find(&file)?.definitions(&file, found)
}

fn read_object<'a, Elf: FileHeader<Rel: Sync, Rela: Sync, Endian: Sync>>(
    name: &str,
    bytes: &'a [u8],
    builder: &mut ObjectBuilder<'_, 'a>,
) -> Result<(), LinkError> {
    let file = File::<Elf>::parse(name, bytes)?;
    if file.machine == object::elf::EM_MIPS.0 && size_of::<Elf::Word>() == 8 {
        let what = "relocations of 64-bit MIPS, each of which is up to three in one, are not supported";
        return Err(header::unsupported(name, "", 0x12, what, "compile for another target"));
    }
    let table = SymbolTable::find(&file)?;
    let relocation_sections = RelocationSections::find(&file, &table)?;
    builder.remember(ObjectOrigin::of(&file).pack());
    builder.reserve(file.sections.len(), table.count(), relocation_sections.total());
    let groups = Groups::read(&file, &table, builder)?;
    let placement = Placement::read(&file, &groups, &relocation_sections, builder)?;
    let symbols = table.read(&file, &placement, builder)?;
    relocations::read(&file, &relocation_sections, &placement, &table, &symbols, builder)
}
