//! `jitlink run --watch`: a program that runs gets the new code of objects that change.

use super::support::{C_COMPILERS, Folder, find, jitlink};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const MAIN: &str = r#"
#include <stdio.h>
#include <unistd.h>
extern const char *word(void);
extern int count(void);
int main(void) {
    for (int i = 0; i < 3000; i++) { printf("%s %d\n", word(), count()); fflush(stdout); usleep(20000); }
    return 9;
}
"#;

fn word(text: &str, more: &str) -> String {
    format!(
        "static int counted;\n{more}\nint count(void) {{ return counted++; }}\nconst char *word(void) {{ return \"{text}\"; }}\n"
    )
}

/// The lines of a stream as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Kills the program whatever the test does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first line that begins so.
fn wait_for(lines: &Receiver<String>, start: &str) -> String {
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(Duration::from_secs(120)) {
            Ok(line) if line.starts_with(start) => return line,
            Ok(line) => seen.push(line),
            Err(error) => panic!("no line begins with {start:?}: {error}; {:?}", &seen[seen.len().saturating_sub(5)..]),
        }
    }
}

#[test]
fn objects_that_change_go_into_the_running_program() {
    for compiler in C_COMPILERS {
        let Some(compiler) = find(compiler) else { continue };
        let folder = Folder::new();
        let compile = |name: &str, source: &str| {
            folder.write(&format!("{name}.c"), source);
            folder.tool(&compiler, &format!("-O2 -ffunction-sections -fdata-sections -c {name}.c -o {name}.o"));
        };
        compile("main", MAIN);
        compile("word", &word("one", ""));
        let mut command = jitlink(["run", "--watch", "main.o", "word.o"]);
        command.current_dir(folder.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running(command.spawn().unwrap());
        let output = lines(running.0.stdout.take().unwrap());
        let errors = lines(running.0.stderr.take().unwrap());
        wait_for(&output, "one 0");

        compile("word", &word("two", "int extra(void) { return 1; }"));
        let said = wait_for(&errors, "updated:");
        assert!(said.contains("replaced word; added extra"), "{said}");
        let count: i32 = wait_for(&output, "two ")[4..].parse().unwrap();
        assert!(count > 0, "the counter goes on");

        // What cannot be taken over is said, and the program goes on.
        folder.write("word.o", "no object at all");
        wait_for(&errors, "error[unrecognized]");
        wait_for(&errors, "not updated: the program goes on as it was");
        compile(
            "word",
            &word("bad", "long counted_more[4]; int use(void) { return counted_more[1]++; }")
                .replace("int counted;", "long counted;"),
        );
        let said = wait_for(&errors, "error[not-updatable]");
        assert!(said.contains("counted has 0x8 bytes now instead of 0x4"), "{said}");
        compile("word", &word("three", ""));
        wait_for(&errors, "updated:");
        let next: i32 = wait_for(&output, "three ")[6..].parse().unwrap();
        assert!(next > count);
    }
}
