//! All records of all objects in one vector.

use crate::btf::{Btf, BtfError, Kind, TypeId, fields, strings::Strings};

/// The records of all objects, with ids that count through the objects and names of one heap.
///
/// Id 0 is `void` for all of them.
pub(super) struct Flat {
    words: Vec<u32>,
    /// Where each record starts, and the end of the last one. Type 0 has none.
    starts: Vec<usize>,
    /// The first id of each object, and the id after the last one.
    pub(super) bases: Vec<u32>,
    /// What each type means: itself, or the definition of what it declares.
    pub(super) meaning: Vec<u32>,
}

impl Flat {
    pub(super) fn new(objects: &[&Btf], strings: &mut Strings) -> Result<Flat, BtfError> {
        let mut flat = Flat { words: Vec::new(), starts: vec![0, 0], bases: Vec::new(), meaning: vec![0] };
        for btf in objects {
            let too_many = || BtfError::TooLarge { what: "more than 2^32 types" };
            let base = u32::try_from(flat.len()).map_err(|_| too_many())?;
            base.checked_add(btf.len() as u32 + 1).ok_or_else(too_many)?;
            flat.bases.push(base);
            for ty in btf.types() {
                flat.append(btf, &ty, base, strings)?;
            }
        }
        flat.bases.push(flat.len() as u32);
        flat.meaning = (0..flat.len() as u32).collect();
        Ok(flat)
    }

    fn append(
        &mut self,
        btf: &Btf,
        ty: &crate::btf::Type<'_>,
        base: u32,
        strings: &mut Strings,
    ) -> Result<(), BtfError> {
        let start = self.words.len();
        self.words.extend_from_slice(ty.words());
        let words = &mut self.words[start..];
        for position in fields::names(ty.kind(), words.len()) {
            words[position] = strings.add(btf.string(words[position]).unwrap_or_default())?;
        }
        for position in fields::ids(ty.kind(), words.len()) {
            words[position] = if words[position] == 0 { 0 } else { base + words[position] - 1 };
        }
        self.starts.push(self.words.len());
        Ok(())
    }

    /// The number of ids, that of `void` included.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The record of a type; none for `void`.
    pub(super) fn words(&self, id: u32) -> &[u32] {
        &self.words[self.starts[id as usize]..self.starts[id as usize + 1]]
    }

    pub(super) fn kind(&self, id: u32) -> Kind {
        self.words(id).get(1).and_then(|info| Kind::from_number(info >> 24 & 0x1f)).unwrap_or(Kind::Void)
    }

    /// What a type refers to, in the order of its record.
    pub(super) fn references(&self, id: u32) -> impl Iterator<Item = u32> {
        let words = self.words(id);
        fields::ids(self.kind(id), words.len()).map(|position| self.meaning[words[position] as usize])
    }

    /// The object that a type is of, and its number there.
    pub(super) fn origin(&self, id: u32) -> (usize, TypeId) {
        let object = self.bases.partition_point(|base| *base <= id).saturating_sub(1);
        (object, TypeId(id - self.bases[object] + 1))
    }
}
