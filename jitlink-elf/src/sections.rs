//! Sections (gABI, "Sections"): which of them are read, as what, and what ties them together.
//!
//! A section that takes up memory of the program (`SHF_ALLOC`) is read by what its type and flags say; a type or flag that is
//! not known is an error, because it may change what the bytes mean. A section that takes up none is left out, or kept beside
//! the program if the graph wants debug information. These are always left out, since they speak to a linker that writes files:
//! tables of the object itself, `SHF_EXCLUDE`, `SHT_LLVM_*`, `.note.GNU-stack` and `.note.gnu.property`.
//!
//! `.init` and `.fini` hold fragments of functions that only work when all objects' fragments are glued together between two
//! that the C library ships; they are refused by name.

use crate::comdat::Groups;
use crate::compression;
use crate::conventions;
use crate::header::File;
use crate::relocations::RelocationSections;
use crate::write::origin::SectionOrigin;
use jitlink_core::LinkError;
use jitlink_core::graph::{
    BlockId, Content, GroupId, Merge, ObjectBuilder, Protection, Residence, Role, Section, SectionId,
};
use object::elf::{self, SectionFlags, SectionType};
use object::read::elf::{FileHeader, SectionHeader};

const SHT_LLVM: std::ops::RangeInclusive<u32> = 0x6fff_4c00..=0x6fff_4cff;
/// Code, in spite of its range: the jump table of clang's control-flow integrity.
const SHT_LLVM_CFI_JUMP_TABLE: SectionType = SectionType(0x6fff_4c0e);

/// The processor's section types that hold bytes like any other.
const PROCESSOR_TYPES: [(elf::Machine, SectionType); 2] =
    [(elf::EM_X86_64, elf::SHT_X86_64_UNWIND), (elf::EM_ARM, elf::SHT_ARM_EXIDX)];

/// The processor's section flags, and where sections that have them may lie.
const PROCESSOR_FLAGS: [(elf::Machine, u64, Residence); 3] = [
    // SHF_X86_64_LARGE: only full-width references point to it.
    (elf::EM_X86_64, 0x1000_0000, Residence::Far),
    // SHF_ARM_PURECODE and SHF_AARCH64_PURECODE: code that is never read as data, which memory need not enforce.
    (elf::EM_ARM, 0x2000_0000, Residence::Near),
    (elf::EM_AARCH64, 0x2000_0000, Residence::Near),
];

/// The flag of a machine's sections that may lie far from the others, if it has one.
pub(crate) fn far_flag(machine: elf::Machine) -> Option<u64> {
    let is_far =
        |(known, _, residence): &&(elf::Machine, u64, Residence)| (*known, *residence) == (machine, Residence::Far);
    PROCESSOR_FLAGS.iter().find(is_far).map(|(_, flag, _)| *flag)
}

/// The flags that mean the same on every machine and are understood here.
const KNOWN_FLAGS: u64 = elf::SHF_WRITE.0
    | elf::SHF_ALLOC.0
    | elf::SHF_EXECINSTR.0
    | elf::SHF_MERGE.0
    | elf::SHF_STRINGS.0
    | elf::SHF_INFO_LINK.0
    | elf::SHF_LINK_ORDER.0
    | elf::SHF_GROUP.0
    | elf::SHF_TLS.0
    | elf::SHF_GNU_RETAIN.0;

/// More zeros than any address space holds next to something else.
const MAX_ZEROS: u64 = 1 << 46;
/// A larger alignment says that the number is garbage.
const MAX_ALIGN: u64 = 1 << 32;

/// Where a section of the file went.
#[derive(Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) id: SectionId,
    pub(crate) first_block: usize,
    pub(crate) blocks: usize,
    pub(crate) size: u64,
}

impl Placed {
    fn block_ids(&self) -> impl Iterator<Item = BlockId> + use<> {
        (self.first_block..self.first_block + self.blocks).map(BlockId::new)
    }
}

/// Where the sections of the file went, by their numbers.
pub(crate) struct Placement {
    placed: Vec<Option<Placed>>,
    /// The object has sections of GCC's intermediate code; it may have nothing else.
    pub(crate) may_be_slim_lto: bool,
}

impl Placement {
    /// Where a section went; `None` if it was left out.
    pub(crate) fn get(&self, index: usize) -> Option<Placed> {
        self.placed.get(index).copied().flatten()
    }

    /// The sections that were read, in order, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Placed)> {
        self.placed.iter().enumerate().filter_map(|(index, placed)| Some((index, (*placed)?)))
    }

    /// Reads all sections into the graph.
    pub(crate) fn read<'a, Elf: FileHeader>(
        file: &File<'_, 'a, Elf>,
        groups: &Groups,
        relocations: &RelocationSections,
        builder: &mut ObjectBuilder<'_, 'a>,
    ) -> Result<Placement, LinkError> {
        let mut placement = Placement { placed: vec![None; file.sections.len()], may_be_slim_lto: false };
        for index in 1..file.sections.len() {
            let name = file.section_name(index)?;
            placement.may_be_slim_lto |= name.starts_with(b".gnu.lto_");
            let reader = Reader { file, index, name, header: &file.sections[index] };
            let beside = builder.keeps_debug() || builder.keeps_beside(name);
            let Some(residence) = reader.residence(beside)? else { continue };
            let group = groups.of(file, builder, index, name)?;
            placement.placed[index] = Some(reader.read(builder, residence, group, relocations.of(index).is_some())?);
        }
        placement.tie_ordered(file, builder)?;
        Ok(placement)
    }

    /// Makes sections with `SHF_LINK_ORDER` live and lie with those that they are linked to.
    fn tie_ordered<'a, Elf: FileHeader>(
        &self,
        file: &File<'_, 'a, Elf>,
        builder: &mut ObjectBuilder<'_, 'a>,
    ) -> Result<(), LinkError> {
        for (index, placed) in self.iter() {
            let header = &file.sections[index];
            let link = header.sh_link(file.endian) as usize;
            // A link of zero asks for no order (GNU as: `.section name, "ao", @progbits, 0`).
            if !header.sh_flags(file.endian).contains(elf::SHF_LINK_ORDER) || link == 0 {
                continue;
            }
            let Some(other) = self.get(link) else {
                let what = format!("it is ordered by {}, which is not loaded", file.display_section(link));
                return Err(file.malformed(index, 0, what));
            };
            builder.section_mut(placed.id).ordered_by = Some(other.id);
            let mut blocks = placed.block_ids();
            let Some(first) = blocks.next() else { continue };
            other.block_ids().for_each(|keeper| builder.add_dependency(keeper, first));
            blocks.for_each(|block| builder.add_dependency(first, block));
        }
        Ok(())
    }
}

/// One section on its way into the graph.
struct Reader<'f, 'n, 'a, Elf: FileHeader> {
    file: &'f File<'n, 'a, Elf>,
    index: usize,
    name: &'a [u8],
    header: &'a Elf::SectionHeader,
}

impl<'a, Elf: FileHeader> Reader<'_, '_, 'a, Elf> {
    fn kind(&self) -> SectionType {
        self.header.sh_type(self.file.endian)
    }

    fn flags(&self) -> SectionFlags {
        self.header.sh_flags(self.file.endian)
    }

    fn has(&self, flag: SectionFlags) -> bool {
        self.flags().contains(flag)
    }

    fn size(&self) -> u64 {
        self.header.sh_size(self.file.endian).into()
    }

    fn malformed(&self, what: impl Into<String>) -> LinkError {
        self.file.malformed(self.index, 0, what)
    }

    fn unsupported(&self, what: impl Into<String>, advice: &str) -> LinkError {
        self.file.unsupported(self.index, what, advice)
    }

    /// Where the section is placed; `None` if it is left out.
    fn residence(&self, keep_unloaded: bool) -> Result<Option<Residence>, LinkError> {
        let kind = self.kind();
        match kind {
            elf::SHT_NULL | elf::SHT_SYMTAB | elf::SHT_STRTAB | elf::SHT_SYMTAB_SHNDX | elf::SHT_GROUP => {
                return Ok(None);
            }
            elf::SHT_REL | elf::SHT_RELA | elf::SHT_CREL => return Ok(None),
            elf::SHT_RELR | elf::SHT_ANDROID_REL | elf::SHT_ANDROID_RELA | elf::SHT_ANDROID_RELR => {
                let advice = "such relocations belong in linked files; build the object again without packing them";
                return Err(self.unsupported(format!("relocations of section type {:#x}", kind.0), advice));
            }
            _ => {}
        }
        let for_linkers = self.has(elf::SHF_EXCLUDE) || SHT_LLVM.contains(&kind.0) && kind != SHT_LLVM_CFI_JUMP_TABLE;
        if for_linkers || self.name == b".note.GNU-stack" || self.name == b".note.gnu.property" {
            return Ok(None);
        }
        if !self.has(elf::SHF_ALLOC) {
            if matches!(kind, elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY | elf::SHT_PREINIT_ARRAY) {
                return Err(self.malformed("initialisers that are not loaded (no SHF_ALLOC)"));
            }
            // What has neither memory nor bytes in the file is nothing to keep, whatever size it claims.
            let has_content = kind != elf::SHT_NOBITS || self.has(elf::SHF_COMPRESSED);
            return Ok((keep_unloaded && has_content).then_some(Residence::Unloaded));
        }
        self.check_kind()?;
        self.check_flags().map(Some)
    }

    fn check_kind(&self) -> Result<(), LinkError> {
        let kind = self.kind();
        let processor = PROCESSOR_TYPES.contains(&(elf::Machine(self.file.machine), kind));
        let known = matches!(
            kind,
            elf::SHT_PROGBITS
                | elf::SHT_NOBITS
                | elf::SHT_NOTE
                | elf::SHT_INIT_ARRAY
                | elf::SHT_FINI_ARRAY
                | elf::SHT_PREINIT_ARRAY
                | elf::SHT_GNU_SFRAME
                | SHT_LLVM_CFI_JUMP_TABLE
        );
        if !known && !processor {
            let what = format!("a loaded section of unknown type {:#x}", kind.0);
            return Err(self.unsupported(what, "compile without the extension that made this section"));
        }
        if matches!(self.name, b".init" | b".fini") && self.size() > 0 {
            let what = "code that runs as part of a function glued together from all objects";
            let advice = "use __attribute__((constructor)) or .init_array instead; leave out crti.o, crtbegin.o, crtend.o and crtn.o";
            return Err(self.unsupported(what, advice));
        }
        Ok(())
    }

    /// The residence that the flags of a loaded section ask for.
    fn check_flags(&self) -> Result<Residence, LinkError> {
        let mut residence = Residence::Near;
        let mut rest = self.flags().0 & !KNOWN_FLAGS;
        for (machine, flag, meaning) in PROCESSOR_FLAGS {
            if machine.0 == self.file.machine && rest & flag != 0 {
                rest &= !flag;
                residence = meaning;
            }
        }
        if rest & elf::SHF_COMPRESSED.0 != 0 {
            return Err(self.malformed("a loaded section cannot be compressed"));
        }
        if rest != 0 {
            let what = format!("a loaded section with unknown flags {rest:#x}");
            return Err(self.unsupported(what, "compile without the extension that made this section"));
        }
        if self.has(elf::SHF_WRITE) && self.has(elf::SHF_EXECINSTR) && self.size() > 0 {
            let what = "a section that is writable and executable, which no memory here is";
            return Err(self.unsupported(what, "split it into a section of code and one of data"));
        }
        Ok(residence)
    }

    fn read(
        &self,
        builder: &mut ObjectBuilder<'_, 'a>,
        residence: Residence,
        group: Option<GroupId>,
        has_relocations: bool,
    ) -> Result<Placed, LinkError> {
        let (content, align_log2) = self.content()?;
        let (bytes, size) = match &content {
            Content::Zero(size) => (None, *size),
            Content::Input(bytes) => (Some(&**bytes), bytes.len() as u64),
            Content::Owned(bytes) => (Some(&**bytes), bytes.len() as u64),
        };
        let mut section = Section::new(self.name, builder.id());
        section.residence = residence;
        section.protection = match () {
            () if self.has(elf::SHF_EXECINSTR) => Protection::ReadExecute,
            // Writable for dynamic linkers alone; here it is relocated before the program sees it.
            () if conventions::is_relro(self.name) && section.is_loaded() => Protection::Read,
            () if self.has(elf::SHF_WRITE) => Protection::ReadWrite,
            () => Protection::Read,
        };
        section.role = self.role(residence, bytes.is_none(), size)?;
        section.retain = self.has(elf::SHF_GNU_RETAIN) || matches!(section.role, Role::Initialisers(_));
        section.gathered = section.is_loaded() && conventions::is_c_identifier(self.name);
        section.group = group;
        section.origin = SectionOrigin { kind: self.kind(), flags: self.flags() }.pack();
        if section.role == Role::Ordinary || section.role == Role::Debug {
            section.merge = bytes.filter(|_| !has_relocations).and_then(|bytes| self.merge(bytes));
        }
        let role = section.role;
        let id = builder.add_section(section);
        let first_block = builder.graph().blocks().len();
        match content {
            Content::Input(bytes) if role == Role::EhFrame => builder.add_unwind_records(bytes, align_log2)?,
            content => {
                builder.add_block(content, 0, align_log2);
            }
        }
        let blocks = builder.graph().blocks().len() - first_block;
        Ok(Placed { id, first_block, blocks, size })
    }

    /// What the section holds, decompressed, and its alignment.
    fn content(&self) -> Result<(Content<'a>, u8), LinkError> {
        let align: u64 = self.header.sh_addralign(self.file.endian).into();
        if self.has(elf::SHF_COMPRESSED) {
            let (bytes, align) = compression::decompress(self.file, self.index)?;
            return Ok((Content::Owned(bytes), self.align_log2(align)?));
        }
        if self.name.starts_with(b".zdebug") && !self.has(elf::SHF_ALLOC) {
            let advice = "compress debug information by the standard's means: -gz=zlib or -gz=zstd";
            return Err(self.unsupported("debug information in GNU's old compressed form", advice));
        }
        let align_log2 = self.align_log2(align)?;
        if self.kind() != elf::SHT_NOBITS {
            return Ok((Content::Input(self.file.content(self.index)), align_log2));
        }
        if self.size() > MAX_ZEROS {
            let what = format!("size of section {} of {}", self.file.display_section(self.index), self.file.name);
            return Err(LinkError::TooLarge { what, value: self.size(), limit: MAX_ZEROS });
        }
        Ok((Content::Zero(self.size()), align_log2))
    }

    fn align_log2(&self, align: u64) -> Result<u8, LinkError> {
        match align {
            0 => Ok(0),
            _ if !align.is_power_of_two() => {
                Err(self.malformed(format!("its alignment, {align:#x}, is no power of two")))
            }
            _ if align > MAX_ALIGN => {
                let what =
                    format!("alignment of section {} of {}", self.file.display_section(self.index), self.file.name);
                Err(LinkError::TooLarge { what, value: align, limit: MAX_ALIGN })
            }
            _ => Ok(align.trailing_zeros() as u8),
        }
    }

    fn role(&self, residence: Residence, zeros: bool, size: u64) -> Result<Role, LinkError> {
        if residence == Residence::Unloaded {
            return Ok(if conventions::is_debug(self.name) { Role::Debug } else { Role::Ordinary });
        }
        let unwind = matches!(self.kind(), elf::SHT_PROGBITS | elf::SHT_X86_64_UNWIND);
        if self.name == b".eh_frame" && unwind && size > 0 {
            return Ok(Role::EhFrame);
        }
        if let Some(order) = conventions::initialisers(self.name, self.kind()) {
            let pointer = size_of::<Elf::Word>() as u64;
            if !size.is_multiple_of(pointer) || zeros && size > 0 {
                let what =
                    format!("initialisers of {size:#x} bytes are no array of pointers of {pointer} bytes in the file");
                return Err(self.malformed(what));
            }
            return Ok(Role::Initialisers(order));
        }
        Ok(if self.has(elf::SHF_TLS) { Role::ThreadLocal } else { Role::Ordinary })
    }

    /// The entries that may be merged with equal ones. A section that breaks the rules for that is kept as it is, as every
    /// linker does: merging is an offer, not a promise.
    fn merge(&self, bytes: &[u8]) -> Option<Merge> {
        let entry: u64 = self.header.sh_entsize(self.file.endian).into();
        let entry = u32::try_from(entry).ok().filter(|entry| *entry > 0)?;
        let size = entry as usize;
        let offered = self.has(elf::SHF_MERGE) && !self.has(elf::SHF_WRITE) && !self.has(elf::SHF_EXECINSTR);
        if !offered || !bytes.len().is_multiple_of(size) {
            return None;
        }
        if !self.has(elf::SHF_STRINGS) {
            return Some(Merge::Constants(entry));
        }
        let terminated = bytes.len().checked_sub(size).is_none_or(|last| bytes[last..].iter().all(|byte| *byte == 0));
        terminated.then_some(Merge::Strings(entry))
    }
}
