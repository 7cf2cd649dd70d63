//! What the two sides of an executor in another process say: a stream of frames.
//!
//! The first byte chooses whose messages they are. Any bytes are messages or an error, and what is read as a message is written as the
//! same bytes again.

use jitlink_executor::wire::{
    Answer, Event, FRAME_LIMIT, Frame, GREETING_LIMIT, Hello, Reply, Request, Wire, read_frame,
};

/// Reads a stream.
pub fn run(bytes: &[u8]) {
    let Some((kind, stream)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => all::<Request>(stream, FRAME_LIMIT),
        1 => all::<Reply>(stream, FRAME_LIMIT),
        2 => all::<Event>(stream, FRAME_LIMIT),
        3 => all::<Hello>(stream, GREETING_LIMIT),
        _ => all::<Answer>(stream, GREETING_LIMIT),
    }
}

fn all<M: Wire>(mut stream: &[u8], limit: u32) {
    let whole = stream.len();
    let mut taken = 0;
    while let Ok(Some(frame)) = read_frame(&mut stream, limit) {
        taken += 8 + frame.body.len();
        assert_eq!(taken, whole - stream.len(), "a frame takes its own bytes");
        message::<M>(&frame);
    }
}

fn message<M: Wire>(frame: &Frame) {
    if let Ok(message) = frame.decode::<M>() {
        let again = Frame::encode(frame.number, &message).expect("what was read is short enough");
        assert_eq!(again[4..8], frame.number.to_le_bytes());
        assert_eq!(again[8..], frame.body, "a message is written as it was read");
    }
}
