//! Requests and their answers, from several threads at once.

use super::crash::CrashReport;
use super::shared;
use crate::wire::{Bytes, End, Event, FRAME_LIMIT, Frame, ReadError, Reply, Request, Welcome, Wire, read_frame};
use jitlink_core::executor::{Description, ExecutorError};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Read, Write};
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the process may take to end when it was asked to, before it is made to.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much of the standard input is sent before the program has taken what came before.
const INPUT: usize = 64 << 10;

/// The two directions of a connection, and how it is broken off.
pub(super) struct Parts {
    pub(super) input: Box<dyn Read + Send>,
    pub(super) output: Box<dyn Write + Send>,
    pub(super) child: Option<Child>,
    /// The other end is a process of this user's.
    pub(super) is_same_user: bool,
    /// Ends both directions, so that nobody waits for them any more.
    pub(super) shut: Box<dyn Fn() + Send + Sync>,
}

/// A connection that has been greeted.
pub(super) struct Connection {
    pub(super) welcome: Welcome,
    shared: Arc<Shared>,
    output: Mutex<Box<dyn Write + Send>>,
    shut: Box<dyn Fn() + Send + Sync>,
    reader: Mutex<Option<JoinHandle<()>>>,
    round_trips: AtomicUsize,
    writes_memory: AtomicBool,
}

/// What the thread that reads shares with those that ask.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    last: u32,
    /// Requests without an answer yet, and answers that nobody has taken yet.
    replies: HashMap<u32, Option<Reply>>,
    modules: BTreeMap<u32, Description>,
    crash: Option<CrashReport>,
    child: Option<Child>,
    /// The end that was told, before the connection's.
    told: Option<End>,
    ended: Option<Ended>,
    inputs_taken: u64,
    is_left: bool,
}

/// The connection is over.
#[derive(Clone)]
struct Ended {
    reason: String,
    end: Option<End>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    pub(super) fn new(parts: Parts, welcome: Welcome) -> io::Result<Arc<Connection>> {
        let is_child = parts.child.as_ref().is_some_and(|child| child.id() == welcome.process);
        let writes_memory = (is_child || parts.is_same_user) && shared::is_reachable(&welcome);
        let shared = Arc::new(Shared::default());
        shared.state().child = parts.child;
        let (input, reading) = (parts.input, shared.clone());
        let reader = std::thread::Builder::new().name("jitlink-remote".into()).spawn(move || read(input, &reading))?;
        Ok(Arc::new(Connection {
            welcome,
            shared,
            output: Mutex::new(parts.output),
            shut: parts.shut,
            reader: Mutex::new(Some(reader)),
            round_trips: AtomicUsize::new(0),
            writes_memory: AtomicBool::new(writes_memory),
        }))
    }

    pub(super) fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed) as u64
    }

    pub(super) fn shares_memory(&self) -> bool {
        self.writes_memory.load(Ordering::Relaxed)
    }

    pub(super) fn forbid_shared_memory(&self) {
        self.writes_memory.store(false, Ordering::Relaxed);
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&self, request: &Request) -> Result<Reply, ExecutorError> {
        self.ask_with(request, |_, _| Ok(()))
    }

    /// Asks, sends what belongs to the request, and waits for the answer.
    pub(super) fn ask_with(
        &self,
        request: &Request,
        send: impl FnOnce(u32, &mut dyn Write) -> io::Result<()>,
    ) -> Result<Reply, ExecutorError> {
        let number = self.number()?;
        let frame = encode(number, request)?;
        let mut output = self.output();
        // A connection that is over says why when the answer is waited for.
        let sent = output.write_all(&frame).and_then(|()| send(number, &mut **output)).and_then(|()| output.flush());
        drop(output);
        self.answer(number, sent.err())
    }

    /// Asks several things at once, and waits for all answers.
    pub(super) fn ask_all(&self, requests: &[Request]) -> Result<Vec<Reply>, ExecutorError> {
        let mut numbers = Vec::with_capacity(requests.len());
        let mut sent = Ok(());
        for request in requests {
            let number = self.number()?;
            let frame = encode(number, request)?;
            let mut output = self.output();
            sent = sent.and_then(|()| output.write_all(&frame)).and_then(|()| output.flush());
            numbers.push(number);
        }
        let mut failed = sent.err();
        let before = self.round_trips();
        let replies = numbers.into_iter().map(|number| self.answer(number, failed.take())).collect();
        self.round_trips.store(before as usize + 1, Ordering::Relaxed);
        replies
    }

    /// Sends what is not answered.
    pub(super) fn tell(&self, request: &Request) -> Result<(), ExecutorError> {
        if let Some(ended) = self.shared.state().ended.as_ref() {
            return Err(ended.error());
        }
        // Not waited for, so it has no entry among the replies.
        let frame = encode(u32::MAX, request)?;
        let mut output = self.output();
        let sent = output.write_all(&frame).and_then(|()| output.flush());
        sent.map_err(|error| ExecutorError::new(format!("the connection to the executor failed: {error}")))
    }

    fn output(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> Result<u32, ExecutorError> {
        let mut state = self.shared.state();
        if let Some(ended) = &state.ended {
            return Err(ended.error());
        }
        loop {
            state.last = if state.last >= u32::MAX - 1 { 1 } else { state.last + 1 };
            let number = state.last;
            if let std::collections::hash_map::Entry::Vacant(free) = state.replies.entry(number) {
                free.insert(None);
                return Ok(number);
            }
        }
    }

    fn answer(&self, number: u32, failed: Option<io::Error>) -> Result<Reply, ExecutorError> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        if failed.is_some() {
            (self.shut)();
        }
        let mut state = self.shared.state();
        loop {
            if state.replies.get(&number).is_some_and(Option::is_some) {
                return match state.replies.remove(&number).flatten() {
                    Some(Reply::Failed(reason, advice)) => Err(ExecutorError { reason, advice }),
                    Some(reply) => Ok(reply),
                    None => Err(ExecutorError::new("an answer was taken twice")),
                };
            }
            if let Some(ended) = &state.ended {
                let error = ended.error();
                state.replies.remove(&number);
                return Err(error);
            }
            state = self.shared.wait(state);
        }
    }

    /// Makes a batch known, for reports of crashes.
    pub(super) fn describe(&self, number: u32, description: Description) {
        self.shared.state().modules.insert(number, description);
    }

    pub(super) fn forget(&self, number: u32) {
        self.shared.state().modules.remove(&number);
    }

    pub(super) fn exit(&self, status: i32) -> Result<End, ExecutorError> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        self.tell(&Request::Exit(status))?;
        let mut state = self.shared.state();
        loop {
            match &state.ended {
                Some(Ended { end: Some(end), .. }) => return Ok(*end),
                Some(ended) => return Err(ended.error()),
                None => state = self.shared.wait(state),
            }
        }
    }

    pub(super) fn ended(&self) -> Option<End> {
        self.shared.state().ended.as_ref().and_then(|ended| ended.end)
    }

    pub(super) fn crash(&self) -> Option<CrashReport> {
        self.shared.state().crash.clone()
    }

    /// Breaks off after the process was told to go on by itself.
    pub(super) fn leave(&self) {
        self.shared.state().is_left = true;
        (self.shut)();
    }

    pub(super) fn forward_input(self: &Arc<Self>) -> Result<(), ExecutorError> {
        if !self.welcome.forwards_streams {
            return Ok(());
        }
        // The thread may wait for a terminal for ever, and must not keep the connection.
        let connection = Arc::downgrade(self);
        let started = std::thread::Builder::new().name("jitlink-input".into()).spawn(move || {
            let mut bytes = vec![0; INPUT];
            for sent in 1.. {
                let count = io::stdin().lock().read(&mut bytes).unwrap_or(0);
                let Some(connection) = connection.upgrade() else { return };
                let message = Request::Input(Bytes(bytes[..count].to_vec()));
                if connection.tell(&message).is_err() || count == 0 || !connection.wait_for_input(sent) {
                    return;
                }
            }
        });
        started.map(drop).map_err(|error| ExecutorError::new(format!("cannot start a thread: {error}")))
    }

    /// Waits until so many pieces of input were taken; whether more can be.
    fn wait_for_input(&self, pieces: u64) -> bool {
        let mut state = self.shared.state();
        while state.inputs_taken < pieces && state.ended.is_none() {
            state = self.shared.wait(state);
        }
        state.ended.is_none()
    }
}

fn encode(number: u32, request: &Request) -> Result<Vec<u8>, ExecutorError> {
    let too_long =
        |error| ExecutorError::with_advice(format!("a request to the executor: {error}"), "link less at once");
    Frame::encode(number, request).map_err(too_long)
}

/// An answer that does not fit the question.
pub(super) fn unexpected(reply: &Reply) -> ExecutorError {
    let reply = format!("{reply:?}");
    let reply: String = reply.chars().take(80).collect();
    ExecutorError::new(format!("the executor's answer does not fit what it was asked: {reply}"))
}

impl Ended {
    fn error(&self) -> ExecutorError {
        ExecutorError::new(self.reason.clone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let is_over = {
            let state = self.shared.state();
            state.ended.is_some() || state.is_left
        };
        if !is_over && self.tell(&Request::Exit(0)).is_ok() {
            let until = Instant::now() + PATIENCE;
            let mut state = self.shared.state();
            while state.ended.is_none() {
                let Some(left) = until.checked_duration_since(Instant::now()) else { break };
                state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        let mut state = self.shared.state();
        if state.ended.is_none()
            && !state.is_left
            && let Some(child) = &mut state.child
        {
            // If it has ended by itself there is nothing to kill.
            let _ = child.kill();
        }
        drop(state);
        (self.shut)();
        if let Some(reader) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take()
            && reader.thread().id() != std::thread::current().id()
        {
            // A reader that panicked has nothing more to say.
            let _ = reader.join();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("welcome", &self.welcome).finish_non_exhaustive()
    }
}

/// Takes what the target says until the connection ends, and then says so to all who wait.
fn read(mut input: Box<dyn Read + Send>, shared: &Shared) {
    let broken = loop {
        match read_frame(&mut input, FRAME_LIMIT) {
            Ok(Some(frame)) => {
                if let Err(reason) = take(&frame, shared) {
                    break Some(reason);
                }
                // The last thing that is said.
                if shared.state().told.is_some() {
                    break None;
                }
            }
            Ok(None) => break None,
            Err(ReadError::Wire(error)) => break Some(ReadError::Wire(error).to_string()),
            // The other end was closed under what it had to read yet.
            Err(ReadError::Io(_)) => break None,
        }
    };
    drop(input);
    finish(broken, shared);
}

fn take(frame: &Frame, shared: &Shared) -> Result<(), String> {
    let broke = |error| ReadError::Wire(error).to_string();
    if frame.number == 0 {
        return event(frame.decode().map_err(broke)?, shared);
    }
    let reply: Reply = frame.decode().map_err(broke)?;
    match shared.state().replies.get_mut(&frame.number) {
        Some(place @ None) => *place = Some(reply),
        _ => return Err(format!("the executor answered request {}, which nobody made", frame.number)),
    }
    shared.changed.notify_all();
    Ok(())
}

fn event(event: Event, shared: &Shared) -> Result<(), String> {
    match event {
        Event::Output(stream, bytes) => {
            let write = |mut to: Box<dyn Write>| to.write_all(&bytes.0).and_then(|()| to.flush());
            let written = if stream == 1 { write(Box::new(io::stdout())) } else { write(Box::new(io::stderr())) };
            return written.map_err(|error| {
                if error.kind() == io::ErrorKind::BrokenPipe {
                    // As a program of its own would end.
                    shared.state().told = Some(End::Killed(libc::SIGPIPE));
                }
                format!("what the program writes cannot be passed on: {error}")
            });
        }
        Event::InputTaken => shared.state().inputs_taken += 1,
        Event::Crashed(facts) => {
            let mut state = shared.state();
            state.crash = Some(CrashReport::new(facts, state.modules.values()));
        }
        Event::Ended(end) => shared.state().told = Some(end),
        Event::Broken(reason) => return Err(format!("the executor ended the connection: {reason}")),
    }
    shared.changed.notify_all();
    Ok(())
}

/// The connection is over.
fn finish(broken: Option<String>, shared: &Shared) {
    let (child, told, is_left) = {
        let mut state = shared.state();
        (state.child.take(), state.told, state.is_left)
    };
    let mut end = told;
    if let Some(mut child) = child.filter(|_| !is_left) {
        if broken.is_some() {
            // It may wait for something that will not come.
            let _ = child.kill();
        }
        end = end.or_else(|| child.wait().ok().map(end_of));
    }
    let reason = match (broken, end) {
        (Some(reason), _) => reason,
        (None, Some(end)) => format!("the executor's process is gone: {end}"),
        (None, None) if is_left => "the executor's process was left to itself".into(),
        (None, None) => "the connection to the executor has ended".into(),
    };
    shared.state().ended = Some(Ended { reason, end });
    shared.changed.notify_all();
}

fn end_of(status: std::process::ExitStatus) -> End {
    match std::os::unix::process::ExitStatusExt::signal(&status) {
        Some(signal) => End::Killed(signal),
        None => End::Exited(status.code().unwrap_or_default()),
    }
}

/// Sends a message before there is a connection.
pub(super) fn send(to: &mut dyn Write, number: u32, message: &impl Wire) -> io::Result<()> {
    let frame = Frame::encode(number, message).map_err(io::Error::other)?;
    to.write_all(&frame)?;
    to.flush()
}
