//! Runs toy code out of linked memory: what a call reaches is what the machine reaches, stubs and thunks included.

use super::arch::{CALL, CALL_LOADED, CALL32, JMP_SLOT, JMP32, LEA, LEA64, LOAD, RET, TAG};
use super::image::Image;
use jitlink_core::{Addr, Endian};

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `tag N` was reached.
    Tag(u64),
    /// Code outside the batch was called, or jumped to.
    Left(u64),
    /// An address was loaded.
    Loaded(u64),
    /// The code ran into something that is no code.
    Trapped(u64),
}

/// Runs from an address to the return of its function, or to a trap.
pub fn run(image: &Image, entry: u64) -> Vec<Event> {
    let mut machine = Machine { image, at: entry, calls: Vec::new(), loaded: 0, events: Vec::new() };
    for _ in 0..100_000 {
        if !machine.step() {
            return machine.events;
        }
    }
    panic!("the code does not end: {:?}", &machine.events[..10]);
}

struct Machine<'i> {
    image: &'i Image,
    at: u64,
    calls: Vec<u64>,
    loaded: u64,
    events: Vec<Event>,
}

impl Machine<'_> {
    /// One instruction; false at the end.
    fn step(&mut self) -> bool {
        let at = self.at;
        if !self.image.holds(at) {
            self.events.push(Event::Left(at));
            return self.give_back();
        }
        let Some(word) = self.image.try_number(at, 4).filter(|_| self.image.is_code(at)) else { return self.trap() };
        let near = |distance: u64| at.wrapping_add(((distance as i64) << 51 >> 51) as u64);
        let operand = at + 4;
        match (word >> 24) as u8 {
            CALL => self.call(near(word & 0x1fff), at + 4),
            RET => return self.give_back(),
            JMP_SLOT => self.at = self.image.pointer(self.distance(operand)),
            CALL32 => self.call(self.distance(operand), at + 8),
            LOAD => self.load(self.image.pointer(self.distance(operand)), at + 8),
            LEA => self.load(self.distance(operand), at + 8),
            CALL_LOADED => self.call(self.loaded, at + 4),
            JMP32 => self.at = self.distance(operand),
            TAG => {
                self.events.push(Event::Tag(word & 0xffff));
                self.at += 4;
            }
            LEA64 => self.load(self.image.number(operand, 8), at + 12),
            _ => return self.trap(),
        }
        true
    }

    fn distance(&self, operand: u64) -> u64 {
        operand.wrapping_add(self.image.number(operand, 4) as u32 as i32 as i64 as u64)
    }

    fn call(&mut self, target: u64, back: u64) {
        self.calls.push(back);
        self.at = target;
    }

    fn load(&mut self, value: u64, next: u64) {
        self.events.push(Event::Loaded(value));
        (self.loaded, self.at) = (value, next);
    }

    fn give_back(&mut self) -> bool {
        match self.calls.pop() {
            Some(back) => self.at = back,
            None => return false,
        }
        true
    }

    fn trap(&mut self) -> bool {
        self.events.push(Event::Trapped(self.at));
        false
    }
}

/// Reads a number of up to eight bytes.
pub fn number(endian: Endian, bytes: &[u8]) -> u64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match endian {
        Endian::Big => bytes.iter().fold(0, fold),
        Endian::Little => bytes.iter().rev().fold(0, fold),
    }
}

/// An address as a number.
pub fn at(address: Addr) -> u64 {
    address.0
}
