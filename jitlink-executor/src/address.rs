//! Where an executor listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// An address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system: `unix:PATH`.
    Unix(PathBuf),
    /// A port of the loopback interface: `tcp:127.0.0.1:PORT`.
    Tcp(SocketAddr),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Address::Unix(path.into()));
        }
        let Some(address) = text.strip_prefix("tcp:") else {
            return Err(format!("{text} is no address; write unix:PATH or tcp:127.0.0.1:PORT"));
        };
        match address.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Address::Tcp(address)),
            Ok(address) => Err(format!(
                "{address} can be reached from other machines, and what is sent there is not encrypted; use 127.0.0.1, and ssh to \
                 get to another machine"
            )),
            Err(_) => Err(format!("{address} is no address and port; write tcp:127.0.0.1:PORT")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_this_machine() {
        for text in ["unix:/run/jitlink.sock", "tcp:127.0.0.1:7000", "tcp:[::1]:0"] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text.into()));
        }
        for text in ["", "unix:", "tcp:", "127.0.0.1:1", "tcp:127.0.0.1", "tcp:192.0.2.1:80", "tcp:0.0.0.0:80"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
