//! The program for the target: runs what jitlink links elsewhere.

use jitlink_executor::Address;
use jitlink_executor::server::{Channel, Listener, greet, listen, serve, supervise};
use jitlink_executor::{DESCRIPTOR_VARIABLE, TOKEN_VARIABLE};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Runs what jitlink links in another process.

Usage: jitlink-executor --stdio
       jitlink-executor --listen ADDRESS [--token-file FILE] [--once]

jitlink run --executor 'jitlink-executor' starts it with a connection of its own.

  --stdio             the linking side is at standard input and output (jitlink run --executor 'ssh HOST jitlink-executor --stdio')
  --listen ADDRESS    wait for connections at unix:PATH or tcp:127.0.0.1:PORT (jitlink run --connect ADDRESS)
  --token-file FILE   ask for the token in FILE, which is made if there is none; tcp needs one, here or in JITLINK_EXECUTOR_TOKEN
  --once              end with the first connection
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("jitlink-executor: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
#[derive(Default)]
struct Options {
    stdio: bool,
    listen: Option<Address>,
    token_file: Option<PathBuf>,
    once: bool,
}

fn run() -> Result<ExitCode, String> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value (see --help)"));
        match word.as_str() {
            "--stdio" => options.stdio = true,
            "--once" => options.once = true,
            "--listen" => options.listen = Some(value()?.parse()?),
            "--token-file" => options.token_file = Some(value()?.into()),
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            "--version" => {
                println!("jitlink-executor {}", env!("CARGO_PKG_VERSION"));
                return Ok(ExitCode::SUCCESS);
            }
            _ => return Err(format!("there is no option {word} (see --help)")),
        }
    }
    let given = std::env::var(TOKEN_VARIABLE).ok();
    let descriptor = std::env::var(DESCRIPTOR_VARIABLE).ok();
    forget_variables();
    if let Some(address) = &options.listen {
        let token = token(address, given, options.token_file)?;
        let (listener, address) =
            Listener::bind(address).map_err(|error| format!("cannot listen at {address}: {error}"))?;
        eprintln!("jitlink-executor: listening at {address}");
        return listen(&listener, token.as_bytes(), options.once).map(|()| ExitCode::SUCCESS);
    }
    if options.stdio {
        let mut channel =
            Channel::standard().map_err(|error| format!("standard input or output is closed: {error}"))?;
        greet(&mut channel, given.unwrap_or_default().as_bytes())?;
        return supervise(channel, true).map(|()| ExitCode::SUCCESS);
    }
    let descriptor = descriptor.ok_or("jitlink did not start this; give --stdio or --listen (see --help)")?;
    let number = descriptor.parse().map_err(|_| format!("{DESCRIPTOR_VARIABLE}={descriptor} is no descriptor"))?;
    let mut channel =
        Channel::inherited(number).map_err(|error| format!("descriptor {number} is no connection: {error}"))?;
    greet(&mut channel, b"")?;
    serve(channel, false).map(|never| match never {})
}

/// Takes what is for this program alone out of the environment of those that it runs.
#[allow(unsafe_code, reason = "the environment is changed before there are threads")]
fn forget_variables() {
    for name in [TOKEN_VARIABLE, DESCRIPTOR_VARIABLE] {
        // SAFETY: the process has one thread, which does nothing else now.
        unsafe { std::env::remove_var(name) };
    }
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
