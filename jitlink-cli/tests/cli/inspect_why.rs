//! What `jitlink inspect` answers to `--why-live`, `--why-stub` and `--why-not`.

use super::archives::archive;
use super::inspect::FAR;
use super::support::Folder;
use serde_json::Value;

/// The answers to questions about the two objects of reasons, with `main` as the entry.
fn ask(questions: &str) -> String {
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    let outcome = folder.jitlink(&format!("inspect reasons.o reasons_more.o --entry main {FAR} {questions}"));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    outcome.stdout
}

#[track_caller]
fn check(question: &str, expected: &str) {
    assert_eq!(ask(question), expected, "{question}");
}

#[test]
fn what_is_live_is_traced_to_a_root() {
    check(
        "--why-live helper",
        "\
helper of reasons.o is live, 2 steps from a root:
  root: main (reasons.o .text.main), which --entry names
    kept (reasons.o .text.kept): R_X86_64_PLT32 at reasons.o .text.main+0x1, in main
      helper (reasons.o .text.helper): R_X86_64_PC32 at reasons.o .text.kept+0x1, in kept
",
    );
    check(
        "--why-live outside_data",
        "\
outside_data is needed from outside the batch, 1 step from a root:
  root: main (reasons.o .text.main), which --entry names
    outside_data: R_X86_64_REX_GOTPCRELX at reasons.o .text.main+0x14, in main
",
    );
    // What is not live is explained as --why-not does.
    assert!(ask("--why-live unused").starts_with("unused is not in the link: nothing refers to it"));
}

#[test]
fn functions_of_one_section_live_together() {
    let folder = Folder::with(&["library.o"]);
    let outcome = folder.jitlink("inspect library.o --entry subtract --why-live classify");
    let last = "    classify is in the same block, which is kept or pruned as a whole (library.o .text)\n";
    assert!(outcome.stdout.ends_with(last), "{}", outcome.stdout);
}

#[test]
fn stubs_and_slots_are_traced_to_who_asked_and_why() {
    check(
        "--why-stub outside",
        "\
outside has a stub and a GOT slot:
  stub at 0x10000040, used by 1 reference:
    reasons.o .text.main+0x6, in main (R_X86_64_PLT32): it is outside the batch at 0x7f0000000000, and R_X86_64_PLT32 \
holds values from -0x80000000 to 0x7fffffff, but from where the batch may lie it would need 0x7effaffffffd to \
0x7effeffffffc
  GOT slot at 0x10001000, used by its stub:
",
    );
    check(
        "--why-stub outside_data",
        "\
outside_data has a GOT slot:
  GOT slot at 0x10001008, used by 1 reference:
    reasons.o .text.main+0x14, in main (R_X86_64_REX_GOTPCRELX): it is outside the batch at 0x7f0000001000, and what \
loads its address keeps its slot
",
    );
    check(
        "--why-stub shared --why-stub kept",
        "\
shared has no stub and no GOT slot: 1 reference goes to it directly
  reasons.o .text.main+0xd, in main (R_X86_64_REX_GOTPCRELX): relaxed: it is in the batch, so the instruction computes \
the address without loading it

kept has no stub and no GOT slot: 1 reference goes to it directly
  reasons.o .text.main+0x1, in main (R_X86_64_PLT32): its field holds the value
",
    );
    assert!(ask("--why-stub unused").contains("nothing live refers to it"));
}

#[test]
fn what_is_not_in_the_link_has_a_reason() {
    check(
        "--why-not only_unused",
        "\
only_unused is not in the link: only what is not live itself refers to it (reasons.o .text.only_unused; 1 reference)
  reasons.o .text.unused+0x1, in unused (R_X86_64_PLT32), which is not live
  the roots are: main
  --entry only_unused would keep it
",
    );
    check(
        "--why-not unused",
        "\
unused is not in the link: nothing refers to it (reasons.o .text.unused), and it is no root
  the roots are: main
  --entry unused would keep it
",
    );
    check(
        "--why-not nowhere_needed",
        "\
nowhere_needed is not looked up: no object of the link defines it, and only dead code refers to it
  reasons.o .text.unused+0x6, in unused (R_X86_64_PLT32), which is not live
",
    );
    check(
        "--why-not shard",
        "\
shard is not in the link: no object or archive defines it or refers to it
  there is: shared
",
    );
}

#[test]
fn copies_and_weaker_definitions_say_what_is_used_instead() {
    assert!(
        ask("--why-not copied")
            .contains("  the copy in reasons_more.o was discarded: COMDAT group copied is kept from reasons.o\n")
    );
    assert!(
        ask("--why-not gives_way")
            .contains("  the weak definition in reasons.o gave way: the strong one in reasons_more.o wins over it\n")
    );
    assert!(
        ask("--why-not pool")
            .contains("  the common symbol in reasons_more.o shares the memory of the one in reasons.o\n")
    );
}

#[test]
fn archive_members_say_why_they_did_not_join() {
    let folder = Folder::with(&["reasons_more.o", "library.o", "undefined.o"]);
    let members = [("library.o", folder.read("library.o")), ("undefined.o", folder.read("undefined.o"))];
    folder.write("libx.a", archive(&members.each_ref().map(|(name, bytes)| (*name, bytes.as_slice()))));
    let outcome = folder.jitlink("inspect reasons_more.o libx.a --why-not classify --why-not clasify");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(
        outcome.stdout,
        "\
classify is not in the link: only members of archives define it
  libx.a(library.o) defines it, and did not join: nothing in the link needs it or another of the 6 names that it defines

clasify is not in the link: no object or archive defines it or refers to it
  there is: classify
"
    );
    let joined = folder.jitlink("inspect reasons_more.o libx.a --entry classify --format json");
    let document: Value = serde_json::from_str(&joined.stdout).unwrap();
    let members = document["members"].as_array().unwrap();
    assert_eq!((&members[0]["joined"], &members[0]["wanted"]), (&true.into(), &"classify".into()));
    assert_eq!((&members[1]["joined"], &members[1]["wanted"]), (&false.into(), &Value::Null));
}

#[test]
fn undefined_names_are_answered_although_the_link_fails() {
    let folder = Folder::with(&["undefined.o"]);
    let outcome =
        folder.jitlink("inspect undefined.o --why-not _Present --why-not missing_function --why-stub present");
    assert_eq!(outcome.status, 1);
    assert_eq!(
        outcome.stdout,
        "\
the link failed before stubs were made, so present has none yet

nothing defines _Present
  1 place refers to it:
    undefined.o .text+0x21, in main (R_X86_64_PLT32)
  there is: present
  add what defines it: an object, an archive, -l LIB, or --define NAME=ADDR

nothing defines missing_function
  2 places refer to it:
    undefined.o .text+0xe, in main (R_X86_64_PLT32)
    undefined.o .text+0x1a, in main (R_X86_64_PLT32)
  add what defines it: an object, an archive, -l LIB, or --define NAME=ADDR
"
    );
    let null = folder.jitlink("inspect undefined.o --unresolved null --why-not missing_data");
    assert!(null.stdout.starts_with("nothing defines missing_data; it is null, because --unresolved null was given\n"));
}

#[test]
fn answers_come_as_json_too() {
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    let words = format!("inspect reasons.o reasons_more.o --entry main {FAR} --format json");
    let document: Value = serde_json::from_str(&folder.jitlink(&words).stdout).unwrap();
    let outcome =
        folder.jitlink(&format!("{words} --why-live helper --why-stub outside --why-not unused --why-not nonsense"));
    let answers: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&answers["version"], &answers["errors"]), (&1.into(), &serde_json::json!([])));
    let answers = answers["answers"].as_array().unwrap();
    let kinds: Vec<_> = answers.iter().map(|answer| (&answer["question"], &answer["verdict"])).collect();
    let expected = [("why-live", "live"), ("why-stub", "stub"), ("why-not", "pruned"), ("why-not", "unknown")];
    assert_eq!(kinds.iter().map(|(q, v)| (q.as_str().unwrap(), v.as_str().unwrap())).collect::<Vec<_>>(), expected);
    // Positions are those of the document.
    let step = &answers[0]["steps"][2];
    let edge = &document["edges"][step["edge"].as_u64().unwrap() as usize];
    let target = &document["symbols"][edge["before"]["target"].as_u64().unwrap() as usize];
    assert_eq!(
        target["place"]["block"],
        document["symbols"][step["symbol"].as_u64().unwrap() as usize]["place"]["block"]
    );
    assert_eq!(step["site"], "reasons.o .text.kept+0x1, in kept");
}

#[test]
fn names_that_attack_a_terminal_are_shown_harmless() {
    let folder = Folder::with(&["reasons_more.o"]);
    let outcome = crate::support::Outcome::of(
        crate::support::jitlink(["inspect", "reasons_more.o", "--why-not", "\u{1b}[31mred"])
            .current_dir(folder.path(".")),
    );
    assert!(outcome.stdout.starts_with("\\u{1b}[31mred is not in the link"), "{:?}", outcome.stdout);
}
