//! `jitlink check`: rules about linked memory, and what is said about those that do not hold.

use super::support::Folder;
use serde_json::Value;

/// library.o: three functions and a table of them; undefined.o: references to what nothing defines.
fn check(rules: &str, words: &str) -> super::support::Outcome {
    let folder = Folder::with(&["library.o", "undefined.o"]);
    folder.write("rules.s", rules);
    folder.jitlink(&format!("check rules.s {words}"))
}

const LIBRARY: &str = "library.o --unresolved null";

#[test]
fn rules_that_hold_are_counted() {
    let rules = "\
operations:
# jitlink-check: u64(.) == add && u64(. + 8) == multiply
  # jitlink-check: u64(. + 16) == symbol(subtract in library.o)
// jitlink-check: size(operations) == 24 \\
//   jitlink-check: && section(.text) <= add
";
    let outcome = check(rules, LIBRARY);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{}", outcome.stdout);
    assert_eq!(outcome.stdout, "3 rules passed, 0 failed\n");
}

#[test]
fn a_rule_that_fails_shows_both_sides_and_its_parts() {
    let outcome = check(
        "f: ; jitlink-check: u8(x + 0x8)[3:0] == x - 1 || x > 0x5000\n",
        &format!("{LIBRARY} --define x=0x10000000"),
    );
    // The name is not one that anything in the link needs, so there is no such symbol.
    assert_eq!(outcome.status, 1);
    assert!(outcome.stdout.starts_with("rules.s:1:24: there is no symbol x in this link\n"), "{}", outcome.stdout);

    let outcome = check("; jitlink-check: subtract == add + 1 || size(operations) > 0x18\n", LIBRARY);
    let mut lines = outcome.stdout.lines();
    assert_eq!(outcome.status, 1);
    assert_eq!(lines.next(), Some("rules.s:1:18: failed: subtract == add + 1 || size(operations) > 0x18"));
    let rest: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    let starts = |words: &[&str]| rest.iter().any(|line| line.starts_with(words));
    assert!(starts(&["left", "subtract", "="]), "{}", outcome.stdout);
    assert!(starts(&["right", "add", "+", "1", "="]), "{}", outcome.stdout);
    assert!(starts(&["left", "size(operations)", "=", "0x18"]), "{}", outcome.stdout);
    assert!(starts(&["where", "add", "="]), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("0 rules passed, 1 failed\n"));
}

#[test]
fn links_that_are_to_fail_have_to_fail_so() {
    let rules = "\
# jitlink-check-error[undefined]: missing_function is not defined
# jitlink-check-error: missing_data is not defined
# jitlink-check-error[undefined]: _Present is not defined
# jitlink-check-link: --unresolved null
# jitlink-check: exists(present)
# jitlink-check-link: --define missing_data=1 --define _Present=1
# jitlink-check-error[undefined]: missing_function
";
    let outcome = check(rules, "undefined.o");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "5 rules passed, 0 failed\n"));

    let outcome = check("# jitlink-check-error[undefined]: missing_data\n", "undefined.o");
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.stdout.starts_with("rules.s: the link failed unexpectedly\n  error[undefined]: "),
        "{}",
        outcome.stdout
    );
    assert!(outcome.stdout.contains("    help: "), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("1 rule passed, 0 failed, 1 link failed unexpectedly\n"), "{}", outcome.stdout);

    let outcome = check("# jitlink-check-error: out of range\n", "undefined.o --unresolved null");
    let expected = "rules.s:1:24: failed: error: out of range\n  the link was to fail with this, but it succeeded\n\
                    0 rules passed, 1 failed\n";
    assert_eq!((outcome.status, outcome.stdout.as_str()), (1, expected));

    let outcome = check("# jitlink-check: present == 1\n", "undefined.o");
    assert_eq!(outcome.status, 1);
    assert!(outcome.stdout.ends_with("0 rules passed, 0 failed, 1 not evaluated, 1 link failed unexpectedly\n"));
}

#[test]
fn rules_that_cannot_be_read_are_pointed_at() {
    let outcome = check("\t# jitlink-check: a + == 1\n# jitlink-check: (b\n", "library.o");
    let expected = "\
rules.s:1:23: expected a name, a number or `(`, not `==`
  \t# jitlink-check: a + == 1
  \t                     ^^
rules.s:2:20: `)` is missing here
  # jitlink-check: (b
                     ^";
    assert_eq!(outcome.errors(), expected);
    let none = check("call f\n", "library.o");
    assert!(none.errors().starts_with("rules.s: there is no rule in this file\n  help: "), "{}", none.stderr);
    let folder = Folder::with(&["library.o"]);
    assert!(folder.jitlink("check nowhere.s library.o").errors().starts_with("error[io]: nowhere.s: "));
    let json: Value = serde_json::from_str(check("# jitlink-check: a\n", "library.o --format json").errors()).unwrap();
    assert_eq!((&json["errors"][0]["line"], &json["errors"][0]["column"]), (&1.into(), &18.into()));
}

#[test]
fn the_report_is_data_too() {
    let rules = "# jitlink-check: exists(add)\n# jitlink-check: u8(add) == 0x1ff\n# jitlink-check: nothing == 0\n";
    let outcome = check(rules, &format!("{LIBRARY} --format json"));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (1, ""));
    let json: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&json["passed"], &json["failed"]), (&1.into(), &2.into()));
    let rules = &json["links"][0]["rules"];
    assert_eq!(rules[0]["status"], "passed");
    assert_eq!((&rules[1]["status"], &rules[1]["values"][1]["value"]), (&"failed".into(), &"0x1ff".into()));
    assert_eq!((&rules[2]["status"], &rules[2]["error"]["line"]), (&"invalid".into(), &3.into()));
}

#[test]
fn everything_is_kept_unless_an_entry_says_otherwise() {
    let rules =
        "# jitlink-check: exists(names)\n# jitlink-check-link: --entry subtract\n# jitlink-check: !exists(names)\n";
    let outcome = check(rules, LIBRARY);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "2 rules passed, 0 failed\n"));
    let alias = "# jitlink-check-link: --alias second=subtract\n# jitlink-check: second == subtract\n";
    assert_eq!(check(alias, LIBRARY).status, 0);
    let outcome = check("# jitlink-check: section(.text) == 0x400000\n", &format!("{LIBRARY} --base 0x400000"));
    assert_eq!(outcome.status, 0, "{}", outcome.stdout);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for words in ["library.o -l m", "library.o --base 0x1001", "library.o --page-size 3K", ""] {
        let outcome = check("# jitlink-check: add == 1\n", words);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (2, ""), "{words}: {}", outcome.stderr);
    }
}
