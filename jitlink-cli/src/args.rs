//! The command line.

mod choices;

pub(crate) use choices::{Format, Panic, ProfileKind, Unresolved, View};

use crate::bundle::args::{Bundle, Replay};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
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
  jitlink link --no-exec main.o --map map.json     only link, and write what went where
  jitlink check main.s main.o                      test what a link makes of relocations
  jitlink inspect main.o --why-live table          why something is, or is not, in a link
  jitlink targets                                  what this build can link

Arguments may stand in a file: jitlink run @objects.txt

Exit status:
  run   that of the program (killed by a signal, as the program was)
  1     the link failed, or a rule of a check; the reasons are on standard error
  2     the command line makes no sense")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Links objects in this process and runs their main function.
    ///
    /// The program gets this process's environment, standard streams and memory. Names that the objects do not define come
    /// from the C library and from the shared libraries of -l. Standard output is the program's alone: what jitlink itself
    /// has to say goes to standard error.
    #[command(after_help = "\
Examples:
  jitlink run main.o parse.o                  two objects
  jitlink run main.o -- one \"two words\"       arguments for the program come after --
  jitlink run app.o -l stdc++                 C++ needs its library, as with cc
  jitlink run app.o --rust-std                Rust needs its own: rustc --emit obj app.rs
  jitlink run main.o -L build -l :libfoo.so   a shared library by its file name
  cat main.o | jitlink run -                  an object from standard input
  gdb --args jitlink run --debug main.o       breakpoints, steps and variables of main.c
  perf record jitlink run --profile map a.o   where the time goes, by function
  jitlink run --watch server.o                changes to server.o go into the running program
  jitlink run power.o                         of powerpc64le-linux-gnu-gcc -c: under QEMU
  jitlink run windows.o                       of x86_64-w64-mingw32-gcc -c: under Wine

Code of another machine or system runs in that one's executor, which comes from
cargo xtask executor --target T. What else is missing for it is said.

Exit status: that of the program; 1 if the link fails; 2 if the command line makes
no sense. A program that crashes is reported with the function and the object that
it was in, and its signal ends jitlink too.")]
    Run(Run),
    /// Links objects, and writes what went where.
    ///
    /// With --no-exec, nothing touches this process: the result is a map (JSON) and an image (raw bytes), the same on every
    /// machine. Without it, the objects are placed in this process's memory, but nothing of them runs.
    #[command(after_help = "\
Examples:
  jitlink link --no-exec a.o b.o --map map.json --image image.bin --base 0x80000000
  jitlink link --no-exec main.o --define puts=0x1000 --map -    the map on standard output
  jitlink link --no-exec libx.a --whole-archive --unresolved null    a library on its own
  jitlink link -r a.o b.o libx.a -o all.o                one object of several, for any linker
  jitlink link -r a.o b.o --entry start -o part.o        of which only what start needs

Exit status: 0; 1 if the link fails; 2 if the command line makes no sense.")]
    Link(Link),
    /// Checks rules about linked memory that stand beside the assembly.
    ///
    /// RULES is any text file, normally the assembly source of the objects. Its lines with a comment that begins with
    /// jitlink-check: are rules: conditions about symbols, sections, GOT slots, stubs and the bytes that the link wrote. The
    /// objects are linked as by link --no-exec, with everything in them unless --entry says otherwise; nothing runs. What fails
    /// is shown with both of its sides and all of its parts.
    #[command(after_help = "\
Rules:
  # jitlink-check: i32(call + 1) == target - (call + 5)    a call's field, as the psABI says
  # jitlink-check: u64(got(data)) == data                  the slot holds the address
  # jitlink-check: exists(stub(far)) && !exists(got(near)) what was made, and what was not
  # jitlink-check: u32(. + 4)[25:0] << 2 == size(table)    . is the label above; some bits
  # jitlink-check-link: --define far=0x7f0000000000        the rules below are about another link
  # jitlink-check-error[out-of-range]: R_X86_64_8          it has to fail, with this

Values:
  NAME, .                     the address of a symbol, of the label above
  size(NAME)                  the size of a symbol
  section(S)                  where a section starts; also section_end, section_size
  got(NAME), stub(NAME)       the address of its GOT slot, of its stub; stub(NAME, plt)
  u8(A) … u64(A), i8(A) …     what is in memory there; u32le, u32be in a given order
  V[15:0], V[7]               some bits of a value
  NAME in a.o                 where several objects have one: got(NAME in a.o)

Numbers are exact, in 128 bits. Operators are + - * / % << >> & | ^ ~, == != < <= > >=,
&& || !, and bind as in Rust. A rule that ends in \\ goes on in the next marked line.

Examples:
  cc -c reloc.s && jitlink check reloc.s reloc.o
  jitlink check rules.txt a.o libb.a --define puts=0x7f0000000000 --base 0x400000

Exit status: 0; 1 if a rule does not hold or cannot be evaluated, or the link fails;
2 if the command line makes no sense.")]
    Check(Check),
    /// Records everything that decides a link in one file, for bug reports.
    ///
    /// A bundle holds the objects and archives, the options, the addresses of names that the objects do not define, and what
    /// came out: the linked memory, or the errors. It is a plain tar archive, and the same for the same link on every machine:
    /// it holds no paths, times or users. jitlink replay links it again anywhere.
    #[command(after_help = "\
Examples:
  jitlink bundle -o case.jitbundle main.o libfoo.a -l m     names of libraries get their addresses of now
  jitlink bundle -o case.jitbundle --no-exec a.o b.o        as jitlink link --no-exec
  tar tvf case.jitbundle                                    what is in it

A link that fails is recorded too, with its errors.

Exit status: 0 if the bundle was written; 1 if it was not; 2 if the command line makes no sense.")]
    Bundle(Bundle),
    /// Links what a bundle holds again, and compares the result with the one that was recorded.
    ///
    /// Nothing of the bundle is unpacked or run. Where the result is not the same, the first difference is shown.
    #[command(after_help = "\
Examples:
  jitlink replay case.jitbundle                                  is it still the same?
  jitlink replay case.jitbundle --map map.json --image image.bin    and what is where

Exit status: 0 if the result is the one that was recorded, even if that is an error; 1 if it is not, or
if the bundle is damaged; 2 if the command line makes no sense.")]
    Replay(Replay),
    /// Links, runs and shows BPF programs, in a virtual machine that needs no root or in the kernel.
    #[cfg(feature = "bpf")]
    Bpf(crate::bpf::args::Bpf),
    /// Shows the link graph before and after a link, and says why things are as they are.
    ///
    /// Links as `jitlink link` does, and shows what there was, what is left, what was made and where it went. Nothing of the
    /// objects runs. A link that fails is shown as far as it came.
    #[command(after_help = "\
Examples:
  jitlink inspect main.o eval.o --entry main              a table
  jitlink inspect main.o --format html -o graph.html      one page to look at in a browser
  jitlink inspect main.o --format dot | dot -Tsvg > graph.svg
  jitlink inspect main.o libx.a --why-not unused          why a symbol is not in the link
  jitlink inspect main.o -l m --why-stub sqrt             why a call goes through a stub

Exit status: 0; 1 if the link fails; 2 if the command line makes no sense.")]
    Inspect(Box<Inspect>),
    /// Shows the formats, architectures and relocation tables of this build.
    Targets(Targets),
    /// Writes a script that completes this command's words in a shell.
    #[command(after_help = "\
Examples:
  jitlink completions bash > ~/.local/share/bash-completion/completions/jitlink
  jitlink completions zsh > ~/.zfunc/_jitlink    where fpath has ~/.zfunc
  jitlink completions fish > ~/.config/fish/completions/jitlink.fish
  source <(jitlink completions bash)             only in this shell")]
    Completions(Completions),
    /// Writes the manual pages.
    #[command(after_help = "\
Examples:
  jitlink man | man -l -                         read the manual now
  jitlink man run | man -l -                     that of a subcommand
  jitlink man --out ~/.local/share/man/man1      install all pages")]
    Man(Man),
}

/// The command line as users see it.
pub(crate) fn command() -> clap::Command {
    Options::command().mut_subcommand("check", |check| {
        // Nothing runs, so no library is searched.
        check.mut_args(|arg| {
            let is_for_running = matches!(arg.get_id().as_str(), "libraries" | "library_paths");
            if is_for_running { arg.hide(true) } else { arg }
        })
    })
}

/// Options that every link has.
#[derive(Args, Debug)]
pub(crate) struct LinkArgs {
    /// Object files and archives; - is standard input. An archive gives the members that are needed.
    #[arg(required = true, value_name = "OBJECT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Search a shared library for names that the objects do not define: libLIB.so, or the file NAME for :NAME.
    #[arg(short = 'l', value_name = "LIB", help_heading = "Inputs")]
    pub(crate) libraries: Vec<String>,

    /// Look for the libraries of -l here first.
    #[arg(short = 'L', value_name = "DIR", help_heading = "Inputs")]
    pub(crate) library_paths: Vec<PathBuf>,

    /// Link all members of the archives, needed or not.
    #[arg(long, help_heading = "Inputs")]
    pub(crate) whole_archive: bool,

    /// Add Rust's standard library, and all else that rustc links a program with, for objects of rustc --emit obj. It is that
    /// of $RUSTC, or else of rustc, which has to be the one that compiled the objects. Give =abort if that was with -C
    /// panic=abort.
    #[arg(long, value_name = "PANIC", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "unwind")]
    #[arg(help_heading = "Inputs")]
    pub(crate) rust_std: Option<Panic>,

    /// Give a name an address, unless an object defines it.
    #[arg(long, value_name = "NAME=ADDR", value_parser = parse_define, help_heading = "Symbols")]
    pub(crate) define: Vec<(String, u64)>,

    /// Give what is called OLD a second name.
    #[arg(long, value_name = "NEW=OLD", value_parser = parse_alias, help_heading = "Symbols")]
    pub(crate) alias: Vec<(String, String)>,

    /// What to do with names that nothing defines.
    #[arg(long, value_enum, default_value_t, help_heading = "Symbols")]
    pub(crate) unresolved: Unresolved,

    /// Use this many threads. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,

    /// Write how long each phase took to standard error.
    #[arg(long, help_heading = "Output")]
    pub(crate) time: bool,

    /// How tables and errors are written.
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) link: LinkArgs,

    /// The function to call, of the type of a C main.
    #[arg(long, value_name = "NAME", default_value = "main", help_heading = "Symbols")]
    pub(crate) entry: String,

    /// Link objects again when they change, into the running program.
    ///
    /// Functions that changed are replaced, each at once; whoever calls them next gets the new code. Variables keep their places
    /// and values: an object whose variables changed is refused with the reason, and the program goes on as it was. Functions
    /// must keep their types, and what they share its layout. Compile with -ffunction-sections -fdata-sections, so that each
    /// function and variable counts by itself.
    #[arg(long)]
    pub(crate) watch: bool,

    /// Keep debug information (cc -g): GDB sees lines, variables and frames of the program, and reports of crashes name the line.
    #[arg(long, help_heading = "Debugging")]
    pub(crate) debug: bool,

    /// Tell perf the names of the program's functions.
    ///
    /// map writes /tmp/perf-PID.map, which perf report reads; it cannot be combined with --debug. jitdump writes jit-PID.dump to the
    /// folder that JITDUMPDIR names, or to this one, with code, lines (cc -g) and unwind records: record with perf record -k mono,
    /// then perf inject --jit makes data for perf report and perf annotate, and a file for each function beside the dump.
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Debugging")]
    pub(crate) profile: Option<ProfileKind>,

    /// Place the program in this much reserved address space (64M, 2G).
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Memory")]
    pub(crate) arena_size: Option<u64>,

    /// Run the program in a process that this command starts.
    ///
    /// The command is jitlink-executor, or one that has it run: qemu-ppc64le-static -L /usr/powerpc64le-linux-gnu FILE, or
    /// ssh HOST jitlink-executor --stdio, where the connection is over standard input and output.
    #[arg(long, value_name = "COMMAND", help_heading = "Another process")]
    #[arg(conflicts_with_all = ["connect", "watch", "debug", "profile", "arena_size"])]
    pub(crate) executor: Option<String>,

    /// Run the program in a process that listens: jitlink-executor --listen ADDRESS. An address is unix:PATH or tcp:127.0.0.1:PORT.
    #[arg(long, value_name = "ADDRESS", help_heading = "Another process")]
    #[arg(conflicts_with_all = ["watch", "debug", "profile", "arena_size"])]
    pub(crate) connect: Option<jitlink::remote::Address>,

    /// The file with the token that the process at ADDRESS asks for; without it, the one in JITLINK_EXECUTOR_TOKEN.
    #[arg(long, value_name = "FILE", requires = "connect", help_heading = "Another process")]
    pub(crate) token_file: Option<PathBuf>,

    /// Set a variable of the program's environment, which is otherwise that of its process (may be repeated).
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = parse_variable, help_heading = "Another process")]
    pub(crate) environment: Vec<(String, String)>,

    /// Arguments for the program, after --.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct Link {
    #[command(flatten)]
    pub(crate) link: LinkArgs,

    /// Do not place anything in this process: compute addresses and bytes only. Works for every architecture.
    #[arg(long)]
    pub(crate) no_exec: bool,

    /// Keep only what this name needs (may be repeated). Without it, every definition that others can see is kept.
    #[arg(long, value_name = "NAME", help_heading = "Symbols")]
    pub(crate) entry: Vec<String>,

    /// Write one relocatable object made of all, instead of linking to memory. Names that nothing defines stay references;
    /// without --entry, everything is kept.
    #[arg(short = 'r', long, requires = "output", help_heading = "Output")]
    #[arg(conflicts_with_all = ["map", "image", "libraries", "unresolved", "base", "arena_size", "page_size", "time"])]
    pub(crate) relocatable: bool,

    /// Where -r writes the object (- for standard output).
    #[arg(short = 'o', long, value_name = "FILE", requires = "relocatable", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    /// Go on without an --entry that nothing defines; without all of them as if none was given.
    #[arg(long, help_heading = "Symbols")]
    pub(crate) allow_undefined_entry: bool,

    /// Write what went where as JSON (- for standard output).
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) map: Option<PathBuf>,

    /// Write the linked memory as raw bytes (- for standard output).
    #[arg(long, value_name = "FILE", requires = "no_exec", help_heading = "Output")]
    pub(crate) image: Option<PathBuf>,

    /// Link debug sections too.
    #[arg(long, help_heading = "Output")]
    pub(crate) keep_debug: bool,

    /// Place the first segment here.
    #[arg(long, value_name = "ADDR", value_parser = parse_address, default_value = "0x10000000", requires = "no_exec")]
    #[arg(help_heading = "Memory")]
    pub(crate) base: u64,

    /// Place everything within this much memory, from the base on.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1G", help_heading = "Memory")]
    pub(crate) arena_size: u64,

    /// Link thread-local variables too, for a program whose start-up code gives each thread its copy. The image holds their initial
    /// values; the map says where.
    #[arg(long, requires = "no_exec", help_heading = "Memory")]
    pub(crate) thread_locals: bool,

    /// Round segments up to pages of this size.
    #[arg(long, value_name = "SIZE", value_parser = parse_page_size, default_value = "4K", requires = "no_exec")]
    #[arg(help_heading = "Memory")]
    pub(crate) page_size: u64,
}

#[derive(Args, Debug)]
// What is shown has more forms here.
#[command(mut_arg("format", |format| format.long("error-format").hide(true)))]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub(crate) link: LinkArgs,

    /// Keep only what this name needs (may be repeated). Without it, every definition that others can see is kept.
    #[arg(long, value_name = "NAME", help_heading = "Symbols")]
    pub(crate) entry: Vec<String>,

    /// Go on without an --entry that nothing defines; without all of them as if none was given.
    #[arg(long, help_heading = "Symbols")]
    pub(crate) allow_undefined_entry: bool,

    /// Say why a symbol is live: which root needs it, and through what (may be repeated). OBJECT:NAME for a local one.
    #[arg(long, value_name = "SYMBOL", help_heading = "Questions")]
    pub(crate) why_live: Vec<String>,

    /// Say why a symbol has a stub or a GOT slot: who asked, and why it could not be direct (may be repeated).
    #[arg(long, value_name = "SYMBOL", help_heading = "Questions")]
    pub(crate) why_stub: Vec<String>,

    /// Say why a symbol is not in the link (may be repeated).
    #[arg(long, value_name = "SYMBOL", help_heading = "Questions")]
    pub(crate) why_not: Vec<String>,

    /// How the link is shown. Answers to questions are text or JSON.
    #[arg(long = "format", id = "view", value_enum, default_value_t, help_heading = "Output")]
    pub(crate) view: View,

    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    /// Show all of long lists and large graphs.
    #[arg(long, help_heading = "Output")]
    pub(crate) all: bool,

    /// Link debug sections too.
    #[arg(long, help_heading = "Output")]
    pub(crate) keep_debug: bool,

    /// Place the objects in this process, as jitlink run does, where the C library and those of -l have their addresses.
    /// -l implies it.
    #[arg(long, help_heading = "Memory")]
    pub(crate) in_process: bool,

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
pub(crate) struct Check {
    /// The file with the rules; normally the assembly source of the objects.
    #[arg(value_name = "RULES")]
    pub(crate) rules: PathBuf,

    #[command(flatten)]
    pub(crate) link: LinkArgs,

    /// Keep only what this name needs (may be repeated). Without it, everything in the objects is kept.
    #[arg(long, value_name = "NAME", help_heading = "Symbols")]
    pub(crate) entry: Vec<String>,

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
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The subcommand that the page is about; without it, the command as a whole.
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    pub(crate) page: Option<String>,

    /// Write the pages of the command and of all its subcommands into this folder, which is made if there is none.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Targets {
    /// How the table is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

fn parse_define(text: &str) -> Result<(String, u64), String> {
    match text.split_once('=') {
        Some((name, address)) if !name.is_empty() => Ok((name.to_string(), parse_address(address)?)),
        _ => Err("expected NAME=ADDR, as in --define table=0x8000".into()),
    }
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_string(), value.to_string())),
        _ => Err("expected NAME=VALUE, as in --env LANG=C".into()),
    }
}

fn parse_alias(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((new, old)) if !new.is_empty() && !old.is_empty() => Ok((new.to_string(), old.to_string())),
        _ => Err("expected NEW=OLD, as in --alias begin=main".into()),
    }
}

pub(crate) fn parse_address(text: &str) -> Result<u64, String> {
    let plain = text.replace('_', "");
    let parsed = match plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        // A sign would be accepted here.
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => plain.parse().ok(),
    };
    parsed.ok_or_else(|| format!("{text} is no address; write it as 0x1000 or 4096"))
}

pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let plain = text.strip_suffix(['B', 'b']).unwrap_or(text);
    let (digits, shift) = match plain.char_indices().last() {
        // The last digit of a hexadecimal number is no unit.
        _ if text.starts_with("0x") || text.starts_with("0X") => (text, 0),
        Some((at, 'K' | 'k')) => (&plain[..at], 10),
        Some((at, 'M' | 'm')) => (&plain[..at], 20),
        Some((at, 'G' | 'g')) => (&plain[..at], 30),
        Some((at, 'T' | 't')) => (&plain[..at], 40),
        _ => (plain, 0),
    };
    let size = parse_address(digits).map_err(|_| format!("{text} is no size; write it as 4096, 64K, 16M or 1G"))?;
    let scaled = size.checked_mul(1 << shift).ok_or_else(|| format!("{text} is too large"))?;
    if scaled == 0 { Err("it must be at least one byte".into()) } else { Ok(scaled) }
}

pub(crate) fn parse_page_size(text: &str) -> Result<u64, String> {
    let size = parse_size(text)?;
    if size.is_power_of_two() { Ok(size) } else { Err(format!("{text} is not a power of two")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("0x4B"), Ok(0x4b));
        assert_eq!(parse_size("64K"), Ok(64 << 10));
        assert_eq!(parse_size("2GB"), Ok(2 << 30));
        assert_eq!(parse_size("16777216T"), Err("16777216T is too large".into()));
        for nonsense in ["", "K", "-1", "1X", "0x", "0", "0x+1", "1.5G"] {
            assert!(parse_size(nonsense).is_err(), "{nonsense}");
        }
        assert!(parse_page_size("3K").is_err());
    }

    #[test]
    fn names_take_addresses_and_names() {
        assert_eq!(parse_define("a=b=0x10"), Err("b=0x10 is no address; write it as 0x1000 or 4096".into()));
        assert_eq!(parse_define("table=0x8000_0000"), Ok(("table".into(), 0x8000_0000)));
        assert_eq!(parse_alias("new=old"), Ok(("new".into(), "old".into())));
        assert!(parse_define("=1").is_err() && parse_alias("new=").is_err());
    }
}
