//! How a connection comes to be: by starting a program, or by reaching one that runs.

use super::RemoteExecutor;
use super::connection::{Connection, Parts, send};
use super::shared;
use crate::wire::{Answer, GREETING_LIMIT, Hello, ReadError, VERSION, Welcome, read_frame};
use crate::{Address, DESCRIPTOR_VARIABLE};
use jitlink_core::executor::ExecutorError;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long the other side may take to answer the greeting.
const GREETING: Duration = Duration::from_secs(30);

impl RemoteExecutor {
    /// Starts a program, and links into its process: `jitlink-executor`, or a command that has it run under an emulator. The connection is a
    /// descriptor that the program inherits; its standard streams are as `command` says, and are those of what is linked.
    pub fn start(mut command: Command) -> Result<RemoteExecutor, ExecutorError> {
        let failed = |error: io::Error| cannot_start(&command, &error);
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let descriptor = theirs.as_raw_fd();
        command.env(DESCRIPTOR_VARIABLE, descriptor.to_string());
        // SAFETY: the closure runs in the new process before the program does, and makes one system call.
        unsafe {
            command.pre_exec(move || match libc::fcntl(descriptor, libc::F_SETFD, 0) {
                0.. => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        let child = command.spawn().map_err(|error| cannot_start(&command, &error))?;
        // The program's end is closed when it ends.
        drop(theirs);
        let parts = over_socket(ours, Some(child)).map_err(|error| cannot_start(&command, &error))?;
        greet(parts, b"")
    }

    /// Starts a program whose standard input and output are the connection, such as `ssh HOST jitlink-executor --stdio`. What linked
    /// code writes to its standard output comes to this process's.
    pub fn start_over_streams(mut command: Command) -> Result<RemoteExecutor, ExecutorError> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| cannot_start(&command, &error))?;
        let (Some(output), Some(input)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ExecutorError::new("the executor's standard streams are not there"));
        };
        // The streams end with the process.
        greet(
            Parts {
                input: Box::new(input),
                output: Box::new(output),
                child: Some(child),
                is_same_user: false,
                shut: Box::new(|| ()),
            },
            b"",
        )
    }

    /// Links into a process that listens at an address, with the token that it asks for; none for a socket of this user.
    pub fn connect(address: &Address, token: &[u8]) -> Result<RemoteExecutor, ExecutorError> {
        let failed = |error: io::Error| {
            let what = format!("cannot reach an executor at {address}: {error}");
            ExecutorError::with_advice(what, format!("start one: jitlink-executor --listen {address}"))
        };
        let parts = match address {
            Address::Unix(path) => UnixStream::connect(path).and_then(|stream| over_socket(stream, None)),
            Address::Tcp(address) => TcpStream::connect(address).and_then(|stream| {
                stream.set_nodelay(true)?;
                // From here on one socket is like another.
                over_socket(UnixStream::from(std::os::fd::OwnedFd::from(stream)), None)
            }),
        };
        greet(parts.map_err(failed)?, token)
    }
}

fn over_socket(socket: UnixStream, child: Option<Child>) -> io::Result<Parts> {
    socket.set_read_timeout(Some(GREETING))?;
    let (input, output) = (socket.try_clone()?, socket.try_clone()?);
    let is_same_user = child.is_none() && shared::is_same_user(&socket);
    let shut = move || {
        // A connection that is over already cannot be shut.
        let _ = socket.shutdown(Shutdown::Both);
    };
    Ok(Parts { input: Box::new(Socket(input)), output: Box::new(output), child, is_same_user, shut: Box::new(shut) })
}

/// A socket that waits only so long for the first message.
struct Socket(UnixStream);

impl io::Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(bytes);
        if read.is_ok() {
            // Programs may run for ever.
            self.0.set_read_timeout(None)?;
        }
        read
    }
}

/// Says who is there, and hears who answers.
fn greet(mut parts: Parts, token: &[u8]) -> Result<RemoteExecutor, ExecutorError> {
    let answer = match send(&mut *parts.output, 1, &Hello::new(token)) {
        Ok(()) => hear(&mut parts),
        Err(error) if is_gone(&error) => Err(GONE.into()),
        Err(error) => Err(format!("it does not listen: {error}")),
    };
    let connected = answer.and_then(|welcome| match welcome.version {
        VERSION => Connection::new(parts_of(&mut parts), welcome).map_err(|error| error.to_string()),
        other => Err(format!("it speaks version {other} of the protocol, and not {VERSION}")),
    });
    match connected {
        Ok(connection) => Ok(RemoteExecutor { connection, imports: None }),
        Err(reason) => {
            (parts.shut)();
            let ended = parts.child.as_mut().and_then(|child| {
                let _ = child.kill();
                child.wait().ok()
            });
            let ended =
                ended.filter(|status| status.code().is_some()).map_or(String::new(), |status| format!(" ({status})"));
            Err(ExecutorError::with_advice(
                format!("the executor cannot be used: {reason}{ended}"),
                "the program at the other end must be jitlink-executor, of the same version as this one",
            ))
        }
    }
}

/// Takes the parts, and leaves none.
fn parts_of(parts: &mut Parts) -> Parts {
    let nothing = Parts {
        input: Box::new(io::empty()),
        output: Box::new(io::sink()),
        child: None,
        is_same_user: false,
        shut: Box::new(|| ()),
    };
    std::mem::replace(parts, nothing)
}

fn hear(parts: &mut Parts) -> Result<Welcome, String> {
    match read_frame(&mut parts.input, GREETING_LIMIT) {
        Ok(Some(frame)) => match frame.decode::<Answer>() {
            Ok(Answer::Welcome(welcome)) => Ok(welcome),
            Ok(Answer::Refused(reason)) => Err(reason),
            Err(error) => Err(error.to_string()),
        },
        Ok(None) => Err(GONE.into()),
        Err(ReadError::Io(error)) if is_gone(&error) => Err(GONE.into()),
        Err(error) => Err(error.to_string()),
    }
}

const GONE: &str = "it ended before it answered";

/// Whether the other end was closed, which may be noticed when something is sent or when an answer is waited for.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn cannot_start(command: &Command, error: &io::Error) -> ExecutorError {
    let program = command.get_program().to_string_lossy();
    ExecutorError::with_advice(
        format!("cannot start the executor {program}: {error}"),
        "give the path of a program that can be run here",
    )
}
