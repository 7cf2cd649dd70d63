//! One section of an ELF file of any kind: an executable kernel is no object to link.

use object::read::elf::{FileHeader, SectionHeader};
use object::{BigEndian, LittleEndian, elf};

/// The contents of the `.BTF` section.
pub(super) fn btf(file: &[u8]) -> Option<&[u8]> {
    match (file.get(4)?, file.get(5)?) {
        (2, 1) => find::<elf::FileHeader64<LittleEndian>>(file),
        (2, 2) => find::<elf::FileHeader64<BigEndian>>(file),
        (1, 1) => find::<elf::FileHeader32<LittleEndian>>(file),
        _ => find::<elf::FileHeader32<BigEndian>>(file),
    }
}

fn find<Elf: FileHeader>(file: &[u8]) -> Option<&[u8]> {
    let header = Elf::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let (_, section) = header.sections(endian, file).ok()?.section_by_name(endian, b".BTF")?;
    section.data(endian, file).ok()
}
