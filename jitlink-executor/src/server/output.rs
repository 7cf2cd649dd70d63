//! What goes to the linking side, from any thread and from the handler of a crash.

use super::sys;
use crate::wire::{Event, Frame, Wire};
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

/// One in a process.
static CHANNEL: OnceLock<Mutex<File>> = OnceLock::new();

/// Where to write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output(());

impl Output {
    /// Sends to this file; `input` is where the other direction comes from. There is one such in a process.
    pub(super) fn new(input: &File, output: File) -> io::Result<Output> {
        sys::connect(input, &output);
        if CHANNEL.set(Mutex::new(output)).is_err() {
            return Err(io::Error::other("this process has a connection already"));
        }
        Ok(Output(()))
    }

    /// Sends a message. What is too long for a frame is told so.
    pub(super) fn send(self, number: u32, message: &impl Wire) -> io::Result<()> {
        let frame = Frame::encode(number, message).map_err(io::Error::other)?;
        self.send_bytes(&frame)
    }

    fn send_bytes(self, frame: &[u8]) -> io::Result<()> {
        let Some(channel) = CHANNEL.get().filter(|_| sys::is_connected()) else { return Ok(()) };
        channel.lock().unwrap_or_else(PoisonError::into_inner).write_all(frame)
    }

    /// Tells what happened; if nobody can be told, nobody is.
    pub(super) fn event(self, event: &Event) {
        let _ = self.send(0, event);
    }

    /// Sends nothing any more.
    pub(super) fn close(self) {
        sys::disconnect();
    }
}

/// A crash, as the system tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct CrashRecord<'c> {
    /// The signal's number, or that of the signal that means the same.
    pub(super) signal: i32,
    /// Its name, and what it means.
    pub(super) name: &'static str,
    /// The address that it is about.
    pub(super) address: u64,
    /// The instruction, where this machine's registers are known.
    pub(super) instruction: Option<u64>,
    /// Where a call to nowhere would have returned to.
    pub(super) return_to: Option<u64>,
    /// The registers by name.
    pub(super) registers: &'c [(&'static str, u64)],
}

/// Tells the linking side of a crash. Runs in a signal handler: allocates nothing, and waits only so long for a thread that writes.
pub(super) fn crashed(crash: &CrashRecord<'_>) {
    let mut frame = Fixed { bytes: [0; 4096], used: 8 };
    frame.put(&[2]);
    frame.put(&crash.signal.to_le_bytes());
    frame.text(crash.name);
    frame.number(crash.address);
    for address in [crash.instruction, crash.return_to] {
        frame.put(&[u8::from(address.is_some())]);
        if let Some(address) = address {
            frame.number(address);
        }
    }
    frame.put(&(crash.registers.len() as u32).to_le_bytes());
    for (name, value) in crash.registers {
        frame.text(name);
        frame.number(*value);
    }
    let length = frame.used as u32 - 4;
    frame.bytes[..4].copy_from_slice(&length.to_le_bytes());
    let Some(channel) = CHANNEL.get().filter(|_| sys::is_connected()) else { return };
    for _ in 0..1000 {
        match channel.try_lock() {
            Ok(mut file) => return drop(file.write_all(&frame.bytes[..frame.used])),
            Err(TryLockError::Poisoned(file)) => return drop(file.into_inner().write_all(&frame.bytes[..frame.used])),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// A frame on the stack. What does not fit is left out, so that the other side finds it cut off.
struct Fixed {
    bytes: [u8; 4096],
    used: usize,
}

impl Fixed {
    fn put(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.used..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.used += count;
    }

    fn number(&mut self, number: u64) {
        self.put(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.put(&(text.len() as u32).to_le_bytes());
        self.put(text.as_bytes());
    }
}
