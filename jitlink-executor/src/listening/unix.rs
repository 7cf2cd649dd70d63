//! Waits for linking sides.

use jitlink_executor::server::{Listener, listen};
use jitlink_executor::{Address, TOKEN_VARIABLE};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

/// Serves who connects to the address.
pub(crate) fn serve(
    address: &Address,
    given: Option<String>,
    file: Option<PathBuf>,
    once: bool,
) -> Result<ExitCode, String> {
    let token = token(address, given, file)?;
    let (listener, address) =
        Listener::bind(address).map_err(|error| format!("cannot listen at {address}: {error}"))?;
    eprintln!("jitlink-executor: listening at {address}");
    listen(&listener, token.as_bytes(), once).map(|()| ExitCode::SUCCESS)
}

/// The token to ask for.
fn token(address: &Address, given: Option<String>, file: Option<PathBuf>) -> Result<String, String> {
    let Some(file) = file else {
        return match (given, address) {
            (Some(token), _) if !token.is_empty() => Ok(token),
            (_, Address::Unix(_)) => Ok(String::new()),
            (_, Address::Tcp(_)) => Err(format!(
                "any user of this machine can reach {address}: ask for a token (--token-file FILE, or {TOKEN_VARIABLE})"
            )),
        };
    };
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    match fs::read_to_string(&file) {
        Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_string()),
        Ok(_) => return Err(format!("{} is empty; remove it, and it is made anew", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut random = [0; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| std::io::Read::read_exact(&mut source, &mut random))
        .map_err(|error| format!("/dev/urandom: {error}"))?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    made.and_then(|mut made| writeln!(made, "{token}")).map_err(failed)?;
    Ok(token)
}
