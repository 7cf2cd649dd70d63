//! The target's side.
//!
//! | part | concern |
//! | --- | --- |
//! | [`greet`], [`serve`] | a connection from its first message to its end |
//! | `session` | what the linking side was given, and what it may name |
//! | `calls` | linked code that runs |
//! | `output` | what goes to the linking side, crashes among it |
//! | `supervise` | a process in front of the one that runs linked code: its streams, and how it ended |
//! | `sys` | what differs between systems: system calls, connections that come from outside, and the executor of this process |

mod calls;
mod output;
mod session;
mod supervise;
#[allow(unsafe_code, reason = "system calls, and memory of this process where core has no executor of it")]
mod sys;

pub use supervise::supervise;
#[cfg(unix)]
pub use sys::{Listener, listen};

use crate::wire::{
    Answer, Event, FRAME_LIMIT, Frame, GREETING_LIMIT, Hello, ReadError, Request, VERSION, Welcome, read_frame,
};
use jitlink_core::executor::Executor;
use output::Output;
use session::{Next, Session};
use std::fs::File;
use std::io::Write;

/// The two directions of a connection.
#[derive(Debug)]
pub struct Channel {
    /// What the linking side says.
    pub input: File,
    /// What it is told.
    pub output: File,
}

/// Reads the linking side's first message, and checks its version and its token before anything else is done for it. Tells it, and the
/// caller, if they are wrong.
pub fn greet(channel: &mut Channel, token: &[u8]) -> Result<(), String> {
    let checked = match read_frame(&mut channel.input, GREETING_LIMIT) {
        Ok(Some(frame)) => check(&frame, token),
        Ok(None) => return Err("the other side said nothing".into()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(reason) = &checked
        && let Ok(frame) = Frame::encode(1, &Answer::Refused(reason.clone()))
    {
        // If that fails too, nobody is there to be told.
        let _ = channel.output.write_all(&frame);
    }
    checked
}

fn check(frame: &Frame, token: &[u8]) -> Result<(), String> {
    let hello: Hello = frame.decode().map_err(|error| error.to_string())?;
    // All of it is looked at, so that the time tells nothing.
    let given = &hello.token.0;
    let differences =
        given.iter().zip(token).fold(given.len() ^ token.len(), |all, (given, known)| all | usize::from(given ^ known));
    if differences != 0 {
        return Err("the token is not the one that this executor asks for".into());
    }
    match hello.version {
        VERSION => Ok(()),
        other => Err(format!("this executor speaks version {VERSION} of the protocol, and not {other}")),
    }
}

/// Serves a linking side that was greeted, until the connection ends; then the process ends. The caller's thread, which is to be the
/// process's main one, runs linked code.
pub fn serve(channel: Channel, forwards_streams: bool) -> Result<std::convert::Infallible, String> {
    let Channel { input, output } = channel;
    let output = Output::new(&input, output).map_err(|error| error.to_string())?;
    let executor = sys::host().map_err(|error| error.reason)?;
    sys::report_crashes();
    let welcome = welcome(&executor, forwards_streams)?;
    output.send(1, &Answer::Welcome(welcome)).map_err(|error| format!("the connection failed: {error}"))?;
    let (caller, main_thread) = calls::calls(executor.clone(), output);
    let session = Session::new(executor, caller, output);
    let started = sys::without_signals(|| {
        std::thread::Builder::new().name("jitlink".into()).spawn(move || converse(session, input, output))
    });
    started.map_err(|error| format!("cannot start a thread: {error}"))?;
    sys::end(main_thread.run())
}

/// Answers requests until the connection ends.
fn converse(mut session: Session, mut input: File, output: Output) {
    let broken = loop {
        let frame = match read_frame(&mut input, FRAME_LIMIT) {
            Ok(Some(frame)) => frame,
            // The linking side is gone, and what it linked is nobody's.
            Ok(None) | Err(ReadError::Io(_)) => sys::end_now(1),
            Err(ReadError::Wire(error)) => break error.to_string(),
        };
        let number = frame.number;
        let request = match frame.decode::<Request>() {
            Ok(request) if number != 0 => request,
            Ok(_) => break "a request has no number".into(),
            Err(error) => break error.to_string(),
        };
        let sent = match session.handle(number, request, &mut input) {
            Ok(Next::Reply(reply)) => output.send(number, &reply),
            Ok(Next::Nothing) => Ok(()),
            Ok(Next::Detach) => {
                let _ = output.send(number, &crate::wire::Reply::Done);
                return session.detach();
            }
            Err(reason) => break reason,
        };
        if sent.is_err() {
            sys::end_now(1);
        }
    };
    output.event(&Event::Broken(broken));
    sys::end_now(1);
}

/// What the linking side is told of this process.
fn welcome(executor: &sys::Host, forwards_streams: bool) -> Result<Welcome, String> {
    // Zero where functions cannot be linked on their first call.
    let lazy_linker = executor.lazy_linker().unwrap_or_default();
    // Without random bytes the probe is not unlike any other memory, but wrong only if another process has the same there.
    let value = sys::random() | 1;
    // Lives as long as the process.
    let probe: &'static mut u64 = Box::leak(Box::new(value));
    Ok(Welcome {
        version: VERSION,
        arch: std::env::consts::ARCH.into(),
        convention: sys::CONVENTION.into(),
        little_endian: cfg!(target_endian = "little"),
        pointer_bytes: size_of::<usize>() as u8,
        page_size: executor.page_size(),
        lazy_linker: lazy_linker.0,
        process: std::process::id(),
        probe: (std::ptr::from_mut(probe) as u64, u64::from_le_bytes(value.to_ne_bytes())),
        forwards_streams,
    })
}
