//! What the target says without being asked.

use super::codec::{Bytes, Decoder, Encoder, Wire, WireError};

/// Something happened at the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The program wrote to its standard output (1) or standard error (2).
    Output(u8, Bytes),
    /// What was sent for its standard input has been taken; more may come.
    InputTaken,
    /// Code crashed. The process ends next.
    Crashed(CrashFacts),
    /// The process has ended: the last event.
    Ended(End),
    /// The linking side broke the protocol, in this way, and the connection ends.
    Broken(String),
}

/// Where code crashed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrashFacts {
    /// The signal's number and name.
    pub signal: (i32, String),
    /// The address that it is about.
    pub address: u64,
    /// The address of the instruction, where this machine's is known.
    pub instruction: Option<u64>,
    /// Where the function would return to, if it is at its first instruction.
    pub return_to: Option<u64>,
    /// The registers by name.
    pub registers: Vec<(String, u64)>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Exited(status) => write!(f, "it ended with status {status}"),
            End::Killed(signal) => write!(f, "signal {signal} ended it"),
        }
    }
}

impl Wire for Event {
    const WHAT: &'static str = "an event";
    const LEAST: usize = 1;

    fn encode(&self, to: &mut Encoder) {
        match self {
            Event::Output(stream, bytes) => _ = to.put(&0u8).put(stream).put(bytes),
            Event::InputTaken => _ = to.put(&1u8),
            Event::Crashed(facts) => {
                to.put(&2u8).put(&facts.signal).put(&facts.address).put(&facts.instruction).put(&facts.return_to);
                to.put(&facts.registers);
            }
            Event::Ended(End::Exited(status)) => _ = to.put(&3u8).put(status),
            Event::Ended(End::Killed(signal)) => _ = to.put(&4u8).put(signal),
            Event::Broken(reason) => _ = to.put(&5u8).put(reason),
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Event, WireError> {
        Ok(match from.get::<u8>()? {
            0 => match from.get::<u8>()? {
                stream @ 1..=2 => Event::Output(stream, from.get()?),
                stream => return Err(WireError::Unknown { what: "stream of output", value: stream.into() }),
            },
            1 => Event::InputTaken,
            2 => Event::Crashed(CrashFacts {
                signal: from.get()?,
                address: from.get()?,
                instruction: from.get()?,
                return_to: from.get()?,
                registers: from.get()?,
            }),
            3 => Event::Ended(End::Exited(from.get()?)),
            4 => Event::Ended(End::Killed(from.get()?)),
            5 => Event::Broken(from.get()?),
            value => return Err(WireError::Unknown { what: "event", value: value.into() }),
        })
    }
}
