//! The first message of each side.

use super::VERSION;
use super::codec::{Bytes, Decoder, Encoder, Wire, WireError};

/// What a connection begins with, so that nothing else is taken for one.
const MAGIC: &[u8; 8] = b"jitlink\x01";

/// The longest token, in bytes.
pub(crate) const TOKEN_LIMIT: u64 = 256;

/// The linking side's first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The version of the protocol that it speaks.
    pub version: u16,
    /// The token; empty where none is asked for.
    pub token: Bytes,
}

impl Hello {
    /// With this token.
    pub fn new(token: &[u8]) -> Hello {
        Hello { version: VERSION, token: Bytes(token.to_vec()) }
    }
}

impl Wire for Hello {
    const WHAT: &'static str = "a greeting";
    const LEAST: usize = 14;

    fn encode(&self, to: &mut Encoder) {
        to.bytes.extend_from_slice(MAGIC);
        to.put(&self.version).put(&self.token);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Hello, WireError> {
        let magic = from.take(MAGIC.len(), Self::WHAT)?;
        if magic != MAGIC {
            let value = magic.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
            return Err(WireError::Unknown { what: "greeting", value });
        }
        let (version, token): (u16, Bytes) = (from.get()?, from.get()?);
        if token.0.len() as u64 > TOKEN_LIMIT {
            return Err(WireError::TooLarge { what: "a token", value: token.0.len() as u64, limit: TOKEN_LIMIT });
        }
        Ok(Hello { version, token })
    }
}

/// The target's first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It goes on.
    Welcome(Welcome),
    /// It does not, for this reason.
    Refused(String),
}

/// What the linking side has to know of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version of the protocol that it speaks.
    pub version: u16,
    /// The architecture, as Rust calls it.
    pub arch: String,
    /// The calling convention of its functions, where that is not the architecture's usual one.
    pub convention: String,
    /// Whether the lowest byte comes first.
    pub little_endian: bool,
    /// The size of a pointer in bytes.
    pub pointer_bytes: u8,
    /// The size of a page.
    pub page_size: u64,
    /// The function that finds others when they are first called.
    pub lazy_linker: u64,
    /// Its number among the processes.
    pub process: u32,
    /// Where bytes stand that only this process has, and what they are: whoever can read them there shares the memory.
    pub probe: (u64, u64),
    /// Whether what the program writes comes as events, and what it reads is asked of the linking side.
    pub forwards_streams: bool,
}

impl Wire for Answer {
    const WHAT: &'static str = "an answer to the greeting";
    const LEAST: usize = 5;

    fn encode(&self, to: &mut Encoder) {
        match self {
            Answer::Welcome(welcome) => {
                to.put(&0u8)
                    .put(&welcome.version)
                    .put(&welcome.arch)
                    .put(&welcome.convention)
                    .put(&welcome.little_endian);
                to.put(&welcome.pointer_bytes).put(&welcome.page_size).put(&welcome.lazy_linker);
                to.put(&welcome.process).put(&welcome.probe).put(&welcome.forwards_streams);
            }
            Answer::Refused(reason) => _ = to.put(&1u8).put(reason),
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Answer, WireError> {
        match from.get::<u8>()? {
            0 => Ok(Answer::Welcome(Welcome {
                version: from.get()?,
                arch: from.get()?,
                convention: from.get()?,
                little_endian: from.get()?,
                pointer_bytes: from.get()?,
                page_size: from.get()?,
                lazy_linker: from.get()?,
                process: from.get()?,
                probe: from.get()?,
                forwards_streams: from.get()?,
            })),
            1 => Ok(Answer::Refused(from.get()?)),
            value => Err(WireError::Unknown { what: "answer to a greeting", value: value.into() }),
        }
    }
}
