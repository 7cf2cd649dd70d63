//! Connections from outside: a process for each, so that they do not see each other, and none ends with another.

use super as sys;
use crate::address::Address;
use crate::server::{Channel, greet, supervise};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

/// The most connections at once.
const CONNECTION_LIMIT: usize = 64;

/// How long the other side may take for its first message.
const GREETING: Duration = Duration::from_secs(10);

/// Where connections come in.
#[derive(Debug)]
pub enum Listener {
    /// A socket in the file system, for this user alone.
    Unix(UnixListener),
    /// A port of this machine, for whoever has the token.
    Tcp(TcpListener),
}

impl Listener {
    /// Listens at an address, which is said in full: a port of zero means any.
    ///
    /// # Errors
    /// The address is taken, or not of this machine alone.
    pub fn bind(address: &Address) -> io::Result<(Listener, Address)> {
        match address {
            Address::Unix(path) => {
                // From the start: who connects before it is closed to others is connected.
                let listener = sys::for_this_user_alone(|| UnixListener::bind(path))?;
                Ok((Listener::Unix(sys::aside(listener.into()).into()), address.clone()))
            }
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                let address = listener.local_addr()?;
                Ok((Listener::Tcp(sys::aside(listener.into()).into()), Address::Tcp(address)))
            }
        }
    }

    fn accept(&self) -> io::Result<OwnedFd> {
        match self {
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_read_timeout(Some(GREETING))?;
                Ok(stream.into())
            }
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(GREETING))?;
                Ok(stream.into())
            }
        }
    }
}

/// Serves connections, each in processes of its own: for ever, or one alone. Returns in those processes too, when they are done.
///
/// # Errors
/// No connection can be accepted any more, or the only one was refused.
pub fn listen(listener: &Listener, token: &[u8], only_one: bool) -> Result<(), String> {
    let mut connections = 0;
    loop {
        let accepted = listener.accept();
        connections -= sys::reap().min(connections);
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) if is_passing(&error) => continue,
            Err(error) => return Err(format!("cannot accept connections: {error}")),
        };
        if only_one {
            return serve_one(stream, token);
        }
        if connections >= CONNECTION_LIMIT {
            eprintln!("jitlink-executor: a connection is refused: there are {connections}, and may be no more");
            continue;
        }
        match fork() {
            Ok(sys::Forked::Child) => return serve_one(stream, token),
            Ok(sys::Forked::Parent(_)) => connections += 1,
            Err(error) => eprintln!("jitlink-executor: a connection is refused: {error}"),
        }
    }
}

fn fork() -> io::Result<sys::Forked> {
    // SAFETY: the process that listens starts no thread.
    unsafe { sys::fork() }
}

/// What ends one connection and says nothing about the next.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

fn serve_one(stream: OwnedFd, token: &[u8]) -> Result<(), String> {
    // Both kinds have the option, which is the socket's.
    let waits = std::os::unix::net::UnixStream::from(stream.try_clone().map_err(|error| error.to_string())?);
    let mut channel = Channel::new(stream).map_err(|error| error.to_string())?;
    greet(&mut channel, token)?;
    waits.set_read_timeout(None).map_err(|error| error.to_string())?;
    drop(waits);
    supervise(channel, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn sockets_are_for_their_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let (_listener, _) = Listener::bind(&Address::Unix(path.clone())).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let other = folder.path().join("other");
        std::fs::write(&other, "").unwrap();
        assert_ne!(other.metadata().unwrap().permissions().mode() & 0o077, 0, "only the socket is");
    }
}
