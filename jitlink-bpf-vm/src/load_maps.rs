//! The maps of a linked program: made from its definitions, and filled with what it declares as their elements.
//!
//! A definition becomes a map as it does when libbpf loads the program into a kernel. What libbpf completes is completed; locks and
//! timers that the types of values show are the map's, and where the kernel takes no map with such values, it is made without them:
//! programs that use them anyway are stopped then.

use crate::error::LoadError;
use crate::helpers::program_number;
use crate::maps::{Errno, Map, MapHost, MapKind, MapResult, MapSpec, flag};
use jitlink_arch_bpf::image::{BpfImage, MapDefinition};
use jitlink_core::Addr;
use std::sync::Arc;

/// The maps of an image, in its order: those that the host has under their names, or new ones.
pub(crate) fn load_maps(
    image: &BpfImage,
    known: &[(String, Arc<Map>)],
    host: &MapHost,
) -> Result<Vec<Arc<Map>>, LoadError> {
    let load = |definition: &MapDefinition| match known.iter().find(|(name, _)| *name == definition.name) {
        Some((_, map)) => Ok(map.clone()),
        None => make(definition, host)
            .map_err(|error| LoadError::Map { name: definition.name.clone(), reason: error.to_string() }),
    };
    image.maps.iter().map(load).collect()
}

fn make(definition: &MapDefinition, host: &MapHost) -> MapResult<Arc<Map>> {
    let cpus = u32::try_from(host.cpus.max(1)).unwrap_or(u32::MAX);
    let spec = MapSpec::from(&definition.completed(cpus));
    let plain = spec.clone().without_fields();
    match Map::new(spec.clone(), host) {
        Err(_) if plain != spec => Map::new(plain, host),
        made => made,
    }
}

/// Puts into maps the programs and maps that their image declares as their elements. `known` are those that the host has made.
pub(crate) fn declare_elements(
    image: &BpfImage,
    maps: &[Arc<Map>],
    known: &[(String, Arc<Map>)],
) -> Result<(), LoadError> {
    for (definition, map) in image.maps.iter().zip(maps) {
        let is_known = known.iter().any(|(_, known)| Arc::ptr_eq(known, map));
        if is_known && map.kind() != MapKind::ProgArray {
            continue;
        }
        for (index, target) in &definition.elements {
            declare(image, maps, map, (*index, *target)).map_err(|error| LoadError::Map {
                name: definition.name.clone(),
                reason: format!("element {index}: {error}"),
            })?;
        }
    }
    Ok(())
}

fn declare(image: &BpfImage, maps: &[Arc<Map>], map: &Map, (index, target): (u32, Addr)) -> MapResult {
    // Maps and their hosts count in the host's own byte order.
    let key = index.to_ne_bytes();
    if map.kind() == MapKind::ProgArray {
        let number = program_number(target.0);
        let number = number.ok_or_else(|| Errno::INVAL.because(format!("there is no linked code at {target}")))?;
        return map.update(&key, &number.to_ne_bytes(), flag::ANY);
    }
    let inner = image.maps.iter().position(|definition| definition.address == target);
    let inner = inner.and_then(|position| maps.get(position));
    let inner = inner.ok_or_else(|| Errno::INVAL.because(format!("there is no map at {target}")))?;
    map.update_map(&key, inner, flag::ANY)
}
