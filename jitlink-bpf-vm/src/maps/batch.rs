//! Operations of the host on many elements at once: `BPF_MAP_LOOKUP_BATCH` and its like.

use super::Map;
use super::errno::{Errno, MapError, MapResult};
use super::family::{Batches, missing};
use super::host::check_flags;
use super::kind::MapKind;
use super::value::Writer;

/// Elements that were looked up at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Keys with their values.
    pub elements: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where to go on, to be given to the next call; none at the end, where the kernel says `ENOENT`.
    pub next: Option<Vec<u8>>,
}

impl Map {
    /// Looks up to `count` elements up (`BPF_MAP_LOOKUP_BATCH`), from the start or where an earlier batch ended. Hash
    /// tables give whole buckets: `ENOSPC` if not even one fits.
    pub fn lookup_batch(&self, from: Option<&[u8]>, count: usize, flags: u64) -> MapResult<Batch> {
        self.check_read()?;
        match self.family().batches() {
            Batches::None => Err(missing(Errno::NOTSUPP)),
            Batches::Values | Batches::Elements => self.by_key(from, count, flags),
            Batches::Buckets => self.by_bucket(from, count, flags, |key| self.family().lookup(key, flags)),
        }
    }

    /// The same, and removes them (`BPF_MAP_LOOKUP_AND_DELETE_BATCH`).
    pub fn lookup_and_delete_batch(&self, from: Option<&[u8]>, count: usize, flags: u64) -> MapResult<Batch> {
        self.check_read()?;
        self.check_write()?;
        match self.family().batches() {
            // The kernel has this for hash tables of maps, but not the operation on one element.
            Batches::Buckets if self.kind == MapKind::HashOfMaps => self.by_bucket(from, count, flags, |key| {
                let value = self.family().lookup(key, flags)?;
                self.family().delete(key).map(|()| value)
            }),
            Batches::Buckets => self.by_bucket(from, count, flags, |key| self.family().take(key, flags)),
            _ => Err(missing(Errno::NOTSUPP)),
        }
    }

    /// Updates elements in order (`BPF_MAP_UPDATE_BATCH`). After a failure, the number tells how many were updated
    /// before.
    pub fn update_batch(&self, elements: &[(&[u8], &[u8])], flags: u64) -> Result<(), (usize, MapError)> {
        self.check_batch(flags, self.family().batches() != Batches::None).map_err(|error| (0, error))?;
        for (done, (key, value)) in elements.iter().enumerate() {
            let result = self.check_key(key).and_then(|()| self.family().update(key, value, flags, Writer::Host));
            result.map_err(|error| (done, error))?;
        }
        Ok(())
    }

    /// Removes elements in order (`BPF_MAP_DELETE_BATCH`). After a failure, the number tells how many were removed
    /// before.
    pub fn delete_batch(&self, keys: &[&[u8]], flags: u64) -> Result<(), (usize, MapError)> {
        let there = matches!(self.family().batches(), Batches::Elements | Batches::Buckets);
        self.check_batch(flags, there).map_err(|error| (0, error))?;
        for (done, key) in keys.iter().enumerate() {
            let result = self.check_key(key).and_then(|()| self.family().delete(key));
            result.map_err(|error| (done, error))?;
        }
        Ok(())
    }

    fn check_batch(&self, flags: u64, there: bool) -> MapResult {
        self.check_write()?;
        if !there {
            return Err(missing(Errno::NOTSUPP));
        }
        check_flags(flags)?;
        self.check_lock(flags)
    }

    fn by_key(&self, from: Option<&[u8]>, count: usize, flags: u64) -> MapResult<Batch> {
        check_flags(flags)?;
        self.check_lock(flags)?;
        let mut last = from.map(<[u8]>::to_vec);
        if let Some(key) = &last {
            self.check_key(key)?;
        }
        let mut batch = Batch::default();
        while batch.elements.len() < count {
            match self.family().next_key(last.as_deref()) {
                Ok(key) => {
                    if let Ok(value) = self.family().lookup(&key, flags) {
                        batch.elements.push((key.clone(), value));
                    }
                    last = Some(key);
                }
                Err(error) if error.errno == Errno::NOENT => return Ok(batch),
                Err(error) => return Err(error),
            }
        }
        batch.next = last;
        Ok(batch)
    }

    fn by_bucket<F>(&self, from: Option<&[u8]>, count: usize, flags: u64, look: F) -> MapResult<Batch>
    where
        F: Fn(&[u8]) -> MapResult<Vec<u8>>,
    {
        check_flags(flags)?;
        self.check_lock(flags)?;
        let mut batch = Batch::default();
        let mut cursor = match from.map(<[u8; 8]>::try_from) {
            None => 0,
            Some(Ok(cursor)) => u64::from_ne_bytes(cursor),
            Some(Err(_)) => return Err(Errno::INVAL.because("no batch ended there")),
        };
        if count == 0 {
            batch.next = Some(cursor.to_ne_bytes().to_vec());
            return Ok(batch);
        }
        loop {
            let start = cursor;
            let Some(bucket) = self.family().step(&mut cursor) else { return Ok(batch) };
            if batch.elements.len() + bucket.len() > count {
                if batch.elements.is_empty() {
                    return Err(Errno::NOSPC.because(format!("a bucket has {} elements", bucket.len())));
                }
                batch.next = Some(start.to_ne_bytes().to_vec());
                return Ok(batch);
            }
            let found = bucket.into_iter().filter_map(|element| Some((look(&element.key).ok()?, element.key)));
            batch.elements.extend(found.map(|(value, key)| (key, value)));
        }
    }
}
