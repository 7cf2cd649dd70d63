//! What the two sides say to each other.
//!
//! A *frame* is a length, a number, and a message. The length (four bytes) counts what follows it; the number (four bytes) is the one
//! that the linking side gave its request, and stands in the answer too, so that several requests can wait at once. Numbers are
//! never zero; frames of number zero are *events*, which nobody asked for. All integers are little-endian, on every machine.
//!
//! A connection begins with a [`Hello`], which holds the token, and its answer. Until the token was seen to be right, frames are short
//! and nothing is done for the other side.
//!
//! | limit | value |
//! | --- | --- |
//! | a frame before the token was checked | [`GREETING_LIMIT`] |
//! | any frame | [`FRAME_LIMIT`] |
//! | what one frame writes or reads of the target's memory | [`CHUNK`] |
//! | a list | as many items as the rest of its frame can hold |
//!
//! No length from a frame sizes an allocation by itself. Whatever is not as it should be is a [`WireError`], and ends the connection.

mod action;
mod codec;
mod event;
mod greeting;
mod reply;
mod request;

pub use action::{ArrayRecord, ExportRecord, ImportsRecord, QueryRecord, ReservedRecord, WireAction};
pub use codec::{Bytes, Decoder, Encoder, Wire, WireError};
pub use event::{CrashFacts, End, Event};
pub use greeting::{Answer, Hello, Welcome};
pub use reply::Reply;
pub use request::Request;

use std::io::{self, ErrorKind, Read};

/// The version of the protocol. The sides must agree on it.
pub const VERSION: u16 = 3;

/// The longest frame while the token was not checked, in bytes.
pub const GREETING_LIMIT: u32 = 1 << 10;

/// The longest frame, in bytes.
pub const FRAME_LIMIT: u32 = 16 << 20;

/// The most bytes of the target's memory in one frame.
pub const CHUNK: usize = 1 << 20;

/// A message with the number of the request that it is or answers; zero for events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The number.
    pub number: u32,
    /// The message.
    pub body: Vec<u8>,
}

impl Frame {
    /// The message as one side wrote it.
    pub fn decode<M: Wire>(&self) -> Result<M, WireError> {
        let mut decoder = Decoder::new(&self.body);
        let message = M::decode(&mut decoder)?;
        decoder.finish()?;
        Ok(message)
    }

    /// The bytes of a frame. Fails where it would be longer than any frame may be.
    pub fn encode<M: Wire>(number: u32, message: &M) -> Result<Vec<u8>, WireError> {
        let mut encoder = Encoder::default();
        encoder.bytes.extend_from_slice(&[0; 4]);
        number.encode(&mut encoder);
        message.encode(&mut encoder);
        let mut bytes = encoder.bytes;
        let length = (bytes.len() - 4) as u64;
        if length > u64::from(FRAME_LIMIT) {
            return Err(WireError::TooLarge { what: "a frame", value: length, limit: u64::from(FRAME_LIMIT) });
        }
        bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
        Ok(bytes)
    }
}

/// Why no frame could be read.
#[derive(Debug)]
pub enum ReadError {
    /// The system said so.
    Io(io::Error),
    /// What was read is no frame.
    Wire(WireError),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadError::Io(error) => write!(f, "the connection failed: {error}"),
            ReadError::Wire(error) => write!(f, "the other side broke the protocol: {error}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<WireError> for ReadError {
    fn from(error: WireError) -> ReadError {
        ReadError::Wire(error)
    }
}

/// Reads a frame of at most `limit` bytes; `None` where the other side has ended before it.
pub fn read_frame(from: &mut impl Read, limit: u32) -> Result<Option<Frame>, ReadError> {
    let mut length = [0; 4];
    let mut have = 0;
    while have < 4 {
        match from.read(&mut length[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(WireError::Truncated { what: "a frame's length", missing: 4 - have as u64 }.into()),
            Ok(count) => have += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A socket whose other end died with unread bytes in it.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && have == 0 => return Ok(None),
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
    let length = u32::from_le_bytes(length);
    if length > limit {
        return Err(WireError::TooLarge { what: "a frame", value: length.into(), limit: limit.into() }.into());
    }
    let Some(body) = (length as usize).checked_sub(4) else {
        return Err(WireError::Truncated { what: "a frame's number", missing: 4 - u64::from(length) }.into());
    };
    let mut number = [0; 4];
    let mut bytes = Vec::new();
    // Memory grows with what comes, not with what was announced.
    let mut rest = from.take(u64::from(length));
    rest.read_exact(&mut number).map_err(|error| truncated(error, length.into()))?;
    rest.read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if bytes.len() < body {
        return Err(WireError::Truncated { what: "a frame", missing: (body - bytes.len()) as u64 }.into());
    }
    Ok(Some(Frame { number: u32::from_le_bytes(number), body: bytes }))
}

fn truncated(error: io::Error, missing: u64) -> ReadError {
    match error.kind() {
        ErrorKind::UnexpectedEof => WireError::Truncated { what: "a frame", missing }.into(),
        _ => ReadError::Io(error),
    }
}
