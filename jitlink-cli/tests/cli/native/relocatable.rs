//! One object made of several is the same program, under every linker.

use super::support::{C_COMPILERS, CXX_COMPILERS, Folder, find};

const FLAGS: [&str; 6] =
    ["-O0", "-O2", "-O2 -fPIC", "-O2 -fno-pic", "-O2 -g -ffunction-sections", "-O1 -fno-pic -mcmodel=large"];

/// Compiles the sources, makes one object of them, and compares what it does with what the objects do.
fn check(folder: &Folder, compiler: &std::path::Path, flags: &str, sources: &[&str], libraries: &str, arguments: &str) {
    let mut objects = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        folder.tool(compiler, &format!("{flags} -w -c {} -o {index}.o", super::source(source)));
        objects.push(format!("{index}.o"));
    }
    let objects = objects.join(" ");
    let outcome = folder.jitlink(&format!("link -r {objects} -o all.o --keep-debug"));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{flags}");
    assert_eq!(folder.jitlink("link -r all.o -o again.o --keep-debug").status, 0);
    assert!(folder.read("all.o") == folder.read("again.o"), "{flags}: written again it is another file");
    let fixed = super::link_flags(flags);
    let expected = folder.reference(compiler, &format!("{objects} {fixed} {libraries}"), arguments);
    let linked = folder.reference(compiler, &format!("all.o {fixed} {libraries}"), arguments);
    assert_eq!(linked.visible(), expected.visible(), "{flags}: {}", linked.stderr);
    let run = folder.jitlink(&format!("run all.o {} -- {arguments}", libraries.replace("-l", "-l ")));
    assert_eq!(run.visible(), expected.visible(), "{flags}: {}", run.stderr);
}

#[test]
fn c_of_every_code_model() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        for flags in FLAGS {
            let sources = ["models_main.c", "models_more.c", "models_switch.c"];
            check(&Folder::new(), &cc, flags, &sources, "-lm", "");
        }
    }
}

#[test]
fn c_plus_plus_with_exceptions_and_what_objects_share() {
    for names in CXX_COMPILERS {
        let Some(cxx) = find(names) else { continue };
        for flags in FLAGS {
            let folder = Folder::new();
            check(&folder, &cxx, &format!("-std=c++17 {flags}"), &["cxx_main.cpp", "cxx_other.cpp"], "-lstdc++", "");
            // Its groups are still groups: another object brings the same ones.
            assert_eq!(folder.jitlink("link -r 1.o -o one.o").status, 0);
            let outcome = folder.jitlink("run 0.o one.o -l stdc++");
            let expected = folder.reference(&cxx, &format!("0.o 1.o {}", super::link_flags(flags)), "");
            assert_eq!(outcome.visible(), expected.visible(), "{flags}: {}", outcome.stderr);
        }
    }
}
