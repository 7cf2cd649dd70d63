//! Completions and manual pages: what a shell and `man` make of them.

use super::support::{Folder, Outcome, find, jitlink};
use std::path::Path;
use std::process::Command;

/// What bash offers for the last of these words.
fn complete(bash: &Path, words: &[&str]) -> Vec<String> {
    let script = "\
source <(\"$JITLINK\" completions bash)
COMP_WORDS=(\"$@\")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE=\"$*\"
COMP_POINT=${#COMP_LINE}
function=$(complete -p jitlink | sed 's/.*-F \\([^ ]*\\).*/\\1/')
\"$function\" jitlink \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"
printf '%s\\n' \"${COMPREPLY[@]}\"
";
    let mut command = Command::new(bash);
    command.args(["--norc", "-c", script, "bash"]).args(words).env("JITLINK", env!("CARGO_BIN_EXE_jitlink"));
    let outcome = Outcome::of(&mut command);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{words:?}");
    outcome.stdout.lines().map(str::to_string).filter(|word| !word.is_empty()).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let Some(bash) = find(&["bash"]) else { return };
    assert_eq!(complete(&bash, &["jitlink", "ch"]), ["check"]);
    assert_eq!(complete(&bash, &["jitlink", "link", "--no-e"]), ["--no-exec"]);
    assert_eq!(complete(&bash, &["jitlink", "link", "--format", ""]), ["text", "json"]);
    assert_eq!(complete(&bash, &["jitlink", "completions", "z"]), ["zsh"]);
    let options = complete(&bash, &["jitlink", "run", "--"]);
    assert!(options.contains(&"--arena-size".into()) && !options.contains(&"--no-exec".into()), "{options:?}");
}

#[test]
fn every_shell_has_a_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let outcome = Outcome::of(&mut jitlink(["completions", shell]));
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{shell}");
        assert!(outcome.stdout.contains("whole-archive"), "{shell}");
    }
    assert_eq!(Outcome::of(&mut jitlink(["completions", "command.com"])).status, 2);
}

/// All pages, in a folder that did not exist.
fn pages() -> (Folder, Vec<String>) {
    let folder = Folder::new();
    let outcome = folder.jitlink("man --out share/man1");
    assert_eq!((outcome.status, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "", ""));
    let files = std::fs::read_dir(folder.path("share/man1")).unwrap();
    let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    (folder, names)
}

#[test]
fn each_command_has_a_page() {
    let (folder, names) = pages();
    for name in ["jitlink.1", "jitlink-check.1", "jitlink-link.1", "jitlink-man.1", "jitlink-run.1"] {
        assert!(names.contains(&name.to_string()), "{names:?}");
    }
    let text = |name: &str| String::from_utf8(folder.read(&format!("share/man1/{name}"))).unwrap();
    let page = text("jitlink-run.1");
    for part in
        [".TH JITLINK-RUN 1 ", ".SH NAME", ".SH SYNOPSIS", ".SH EXAMPLES", ".SH \"EXIT STATUS\"", ".SH \"SEE ALSO\""]
    {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    assert_eq!(folder.jitlink("man run").stdout, page);
    assert_eq!(folder.jitlink("man").stdout, text("jitlink.1"));
    assert_eq!(folder.jitlink("man nothing").status, 2);
    assert_eq!(folder.jitlink("man --out share/man1/jitlink.1").status, 1);
}

#[test]
fn formatters_have_nothing_to_say_about_the_pages() {
    let (folder, names) = pages();
    for (tool, arguments) in [("groff", "-man -ww -z -Tutf8"), ("mandoc", "-Tlint -Wstyle")] {
        let Some(tool) = find(&[tool]) else { continue };
        for name in &names {
            let outcome = folder.command(&tool, &format!("{arguments} share/man1/{name}"));
            assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""), "{} {name}", tool.display());
        }
    }
    // What is indented in the help stays as it is.
    let Some(mandoc) = find(&["mandoc"]) else { return };
    let shown = folder.command(&mandoc, "-Tascii -Owidth=100 share/man1/jitlink-run.1").stdout;
    assert!(shown.contains("jitlink run main.o -- one \"two words\"       arguments for the program"), "{shown}");
}
