//! Numbers, texts and lists as bytes, and back.

use std::fmt;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// It ends too early.
    Truncated {
        /// What was being read.
        what: &'static str,
        /// How many bytes are missing.
        missing: u64,
    },
    /// Something is larger than it may be.
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is.
        value: u64,
        /// How large it may be.
        limit: u64,
    },
    /// A number that stands for nothing.
    Unknown {
        /// What it was to stand for.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// Bytes are left over.
    Trailing {
        /// How many.
        bytes: u64,
    },
    /// A text is not one: not UTF-8, or with a zero byte where none may be.
    Text {
        /// What was being read.
        what: &'static str,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Truncated { what, missing } => write!(f, "{what} is cut off: {missing} bytes are missing"),
            WireError::TooLarge { what, value, limit } => write!(f, "{what} of {value} exceeds the limit of {limit}"),
            WireError::Unknown { what, value } => write!(f, "{value} is no {what}"),
            WireError::Trailing { bytes } => write!(f, "{bytes} bytes follow the end of a message"),
            WireError::Text { what } => write!(f, "{what} is no text"),
        }
    }
}

impl std::error::Error for WireError {}

/// The bytes of a message while it is written.
#[derive(Debug, Default)]
pub struct Encoder {
    /// What was written so far.
    pub bytes: Vec<u8>,
}

impl Encoder {
    /// Writes values one after another.
    pub fn put(&mut self, value: &impl Wire) -> &mut Encoder {
        value.encode(self);
        self
    }
}

/// What is left of a message while it is read.
#[derive(Debug)]
pub struct Decoder<'b> {
    rest: &'b [u8],
}

impl<'b> Decoder<'b> {
    /// Reads from these bytes.
    pub fn new(bytes: &'b [u8]) -> Decoder<'b> {
        Decoder { rest: bytes }
    }

    /// The next value.
    pub fn get<T: Wire>(&mut self) -> Result<T, WireError> {
        T::decode(self)
    }

    /// The next bytes.
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'b [u8], WireError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(WireError::Truncated { what, missing: (count - self.rest.len()) as u64 });
        };
        self.rest = rest;
        Ok(taken)
    }

    /// Checks that all was read.
    pub fn finish(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(WireError::Trailing { bytes: bytes as u64 }),
        }
    }
}

/// A value that can be sent.
pub trait Wire: Sized {
    /// What errors call it.
    const WHAT: &'static str;
    /// The fewest bytes that it takes: how many of them a list can hold follows from that.
    const LEAST: usize;

    /// Writes it.
    fn encode(&self, to: &mut Encoder);

    /// Reads it.
    fn decode(from: &mut Decoder<'_>) -> Result<Self, WireError>;
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Wire for $integer {
            const WHAT: &'static str = "a number";
            const LEAST: usize = size_of::<$integer>();

            fn encode(&self, to: &mut Encoder) {
                to.bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn decode(from: &mut Decoder<'_>) -> Result<Self, WireError> {
                let mut bytes = [0; size_of::<$integer>()];
                bytes.copy_from_slice(from.take(size_of::<$integer>(), Self::WHAT)?);
                Ok(<$integer>::from_le_bytes(bytes))
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, i32);

impl Wire for bool {
    const WHAT: &'static str = "a yes or no";
    const LEAST: usize = 1;

    fn encode(&self, to: &mut Encoder) {
        to.put(&u8::from(*self));
    }

    fn decode(from: &mut Decoder<'_>) -> Result<bool, WireError> {
        match from.get::<u8>()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(WireError::Unknown { what: "yes or no", value: value.into() }),
        }
    }
}

/// A run of bytes; a list of bytes would be read one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Wire for Bytes {
    const WHAT: &'static str = "a run of bytes";
    const LEAST: usize = 4;

    fn encode(&self, to: &mut Encoder) {
        put_bytes(&self.0, to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Bytes, WireError> {
        let length: u32 = from.get()?;
        Ok(Bytes(from.take(length as usize, Self::WHAT)?.to_vec()))
    }
}

/// Writes bytes as [`Bytes`] does, without a copy.
pub(crate) fn put_bytes(bytes: &[u8], to: &mut Encoder) {
    // What is longer than a frame may be is refused when the frame is complete.
    (bytes.len() as u32).encode(to);
    to.bytes.extend_from_slice(bytes);
}

impl Wire for String {
    const WHAT: &'static str = "a text";
    const LEAST: usize = 4;

    fn encode(&self, to: &mut Encoder) {
        put_bytes(self.as_bytes(), to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<String, WireError> {
        let length: u32 = from.get()?;
        let bytes = from.take(length as usize, Self::WHAT)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| WireError::Text { what: Self::WHAT })
    }
}

impl Wire for std::ffi::CString {
    const WHAT: &'static str = "a text without zero bytes";
    const LEAST: usize = 4;

    fn encode(&self, to: &mut Encoder) {
        put_bytes(self.as_bytes(), to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<std::ffi::CString, WireError> {
        std::ffi::CString::new(from.get::<Bytes>()?.0).map_err(|_| WireError::Text { what: Self::WHAT })
    }
}

impl<T: Wire> Wire for Vec<T> {
    const WHAT: &'static str = "a list";
    const LEAST: usize = 4;

    fn encode(&self, to: &mut Encoder) {
        (self.len() as u32).encode(to);
        self.iter().for_each(|item| item.encode(to));
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Vec<T>, WireError> {
        let count: u32 = from.get()?;
        let limit = from.rest.len() / T::LEAST.max(1);
        if count as usize > limit {
            return Err(WireError::TooLarge { what: "a list", value: count.into(), limit: limit as u64 });
        }
        (0..count).map(|_| T::decode(from)).collect()
    }
}

impl<T: Wire> Wire for Option<T> {
    const WHAT: &'static str = "what may be missing";
    const LEAST: usize = 1;

    fn encode(&self, to: &mut Encoder) {
        self.is_some().encode(to);
        if let Some(value) = self {
            value.encode(to);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Option<T>, WireError> {
        from.get::<bool>()?.then(|| T::decode(from)).transpose()
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    const WHAT: &'static str = "a pair";
    const LEAST: usize = A::LEAST + B::LEAST;

    fn encode(&self, to: &mut Encoder) {
        to.put(&self.0).put(&self.1);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<(A, B), WireError> {
        Ok((from.get()?, from.get()?))
    }
}
