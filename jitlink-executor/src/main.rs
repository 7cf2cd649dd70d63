//! The program for the target: runs what jitlink links elsewhere.

#[cfg_attr(windows, path = "listening/windows.rs")]
#[cfg_attr(unix, path = "listening/unix.rs")]
mod listening;

use jitlink_executor::Address;
use jitlink_executor::server::{Channel, greet, serve, supervise};
use jitlink_executor::{DESCRIPTOR_VARIABLE, TOKEN_VARIABLE};
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
        return listening::serve(address, given, options.token_file, options.once);
    }
    if options.stdio {
        let mut channel =
            Channel::standard().map_err(|error| format!("standard input or output is closed: {error}"))?;
        greet(&mut channel, given.unwrap_or_default().as_bytes())?;
        return supervise(channel, true).map(|()| ExitCode::SUCCESS);
    }
    let descriptor = descriptor.ok_or("jitlink did not start this; give --stdio or --listen (see --help)")?;
    let mut channel = Channel::inherited(&descriptor)
        .map_err(|error| format!("{DESCRIPTOR_VARIABLE}={descriptor} is no connection: {error}"))?;
    greet(&mut channel, b"")?;
    // On Windows it is the process in front that starts this one so.
    serve(channel, cfg!(windows)).map(|never| match never {})
}

/// Takes what is for this program alone out of the environment of those that it runs.
#[allow(unsafe_code, reason = "the environment is changed before there are threads")]
fn forget_variables() {
    for name in [TOKEN_VARIABLE, DESCRIPTOR_VARIABLE] {
        // SAFETY: the process has one thread, which does nothing else now.
        unsafe { std::env::remove_var(name) };
    }
}
