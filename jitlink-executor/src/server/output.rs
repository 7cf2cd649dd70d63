//! What goes to the linking side, from any thread and from the handler of a crash.

use super::sys;
use crate::wire::{Event, Frame, Wire};
use jitlink_core::process::crash::Crash;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

/// One in a process.
static CHANNEL: OnceLock<Mutex<File>> = OnceLock::new();

/// The descriptors of the connection, for processes that are forked; −1 where it is not this process's.
static DESCRIPTORS: [AtomicI32; 2] = [const { AtomicI32::new(-1) }; 2];

/// Where to write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output(());

impl Output {
    /// Sends to this file; `input` is where the other direction comes from. There is one such in a process.
    pub(super) fn new(input: &File, output: File) -> io::Result<Output> {
        DESCRIPTORS[0].store(input.as_raw_fd(), Ordering::Release);
        DESCRIPTORS[1].store(output.as_raw_fd(), Ordering::Release);
        if CHANNEL.set(Mutex::new(output)).is_err() {
            return Err(io::Error::other("this process has a connection already"));
        }
        sys::in_children(leave);
        Ok(Output(()))
    }

    /// Sends a message. What is too long for a frame is told so.
    pub(super) fn send(self, number: u32, message: &impl Wire) -> io::Result<()> {
        let frame = Frame::encode(number, message).map_err(io::Error::other)?;
        self.send_bytes(&frame)
    }

    fn send_bytes(self, frame: &[u8]) -> io::Result<()> {
        let Some(channel) = CHANNEL.get().filter(|_| is_ours()) else { return Ok(()) };
        channel.lock().unwrap_or_else(PoisonError::into_inner).write_all(frame)
    }

    /// Tells what happened; if nobody can be told, nobody is.
    pub(super) fn event(self, event: &Event) {
        let _ = self.send(0, event);
    }

    /// Sends nothing any more.
    pub(super) fn close(self) {
        DESCRIPTORS.iter().for_each(|descriptor| descriptor.store(-1, Ordering::Release));
    }
}

fn is_ours() -> bool {
    DESCRIPTORS[1].load(Ordering::Acquire) >= 0
}

/// In a process that was forked: the connection stays its parent's, and ends with it.
extern "C" fn leave() {
    let mut last = -1;
    for descriptor in &DESCRIPTORS {
        let descriptor = descriptor.swap(-1, Ordering::AcqRel);
        if descriptor >= 0 && descriptor != last {
            sys::close(descriptor);
            last = descriptor;
        }
    }
}

/// Tells the linking side of a crash. Runs in a signal handler: allocates nothing, and waits only so long for a thread that writes.
pub(super) fn crashed(crash: &Crash<'_>) {
    let mut frame = Fixed { bytes: [0; 4096], used: 8 };
    frame.put(&[2]);
    frame.put(&crash.signal.to_le_bytes());
    frame.text(crash.name);
    frame.number(crash.address.0);
    for address in [crash.instruction, crash.return_to] {
        frame.put(&[u8::from(address.is_some())]);
        if let Some(address) = address {
            frame.number(address.0);
        }
    }
    frame.put(&(crash.registers.len() as u32).to_le_bytes());
    for (name, value) in crash.registers {
        frame.text(name);
        frame.number(*value);
    }
    let length = frame.used as u32 - 4;
    frame.bytes[..4].copy_from_slice(&length.to_le_bytes());
    let Some(channel) = CHANNEL.get().filter(|_| is_ours()) else { return };
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
