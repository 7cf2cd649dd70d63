//! The maps of a program: those that it declares, and one for each section of its data.

use super::{LoadOptions, fixed, memory};
use crate::complete::tables;
use crate::image::{BpfImage, DataBlock, MapDefinition};
use crate::kernel::error::KernelError;
use crate::kernel::map::{KernelMap, MapContext, possible_cpus};
use crate::kernel::program::KernelProgram;
use hashbrown::HashMap;
use jitlink_core::Addr;
use jitlink_core::graph::Protection;
use std::os::fd::{AsFd, BorrowedFd};

/// Types of maps (`enum bpf_map_type`).
const ARRAY: u32 = 2;
const PROG_ARRAY: u32 = 3;
const STRUCT_OPS: u32 = 26;
const ARENA: u32 = 33;
/// Types of maps for which the kernel takes no types of keys and values.
const UNTYPED: [u32; 14] = [4, 7, 8, 12, 13, 14, 15, 16, 17, 18, 22, 23, 25, ARENA];

/// `BPF_F_RDONLY_PROG` and `BPF_F_MMAPABLE`.
const RDONLY_PROG: u32 = 1 << 7;
const MMAPABLE: u32 = 1 << 10;

/// A page, in which ring buffers and arenas count.
const PAGE: u64 = 4096;

/// Data in arenas. It has no map of its own.
const ARENA_SECTION: &str = ".addr_space.1";
/// Where addresses of the kernel's names are that nobody loads from.
const NAMES_SECTION: &str = ".ksyms";

/// All maps of a program.
pub(super) struct Maps {
    /// In the order of the image.
    declared: Vec<KernelMap>,
    sections: Vec<Section>,
}

/// A section of data: where it is in the image, and the map that holds it from offset zero.
struct Section {
    start: Addr,
    end: Addr,
    holder: Holder,
}

enum Holder {
    Own(KernelMap),
    /// The arena of this number.
    Arena(usize),
}

impl Maps {
    /// Creates all maps, with the data and the references to other maps that they hold from the start.
    pub(super) fn create(
        image: &BpfImage,
        options: &LoadOptions<'_>,
        types: Option<&fixed::Types>,
        notes: &mut Vec<String>,
    ) -> Result<Maps, KernelError> {
        let mut maps = Maps { declared: Vec::with_capacity(image.maps.len()), sections: Vec::new() };
        for definition in &image.maps {
            maps.declared.push(declare(definition, options, types, notes)?);
        }
        for (name, blocks) in sections(image) {
            let section = maps.section(image, options, (name, &blocks), (types, notes))?;
            maps.sections.push(section);
        }
        maps.put_maps(image)?;
        Ok(maps)
    }

    /// The declared map of a number.
    pub(super) fn declared(&self, index: usize) -> Result<BorrowedFd<'_>, KernelError> {
        let missing = || KernelError::image("maps", format!("the image has no map of number {index}"));
        self.declared.get(index).map(AsFd::as_fd).ok_or_else(missing)
    }

    /// The map that holds a byte of a block of data, and the byte's offset in its value.
    pub(super) fn data(
        &self,
        image: &BpfImage,
        block: usize,
        offset: i64,
    ) -> Result<(BorrowedFd<'_>, i64), KernelError> {
        let missing = || KernelError::image("data", format!("the image has no block of number {block}"));
        let block = image.data.get(block).ok_or_else(missing)?;
        let (fd, start) = self.data_at(image, block.address)?;
        Ok((fd, start.saturating_add(offset)))
    }

    /// The map that holds the byte at an address, and the byte's offset in its value.
    pub(super) fn data_at(&self, image: &BpfImage, address: Addr) -> Result<(BorrowedFd<'_>, i64), KernelError> {
        let holds = |section: &&Section| section.start <= address && address < section.end;
        let Some(section) = self.sections.iter().find(holds) else {
            let what = format!("no map holds {address} ({} blocks of data)", image.data.len());
            return Err(KernelError::image("data", what));
        };
        let fd = match &section.holder {
            Holder::Own(map) => map.as_fd(),
            Holder::Arena(index) => self.declared(*index)?,
        };
        Ok((fd, (address.0 - section.start.0).cast_signed()))
    }

    /// Puts programs into the maps that hold them from the start. Those that were not loaded are left out.
    pub(super) fn put_programs(&self, image: &BpfImage, programs: &[KernelProgram]) -> Result<(), KernelError> {
        let loaded: HashMap<&str, &KernelProgram> = programs.iter().map(|program| (program.name(), program)).collect();
        for (definition, map) in image.maps.iter().zip(&self.declared) {
            if definition.kind != PROG_ARRAY {
                continue;
            }
            for (index, address) in &definition.elements {
                let function = image.function_at(*address).filter(|function| function.address == *address);
                let Some(function) = function else {
                    let what = format!("its element {index} is {address}, where there is no function");
                    return Err(KernelError::image(&definition.name, what));
                };
                if let Some(program) = loaded.get(function.name.as_str()) {
                    map.put(&index.to_ne_bytes(), program.as_fd())?;
                }
            }
        }
        Ok(())
    }

    /// All of them: first the declared ones in the order of the image.
    pub(super) fn into_all(self) -> Vec<KernelMap> {
        let own = self.sections.into_iter().filter_map(|section| match section.holder {
            Holder::Own(map) => Some(map),
            Holder::Arena(_) => None,
        });
        self.declared.into_iter().chain(own).collect()
    }

    /// The map of the data of a name.
    fn section(
        &self,
        image: &BpfImage,
        options: &LoadOptions<'_>,
        (name, blocks): (&str, &[&DataBlock]),
        (types, notes): (Option<&fixed::Types>, &mut Vec<String>),
    ) -> Result<Section, KernelError> {
        let (start, end) = extent(name, blocks)?;
        if name.as_bytes() == tables::SECTION {
            let what =
                "jump tables (maps of type insn_array, from Linux 6.19 on) are not loaded; compile with -mcpu=v3";
            return Err(KernelError::image(name, what));
        }
        if let Some(reference) = image.references.iter().find(|reference| (start..end).contains(&reference.address)) {
            let what =
                format!("it holds an address at {}, and the kernel has none for data to hold", reference.address);
            return Err(KernelError::image(name, what));
        }
        let bytes = memory(image, name, start, end.0 - start.0)?;
        if name == ARENA_SECTION {
            let index = image.maps.iter().position(|map| map.kind == ARENA);
            let index = index.ok_or_else(|| KernelError::image(name, "there is no arena for it"))?;
            self.declared[index].write_arena(u64::from(image.maps[index].max_entries) * PAGE, bytes)?;
            return Ok(Section { start, end, holder: Holder::Arena(index) });
        }
        let constant = blocks.iter().all(|block| block.protection != Protection::ReadWrite);
        let value_size = u32::try_from(bytes.len())
            .map_err(|_| KernelError::image(name, format!("{:#x} bytes are more than a map holds", bytes.len())))?;
        let definition = MapDefinition {
            name: name.into(),
            kind: ARRAY,
            key_size: 4,
            value_size,
            max_entries: 1,
            flags: MMAPABLE | if constant { RDONLY_PROG } else { 0 },
            types: (0, types.and_then(|types| types.section(name, value_size)).unwrap_or_default()),
            ..MapDefinition::default()
        };
        let map = create(&definition, &data_name(options.name, name), None, (types, notes))?;
        if bytes.iter().any(|byte| *byte != 0) {
            map.update(&[0; 4], bytes, 0)?;
        }
        if constant {
            map.freeze()?;
        }
        Ok(Section { start, end, holder: Holder::Own(map) })
    }

    fn put_maps(&self, image: &BpfImage) -> Result<(), KernelError> {
        for (definition, map) in image.maps.iter().zip(&self.declared) {
            if definition.inner.is_none() {
                continue;
            }
            for (index, address) in &definition.elements {
                let Some(inner) = image.maps.iter().position(|other| other.address == *address) else {
                    let what = format!("its element {index} is {address}, where there is no map");
                    return Err(KernelError::image(&definition.name, what));
                };
                map.put(&index.to_ne_bytes(), self.declared(inner)?)?;
            }
        }
        Ok(())
    }
}

/// The blocks of each section that becomes a map, by the first one's address.
fn sections(image: &BpfImage) -> Vec<(&str, Vec<&DataBlock>)> {
    let mut sections: indexmap::IndexMap<&str, Vec<&DataBlock>> = indexmap::IndexMap::new();
    for block in image.data.iter().filter(|block| block.size > 0 && block.section != NAMES_SECTION) {
        sections.entry(&block.section).or_default().push(block);
    }
    sections.into_iter().collect()
}

/// Where a section's first block begins and its last one ends. Its map holds what is between, too.
fn extent(name: &str, blocks: &[&DataBlock]) -> Result<(Addr, Addr), KernelError> {
    let start = blocks.iter().map(|block| block.address).min().unwrap_or_default();
    let ends = blocks.iter().map(|block| block.address.0.checked_add(block.size));
    match ends.collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max()) {
        Some(end) => Ok((start, Addr(end))),
        None => Err(KernelError::image(name, format!("it begins at {start} and ends after all memory"))),
    }
}

/// The name that the map of a section has in the kernel, as libbpf makes it: of 15 bytes the section's end, and what is left
/// for the object's name. Sections with a second dot stand for themselves.
fn data_name(object: &str, section: &str) -> String {
    let room = 15usize.saturating_sub(section.len().max(7));
    let prefix = if section[1..].contains('.') { "" } else { object };
    prefix.chars().filter(char::is_ascii).take(room).chain(section.chars()).collect()
}

/// Creates a declared map, or takes the one that is pinned in its place.
fn declare(
    definition: &MapDefinition,
    options: &LoadOptions<'_>,
    types: Option<&fixed::Types>,
    notes: &mut Vec<String>,
) -> Result<KernelMap, KernelError> {
    if definition.kind == STRUCT_OPS {
        return Err(KernelError::image(&definition.name, "tables of the kernel (struct_ops) are not supported"));
    }
    let definition = adjusted(definition)?;
    let pin = options.pins.filter(|_| definition.pin_by_name).map(|folder| folder.join(&definition.name));
    if let Some(path) = pin.as_deref().filter(|path| path.exists()) {
        return KernelMap::pinned(&definition, path);
    }
    let inner = match &definition.inner {
        Some(inner) => Some(create(&adjusted(inner)?, &inner.name, None, (types, notes))?),
        None => None,
    };
    let map = create(&definition, &definition.name, inner.as_ref(), (types, notes))?;
    if let Some(path) = pin {
        map.pin(&path)?;
    }
    Ok(map)
}

/// Creates a map; without the types of its elements, if the kernel does not take them.
fn create(
    definition: &MapDefinition,
    kernel_name: &str,
    inner: Option<&KernelMap>,
    (types, notes): (Option<&fixed::Types>, &mut Vec<String>),
) -> Result<KernelMap, KernelError> {
    let named = MapDefinition { name: kernel_name.into(), ..definition.clone() };
    let typed = types.filter(|_| definition.types != (0, 0) && !UNTYPED.contains(&definition.kind));
    let context = MapContext { types: None, inner, kernel_type: 0 };
    let map = match typed {
        None => KernelMap::create(&named, context)?,
        Some(types) => {
            let with_types = MapContext { types: Some(types.btf().as_fd()), ..context };
            match KernelMap::create(&named, with_types) {
                Err(KernelError::Call { source, .. }) => {
                    let map = KernelMap::create(&named, context)?;
                    notes.push(format!("map {}: the types of its elements are left out: {source}", definition.name));
                    map
                }
                result => result?,
            }
        }
    };
    Ok(map.named(&definition.name))
}

/// A definition as the kernel takes it.
fn adjusted(definition: &MapDefinition) -> Result<MapDefinition, KernelError> {
    let mut cpus = 0;
    if definition.is_per_cpu_of_host() {
        cpus = possible_cpus().map_err(|error| KernelError::image(&definition.name, error.to_string()))?;
    }
    Ok(definition.completed(cpus as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_data_maps_are_those_that_libbpf_gives() {
        assert_eq!(data_name("minimal", ".rodata"), "minimal.rodata");
        assert_eq!(data_name("a_longer_object", ".rodata"), "a_longer.rodata");
        assert_eq!(data_name("a_longer_object", ".bss"), "a_longer.bss");
        assert_eq!(data_name("object", ".data.config"), ".data.config");
        assert_eq!(data_name("", ".bss"), ".bss");
        assert_eq!(data_name("object", ".a_section_of_a_long_name"), ".a_section_of_a_long_name");
    }

    #[test]
    fn sizes_are_rounded_as_the_kernel_wants() {
        let adjust = |kind, max_entries| {
            let definition = MapDefinition { kind, max_entries, ..MapDefinition::default() };
            adjusted(&definition).unwrap().max_entries
        };
        assert_eq!(adjust(27, 1), 4096);
        assert_eq!(adjust(27, 5000), 8192);
        assert_eq!(adjust(27, u32::MAX), u32::MAX);
        assert_eq!(adjust(1, 1), 1);
        assert!(adjust(4, 0) > 0);
    }
}
