//! Running the command and compilers.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Compilers of C with the names that they may have.
pub(crate) const C_COMPILERS: [&[&str]; 2] = [&["gcc"], &["clang-22", "clang"]];

/// Compilers of C++ with the names that they may have.
pub(crate) const CXX_COMPILERS: [&[&str]; 2] = [&["g++"], &["clang++-22", "clang++"]];

/// An object or source in `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The first of these programs that is installed. Without one, says that the test skips itself; in CI that is a failure.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found =
        names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()));
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or("a test").to_string();
        let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        assert!(!in_ci, "{test}: {} is not installed, and CI skips no test", names.join(" or "));
        eprintln!("{test}: skipped in part: {} is not installed", names.join(" or "));
    }
    found
}

/// How a program ended and what it wrote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The exit status; minus the signal that killed it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub(crate) fn of(command: &mut Command) -> Outcome {
        let output = command.stdin(Stdio::null()).output();
        Outcome::from(output.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// What of two programs must be the same.
    pub(crate) fn visible(&self) -> (i32, &str) {
        (self.status, &self.stdout)
    }

    /// The lines of the errors, which must be all that was written.
    pub(crate) fn errors(&self) -> &str {
        assert_eq!((self.status, self.stdout.as_str()), (1, ""), "{}", self.stderr);
        self.stderr.trim_end()
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_else(|error| panic!("{error}"));
        let status = output.status.code().or(output.status.signal().map(|signal| -signal));
        Outcome { status: status.unwrap_or_default(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// The command with these arguments, in an environment that does not depend on the caller's.
pub(crate) fn jitlink<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jitlink"));
    command.args(arguments).env_remove("JITLINK_TEST").env_remove("NO_COLOR");
    command
}

/// A scratch folder in which the command runs, so that errors show bare names.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// A folder with copies of fixtures.
    pub(crate) fn with(fixtures: &[&str]) -> Folder {
        let folder = Folder::new();
        for name in fixtures {
            std::fs::copy(fixture(name), folder.path(name)).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// The command, `words` separated by blanks.
    pub(crate) fn jitlink(&self, words: &str) -> Outcome {
        Outcome::of(jitlink(words.split_whitespace()).current_dir(self.0.path()))
    }

    /// Any other program, which must succeed.
    pub(crate) fn tool(&self, program: &Path, words: &str) {
        let outcome = self.command(program, words);
        assert_eq!(outcome.status, 0, "{} {words}:\n{}", program.display(), outcome.stderr);
    }

    /// Any other program.
    pub(crate) fn command(&self, program: &Path, words: &str) -> Outcome {
        Outcome::of(Command::new(program).args(words.split_whitespace()).current_dir(self.0.path()))
    }

    /// What the program that a compiler links from `objects` does with these arguments, under the name that
    /// `jitlink run` gives it.
    pub(crate) fn reference(&self, compiler: &Path, objects: &str, arguments: &str) -> Outcome {
        use std::os::unix::process::CommandExt;
        self.tool(compiler, &format!("{objects} -o reference"));
        let name = objects.split_whitespace().find(|word| !word.starts_with('-')).unwrap_or_default();
        let mut command = Command::new(self.path("reference"));
        Outcome::of(command.arg0(name).args(arguments.split_whitespace()).current_dir(self.0.path()))
    }
}
