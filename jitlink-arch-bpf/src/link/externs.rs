//! Names that no object defines because the kernel does.
//!
//! BTF lists them in `.ksyms` and `.kconfig`. A value of the configuration gets memory of the program, with the value in it. A
//! variable or function of the kernel gets eight bytes that only stand for it: an address that no other name has, within the
//! reach of calls. Whoever runs or loads the program knows by the image's references which instructions mean which name.

use super::kconfig::Kconfig;
use super::types::Types;
use crate::btf::{Kind, Linkage, TypeId};
use crate::image::ExternKind;
use hashbrown::HashMap;
use jitlink_core::graph::{self, BlockId, Content, LinkGraph, ObjectBuilder, Section, SymbolId, Value};

/// A name of the kernel.
#[derive(Clone, Debug)]
pub(super) struct Outside {
    pub(super) name: String,
    pub(super) kind: ExternKind,
    pub(super) weak: bool,
    /// The position of the object's types that declare it, and its type there.
    pub(super) ty: (usize, TypeId),
    pub(super) block: BlockId,
    pub(super) offset: u64,
}

/// The bytes that stand for a name of the kernel.
const STAND_IN: u64 = 8;

/// Defines the names that the kernel has and no object defines.
pub(super) fn define(graph: &mut LinkGraph<'_>, types: &Types, kconfig: &Kconfig) -> Result<Vec<Outside>, String> {
    let declared = declared(types);
    if declared.is_empty() {
        return Ok(Vec::new());
    }
    let names = undefined(graph, &declared);
    let mut outside: Vec<Outside> = Vec::with_capacity(names.len());
    let (mut config, mut align) = (Vec::new(), 0u8);
    let mut stand_ins = 0;
    for (name, references) in &names {
        let &(kind, position, ty) = &declared[name.as_str()];
        let weak = references.iter().all(|&id| graph.symbol(id).linkage == graph::Linkage::Weak);
        let offset = match kind {
            ExternKind::Config => {
                let btf = &types.all()[position].btf;
                let size = btf.size_of(ty).map_err(|error| format!("{name}: {error}"))?;
                let own_align = btf.align_of(ty).map_err(|error| format!("{name}: {error}"))?;
                let var = btf.ty(ty).ok_or_else(|| format!("{name}: there is no type {ty}"))?;
                let value = kconfig.bytes(btf, var, graph.target().endian)?;
                let bytes = match value {
                    Some(bytes) => bytes,
                    None if weak => vec![0; size as usize],
                    None => return Err(no_value(graph, name, references)),
                };
                align = align.max(own_align.trailing_zeros() as u8);
                config.resize(config.len().next_multiple_of(own_align as usize), 0);
                let offset = config.len() as u64;
                config.extend(bytes);
                offset
            }
            ExternKind::Variable | ExternKind::Function => {
                stand_ins += STAND_IN;
                stand_ins - STAND_IN
            }
        };
        let block = BlockId::new(0);
        outside.push(Outside { name: name.clone(), kind, weak, ty: (position, ty), block, offset });
    }
    let (config, stand_ins) = add_memory(graph, (config, align), stand_ins);
    for (outside, (_, references)) in outside.iter_mut().zip(&names) {
        outside.block = if outside.kind == ExternKind::Config { config } else { stand_ins };
        for &id in references {
            graph.symbol_mut(id).value = Value::Block { block: outside.block, offset: outside.offset };
        }
    }
    Ok(outside)
}

/// What BTF says is the kernel's: kind, position of the object's types, type.
fn declared(types: &Types) -> HashMap<&str, (ExternKind, usize, TypeId)> {
    let mut declared = HashMap::new();
    for (position, object) in types.all().iter().enumerate() {
        for (section, is_config) in [(".ksyms", false), (".kconfig", true)] {
            for ty in object.listed(section).filter(|ty| ty.linkage() == Some(Linkage::Extern)) {
                let kind = match (is_config, ty.kind()) {
                    (true, _) => ExternKind::Config,
                    (false, Kind::Func) => ExternKind::Function,
                    (false, _) => ExternKind::Variable,
                };
                declared.entry(ty.name()).or_insert((kind, position, ty.id()));
            }
        }
    }
    declared
}

/// The references to names of the kernel that nothing defines, by name in the order of the input.
fn undefined<T>(graph: &LinkGraph<'_>, declared: &HashMap<&str, T>) -> indexmap::IndexMap<String, Vec<SymbolId>> {
    let mut names: indexmap::IndexMap<String, Vec<SymbolId>> = indexmap::IndexMap::new();
    for (id, symbol) in graph.symbols().filter(|(_, symbol)| !symbol.is_defined()) {
        // The canonical symbol is a reference like the others if nothing defines the name.
        let Ok(name) = std::str::from_utf8(symbol.name.bytes()) else { continue };
        if declared.contains_key(name) && !graph.symbol(graph.canonical(id)).is_defined() {
            names.entry(name.to_owned()).or_default().push(id);
        }
    }
    names
}

/// Adds the object whose memory the kernel's names have: the block of values, and that of stand-ins.
fn add_memory(graph: &mut LinkGraph<'_>, (config, align): (Vec<u8>, u8), stand_ins: u64) -> (BlockId, BlockId) {
    let mut object = ObjectBuilder::new(graph, "(kernel)".into(), String::new());
    let id = object.id();
    object.add_section(Section::new(b".kconfig", id));
    let config = object.add_block(Content::Owned(config.into()), 0, align);
    object.add_section(Section::new(b".ksyms", id));
    let stand_ins = object.add_block(Content::Zero(stand_ins), 0, 3);
    (config, stand_ins)
}

fn no_value(graph: &LinkGraph<'_>, name: &str, references: &[SymbolId]) -> String {
    let object = references.first().map_or("", |&id| graph.object(graph.symbol(id).object).name.as_str());
    format!(
        "{object} needs the value of {name} of the kernel's configuration, which nothing says; give the kernel's \
         configuration, or declare the name weak"
    )
}
