//! The memory of a packet: headroom, metadata, the packet, tailroom.

use std::sync::Arc;

use crate::memory::{Memory, OutOfMemory};

/// A packet's bytes in memory with room around them. **Invariant:** `meta <= data <= end <= memory.len()`.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub(crate) memory: Arc<Memory>,
    /// Where metadata begins.
    pub(crate) meta: usize,
    /// Where the packet begins.
    pub(crate) data: usize,
    /// One past the packet's end.
    pub(crate) end: usize,
}

impl Buffer {
    /// A packet and its metadata between head- and tailroom of these sizes.
    pub(crate) fn new(meta: &[u8], bytes: &[u8], room: (usize, usize)) -> Result<Buffer, OutOfMemory> {
        let (data, end) = (room.0 + meta.len(), room.0 + meta.len() + bytes.len());
        let memory = Memory::zeroed(end + room.1)?;
        memory.write(room.0, meta);
        memory.write(data, bytes);
        Ok(Buffer { memory: Arc::new(memory), meta: room.0, data, end })
    }

    /// How long the packet is.
    pub(crate) fn len(&self) -> usize {
        self.end - self.data
    }

    /// A copy of the packet.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.memory.to_vec(self.data, self.len())
    }

    /// A copy of some bytes of the packet, if it has them.
    pub(crate) fn get(&self, offset: u64, len: u64) -> Option<Vec<u8>> {
        let place = self.place(offset, len)?;
        Some(self.memory.to_vec(place, len as usize))
    }

    /// A big-endian number of two bytes in the packet.
    pub(crate) fn get16(&self, offset: usize) -> Option<u16> {
        let place = self.place(offset as u64, 2)?;
        let mut bytes = [0; 2];
        self.memory.read(place, &mut bytes);
        Some(u16::from_be_bytes(bytes))
    }

    /// Writes bytes of the packet; whether it has them.
    pub(crate) fn set(&self, offset: u64, bytes: &[u8]) -> bool {
        let place = self.place(offset, bytes.len() as u64);
        if let Some(place) = place {
            self.memory.write(place, bytes);
        }
        place.is_some()
    }

    /// Where some bytes of the packet are in memory.
    pub(crate) fn place(&self, offset: u64, len: u64) -> Option<usize> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len() as u64);
        end.map(|_| self.data + offset as usize)
    }

    /// Makes room for zeros at an offset of the packet: what is before moves forward.
    pub(crate) fn insert(&mut self, offset: usize, count: usize) -> Result<(), OutOfMemory> {
        if self.data < count {
            self.grow(count, 0)?;
        }
        let front = self.memory.to_vec(self.data, offset);
        self.data -= count;
        self.memory.write(self.data, &front);
        self.memory.fill(self.data + offset, count, 0);
        self.meta = self.data;
        Ok(())
    }

    /// Removes bytes at an offset of the packet, which has them: what is before moves backward.
    pub(crate) fn remove(&mut self, offset: usize, count: usize) {
        let front = self.memory.to_vec(self.data, offset);
        self.data += count;
        self.memory.write(self.data, &front);
        self.meta = self.data;
    }

    /// Changes the packet's length at its end; new bytes are zero.
    pub(crate) fn resize(&mut self, len: usize) -> Result<(), OutOfMemory> {
        if self.data + len > self.memory.len() {
            self.grow(0, len)?;
        }
        let end = self.data + len;
        if end > self.end {
            self.memory.fill(self.end, end - self.end, 0);
        }
        self.end = end;
        Ok(())
    }

    /// Moves to new memory with that much room before and behind, and some more. What was free on the other side is
    /// given up, so a packet that wanders through its memory does not make it grow.
    fn grow(&mut self, before: usize, behind: usize) -> Result<(), OutOfMemory> {
        const MORE: usize = 256;
        let used = self.memory.to_vec(self.meta, self.end - self.meta);
        let (start, len) = (before + MORE, self.data - self.meta);
        let memory = Memory::zeroed(start + used.len() + behind + MORE)?;
        memory.write(start, &used);
        (self.meta, self.data, self.end) = (start, start + len, start + used.len());
        self.memory = Arc::new(memory);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn changes_are_those_of_a_list_of_bytes(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            steps in prop::collection::vec((0..4u8, any::<u16>(), 0..40usize), 0..60),
        ) {
            let mut buffer = Buffer::new(&[], &bytes, (16, 8)).unwrap();
            let mut model = bytes;
            for (kind, place, count) in steps {
                let place = usize::from(place) % (model.len() + 1);
                match kind {
                    0 => {
                        buffer.insert(place, count).unwrap();
                        model.splice(place..place, std::iter::repeat_n(0, count));
                    }
                    1 => {
                        let count = count.min(model.len() - place);
                        buffer.remove(place, count);
                        model.drain(place..place + count);
                    }
                    2 => {
                        buffer.resize(place + count).unwrap();
                        model.resize(place + count, 0);
                    }
                    _ => {
                        let new = vec![0xaa; count];
                        prop_assert_eq!(buffer.set(place as u64, &new), place + count <= model.len());
                        if place + count <= model.len() {
                            model[place..place + count].copy_from_slice(&new);
                        }
                    }
                }
                prop_assert_eq!(&buffer.to_vec(), &model);
                prop_assert!(buffer.memory.len() <= model.len() + 4096);
            }
        }
    }
}
