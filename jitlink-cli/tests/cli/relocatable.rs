//! `jitlink link -r`: one object of several.

use super::support::{Folder, find};

#[test]
fn objects_and_the_members_that_they_need_become_one() {
    let folder = Folder::with(&["program.o", "library.o", "undefined.o"]);
    let outcome = folder.jitlink("link -r program.o library.o -o all.o");
    assert_eq!((outcome.status, outcome.stderr.as_str(), outcome.stdout.as_str()), (0, "", ""));
    // Linked again it is the same program, and written again the same file.
    let outcome = folder.jitlink("link -r all.o -o again.o --threads 3");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(folder.read("all.o"), folder.read("again.o"));
    let symbols = |inputs: &str| {
        let outcome = folder.jitlink(&format!("link --no-exec {inputs} --unresolved null --map -"));
        let map: serde_json::Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.stderr));
        let all = map["objects"].as_array().unwrap().iter().flat_map(|object| object["symbols"].as_array().unwrap());
        let visible = all.filter(|symbol| symbol["scope"] != "local");
        let mut names: Vec<String> =
            visible.map(|symbol| symbol["name"].to_string() + &symbol["size"].to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(symbols("all.o"), symbols("program.o library.o"));
    let outcome = folder.jitlink("link -r undefined.o -o open.o");
    assert_eq!(outcome.status, 0, "what nothing defines stays a reference: {}", outcome.stderr);
    assert!(folder.jitlink("link --no-exec open.o").stderr.contains("missing_data is not defined"));
}

#[test]
fn what_makes_no_sense_with_it_is_refused() {
    let folder = Folder::with(&["program.o"]);
    for words in ["-r", "-o x.o", "-r -o x.o --map -", "-r -o x.o -l m", "-r -o x.o --unresolved null"] {
        let outcome = folder.jitlink(&format!("link program.o {words}"));
        assert_eq!(outcome.status, 2, "{words}: {}", outcome.stderr);
    }
    let outcome = folder.jitlink("link -r program.o -o x.o --entry absent");
    assert!(outcome.errors().contains("absent is not defined"), "{}", outcome.stderr);
    assert!(!folder.path("x.o").exists());
}

#[test]
fn other_tools_read_it_without_complaint() {
    let folder = Folder::with(&["program.o", "library.o"]);
    assert_eq!(folder.jitlink("link -r program.o library.o --keep-debug -o all.o").status, 0);
    let tools: [(&[&str], &str); 6] = [
        (&["readelf"], "-aW all.o"),
        (&["llvm-readobj-22", "llvm-readobj"], "--all all.o"),
        (&["objdump"], "-dr all.o"),
        (&["ld"], "-r all.o -o ld.o"),
        (&["ld.lld-22", "ld.lld"], "-r all.o -o lld.o"),
        (&["mold"], "-r all.o -o mold.o"),
    ];
    for (names, words) in tools {
        let Some(tool) = find(names) else { continue };
        let outcome = folder.command(&tool, words);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{names:?}");
    }
}
