//! A program's types as the kernel takes them.
//!
//! [`Btf::for_kernel`] gives the form that the kernel takes of any types. Two things depend on the program: which functions the kernel
//! is to check for themselves, and whether lists of sections' variables are those of what is loaded. They are changed in
//! the bytes, so that all numbers and names stay what other records say.

use crate::btf::{Btf, BtfError, Kind, Linkage, Type, TypeId};
use crate::image::BpfImage;
use crate::kernel::btf::KernelBtf;
use crate::kernel::program::HOST;
use hashbrown::{HashMap, HashSet};

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

/// The image's types, fixed.
pub(super) fn fix(image: &BpfImage) -> Result<Fixed, BtfError> {
    let btf = image.types.btf.for_kernel()?;
    // The kernel checks global functions for themselves, which those of hidden symbols are not meant for.
    let hidden = |address| image.function_at(address).is_some_and(|function| !function.global && !function.entry);
    let is_global = |id| btf.ty(id).and_then(|ty| ty.linkage()) == Some(Linkage::Global);
    let functions = image.types.functions.iter();
    let statics = functions.filter(|(address, id)| is_global(*id) && hidden(*address)).map(|(_, id)| *id).collect();
    let (mut dropped, mut sections) = (HashSet::new(), HashMap::new());
    for ty in btf.types().filter(|ty| ty.kind() == Kind::Datasec) {
        match sound(&btf, ty) {
            Some(size) => _ = sections.insert(ty.name().to_owned(), (ty.id().0, size)),
            None => _ = dropped.insert(ty.id()),
        }
    }
    let bytes = rewrite(&btf, &statics, &dropped);
    Ok(Fixed { bytes, sections })
}

/// The size of a list of a section's variables that the kernel takes: in order, without overlap, inside.
fn sound(btf: &Btf, list: Type<'_>) -> Option<u32> {
    let size = list.size().filter(|size| *size > 0)?;
    let mut end = 0;
    for var in list.section_vars() {
        let own = btf.size_of(btf.ty(var.ty)?.target()?).ok()?;
        if var.offset < end || var.size < own || var.size == 0 {
            return None;
        }
        end = var.offset.checked_add(var.size).filter(|end| *end <= size)?;
    }
    Some(size)
}

/// The bytes of types, with some functions static, and some lists of variables replaced by pointers to nothing.
fn rewrite(btf: &Btf, statics: &HashSet<TypeId>, dropped: &HashSet<TypeId>) -> Vec<u8> {
    let bytes = btf.to_bytes(HOST);
    let word =
        |at: usize| bytes.get(at..at + 4).map_or(0, |word| u32::from_ne_bytes(word.try_into().unwrap_or_default()));
    // struct btf_header: magic, version, flags; its length; where types are after it, and how long; the same of strings.
    let (header, strings) = (word(4) as usize, word(16) as usize);
    let mut at = header + word(8) as usize;
    let mut records = Vec::with_capacity(bytes.len());
    for id in (1..=btf.len() as u32).map(TypeId) {
        let (name, info, last) = (word(at), word(at + 4), word(at + 8));
        let end = at + 12 + extra(info);
        let new = match () {
            () if statics.contains(&id) => vec![name, info & !0xffff | Linkage::Static as u32, last],
            () if dropped.contains(&id) => vec![0, (Kind::Ptr as u32) << 24, 0],
            () => {
                records.extend(bytes.get(at..end).unwrap_or_default());
                Vec::new()
            }
        };
        records.extend(new.iter().flat_map(|word| word.to_ne_bytes()));
        at = end;
    }
    let strings = bytes.get(header + strings..).unwrap_or_default();
    let len = records.len() as u32;
    let mut out = bytes[..4].to_vec();
    out.extend([24, 0, len, len, strings.len() as u32].iter().flat_map(|word: &u32| word.to_ne_bytes()));
    out.extend(records);
    out.extend(strings);
    out
}

/// How many bytes follow the first twelve of a record (`linux/btf.h`).
fn extra(info: u32) -> usize {
    let count = (info & 0xffff) as usize;
    match info >> 24 & 0x1f {
        1 | 14 | 17 => 4,
        3 => 12,
        4 | 5 | 15 | 19 => 12 * count,
        6 | 13 => 8 * count,
        _ => 0,
    }
}
