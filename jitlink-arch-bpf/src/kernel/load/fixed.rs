//! A program's types as the kernel takes them.
//!
//! Compilers describe names that the kernel defines, and the kernel does not take such descriptions: variables and functions
//! without a definition, functions in lists of sections, lists without sizes. What libbpf makes of them is made here, on the bytes,
//! so that all numbers and names stay what other records say.

use crate::btf::{Btf, Kind, Linkage, TypeId};
use crate::image::BpfImage;
use crate::kernel::btf::KernelBtf;
use crate::kernel::program::HOST;
use hashbrown::{HashMap, HashSet};

/// Numbers of kinds in the bytes.
const STRUCT: u32 = 4;
const POINTER: u32 = 2;
const GLOBAL: u32 = 1;
const STATIC: u32 = 0;

/// The fixed types in bytes.
pub(super) struct Fixed {
    pub(super) bytes: Vec<u8>,
    sections: HashMap<String, (u32, u32)>,
}

/// Types that the kernel has taken.
pub(super) struct Types {
    btf: KernelBtf,
    /// The number and the size of each list of a section's variables.
    sections: HashMap<String, (u32, u32)>,
}

impl Fixed {
    pub(super) fn loaded(self, btf: KernelBtf) -> Types {
        Types { btf, sections: self.sections }
    }
}

impl Types {
    pub(super) fn btf(&self) -> &KernelBtf {
        &self.btf
    }

    /// The type of a section's variables, if it has the size of what is loaded.
    pub(super) fn section(&self, name: &str, size: u32) -> Option<u32> {
        self.sections.get(name).filter(|(_, listed)| *listed == size).map(|(id, _)| *id)
    }
}

/// What is to be changed, by number of type.
#[derive(Default)]
struct Changes {
    /// Lists that become empty structures.
    dropped: HashSet<TypeId>,
    /// Variables of the kernel, which become pointers that are defined here.
    variables: HashSet<TypeId>,
    /// Functions, and the linkage that they get.
    functions: HashMap<TypeId, u32>,
    /// Prototypes whose parameters need a name, and the name.
    prototypes: HashMap<TypeId, u32>,
}

/// The image's types, fixed.
pub(super) fn fix(image: &BpfImage) -> Fixed {
    let btf = &image.types.btf;
    let (changes, sections) = changes(image);
    let bytes = btf.to_bytes(HOST);
    let word =
        |at: usize| bytes.get(at..at + 4).map_or(0, |word| u32::from_ne_bytes(word.try_into().unwrap_or_default()));
    // struct btf_header: magic, version, flags; its length; where types are after it, and how long; the same of strings.
    let (header, types, strings) = (word(4) as usize, (word(8) as usize, word(12) as usize), (word(16), word(20)));
    let words: Vec<u32> = (0..types.1 / 4).map(|index| word(header + types.0 + 4 * index)).collect();
    let fixed = apply(btf, &words, &changes);
    let text = header + strings.0 as usize..header + strings.0 as usize + strings.1 as usize;
    let mut out = bytes[..4].to_vec();
    let len = fixed.len() as u32 * 4;
    out.extend([24, 0, len, len, strings.1].iter().flat_map(|word: &u32| word.to_ne_bytes()));
    out.extend(fixed.iter().flat_map(|word| word.to_ne_bytes()));
    out.extend(bytes.get(text).unwrap_or_default());
    Fixed { bytes: out, sections }
}

fn changes(image: &BpfImage) -> (Changes, HashMap<String, (u32, u32)>) {
    let btf = &image.types.btf;
    let (mut changes, mut sections) = (Changes::default(), HashMap::new());
    for ty in btf.types() {
        let is_extern = ty.linkage() == Some(Linkage::Extern);
        match ty.kind() {
            Kind::Var if is_extern => {
                changes.variables.insert(ty.id());
            }
            Kind::Func if is_extern => {
                changes.functions.insert(ty.id(), GLOBAL);
                changes.prototypes.insert(ty.target().unwrap_or_default(), ty.name_offset());
            }
            _ => {}
        }
    }
    // The kernel checks global functions for themselves, which those of hidden symbols are not meant for.
    for (address, id) in &image.types.functions {
        let function = image.function_at(*address);
        let is_global = btf.ty(*id).and_then(|ty| ty.linkage()) == Some(Linkage::Global);
        if is_global && function.is_some_and(|function| !function.global && !function.entry) {
            changes.functions.insert(*id, STATIC);
        }
    }
    for ty in btf.types().filter(|ty| ty.kind() == Kind::Datasec) {
        match sound(btf, &changes, ty) {
            Some(size) => {
                sections.insert(ty.name().to_owned(), (ty.id().0, size));
            }
            None => {
                changes.dropped.insert(ty.id());
            }
        }
    }
    (changes, sections)
}

/// The size of a list of a section's variables that the kernel takes: in order, without overlap, inside, and of variables alone.
fn sound(btf: &Btf, changes: &Changes, list: crate::btf::Type<'_>) -> Option<u32> {
    let size = list.size().filter(|size| *size > 0)?;
    let mut end = 0;
    for var in list.section_vars() {
        let ty = btf.ty(var.ty).filter(|ty| ty.kind() == Kind::Var && !changes.variables.contains(&var.ty))?;
        let own = btf.size_of(ty.target()?).ok()?;
        if var.offset < end || var.size < own || var.size == 0 {
            return None;
        }
        end = var.offset.checked_add(var.size).filter(|end| *end <= size)?;
    }
    Some(size)
}

/// The records with the changes, and a pointer after the last one for variables of the kernel.
fn apply(btf: &Btf, words: &[u32], changes: &Changes) -> Vec<u32> {
    let pointer = btf.len() as u32 + 1;
    let mut out = Vec::with_capacity(words.len() + 3);
    let mut at = 0;
    for id in (1..=btf.len() as u32).map(TypeId) {
        let Some(&[name, info, last]) = words.get(at..at + 3) else { break };
        let end = (at + 3 + extra(info)).min(words.len());
        let (record, start) = (&words[at..end], out.len());
        out.extend(record);
        if changes.dropped.contains(&id) {
            out.truncate(start);
            out.extend([0, STRUCT << 24, 0]);
        } else if changes.variables.contains(&id) {
            out.truncate(start);
            out.extend([name, info, pointer, GLOBAL]);
        } else if let Some(linkage) = changes.functions.get(&id) {
            out.truncate(start);
            out.extend([name, info & !0xffff | linkage, last]);
        } else if let Some(name) = changes.prototypes.get(&id) {
            for parameter in
                out[start + 3..].chunks_exact_mut(2).filter(|parameter| parameter[0] == 0 && parameter[1] != 0)
            {
                parameter[0] = *name;
            }
        }
        at = end;
    }
    if !changes.variables.is_empty() {
        out.extend([0, POINTER << 24, 0]);
    }
    out
}

/// How many words follow the three of each record (`linux/btf.h`).
fn extra(info: u32) -> usize {
    let count = (info & 0xffff) as usize;
    match info >> 24 & 0x1f {
        1 | 14 | 17 => 1,
        3 => 3,
        4 | 5 | 15 | 19 => 3 * count,
        6 | 13 => 2 * count,
        _ => 0,
    }
}
