//! The link map as JSON, and the summary of a link for people.

use crate::image::Layout;
use jitlink::core::graph::{Protection, Scope};
use jitlink::core::link::MapObject;
use jitlink::{Addr, Module};
use serde_json::{Value, json};
use std::io::Write;

/// The map of a module. Only what is linked without execution has places in an image.
pub(crate) fn to_json(module: &Module, layout: Option<&Layout>) -> Value {
    let target = module.target();
    let thread_locals = layout.and_then(|layout| layout.thread_locals);
    let segments = module.segments().iter().map(|segment| (segment.address, segment.size, segment.protection));
    // Initial values are no part of the module's own memory.
    let initial = thread_locals.map(|block| (block.address, block.stored, Protection::Read));
    let segments = segments.chain(initial.filter(|(_, stored, _)| *stored > 0)).map(|(address, size, protection)| {
        json!({
            "address": hex(address),
            "size": size,
            "protection": protection.name(),
            "image_offset": layout.and_then(|layout| layout.offset(address)),
        })
    });
    let thread_locals = thread_locals.map(|block| {
        json!({
            "address": hex(block.address),
            "size": block.size,
            "align": block.align,
            "stored": block.stored,
        })
    });
    let map = module.map();
    let objects = map.iter().flat_map(|map| &map.objects).map(object);
    let absolute = map.iter().flat_map(|map| &map.absolute);
    let mut document = json!({
        "version": 1,
        "target": {
            "format": target.format,
            "arch": target.arch.info().name(),
            "endian": target.endian.name(),
            "pointer_bytes": target.pointer_bytes,
        },
        "segments": segments.collect::<Vec<_>>(),
        "objects": objects.collect::<Vec<_>>(),
        "absolute": absolute.map(|(name, at)| json!({ "name": name, "address": hex(*at) })).collect::<Vec<_>>(),
    });
    if let Some(block) = thread_locals {
        document["thread_locals"] = block;
    }
    document
}

fn object(object: &MapObject) -> Value {
    json!({
        "name": file_name(&object.name),
        "path": object.path,
        "sections": object.sections.iter().map(|section| json!({
            "name": section.name,
            "address": hex(section.address),
            "size": section.size,
            "protection": section.protection.name(),
        })).collect::<Vec<_>>(),
        "symbols": object.symbols.iter().map(|symbol| json!({
            "name": symbol.name,
            "address": hex(symbol.address),
            "size": symbol.size,
            "scope": match symbol.scope {
                Scope::Local => "local",
                Scope::Hidden => "hidden",
                Scope::Protected | Scope::Global => "global",
            },
            "linkage": symbol.linkage,
        })).collect::<Vec<_>>(),
        "got": object.got.iter().map(|(symbol, at)| json!({ "symbol": symbol, "address": hex(*at) })).collect::<Vec<_>>(),
        "stubs": object.stubs.iter().map(|(symbol, at, kind)| {
            json!({ "symbol": symbol, "address": hex(*at), "kind": kind.name() })
        }).collect::<Vec<_>>(),
    })
}

/// A file's name without its folders; `libx.a(member.o)` for a member, whose own name may have folders.
fn file_name(name: &str) -> &str {
    let file = name.split('(').next().filter(|file| !file.is_empty()).unwrap_or(name);
    let start = file.rfind('/').map_or(0, |slash| slash + 1);
    &name[start..]
}

fn hex(address: Addr) -> String {
    format!("{address}")
}

/// What a person sees of a link.
pub(crate) fn write_summary(out: &mut impl Write, module: &Module) -> std::io::Result<()> {
    for segment in module.segments() {
        let name = match segment.protection {
            Protection::ReadExecute => "code",
            Protection::Read => "constants",
            Protection::ReadWrite => "data",
        };
        writeln!(out, "{} {:>10} bytes  {}  {name}", segment.address, segment.size, segment.protection.name())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_lose_their_folders() {
        assert_eq!(file_name("a.o"), "a.o");
        assert_eq!(file_name("build/x/a.o"), "a.o");
        assert_eq!(file_name("lib/libthin.a(../obj/a.o)"), "libthin.a(../obj/a.o)");
        assert_eq!(file_name("(jitlink)"), "(jitlink)");
    }
}
