//! The command line of `jitlink bpf`.

use crate::args::Format;
use clap::{ArgGroup, Args, Subcommand};
use std::path::PathBuf;

/// Links, runs and shows BPF programs.
#[derive(Debug, Args)]
pub(crate) struct Bpf {
    #[command(subcommand)]
    pub(crate) command: BpfCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BpfCommand {
    /// Runs a program on packets, memory or nothing, and shows what it did.
    ///
    /// The objects are linked and run in a virtual machine in this process: no root, no kernel, every memory access checked, with
    /// maps and helpers as the kernel has them. With --kernel the same program goes through the kernel's verifier and runs
    /// there (as root). Shown are the verdicts, what is in the maps, and what the program printed.
    #[command(after_help = "\
Examples:
  jitlink bpf run filter.o --pcap capture.pcap             every packet through the one program
  jitlink bpf run a.o b.o --program count --pcap c.pcap    of several objects, a program by name
  jitlink bpf run filter.o --input packet.bin --kernel     one packet, in the kernel
  tcpdump -ddd 'tcp port 80' | jitlink bpf run --classic - --pcap capture.pcap
  jitlink bpf run --raw program.hex --memory 0a0b0c0d --repeat 1000

Exit status: 0 if every run came to its end; 1 if one did not, or the link fails; 2 if the
command line makes no sense.")]
    Run(Box<BpfRun>),
    /// Links objects to one that bpftool and libbpf load.
    ///
    /// Types (BTF), source lines and CO-RE relocations are merged too. Definitions that contradict each other are errors.
    #[command(after_help = "\
Examples:
  jitlink bpf link main.bpf.o maps.bpf.o -o all.bpf.o
  bpftool prog load all.bpf.o /sys/fs/bpf/all

Exit status: 0; 1 if the link fails; 2 if the command line makes no sense.")]
    Link(BpfLink),
    /// Shows what is in objects: programs, maps, types, and code with its source lines.
    #[command(after_help = "\
Examples:
  jitlink bpf inspect filter.o                        programs, maps and sizes
  jitlink bpf inspect filter.o --code                 and every instruction, with source lines
  jitlink bpf inspect a.o b.o --types                 and the types after merging, as C

Exit status: 0; 1 if the link fails; 2 if the command line makes no sense.")]
    Inspect(BpfInspect),
}

/// What every subcommand that links needs.
#[derive(Debug, Args)]
pub(crate) struct BpfLinkArgs {
    /// Objects and archives, by clang, GCC or rustc for BPF; `-` is standard input.
    #[arg(value_name = "OBJECT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Types that CO-RE relocations are resolved against: raw BTF, or an ELF file with a .BTF section. The running kernel's
    /// by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) btf: Option<PathBuf>,
    /// The kernel configuration that `__kconfig` variables read (/boot/config-…, or /proc/config.gz unpacked); without it
    /// that of the running kernel.
    #[arg(long, value_name = "FILE")]
    pub(crate) kconfig: Option<PathBuf>,
    /// How errors and results are written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("code").args(["inputs", "raw", "classic"]).required(true)))]
#[command(group(ArgGroup::new("data").args(["pcap", "input", "memory"])))]
pub(crate) struct BpfRun {
    #[command(flatten)]
    pub(crate) link: BpfLinkArgs,
    /// The program to run, by the name of its function; needed where there are several.
    #[arg(long, value_name = "NAME")]
    pub(crate) program: Option<String>,
    /// Runs the program once on every packet of a capture (pcap or pcapng).
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    /// Runs the program once, on the bytes of a file as its packet (or, of a program that takes none, its memory).
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Runs in the kernel instead of the virtual machine (needs root or CAP_BPF).
    #[arg(long)]
    pub(crate) kernel: bool,
    /// Runs bare instructions: hexadecimal text, or raw bytes. They get the address of --memory in r1 and its length in r2.
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["kernel", "pcap", "input", "program"])]
    pub(crate) raw: Option<PathBuf>,
    /// Runs a classic filter, as tcpdump -ddd or -dd prints it or as bytes of struct sock_filter; of packets, or with --seccomp of
    /// system calls.
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["kernel", "program"])]
    pub(crate) classic: Option<PathBuf>,
    /// The classic filter is one of system calls: it reads struct seccomp_data, the 64 bytes of --input (zeros without it).
    #[arg(long, requires = "classic", conflicts_with = "pcap")]
    pub(crate) seccomp: bool,
    /// The memory of --raw: hexadecimal digits, or @FILE.
    #[arg(long, value_name = "HEX|@FILE", requires = "raw")]
    pub(crate) memory: Option<String>,
    /// Runs the bare instructions this often, and says how long a run takes.
    #[arg(long, value_name = "N", requires = "raw", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) repeat: Option<u64>,
    /// After how many instructions a run is stopped.
    #[arg(long, value_name = "N")]
    pub(crate) budget: Option<u64>,
    /// The type of the records that programs send by a ring buffer or a perf event array, such as `events=struct event`; without
    /// it they are shown as hexadecimal digits.
    #[arg(long = "record", value_name = "MAP=TYPE", conflicts_with_all = ["raw", "classic"], value_parser = record)]
    pub(crate) records: Vec<String>,
    /// At most this many elements or records of each map are shown.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(crate) entries: usize,
}

fn record(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((map, ty)) if !map.is_empty() && !ty.is_empty() => Ok(text.into()),
        _ => Err("a map and a type are wanted, such as events=event".into()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct BpfLink {
    #[command(flatten)]
    pub(crate) link: BpfLinkArgs,
    /// The object to write.
    #[arg(short, long, value_name = "OUT.o")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BpfInspect {
    #[command(flatten)]
    pub(crate) link: BpfLinkArgs,
    /// Shows every instruction, with source lines where the objects have them (cc -g).
    #[arg(long)]
    pub(crate) code: bool,
    /// Shows the types, as C.
    #[arg(long)]
    pub(crate) types: bool,
}
