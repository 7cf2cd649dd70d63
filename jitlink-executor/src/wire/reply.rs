//! What the target answers.

use super::action::ReservedRecord;
use super::codec::{Bytes, Decoder, Encoder, Wire, WireError};

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done, and there is nothing to say.
    Done,
    /// It could not be done: what was tried, and what can be done about it.
    Failed(String, String),
    /// Addresses, one for each name.
    Addresses(Vec<Option<u64>>),
    /// Memory was reserved.
    Reserved(ReservedRecord),
    /// Where the target's process writes each segment of a reservation. The memory is zero.
    Prepared(Vec<u64>),
    /// What was made has this number.
    Made(u32),
    /// Yes or no.
    Flag(bool),
    /// Bytes of memory.
    Memory(Bytes),
    /// A block of thread-local variables: its number, and how variables are found.
    Bound(u32, Vec<Option<(u64, u64)>>),
    /// What `main` returned.
    Status(i32),
}

impl Wire for Reply {
    const WHAT: &'static str = "a reply";
    const LEAST: usize = 1;

    fn encode(&self, to: &mut Encoder) {
        match self {
            Reply::Done => _ = to.put(&0u8),
            Reply::Failed(reason, advice) => _ = to.put(&1u8).put(reason).put(advice),
            Reply::Addresses(addresses) => _ = to.put(&2u8).put(addresses),
            Reply::Reserved(reserved) => _ = to.put(&3u8).put(reserved),
            Reply::Prepared(segments) => _ = to.put(&4u8).put(segments),
            Reply::Made(number) => _ = to.put(&5u8).put(number),
            Reply::Flag(flag) => _ = to.put(&6u8).put(flag),
            Reply::Memory(bytes) => _ = to.put(&7u8).put(bytes),
            Reply::Bound(number, answers) => _ = to.put(&8u8).put(number).put(answers),
            Reply::Status(status) => _ = to.put(&9u8).put(status),
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Reply, WireError> {
        Ok(match from.get::<u8>()? {
            0 => Reply::Done,
            1 => Reply::Failed(from.get()?, from.get()?),
            2 => Reply::Addresses(from.get()?),
            3 => Reply::Reserved(from.get()?),
            4 => Reply::Prepared(from.get()?),
            5 => Reply::Made(from.get()?),
            6 => Reply::Flag(from.get()?),
            7 => Reply::Memory(from.get()?),
            8 => Reply::Bound(from.get()?, from.get()?),
            9 => Reply::Status(from.get()?),
            value => return Err(WireError::Unknown { what: "reply", value: value.into() }),
        })
    }
}
