//! BTF without the types that nobody needs, and sections that say where their variables are.

use super::merge::Layout;
use super::{Btf, BtfBuilder, BtfError, Kind, TypeId, fields, strings::Strings};

/// The new numbers of types: of one object's in the merged BTF, or of those that were kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeMap(pub(crate) Vec<TypeId>);

impl TypeMap {
    /// The new number of a type; `void` stays what it is. A type that is not there any more, or never was, is `void`
    /// too.
    pub fn get(&self, old: TypeId) -> TypeId {
        self.0.get(old.0 as usize).copied().unwrap_or_default()
    }
}

impl Btf {
    /// The types that `roots` need, in their order, with the strings that they need. Tags stay with what they are on.
    ///
    /// Types that are left out become `void` in the map.
    pub fn retain(&self, roots: impl IntoIterator<Item = TypeId>) -> Result<(BtfBuilder, TypeMap), BtfError> {
        let mut needed = vec![false; self.len() + 1];
        self.mark(roots.into_iter().collect(), &mut needed)?;
        // A tag needs what it is on and nothing needs a tag, so one walk in reverse is not enough: tags may be on tags.
        loop {
            let more: Vec<TypeId> = self
                .types()
                .filter(|ty| ty.kind() == Kind::DeclTag && !needed[ty.id().0 as usize])
                .filter(|tag| tag.target().is_some_and(|target| target != TypeId::VOID && needed[target.0 as usize]))
                .map(|tag| tag.id())
                .collect();
            if more.is_empty() {
                break;
            }
            self.mark(more, &mut needed)?;
        }
        let mut map = TypeMap(vec![TypeId::VOID; self.len() + 1]);
        for (number, id) in (1..).zip((1..=self.len()).filter(|id| needed[*id])) {
            map.0[id] = TypeId(number);
        }
        let mut strings = Strings::default();
        let mut records = Vec::new();
        for ty in self.types().filter(|ty| needed[ty.id().0 as usize]) {
            let mut words = ty.words().to_vec();
            for position in fields::names(ty.kind(), words.len()) {
                words[position] = strings.add(self.string(words[position]).unwrap_or_default())?;
            }
            for position in fields::ids(ty.kind(), words.len()) {
                words[position] = map.get(TypeId(words[position])).0;
            }
            records.push(words);
        }
        let mut builder = BtfBuilder::with_strings(strings);
        for words in records {
            builder.raw(&[words[0], words[1], words[2]], &words[3..])?;
        }
        Ok((builder, map))
    }

    fn mark(&self, mut open: Vec<TypeId>, needed: &mut [bool]) -> Result<(), BtfError> {
        while let Some(id) = open.pop() {
            let ty = self.expect(id)?;
            if std::mem::replace(&mut needed[id.0 as usize], true) {
                continue;
            }
            let words = ty.words();
            open.extend(fields::ids(ty.kind(), words.len()).map(|position| TypeId(words[position])));
        }
        Ok(())
    }

    /// Says where the variables of each section are, which compilers leave to the symbol table; variables without a
    /// place are left out of their section. Numbers of types stay what they are, so a section that holds nothing any
    /// more stays too, which the kernel refuses. The layout is asked for object 0.
    pub fn fixup_datasecs(&mut self, layout: &dyn Layout) -> Result<(), BtfError> {
        let mut builder = BtfBuilder::with_strings(Strings::from_bytes(self.strings.clone()));
        for ty in self.types() {
            let words = ty.words();
            if ty.kind() != Kind::Datasec {
                builder.raw(&[words[0], words[1], words[2]], &words[3..])?;
                continue;
            }
            let mut vars = Vec::new();
            for mut var in ty.section_vars() {
                let name = self.ty(var.ty).map_or("", |var| var.name());
                if let Some((offset, size)) = layout.place(0, ty.name(), name) {
                    (var.offset, var.size) = (offset, size);
                    vars.push(var);
                }
            }
            let end = vars.iter().map(|var| var.offset.saturating_add(var.size)).max().unwrap_or_default();
            builder.section_at(words[0], layout.section_size(ty.name()).unwrap_or(end), &vars)?;
        }
        *self = builder.finish()?;
        Ok(())
    }
}
