//! Sections ("PE Format", "Section Flags"): which of them are read, as what, and where they lie.
//!
//! Every section that takes up memory is gathered: sections of one name lie together, those with a `$` in their names behind
//! those without, because relocations count from where such a run starts (`SECREL`) and programs walk over it.
//!
//! A section that takes up none (debug information) is left out, or kept beside the program if the graph wants it.

use crate::comdat::{COMDAT, Groups};
use crate::conventions;
use crate::directives::Directives;
use crate::header::{File, SectionHeader};
use crate::import::{Descriptor, LongImport};
use crate::machine;
use crate::symbols::raw::{Home, RawSymbol};
use hashbrown::HashSet;
use jitlink_core::LinkError;
use jitlink_core::graph::{BlockId, Content, ObjectBuilder, Protection, Residence, Role, Section, SectionId};

/// `IMAGE_SCN_LNK_INFO` and `IMAGE_SCN_LNK_REMOVE`.
const FOR_LINKERS: u32 = 0x200 | 0x800;
/// `IMAGE_SCN_CNT_CODE` and `IMAGE_SCN_MEM_EXECUTE`.
const CODE: u32 = 0x20 | 0x2000_0000;
/// `IMAGE_SCN_MEM_DISCARDABLE`.
const DISCARDABLE: u32 = 0x0200_0000;
/// `IMAGE_SCN_MEM_WRITE`.
const WRITE: u32 = 0x8000_0000;
/// `IMAGE_SCN_TYPE_NO_PAD`.
const NO_PAD: u32 = 8;

/// The alignment of sections that name none, as a power of two.
const DEFAULT_ALIGN: u8 = 4;

/// Where a section of the file went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) id: SectionId,
    pub(crate) first_block: usize,
    pub(crate) blocks: usize,
    pub(crate) size: u64,
    /// The size of the records that it was cut into.
    record: Option<usize>,
    /// It holds a DLL's name.
    pub(crate) is_name_of_dll: bool,
}

impl Placed {
    pub(crate) fn block_ids(&self) -> impl Iterator<Item = BlockId> + use<> {
        (self.first_block..self.first_block + self.blocks).map(BlockId::new)
    }

    /// Whether it is a table with a record for each function.
    pub(crate) fn is_unwind_table(&self) -> bool {
        self.record.is_some()
    }

    /// The block that holds an offset. The end of the section belongs to its last block.
    pub(crate) fn place(&self, offset: u64) -> (BlockId, u64) {
        let Some(record) = self.record else { return (BlockId::new(self.first_block), offset) };
        let index = (offset / record as u64).min(self.blocks as u64 - 1);
        (BlockId::new(self.first_block + index as usize), offset - index * record as u64)
    }
}

/// What the rest of an object says of its sections.
pub(crate) struct Said<'s, 'a> {
    pub(crate) symbols: &'s [RawSymbol<'a>],
    pub(crate) directives: &'s Directives<'a>,
    /// The import that the object is, if it is one.
    pub(crate) import: Option<&'s LongImport<'a>>,
    /// The descriptor of a DLL that the object has, if it has one.
    pub(crate) descriptor: Option<&'s Descriptor>,
}

impl Said<'_, '_> {
    /// Whether a section holds a DLL's name, to which other objects refer: by itself, or behind a descriptor.
    fn is_name_of_dll(&self, index: usize, name: &[u8]) -> bool {
        let is_alone = self.import.is_none() && name == b".idata$7";
        is_alone || self.descriptor.is_some_and(|descriptor| descriptor.has_name_in(index, self.symbols))
    }
}

/// Where the sections of the file went, by their indices.
pub(crate) struct Placement {
    placed: Vec<Option<Placed>>,
}

impl Placement {
    /// Where a section went; `None` if it was left out.
    pub(crate) fn get(&self, index: usize) -> Option<Placed> {
        self.placed.get(index).copied().flatten()
    }

    /// The sections that were read, in order, with their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Placed)> {
        self.placed.iter().enumerate().filter_map(|(index, placed)| Some((index, (*placed)?)))
    }

    /// Reads all sections into the graph.
    pub(crate) fn read<'a>(
        file: &File<'_, 'a>,
        groups: &Groups,
        said: &Said<'_, 'a>,
        builder: &mut ObjectBuilder<'_, 'a>,
    ) -> Result<Placement, LinkError> {
        let mut placement = Placement { placed: vec![None; file.sections().len()] };
        let named = variables(said.symbols);
        let is_replaced = |index| said.import.is_some_and(|import| import.is_code(index));
        for (index, header) in file.sections().iter().enumerate().filter(|(index, _)| !is_replaced(*index)) {
            let name = file.section_name(index)?;
            let (run, suffix) = name.split_at(name.len() - conventions::suffix(name));
            let reader = Reader { file, index, name, header, protection: said.directives.protection(run) };
            let is_name = said.is_name_of_dll(index, name);
            let Some(residence) = reader.residence(builder, is_name)? else { continue };
            let is_variable = suffix.get(1..).is_some_and(|suffix| named.contains(&(index, suffix)));
            let placed = reader.read(builder, residence, groups, is_variable)?;
            let placed = Placed { is_name_of_dll: is_name, ..placed };
            if let Some(group) = groups.of(index) {
                builder.group_mut(group).leader = Some(placed.id);
            }
            placement.placed[index] = Some(placed);
        }
        for &(index, other) in groups.associated() {
            let (Some(placed), Some(keeper)) = (placement.get(index), placement.get(other)) else { continue };
            if keeper.blocks > 1 {
                let what = format!("it goes with {}, a table of several functions", file.display_section(other));
                return Err(file.malformed(index, 0, what));
            }
            let keeper = BlockId::new(keeper.first_block);
            placed.block_ids().for_each(|block| builder.add_dependency(keeper, block));
        }
        Ok(placement)
    }
}

/// The symbols of each section at its start, whose names a compiler may have given to the section.
fn variables<'a>(symbols: &[RawSymbol<'a>]) -> HashSet<(usize, &'a [u8])> {
    let at_start = symbols.iter().filter(|symbol| symbol.value == 0 && !symbol.is_section());
    at_start
        .filter_map(|symbol| match symbol.home {
            Home::Section(index) => Some((index, symbol.name)),
            _ => None,
        })
        .collect()
}

/// One section on its way into the graph.
struct Reader<'f, 'n, 'a> {
    file: &'f File<'n, 'a>,
    index: usize,
    name: &'a [u8],
    header: &'f SectionHeader<'a>,
    /// What a directive says that the program may do with it.
    protection: Option<Protection>,
}

impl<'a> Reader<'_, '_, 'a> {
    /// Where the section is placed; `None` if it is left out.
    fn residence(&self, builder: &ObjectBuilder<'_, 'a>, is_name: bool) -> Result<Option<Residence>, LinkError> {
        let name = self.name;
        let is_left_out = self.header.has(FOR_LINKERS) || conventions::is_for_linkers(name);
        if is_left_out || conventions::is_import_table(name) && !is_name {
            return Ok(None);
        }
        // Discardable alone is also what drivers' initialisers are, which are loaded.
        if conventions::is_debug(name) && (self.header.has(DISCARDABLE) || !self.header.has(CODE | WRITE)) {
            // What has neither memory nor bytes in the file is nothing to keep, whatever size it claims.
            let is_kept = (builder.keeps_debug() || builder.keeps_beside(name)) && self.header.content.is_some();
            return Ok(is_kept.then_some(Residence::Unloaded));
        }
        if self.protection.is_none() && self.header.has(WRITE) && self.header.has(CODE) && self.header.size > 0 {
            let what = "a section that is writable and executable, which no memory here is";
            return Err(self.file.unsupported(self.index, what, "split it into a section of code and one of data"));
        }
        Ok(Some(Residence::Near))
    }

    fn read(
        &self,
        builder: &mut ObjectBuilder<'_, 'a>,
        residence: Residence,
        groups: &Groups,
        is_variable: bool,
    ) -> Result<Placed, LinkError> {
        let is_loaded = residence != Residence::Unloaded;
        let mut section = Section::new(self.name, builder.id());
        section.residence = residence;
        section.protection = match self.protection {
            Some(said) => said,
            None if self.header.has(CODE) => Protection::ReadExecute,
            None if self.header.has(WRITE) => Protection::ReadWrite,
            None => Protection::Read,
        };
        section.role = match self.record() {
            _ if !is_loaded => Role::Debug,
            Some(record) => Role::FunctionTable(record as u32),
            None if conventions::is_thread_local(self.name) => Role::ThreadLocal,
            None => conventions::initialisers(self.name).map_or(Role::Ordinary, Role::Initialisers),
        };
        section.group = groups.of(self.index);
        section.gathered = is_loaded;
        section.suffix = if is_loaded { conventions::suffix(self.name) as u32 } else { 0 };
        let is_data = is_loaded && !self.header.has(CODE | COMDAT);
        section.retain = is_data && !is_variable && self.header.size > 0 && conventions::is_walked_over(self.name);
        if section.retain && section.role == Role::Ordinary && conventions::is_pointer_array(self.name) {
            builder.warn(format!(
                "section {} holds pointers to functions that run only if the program's own start-up code calls them",
                self.file.display_section(self.index)
            ));
        }
        let id = builder.add_section(section);
        let first_block = builder.graph().blocks().len();
        let (align, size) = (self.align_log2()?, u64::from(self.header.size));
        let content = match self.header.content {
            Some(bytes) => Content::Input(bytes),
            None => Content::Zero(size),
        };
        let record = self.records(&content)?;
        match (content, record) {
            (Content::Input(bytes), Some(record)) => {
                for (number, bytes) in bytes.chunks(record).enumerate() {
                    builder.add_block(Content::Input(bytes), (number * record) as u64, align.min(2));
                }
            }
            (content, _) => {
                builder.add_block(content, 0, align);
            }
        }
        let blocks = builder.graph().blocks().len() - first_block;
        Ok(Placed { id, first_block, blocks, size, record, is_name_of_dll: false })
    }

    /// The size of a record, if the section is a table with one for each function.
    fn record(&self) -> Option<usize> {
        machine::unwind_record(self.file.machine).filter(|_| conventions::is_function_table(self.name))
    }

    /// The size of the records that the section is cut into, so that those of pruned functions go with them.
    fn records(&self, content: &Content<'_>) -> Result<Option<usize>, LinkError> {
        let (Some(record), Content::Input(bytes)) = (self.record(), content) else { return Ok(None) };
        if !bytes.len().is_multiple_of(record) {
            let what = format!("{:#x} bytes are no table of records of {record} bytes", bytes.len());
            return Err(self.file.malformed(self.index, 0, what));
        }
        Ok((!bytes.is_empty()).then_some(record))
    }

    /// `IMAGE_SCN_ALIGN_1BYTES` and its kin.
    fn align_log2(&self) -> Result<u8, LinkError> {
        match self.header.flags >> 20 & 0xf {
            _ if self.header.has(NO_PAD) => Ok(0),
            0 => Ok(DEFAULT_ALIGN),
            15 => Err(self.file.malformed(self.index, 0, "its alignment has the number 15, of which 14 is the last")),
            number => Ok(number as u8 - 1),
        }
    }
}
