//! musl, a C library that is linked into programs and asks nothing but the kernel, and LLVM's C++ library on it.
//!
//! There is no package of them for most machines. `zig` brings their sources, compiles them for the machine when they are first
//! needed, and says what it compiles and links with; nothing of it is kept but that.

use crate::Result;
use crate::process::{find_tool, shown, target};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How zig is brought here.
pub(super) const PACKAGE: &str = "`pip install ziglang`";

/// What programs of one language are compiled and linked with.
#[derive(Debug)]
pub(crate) struct Library {
    /// Folders with headers, in the order in which they are searched; the compiler's own are not among them.
    pub(super) headers: Vec<PathBuf>,
    /// What the headers want to be defined: `NAME=VALUE`.
    pub(super) definitions: Vec<String>,
    /// What a link begins with: the object that has `_start`.
    pub(super) start: PathBuf,
    /// What it ends with: archives, which need each other.
    pub(super) archives: Vec<PathBuf>,
}

/// The words that start zig: of itself, or as the package that Python has.
pub(super) fn zig() -> Option<Vec<String>> {
    let words = |path: PathBuf, more: &[&str]| {
        let program = path.display().to_string();
        std::iter::once(program).chain(more.iter().map(|word| (*word).to_owned())).collect::<Vec<String>>()
    };
    if let Some(zig) = find_tool(&["zig"]) {
        return Some(words(zig, &[]));
    }
    let python = words(find_tool(&["python3", "python"])?, &["-m", "ziglang"]);
    let mut version = Command::new(&python[0]);
    version.args(&python[1..]).arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success()).then_some(python)
}

impl Library {
    /// The library for a machine, as zig names that; compiled if it is not yet, which takes minutes.
    pub(super) fn of(triple: &str, is_cpp: bool) -> Result<Library> {
        let zig = zig().ok_or_else(|| format!("zig is not installed ({PACKAGE})"))?;
        let folder = target().join("conformance/musl");
        std::fs::create_dir_all(&folder)?;
        let (language, source) = if is_cpp { ("c++", "program.cpp") } else { ("cc", "program.c") };
        // What throws brings the unwinder.
        std::fs::write(folder.join(source), if is_cpp { "int main() { throw 1; }\n" } else { "int main(void) {}\n" })?;
        let mut command = Command::new(&zig[0]);
        command.args(&zig[1..]).args([language, "-v", "-target", triple, "-static", "-fno-sanitize=undefined"]);
        command.args([source, "-o", language]).current_dir(&folder).stdin(Stdio::null());
        command.env("ZIG_GLOBAL_CACHE_DIR", folder.join("cache")).env("ZIG_LOCAL_CACHE_DIR", folder.join("cache"));
        if !folder.join(language).exists() {
            eprintln!("musl: zig compiles what {language} needs for {triple}, which takes minutes");
        }
        let output = command.output().map_err(|error| format!("{}: {error}", shown(&command)))?;
        let said = String::from_utf8_lossy(&output.stderr);
        match Library::from(&said, &folder) {
            Some(library) if output.status.success() => Ok(library),
            _ => Err(format!("`{}` ended with {} and said:\n{said}", shown(&command), output.status).into()),
        }
    }

    /// What zig says of how it compiled and linked; paths below its folder are relative to that.
    fn from(said: &str, folder: &Path) -> Option<Library> {
        let headers = said.lines().skip_while(|line| !line.starts_with("#include <")).skip(1);
        let headers = headers.map_while(|line| line.strip_prefix(' ')).map(|path| folder.join(path));
        // Compilers bring their own of these.
        let headers = headers.filter(|path| !path.ends_with("lib/include")).collect();
        let compile = said.lines().find(|line| line.contains(" -cc1 "))?;
        let words: Vec<&str> = compile.split_whitespace().collect();
        let defined = words.windows(2).filter(|pair| pair[0] == "-D" && pair[1].starts_with("_LIBC"));
        let link = said.lines().find(|line| line.starts_with("ld.lld "))?;
        let ends_in = |end: &str| link.split_whitespace().filter(|word| word.ends_with(end)).collect::<Vec<&str>>();
        Some(Library {
            headers,
            definitions: defined.map(|pair| pair[1].to_owned()).collect(),
            start: folder.join(ends_in("/crt1.o").first()?),
            archives: ends_in(".a").into_iter().map(|path| folder.join(path)).collect(),
        })
    }

    /// What a compiler hears that is told by `alone` to leave out the headers of its own system.
    pub(super) fn options(&self, alone: &str) -> Vec<String> {
        let headers = self.headers.iter().map(|folder| format!("-isystem{}", folder.display()));
        let definitions = self.definitions.iter().map(|definition| format!("-D{definition}"));
        std::iter::once(alone.to_owned()).chain(headers).chain(definitions).collect()
    }

    /// What a link by GNU ld ends with.
    pub(super) fn group(&self) -> Vec<OsString> {
        let archives = self.archives.iter().map(|path| path.clone().into_os_string());
        ["--start-group".into()].into_iter().chain(archives).chain(["--end-group".into()]).collect()
    }

    /// All that a link of these objects is given, in order.
    pub(super) fn around<'l>(&'l self, objects: &'l [PathBuf]) -> impl Iterator<Item = &'l PathBuf> {
        std::iter::once(&self.start).chain(objects).chain(&self.archives)
    }
}

#[cfg(test)]
mod tests {
    use super::Library;
    use std::path::{Path, PathBuf};

    #[test]
    fn what_zig_says_names_headers_and_archives() {
        let said = "clang version 22\n \"/zig\" -cc1 -D _LIBCPP_ABI_VERSION=1 -D OTHER=1 -x c\n#include <...> search starts here:\n \
                    /zig/lib/include\n zig/musl\nEnd of search list.\nld.lld -o program o/crt1.o cache/program.o o/libc.a /o/librt.a\n";
        let library = Library::from(said, Path::new("/folder")).expect("all is said");
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<PathBuf>>();
        assert_eq!(library.headers, paths(&["/folder/zig/musl"]));
        assert_eq!(library.definitions, ["_LIBCPP_ABI_VERSION=1"]);
        assert_eq!(library.start, Path::new("/folder/o/crt1.o"));
        assert_eq!(library.archives, paths(&["/folder/o/libc.a", "/o/librt.a"]));
        assert!(Library::from("ld.lld -o program", Path::new("/folder")).is_none());
    }
}
