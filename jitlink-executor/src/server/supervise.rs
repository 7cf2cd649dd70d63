//! A process in front of the one that runs linked code.
//!
//! Where the program's standard streams are not the linking side's own, they are pipes to this process, which passes them on as messages.
//! It outlives the program, so it tells how that ended, and that after everything that the program wrote.

use super::{Channel, sys};
use crate::wire::{Bytes, Event, FRAME_LIMIT, Frame, Request, Wire, read_frame};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

/// How many bytes of output go in one message.
const PIECE: usize = 64 << 10;

/// How often a stream is looked at that outlives its program, in milliseconds.
const GLANCE: i32 = 50;

/// The two processes.
pub(super) enum Role {
    /// The one that runs linked code, with its connection. Where a system does not copy processes it is started anew, as
    /// by a linking side.
    #[cfg_attr(windows, allow(dead_code, reason = "processes are not copied there"))]
    Worker(Channel),
    /// The one in front of it.
    Front(Front),
}

/// The process in front, and what it holds of the other.
pub(super) struct Front {
    /// The other.
    pub(super) process: sys::Process,
    /// What is asked of it.
    pub(super) to_worker: File,
    /// What it answers.
    pub(super) from_worker: File,
    /// The program's standard input.
    pub(super) input: File,
    /// What it writes: to standard output (1), to standard error (2).
    pub(super) streams: Vec<(u8, File)>,
}

/// Serves a linking side that was greeted from a second process, whose streams are passed on. With `keeps_errors` the program's standard
/// error is this process's own. Returns when the program has ended and the linking side was told.
///
/// # Errors
/// The processes could not be set up.
pub fn supervise(channel: Channel, keeps_errors: bool) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot start a process for the program: {error}");
    match sys::split(keeps_errors).map_err(failed)? {
        Role::Worker(own) => {
            // The connection is the other process's.
            drop(channel);
            super::serve(own, true).map(|never| match never {})
        }
        Role::Front(front) => front.run(channel).map_err(failed),
    }
}

/// What goes to the linking side, from several threads.
#[derive(Clone)]
struct Sink(Arc<Mutex<File>>);

impl Sink {
    fn send(&self, number: u32, message: &impl Wire) -> io::Result<()> {
        self.bytes(&Frame::encode(number, message).map_err(io::Error::other)?)
    }

    fn bytes(&self, frame: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(frame)
    }
}

impl Front {
    fn run(self, channel: Channel) -> io::Result<()> {
        let Front { process, to_worker, from_worker, input, streams } = self;
        let sink = Sink(Arc::new(Mutex::new(channel.output)));
        let (has_ended, is_detached) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (chunks, taken) = std::sync::mpsc::channel();
        let detached = is_detached.clone();
        let ended = has_ended.clone();
        let to_sink = sink.clone();
        let other = process.clone();
        std::thread::Builder::new().spawn(move || {
            let result = pass_on(channel.input, to_worker, &chunks, &detached);
            if let Err(reason) = result {
                let _ = to_sink.send(0, &Event::Broken(reason));
            }
            if !detached.load(Ordering::Acquire) && !ended.load(Ordering::Acquire) {
                other.kill();
            }
        })?;
        let to_sink = sink.clone();
        std::thread::Builder::new().spawn(move || feed(input, &taken, &to_sink))?;
        let to_sink = sink.clone();
        let answers = std::thread::Builder::new().spawn(move || answer(from_worker, &to_sink))?;
        let mut pumps = Vec::new();
        for (stream, file) in streams {
            let (sink, ended) = (sink.clone(), has_ended.clone());
            pumps.push(std::thread::Builder::new().spawn(move || pump(stream, file, &sink, &ended))?);
        }
        let end = process.wait();
        has_ended.store(true, Ordering::Release);
        for thread in pumps.into_iter().chain([answers]) {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
        let _ = sink.send(0, &Event::Ended(end));
        Ok(())
    }
}

/// Takes what the linking side says: input is for the program, all else for the process that runs it.
fn pass_on(mut from: File, mut worker: File, input: &Sender<Vec<u8>>, detached: &AtomicBool) -> Result<(), String> {
    loop {
        let frame = match read_frame(&mut from, FRAME_LIMIT) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        if frame.body.first() == Some(&Request::INPUT) {
            match frame.decode::<Request>().map_err(|error| error.to_string())? {
                // Nobody reads it any more if this fails.
                Request::Input(bytes) => _ = input.send(bytes.0),
                _ => return Err("input was to come".into()),
            }
            continue;
        }
        if frame.body.first() == Some(&Request::DETACH) {
            detached.store(true, Ordering::Release);
        }
        if worker.write_all(&whole(&frame)).is_err() {
            return Ok(());
        }
    }
}

/// A frame as it came.
fn whole(frame: &Frame) -> Vec<u8> {
    let length = frame.body.len() as u32 + 4;
    [&length.to_le_bytes(), &frame.number.to_le_bytes(), frame.body.as_slice()].concat()
}

/// Gives the program its input.
fn feed(mut program: File, chunks: &Receiver<Vec<u8>>, sink: &Sink) {
    for chunk in chunks {
        // An empty one is the end.
        if chunk.is_empty() || program.write_all(&chunk).is_err() || sink.send(0, &Event::InputTaken).is_err() {
            return;
        }
    }
}

/// Passes on what the process that runs the program answers.
fn answer(mut worker: File, sink: &Sink) {
    // What it did not finish, because it died, is nothing that the linking side could use.
    while let Ok(Some(frame)) = read_frame(&mut worker, FRAME_LIMIT) {
        if sink.bytes(&whole(&frame)).is_err() {
            return;
        }
    }
}

/// Passes on what the program writes. Others may hold the stream longer than the program lives: they are not waited for.
fn pump(stream: u8, mut file: File, sink: &Sink, has_ended: &AtomicBool) {
    let mut bytes = vec![0; PIECE];
    loop {
        let ended = has_ended.load(Ordering::Acquire);
        if !sys::is_readable(&file, if ended { 0 } else { GLANCE }) {
            if ended {
                return;
            }
            continue;
        }
        match file.read(&mut bytes) {
            Ok(0) => return,
            // What nobody hears is read all the same: the program may go on without the linking side.
            Ok(count) => drop(sink.send(0, &Event::Output(stream, Bytes(bytes[..count].to_vec())))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
