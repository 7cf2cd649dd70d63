//! Indirect functions: whole programs of two compilers, which know what they must print. What `ld` makes of them is no
//! reference, because it gives such a function several addresses.

use super::support::{C_COMPILERS, Folder, find};

const MODELS: [&str; 9] = [
    "",
    "-fPIC",
    "-fPIE",
    "-fno-pic",
    "-fPIC -fno-plt",
    "-ffunction-sections -fdata-sections -fPIC",
    "-fno-pic -mcmodel=medium",
    "-fno-pic -mcmodel=large",
    "-fPIC -mcmodel=large",
];

const EXPECTED: &str = "\
before: 1
calls: 6 7 7
pointers: 7 8 8
clones: 14850 44
data: 1 1 1
constants: 1 1 1
elsewhere: 1 1
resolvers: 3
";

fn compile(folder: &Folder, cc: &std::path::Path, flags: &str) {
    for part in ["main", "other"] {
        let source = super::source(&format!("indirect_{part}.c"));
        folder.tool(cc, &format!("{flags} -w -c {source} -o {part}.o"));
    }
}

#[test]
fn they_are_resolved_once_before_initialisers_and_have_one_address() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        for model in MODELS {
            for level in ["-O0", "-O1", "-O2", "-O3"] {
                let folder = Folder::new();
                compile(&folder, &cc, &format!("{level} {model}"));
                let outcome = folder.jitlink("run main.o other.o");
                let flags = format!("{names:?} {level} {model}");
                assert_eq!(outcome.visible(), (7, EXPECTED), "{flags}: {}", outcome.stderr);
            }
        }
    }
}

#[test]
fn they_come_out_of_archives_and_stay_what_they_are_in_one_object_of_several() {
    let Some(ar) = find(&["ar"]) else { return };
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        for flags in ["-O2 -fPIC", "-O1 -fno-pic"] {
            let folder = Folder::new();
            compile(&folder, &cc, flags);
            // In either role: as the archive's member, and as who needs one.
            for (object, member) in [("main", "other"), ("other", "main")] {
                folder.tool(&ar, &format!("rcs lib{member}.a {member}.o"));
                let outcome = folder.jitlink(&format!("run {object}.o lib{member}.a"));
                assert_eq!(outcome.visible(), (7, EXPECTED), "{flags}: {}", outcome.stderr);
            }
            let made = folder.jitlink("link -r main.o other.o -o all.o");
            assert_eq!((made.status, made.stderr.as_str()), (0, ""));
            let outcome = folder.jitlink("run all.o");
            assert_eq!(outcome.visible(), (7, EXPECTED), "{flags}: {}", outcome.stderr);
            let fixed = super::link_flags(flags);
            let of_all = folder.reference(&cc, &format!("all.o {fixed}"), "");
            let of_each = folder.reference(&cc, &format!("main.o other.o {fixed}"), "");
            assert_eq!(of_all.visible(), of_each.visible(), "{flags}: ld makes another program of it");
        }
    }
}
