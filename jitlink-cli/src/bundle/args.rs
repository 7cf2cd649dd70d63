//! What `jitlink bundle` and `jitlink replay` are asked for.

use crate::args::{Format, LinkArgs, parse_address, parse_page_size, parse_size};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct Bundle {
    #[command(flatten)]
    pub(crate) link: LinkArgs,

    /// Where the bundle is written.
    #[arg(short = 'o', long, value_name = "FILE", required = true)]
    pub(crate) output: PathBuf,

    /// Ask this process for no addresses: names that the objects do not define have those of --define, or none.
    #[arg(long, conflicts_with = "libraries")]
    pub(crate) no_exec: bool,

    /// Keep only what this name needs (may be repeated). Without it, every definition that others can see is kept.
    #[arg(long, value_name = "NAME", help_heading = "Symbols")]
    pub(crate) entry: Vec<String>,

    /// Go on without an --entry that nothing defines; without all of them as if none was given.
    #[arg(long, help_heading = "Symbols")]
    pub(crate) allow_undefined_entry: bool,

    /// Link debug sections too.
    #[arg(long, help_heading = "Inputs")]
    pub(crate) keep_debug: bool,

    /// Place the first segment here.
    #[arg(long, value_name = "ADDR", value_parser = parse_address, default_value = "0x10000000", help_heading = "Memory")]
    pub(crate) base: u64,

    /// Place everything within this much memory, from the base on.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1G", help_heading = "Memory")]
    pub(crate) arena_size: u64,

    /// Round segments up to pages of this size.
    #[arg(long, value_name = "SIZE", value_parser = parse_page_size, default_value = "4K", help_heading = "Memory")]
    pub(crate) page_size: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// The bundle; - is standard input.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,

    /// Write what went where as JSON (- for standard output).
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) map: Option<PathBuf>,

    /// Write the linked memory as raw bytes (- for standard output).
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) image: Option<PathBuf>,

    /// Use this many threads. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,

    /// How errors are written.
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub(crate) format: Format,
}
