//! The link map as JSON, and the image as bytes.

use jitlink::core::graph::{Protection, Scope};
use jitlink::core::link::MapObject;
use jitlink::{Addr, Module, Segment};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// The map of a module. `image_offset` gives where a segment stands in the image file.
pub(crate) fn to_json(module: &Module, image_offset: impl Fn(&Segment) -> u64) -> Value {
    let target = module.target();
    let segments = module.segments().iter().map(|segment| {
        json!({
            "address": hex(segment.address),
            "size": segment.size,
            "protection": segment.protection.name(),
            "image_offset": image_offset(segment),
        })
    });
    let map = module.map();
    let objects = map.iter().flat_map(|map| &map.objects).map(object);
    let absolute = map.iter().flat_map(|map| &map.absolute);
    json!({
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
    })
}

fn object(object: &MapObject) -> Value {
    let name =
        Path::new(&object.name).file_name().map_or(object.name.clone(), |name| name.to_string_lossy().into_owned());
    json!({
        "name": name,
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
