//! Maps of maps: a number or a key leads programs to another map, which the host may exchange while they run.
//!
//! All inner maps look like a template, so that a program's checks hold for each. The host stores maps
//! ([`Map::update_map`]) and, as in the kernel, reads their ids.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::array::{index, next_index, outside};
use super::chains::hash;
use super::errno::{Errno, MapResult};
use super::family::{Batches, Element, Family, check_update, missing};
use super::hash::check as check_hash;
use super::kind::MapKind;
use super::spec::{MapHost, MapSpec, flag};
use super::table::check_fd_array;
use super::value::Writer;
use super::{Map, Store};

/// What an entry takes beside its key.
const ENTRY: u64 = 64;

/// In how many parts the host walks over a hash table.
const BUCKETS: u64 = 256;

/// An array or a hash table of maps.
#[derive(Debug)]
pub(super) struct Nested {
    kind: MapKind,
    template: MapSpec,
    entries: u32,
    /// As many as the host has memory for.
    affordable: u64,
    maps: RwLock<BTreeMap<Vec<u8>, Arc<Map>>>,
}

impl Nested {
    /// Checks the definition and its template as the kernel does and makes an empty map.
    pub(super) fn new(spec: &MapSpec, kind: MapKind, host: &MapHost) -> MapResult<Nested> {
        if kind == MapKind::ArrayOfMaps {
            check_fd_array(spec, kind)?;
        } else {
            MapSpec::check_size("value_size", spec.value_size, 4..=4)?;
            check_hash(spec, kind)?;
        }
        let template =
            spec.inner.as_deref().ok_or_else(|| Errno::BADF.because("there is no template for the inner maps"))?;
        let affordable = host.memory / (u64::from(spec.key_size) + ENTRY);
        let preallocated = !spec.has(flag::NO_PREALLOC);
        if preallocated && u64::from(spec.max_entries) > affordable {
            return Err(Errno::NOMEM.because(format!("there is memory for {affordable} elements")));
        }
        Ok(Nested {
            kind,
            template: check_template(template, host)?,
            entries: spec.max_entries,
            affordable,
            maps: RwLock::new(BTreeMap::new()),
        })
    }

    fn is_array(&self) -> bool {
        self.kind == MapKind::ArrayOfMaps
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Vec<u8>, Arc<Map>>> {
        self.maps.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Vec<u8>, Arc<Map>>> {
        self.maps.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, key: &[u8], map: &Arc<Map>, flags: u64) -> MapResult {
        if self.is_array() {
            if flags != flag::ANY {
                return Err(Errno::INVAL.because(format!("there are no flags {flags:#x} for an update")));
            }
            if index(key) >= self.entries {
                return Err(outside(key, self.entries, Errno::TOO_BIG));
            }
        }
        self.check_inner(map)?;
        check_update(flags, 0)?;
        let mut maps = self.write();
        let exists = maps.contains_key(key);
        match flags {
            flag::NOEXIST if exists => return Err(Errno::EXIST.because("there is such a key already")),
            flag::EXIST if !exists => return Err(no_map()),
            _ => {}
        }
        if !exists && maps.len() >= self.entries as usize {
            return Err(Errno::TOO_BIG.because("the map is full"));
        }
        if !exists && maps.len() as u64 >= self.affordable {
            return Err(Errno::NOMEM.because("there is no memory for another element"));
        }
        maps.insert(key.to_vec(), Arc::clone(map));
        Ok(())
    }

    /// Refuses a map that differs from the template (`bpf_map_meta_equal`).
    fn check_inner(&self, map: &Map) -> MapResult {
        let (ours, theirs) = (&self.template, map.spec());
        let pairs = [
            ("type", ours.kind, theirs.kind),
            ("key_size", ours.key_size, theirs.key_size),
            ("value_size", ours.value_size, theirs.value_size),
            ("flags", ours.flags, theirs.flags),
            ("place of the lock", ours.lock_offset.map_or(0, |at| at + 1), theirs.lock_offset.map_or(0, |at| at + 1)),
            (
                "place of the timer",
                ours.timer_offset.map_or(0, |at| at + 1),
                theirs.timer_offset.map_or(0, |at| at + 1),
            ),
        ];
        // Programs were checked against the number of elements of an array.
        let array = ours.kind == MapKind::Array.number() && !ours.has(flag::INNER_MAP);
        let sized = array || ours.kind == MapKind::Xskmap.number();
        let entries = sized.then_some(("max_entries", ours.max_entries, theirs.max_entries));
        match pairs.into_iter().chain(entries).find(|(_, ours, theirs)| ours != theirs) {
            None => Ok(()),
            Some((what, ours, theirs)) => {
                Err(Errno::INVAL
                    .because(format!("the inner map's {what} is {theirs:#x}, and {ours:#x} in the template")))
            }
        }
    }
}

/// Makes sure that the template could be a map itself, and none of maps.
fn check_template(template: &MapSpec, host: &MapHost) -> MapResult<MapSpec> {
    let kind = MapKind::from_number(template.kind)?;
    match kind {
        MapKind::ArrayOfMaps | MapKind::HashOfMaps => {
            Err(Errno::INVAL.because("the inner maps of a map of maps cannot be maps of maps"))
        }
        MapKind::ProgArray => Err(Errno::NOTSUPP.because("inner maps cannot be of type prog_array")),
        // What the kernel makes of it counts, for instance of the number of elements.
        _ => Ok(Map::new(template.clone(), host)?.spec().clone()),
    }
}

fn no_map() -> super::MapError {
    Errno::NOENT.because("there is no map with such a key")
}

impl Map {
    /// Stores a map in a map of maps (`BPF_MAP_UPDATE_ELEM` with its descriptor). `EINVAL` if it differs from the
    /// template.
    pub fn update_map(&self, key: &[u8], map: &Arc<Map>, flags: u64) -> MapResult {
        self.check_write()?;
        self.check_lock(flags)?;
        self.check_key(key)?;
        match &self.store {
            Store::Nested(nested) => nested.insert(key, map, flags),
            _ => Err(missing(Errno::NOTSUPP)),
        }
    }

    /// The map that a key leads to, for programs and for the host.
    pub fn inner_map(&self, key: &[u8]) -> Option<Arc<Map>> {
        match &self.store {
            Store::Nested(nested) => nested.read().get(key).cloned(),
            _ => None,
        }
    }

    /// What the inner maps of a map of maps look like.
    pub fn template(&self) -> Option<&MapSpec> {
        match &self.store {
            Store::Nested(nested) => Some(&nested.template),
            _ => None,
        }
    }
}

impl Family for Nested {
    fn lookup(&self, key: &[u8], _flags: u64) -> MapResult<Vec<u8>> {
        self.read().get(key).map(|map| map.id().to_ne_bytes().to_vec()).ok_or_else(no_map)
    }

    fn update(&self, _key: &[u8], _value: &[u8], _flags: u64, by: Writer) -> MapResult {
        match by {
            Writer::Host => Err(Errno::BADF.because("a map is needed, and bytes name none")),
            Writer::Cpu(_) => Err(Errno::INVAL.because("programs cannot change this type of map")),
        }
    }

    fn delete(&self, key: &[u8]) -> MapResult {
        if self.is_array() && index(key) >= self.entries {
            return Err(outside(key, self.entries, Errno::TOO_BIG));
        }
        self.write().remove(key).map(|_| ()).ok_or_else(no_map)
    }

    fn next_key(&self, key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        if self.is_array() {
            return next_index(key, self.entries);
        }
        let maps = self.read();
        let next = match key.filter(|key| maps.contains_key(*key)) {
            Some(key) => maps.range::<[u8], _>((Bound::Excluded(key), Bound::Unbounded)).next(),
            None => maps.first_key_value(),
        };
        next.map(|(key, _)| key.clone()).ok_or_else(|| Errno::NOENT.because("that was the last element"))
    }

    fn step(&self, cursor: &mut u64) -> Option<Vec<Element>> {
        // Programs cannot iterate over these; for the host, some keys at a time, whatever comes and goes.
        let buckets = u64::from(self.entries).next_power_of_two().min(BUCKETS);
        while *cursor < buckets {
            let bucket = *cursor;
            *cursor += 1;
            let maps = self.read();
            let members = maps.keys().filter(|key| u64::from(hash(0, key)) % buckets == bucket);
            let elements: Vec<Element> = members.map(|key| Element { key: key.clone(), offset: 0 }).collect();
            if !elements.is_empty() {
                return Some(elements);
            }
        }
        None
    }

    fn batches(&self) -> Batches {
        if self.is_array() { Batches::Values } else { Batches::Buckets }
    }
}
