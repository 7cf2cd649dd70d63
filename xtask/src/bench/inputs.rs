//! What is linked: generated, the same on every machine, and kept under the target folder.
//!
//! Nothing here calls a library, so that every row measures a link and no search for symbols elsewhere; every `main`
//! returns 0 after little work, so that a row can also be linked by a static linker and run.

use crate::Result;
use crate::process::{capture, find_tool};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Changes whenever what is generated changes; what an older version left is made again.
const VERSION: u32 = 1;

/// One input to link.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Our time at most this part of llvm-jitlink's.
    pub(crate) time_bar: f64,
    /// Our memory at most this part of llvm-jitlink's.
    pub(crate) memory_bar: f64,
    /// Writes the input into the folder and returns the files to link, in order.
    make: Make,
}

/// Who compiles what is generated.
#[derive(Clone, Copy)]
pub(crate) struct Compiler {
    tools: &'static [&'static str],
    /// What is said where none is here.
    absent: &'static str,
    /// What makes it compile for that machine and system.
    flags: &'static [&'static str],
    /// What makes archives of its objects.
    archivers: &'static [&'static str],
}

/// For this machine.
const HOST: Compiler = Compiler {
    tools: &["gcc", "clang-22", "clang"],
    absent: "there is no compiler here",
    flags: &[],
    archivers: &["ar", "llvm-ar"],
};

/// For little-endian 64-bit PowerPC.
pub(crate) const PPC64LE: Compiler = Compiler {
    tools: &["powerpc64le-linux-gnu-gcc"],
    absent: "there is no compiler for ppc64le here (package gcc-powerpc64le-linux-gnu)",
    flags: &[],
    archivers: &["ar", "llvm-ar"],
};

/// For this machine under Windows.
pub(crate) const WINDOWS: Compiler = Compiler {
    tools: &["clang-22", "clang"],
    absent: "there is no clang here, which compiles for Windows",
    flags: &["--target=x86_64-pc-windows-msvc", "-ffreestanding"],
    // Indexes of others do not list such members.
    archivers: &["llvm-ar-22", "llvm-ar"],
};

impl Compiler {
    /// Writes a source and compiles it to the object beside it.
    fn compile(&self, folder: &Path, name: &str, text: &str, flags: &[&str]) -> Result<PathBuf> {
        let compiler = find_tool(self.tools).ok_or(self.absent)?;
        std::fs::write(folder.join(name), text)?;
        let object = Path::new(name).with_extension("o");
        let flags = self.flags.iter().chain(flags);
        capture(Command::new(compiler).args(flags).args(["-g0", "-c", name, "-o"]).arg(&object).current_dir(folder))?;
        Ok(folder.join(object))
    }

    /// Writes `count` small objects, each calling the next and the last the first, and one with `main`.
    pub(crate) fn small_objects(&self, folder: &Path, count: usize) -> Result<Vec<PathBuf>> {
        let template = self.compile(folder, "small.c", SMALL, &["-O2"])?;
        let main = "extern int step_000000(int);\nint main(void) { return step_000000(20) & 0; }\n";
        let mut files = vec![self.compile(folder, "main.c", main, &["-O2"])?];
        files.extend(numbered(&template, count)?);
        Ok(files)
    }
}

type Make = fn(&Compiler, &Path) -> Result<Vec<PathBuf>>;

const fn row(name: &'static str, what: &'static str, make: Make) -> Row {
    Row { name, what, time_bar: 1.0 / 5.0, memory_bar: 1.0 / 3.0, make }
}

pub(crate) const ROWS: &[Row] = &[
    row("trivial", "one object of one function", trivial),
    row("large", "one object of over 1 MB of code", large),
    row("many", "10,000 small objects", many),
    // Nearly all of the input is relocations, which every linker has to read.
    Row {
        time_bar: 1.0 / 3.0,
        memory_bar: 1.0 / 2.0,
        ..row("relocations", "one object of 1,000,000 relocations", relocations)
    },
    row("chain", "a chain of calls through 1,000 sections", chain),
    row("archive", "an archive of 2,000 members, all pulled in", archive),
];

/// Rows of which the sources are in C, for any machine.
pub(crate) const COMPILED: [&str; 5] = ["trivial", "large", "many", "chain", "archive"];

/// More files than this are named in a response file.
const MOST_ARGUMENTS: usize = 64;

impl Row {
    /// Generates the input unless it is there; the arguments that name it.
    pub(crate) fn prepare(&self, folder: &Path) -> Result<Vec<String>> {
        self.prepare_by(&HOST, folder)
    }

    /// The same by another compiler.
    pub(crate) fn prepare_by(&self, compiler: &Compiler, folder: &Path) -> Result<Vec<String>> {
        prepared(folder, |folder| (self.make)(compiler, folder))
    }
}

/// Generates inputs in a folder unless they are there; the arguments that name them.
pub(crate) fn prepared(folder: &Path, make: impl Fn(&Path) -> Result<Vec<PathBuf>>) -> Result<Vec<String>> {
    let list = folder.join(format!("inputs-{VERSION}"));
    if !list.is_file() {
        std::fs::create_dir_all(folder)?;
        let files = make(folder)?;
        let text: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
        // Written last: an interrupted run leaves no list, and starts anew.
        std::fs::write(&list, text)?;
    }
    let text = std::fs::read_to_string(&list)?;
    if text.lines().count() > MOST_ARGUMENTS {
        return Ok(vec![format!("@{}", list.display())]);
    }
    Ok(text.lines().map(str::to_owned).collect())
}

/// Where a static linker's program starts: calls `main` and exits with what it returns.
pub(crate) fn start(folder: &Path) -> Result<PathBuf> {
    let text = "\t.globl _start\n_start:\txorl %ebp, %ebp\n\tcall main\n\tmovl %eax, %edi\n\tmovl $60, %eax\n\tsyscall\n\
                \t.section .note.GNU-stack,\"\",@progbits\n";
    compile(folder, "start.s", text, &[])
}

/// Writes a source and compiles it for this machine to the object beside it.
pub(crate) fn compile(folder: &Path, name: &str, text: &str, flags: &[&str]) -> Result<PathBuf> {
    HOST.compile(folder, name, text, flags)
}

fn trivial(compiler: &Compiler, folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(vec![compiler.compile(folder, "trivial.c", "int main(void) { return 0; }\n", &["-O2"])?])
}

/// Functions with loops, switches, strings and tables, each calling others; every fourth is local.
fn large(compiler: &Compiler, folder: &Path) -> Result<Vec<PathBuf>> {
    const FUNCTIONS: usize = 5000;
    let mut text = String::from("extern int sink;\nint sink;\n");
    let storage = |i: usize| if i.is_multiple_of(4) { "static" } else { "extern" };
    for i in 0..FUNCTIONS {
        writeln!(text, "{} int work_{i}(int a, int b, const char *name);", storage(i))?;
    }
    for i in 0..FUNCTIONS {
        let keep =
            if i.is_multiple_of(4) { "static __attribute__((noinline, used))" } else { "__attribute__((noinline))" };
        let (first, second) = ((i * 7 + 1) % FUNCTIONS, (i * 13 + 5) % FUNCTIONS);
        write!(
            text,
            "{keep} int work_{i}(int a, int b, const char *name) {{\n\
               static int calls, table[] = {{{i}, {first}, {second}, 3}};\n\
               int sum = a ^ {i};\n\
               for (int k = 0; k < (b & 15); k++) sum = sum * 31 + name[k & 3] + table[k & 3];\n\
               switch (sum & 7) {{\n\
                 case 0: sum += a * {};  break;\n  case 1: sum ^= b << 3; sink = sum; break;\n\
                 case 2: return a > 0 ? work_{first}(a - 1, sum, \"from {i} to first\") : sum;\n\
                 case 3: sum -= table[a & 3]++; break;\n  case 5: sum = name[0] * {}; break;\n\
                 case 6: sink += sum; break;\n  default: calls++;\n }}\n\
               return a > 0 ? sum + work_{second}(a - 2, b + calls, \"from {i} to second\") : sum;\n}}\n",
            i % 97 + 3,
            i % 31 + 7,
        )?;
    }
    text += "int main(void) { return work_0(20, 3, \"main\") & 0; }\n";
    Ok(vec![compiler.compile(folder, "large.c", &text, &["-O2"])?])
}

/// A small object in which the names `AAAAAA` and `BBBBBB` stand for its own number and the next one's.
const SMALL: &str = "\
extern int step_BBBBBB(int);
int data_AAAAAA = 3;
static const char *const names_AAAAAA[] = {\"one\", \"two\"};
static int calls;
static __attribute__((noinline)) int pick(int x) { return names_AAAAAA[x & 1][x & 1]; }
int step_AAAAAA(int x) { calls++; return x <= 0 ? data_AAAAAA : step_BBBBBB(x - 1) + pick(x + calls); }
";

/// Writes `count` small objects for this machine, each calling the next and the last the first, and one with `main`.
pub(crate) fn small_objects(folder: &Path, count: usize) -> Result<Vec<PathBuf>> {
    HOST.small_objects(folder, count)
}

/// Copies an object, beside which they are written: the names `AAAAAA` and `BBBBBB` become a copy's number and the next one's; the
/// last one's next is the first. Names of fixed width are replaced in the object's bytes, which is thousands of compiler runs
/// faster than compiling each.
pub(crate) fn numbered(object: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let template = std::fs::read(object)?;
    let name = object.file_stem().and_then(|name| name.to_str()).ok_or("an object has no name")?;
    let holes = |name: &[u8]| -> Vec<usize> {
        let windows = template.windows(name.len()).enumerate();
        windows.filter(|(_, bytes)| *bytes == name).map(|(at, _)| at).collect()
    };
    let (own, next) = (holes(b"AAAAAA"), holes(b"BBBBBB"));
    let mut files = Vec::with_capacity(count);
    let mut copy = template.clone();
    for i in 0..count {
        for (places, number) in [(&own, i), (&next, (i + 1) % count)] {
            for at in places {
                copy[*at..*at + 6].copy_from_slice(format!("{number:06}").as_bytes());
            }
        }
        let file = object.with_file_name(format!("{name}-{i:06}.o"));
        std::fs::write(&file, &copy)?;
        files.push(file);
    }
    Ok(files)
}

fn many(compiler: &Compiler, folder: &Path) -> Result<Vec<PathBuf>> {
    compiler.small_objects(folder, 10_000)
}

fn archive(compiler: &Compiler, folder: &Path) -> Result<Vec<PathBuf>> {
    let files = compiler.small_objects(folder, 2000)?;
    let (main, members) = files.split_first().ok_or("no objects")?;
    let library = folder.join("libsmall.a");
    std::fs::remove_file(&library).or_else(|error| if library.exists() { Err(error) } else { Ok(()) })?;
    let tool = find_tool(compiler.archivers).ok_or("there is no `ar` here")?;
    capture(Command::new(tool).arg("rcs").arg(&library).args(members))?;
    for member in members {
        std::fs::remove_file(member)?;
    }
    Ok(vec![main.clone(), library])
}

/// Pointers in data, calls, GOT loads and addresses, over a thousand functions and a thousand variables. Assembly of this machine.
fn relocations(_: &Compiler, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut source = std::io::BufWriter::new(std::fs::File::create(folder.join("relocations.s"))?);
    let out = &mut source;
    writeln!(out, "\t.text\n\t.globl main\nmain:\txorl %eax, %eax\n\tret\n\t.globl work\nwork:")?;
    for i in 0..600_000_usize {
        let at = i * 7919 % 1000;
        match i % 6 {
            0..3 => writeln!(out, "\tcall function_{at}@PLT")?,
            3 | 4 => writeln!(out, "\tmovq variable_{at}@GOTPCREL(%rip), %rax")?,
            _ => writeln!(out, "\tleaq variable_{at}(%rip), %rax")?,
        }
    }
    writeln!(out, "\tret")?;
    for i in 0..1000 {
        writeln!(out, "\t.globl function_{i}\n\t.type function_{i}, @function\nfunction_{i}:\tret")?;
    }
    writeln!(out, "\t.data\n\t.balign 8")?;
    for i in 0..1000 {
        writeln!(out, "\t.globl variable_{i}\nvariable_{i}:\t.long {i}")?;
    }
    for i in 0..400_000_usize {
        writeln!(out, "\t.quad function_{} + {}", i * 31 % 1000, i % 16)?;
    }
    writeln!(out, "\t.section .note.GNU-stack,\"\",@progbits")?;
    source.flush()?;
    let compiler = find_tool(HOST.tools).ok_or(HOST.absent)?;
    capture(Command::new(compiler).args(["-c", "relocations.s", "-o", "relocations.o"]).current_dir(folder))?;
    std::fs::remove_file(folder.join("relocations.s"))?;
    Ok(vec![folder.join("relocations.o")])
}

fn chain(compiler: &Compiler, folder: &Path) -> Result<Vec<PathBuf>> {
    const LINKS: usize = 1000;
    let mut text = String::new();
    for i in 0..=LINKS {
        writeln!(text, "__attribute__((noipa)) int link_{i}(int x);")?;
    }
    for i in 0..LINKS {
        writeln!(text, "int link_{i}(int x) {{ return link_{}(x * 3 + {i}) ^ {i}; }}", i + 1)?;
    }
    writeln!(text, "int link_{LINKS}(int x) {{ return x; }}\nint main(void) {{ return link_0(1) & 0; }}")?;
    Ok(vec![compiler.compile(folder, "chain.c", &text, &["-O2", "-ffunction-sections"])?])
}
