//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Links relocatable object files into ready-to-execute memory.
///
/// An object is what a compiler makes of one source file (cc -c, rustc --emit obj). jitlink puts objects and archives in memory
/// as a program that can run at once, without writing an executable.
#[derive(Debug, Parser)]
#[command(name = "jitlink", version, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  cc -c hello.c && jitlink run hello.o             link and run a program
  jitlink run main.o libfoo.a -l m -- --verbose    with an archive, a shared library and arguments
  jitlink link --no-exec main.o --map map.json     only link, and show what went where
  jitlink targets                                  what this build can link

Arguments may stand in a file: jitlink run @objects.txt")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Links objects in this process and runs their main function.
    Run(Run),
    /// Links objects, and writes what went where.
    Link(Link),
    /// Shows the formats, architectures and relocation tables of this build.
    Targets(Targets),
}

/// How tables and errors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For tools.
    Json,
}

/// What is done with names that nothing defines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unresolved {
    /// All of them are reported, and nothing is linked.
    #[default]
    Error,
    /// They become null.
    Null,
}

/// Options that every link has.
#[derive(Args, Debug)]
pub(crate) struct LinkArgs {
    /// Object files and archives. An archive gives the members that are needed.
    #[arg(required = true, value_name = "OBJECT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Search a shared library for names that the objects do not define (libNAME.so).
    #[arg(short = 'l', value_name = "LIB")]
    pub(crate) libraries: Vec<String>,

    /// Look for the libraries of -l here first.
    #[arg(short = 'L', value_name = "DIR")]
    pub(crate) library_paths: Vec<PathBuf>,

    /// Link all members of the archives, needed or not.
    #[arg(long)]
    pub(crate) whole_archive: bool,

    /// Give a name an address.
    #[arg(long, value_name = "NAME=ADDR", value_parser = parse_define)]
    pub(crate) define: Vec<(String, u64)>,

    /// Give a definition another name.
    #[arg(long, value_name = "NEW=OLD", value_parser = parse_alias)]
    pub(crate) alias: Vec<(String, String)>,

    /// What to do with names that nothing defines.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) unresolved: Unresolved,

    /// Use this many threads. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,

    /// Show how long each phase took.
    #[arg(long)]
    pub(crate) time: bool,

    /// How tables and errors are written. Errors go to standard error.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) link: LinkArgs,

    /// The function to call.
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub(crate) entry: String,

    /// Place the program in this much reserved address space (64M, 2G).
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) arena_size: Option<u64>,

    /// Arguments for the program, after --.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Link {
    #[command(flatten)]
    pub(crate) link: LinkArgs,

    /// Do not place anything in this process: compute addresses and bytes only. Works for every architecture.
    #[arg(long)]
    pub(crate) no_exec: bool,

    /// Keep only what this name needs. Without it, every definition that others can see is kept.
    #[arg(long, value_name = "NAME")]
    pub(crate) entry: Vec<String>,

    /// Go on without an --entry that nothing defines.
    #[arg(long, requires = "entry")]
    pub(crate) allow_undefined_entry: bool,

    /// Write what went where as JSON (- for standard output).
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,

    /// Write the linked memory as raw bytes (- for standard output).
    #[arg(long, value_name = "FILE", requires = "no_exec")]
    pub(crate) image: Option<PathBuf>,

    /// Place the first segment here.
    #[arg(long, value_name = "ADDR", value_parser = parse_address, default_value = "0x10000000", requires = "no_exec")]
    pub(crate) base: u64,

    /// Place everything within this much memory from the base.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1G")]
    pub(crate) arena_size: u64,

    /// Round segments up to pages of this size.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "4K", requires = "no_exec")]
    pub(crate) page_size: u64,

    /// Link debug sections too.
    #[arg(long)]
    pub(crate) keep_debug: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Targets {
    /// How the table is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

fn parse_define(text: &str) -> Result<(String, u64), String> {
    let (name, address) = text.split_once('=').ok_or("expected NAME=ADDR, as in --define table=0x8000")?;
    match name.is_empty() {
        true => Err("the name is empty".into()),
        false => Ok((name.to_string(), parse_address(address)?)),
    }
}

fn parse_alias(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((new, old)) if !new.is_empty() && !old.is_empty() => Ok((new.to_string(), old.to_string())),
        _ => Err("expected NEW=OLD, as in --alias begin=main".into()),
    }
}

fn parse_address(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(&digits.replace('_', ""), 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("{text} is no address; write it as 0x1000 or 4096"))
}

fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.trim_end_matches(['B', 'b']).char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        Some((at, 'T' | 't')) => (&text[..at], 40),
        _ => (text, 0),
    };
    let size = parse_address(digits).map_err(|_| format!("{text} is no size; write it as 4096, 64K, 16M or 1G"))?;
    size.checked_shl(shift).filter(|scaled| scaled >> shift == size).ok_or_else(|| format!("{text} is too large"))
}
